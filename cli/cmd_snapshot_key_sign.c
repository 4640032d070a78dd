// SPDX-License-Identifier: Apache-2.0
//
// Changes of trust that take several admins: how many, and a change on its way between them.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/snapshot_keys.h"

// A proposal as it is shown and signed.
struct signing {
    struct snap s;
    struct buf file;
    struct trust next;
    unsigned missing;
    bool written; // it is in force
};

static void signing_clear(struct signing *x)
{
    buf_clear(&x->file);
    trust_clear(&x->next);
    snap_close(&x->s);
}

// ---- what is said of it ----

static json_t *lines_doc(const struct strv *lines)
{
    json_t *out = json_array();
    for (size_t i = 0; i < lines->len; i++)
        json_array_append_new(out, json_string(lines->v[i]));
    return out;
}

static void print_sign_doc(const struct snap *s, const char *file, const struct strv *changes,
                           unsigned missing, bool written)
{
    CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-sign", s);
    json_object_set_new(doc, "file", json_string(file));
    json_object_set_new(doc, "changes", lines_doc(changes));
    json_object_set_new(doc, "missing", json_integer(missing));
    json_object_set_new(doc, "made", json_boolean(written));
    print_doc(s->c, doc);
}

static void print_changes(const struct cli *c, const struct strv *changes)
{
    for (size_t i = 0; i < changes->len; i++) {
        printf("  %s", paint(c, changes->v[i][0] == '+' ? "green" : "red"));
        print_wrapped(stdout, changes->v[i], 2, 6);
        printf("%s", paint(c, ""));
    }
}

// "2 more admins sign"
static char *more_sign(unsigned n)
{
    return str_printf("%u more admin%s", n, n == 1 ? " signs" : "s sign");
}

bool key_is_proposed(const struct snap *s)
{
    return s->proposal.len > 0;
}

void key_tell_proposed(const struct snap *s, struct err *err)
{
    struct trust next = {0};
    struct strv changes = {0};
    unsigned missing = 0;
    const char *file = s->o->propose;
    if (!trust_proposal_read(&s->repo.trust, &s->proposal, &next, &missing, err) ||
        !file_replace(file, s->proposal.p, s->proposal.len, 0600, err))
        return;
    trust_changes(trust_now(&s->repo.trust), &next, &changes);
    CLEANUP(str_freep) char *more = more_sign(missing);
    if (wants_doc(s->c)) {
        print_sign_doc(s, file, &changes, missing, false);
    } else {
        printf("%s proposed in %s; nothing changes before %s\n", state_symbol(s->c, NODE_APPLIED),
               file, more);
        print_changes(s->c, &changes);
        printf("  next: regrow snapshot key sign --key THEIRS %s\n", file);
    }
    strv_clear(&changes);
    trust_clear(&next);
}

// ---- sign ----

static bool sign(struct signing *x, const char *path, struct err *err)
{
    const struct trust_chain *now = &x->s.repo.trust;
    bool ok = repo_may_change_to(&x->s.repo, &x->next, err) &&
              trust_cosign(now, &x->s.key.signer, &x->file, err);
    for (size_t i = 0; ok && i < x->s.cosigning.n; i++)
        ok = trust_cosign(now, &x->s.others[i], &x->file, err);
    trust_clear(&x->next);
    if (!ok || !trust_proposal_read(now, &x->file, &x->next, &x->missing, err))
        return false;
    if (x->missing)
        return file_replace(path, x->file.p, x->file.len, 0600, err);
    x->written = trust_write_proposal(x->s.repo.store, now, &x->file, err);
    return x->written;
}

static void print_signed(const struct signing *x, const char *path, const struct strv *changes)
{
    const struct cli *c = x->s.c;
    if (wants_doc(c)) {
        print_sign_doc(&x->s, path, changes, x->missing, x->written);
        return;
    }
    CLEANUP(str_freep) char *more = more_sign(x->missing);
    if (x->written)
        printf("%s signed by all it takes: in force as trust %u\n", state_symbol(c, NODE_READY),
               x->next.n);
    else if (c->o.snap.dry_run)
        printf("%s would become trust %u when %s\n", path, x->next.n, more);
    else
        printf("%s signed; in force when %s\n", state_symbol(c, NODE_APPLIED), more);
    print_changes(c, changes);
}

static bool run_sign(struct signing *x, struct cli *c, const char *path, struct err *err)
{
    bool signs = !c->o.snap.dry_run;
    struct snap_want want = {.read = READ_NOTHING, .key = signs, .kind = CREDENTIAL_ADMIN};
    if (!snap_open(c, &c->o.snap, &want, &x->s, err) ||
        !file_read(path, TRUST_MAX_BYTES, &x->file, err))
        return false;
    if (!trust_proposal_read(&x->s.repo.trust, &x->file, &x->next, &x->missing, err)) {
        if (err->kind == ERR_CONFLICT)
            err_hint(err, "It may be in force by now: regrow snapshot key list. Else let it be "
                          "proposed anew.");
        return err_wrap(err, "%s", path);
    }
    return true;
}

int cmd_snapshot_key_sign(struct cli *c, struct err *err)
{
    struct signing x CLEANUP(signing_clear) = {0};
    struct strv changes = {0};
    const char *path = c->o.args.len ? c->o.args.v[0] : NULL;
    if (!path) {
        err_set(err, ERR_USAGE, "which change? The file that --propose wrote is missing");
        return 0;
    }
    if (run_sign(&x, c, path, err)) {
        trust_changes(trust_now(&x.s.repo.trust), &x.next, &changes);
        if (c->o.snap.dry_run || sign(&x, path, err) || key_change_failed(err))
            print_signed(&x, path, &changes);
    }
    strv_clear(&changes);
    return 0;
}

// ---- quorum ----

int cmd_snapshot_key_quorum(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = READ_NOTHING, .key = true, .kind = CREDENTIAL_ADMIN};
    long long n = 0;
    bool made = false;
    const char *given = c->o.args.len ? c->o.args.v[0] : NULL;
    if (!given || !str_to_int(given, 1, MAX_SIGNATURES, &n)) {
        err_set(err, ERR_USAGE, "%s%.80s%show many admins, from 1 to %d, shall a change take?",
                given ? "\"" : "", given ? given : "", given ? "\": " : "", MAX_SIGNATURES);
        return 0;
    }
    if (!snap_open(c, &c->o.snap, &want, &s, err))
        return 0;
    if (!admin_quorum(&s.repo, &s.key, (unsigned)n, &made, err)) {
        key_change_failed(err);
        return 0;
    }
    if (key_is_proposed(&s)) {
        key_tell_proposed(&s, err);
        return 0;
    }
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-quorum", &s);
        json_object_set_new(doc, "need", json_integer(n));
        json_object_set_new(doc, "made", json_boolean(made));
        print_doc(c, doc);
        return 0;
    }
    printf("%s a change %s the signature%s of %lld admin%s\n", state_symbol(c, NODE_READY),
           made ? "takes from now on" : "takes already", n == 1 ? "" : "s", n, n == 1 ? "" : "s");
    return 0;
}
