// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot holds.
#include <stdlib.h>
#include <string.h>

#include "cli/snapshot_open.h"

struct shown {
    struct cli *c;
    struct snap s;
    const struct entry *e;
    json_t *contents; // NULL: nothing was given that opens it
    struct strv needs;
};

static void shown_clear(struct shown *v)
{
    json_decref(v->contents);
    strv_clear(&v->needs);
    snap_close(&v->s);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_dot_str(o, key);
    return s ? s : "";
}

static bool is_true(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static const char *label_of_signer(const struct shown *v)
{
    const struct trust_signer *t =
        trust_signer_for(trust_now(&v->s.repo.trust), &v->e->signer, ROLE_WRITE, v->s.chain);
    return t && *t->label ? t->label : v->e->signer.hex;
}

// ---- the tree of applications ----

// What the source turned out to be; "" where it was never read.
static const char *revision_of(const struct shown *v, const json_t *asked)
{
    static const char *const keys[] = {"kind", "url", "chart", "target"};
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(v->contents, "sources"), i, s)
    {
        bool same = true;
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            same = same && str_eq(text_of(s, keys[k]), text_of(asked, keys[k]));
        if (same)
            return text_of(s, "revision");
    }
    return "";
}

// A digest is known by its beginning, a version by all of it.
static int shown_chars(const char *revision)
{
    size_t n = strlen(revision);
    return n < SHA256_HEX ? (int)n : 19;
}

// Is that what the snapshot has of it? Of Git: charts and artifacts have several names for one
// thing.
static bool is_healthy_at(const struct shown *v, const json_t *app, const char *revision)
{
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(app, "sources"), i, s)
    {
        size_t n = strcspn(revision, ",");
        const char *is = revision_of(v, s);
        bool is_git = str_eq(text_of(s, "kind"), "git");
        if (is_git && n && (n != strlen(is) || strncmp(is, revision, n) != 0))
            return false;
        revision += n + (revision[n] == ',');
    }
    return true;
}

// "   last healthy at 3f9c2e1": of another revision than it has.
static void add_last_healthy(const struct shown *v, const json_t *app, struct buf *b)
{
    const char *revision = text_of(app, "healthy");
    bool is_commit = *revision && strspn(revision, "0123456789abcdef") == strlen(revision);
    if (*revision && !is_healthy_at(v, app, revision))
        buf_printf(b, "   last healthy at %.*s", is_commit ? 7 : 60, revision);
}

// "apps @ main (3f9c2e1) of https://…", "cert-manager @ v1.2 of https://…"
static char *source_text(const struct shown *v, const json_t *app)
{
    const json_t *list = json_object_get(app, "sources");
    struct buf b = {0};
    size_t i;
    json_t *s;
    json_array_foreach(list, i, s)
    {
        const char *what = *text_of(s, "chart") ? text_of(s, "chart") : text_of(s, "path");
        const char *revision = revision_of(v, s);
        bool is_git = str_eq(text_of(s, "kind"), "git");
        CLEANUP(str_freep)
        char *exact = !*revision || str_eq(revision, text_of(s, "target"))
                          ? str_dup("")
                          : str_printf(" (%.*s)", is_git ? 7 : 19, revision);
        buf_printf(&b, "%s%s%s%s%s%s%s", i ? ", " : "", *what ? what : text_of(s, "url"),
                   *text_of(s, "target") ? " @ " : "", text_of(s, "target"), exact,
                   *what ? " of " : "", *what ? text_of(s, "url") : "");
    }
    add_last_healthy(v, app, &b);
    if (!is_true(app, "read"))
        buf_str(&b, b.len ? "   never read" : "never read");
    else if (is_true(app, "stale"))
        buf_str(&b, "   could not be read: as it was before");
    return buf_take(&b);
}

struct tree {
    const struct shown *v;
    const json_t *apps;
    struct table *t;
    bool *done;
};

// Children of an application; parent NULL: those whose parent is not there.
static bool is_child(const struct tree *tr, const json_t *app, const char *parent)
{
    const char *own = json_dot_str(app, "parent");
    size_t i;
    json_t *x;
    if (parent)
        return str_eq(own, parent) && !str_eq(text_of(app, "name"), parent);
    json_array_foreach(tr->apps, i, x)
    {
        if (x != app && own && str_eq(own, text_of(x, "name")))
            return false;
    }
    return true;
}

