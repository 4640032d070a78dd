// SPDX-License-Identifier: Apache-2.0
//
// cmocka in the order it wants its headers, and small helpers of the unit tests.
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gitops/gitops.h"

// The first document of a YAML text; fails the test when it cannot be read.
static inline json_t *doc_of(const char *text)
{
    struct yaml_docs d = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "test"};
    if (!yaml_read(text, strlen(text), &o, &d, &err))
        fail_msg("%s", err.msg);
    json_t *v = json_incref(d.docs.v[0].value);
    yaml_docs_clear(&d);
    return v;
}

// Its canonical text, owned.
static inline char *canon_of(const json_t *v)
{
    struct buf b = {0};
    canon_write(v, &b);
    return buf_take(&b);
}

#endif
