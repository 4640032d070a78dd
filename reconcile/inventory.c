// SPDX-License-Identifier: Apache-2.0
//
// What is ours, remembered in the cluster: one ConfigMap per application (split at 700 kB), one
// line per object. Before its first write a run notes everything it is going to create (the
// intent), so that a kill at any moment orphans nothing. docs/inventory.md has the format.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "reconcile/run_int.h"

#define HEADER INVENTORY_HEADER
#define NOTE INVENTORY_NOTE
#define MAX_TEXT 700000
#define MAX_RECORDS 200000

static int cmp_record(const void *a, const void *b)
{
    const struct record *x = a;
    const struct record *y = b;
    int c = object_id_cmp(&x->id, &y->id);
    // Of two notes on one object the one with what was really sent counts.
    return c ? c : (int)x->is_intent - (int)y->is_intent;
}

// What is remembered of an application besides its objects (cascade_note). What its own inventory
// says goes before what an intent does, which may be older.
static void on_note(void *ctx, const char *app, const char *text, bool is_intent)
{
    struct run *r = ctx;
    json_t *note = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(note) && !(is_intent && json_object_get(r->notes, app)))
        json_object_set(r->notes, app, note);
    json_decref(note);
}

static void on_record(void *ctx, const struct record *rec)
{
    struct run *r = ctx;
    if (r->records.len < MAX_RECORDS)
        *vec_push(&r->records) = record_dup(rec);
}

void inventory_note(struct run *r, const json_t *cm)
{
    const struct inventory_reader rd = {on_record, on_note, r};
    if (inventory_read(cm, &rd))
        json_object_set(r->stored, json_dot_str(cm, "metadata.name"), json_dot(cm, "data.records"));
}

void inventory_forget(struct run *r)
{
    for (size_t i = 0; i < r->records.len; i++)
        record_clear(&r->records.v[i]);
    r->records.len = 0;
    json_object_clear(r->stored);
    json_object_clear(r->notes);
}

void inventory_sort(struct run *r)
{
    if (!r->records.len)
        return;
    qsort(r->records.v, r->records.len, sizeof(*r->records.v), cmp_record);
    size_t kept = 1;
    for (size_t i = 1; i < r->records.len; i++) {
        if (object_id_eq(&r->records.v[kept - 1].id, &r->records.v[i].id))
            record_clear(&r->records.v[i]);
        else
            r->records.v[kept++] = r->records.v[i];
    }
    r->records.len = kept;
}

static void write_line(struct buf *b, const struct object_id *id, const char *version,
                       const char *uid, const struct sha256 *sent, const struct sha256 *projection,
                       const char *flags, const char *app)
{
    CLEANUP(str_freep) char *s = sent ? hex_encode(sent->b, sizeof(sent->b)) : str_dup("");
    CLEANUP(str_freep)
    char *p = projection ? hex_encode(projection->b, sizeof(projection->b)) : str_dup("");
    buf_printf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", id->group, id->kind, version,
               id->namespace ? id->namespace : "", id->name, uid ? uid : "", s, p, flags, app);
}

static void write_record(struct buf *b, const struct record *rec, const char *uid)
{
    write_line(b, &rec->id, rec->version, uid, &rec->sent, &rec->projection,
               rec->is_hook   ? "h"
               : rec->is_made ? "m"
                              : "",
               "");
}

// What is no longer desired and still there. What was only intended has no uid yet: without one the
// next run would take the object for somebody else's.
static void write_kept(const struct run *r, const struct plan_item *it, struct buf *b)
{
    const struct record *rec = &r->records.v[it->record];
    const char *live = it->live < 0 ? NULL : r->facts.v[it->live].uid;
    write_record(b, rec, rec->uid ? rec->uid : live);
}

