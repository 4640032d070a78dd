// SPDX-License-Identifier: Apache-2.0
//
// Metrics in the text format of Prometheus (0.0.4): a family's head once, its samples behind it,
// label values escaped. And a histogram, which whoever measures keeps.
//
//     prom_family(out, "regrow_kube_requests_total", "counter", "Requests to the API server.");
//     prom_sample(out, "regrow_kube_requests_total", 12, "class", "ok", NULL);
#ifndef BASE_PROM_H
#define BASE_PROM_H

#include "base/str.h"

void prom_family(struct buf *out, const char *name, const char *type, const char *help);
// Pairs of label and value (a NULL value: the label is left out), then NULL. A label's value is cut
// at PROM_MAX_LABEL bytes, and what is not UTF-8 in it replaced.
#define PROM_MAX_LABEL 512
void prom_sample(struct buf *out, const char *name, double value, ...);

#define PROM_BUCKETS 12
struct prom_histogram {
    unsigned long at[PROM_BUCKETS]; // observations of this bucket alone
    unsigned long count;
    double sum;
};
void prom_observe(struct prom_histogram *h, double seconds);
// Its buckets, sum and count, with one label (NULL: none).
void prom_histogram(struct buf *out, const char *name, const struct prom_histogram *h,
                    const char *label, const char *value);

#endif
