// SPDX-License-Identifier: Apache-2.0
//
// Drift: the input is a JSON array of a live object with its managed fields, what it would be, and
// rules of ignoreDifferences, all of which others write. Differences are told within bounds; what
// is left out of both is no difference any more.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/drift.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct object_id id = {(char *)"apps", (char *)"Deployment", (char *)"web",
                                    (char *)"api"};

static void compare(const json_t *live, const json_t *want, const struct drift_opts *o)
{
    size_t total = 0;
    CLEANUP(json_freep) json_t *list = drift_of(&id, live, want, o, &total);
    size_t i;
    json_t *v;
    if (json_array_size(list) > DRIFT_MAX || json_array_size(list) > total)
        abort();
    json_array_foreach(list, i, v)
    {
        CLEANUP(str_freep) char *text = drift_text(v);
        if (!json_dot_str(v, "op") || !text)
            abort();
    }
}

static void leave(const json_t *live, const json_t *want, const struct drift_opts *o)
{
    CLEANUP(json_freep) json_t *a = json_deep_copy(live);
    CLEANUP(json_freep) json_t *b = json_deep_copy(want);
    CLEANUP(json_freep) json_t *c = json_deep_copy(want);
    drift_leave_out(&id, a, b, o);
    drift_respect(&id, c, live, o);
    CLEANUP(json_freep) json_t *same = drift_of(&id, live, live, o, NULL);
    if (json_array_size(same))
        abort(); // what is as it is differs in nothing
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    json_t *all = NULL;
    if (!canon_read((const char *)data, size, &all, &err)) {
        err_clear(&err);
        return 0;
    }
    const json_t *live = json_array_get(all, 0);
    const json_t *want = json_array_get(all, 1);
    struct drift_opts o = {.manager = "regrow", .ignore = json_array_get(all, 2)};
    if (json_is_object(live) && json_is_object(want)) {
        compare(live, want, &o);
        compare(NULL, want, &o);
        leave(live, want, &o);
    }
    // And what argocd-cm says, which is made into such rules.
    struct strv faults = {0};
    CLEANUP(json_freep) json_t *rules = ignored_system(json_array_get(all, 3), &faults);
    o.ignore = rules;
    if (rules && json_is_object(live) && json_is_object(want))
        leave(live, want, &o);
    strv_clear(&faults);
    json_decref(all);
    return 0;
}
