// SPDX-License-Identifier: Apache-2.0
#include "cli/outcome.h"
#include "cli/planfile.h"

int cmd_bootstrap(struct cli *c, struct err *err)
{
    struct planfile planned CLEANUP(planfile_clear) = {0};
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *run CLEANUP(run_freep) = NULL;
    struct progress *p CLEANUP(progress_freep) = progress_new(c);
    struct outcome x;
    bool ok = planfile_open(c, &planned, err) && cli_session(c, 0, true, &s, err) &&
              cli_any(c, s->desired, err) && chain_look(c, s, err) &&
              planfile_check(c, s, &planned, err) && cli_run(c, s, false, &run, err) &&
              planfile_check_run(c, s, &planned, run, err);
    bool began = ok;
    if (ok) {
        progress_attach(p, run, kubeconfig_context(s->config));
        loop_set_deadline(c->loop, 0); // from here the run sees to it: what is done is recorded
        ok = run_execute(run, err);
    }
    progress_end(p);
    if (!ok) {
        if (began)
            outcome_explain(run, err);
        return 0;
    }
    outcome_of(&x, c, run);
    x.s = s;
    outcome_note_healthy(&x, s);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = doc_new("bootstrap", s);
        outcome_add(&x, doc);
        print_doc(c, doc);
    } else if (c->o.output == OUT_TEXT) {
        outcome_print(&x);
    }
    return x.code;
}
