// SPDX-License-Identifier: Apache-2.0
//
// snapshot create: what ROOT says, with everything it is made of, into a repository. Works with a
// job's credential, which can write and not read.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/snapshot_open.h"
#include "restore/restore.h"

#define SHOWN_WARNINGS 12
#define SHOWN_NAMES 3 // of what is unknown for one reason
#define UNKNOWN " is unknown: "

struct creation {
    struct cli *c;
    struct snap *s;
    struct session *session;
    struct desired *unread; // in place of the session's, when the root could not be read …
    struct err why_unread;  // … and why
    struct source_clusters clusters; // of a hub
    struct create_opts o;
    struct create_result r;
    int64_t began_ms, read_ms;
};

static void creation_clear(struct creation *x)
{
    create_result_clear(&x->r);
    desired_free(x->unread);
    err_clear(&x->why_unread);
    source_clusters_clear(&x->clusters);
    session_close(x->session);
}

// ---- options ----

static bool parse_bounds(const struct strv *given, struct shrink_bounds *out, struct err *err)
{
    const struct {
        const char *name;
        unsigned *at;
    } names[] = {{"objects", &out->objects},
                 {"apps", &out->apps},
                 {"secrets", &out->secrets},
                 {"refs", &out->refs}};
    for (size_t i = 0; i < given->len; i++) {
        const char *s = given->v[i];
        size_t n = strcspn(s, "=");
        long long percent = 0;
        unsigned *at = NULL;
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            if (strlen(names[k].name) == n && !strncmp(names[k].name, s, n))
                at = names[k].at;
        if (!at || !s[n] || !str_to_int(s + n + 1, 1, 100, &percent))
            return err_set(err, ERR_USAGE,
                           "--least \"%.40s\": objects, apps, secrets or refs=1..100 is wanted", s);
        *at = (unsigned)percent;
    }
    return true;
}

// ---- what is read ----

// The Git host is gone, say: the snapshot is one of which the root is unknown, so that what the
// cluster alone has is saved all the same.
static bool go_on_without_root(struct creation *x, struct err *err)
{
    struct session *s = x->session;
    bool may = err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT ||
               err->kind == ERR_DENIED || err->kind == ERR_NOT_FOUND || err->kind == ERR_CORRUPT;
    if (loop_stopping(x->c->loop))
        return false; // it is not the root that failed
    if (!may || !s || !s->source || !source_unread(s->source, err, &x->unread))
        return false;
    err_move(&x->why_unread, err);
    x->o.unread = &x->why_unread;
    return true;
}

static bool check_expected(const struct creation *x, struct err *err)
{
    const char *want = x->c->o.expect_cluster;
    const char *uid = x->session->kube ? kube_cluster_uid(x->session->kube) : NULL;
    return !want || str_eq(want, uid) ||
           err_set(err, ERR_CONFLICT, "this is not the cluster that was expected: its uid is %s",
                   uid ? uid : "unknown");
}

static bool read_all(struct creation *x, struct err *err)
{
    x->began_ms = clock_boot_ms();
    bool ok =
        cli_session(x->c, 0, x->c->o.use_cluster, &x->session, err) || go_on_without_root(x, err);
    if (ok && !x->unread)
        ok = session_load_clusters(x->session, &x->clusters, err);
    x->read_ms = clock_boot_ms() - x->began_ms;
    return ok && check_expected(x, err);
}

// A restored cluster goes on with the chain of the lost one. Where the note cannot be read nothing
// is taken for granted: a person says --adopt-chain.
static uint64_t restored_head(const struct creation *x)
{
    struct target t = {0};
    struct err err = {0};
    struct kube *k = x->session->kube;
    CLEANUP(str_freep)
    char *repository = hex_encode(x->s->repo.marker.repo, sizeof(x->s->repo.marker.repo));
    bool is_ours = k && target_remember(k, &t, &err) && str_eq(t.chain, x->s->chain) &&
                   str_eq(t.repository, repository);
    uint64_t head = is_ours ? t.head : 0;
    target_clear(&t);
    err_clear(&err);
    return head;
}

static void set_options(struct creation *x, const char *work)
{
    const struct snapshot_options *o = &x->c->o.snap;
    struct session *s = x->session;
    struct capture_opts *cap = &x->o.capture;
    x->o.work = work;
    x->o.if_changed = o->if_changed;
    x->o.retain_ms = o->retain_ms;
    x->o.writer = (struct writer_opts){.job = &x->s->key,
                                       .cluster = s->kube ? kube_cluster_uid(s->kube) : NULL,
                                       .adopt_chain = o->adopt_chain,
                                       .restored_head = restored_head(x),
                                       .full = o->full,
                                       .index_cache = x->s->index_cache};
    cap->cache = x->s->index_cache;
    cap->loop = x->c->loop;
    cap->desired = x->unread ? x->unread : s->desired;
    cap->source = s->source;
    cap->clusters = &x->clusters;
    cap->kube = s->kube;
    cap->kinds = s->kinds;
    cap->server = s->config ? kubeconfig_server(s->config) : NULL;
    cap->root = s->root;
    cap->without_secrets = o->no_secrets;
    cap->bounds.may_be_empty = o->allow_empty;
    cap->events = &x->c->events;
    cap->rules = secret_rules_default(&cap->n_rules);
}