static void add_app(struct tree *tr, size_t at, int parent, unsigned depth);

static void add_children(struct tree *tr, const char *of, int parent, unsigned depth)
{
    size_t i;
    json_t *app;
    json_array_foreach(tr->apps, i, app)
    {
        if (!tr->done[i] && is_child(tr, app, of))
            add_app(tr, i, parent, depth);
    }
}

static void add_app(struct tree *tr, size_t at, int parent, unsigned depth)
{
    const json_t *app = json_array_get(tr->apps, at);
    CLEANUP(str_freep) char *source = source_text(tr->v, app);
    CLEANUP(str_freep)
    char *objects =
        str_printf("%lld", (long long)json_integer_value(json_object_get(app, "objects")));
    bool odd = is_true(app, "stale") || !is_true(app, "read");
    size_t row = table_row(tr->t, parent);
    tr->done[at] = true;
    table_cell(tr->t, row, 0, NULL, text_of(app, "name"));
    table_cell(tr->t, row, 1, NULL, objects);
    table_cell(tr->t, row, 2, odd ? "yellow" : NULL, source);
    if (depth < 64)
        add_children(tr, text_of(app, "name"), (int)row, depth + 1);
}

// First, also when something else was never read and hangs nowhere.
static void add_root(struct tree *tr)
{
    size_t i;
    json_t *app;
    json_array_foreach(tr->apps, i, app)
    {
        if (str_eq(text_of(app, "name"), text_of(tr->v->contents, "name")))
            add_app(tr, i, -1, 0);
    }
}

static void print_tree(const struct shown *v)
{
    struct table *t CLEANUP(table_freep) = table_new(v->c, false, 2);
    struct tree tr = {.v = v, .apps = json_object_get(v->contents, "applications"), .t = t};
    tr.done = mem_alloc(json_array_size(tr.apps) + 1);
    table_column(t, "", TABLE_TREE);
    table_column(t, "", TABLE_RIGHT);
    table_column(t, "", TABLE_WRAP);
    add_root(&tr);
    add_children(&tr, NULL, -1, 0);
    // What only names each other as parents is shown all the same.
    for (size_t i = 0; i < json_array_size(tr.apps); i++)
        if (!tr.done[i])
            add_app(&tr, i, -1, 0);
    table_print(t);
    free(tr.done);
}

// ---- the rest ----

static void print_repositories(const struct shown *v)
{
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(v->contents, "git"), i, g)
    {
        CLEANUP(str_freep)
        char *text = str_printf("%s   %lld refs%s%s%s", text_of(g, "url"),
                                (long long)json_integer_value(json_object_get(g, "refs")),
                                *text_of(g, "head") ? ", " : "", text_of(g, "head"),
                                is_true(g, "stale") ? "   as it was before" : "");
        printf("  %-10s ", i ? "" : "git");
        print_wrapped(stdout, text, 13, 13);
    }
}

static void print_sources(const struct shown *v)
{
    size_t i;
    json_t *s;
    size_t n = 0;
    json_array_foreach(json_object_get(v->contents, "sources"), i, s)
    {
        if (str_eq(text_of(s, "kind"), "git"))
            continue;
        CLEANUP(str_freep)
        char *size = size_text((uint64_t)json_integer_value(json_object_get(s, "bytes")));
        CLEANUP(str_freep)
        char *text = str_printf("%s %s%s%s %.*s   %s%s", text_of(s, "kind"), text_of(s, "chart"),
                                *text_of(s, "chart") ? " of " : "", text_of(s, "url"),
                                shown_chars(text_of(s, "revision")), text_of(s, "revision"), size,
                                is_true(s, "stale") ? "   as it was before" : "");
        printf("  %-10s ", n++ ? "" : "kept");
        print_wrapped(stdout, text, 13, 13);
    }
}

