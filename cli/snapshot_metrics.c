// SPDX-License-Identifier: Apache-2.0
#include "cli/snapshot_open.h"

// That monitoring was not told is no reason to call a snapshot anything else: its own alarm is that
// it hears nothing.
void snap_metrics(const struct cli *c, const struct snap *s, const struct create_result *r,
                  int64_t began_ms, int exit_code, struct strv *warnings)
{
    const struct options *o = &c->o;
    const char *chain = s->chain ? s->chain : s->has_key ? s->key.chain : o->snap.chain;
    struct metrics m = {.chain = chain ? chain : "",
                        .at_unix_s = clock_unix_ms() / 1000,
                        .duration_ms = clock_boot_ms() - began_ms,
                        .exit_code = exit_code,
                        .result = r};
    struct err err = {0};
    if (o->snap.metrics && !metrics_write(&m, o->snap.metrics, &err)) {
        strv_push_take(warnings, str_printf("metrics were not written: %s", err.msg));
        err_clear(&err);
    }
    if (o->snap.push_metrics &&
        !metrics_push(&m, o->snap.push_metrics, c->loop, o->ca_file, &err)) {
        strv_push_take(warnings, str_printf("metrics were not pushed: %s", err.msg));
        err_clear(&err);
    }
}