// What is to be remembered of a hook: the uid of what was made last, and the last phase that has
// completed.
static void write_hook(struct run *r, unsigned object, const struct record *rec, struct buf *b)
{
    const struct object *o = &r->desired->objects.v[object];
    unsigned all[DESIRED_MAX_PHASES];
    size_t n = desired_find_all(r->desired, &o->id, all);
    struct sha256 token = {0};
    struct sha256 none = {0};
    const char *uid = NULL;
    if (all[0] != object)
        return; // one line for all of its phases
    for (size_t i = 0; i < n; i++) {
        const struct node_rt *x = &r->nodes[all[i]];
        if (x->uid)
            uid = x->uid;
        if (x->is_ready)
            token = plan_hook_token(r->desired, all[i]);
    }
    if (uid)
        write_line(b, &o->id, o->version, uid, &token, &none, "h", "");
    else if (rec && !rec->is_intent)
        write_record(b, rec, rec->uid);
}

// The line of a desired object as things stand now; nothing when it was never there.
static void write_desired(struct run *r, unsigned object, struct buf *b)
{
    const struct object *o = &r->desired->objects.v[object];
    const struct node_rt *x = &r->nodes[object];
    const struct plan_item *it = x->item < 0 ? NULL : &r->plan->items.v[x->item];
    const struct record *rec = it && it->record >= 0 ? &r->records.v[it->record] : NULL;
    if (o->is_virtual || !it)
        return;
    if (o->is_hook) {
        write_hook(r, object, rec, b);
    } else if (x->uid && x->is_applied) {
        struct sha256 sent = x->leaves_fields ? plan_left_hash(&o->hash) : o->hash;
        write_line(b, &o->id, o->version, x->uid, &sent, &x->projection, o->is_made ? "m" : "", "");
    } else if (rec && !rec->is_intent) {
        write_record(b, rec, rec->uid);
    }
}

static char *map_path(const struct run *r, const char *name)
{
    return str_printf("/api/v1/namespaces/%s/configmaps/%s", run_records(r), name);
}

static json_t *map_doc(const struct run *r, const char *name, const char *what, const char *text)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:{s:s}}", "apiVersion", "v1", "kind",
                     "ConfigMap", "metadata", "name", name, "namespace", run_records(r), "labels",
                     INVENTORY_LABEL, what, "data", "records", text);
}

bool inventory_forget_all(struct kube *k, struct err *err)
{
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_call all = {.method = "DELETE",
                            .path = "/api/v1/namespaces/" REGROW_NAMESPACE
                                    "/configmaps?labelSelector=" INVENTORY_LABEL,
                            .patience_ms = KUBE_PATIENCE_MS,
                            .is_idempotent = true};
    kube_send_wait(k, &all, &reply, &store);
    return reply.cls == KUBE_OK || reply.http == 404 ||
           kube_reply_err(&reply, err, "forget what was made here");
}

// r->stored has what was listed, or with informers what this run has written since; null: deleted.
static bool is_stored(const struct run *r, const char *name, const char *text)
{
    const json_t *v = json_object_get(r->stored, name);
    const struct map *m = v || !r->opts.informers ? NULL : maps_find(r->opts.informers, name);
    struct sha256 hash = sha256_of(text, strlen(text));
    return m ? sha256_eq(&m->hash, &hash) : str_eq(json_string_value(v), text);
}

static bool has_map(const struct run *r, const char *name)
{
    const json_t *v = json_object_get(r->stored, name);
    return v ? !json_is_null(v) : r->opts.informers && maps_find(r->opts.informers, name);
}

static void drop_map(struct run *r, const char *name);

// Parts that an earlier, longer text had and this one has not.
static void drop_parts_from(struct run *r, char *(*name_of)(const char *app, unsigned part),
                            const char *app, unsigned first)
{
    for (unsigned part = first;; part++) {
        CLEANUP(str_freep) char *name = name_of(app, part);
        if (!has_map(r, name))
            return;
        drop_map(r, name);
    }
}

// ---- on the way to the cluster ----
// One write at a time for a ConfigMap, so that none overtakes another while it is asked again.
struct map_call {
    struct run *run;
    char *name, *what;
    char *text; // NULL: it is deleted
    struct map_call *next;
};

static void start(struct map_call *c);

static void map_call_free(struct map_call *c)
{
    if (!c)
        return;
    map_call_free(c->next);
    free(c->name);
    free(c->what);
    free(c->text);
    free(c);
}

static void forget_call(struct run *r, const struct map_call *c)
{
    for (size_t i = 0; i < r->map_calls.len; i++) {
        if (r->map_calls.v[i] == c) {
            r->map_calls.v[i] = r->map_calls.v[--r->map_calls.len];
            return;
        }
    }
}

