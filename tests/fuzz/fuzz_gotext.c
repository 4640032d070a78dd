// SPDX-License-Identifier: Apache-2.0
//
// Go templates of strangers. A text without actions stays as it is; with parameters that lack
// nothing it names, missingkey=error changes nothing.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "gitops/gotext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gotext *t, const char *text, const json_t *params)
{
    CLEANUP(str_freep) char *printed = gotext_bind(t, params, GO_MISSING_PRINTED);
    CLEANUP(str_freep) char *strict = gotext_bind(t, params, GO_MISSING_ERROR);
    if (!gotext_is_template(text) && strcmp(text, printed) != 0)
        abort();
    if (gotext_has_all(t, params) && strcmp(printed, strict) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(str_freep) char *text = str_ndup((const char *)data, size);
    json_t *params = json_pack("{s:s, s:{s:i, s:n}}", "a", "x", "b", "c", 1, "d");
    struct gotext *t = NULL;
    struct err err = {0};
    if (gotext_read(text, &t, &err))
        check(t, text, params);
    else if (err.kind != ERR_INVALID)
        abort();
    err_clear(&err);
    gotext_free(t);
    json_decref(params);
    return 0;
}
