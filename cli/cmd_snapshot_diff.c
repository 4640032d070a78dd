// SPDX-License-Identifier: Apache-2.0
//
// snapshot diff: what lies between two snapshots. Values of Secrets are never read into the answer.
#include <stdlib.h>
#include <string.h>

#include "cli/snapshot_open.h"

#define SHOWN_COMMITS 10
#define ALL_COMMITS 1000
#define SHOWN_FIELDS 20
#define SHOWN_VALUE 200
#define ID_CHARS 7

// ---- text ----

static const struct {
    const char *change, *sign, *color;
} signs[] = {{"added", "+", "green"}, {"removed", "-", "red"}, {"changed", "~", "yellow"}};

static void print_sign(const struct cli *c, const json_t *x, int indent)
{
    const char *change = json_dot_str(x, "change");
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (str_eq(signs[i].change, change))
            printf("%*s%s%s%s ", indent, "", paint(c, signs[i].color), signs[i].sign, paint(c, ""));
}

static const char *text_at(const json_t *v, const char *key)
{
    const char *text = json_dot_str(v, key);
    return text ? text : "";
}

static void print_commits(const struct cli *c, const json_t *list, const char *sign)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        CLEANUP(str_freep) char *at = clock_rfc3339(json_dot_int(x, "time", 0));
        CLEANUP(str_freep)
        char *line = str_printf("%.*s %.10s %s: %s", ID_CHARS, text_at(x, "id"), at,
                                text_at(x, "author"), text_at(x, "subject"));
        printf("      %s%s%s ", paint(c, "dim"), sign, paint(c, ""));
        print_wrapped(stdout, line, 8, 10);
    }
}

static const char *short_ref(const char *name)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (str_starts(name, prefixes[i]))
            return name + strlen(prefixes[i]);
    return name;
}

static void print_ref(const struct cli *c, const json_t *ref)
{
    const char *from = json_dot_str(ref, "from");
    const char *to = json_dot_str(ref, "to");
    struct buf b CLEANUP(buf_clear) = {0};
    buf_printf(&b, "%s  ", short_ref(text_at(ref, "name")));
    if (from)
        buf_printf(&b, "%.*s", ID_CHARS, from);
    buf_printf(&b, "%s", from && to ? " → " : to ? "new, " : ", gone");
    if (to)
        buf_printf(&b, "%.*s", ID_CHARS, to);
    printf("    ");
    print_wrapped(stdout, b.p, 4, 6);
    print_commits(c, json_object_get(ref, "commits"), "+");
    print_commits(c, json_object_get(ref, "gone"), "-");
    if (json_is_true(json_object_get(ref, "more")))
        printf("        and more; -v shows them\n");
}

static void print_repositories(const struct cli *c, const json_t *list)
{
    size_t i;
    size_t k;
    json_t *x;
    json_t *ref;
    json_array_foreach(list, i, x)
    {
        print_sign(c, x, 0);
        printf("%s", paint(c, "bold"));
        print_wrapped(stdout, text_at(x, "url"), 2, 4);
        printf("%s", paint(c, ""));
        json_array_foreach(json_object_get(x, "refs"), k, ref)
        {
            print_ref(c, ref);
        }
    }
}

static void print_sources(const struct cli *c, const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const char *from = json_dot_str(x, "from");
        const char *to = json_dot_str(x, "to");
        const char *chart = text_at(x, "chart");
        struct buf b CLEANUP(buf_clear) = {0};
        buf_printf(&b, "%s %s%s%s", text_at(x, "kind"), *chart ? chart : text_at(x, "url"),
                   *text_at(x, "target") ? " " : "", text_at(x, "target"));
        if (json_is_true(json_object_get(x, "rewritten")))
            buf_str(&b, "  the same version, other bytes");
        else if (from && to)
            buf_printf(&b, "  %.16s → %.16s", from, to);
        print_sign(c, x, 0);
        print_wrapped(stdout, b.p, 2, 4);
    }
}

static void print_fields(const struct cli *c, const json_t *fields, int in)
{
    size_t n = json_array_size(fields);
    size_t shown = c->o.verbose || n <= SHOWN_FIELDS ? n : SHOWN_FIELDS;
    for (size_t i = 0; i < shown; i++) {
        const json_t *x = json_array_get(fields, i);
        printf("%*s", in, "");
        print_wrapped(stdout, text_at(x, "path"), in, in + 2);
        const json_t *from = json_object_get(x, "from");
        const json_t *to = json_object_get(x, "to");
        if (from)
            print_value(c, "-", "red", from, in + 4, SHOWN_VALUE);
        if (to)
            print_value(c, "+", "green", to, in + 4, SHOWN_VALUE);
    }
    if (shown < n)
        printf("%*sand %zu more; -v shows them\n", in, "", n - shown);
}

static void print_objects(const struct cli *c, const json_t *list, int in)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const char *ns = text_at(x, "namespace");
        CLEANUP(str_freep)
        char *name =
            str_printf("%s %s%s%s", text_at(x, "kind"), ns, *ns ? "/" : "", text_at(x, "name"));
        print_sign(c, x, in);
        print_wrapped(stdout, name, in + 2, in + 4);
        print_fields(c, json_object_get(x, "fields"), in + 4);
    }
}

static const char *stale_text(const json_t *x)
{
    return json_is_true(json_object_get(x, "stale")) ? "   (unknown then: as it was before)" : "";
}

