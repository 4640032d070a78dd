// SPDX-License-Identifier: Apache-2.0
#include "source/asks.h"

#include <stdio.h>

#include "tests/test.h"

static const struct {
    const char *text, *names; // joined by commas
    bool any;
} cases[] = {
    {"kind: x # nothing", "", false},
    {"{{ if .Capabilities.APIVersions.Has \"policy/v1\" }}a{{ end }}", "policy/v1", false},
    {"{{- if ($.Capabilities.APIVersions.Has  \"a/v1\") -}}{{ end }}", "a/v1", false},
    {"{{ if has \"m/v1/K\" .Capabilities.APIVersions }}{{end}}", "m/v1/K", false},
    {"{{ if not (has \"m/v1/K\" $.Capabilities.APIVersions) }}{{end}}", "m/v1/K", false},
    {"{{ if .Capabilities.APIVersions.Has \"a\" }}{{ else if .Capabilities.APIVersions.Has \"b\" "
     "}}{{ else if .Capabilities.APIVersions.Has \"a\" }}{{ end }}",
     "a,b", false},
    {"# APIVersions in words\n{{ .Values.x }} APIVersions", "", false},
    {"{{/* APIVersions in a comment */}}{{- /* and APIVersions */ -}}", "", false},
    {"{{ range .Capabilities.APIVersions }}{{ end }}", "", true},
    {"{{ .Capabilities.APIVersions.Has .Values.api }}", "", true},
    {"{{ .Capabilities.APIVersions.Has (printf \"%s/v1\" .x) }}", "", true},
    {"{{ $v := .Capabilities.APIVersions }}{{ $v.Has \"a\" }}", "", true},
    {"{{ index .Capabilities \"APIVersions\" }}", "", true},
    {"{{ hash \"x\" .Capabilities.APIVersions }}", "", true},
    {"{{ has\"x\" .Capabilities.APIVersions }}", "", true},
    {"{{ has \"x\" .Capabilities.APIVersions.Other }}", "", true},
    {"{{ .Capabilities.APIVersions.Has \"open", "", true},
    {"{{ .Capabilities.APIVersions", "", true},
    {"{{ .Capabilities.APIVersions.Has", "", true},
    {"{{APIVersions", "", true},
    {"APIVersions", "", false},
};

static void finds_what_is_asked(void **s)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct asks a = {0};
        struct buf names CLEANUP(buf_clear) = {0};
        // Without a byte behind it, so that reading on would be seen.
        size_t len = strlen(cases[i].text);
        char *text = memcpy(malloc(len), cases[i].text, len);
        asks_find(&a, text, len);
        free(text);
        buf_str(&names, "");
        for (size_t k = 0; k < a.names.len; k++)
            buf_printf(&names, "%s%s", k ? "," : "", a.names.v[k]);
        if (strcmp(names.p, cases[i].names) != 0 || a.any != cases[i].any)
            fail_msg("%s: \"%s\", any %d", cases[i].text, names.p, a.any);
        asks_clear(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_what_is_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
