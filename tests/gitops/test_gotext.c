// SPDX-License-Identifier: Apache-2.0
#include "gitops/gotext.h"
#include "tests/test.h"

// Parameters of all cases. 'n' is null.
#define PARAMS "{\"a\": {\"b\": \"x\"}, \"s\": \"text\", \"n\": null, \"é\": {\"b\": 1}}"
#define LOST(chain, key) "(fail `at <" chain ">: map has no entry for key \"" key "\"`)"

static char *bind(const char *text, enum go_missing missing, struct err *err)
{
    CLEANUP(json_freep) json_t *params = json_loads(PARAMS, 0, NULL);
    struct gotext *t = NULL;
    assert_non_null(params);
    if (!gotext_read(text, &t, err))
        return NULL;
    char *out = gotext_bind(t, params, missing);
    gotext_free(t);
    return out;
}

static void check(const char *text, enum go_missing missing, const char *want)
{
    struct err err = {0};
    CLEANUP(str_freep) char *got = bind(text, missing, &err);
    if (!got)
        fail_msg("%s: %s", text, err.msg);
    if (strcmp(got, want) != 0)
        fail_msg("%s: \"%s\"; wanted \"%s\"", text, got, want);
}

// What is the same with and without missingkey=error.
static void same(void **s)
{
    (void)s;
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"{{.a.b}} }} {{ $.s }}", "{{.a.b}} }} {{ $.s }}"},
        {"{{normalize .s}}", "{{include \"regrow.normalize\" .s}}"},
        {"{{.s|normalize}}", "{{.s|include \"regrow.normalize\"}}"},
        {"{{- (normalize .s) -}}", "{{- (include \"regrow.normalize\" .s) -}}"},
        // not the function
        {"normalize {{\"normalize }} lookup\"}} {{`lookup`}} {{/* lookup }} */}}",
         "normalize {{\"normalize }} lookup\"}} {{`lookup`}} {{/* lookup }} */}}"},
        {"{{- /* lookup */ -}}", "{{- /* lookup */ -}}"},
        {"{{\"\\\"normalize\"}}", "{{\"\\\"normalize\"}}"},
        {"{{.s.normalize}}", "{{.s.normalize}}"},
        {"{{$normalize := 1}}", "{{$normalize := 1}}"},
        {"{{fromJson .s}}", "{{mustFromJson .s}}"},
        {"{{slugify .s}}", "{{list .s | include \"regrow.slugify\"}}"},
        {"{{.s | slugify 23 false | upper}}",
         "{{.s | list 23 false  | include \"regrow.slugify\"| upper}}"},
        {"{{print (slugify (lower .s)) \"x\" -}}",
         "{{print (list (lower .s) | include \"regrow.slugify\") \"x\" -}}"},
        {"{{keys .a}}", "{{keys .a | sortAlpha}}"},
        {"{{- range $i, $k := keys .a $.a -}}{{end}}",
         "{{- range $i, $k := keys .a $.a | sortAlpha -}}{{end}}"},
        {"{{.a | keys | join \",\"}} {{len (keys .a)}}",
         "{{.a | keys  | sortAlpha| join \",\"}} {{len (keys .a | sortAlpha)}}"},
        {"{{$x.keys}} {{eq $ .}}", "{{$x.keys}} {{eq $ .}}"},
        // of a variable, of a call, of a number; inside range and with
        {"{{$x.gone}} {{(index .a).gone}} {{1.5}} {{\"s\".gone}} {{.5}}",
         "{{$x.gone}} {{(index .a).gone}} {{1.5}} {{\"s\".gone}} {{.5}}"},
        {"{{range .a}}{{.gone.x}}{{end}}", "{{range .a}}{{.gone.x}}{{end}}"},
        {"{{with .a}}{{if .gone}}{{.gone.x}}{{end}}{{end}}",
         "{{with .a}}{{if .gone}}{{.gone.x}}{{end}}{{end}}"},
        {"{{if .s}}{{else with .a}}{{.gone}}{{end}}", "{{if .s}}{{else with .a}}{{.gone}}{{end}}"},
        // null is there
        {"{{.n}} {{.n.x}}", "{{.n}} {{.n.x}}"},
        // left open: the program says so
        {"{{", "{{"},
        {"{{ .a.b", "{{ .a.b"},
        {"{{ \"x", "{{ \"x"},
        {"{{ `x\\", "{{ `x\\"},
        {"{{ \"x\\", "{{ \"x\\"},
        {"{{/* x", "{{/* x"},
        {"{{end}}{{end}}{{.s}}", "{{end}}{{end}}{{.s}}"},
        {"{{)}}{{else}}", "{{)}}{{else}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(cases[i][0], GO_MISSING_PRINTED, cases[i][1]);
        check(cases[i][0], GO_MISSING_ERROR, cases[i][1]);
    }
}