static void print_applications(const struct cli *c, const json_t *list, int in)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        print_sign(c, x, in);
        printf("%s%s%s%s\n", paint(c, "bold"), text_at(x, "name"), paint(c, ""), stale_text(x));
        print_objects(c, json_object_get(x, "objects"), in + 2);
    }
}

static void print_secrets(const struct cli *c, const json_t *list, int in)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const char *ns = text_at(x, "namespace");
        bool live = str_eq(json_dot_str(x, "from"), "live");
        CLEANUP(str_freep)
        char *name = str_printf("Secret %s%s%s%s", ns, *ns ? "/" : "", text_at(x, "name"),
                                live ? ", as it is in the cluster" : "");
        print_sign(c, x, in);
        print_wrapped(stdout, name, in + 2, in + 4);
    }
}

// Of a hub: under each what is told of its own without a name.
static void print_clusters(const struct cli *c, const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const json_t *kubernetes = json_object_get(x, "kubernetes");
        print_sign(c, x, 0);
        printf("cluster %s%s%s%s\n", paint(c, "bold"),
               text_at(x, json_object_get(x, "name") ? "name" : "server"), paint(c, ""),
               stale_text(x));
        if (json_is_true(json_object_get(x, "unread")))
            printf("  what goes there was never read in one of the two\n");
        if (kubernetes)
            printf("  for Kubernetes %s → %s\n", text_at(kubernetes, "from"),
                   text_at(kubernetes, "to"));
        print_applications(c, json_object_get(x, "applications"), 2);
        print_secrets(c, json_object_get(x, "secrets"), 2);
    }
}

static void print_text(const struct cli *c, const json_t *doc)
{
    const char *from = text_at(doc, "from.stored");
    const char *to = text_at(doc, "to.stored");
    printf("%s%lld → %lld%s of %s   %.10s %.5s → %.10s %.5s\n", paint(c, "bold"),
           json_dot_int(doc, "from.seq", 0), json_dot_int(doc, "to.seq", 0), paint(c, ""),
           text_at(doc, "chain"), from, from + (*from ? 11 : 0), to, to + (*to ? 11 : 0));
    print_repositories(c, json_object_get(doc, "repositories"));
    print_sources(c, json_object_get(doc, "sources"));
    print_applications(c, json_object_get(doc, "applications"), 0);
    if (json_array_size(json_object_get(doc, "live")))
        printf("%sin the cluster, of no application%s\n", paint(c, "bold"), paint(c, ""));
    print_objects(c, json_object_get(doc, "live"), 2);
    print_secrets(c, json_object_get(doc, "secrets"), 0);
    print_fields(c, json_object_get(doc, "versions"), 6);
    print_clusters(c, json_object_get(doc, "clusters"));
    if (json_is_false(json_object_get(doc, "differs")))
        printf("Nothing differs.\n");
}

// ---- the command ----

static json_t *end_of(const struct entry *e)
{
    CLEANUP(str_freep)
    char *stored = clock_rfc3339(e->stored_at_ms ? e->stored_at_ms / 1000 : e->time_unix_s);
    return json_pack("{s:I, s:s}", "seq", (json_int_t)e->seq, "stored", stored);
}

static bool open_one(struct snap *s, const char *ref, const struct entry **e, struct reader **out,
                     struct err *err)
{
    const struct age_identity *id = NULL;
    return snap_find(s, ref, e, err) && snap_identity(s, *e, &id, err) &&
           reader_open(&s->repo, s->chain, *e, id, out, err);
}

static bool diff(struct cli *c, struct snap *s, json_t **doc, struct err *err)
{
    CLEANUP(reader_freep) struct reader *a = NULL;
    CLEANUP(reader_freep) struct reader *b = NULL;
    const struct entry *from = NULL;
    const struct entry *to = NULL;
    json_t *found = NULL;
    struct diff_opts o = {.max_commits = wants_doc(c) || c->o.verbose ? ALL_COMMITS : SHOWN_COMMITS,
                          .stop = c->loop};
    bool ok = open_one(s, c->o.args.v[0], &from, &a, err) &&
              open_one(s, c->o.args.len > 1 ? c->o.args.v[1] : "latest", &to, &b, err) &&
              snapshot_diff(a, b, &o, &found, err);
    if (ok) {
        *doc = snap_doc("snapshot-diff", s);
        json_object_set_new(*doc, "from", end_of(from));
        json_object_set_new(*doc, "to", end_of(to));
        json_object_set_new(*doc, "differs", json_boolean(!snapshot_diff_is_empty(found)));
        json_object_update(*doc, found);
    }
    json_decref(found);
    return ok;
}

int cmd_snapshot_diff(struct cli *c, struct err *err)
{
    struct snap s CLEANUP(snap_close) = {0};
    struct snap_want want = {.read = READ_MUST, .chain = true};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!c->o.args.len) {
        err_set(err, ERR_USAGE, "which snapshots? two numbers are wanted, or one and latest");
        err_hint(err, "regrow snapshot list shows those there are.");
        return 0;
    }
    if (!snap_open(c, &c->o.snap, &want, &s, err) || !snap_log(&s, err) || !diff(c, &s, &doc, err))
        return 0;
    if (wants_doc(c))
        print_doc(c, doc);
    else
        print_text(c, doc);
    return json_is_true(json_object_get(doc, "differs")) ? CODE_DIFFERS : 0;
}
