// SPDX-License-Identifier: Apache-2.0
//
// An operation that a person asked for (control.h): what it makes of a turn, what became of each
// object, and its end before its time.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/controller_int.h"
#include "reconcile/run_int.h"

#define MAX_RESULTS 1000 // of an operation; of one that nobody asked for:
#define MAX_AUTO_RESULTS 200

void operation_clear(struct tracked *t)
{
    for (size_t i = 0; i < t->results.len; i++) {
        struct operation_result *x = &t->results.v[i];
        object_id_clear(&x->id);
        free(x->version);
        free(x->message);
    }
    vec_clear(&t->results);
    app_control_clear(&t->op);
    json_decref(t->asked);
    t->asked = NULL;
    t->is_over = false;
    t->outcome = OPERATION_NONE;
    str_set(&t->refusal, NULL);
    str_set(&t->said, NULL);
}

bool operation_is_partial(const struct tracked *t)
{
    return t->asked && !t->is_over && (t->op.dry_run || t->op.resources);
}

bool operation_is_alone(const struct tracked *t)
{
    const struct app_control *k = &t->op;
    return t->asked && !t->is_over && (t->triggers & TRIGGER_REQUEST) &&
           (operation_is_partial(t) || k->options || k->prune || k->is_forced || k->is_apply_only);
}

// Are these the revisions at which it is read now?
static bool are_its_own(const struct tracked *t, const struct application *a,
                        const struct strv *revisions)
{
    bool same = a && revisions->len;
    for (size_t i = 0; same && !t->pins.len && i < revisions->len; i++) {
        const char *rev = revisions->v[i];
        same = (i < a->sources.len && str_eq(rev, a->sources.v[i].target_revision)) ||
               (i < a->revisions.len && str_eq(rev, a->revisions.v[i]));
    }
    for (size_t i = 0; same && t->pins.len && i < revisions->len; i++)
        same = i < t->pins.len && str_eq(revisions->v[i], t->pins.v[i]);
    return same;
}

// What an application is read at is what is applied of it, and of those that it has: for a moment
// it cannot be another.
static char *partial_refusal(const struct tracked *t, const struct application *a)
{
    const struct app_control *k = &t->op;
    const char *what = k->dry_run ? "a dry run" : "a sync of some resources";
    if (!operation_is_partial(t) || are_its_own(t, a, &k->revisions))
        return NULL;
    if (k->revisions.len)
        return str_printf("%s of another revision is not supported: %s is not what the "
                          "application is at",
                          what, k->revisions.v[0]);
    if (t->pins.len)
        return str_printf("%s of another revision is not supported: the application is held at "
                          "%s, until a sync of all of it that names no revision",
                          what, t->pins.v[0]);
    return NULL;
}

// What cannot be done is refused by name, never passed over. Owned; NULL: nothing.
char *operation_refusal(const struct controller *c, const struct tracked *t)
{
    const struct app_control *k = &t->op;
    int at = c->desired ? desired_tracked_app(c->desired, t->name) : -1;
    const struct application *a = at < 0 ? NULL : c->desired->apps.v[at];
    const json_t *spec = a ? json_object_get(a->doc, "spec") : NULL;
    const json_t *own = json_object_get(spec, json_is_array(k->sources) ? "sources" : "source");
    const char *space = sync_option(k->options, "CreateNamespace");
    struct strv faults = {0};
    char *why = NULL;
    sync_options_unknown(k->options, &faults);
    if (k->sources && !json_equal(k->sources, own))
        why = str_dup("its sources are what Git says of the application; an operation can name "
                      "other revisions of them, not other sources");
    else if (faults.len)
        why = str_dup(faults.v[0]);
    else if (space && a && str_eq(space, "true") != a->create_namespace)
        why = str_dup("CreateNamespace is for the application to say, not for one operation");
    strv_clear(&faults);
    return why ? why : partial_refusal(t, a);
}

// ---- what the turn is ----
static bool is_wanted(void *ctx, const struct object *o)
{
    const struct app_control *k = ctx;
    if (o->is_hook && (k->resources || k->is_apply_only))
        return false;
    return !k->resources || o->is_made || control_selects(k, &o->id);
}

static bool is_selected(const void *ctx, const struct object_id *id)
{
    return control_selects(ctx, id);
}

static json_t *options_of(const struct app_control *k)
{
    json_t *list = json_is_array(k->options) ? json_copy((json_t *)k->options) : json_array();
    if (k->is_forced)
        json_array_append_new(list, json_string("Force=true"));
    return list;
}

void operation_shape(const struct tracked *t, unsigned app, struct desired *part,
                     struct run_opts *o, struct application **variant)
{
    const struct app_control *k = &t->op;
    CLEANUP(json_freep) json_t *options = options_of(k);
    *variant = application_vary(part->apps.v[app], options, k->prune);
    part->apps.v[app] = *variant;
    desired_part_keep(part, is_wanted, (void *)k);
    for (size_t i = 0; i < part->objects.len && json_array_size(options); i++) {
        struct object *x = &part->objects.v[i];
        CLEANUP(json_freep) json_t *doc = object_doc(x);
        x->options = object_sync_options(doc, (*variant)->options, NULL);
    }
    if (k->resources) {
        o->policy.is_selected = is_selected;
        o->policy.selected_ctx = k;
    }
    o->policy.allow_mass_prune |= k->prune;
    o->read_only |= k->dry_run;
}

