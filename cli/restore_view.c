// SPDX-License-Identifier: Apache-2.0
//
// What a restore shows: whose snapshot, which target, what will be done; at the end how long it
// took, what could not come back, and what to do next.
#include <stdlib.h>
#include <string.h>

#include "cli/restoring.h"

#define SHOWN_LOSSES 8
#define SHOWN_NAMES 3
#define SHOWN_ITEMS 10
#define MAX_ITEMS 1000 // in the document

int64_t restoring_age_s(const struct restoring *x)
{
    int64_t age = clock_unix_ms() / 1000 - entry_taken_s(x->e);
    return age > 0 ? age : 0;
}

static const char *signer_of(const struct restoring *x)
{
    const struct trust_signer *t =
        trust_signer_for(trust_now(&x->snap.repo.trust), &x->e->signer, ROLE_WRITE, x->snap.chain);
    return t && *t->label ? t->label : x->e->signer.hex;
}

static enum goodness goodness_of(const struct restoring *x)
{
    return log_goodness(&x->snap.log, x->e);
}

void restoring_print_line(const char *symbol, const char *text)
{
    printf("  %s%s", symbol, *symbol ? " " : "");
    print_wrapped(stdout, text, *symbol ? 4 : 2, *symbol ? 4 : 4);
}

// ---- before ----
static void print_snapshot(const struct restoring *x)
{
    CLEANUP(str_freep) char *at = clock_rfc3339(entry_taken_s(x->e));
    CLEANUP(str_freep) char *age = age_text(restoring_age_s(x));
    CLEANUP(str_freep) char *size = size_text(x->verified.stored_bytes);
    CLEANUP(str_freep) char *took = clock_duration_text(x->verify_ms);
    static const char *const attested[] = {
        [SNAP_SUSPECT] = "SUSPECT: what it holds may be too little",
        [SNAP_BAD] = "BAD, says a judge",
        [SNAP_GOOD] = "no verdict on it yet",
        [SNAP_VERIFIED] = "verified before",
        [SNAP_DRILLED] = "drilled before",
    };
    CLEANUP(str_freep)
    char *line = str_printf("Snapshot %llu of %s, %.10s %.5s UTC (%s ago), signed by %s (trusted), "
                            "%s; %s whole in %s",
                            (unsigned long long)x->e->seq, x->snap.chain, at, at + 11, age,
                            signer_of(x), attested[goodness_of(x)], size, took);
    print_wrapped(stdout, line, 0, 2);
}

static char *target_state(const struct restoring *x)
{
    if (x->target.chain)
        return str_printf("restored from snapshot %llu of %s before", x->target.seq,
                          x->target.chain);
    if (x->s->remembered)
        return str_printf("grown from %s", x->s->remembered);
    if (x->target.foreign)
        return str_printf("NOT EMPTY: %zu namespace%s or workloads of others (--adopt)",
                          x->target.foreign, x->target.foreign == 1 ? "" : "s");
    return str_dup("empty");
}

int restoring_source_minor(const struct restoring *x)
{
    const char *v = x->frozen.kubernetes;
    v = v && *v == 'v' ? v + 1 : v;
    return v && str_starts(v, "1.") ? atoi(v + 2) : 0;
}

// The minor version of the target beside that of the cluster the snapshot is of.
static const char *compared(const struct restoring *x)
{
    int source = restoring_source_minor(x), target = kube_minor(x->s->kube);
    if (source <= 0 || target <= 0 || source == target)
        return "";
    return source < target ? " (older)" : " (newer)";
}

static void print_target(const struct restoring *x)
{
    CLEANUP(str_freep) char *state = target_state(x);
    const char *uid = kube_cluster_uid(x->s->kube);
    const char *from = x->frozen.kubernetes ? x->frozen.kubernetes : "unknown";
    bool same = x->frozen.cluster && str_eq(uid, x->frozen.cluster);
    CLEANUP(str_freep)
    char *line = str_printf(
        "Target   %s (uid %s), Kubernetes %s, %s; %s %s%s", kubeconfig_context(x->s->config),
        uid ? uid : "unknown", kube_version(x->s->kube), state,
        same ? "the very cluster the snapshot is of, then" : "source was", from, compared(x));
    print_wrapped(stdout, line, 0, 2);
}

static void print_items(const struct restoring *x, const char *what, const struct strv *names)
{
    struct buf b CLEANUP(buf_clear) = {0};
    size_t shown = x->c->o.verbose || names->len <= SHOWN_ITEMS ? names->len : SHOWN_ITEMS;
    for (size_t i = 0; i < shown; i++)
        buf_printf(&b, "%s%s", i ? ", " : what, names->v[i]);
    if (shown < names->len)
        buf_printf(&b, " and %zu more; -v shows all", names->len - shown);
    if (b.len)
        restoring_print_line("", b.p);
}