static void print_secrets(const struct shown *v)
{
    const json_t *list = json_object_get(v->contents, "secrets");
    size_t i;
    json_t *s;
    CLEANUP(str_freep)
    char *head =
        str_printf("%zu, sealed%s", json_array_size(list),
                   v->c->o.snap.secrets || !json_array_size(list) ? "" : " (--secrets names them)");
    printf("  %-10s ", "secrets");
    print_wrapped(stdout, head, 13, 13);
    if (!v->c->o.snap.secrets)
        return;
    json_array_foreach(list, i, s)
    {
        const char *app = text_of(s, "application");
        CLEANUP(str_freep)
        char *text = str_printf("%s/%s   %s%s", text_of(s, "namespace"), text_of(s, "name"),
                                *app ? "of " : "", *app ? app : text_of(s, "rule"));
        printf("             ");
        print_wrapped(stdout, text, 13, 15);
    }
}

static void print_clusters(const struct shown *v)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(v->contents, "clusters"), i, c)
    {
        const char *name = text_of(c, "name");
        long long apps = json_dot_int(c, "applications", 0);
        long long objects = json_dot_int(c, "objects", 0);
        bool is_stale = json_is_true(json_object_get(c, "stale"));
        CLEANUP(str_freep)
        char *text = str_printf("%s: %lld application%s, %lld object%s, rendered for Kubernetes "
                                "%s%s%s",
                                *name ? name : text_of(c, "server"), apps, apps == 1 ? "" : "s",
                                objects, objects == 1 ? "" : "s", text_of(c, "kubernetes"),
                                !strcmp(text_of(c, "of"), "hub") ? ", as the hub's is" : "",
                                is_stale ? "   as it was before" : "");
        printf("  %-10s ", i ? "" : "clusters");
        print_wrapped(stdout, text, 13, 15);
    }
}

// What is to be known before anything is done with it.
static void print_standing(const struct shown *v)
{
    CLEANUP(str_freep) char *forgotten = snap_forgotten_text(&v->s, v->e);
    if (forgotten) {
        printf("  ! ");
        print_wrapped(stdout, forgotten, 4, 4);
    }
    if (log_is_in_doubt(&v->s.log, v->e)) {
        printf("  ! ");
        print_wrapped(stdout,
                      "An entry after it that called it bad, or may have, is not there any more: "
                      "it is not good before a judge says so again.",
                      4, 4);
    }
}

static void print_counts(const struct entry *e)
{
    const struct snapshot_entry *s = &e->snapshot;
    const struct {
        unsigned long long n;
        const char *one;
    } counts[] = {{snap_apps(e), "application"},
                  {s->counts.objects, "object"},
                  {s->counts.sources, "source"},
                  {s->counts.secrets, "Secret"},
                  {s->counts.refs, "ref"}};
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        buf_printf(&b, "%s%llu %s%s", i ? ", " : "", counts[i].n, counts[i].one,
                   counts[i].n == 1 ? "" : "s");
    printf("  %-10s ", "counts");
    print_wrapped(stdout, b.p, 13, 13);
}

static void print_origin(const struct entry *e)
{
    CLEANUP(str_freep) char *origin = snap_origin_text(e);
    if (origin) {
        printf("  %-10s ", "origin");
        print_wrapped(stdout, origin, 13, 13);
    }
    if (e->snapshot.has_export) {
        CLEANUP(str_freep) char *sums = snap_pin_text(&e->snapshot.export);
        printf("  %-10s SHA256SUMS %s\n", "export", sums);
    }
}

static void print_times(const struct entry *e)
{
    CLEANUP(str_freep) char *taken = snap_time_text(entry_taken_s(e) * 1000);
    if (!snap_times_differ(e))
        return;
    CLEANUP(str_freep)
    char *text =
        str_printf("%s, by what is signed: in this store it is only since the time above", taken);
    printf("  %-10s ", "taken");
    print_wrapped(stdout, text, 13, 13);
}

static void print_head(const struct shown *v)
{
    const struct entry *e = v->e;
    const struct snapshot_entry *s = &e->snapshot;
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep)
    char *at = clock_rfc3339(e->stored_at_ms ? e->stored_at_ms / 1000 : e->time_unix_s);
    CLEANUP(str_freep) char *stored = size_text(s->bytes.stored);
    buf_printf(&b, "Snapshot %llu of %s, %.10s %.5s UTC, %s", (unsigned long long)e->seq,
               v->s.chain, at, at + 11, goodness_name(log_goodness(&v->s.log, e)));
    for (size_t i = 0; i < s->why.len; i++)
        buf_printf(&b, "%s%s", i ? ", " : ": ", s->why.v[i]);
    print_wrapped(stdout, b.p, 0, 2);
    print_standing(v);
    print_times(e);
    printf("  %-10s %s (trusted), epoch %u\n", "signed by", label_of_signer(v), s->epoch);
    if (s->cluster)
        printf("  %-10s %s\n", "cluster", s->cluster);
    print_origin(e);
    print_counts(e);
    printf("  %-10s %zu file%s, %s\n", "needs", v->needs.len, v->needs.len == 1 ? "" : "s", stored);
}