// ---- what became of it ----
static const char *verb(enum action a)
{
    switch (a) {
    case ACTION_CREATE:
    case ACTION_TERMINATING:
        return "created";
    case ACTION_CHANGE:
    case ACTION_CHECK:
        return "configured";
    case ACTION_REPLACE:
        return "replaced";
    case ACTION_RECREATE:
        return "deleted and created";
    case ACTION_PRUNE:
        return "pruned";
    case ACTION_NONE:
    case ACTION_KEEP:
    case ACTION_VIRTUAL:
    case ACTION_HOOK_DONE:
    case ACTION_LEFT:
        break;
    }
    return "unchanged";
}

// "deployment.apps/web configured", as kubectl says it.
static char *done_text(const struct object_id *id, enum action a, bool is_dry)
{
    struct buf b = {0};
    for (const char *s = id->kind; *s; s++)
        buf_char(&b, (char)tolower((unsigned char)*s));
    buf_printf(&b, "%s%s/%s %s%s", *id->group ? "." : "", id->group, id->name, verb(a),
               is_dry ? " (dry run)" : "");
    return buf_take(&b);
}

struct noting {
    struct tracked *t;
    const struct run *r;
    unsigned app;
    size_t n_before; // results of the same operation from a turn before
    size_t matched;  // objects that this is about
    struct operation_tally tally;
};

static struct operation_result *result_before(const struct noting *n, const struct object_id *id,
                                              enum phase phase)
{
    for (size_t i = 0; i < n->n_before; i++)
        if (n->t->results.v[i].phase == phase && object_id_eq(&n->t->results.v[i].id, id))
            return &n->t->results.v[i];
    return NULL;
}

// The namespace that is made for it goes with any part.
static bool is_asked_for(const struct tracked *t, const struct object_id *id)
{
    return !t->asked || control_selects(&t->op, id);
}

// What went before stays where this turn had nothing to do.
static void add(struct noting *n, const struct object_id *id, const char *version,
                struct operation_result x, bool is_idle)
{
    struct tracked *t = n->t;
    struct operation_result *old = result_before(n, id, x.phase);
    size_t most = t->asked ? MAX_RESULTS : MAX_AUTO_RESULTS;
    n->matched += is_asked_for(t, id);
    if ((old && is_idle) || (!old && t->results.len >= most)) {
        free(x.message);
        return;
    }
    x.id = object_id_dup(id);
    x.version = str_dup_or_null(version);
    if (!old) {
        *vec_push(&t->results) = x;
        return;
    }
    object_id_clear(&old->id);
    free(old->version);
    free(old->message);
    *old = x;
}

static const char *hook_phase_of(enum node_state s)
{
    switch (s) {
    case NODE_READY:
    case NODE_SKIPPED:
        return "Succeeded";
    case NODE_FAILED:
        return "Failed";
    case NODE_WAITING:
    case NODE_QUEUED:
    case NODE_IN_FLIGHT:
    case NODE_APPLIED:
    case NODE_BLOCKED:
        break;
    }
    return "Running";
}

static void note_object(struct noting *n, const struct plan_item *it)
{
    static const char *const types[] = {"PreSync", "Sync", "PostSync", "SyncFail"};
    const struct object *o = &n->r->desired->objects.v[it->object];
    const struct node_rt *x = &n->r->nodes[it->object];
    bool is_dry = n->t->asked && n->t->op.dry_run;
    bool is_bad = x->state == NODE_FAILED;
    bool is_done =
        is_dry ? it->action != ACTION_NONE && it->action != ACTION_HOOK_DONE : x->was_sent;
    struct operation_result v = {.status = is_bad ? "SyncFailed" : "Synced", .phase = o->phase};
    if (o->app != n->app || o->is_virtual || !x->is_selected)
        return;
    // What nobody asked for is told where something was done.
    bool is_told = is_bad || is_done || (n->t->asked && (is_dry || x->is_applied || x->is_ready));
    if (!is_told || (!is_bad && !is_done && !is_asked_for(n->t, &o->id)))
        return;
    n->tally.failed += is_bad;
    n->tally.created += !is_bad && is_done && it->action == ACTION_CREATE;
    n->tally.changed += !is_bad && is_done && it->action != ACTION_CREATE;
    n->tally.same += !is_bad && !is_done;
    v.message = is_bad ? str_dup_or_null(x->message)
                       : done_text(&o->id, is_done ? it->action : ACTION_NONE, is_dry);
    if (o->is_hook) {
        v.hook_type = types[o->phase];
        v.hook_phase = is_dry ? NULL : hook_phase_of(x->state);
    }
    add(n, &o->id, o->version, v, !is_bad && !is_done);
}