static void on_written(void *ctx, const struct kube_reply *reply)
{
    struct map_call *c = ctx;
    struct run *r = c->run;
    r->pending_calls--;
    forget_call(r, c);
    if (reply->cls == KUBE_OK || (reply->cls == KUBE_ABSENT && !c->text))
        lent_map(r, c->name, c->text ? reply : NULL);
    if (reply->cls != KUBE_OK && reply->cls != KUBE_ABSENT) {
        struct err err = {0};
        kube_reply_err(reply, &err, "inventory");
        event_emit(r->opts.events, "run.warning", "{s:s}", "message", err.msg);
        err_clear(&err);
        r->sum.rejected += reply->http >= 400 && reply->http != 429;
        r->has_lost_records = true;
        if (c->text && !c->next)
            json_object_del(r->stored, c->name); // who has something to say of it says it anew
    }
    if (c->next && reply->cls != KUBE_CANCELLED)
        start(TAKE(c->next));
    map_call_free(c);
}

static void start(struct map_call *c)
{
    struct run *r = c->run;
    CLEANUP(str_freep) char *path = map_path(r, c->name);
    *vec_push(&r->map_calls) = c;
    r->pending_calls++;
    if (!c->text) {
        run_owns(r,
                 kube_delete(r->kube, path, NULL, "Background", KUBE_PATIENCE_MS, on_written, c));
        return;
    }
    CLEANUP(json_freep) json_t *doc = map_doc(r, c->name, c->what, c->text);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    struct kube_apply_opts o = {
        .manager = "regrow", .force = true, .patience_ms = KUBE_PATIENCE_MS};
    run_owns(r, kube_apply(r->kube, path, body.p, body.len, &o, on_written, c));
}

static void call_map(struct run *r, const char *name, const char *what, const char *text)
{
    struct map_call *c = mem_alloc(sizeof(*c));
    *c = (struct map_call){r, str_dup(name), str_dup(what), str_dup_or_null(text), NULL};
    for (size_t i = 0; i < r->map_calls.len; i++) {
        struct map_call *before = r->map_calls.v[i];
        if (strcmp(before->name, name) != 0)
            continue;
        map_call_free(before->next);
        before->next = c;
        return;
    }
    start(c);
}

static void drop_map(struct run *r, const char *name)
{
    call_map(r, name, "", NULL);
    json_object_set_new(r->stored, name, json_null());
}

static void apply_map(struct run *r, const char *name, const char *what, const char *text)
{
    if (is_stored(r, name, text))
        return;
    call_map(r, name, what, text);
    json_object_set_new(r->stored, name, json_string(text));
}

// Splits lines into texts of bounded size, each with the header; calls fn for each. How many.
static unsigned each_part(const char *header, const struct buf *lines,
                          void (*fn)(void *ctx, unsigned part, const char *text), void *ctx)
{
    unsigned part = 0;
    size_t at = 0;
    do {
        size_t end = lines->len - at > MAX_TEXT ? at + MAX_TEXT : lines->len;
        while (end < lines->len && end > at && lines->p[end - 1] != '\n')
            end--;
        CLEANUP(str_freep)
        char *text = str_printf("%s\n%.*s", header, (int)(end - at), lines->p ? lines->p + at : "");
        fn(ctx, part++, text);
        at = end;
    } while (at < lines->len);
    return part;
}

struct part_ctx {
    struct run *r;
    const char *app;
};

static void write_app_part(void *ctx, unsigned part, const char *text)
{
    const struct part_ctx *p = ctx;
    CLEANUP(str_freep) char *name = inventory_map_name(p->app, part);
    apply_map(p->r, name, "app", text);
}

// A closed webhook that judges ConfigMaps would refuse the inventory too.
static bool is_held_back(struct run *r)
{
    const struct kind_info *k = kinds_find(r->desired->kinds, "", "v1", "ConfigMap");
    CLEANUP(json_freep) json_t *doc = map_doc(r, "x", "app", "");
    return k && (gates_hold_back(r, k, doc, "CREATE") || gates_hold_back(r, k, doc, "UPDATE"));
}

