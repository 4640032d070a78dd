// SPDX-License-Identifier: Apache-2.0
//
// Documents of any shape under every rule there is, whatever their kind; as argocd-cm; and as the
// object of a few scripts.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "reconcile/health_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const scripts[] = {
    "return {status = obj.status and obj.status.phase or 'Progressing', message = obj.kind}",
    "hs = {} for k, v in pairs(obj) do hs[k] = v end return hs",
    "local n = 0 local function walk(t) for k, v in pairs(t) do n = n + 1 if type(v) == 'table' "
    "then walk(v) end end end walk(obj) return {status = 'Healthy', message = tostring(n)}",
    "return obj.status",
};

static void as_config(const json_t *doc)
{
    struct health_custom *c = NULL;
    struct err err = {0};
    if (!health_custom_new(doc, &c, &err))
        err_clear(&err);
    health_custom_has(c, "apps", "Deployment");
    health_custom_has(c, "", "Pod");
    health_custom_free(c);
}

static void one(const json_t *doc)
{
    struct health_result r = {0};
    const struct health_rule *rule;
    health_of(NULL, doc, &r);
    for (size_t i = 0; (rule = health_rule_at(i)); i++)
        health_rule_trace(rule, doc, &r);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct health_script s = {.key = (char *)"x", .text = (char *)scripts[i]};
        health_lua_run(&s, doc, &r);
        health_verdict(&r, i & 1, i & 2);
    }
    health_result_clear(&r);
    as_config(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_docs docs = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "fuzz", .warn_only = true, .max_bytes = 65536};
    CLEANUP(str_freep) char *text = mem_dup(data, size);
    if (!yaml_read(text, size, &o, &docs, &err)) {
        err_clear(&err);
        return 0;
    }
    for (size_t i = 0; i < docs.docs.len && i < 4; i++)
        one(docs.docs.v[i].value);
    yaml_docs_clear(&docs);
    return 0;
}