static void note_record(struct noting *n, const struct plan_item *it)
{
    const struct record *rec = &n->r->records.v[it->record];
    bool is_dry = n->t->asked && n->t->op.dry_run;
    bool is_gone = it->is_pruned || (is_dry && it->action == ACTION_PRUNE);
    bool is_kept = it->action == ACTION_KEEP && it->row && strcmp(it->row, "P15") != 0;
    struct operation_result v = {.phase = PHASE_SYNC};
    if (!str_eq(rec->app, n->t->name) || (!is_gone && !is_kept))
        return;
    n->tally.pruned += is_gone;
    n->tally.kept += is_kept;
    v.status = is_gone ? "Pruned" : "PruneSkipped";
    v.message = is_gone ? str_dup(is_dry ? "pruned (dry run)" : "pruned")
                        : str_printf("ignored (%s)", it->reason ? it->reason : "it stays");
    add(n, &rec->id, rec->version, v, false);
}

void operation_note(struct tracked *t, const struct run *r, unsigned app,
                    struct operation_tally *tally)
{
    struct noting n = {.t = t, .r = r, .app = app, .n_before = t->results.len};
    const struct plan *p = run_plan(r);
    for (size_t i = 0; i < p->items.len; i++) {
        const struct plan_item *it = &p->items.v[i];
        if (it->object >= 0)
            note_object(&n, it);
        else
            note_record(&n, it);
    }
    n.tally.matched = n.matched;
    *tally = n.tally;
}

// ---- its end ----
void operation_settle(struct controller *c, struct tracked *t, enum operation_phase phase,
                      const char *message)
{
    t->outcome = phase;
    t->is_over = true;
    c->sum.refused_syncs += phase == OPERATION_ERROR;
    str_set(&t->said, message);
    t->ended_unix_s = clock_unix_ms() / 1000;
    t->is_requested = t->is_ending = false;
    t->triggers &= ~(unsigned)(TRIGGER_REQUEST | TRIGGER_UNFINISHED | TRIGGER_RETRY);
    report_news(c, t->name);
}

void operation_rehearsed(struct controller *c, struct tracked *t, const struct run *r, unsigned app)
{
    struct operation_tally n;
    operation_note(t, r, app, &n);
    bool is_none = t->op.resources && !n.matched;
    CLEANUP(str_freep)
    char *text = str_printf("dry run: %zu would be created, %zu changed, %zu deleted, %zu are as "
                            "they should be%s",
                            n.created, n.changed, n.pruned, n.same,
                            n.kept ? "; what Git no longer has stays in part" : "");
    CLEANUP(str_freep)
    char *bad = str_printf("one or more objects failed to apply (dry run): %zu of %zu", n.failed,
                           n.failed + n.created + n.changed + n.same);
    const char *said = is_none ? OPERATION_NONE_MATCH : n.failed ? bad : text;
    bool ok = !is_none && !n.failed;
    operation_settle(c, t, ok ? OPERATION_SUCCEEDED : OPERATION_FAILED, said);
    event_emit(c->o.events, "sync.tried", "{s:s, s:b, s:s}", "app", t->name, "ok", (int)ok,
               "message", said);
}

bool operation_is_on(const struct tracked *t)
{
    return t->began_unix_s && !t->ended_unix_s;
}

static void ended(struct controller *c, struct tracked *t)
{
    event_emit(c->o.events, "sync.failed", "{s:s, s:s, s:I, s:I}", "app", t->name, "message",
               OPERATION_ENDED, "tries", (json_int_t)t->tries, "retryInMs", (json_int_t)-1);
    t->triggers = 0;
    t->tries = 0;
    operation_settle(c, t, OPERATION_FAILED, OPERATION_ENDED);
}

bool operation_ended(struct controller *c, struct tracked *t)
{
    if (!t->is_ending)
        return false;
    ended(c, t);
    return true;
}

void operation_untaken(struct controller *c, struct tracked *t, const char *why)
{
    CLEANUP(str_freep)
    char *text = str_printf("not done: as long as it cannot be taken out of its Application, a "
                            "restart would do it once more (%s)",
                            why);
    json_decref(t->next);
    t->next = NULL;
    if (t->is_on || t->is_over || !t->asked)
        return; // what is under way was asked for before
    str_set(&t->refusal, text);
    operation_settle(c, t, OPERATION_ERROR, text);
}

void operation_end(struct controller *c, struct tracked *t, const char *began)
{
    CLEANUP(str_freep) char *mine = clock_rfc3339(t->began_unix_s);
    report_news(c, t->name); // what the status says of it is written anew in any case
    // Tries that failed are part of it as long as there is another one to come.
    bool is_on = operation_is_on(t) || (t->triggers & (TRIGGER_RETRY | TRIGGER_REQUEST));
    if (!is_on || t->is_ending || (began && !str_eq(began, mine)))
        return;
    json_decref(t->next); // nor does what waits behind it begin
    t->next = NULL;
    if (t->is_on)
        t->is_ending = true; // the turn sees to it
    else
        ended(c, t);
}

bool operation_ends(void *ctx)
{
    const struct controller *c = ctx;
    for (size_t i = 0; i < c->apps.len; i++)
        if (c->apps.v[i].is_ending)
            return true;
    return false;
}
