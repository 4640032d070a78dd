// SPDX-License-Identifier: Apache-2.0
//
// What the clusters of a fleet hold: read once, with the sources of the controller, and handed
// over. And documents for whoever asks.
#include "reconcile/fleet_int.h"

#include <stdlib.h>
#include <string.h>

void fleet_renew(struct fleet *f, struct source_now *now)
{
    if (!f || !f->is_synced || json_equal(f->argocd, f->argocd_old))
        return;
    // What was lent to the last load is let go when this one has taken its place.
    json_t *lent = json_copy(f->argocd);
    now->argocd = lent;
    json_decref(f->argocd_old);
    f->argocd_old = lent;
}

void fleet_forget_told(struct fleet *f)
{
    if (!f)
        return;
    json_decref(f->argocd_old);
    f->argocd_old = NULL;
}

void fleet_loaded(struct fleet *f)
{
    for (size_t i = 0; f && i < f->v.len; i++)
        f->v.v[i]->is_dirty = true;
}

static bool is_owed(const struct member *m)
{
    return m->is_dirty && m->spoke && !m->is_stopping && !m->is_going &&
           (m->src.kinds || m->next_kinds);
}

bool fleet_owes(const struct fleet *f)
{
    if (!fleet_is_on(f) || !f->c->desired || !f->c->app_is_read || f->c->is_polling ||
        f->c->must_load)
        return false;
    for (size_t i = 0; i < f->v.len; i++)
        if (is_owed(f->v.v[i]))
            return true;
    return false;
}

static void give_app(struct member *m, const char *key, const json_t *doc)
{
    const char *version = json_dot_text(doc, "metadata.resourceVersion");
    const char *slash = strchr(key, '/');
    if (!slash || str_eq(json_string_value(json_object_get(m->sent, key)), version))
        return;
    CLEANUP(str_freep) char *ns = str_ndup(key, (size_t)(slash - key));
    json_object_set_new(m->sent, key, json_string(version));
    spoke_give_application(m->spoke, ns, slash + 1, json_deep_copy(doc));
}

static void note_apps(struct member *m)
{
    const struct desired *d = m->src.desired;
    json_object_clear(m->apps);
    for (size_t i = 0; d && i < d->apps.len; i++) {
        const struct application *a = d->apps.v[i];
        CLEANUP(str_freep) char *key = report_key(a);
        if (a->is_passing || a->state == APP_OTHER_CLUSTER)
            continue;
        json_object_set_new(m->apps, key, json_string(a->tracking_name));
        CLEANUP(json_freep) json_t *doc = report_kept(m->fleet->c, key);
        if (doc)
            give_app(m, key, doc);
    }
    const char *app;
    json_t *v;
    void *tmp;
    json_object_foreach_safe(m->docs, tmp, app, v)
    {
        if (d && desired_tracked_app(d, app) < 0)
            json_object_del(m->docs, app);
    }
}

static void hand_over(struct member *m, unsigned number)
{
    if (!m->spoke || m->is_stopping)
        return;
    if (!m->src.desired) {
        spoke_give_state(m->spoke, NULL, 0, &m->src.problem);
        m->is_fed = false;
        return;
    }
    note_apps(m); // what people ask for comes before what it is asked of
    if (m->src.is_same && m->is_fed)
        return;
    struct err none = {0};
    spoke_give_state(m->spoke, desired_dup(m->src.desired), number, &none);
    m->is_fed = true;
}

struct pinned {
    VEC(struct source_pin) v;
    VEC(struct strv *) lists;
};

static void pinned_of(const json_t *pins, struct pinned *out)
{
    const char *app;
    json_t *list;
    json_object_foreach((json_t *)pins, app, list)
    {
        struct strv *v = mem_alloc(sizeof(*v));
        size_t i;
        json_t *x;
        json_array_foreach(list, i, x)
        {
            strv_push(v, json_string_value(x));
        }
        *vec_push(&out->lists) = v;
        *vec_push(&out->v) = (struct source_pin){app, v};
    }
}

static void pinned_clear(struct pinned *p)
{
    for (size_t i = 0; i < p->lists.len; i++) {
        strv_clear(p->lists.v[i]);
        free(p->lists.v[i]);
    }
    vec_clear(&p->lists);
    vec_clear(&p->v);
}

static bool load_member(struct fleet *f, struct member *m, struct err *err)
{
    struct pinned p CLEANUP(pinned_clear) = {0};
    CLEANUP(json_freep) json_t *pins = json_incref(m->pins);
    struct strv hard = {0};
    unsigned number = m->pin_number;
    const char *key;
    json_t *app;
    if (m->next_kinds) {
        kinds_free(m->src.kinds);
        m->src.kinds = TAKE(m->next_kinds);
        free(m->src.kube_version);
        m->src.kube_version = TAKE(m->next_version);
    }
    pinned_of(pins, &p);
    json_object_foreach(m->apps, key, app)
    {
        if (m->is_hard)
            strv_push(&hard, json_string_value(app));
    }
    m->is_dirty = m->is_hard = false;
    m->src.pins = p.v.v;
    m->src.n_pins = p.v.len;
    m->src.hard = &hard;
    bool ok = source_load_cluster(f->c->source, f->c->desired, &m->src, err);
    m->src.pins = NULL;
    m->src.n_pins = 0;
    m->src.hard = NULL;
    strv_clear(&hard);
    if (ok)
        hand_over(m, number);
    return ok;
}

