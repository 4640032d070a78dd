// SPDX-License-Identifier: Apache-2.0
//
// Private to kustomize_walk.c: a kustomization and generators as kustomize reads them. It takes
// names of fields in any case, the long s and the Kelvin sign too; such a one is refused here, so
// that what is read by its name is all there is. Pure.
#ifndef SOURCE_KUSTOMIZE_READ_H
#define SOURCE_KUSTOMIZE_READ_H

#include <jansson.h>

#include "base/err.h"

// The first document of a kustomization, owned; NULL when it is empty. `name` is for messages.
MUST_CHECK bool kustomization_read(const char *text, size_t len, const char *name, json_t **out,
                                   struct err *err);
// Where a kustomization has its charts, in the older form as well; NULL: where they are by default.
// Borrowed.
const char *kustomization_chart_home(const json_t *k);
// The HelmChartInflationGenerators of a file, also those in lists, as an array, owned.
MUST_CHECK bool generators_read(const char *text, size_t len, const char *name, json_t **out,
                                struct err *err);

#endif