// The commit at which everything was settled, and whether it is this one.
static void print_healthy(const struct shown *v)
{
    const json_t *h = json_object_get(v->contents, "healthy");
    const char *commit = text_of(h, "commit");
    CLEANUP(str_freep)
    char *text = !*commit ? str_dup("unknown")
                          : str_printf("all at %.7s%s", commit,
                                       is_true(h, "current") ? "" : ", which is not what it has");
    printf("  %-10s ", "healthy");
    print_wrapped(stdout, text, 13, 13);
}

static void print_text(const struct shown *v)
{
    print_head(v);
    if (!v->contents) {
        print_wrapped(stdout,
                      "What is in it takes what opens the repository: --identity or a passphrase.",
                      0, 0);
        return;
    }
    print_repositories(v);
    print_sources(v);
    print_secrets(v);
    print_clusters(v);
    print_healthy(v);
    printf("\n");
    print_tree(v);
}

static void print_show_doc(const struct shown *v)
{
    const struct entry *e = v->e;
    CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-show", &v->s);
    CLEANUP(str_freep) char *hash = snap_pin_text(&e->hash);
    json_t *files = json_array();
    json_t *why = json_array();
    for (size_t i = 0; i < v->needs.len; i++)
        json_array_append_new(files, json_string(v->needs.v[i]));
    for (size_t i = 0; i < e->snapshot.why.len; i++)
        json_array_append_new(why, json_string(e->snapshot.why.v[i]));
    CLEANUP(json_freep)
    json_t *head =
        json_pack("{s:I, s:s, s:s, s:o, s:s, s:I, s:s*, s:o, s:b}", "seq", (json_int_t)e->seq,
                  "hash", hash, "state", goodness_name(log_goodness(&v->s.log, e)), "why", why,
                  "signedBy", label_of_signer(v), "epoch", (json_int_t)e->snapshot.epoch, "cluster",
                  e->snapshot.cluster, "files", files, "opened", v->contents != NULL);
    json_object_update(doc, head);
    json_object_set_new(doc, "inDoubt", json_boolean(log_is_in_doubt(&v->s.log, e)));
    CLEANUP(str_freep) char *taken = clock_rfc3339(entry_taken_s(e));
    CLEANUP(str_freep)
    char *stored = e->stored_at_ms ? clock_rfc3339(e->stored_at_ms / 1000) : NULL;
    json_object_set_new(doc, "taken", json_string(taken));
    if (stored)
        json_object_set_new(doc, "stored", json_string(stored));
    snap_origin_doc(e, doc);
    snap_forgotten_doc(&v->s, e, doc);
    if (v->contents)
        json_object_update(doc, v->contents);
    print_doc(v->c, doc);
}

// Who gave a key is shown all; who gave none is shown what is signed.
static bool read_contents(struct shown *v, struct err *err)
{
    const struct age_identity *id = NULL;
    CLEANUP(reader_freep) struct reader *rd = NULL;
    if (!v->s.unlocked.v.len)
        return true;
    return snap_identity(&v->s, v->e, &id, err) &&
           reader_open(&v->s.repo, v->s.chain, v->e, id, &rd, err) &&
           contents_read(rd, &v->contents, err);
}

int cmd_snapshot_show(struct cli *c, struct err *err)
{
    struct shown v CLEANUP(shown_clear) = {.c = c};
    struct snap_want want = {.read = READ_IF_GIVEN, .chain = true};
    if (!snap_open(c, &c->o.snap, &want, &v.s, err) || !snap_log(&v.s, err) ||
        !snap_find(&v.s, c->o.args.len ? c->o.args.v[0] : "latest", &v.e, err) ||
        !snapshot_needs(&v.s.repo, &v.s.log, v.e, &v.needs, err) || !read_contents(&v, err))
        return 0;
    if (wants_doc(c))
        print_show_doc(&v);
    else
        print_text(&v);
    return 0;
}
