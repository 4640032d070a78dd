// SPDX-License-Identifier: Apache-2.0
//
// Private to helm.c, helm_values.c and helm_deps.c: a chart on its way to "helm template". What
// counts for the output goes into the key; what conditions are looked up in is `merged`.
#ifndef SOURCE_HELM_INT_H
#define SOURCE_HELM_INT_H

#include "source/render.h"

#define MAX_VALUES_BYTES (4U << 20)

struct values {
    struct render_job *j;
    struct sha256_ctx *key;
    json_t *merged;
    unsigned files;
    struct strv seen;     // value files that were added: each counts once
    struct strv explicit; // those that are named without a pattern
};
void values_clear(struct values *v);

// Value files, values, parameters and file parameters of the application, as options of helm.
MUST_CHECK bool values_add_all(struct values *v, const json_t *helm, struct err *err);
// A text's values over those that are there.
void values_merge_text(struct values *v, const char *text, size_t len);

// The folder of a chart in a tree with all its dependencies; RENDER_IN_TREE when it has them,
// RENDER_OWN_CHART when it is without those that are switched off.
MUST_CHECK bool helm_chart_folder(struct values *v, char **dir, struct err *err);

#endif
