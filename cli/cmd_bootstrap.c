// SPDX-License-Identifier: Apache-2.0
#include "cli/outcome.h"
#include "cli/planfile.h"

struct growing {
    struct cli *c;
    struct progress *p;
    struct session *s;
    struct run *run;
    struct run_summary before; // of the runs that this one follows
};

static void growing_clear(struct growing *g)
{
    progress_free(g->p);
    run_free(g->run);
    session_close(g->s);
}

// Something that could not be read can be by now: what is known since is planned and applied.
static bool prepare_more(struct growing *g, int64_t began_ms, struct err *err)
{
    struct run_summary s;
    run_summary(g->run, &s);
    outcome_sum(&g->before, &s);
    progress_detach(g->p);
    run_free(TAKE(g->run));
    loop_set_deadline(g->c->loop, g->c->deadline_ms);
    bool ok = session_load_more(g->s, err);
    g->before.ms = clock_mono_ms() - began_ms;
    ok = ok && cli_run(g->c, g->s, false, &g->run, err);
    if (!ok && !err->hint)
        err_hint(err, "Nothing is lost: the same command continues where it is.");
    return ok;
}

// False: it ended as a whole.
static bool grow(struct growing *g, struct err *err)
{
    struct run_summary s;
    run_summary(g->run, &s);
    int64_t began_ms = clock_mono_ms() - s.ms;
    for (;;) {
        progress_attach(g->p, g->run, kubeconfig_context(g->s->config));
        loop_set_deadline(g->c->loop, 0); // from here the run sees to it: what is done is recorded
        if (g->s->unread)
            unread_follow(g->s->unread, g->run);
        if (!run_execute(g->run, err)) {
            outcome_explain(g->run, err);
            return false;
        }
        if (!g->s->unread || !unread_await(g->s->unread, g->c->deadline_ms))
            return true;
        if (!prepare_more(g, began_ms, err))
            return false;
    }
}

// A plan file has all that is to be done: what could not be read then is none of it.
static bool open_all(struct growing *g, struct planfile *planned, struct err *err)
{
    struct cli *c = g->c;
    if (!planfile_open(c, planned, err) || !cli_session(c, 0, true, &g->s, err) ||
        !cli_any(c, g->s->desired, err) || !chain_look(c, g->s, err) ||
        !planfile_check(c, g->s, planned, err))
        return false;
    if (!planned->doc)
        unread_begin(g->s);
    return cli_run(c, g->s, false, &g->run, err) &&
           planfile_check_run(c, g->s, planned, g->run, err);
}

int cmd_bootstrap(struct cli *c, struct err *err)
{
    struct planfile planned CLEANUP(planfile_clear) = {0};
    struct growing g CLEANUP(growing_clear) = {.c = c, .p = progress_new(c)};
    struct outcome x;
    bool ok = open_all(&g, &planned, err) && grow(&g, err);
    progress_end(g.p);
    if (!ok)
        return 0;
    outcome_of(&x, c, g.run);
    outcome_count(&x, &g.before);
    x.s = g.s;
    outcome_note_healthy(&x, g.s);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = doc_new("bootstrap", g.s);
        outcome_add(&x, doc);
        print_doc(c, doc);
    } else if (c->o.output == OUT_TEXT) {
        outcome_print(&x);
    }
    return x.code;
}