// A pruned one is ACTION_NONE by now.
static bool stays_recorded(const struct plan_item *it)
{
    return it->action == ACTION_KEEP || it->action == ACTION_PRUNE || it->action == ACTION_LEFT ||
           it->stays;
}

static bool is_of_app(const struct run *r, const struct plan_item *it, unsigned app)
{
    if (it->object >= 0)
        return r->desired->objects.v[it->object].app == app;
    return desired_tracked_app(r->desired, r->records.v[it->record].app) == (int)app;
}

bool inventory_is_moved(const struct run *r, const struct plan_item *it)
{
    if (it->object < 0 || it->record < 0 || it->live < 0 || r->records.v[it->record].is_intent)
        return false;
    const struct object *o = &r->desired->objects.v[it->object];
    return strcmp(r->records.v[it->record].app, r->desired->apps.v[o->app]->tracking_name) != 0;
}

// An object that another application has by now: as long as that one's inventory does not say so,
// the one that had it remembers it, or nobody would if the next run did not want it any more.
static bool is_given(const struct run *r, const struct plan_item *it)
{
    return r->has_moves && inventory_is_moved(r, it) &&
           !(r->may_let_go && r->apps[r->desired->objects.v[it->object].app].is_recorded);
}

// A version that does not know the note goes by the word before it.
static char *header_of(const char *app, const json_t *note)
{
    struct buf b = {0};
    buf_printf(&b, HEADER "\t%s\t%s", app,
               json_dot_bool(note, "cascade", false) ? "prune" : "no-prune");
    if (note) {
        buf_char(&b, '\t');
        canon_write(note, &b);
    }
    return buf_take(&b);
}

static int cmp_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The same text from Git and from a snapshot, which have objects in orders of their own.
static void sort_lines(struct buf *lines)
{
    struct strv v = {0};
    if (!lines->len)
        return;
    strv_split(&v, lines->p, '\n');
    qsort(v.v, v.len, sizeof(*v.v), cmp_line);
    buf_reset(lines);
    for (size_t i = 0; i < v.len; i++)
        if (*v.v[i])
            buf_printf(lines, "%s\n", v.v[i]);
    strv_clear(&v);
}

void inventory_write_app(struct run *r, unsigned app)
{
    const struct application *a = r->desired->apps.v[app];
    if (r->opts.read_only || a->state != APP_KNOWN || r->apps[app].is_recorded ||
        !desired_takes(r->desired, app) || is_held_back(r))
        return;
    r->apps[app].is_recorded = true;
    struct buf lines CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        bool is_its = is_of_app(r, it, app);
        if (is_its && it->object >= 0) {
            write_desired(r, (unsigned)it->object, &lines);
        } else if (is_its && stays_recorded(it)) {
            write_kept(r, it, &lines);
        } else if (is_given(r, it) && !strcmp(r->records.v[it->record].app, a->tracking_name)) {
            write_kept(r, it, &lines);
            r->apps[app].has_given = true;
        }
    }
    sort_lines(&lines);
    CLEANUP(json_freep) json_t *note = cascade_note(r->desired, app);
    CLEANUP(str_freep) char *header = header_of(a->tracking_name, note);
    CLEANUP(str_freep) char *name = inventory_map_name(a->tracking_name, 0);
    if (!lines.len && !has_map(r, name))
        return;
    struct part_ctx p = {r, a->tracking_name};
    unsigned parts = each_part(header, &lines, write_app_part, &p);
    drop_parts_from(r, inventory_map_name, a->tracking_name, parts);
}

void inventory_write_deferred(struct run *r)
{
    for (unsigned i = 0; i < r->desired->apps.len; i++)
        if (r->nodes[r->graph->app_end[i]].is_ready && !r->apps[i].has_prunings)
            inventory_write_app(r, i);
}

// What is left of an application that is gone.
struct remains {
    const char *app;
    bool has_left; // its objects have stayed, and it is no mistake
    struct buf lines;
};
typedef VEC(struct remains) remains_list;

static struct remains *remains_of(remains_list *all, const struct record *rec)
{
    for (size_t i = 0; i < all->len; i++)
        if (!strcmp(all->v[i].app, rec->app))
            return &all->v[i];
    struct remains *x = vec_push(all);
    x->app = rec->app;
    return x;
}