static void print_counts(const struct restoring *x)
{
    const size_t *n = x->counts;
    struct buf b CLEANUP(buf_clear) = {0};
    const struct {
        size_t n;
        const char *what;
    } parts[] = {{n[ACTION_CHANGE] + n[ACTION_REPLACE] + n[ACTION_RECREATE], "to change"},
                 {n[ACTION_PRUNE], "to delete"},
                 {n[ACTION_TERMINATING], "to wait for until they are gone"},
                 {n[ACTION_CHECK], "not comparable"},
                 {n[ACTION_NONE] + n[ACTION_HOOK_DONE], "as they should be"}};
    size_t apps = restoring_applications(x);
    buf_printf(&b, "%zu application%s: %zu object%s to create", apps, apps == 1 ? "" : "s",
               n[ACTION_CREATE], n[ACTION_CREATE] == 1 ? "" : "s");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i].n)
            buf_printf(&b, ", %zu %s", parts[i].n, parts[i].what);
    restoring_print_line("", b.p);
    print_items(x, "to change: ", &x->changes);
    print_items(x, "to delete: ", &x->deletes);
}

// "sealed-secrets keys (3), TLS certificates (2)".
static void print_zero(const struct restoring *x)
{
    CLEANUP(json_freep) json_t *rules = json_object();
    struct buf b CLEANUP(buf_clear) = {0};
    const char *rule;
    json_t *n;
    for (size_t i = 0; i < x->frozen.zero.len; i++) {
        const char *key = x->frozen.zero.v[i].rule;
        key = key ? key : "what the cluster had of Secrets beside Git";
        json_object_set_new(rules, key,
                            json_integer(json_integer_value(json_object_get(rules, key)) + 1));
    }
    json_object_foreach(rules, rule, n)
    {
        buf_printf(&b, "%s%s (%lld)", b.len ? ", " : "First of all: ", rule,
                   (long long)json_integer_value(n));
    }
    if (b.len)
        restoring_print_line("", b.p);
}

static void print_apis(const struct restoring *x)
{
    for (size_t i = 0; i < x->unread_apis.len; i++) {
        CLEANUP(str_freep)
        char *text =
            str_printf("which fields the target knows is not known: %s", x->unread_apis.v[i]);
        restoring_print_line("!", text);
    }
    for (size_t i = 0; i < x->apis.v.len; i++) {
        CLEANUP(str_freep) char *text = api_change_text(x->s->desired, &x->apis.v.v[i]);
        if (i >= SHOWN_LOSSES && !x->c->o.verbose) {
            printf("  and %zu more (-v)\n", x->apis.v.len - i);
            return;
        }
        restoring_print_line("!", text);
    }
}

const struct entry *restoring_other_writer(const struct restoring *x)
{
    const struct entry *newest = log_newest_snapshot(&x->snap.log);
    bool is_since = x->target.head && str_eq(x->target.chain, x->snap.chain) && newest &&
                    newest->seq > x->target.head;
    bool is_other = is_since && newest->snapshot.cluster &&
                    !str_eq(newest->snapshot.cluster, kube_cluster_uid(x->s->kube));
    return is_other ? newest : NULL;
}

const struct entry *restoring_successor(const struct restoring *x)
{
    const struct log *l = &x->snap.log;
    const struct entry *newest = log_newest_snapshot(l);
    const char *uid = kube_cluster_uid(x->s->kube);
    bool was_ours = false;
    for (size_t i = 0; i < l->v.len; i++)
        was_ours |= l->v.v[i].kind == ENTRY_SNAPSHOT && str_eq(l->v.v[i].snapshot.cluster, uid);
    bool is_other = was_ours && newest && newest->snapshot.cluster && uid &&
                    !str_eq(newest->snapshot.cluster, uid);
    bool is_restored =
        str_eq(x->target.chain, x->snap.chain) && newest && x->target.head >= newest->seq;
    return is_other && !is_restored && !restoring_other_writer(x) ? newest : NULL;
}

static void print_successor(const struct restoring *x)
{
    const struct entry *e = restoring_successor(x);
    if (!e)
        return;
    CLEANUP(str_freep)
    char *text = str_printf("this cluster has been replaced: the newest snapshot, %llu, is of the "
                            "one with uid %s. If that one lives there are two",
                            (unsigned long long)e->seq, e->snapshot.cluster);
    restoring_print_line("!", text);
}

