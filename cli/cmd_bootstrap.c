// SPDX-License-Identifier: Apache-2.0
#include "cli/outcome.h"
#include "cli/planfile.h"

// Nothing at all is nearly always another folder than was meant, and no success.
static bool check_any(const struct cli *c, const struct desired *d, struct err *err)
{
    if (d->objects.len || d->apps.len > 1 || c->o.allow_mass_prune)
        return true;
    err_set(err, ERR_INVALID, "%s",
            d->warnings.len ? d->warnings.v[0] : "there is no object in ROOT");
    return err_hint(err,
                    "Name the folder that holds Applications, or manifests. Only if the cluster "
                    "shall have nothing of it any more, add --allow-mass-prune.");
}

int cmd_bootstrap(struct cli *c, struct err *err)
{
    struct planfile planned CLEANUP(planfile_clear) = {0};
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *run CLEANUP(run_freep) = NULL;
    struct progress *p CLEANUP(progress_freep) = progress_new(c);
    struct outcome x;
    bool ok = planfile_open(c, &planned, err) && cli_session(c, 0, true, &s, err) &&
              check_any(c, s->desired, err) && chain_look(c, s, err) &&
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