// As its application last said; from the run on that left its objects behind with the time of it.
static json_t *remains_note(const struct run *r, const struct remains *x)
{
    json_t *note = json_deep_copy(json_object_get(r->notes, x->app));
    if (x->has_left && !json_object_get(note, CASCADE_LEFT)) {
        CLEANUP(str_freep) char *now = clock_rfc3339(clock_unix_ms() / 1000);
        note = note ? note : json_object();
        json_object_set_new(note, CASCADE_LEFT, json_string(now));
    }
    return note;
}

static void write_remains(struct run *r, const struct remains *x)
{
    CLEANUP(str_freep) char *name = inventory_map_name(x->app, 0);
    CLEANUP(json_freep) json_t *note = remains_note(r, x);
    CLEANUP(str_freep) char *header = header_of(x->app, note);
    unsigned parts = 0;
    struct part_ctx p = {r, x->app};
    if (x->lines.len && (x->has_left || has_map(r, name)))
        parts = each_part(header, &x->lines, write_app_part, &p);
    drop_parts_from(r, inventory_map_name, x->app, parts);
}

// Inventories of applications that are gone: what is left of them, or nothing.
static void write_vanished(struct run *r)
{
    remains_list left = {0};
    for (size_t i = 0; i < r->records.len; i++)
        if (desired_tracked_app(r->desired, r->records.v[i].app) < 0)
            remains_of(&left, &r->records.v[i]);
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        const struct record *rec = it->record < 0 ? NULL : &r->records.v[it->record];
        bool stays = it->object >= 0 ? is_given(r, it) : stays_recorded(it);
        if (!rec || desired_tracked_app(r->desired, rec->app) >= 0 || !stays)
            continue;
        struct remains *x = remains_of(&left, rec);
        x->has_left |= it->action == ACTION_LEFT;
        write_kept(r, it, &x->lines);
    }
    for (size_t i = 0; i < left.len; i++) {
        write_remains(r, &left.v[i]);
        buf_clear(&left.v[i].lines);
    }
    vec_clear(&left);
}

// What the cluster is grown from, so that status, why and diff need not be told. Written before
// the first object: a run that is killed can still be asked about.
static char *root_of(const struct run *r)
{
    struct buf text = {0};
    buf_printf(&text, HEADER "\t%s\n", r->opts.root);
    if (r->opts.then)
        buf_printf(&text, INVENTORY_THEN "\t%s\n", r->opts.then);
    return buf_take(&text);
}

static void write_root(struct run *r)
{
    if (!r->opts.root || is_held_back(r))
        return;
    CLEANUP(str_freep) char *text = root_of(r);
    apply_map(r, REGROW_ROOT_MAP, "root", text);
}

void inventory_write_rest(struct run *r)
{
    if (r->opts.read_only)
        return;
    write_root(r);
    for (unsigned i = 0; i < r->desired->apps.len; i++) {
        // Unfinished ones too, if anything of theirs has been touched.
        const struct app_rt *a = &r->apps[i];
        if (a->started_ms || a->has_prunings || r->nodes[r->graph->app_end[i]].is_ready)
            inventory_write_app(r, i);
    }
}

void inventory_let_go(struct run *r)
{
    if (r->opts.read_only || r->has_lost_records || r->map_calls.len)
        return; // what is remembered twice does no harm, and the next run tidies up
    r->may_let_go = true;
    for (unsigned i = 0; i < r->desired->apps.len; i++) {
        if (!r->apps[i].has_given)
            continue;
        r->apps[i].is_recorded = r->apps[i].has_given = false;
        inventory_write_app(r, i);
    }
    if (!r->desired->whole || r->desired->is_with_gone)
        write_vanished(r);
}

static char *intent_name(const char *app, unsigned part)
{
    (void)app;
    return part ? str_printf(INTENT_MAP "-%u", part) : str_dup(INTENT_MAP);
}

struct intent_wait {
    struct run *r;
    struct err *err;
    bool ok;
};