// ---- what is said ----

static int exit_of(const struct create_result *r)
{
    return r->entry.snapshot.is_good ? 0 : err_exit_code(ERR_PARTIAL);
}

static char *codes(const struct strv *why)
{
    struct buf b = {0};
    for (size_t i = 0; i < why->len; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", why->v[i]);
    return buf_take(&b);
}

static void add_count(struct buf *b, uint64_t n, const char *one)
{
    buf_printf(b, "%s%llu %s%s", b->len ? ", " : "", (unsigned long long)n, one, n == 1 ? "" : "s");
}

static void print_verdict(const struct creation *x)
{
    const struct snapshot_entry *s = &x->r.entry.snapshot;
    int code = exit_of(&x->r);
    CLEANUP(str_freep) char *took = clock_duration_text(clock_boot_ms() - x->began_ms);
    CLEANUP(str_freep) char *why = codes(&s->why);
    CLEANUP(str_freep) char *added = size_text(s->bytes.added);
    CLEANUP(str_freep) char *total = size_text(s->bytes.stored);
    struct buf counts CLEANUP(buf_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    add_count(&counts, s->counts.apps ? s->counts.apps - 1 : 0, "application");
    add_count(&counts, s->counts.objects, "object");
    add_count(&counts, s->counts.refs, "ref");
    add_count(&counts, s->counts.secrets, "Secret");
    buf_printf(&b, "snapshot %llu of %s ", (unsigned long long)x->r.entry.seq, x->s->chain);
    if (x->r.is_unchanged)
        buf_printf(&b, "is what there is now: nothing was written   %s   %s", counts.p, took);
    else
        buf_printf(&b, "is %s%s%s   %s   %s added, %s in all   %s", code ? "suspect: " : "good",
                   why, x->r.is_mended ? ", what was damaged is written anew" : "", counts.p, added,
                   total, took);
    if (code)
        buf_printf(&b, "   (exit" NBSP "%d)", code);
    printf("%s ", state_symbol(x->c, code ? NODE_FAILED : NODE_READY));
    print_wrapped(stdout, b.p, 2, 2);
}

// "a, b, c and 37 more are unknown: …": a host that is gone is one reason, however many need it.
static char *same_reason(const struct strv *all, size_t first, json_t *told)
{
    struct buf names = {0};
    const char *reason = strstr(all->v[first], UNKNOWN);
    size_t n = 0;
    if (!reason)
        return str_dup(all->v[first]);
    if (json_object_get(told, reason))
        return NULL;
    json_object_set_new(told, reason, json_true());
    for (size_t i = first; i < all->len; i++) {
        const char *at = strstr(all->v[i], UNKNOWN);
        if (at && !strcmp(at, reason) && n++ < SHOWN_NAMES)
            buf_printf(&names, "%s%.*s", names.len ? ", " : "", (int)(at - all->v[i]), all->v[i]);
    }
    if (n > SHOWN_NAMES)
        buf_printf(&names, " and %zu more", n - SHOWN_NAMES);
    buf_printf(&names, "%s%s", n > 1 ? " are unknown: " : UNKNOWN, reason + strlen(UNKNOWN));
    return buf_take(&names);
}

static void group_warnings(const struct creation *x, struct strv *out)
{
    const struct strv *all = &x->r.report.warnings;
    CLEANUP(json_freep) json_t *told = json_object();
    for (size_t i = 0; i < all->len; i++) {
        char *line = x->c->o.verbose ? str_dup(all->v[i]) : same_reason(all, i, told);
        if (line)
            strv_push_take(out, line);
    }
}

static void print_warnings(const struct creation *x)
{
    struct strv lines = {0};
    const struct strv *w = &lines;
    group_warnings(x, &lines);
    size_t shown = x->c->o.verbose || w->len <= SHOWN_WARNINGS ? w->len : SHOWN_WARNINGS;
    for (size_t i = 0; i < shown; i++) {
        printf("  %s ", exit_of(&x->r) ? state_symbol(x->c, NODE_FAILED) : "!");
        print_wrapped(stdout, w->v[i], 4, 6);
    }
    if (shown < w->len)
        printf("  and %zu more; -v shows them\n", w->len - shown);
    strv_clear(&lines);
}

static void print_secrets(const struct creation *x)
{
    for (size_t i = 0; x->c->o.verbose && i < x->r.report.secrets.len; i++) {
        printf("  taken: ");
        print_wrapped(stdout, x->r.report.secrets.v[i], 9, 11);
    }
}

// Suspect: what restore would take instead, and what to do.
static void print_next(const struct creation *x)
{
    if (x->r.last_good.seq) {
        CLEANUP(str_freep)
        char *age = age_text((clock_unix_ms() - x->r.last_good.at_ms) / 1000);
        printf("  The last good one stays %llu, from %s ago.\n",
               (unsigned long long)x->r.last_good.seq, age);
    } else {
        printf("  There is no good one yet: nothing would be restored.\n");
    }
    const struct snapshot_entry *e = &x->r.entry.snapshot;
    CLEANUP(str_freep)
    char *judge = str_printf("regrow snapshot judge %llu good", (unsigned long long)x->r.entry.seq);
    CLEANUP(str_freep)
    char *next =
        e->counts.unknown ? str_dup("mend what is marked ✗, then run the same command again")
        : strv_has(&e->why, "empty")
            ? str_printf("check ROOT, then run it again; if it is meant to be empty, %s", judge)
            : str_printf("if it is meant to be as small as that, %s; else mend Git, then run the "
                         "same command again",
                         judge);
    printf("  next: ");
    print_wrapped(stdout, next, 8, 8);
}

static void print_clusters(const struct creation *x)
{
    size_t i;
    json_t *v;
    json_array_foreach(x->r.report.clusters, i, v)
    {
        const char *name = json_dot_str(v, "name");
        long long apps = json_dot_int(v, "applications", 0);
        long long objects = json_dot_int(v, "objects", 0);
        CLEANUP(str_freep)
        char *line =
            str_printf("cluster %s: %lld application%s, %lld object%s, rendered for "
                       "Kubernetes %s%s",
                       name ? name : json_dot_text(v, "server"), apps, apps == 1 ? "" : "s",
                       objects, objects == 1 ? "" : "s", json_dot_text(v, "kubernetes"),
                       str_eq(json_dot_str(v, "of"), "hub") ? ", as the hub's is" : "");
        printf("  ");
        print_wrapped(stdout, line, 2, 4);
    }
}

static void print_text(const struct creation *x)
{
    print_verdict(x);
    print_clusters(x);
    print_secrets(x);
    print_warnings(x);
    if (exit_of(&x->r))
        print_next(x);
}

static json_t *texts(const struct strv *v)
{
    json_t *out = json_array();
    for (size_t i = 0; i < v->len; i++)
        json_array_append_new(out, json_string(v->v[i]));
    return out;
}

static json_t *result_doc(const struct creation *x)
{
    const struct entry *e = &x->r.entry;
    const struct snapshot_entry *s = &e->snapshot;
    json_t *out = doc_new("snapshot-create", x->unread ? NULL : x->session);
    CLEANUP(json_freep) json_t *repo = snap_doc("snapshot-create", x->s);
    CLEANUP(str_freep) char *hash = snap_pin_text(&e->hash);
    CLEANUP(str_freep) char *last = str_printf("%llu:%s", (unsigned long long)e->seq, hash);
    int64_t ms = clock_boot_ms() - x->began_ms;
    json_object_update_missing(out, repo);
    CLEANUP(json_freep)
    json_t *more = json_pack(
        "{s:b, s:b, s:b, s:I, s:s, s:s, s:s, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, "
        "s:I}, "
        "s:{s:I, s:I}, s:o, s:o, s:I, s:I, s:i}",
        "changed", !x->r.is_unchanged, "full", x->c->o.snap.full, "mended", x->r.is_mended, "seq",
        (json_int_t)e->seq, "hash", hash, "last", last, "state", s->is_good ? "good" : "suspect",
        "why", texts(&s->why), "counts", "apps", (json_int_t)s->counts.apps, "objects",
        (json_int_t)s->counts.objects, "sources", (json_int_t)s->counts.sources, "unknown",
        (json_int_t)s->counts.unknown, "secrets", (json_int_t)s->counts.secrets, "refs",
        (json_int_t)s->counts.refs, "bytes", "content", (json_int_t)s->bytes.content, "stored",
        (json_int_t)s->bytes.stored, "added", (json_int_t)(x->r.is_unchanged ? 0 : s->bytes.added),
        "check", "reread", (json_int_t)s->check.reread, "present", (json_int_t)s->check.present,
        "warnings", texts(&x->r.report.warnings), "secretsTaken", texts(&x->r.report.secrets), "ms",
        (json_int_t)ms, "readMs", (json_int_t)x->read_ms, "exitCode", exit_of(&x->r));
    json_object_update(out, more);
    // What happened since the sources were read is not in it.
    json_object_set_new(out, "lagSeconds", json_integer((json_int_t)((ms + 999) / 1000)));
    if (x->r.report.clusters)
        json_object_set(out, "clusters", x->r.report.clusters);
    if (x->r.last_good.seq)
        json_object_set_new(
            out, "lastGoodBefore",
            json_pack("{s:I, s:I}", "seq", (json_int_t)x->r.last_good.seq, "ageSeconds",
                      (json_int_t)((clock_unix_ms() - x->r.last_good.at_ms) / 1000)));
    return out;
}

static void say(const struct creation *x)
{
    const struct snapshot_entry *s = &x->r.entry.snapshot;
    if (wants_doc(x->c)) {
        CLEANUP(json_freep) json_t *doc = result_doc(x);
        print_doc(x->c, doc);
    } else if (x->c->o.output == OUT_TEXT) {
        print_text(x);
    }
    event_emit(&x->c->events, "snapshot.finished", "{s:I, s:b, s:b, s:I, s:I, s:I}", "seq",
               (json_int_t)x->r.entry.seq, "good", s->is_good, "changed", !x->r.is_unchanged,
               "unknown", (json_int_t)s->counts.unknown, "added", (json_int_t)s->bytes.added, "ms",
               (json_int_t)(clock_boot_ms() - x->began_ms));
}

// What this run did not need, and everybody else does.
static void warn_of_log(struct creation *x)
{
    CLEANUP(str_freep) char *what = snap_fault_text(&x->r.log_fault);
    if (!err_is_set(&x->r.log_problem))
        return;
    struct strv *w = &x->r.report.warnings;
    strv_push_take(w, str_printf("%s: until that is mended nothing can be listed, verified or "
                                 "restored.%s%s",
                                 x->r.log_problem.msg, what ? " " : "", what ? what : ""));
    event_emit(&x->c->events, "run.warning", "{s:s}", "message", w->v[w->len - 1]);
}

static void explain(const struct creation *x, struct err *err)
{
    snap_explain_fault(x->s, err);
    snap_hint_lock(&x->c->o.snap, err);
    if (err->kind == ERR_CANCELLED && !err->hint)
        err_hint(err, "No snapshot was made, and nothing is lost: the next run continues.");
    else if (err->kind == ERR_CONFLICT && !err->hint && strstr(err->msg, "reads none"))
        err_hint(err, "--use-cluster reads the cluster of the kubeconfig.");
    else if (err->kind == ERR_CONFLICT && !err->hint && strstr(err->msg, "belongs to the cluster"))
        err_hint(err,
                 "A second cluster wants a chain of its own. If this one has taken the other's "
                 "place: --adopt-chain, once.");
    else if (err->kind == ERR_CONFLICT && !err->hint && strstr(err->msg, "two clusters are alive"))
        err_hint(err, "The one that was lost has come back. End it, or its snapshot job; then "
                      "--adopt-chain, once, in the one that stays.");
}

static void tell_monitoring(struct creation *x, bool ok, const struct err *err)
{
    struct strv *w = &x->r.report.warnings;
    size_t before = w->len;
    snap_metrics(x->c, x->s, ok ? &x->r : NULL, x->began_ms ? x->began_ms : clock_boot_ms(),
                 ok ? exit_of(&x->r) : err_exit_code(err->kind), w);
    for (size_t i = before; i < w->len; i++) {
        event_emit(&x->c->events, "run.warning", "{s:s}", "message", w->v[i]);
        if (!ok)
            fprintf(stderr, "! %s\n", w->v[i]);
    }
}

int cmd_snapshot_create(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct creation x CLEANUP(creation_clear) = {.c = c, .s = &s};
    struct snap_want want = {.key = true, .kind = CREDENTIAL_JOB, .new_chain = true};
    CLEANUP(str_freep) char *cache = cli_cache_dir(c);
    CLEANUP(str_freep) char *work = path_join(cache, "snapshot-work");
    struct progress *p CLEANUP(progress_freep) = progress_new(c);
    bool ok = parse_bounds(&c->o.snap.least, &x.o.capture.bounds, err) &&
              snap_open(c, &c->o.snap, &want, &s, err) && dir_make(s.index_cache, 0700, err) &&
              read_all(&x, err);
    if (ok) {
        set_options(&x, work);
        ok = snapshot_create(&s.repo, &x.o, &x.r, err);
    }
    warn_of_log(&x);
    progress_end(p);
    cli_note_deadline(c, err);
    tell_monitoring(&x, ok, err);
    if (!ok) {
        explain(&x, err);
        return 0;
    }
    say(&x);
    return exit_of(&x.r);
}