bool fleet_load(struct fleet *f, struct err *err)
{
    bool ok = true;
    f->is_loading = f->c->is_loading = true;
    for (size_t i = 0; ok && i < f->v.len; i++)
        if (is_owed(f->v.v[i]))
            ok = load_member(f, f->v.v[i], err);
    f->is_loading = f->c->is_loading = false;
    return ok;
}

void fleet_application(struct fleet *f, const char *ns, const char *name, json_t *doc)
{
    CLEANUP(str_freep) char *key = str_printf("%s/%s", ns, name);
    for (size_t i = 0; f && i < f->v.len; i++) {
        struct member *m = f->v.v[i];
        if (!m->spoke || !json_object_get(m->apps, key))
            continue;
        if (doc) {
            give_app(m, key, doc);
            continue;
        }
        json_object_del(m->sent, key);
        spoke_give_application(m->spoke, ns, name, NULL);
    }
}

// ---- for whoever asks ----

void fleet_applications(struct fleet *f, json_t *list)
{
    for (size_t i = 0; f && i < f->v.len; i++) {
        const char *app;
        json_t *doc;
        json_object_foreach(f->v.v[i]->docs, app, doc)
        {
            json_array_append(list, doc);
        }
    }
}

static struct member *member_of(struct fleet *f, const char *name, const char **app)
{
    for (size_t i = 0; f && i < f->v.len; i++) {
        json_t *doc;
        json_object_foreach(f->v.v[i]->docs, *app, doc)
        {
            if (str_eq(*app, name) || str_eq(json_dot_str(doc, "name"), name))
                return f->v.v[i];
        }
    }
    return NULL;
}

json_t *fleet_app(struct fleet *f, const char *name)
{
    const char *app;
    struct member *m = member_of(f, name, &app);
    return m ? json_incref(json_object_get(m->docs, app)) : NULL;
}

static json_t *cluster_doc(const struct fleet *f, const char *key, const char *name,
                           const char *server, const json_t *said, bool is_led)
{
    const json_t *noted = f->shards ? shards_noted(f->shards, key) : NULL;
    const char *holder = f->shards ? shards_holder(f->shards, key) : NULL;
    const json_t *from = is_led || !holder ? said : noted;
    json_t *doc =
        json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:b}", "name", name, "server", server, "state",
                  json_dot_str(from, "state") ? json_dot_str(from, "state") : "waiting", "message",
                  json_dot_str(from, "message"), "version", json_dot_str(from, "version"), "holder",
                  holder, "leader", is_led);
    return doc;
}

static json_t *hub_doc(const struct fleet *f)
{
    CLEANUP(json_freep)
    json_t *said = json_pack("{s:s, s:s}", "state", kube_is_down(f->c->kube) ? "unreachable" : "ok",
                             "version", kube_version(f->c->kube));
    json_t *doc = cluster_doc(f, FLEET_HUB, "in-cluster", FLEET_HUB, said, controller_leads(f->c));
    json_object_set_new(doc, "applications", json_integer((json_int_t)f->c->apps.len));
    return doc;
}

static json_t *member_doc(const struct fleet *f, const struct member *m)
{
    static const char *const counts[] = {"synced", "healthy", "writes", "requests", "rejected",
                                         "drifts", "heals",   "pruned", "queue",    "failedSyncs"};
    bool is_led = m->spoke != NULL;
    const char *key = m->is_in_fleet ? m->key : ""; // else what is told of it is another Secret's
    json_t *doc = cluster_doc(f, key, m->name, m->server, m->said, is_led);
    const char *noted =
        f->shards && !is_led ? json_dot_str(shards_noted(f->shards, key), "applications") : NULL;
    json_int_t apps = is_led ? (json_int_t)json_object_size(m->apps) : noted ? atoll(noted) : 0;
    json_object_set_new(doc, "applications", json_integer(apps));
    for (size_t i = 0; is_led && i < ARRAY_LEN(counts); i++)
        if (json_object_get(m->said, counts[i]))
            json_object_set(doc, counts[i], json_object_get(m->said, counts[i]));
    if (m->since_unix_s && is_led)
        json_object_set_new(doc, "since", json_integer(m->since_unix_s));
    return doc;
}

json_t *controller_fleet(const struct controller *c)
{
    const struct fleet *f = c->fleet;
    if (!fleet_is_on(f))
        return NULL;
    json_t *list = json_array();
    json_array_append_new(list, hub_doc(f));
    for (size_t i = 0; i < f->v.len; i++)
        if (!f->v.v[i]->is_going)
            json_array_append_new(list, member_doc(f, f->v.v[i]));
    return json_pack("{s:o, s:I, s:s}", "clusters", list, "replicas",
                     (json_int_t)shards_replicas(f->shards), "holder", f->holder);
}