static void missing(void **s)
{
    (void)s;
    static const char *const cases[][3] = {
        {"{{.gone}}", "{{.gone}}", "{{" LOST(".gone", "gone") "}}"},
        {"{{ .gone.x.y | default .a.c }}", "{{ .gone | default .a.c }}",
         "{{ " LOST(".gone.x.y", "gone") " | default " LOST(".a.c", "c") " }}"},
        {"{{if $.gone.x}}{{.s}}{{end}}", "{{if $.gone}}{{.s}}{{end}}",
         "{{if " LOST("$.gone.x", "gone") "}}{{.s}}{{end}}"},
        {"{{range .a}}{{$.gone}}{{else}}{{.gone}}{{end}}{{.gone}}",
         "{{range .a}}{{$.gone}}{{else}}{{.gone}}{{end}}{{.gone}}",
         "{{range .a}}{{" LOST("$.gone", "gone") "}}{{else}}{{" LOST(
             ".gone", "gone") "}}{{end}}{{" LOST(".gone", "gone") "}}"},
        {"{{with .gone}}{{end}}", "{{with .gone}}{{end}}",
         "{{with " LOST(".gone", "gone") "}}{{end}}"},
        {"{{.é.c.d}}", "{{.é.c}}", "{{" LOST(".é.c.d", "c") "}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(cases[i][0], GO_MISSING_PRINTED, cases[i][1]);
        check(cases[i][0], GO_MISSING_ERROR, cases[i][2]);
    }
}

static void refused(void **s)
{
    (void)s;
    static const char *const cases[][2] = {
        {"{{lookup \"v1\" \"Secret\" \"a\" \"b\"}}", "function \"lookup\" not defined"},
        {"{{ tpl .s . }}", "function \"tpl\" not defined"},
        {"{{ (include \"x\" .) }}", "function \"include\" not defined"},
        {"{{.s|required \"x\"}}", "function \"required\" not defined"},
        {"{{-\n env \"HOME\" }}", "function \"env\" not defined"},
        {"{{if eq 1 (getHostByName .s)}}{{end}}", "function \"getHostByName\" not defined"},
        {"{{ .s | toToml }}", "function \"toToml\" not defined"},
        {"{{ randAlphaNum 3 }}", "randAlphaNum gives something else each time"},
        {"{{ now }}", "now gives something else each time"},
        {"{{ date \"2006\" .s }}", "date gives something else each time"},
        {"{{ .s | date_in_zone \"2006\" }}", "date_in_zone gives something else each time"},
        {"{{ durationRound .s }}", "durationRound gives something else each time"},
        {"{{ htmlDate 0 }}", "htmlDate gives something else each time"},
        {"{{ values .a }}", "values gives something else each time"},
        {"{{ $x := set . \"gone\" 1 }}{{ .gone }}", "set changes what it is given"},
        {"{{ merge . .a }}", "merge changes what it is given"},
        {"{{ unset . \"s\" }}", "unset changes what it is given"},
        {"{{ mustMergeOverwrite . .a }}", "mustMergeOverwrite changes what it is given"},
        {"{{ $ := .a }}{{ $.b }}", "\"$\" that is made another"},
        {"{{ $ = .a }}", "\"$\" that is made another"},
        {"{{range $, $x := .a}}{{end}}", "\"$\" that is made another"},
        {"{{define \"x\"}}{{end}}", "{{define}} in a template is not supported"},
        {"{{end}}{{ define \"regrow.normalize\"}}", "{{define}} in a template is not supported"},
        {"{{template \"regrow/templates/_t1.tpl\" .}}", "{{template}} in a template is not"},
        {"{{block \"x\" .}}{{end}}", "{{block}} in a template is not supported"},
        {"{{/**/}}{{lookup}}", "function \"lookup\" not defined"},
        {"{{\"\\\\\" | lookup}}", "function \"lookup\" not defined"},
        {"{{`\\` | lookup}}", "function \"lookup\" not defined"},
        {"{{'\\'' | lookup}}", "function \"lookup\" not defined"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        CLEANUP(str_freep) char *got = bind(cases[i][0], GO_MISSING_PRINTED, &err);
        if (got || err.kind != ERR_INVALID || !strstr(err.msg, cases[i][1]))
            fail_msg("%s: %s; wanted %s", cases[i][0], got ? got : err.msg, cases[i][1]);
        err_clear(&err);
    }
}

static void deep(void **s)
{
    (void)s;
    static const char *const pieces[] = {"{{if 1}}", "{{(", "{{end}}", "((((", "))))"};
    for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
        struct buf b CLEANUP(buf_clear) = {0};
        struct err err = {0};
        for (int i = 0; i < 500; i++)
            buf_str(&b, k > 2 && !i ? "{{" : pieces[k]);
        CLEANUP(str_freep) char *got = bind(b.p, GO_MISSING_ERROR, &err);
        if (!got)
            assert_true(strstr(err.msg, "in one another") != NULL);
        err_clear(&err);
    }
}

static void whole(void **s)
{
    (void)s;
    CLEANUP(json_freep) json_t *params = json_loads(PARAMS, 0, NULL);
    static const struct {
        const char *text;
        bool has_all;
    } cases[] = {{"{{.a.b}}", true},
                 {"{{.a.c}}", false},
                 {"{{.s.x}}", false},
                 {"{{.n.x}}", true},
                 {"{{$.gone}}", false},
                 {"plain", true},
                 {"{{range .a}}{{.x}}{{end}}", true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct gotext *t = NULL;
        assert_true(gotext_read(cases[i].text, &t, &err));
        if (gotext_has_all(t, params) != cases[i].has_all)
            fail_msg("%s", cases[i].text);
        gotext_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same), cmocka_unit_test(missing), cmocka_unit_test(refused),
        cmocka_unit_test(deep), cmocka_unit_test(whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