static void print_other_writer(const struct restoring *x)
{
    const struct entry *e = restoring_other_writer(x);
    if (!e)
        return;
    CLEANUP(str_freep)
    char *text = str_printf("since this cluster was restored, the one with uid %s has written "
                            "snapshot %llu: two clusters are alive",
                            e->snapshot.cluster, (unsigned long long)e->seq);
    restoring_print_line("!", text);
}

static void print_cluster_part(const struct restoring *x)
{
    print_target(x);
    print_other_writer(x);
    print_successor(x);
    restoring_print_part(x);
    print_counts(x);
    restoring_print_rerender(x);
    restoring_print_maps(x);
    print_zero(x);
    print_apis(x);
}

void restoring_print_plan(const struct restoring *x)
{
    struct strv losses = {0};
    print_snapshot(x);
    if (!x->c->o.restore.git_only)
        print_cluster_part(x);
    if (x->has_git)
        restore_git_print_plan(x);
    if (x->is_order_broken)
        restoring_print_line("!",
                             "What waves and depends-on declare closes a cycle: they give way.");
    if (!x->c->o.restore.git_only)
        restoring_losses(x, &losses);
    for (size_t i = 0; i < losses.len && i < SHOWN_LOSSES; i++)
        restoring_print_line("!", losses.v[i]);
    if (losses.len > SHOWN_LOSSES)
        printf("  and %zu more, shown again at the end\n", losses.len - SHOWN_LOSSES);
    strv_clear(&losses);
    if (x->c->o.snap.dry_run)
        printf("Nothing was written (--dry-run).\n");
    fflush(stdout);
}

// ---- what cannot come back ----
static void add_volumes(const struct restoring *x, struct strv *out)
{
    struct buf b = {0};
    size_t n = json_array_size(x->volumes);
    if (!n)
        return;
    buf_printf(&b, "the content of volumes is in no snapshot; a tool of its own restores it: ");
    for (size_t i = 0; i < n && i < SHOWN_NAMES; i++)
        buf_printf(&b, "%s%s", i ? ", " : "",
                   json_dot_str(json_array_get(x->volumes, i), "object"));
    if (n > SHOWN_NAMES)
        buf_printf(&b, " and %zu more", n - SHOWN_NAMES);
    strv_push_take(out, buf_take(&b));
}

void restoring_losses(const struct restoring *x, struct strv *out)
{
    for (size_t i = 0; i < x->frozen.missing.len; i++)
        strv_push(out, x->frozen.missing.v[i]);
    for (size_t i = 0; i < x->frozen.stale.len; i++)
        strv_push_take(out, str_printf("application %s: it could not be read when the snapshot was "
                                       "made, and comes back as it was before",
                                       x->frozen.stale.v[i]));
    add_volumes(x, out);
}

// ---- for programs ----
static json_t *snapshot_part(const struct restoring *x)
{
    CLEANUP(str_freep) char *at = clock_rfc3339(entry_taken_s(x->e));
    return json_pack("{s:I, s:s, s:I, s:s, s:s, s:o, s:s*, s:s*}", "seq", (json_int_t)x->e->seq,
                     "taken", at, "ageSeconds", (json_int_t)restoring_age_s(x), "state",
                     goodness_name(goodness_of(x)), "signedBy", signer_of(x), "why",
                     print_texts(&x->e->snapshot.why), "kubernetes", x->frozen.kubernetes,
                     "cluster", x->frozen.cluster);
}

static json_t *target_part(const struct restoring *x)
{
    json_t *t = json_pack("{s:I, s:o, s:s*}", "foreign", (json_int_t)x->target.foreign, "examples",
                          print_texts(&x->target.examples), "grownFrom", x->s->remembered);
    const struct entry *other = restoring_successor(x);
    if (other)
        json_object_set_new(
            t, "replacedBy",
            json_pack("{s:s, s:I}", "uid", other->snapshot.cluster, "seq", (json_int_t)other->seq));
    if (x->target.chain)
        json_object_set_new(
            t, "restoredFrom",
            json_pack("{s:s, s:I}", "chain", x->target.chain, "seq", (json_int_t)x->target.seq));
    return t;
}

static json_t *items_part(const struct strv *names)
{
    json_t *out = json_array();
    for (size_t i = 0; i < names->len && i < MAX_ITEMS; i++)
        json_array_append_new(out, json_string(names->v[i]));
    return out;
}

static json_t *plan_part(const struct restoring *x)
{
    const size_t *n = x->counts;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "applications",
                     (json_int_t)restoring_applications(x), "create", (json_int_t)n[ACTION_CREATE],
                     "change",
                     (json_int_t)(n[ACTION_CHANGE] + n[ACTION_REPLACE] + n[ACTION_RECREATE]),
                     "prune", (json_int_t)n[ACTION_PRUNE], "keep", (json_int_t)n[ACTION_KEEP],
                     "unchanged", (json_int_t)(n[ACTION_NONE] + n[ACTION_HOOK_DONE]),
                     "notComparable", (json_int_t)n[ACTION_CHECK], "changes",
                     items_part(&x->changes), "deletes", items_part(&x->deletes));
}

