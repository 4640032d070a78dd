// SPDX-License-Identifier: Apache-2.0
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "cli/pass.h"
#include "cli/snapshot_keys.h"

// A person is asked only where it takes a passphrase to have ways enough.
static bool add_passphrase(const struct cli *c, struct ways *w, struct err *err)
{
    bool enough = w->n >= (c->o.snap.single ? 1 : INIT_MIN_SLOTS);
    struct pass_source from = {.file = c->o.snap.passphrase_file,
                               .env = "REGROW_PASSPHRASE",
                               .ask = enough ? NULL : "new passphrase of the repository",
                               .is_new = true};
    bool found = false;
    if (!pass_get(&from, &w->passphrase, &found, err))
        return false;
    if (found)
        ways_passphrase(w, NULL);
    return true;
}

// As it can be run then: the pin stands below, and where the repository is the environment may say.
static void print_next(const struct cli *c)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const char *known = getenv("REGROW_REPO");
    shell_word(&b, c->o.snap.out);
    if (!str_eq(known, c->o.snap.repo)) {
        shell_option(&b, "--repo", c->o.snap.repo);
    }
    printf("  next: regrow snapshot key add --role writer --chain NAME --out job.key\n"
           "        --key %s --trust PIN   makes what a job writes with\n\n",
           b.p);
}

static void print_text(const struct cli *c, const struct init_result *r, const struct ways *w)
{
    CLEANUP(str_freep) char *pin = snap_pin_text(&r->pin);
    printf("%s repository made in %s%s\n", state_symbol(c, NODE_READY), c->o.snap.repo,
           r->continued ? " (continued where it was interrupted)" : "");
    printf("  store     %s: %s, %s\n", r->marker.store_kind,
           r->marker.atomic_create ? "one writer wins a name" : "writers may fork",
           r->marker.list_after_create ? "what is made is listed at once" : "lists may be late");
    for (size_t i = 0; i < w->n; i++)
        printf("  %-9s %s\n", i ? "" : "opens by", w->v[i].label);
    printf("  admin     %s, sealed: it says who may write, forget and judge\n", c->o.snap.out);
    print_next(c);
    print_wrapped(stdout,
                  "Note the pin now, where the repository cannot be reached from: it alone tells "
                  "your repository from another one put in its place.",
                  0, 0);
    printf("\n  %spin %s%s\n", paint(c, "bold"), pin, paint(c, ""));
}

static void print_result(const struct cli *c, const struct init_result *r, const struct ways *w)
{
    if (!wants_doc(c)) {
        print_text(c, r, w);
        return;
    }
    CLEANUP(json_freep) json_t *doc = doc_new("snapshot-init", NULL);
    CLEANUP(str_freep) char *pin = snap_pin_text(&r->pin);
    json_object_set_new(doc, "repository", json_string(c->o.snap.repo));
    json_object_set_new(doc, "adminKey", json_string(c->o.snap.out));
    json_object_set_new(doc, "continued", json_boolean(r->continued));
    json_object_set_new(doc, "store",
                        json_pack("{s:s, s:b, s:b}", "kind", r->marker.store_kind, "atomicCreate",
                                  (int)r->marker.atomic_create, "listAfterCreate",
                                  (int)r->marker.list_after_create));
    json_object_set_new(doc, "pin", json_string(pin));
    print_doc(c, doc);
}

static bool run(struct cli *c, struct ways *w, struct init_result *out, struct err *err)
{
    const struct snapshot_options *o = &c->o.snap;
    struct store_opts so = snap_store_opts(c, o);
    if (!snap_repo_given(o, err))
        return false;
    if (str_is_empty(o->out))
        return err_set(err, ERR_USAGE, "--out is missing: a file for the key of the admin");
    if (!strcmp(o->out, "-")) {
        err_set(err, ERR_USAGE, "--out -: the admin's key wants a file, not the output");
        return err_hint(err, "Who is interrupted goes on from that file. It is sealed, so that it "
                             "may lie anywhere: --out admin.age.");
    }
    if (!repo_init_began(o->out) && (!ways_recipients(w, o, err) || !add_passphrase(c, w, err)))
        return false;
    struct init_opts io = {.store = &so,
                           .ways = w->v,
                           .n_ways = w->n,
                           .is_single = o->single,
                           .admin_file = o->out,
                           .among_others = o->among_others};
    if (repo_init(&io, out, err))
        return true;
    if (err->kind == ERR_CONFLICT && !err->hint)
        err_hint(err, "If it is yours: regrow snapshot list. Else name another place, or run the "
                      "interrupted init again as it was.");
    return false;
}

// A pin that nobody has read is told again by the same command.
static bool is_told(const struct cli *c, struct err *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    clearerr(stdout);
    __fpurge(stdout); // it is said once
    err_set(err, ERR_UNAVAILABLE,
            "the repository is made, but the pin could not be told: the output cannot be written");
    return err_hint(err,
                    "Run the same command again, which tells it once more; or regrow snapshot "
                    "key trust --key %s.",
                    c->o.snap.out);
}

int cmd_snapshot_init(struct cli *c, struct err *err)
{
    struct ways w CLEANUP(ways_clear) = {0};
    struct init_result r = {0};
    if (run(c, &w, &r, err)) {
        print_result(c, &r, &w);
        // Only now: who was killed before the pin was told sees it when it is run again.
        if (is_told(c, err) && !repo_init_end(c->o.snap.out, err))
            err_wrap(err, "clean up");
    }
    init_result_clear(&r);
    return 0;
}
