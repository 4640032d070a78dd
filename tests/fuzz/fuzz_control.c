// SPDX-License-Identifier: Apache-2.0
//
// What people ask of the controller, as anybody may write it into an Application or a ConfigMap:
// the input is a JSON document, taken for both, and the status that it would be answered by.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_it(const json_t *doc)
{
    struct app_control k = {0};
    struct err err = {0};
    struct object_id id = {(char *)"apps", (char *)"Deployment", (char *)"web", (char *)"api"};
    bool ok = control_read(doc, &k, &err);
    if (ok == err_is_set(&err) || (!ok && err.kind != ERR_INVALID))
        abort();
    CLEANUP(json_freep) json_t *taken = control_taken(&k);
    CLEANUP(json_freep) json_t *rest = json_deep_copy(doc);
    (void)control_selects(&k, &id);
    (void)control_approves(&k, 1790000000);
    if (taken && json_is_object(rest))
        json_merge_patch(rest, taken);
    app_control_clear(&k);
    err_clear(&err);
    // What was taken is not taken twice.
    if (!control_read(rest, &k, &err))
        abort();
    if (k.operation || k.refresh != REFRESH_NONE)
        abort();
    app_control_clear(&k);
}

static void answer_it(const json_t *doc)
{
    CLEANUP(json_freep) json_t *answer = control_answer(doc);
    struct err err = {0};
    json_t *operation = NULL;
    (void)control_operation_progress(doc, answer);
    (void)control_is_refreshed(doc);
    if (!control_rollback(doc, json_dot_str(doc, "id"), false, &operation, &err))
        err_clear(&err);
    json_decref(operation);
}

static void try_entry(const char *text, size_t size)
{
    CLEANUP(json_freep)
    json_t *map = json_pack("{s:{s:o}}", "data", "app", json_stringn_nocheck(text, size));
    json_t *entry = NULL;
    struct err err = {0};
    if (!control_entry(map, "app", &entry, &err))
        err_clear(&err);
    json_decref(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    json_t *doc = NULL;
    json_t *resource = NULL;
    CLEANUP(str_freep) char *text = str_ndup((const char *)data, size);
    try_entry(text, strlen(text));
    if (!control_resource(text, &resource, &err))
        err_clear(&err);
    json_decref(resource);
    if (!canon_read((const char *)data, size, &doc, &err)) {
        err_clear(&err);
        return 0;
    }
    if (json_is_object(doc)) {
        read_it(doc);
        answer_it(doc);
    }
    json_decref(doc);
    return 0;
}