static json_t *apis_part(const struct restoring *x)
{
    static const char *const fates[] = {"moved", "dropped", "awaited", "trimmed", "deprecated"};
    json_t *out = json_array();
    for (size_t i = 0; i < x->apis.v.len; i++) {
        const struct api_change *c = &x->apis.v.v[i];
        const struct object *o = &x->s->desired->objects.v[c->object];
        json_array_append_new(
            out, json_pack("{s:s, s:s, s:s, s:s*, s:s, s:s, s:s*, s:s*, s:s}", "application",
                           x->s->desired->apps.v[o->app]->name, "group", o->id.group, "kind",
                           o->id.kind, "namespace", o->id.namespace, "name", o->id.name, "version",
                           c->from, "to", c->to, "field", c->field, "fate", fates[c->fate]));
    }
    return out;
}

static json_t *first_part(const struct restoring *x)
{
    json_t *out = json_array();
    for (size_t i = 0; i < x->frozen.zero.len; i++) {
        const struct zero_object *z = &x->frozen.zero.v[i];
        json_array_append_new(out,
                              json_pack("{s:s, s:s*, s:s, s:s*}", "kind", z->id.kind, "namespace",
                                        z->id.namespace, "name", z->id.name, "rule", z->rule));
    }
    return out;
}

static void add_result(const struct restoring *x, const struct outcome *o, json_t *doc)
{
    const struct timeline *t = &x->timeline;
    json_t *result = json_object();
    outcome_add(o, result);
    json_object_set_new(doc, "result", result);
    json_object_set_new(doc, "kept", print_texts(&x->zero.kept));
    json_object_set_new(doc, "rpoSeconds", json_integer(restoring_age_s(x)));
    int64_t plan = timeline_phase_ms(t, "target") + timeline_phase_ms(t, "plan");
    int64_t apply = timeline_phase_ms(t, "secret-zero") + timeline_phase_ms(t, "apply");
    json_object_set_new(
        doc, "rto",
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "ms", (json_int_t)timeline_total(t),
                  "verifyMs", (json_int_t)x->verify_ms, "planMs", (json_int_t)plan, "applyMs",
                  (json_int_t)apply, "waitingMs", (json_int_t)timeline_phase_ms(t, "waiting"),
                  "readyMs", (json_int_t)timeline_phase_ms(t, "healthy"), "gitMs",
                  (json_int_t)x->git_ms));
}

// As doc_new has it, without a session.
static json_t *root_part(const struct restoring *x)
{
    const struct desired *d = x->frozen.desired;
    return json_pack("{s:s, s:s, s:s*, s:s*}", "url", x->frozen.root, "name", d->root_name, "ref",
                     d->root_ref, "commit", d->root_commit);
}

json_t *restoring_doc(const struct restoring *x, const struct outcome *o)
{
    json_t *doc = doc_new("restore", x->s);
    CLEANUP(json_freep) json_t *repo = snap_doc("restore", &x->snap);
    struct strv losses = {0};
    json_object_update_missing(doc, repo);
    if (x->s)
        restoring_losses(x, &losses);
    else
        json_object_set_new(doc, "root", root_part(x));
    json_object_set_new(doc, "snapshot", snapshot_part(x));
    if (x->s) {
        json_object_set_new(doc, "target", target_part(x));
        json_object_set_new(doc, "plan", plan_part(x));
        if (x->c->o.restore.is_part)
            json_object_set_new(doc, "part", restoring_part_doc(x));
        if (restoring_cluster(x))
            json_object_set_new(doc, "hubCluster", restoring_cluster_doc(x));
        if (x->is_anew)
            json_object_set_new(doc, "rerendered", restoring_rerender_doc(x));
        json_object_set_new(doc, "mappings", restoring_maps_doc(x));
        json_object_set_new(doc, "apis", apis_part(x));
        json_object_set_new(doc, "first", first_part(x));
        json_object_set_new(doc, "losses", print_texts(&losses));
    }
    if (x->has_git)
        json_object_set_new(doc, "git", restore_git_doc(x));
    if (x->is_pushed) {
        CLEANUP(str_freep) char *next = restore_next_command(x);
        json_object_set_new(doc, "next", json_string(next));
    }
    json_object_set_new(doc, "dryRun", json_boolean(x->c->o.snap.dry_run));
    strv_clear(&losses);
    if (o)
        add_result(x, o, doc);
    if (x->s)
        restoring_add_report(x, o, doc);
    return doc;
}