// Written when it returns.
static bool store_map(struct run *r, const char *name, const char *what, const char *text,
                      const char *purpose, struct err *err)
{
    if (is_stored(r, name, text))
        return true;
    CLEANUP(json_freep) json_t *doc = map_doc(r, name, what, text);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    CLEANUP(str_freep) char *path = map_path(r, name);
    CLEANUP(str_freep) char *url = str_printf("%s?fieldManager=regrow&force=true", path);
    struct kube_call c = {.method = "PATCH",
                          .path = url,
                          .body = body.p,
                          .body_len = body.len,
                          .content_type = "application/apply-patch+yaml",
                          .patience_ms = run_patience(r),
                          .is_idempotent = true};
    struct kube_reply reply;
    struct buf store CLEANUP(buf_clear) = {0};
    kube_send_wait(r->kube, &c, &reply, &store);
    if (reply.cls != KUBE_OK)
        return kube_reply_err(&reply, err, purpose);
    lent_map(r, name, &reply);
    return true;
}

static void write_intent_part(void *ctx, unsigned part, const char *text)
{
    struct intent_wait *w = ctx;
    CLEANUP(str_freep) char *name = intent_name(NULL, part);
    w->ok = w->ok && store_map(w->r, name, "intent", text, "note what is to be created", w->err);
}

// One that this run is going to create, or that an earlier one was and that is there.
static const char *note_intent(struct run *r, const struct plan_item *it, struct buf *lines)
{
    const struct record *rec = it->record < 0 ? NULL : &r->records.v[it->record];
    if (it->object >= 0 && it->action == ACTION_CREATE) {
        const struct object *o = &r->desired->objects.v[it->object];
        const char *app = r->desired->apps.v[o->app]->tracking_name;
        CLEANUP(str_freep)
        char *flags = str_printf("%s%s", o->is_hook ? "h" : "", o->is_made ? "m" : "");
        write_line(lines, &o->id, o->version, NULL, NULL, NULL, flags, app);
        return app;
    }
    if (!rec || !rec->is_intent || it->live < 0)
        return NULL;
    CLEANUP(str_freep)
    char *flags = str_printf("%s%s", rec->is_hook ? "h" : "", rec->is_made ? "m" : "");
    write_line(lines, &rec->id, rec->version, NULL, NULL, NULL, flags, rec->app);
    return rec->app;
}

// The applications of what is noted, for the day they are gone.
static void write_notes(const struct run *r, const json_t *apps, struct buf *lines)
{
    const char *app;
    json_t *v;
    json_object_foreach((json_t *)apps, app, v)
    {
        int at = desired_tracked_app(r->desired, app);
        CLEANUP(json_freep)
        json_t *note = at < 0 ? json_incref(json_object_get(r->notes, app))
                              : cascade_note(r->desired, (unsigned)at);
        if (!note)
            continue;
        buf_printf(lines, NOTE "\t%s\t", app);
        canon_write(note, lines);
        buf_char(lines, '\n');
    }
}

// Who goes on is remembered before the first field is given to them: a run that is killed in
// between must leave behind that they are to be given back, and to whom.
static bool write_root_first(struct run *r, struct err *err)
{
    if (!r->opts.root || !r->opts.then) {
        write_root(r);
        return true;
    }
    CLEANUP(str_freep) char *text = root_of(r);
    if (!store_map(r, REGROW_ROOT_MAP, "root", text, "note who reconciles this cluster", err))
        return false;
    json_object_set_new(r->stored, REGROW_ROOT_MAP, json_string(text));
    return true;
}

bool inventory_write_intent(struct run *r, struct err *err)
{
    struct buf lines CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *apps = json_object();
    bool any = false;
    if (r->opts.read_only)
        return true;
    if (!write_root_first(r, err))
        return false;
    for (size_t i = 0; i < r->plan->items.len; i++) {
        const struct plan_item *it = &r->plan->items.v[i];
        const char *app = note_intent(r, it, &lines);
        if (app)
            json_object_set_new(apps, app, json_true());
        any |= app && it->action == ACTION_CREATE && it->object >= 0 && it->record < 0;
    }
    if (!any)
        return true;
    write_notes(r, apps, &lines);
    struct intent_wait w = {r, err, true};
    unsigned parts = each_part(HEADER "\t\t", &lines, write_intent_part, &w);
    if (w.ok)
        drop_parts_from(r, intent_name, NULL, parts);
    return w.ok;
}
