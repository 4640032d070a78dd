// SPDX-License-Identifier: Apache-2.0
#include "reconcile/shards.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "reconcile/run.h"

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/" REGROW_NAMESPACE "/leases"
#define DURATION_S 15
#define RENEWALS 3 // of them within the duration
#define TICK_MS 500
#define CLAIMS 32        // at once
#define STALE_MS 60000   // after so long the Lease of what is no more is deleted
#define WATCH_MS 5000    // before it is watched again
#define FAREWELL_MS 5000 // for everything that is given back at the end
#define FRESH_MS 1000    // what was written so lately a list may not have yet

struct seat {
    struct shards *shards;
    char *lease; // its name
    char *key;   // NULL: of a replica, or of no cluster that is known
    char *title, *server;
    struct sha256 rank; // in which order we want them
    enum shard_state state;
    bool is_replica, is_own; // is_own: by which others know that we live
    // As it was seen:
    bool is_there, is_listed;
    char *holder, *version;
    json_t *noted;
    int64_t seen_ms, duration_ms; // monotonic: when it moved last
    // What we do with it:
    json_t *note;
    int64_t due_ms; // monotonic: the next renewal
    bool in_flight, is_claim, is_release;
};

struct shards {
    struct loop *loop;
    struct kube *kube;
    struct shards_opts o;
    char *holder;
    struct kind_info kind;
    int64_t duration_ms;
    VEC(struct seat *) seats; // by name of the Lease
    struct kube_watch *watch;
    struct loop_timer *tick;
    int64_t watch_due_ms;
    bool is_synced, is_closing, is_ending;
    unsigned pending;
};

size_t shard_quota(size_t clusters, size_t replicas)
{
    return replicas ? (clusters + replicas - 1) / replicas : clusters;
}

static char *lease_name(const char *what, const char *key)
{
    struct sha256 h = sha256_of(key, strlen(key));
    CLEANUP(str_freep) char *hex = hex_encode(h.b, 10);
    return str_printf("%s-%s", what, hex);
}

char *shard_lease_name(const char *key)
{
    return lease_name("cluster", key);
}

// ---- seats ----

static size_t place_of(const struct shards *s, const char *lease, bool *is_there)
{
    size_t lo = 0;
    size_t hi = s->seats.len;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (strcmp(s->seats.v[mid]->lease, lease) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *is_there = lo < s->seats.len && !strcmp(s->seats.v[lo]->lease, lease);
    return lo;
}

static struct seat *find_lease(const struct shards *s, const char *lease)
{
    bool is_there;
    size_t at = place_of(s, lease, &is_there);
    return is_there ? s->seats.v[at] : NULL;
}

static struct seat *seat_of(struct shards *s, const char *lease)
{
    bool is_there;
    size_t at = place_of(s, lease, &is_there);
    if (is_there)
        return s->seats.v[at];
    struct seat *x = mem_alloc(sizeof(*x));
    x->shards = s;
    x->lease = str_dup(lease);
    x->seen_ms = clock_mono_ms();
    (void)vec_push(&s->seats);
    memmove(&s->seats.v[at + 1], &s->seats.v[at], (s->seats.len - 1 - at) * sizeof(struct seat *));
    s->seats.v[at] = x;
    return x;
}

static struct seat *find(const struct shards *s, const char *key)
{
    CLEANUP(str_freep) char *lease = shard_lease_name(key);
    return find_lease(s, lease);
}

static void seat_free(struct seat *x)
{
    free(x->lease);
    free(x->key);
    free(x->title);
    free(x->server);
    free(x->holder);
    free(x->version);
    json_decref(x->noted);
    json_decref(x->note);
    free(x);
}

static bool is_ours(const struct seat *x)
{
    return str_eq(x->holder, x->shards->holder);
}

static bool is_held(const struct seat *x, int64_t now_ms)
{
    return x->is_there && !str_is_empty(x->holder) && now_ms - x->seen_ms <= x->duration_ms;
}

static void set_state(struct seat *x, enum shard_state state)
{
    struct shards *s = x->shards;
    if (x->state == state)
        return;
    x->state = state;
    if (!s->is_ending)
        s->o.changed(s->o.ctx);
}

// ---- writing ----

static json_t *annotations_of(const struct seat *x)
{
    json_t *out = json_object();
    const char *k;
    json_t *v;
    json_object_foreach(x->note, k, v)
    {
        CLEANUP(str_freep) char *name = str_printf(SHARD_NOTE "%s", k);
        if (json_is_string(v))
            json_object_set(out, name, v);
    }
    if (x->title)
        json_object_set_new(out, SHARD_NOTE "cluster", json_string(x->title));
    if (x->server)
        json_object_set_new(out, SHARD_NOTE "server", json_string(x->server));
    return out;
}

static json_t *lease_doc(const struct seat *x, bool release)
{
    const struct shards *s = x->shards;
    CLEANUP(str_freep) char *now = clock_rfc3339_us(clock_unix_ms() * 1000);
    json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:o}, s:{s:s, s:i, s:s}}",
                            "apiVersion", "coordination.k8s.io/v1", "kind", "Lease", "metadata",
                            "name", x->lease, "namespace", REGROW_NAMESPACE, "labels", SHARD_LABEL,
                            x->is_replica ? "replica" : "cluster", "annotations", annotations_of(x),
                            "spec", "holderIdentity", release ? "" : s->holder,
                            "leaseDurationSeconds", (int)(s->duration_ms / 1000), "renewTime", now);
    if (x->is_there && x->version)
        json_object_set_new(json_object_get(doc, "metadata"), "resourceVersion",
                            json_string(x->version));
    return doc;
}

static void note_written(struct seat *x, const struct kube_reply *r)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct err err = {0};
    if (!canon_read(r->body, r->body_len, &doc, &err)) {
        err_clear(&err); // the watch brings it
        return;
    }
    str_set(&x->version, json_dot_str(doc, "metadata.resourceVersion"));
    str_set(&x->holder, json_dot_str(doc, "spec.holderIdentity"));
    x->duration_ms = x->shards->duration_ms;
    x->seen_ms = clock_mono_ms();
    x->is_there = true;
}

static void on_namespace(void *ctx, const struct kube_reply *r)
{
    struct shards *s = ctx;
    (void)r; // what is to be written in it is tried again
    s->pending--;
}

static void make_namespace(struct shards *s)
{
    static const char doc[] = "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
                              "\"labels\":{\"app.kubernetes.io/managed-by\":\"regrow\"},"
                              "\"name\":\"" REGROW_NAMESPACE "\"}}";
    struct kube_call c = {.method = "PATCH",
                          .path = "/api/v1/namespaces/" REGROW_NAMESPACE "?fieldManager=regrow",
                          .body = doc,
                          .body_len = sizeof(doc) - 1,
                          .content_type = "application/apply-patch+yaml",
                          .timeout_ms = 5000,
                          .is_idempotent = true};
    s->pending++;
    kube_own(kube_send(s->kube, &c, on_namespace, s), s);
}

static void on_written(void *ctx, const struct kube_reply *r)
{
    struct seat *x = ctx;
    struct shards *s = x->shards;
    s->pending--;
    x->in_flight = false;
    bool was_release = x->is_release;
    x->is_release = x->is_claim = false;
    if (r->cls == KUBE_OK) {
        note_written(x, r);
        if (was_release)
            set_state(x, SHARD_OTHERS);
        else if (!x->is_replica && x->state == SHARD_OTHERS && is_ours(x))
            set_state(x, SHARD_OURS);
        return;
    }
    if (r->cls == KUBE_ABSENT || r->cls == KUBE_NO_NAMESPACE) {
        x->is_there = false; // deleted by hand: it is made anew
        if (x->is_own && !s->is_ending)
            make_namespace(s);
    }
    x->due_ms = clock_mono_ms() + 1000;
    if (was_release) // it runs out by itself
        set_state(x, SHARD_OTHERS);
}

static void write_seat(struct seat *x, bool release)
{
    struct shards *s = x->shards;
    CLEANUP(json_freep) json_t *doc = lease_doc(x, release);
    CLEANUP(str_freep) char *path = str_printf(LEASES "/%s", x->lease);
    struct buf body CLEANUP(buf_clear) = {0};
    canon_write(doc, &body);
    bool is_new = !x->is_there || !x->version;
    struct kube_call c = {.method = is_new ? "POST" : "PUT",
                          .path = is_new ? LEASES : path,
                          .body = body.p,
                          .body_len = body.len,
                          .timeout_ms = 5000,
                          .is_urgent = true};
    x->in_flight = true;
    x->is_release = release;
    x->due_ms = clock_mono_ms() + s->duration_ms / RENEWALS;
    s->pending++;
    kube_own(kube_send(s->kube, &c, on_written, x), s);
}

static void on_deleted(void *ctx, const struct kube_reply *r)
{
    struct seat *x = ctx;
    x->shards->pending--;
    x->in_flight = false;
    if (r->cls == KUBE_OK || r->cls == KUBE_ABSENT)
        x->is_there = false;
    x->due_ms = clock_mono_ms() + 1000;
    set_state(x, SHARD_OTHERS);
}

static void delete_seat(struct seat *x)
{
    CLEANUP(str_freep) char *path = str_printf(LEASES "/%s", x->lease);
    x->in_flight = true;
    x->shards->pending++;
    kube_own(kube_delete(x->shards->kube, path, NULL, "Background", 0, on_deleted, x), x->shards);
}

// ---- what is seen ----

static bool is_older(const struct seat *x, const char *version)
{
    return x->is_there && x->version && version &&
           strtoull(version, NULL, 10) < strtoull(x->version, NULL, 10);
}

static json_t *noted_of(const json_t *doc)
{
    json_t *out = json_object();
    const char *k;
    json_t *v;
    json_object_foreach(json_object_get(json_object_get(doc, "metadata"), "annotations"), k, v)
    {
        if (str_starts(k, SHARD_NOTE) && json_is_string(v))
            json_object_set(out, k + strlen(SHARD_NOTE), v);
    }
    return out;
}

static void see(struct shards *s, const json_t *doc)
{
    const char *what = json_label(doc, SHARD_LABEL);
    const char *version = json_dot_str(doc, "metadata.resourceVersion");
    if (!what || !json_dot_str(doc, "metadata.name"))
        return;
    struct seat *x = seat_of(s, json_dot_str(doc, "metadata.name"));
    x->is_listed = true;
    x->is_replica = !strcmp(what, "replica");
    if (is_older(x, version))
        return; // than the answer to our own write
    bool has_moved = !x->is_there || !str_eq(x->version, version);
    long long duration = json_dot_int(doc, "spec.leaseDurationSeconds", DURATION_S);
    x->is_there = true;
    str_set(&x->version, version);
    str_set(&x->holder, json_dot_str(doc, "spec.holderIdentity"));
    x->duration_ms = (duration > 0 && duration < 600 ? duration : DURATION_S) * 1000;
    if (has_moved)
        x->seen_ms = clock_mono_ms();
    json_decref(x->noted);
    x->noted = noted_of(doc);
    if (x->is_replica)
        return;
    if (x->state != SHARD_OTHERS && !is_ours(x) && !x->in_flight)
        set_state(x, SHARD_OTHERS); // somebody else has it
    else if (x->state == SHARD_OTHERS && is_ours(x) && x->key && !x->in_flight)
        set_state(x, SHARD_OURS); // the answer to our own write was lost
}

static void unseen(struct seat *x)
{
    x->is_there = false;
    str_set(&x->version, NULL);
    str_set(&x->holder, NULL);
}

static void on_lease(void *ctx, enum kube_event ev, json_t *doc)
{
    struct shards *s = ctx;
    switch (ev) {
    case KUBE_ITEM:
    case KUBE_ADDED:
    case KUBE_MODIFIED:
        see(s, doc);
        return;
    case KUBE_DELETED: {
        struct seat *x = find_lease(s, json_dot_text(doc, "metadata.name"));
        if (x && !is_older(x, json_dot_str(doc, "metadata.resourceVersion")))
            unseen(x);
        return;
    }
    case KUBE_SYNCED:
        for (size_t i = 0; i < s->seats.len; i++) {
            struct seat *x = s->seats.v[i];
            if (!x->is_listed && !x->in_flight && clock_mono_ms() - x->seen_ms > FRESH_MS)
                unseen(x);
            x->is_listed = false;
        }
        s->is_synced = true;
        return;
    case KUBE_RESTARTED:
        for (size_t i = 0; i < s->seats.len; i++)
            s->seats.v[i]->is_listed = false;
        return;
    case KUBE_GONE:
        s->watch = NULL;
        s->watch_due_ms = clock_mono_ms() + WATCH_MS;
        return;
    }
}

static void on_unwatched(void *ctx, const struct kube_reply *r)
{
    struct shards *s = ctx;
    (void)r;
    s->watch = NULL;
    s->watch_due_ms = clock_mono_ms() + WATCH_MS;
}

static void watch(struct shards *s)
{
    struct kube_watch_opts o = {.kind = &s->kind,
                                .namespace = REGROW_NAMESPACE,
                                .light_changes = true,
                                .event = on_lease,
                                .failed = on_unwatched,
                                .ctx = s};
    s->watch = kube_watch(s->kube, &o);
}

// ---- the rule ----

size_t shards_replicas(const struct shards *s)
{
    int64_t now = clock_mono_ms();
    size_t n = 1;
    for (size_t i = 0; i < s->seats.len; i++) {
        const struct seat *x = s->seats.v[i];
        n += x->is_replica && !x->is_own && is_held(x, now);
    }
    return n;
}

static int by_rank(const void *a, const void *b)
{
    const struct seat *const *x = a;
    const struct seat *const *y = b;
    return memcmp((*x)->rank.b, (*y)->rank.b, sizeof((*x)->rank.b));
}

// What may be claimed, or what is ours, in the order of our liking; owned.
static struct seat **choose(struct shards *s, bool ours, size_t *n)
{
    int64_t now = clock_mono_ms();
    struct seat **out = mem_alloc((s->seats.len + 1) * sizeof(struct seat *));
    *n = 0;
    for (size_t i = 0; i < s->seats.len; i++) {
        struct seat *x = s->seats.v[i];
        bool is_free = x->state == SHARD_OTHERS && !x->in_flight && x->due_ms <= now &&
                       (!is_held(x, now) || is_ours(x));
        if (x->key && (ours ? x->state == SHARD_OURS : is_free))
            out[(*n)++] = x;
    }
    qsort(out, *n, sizeof(*out), by_rank);
    return out;
}

static void balance(struct shards *s)
{
    size_t clusters = 0;
    size_t claimed = 0;
    size_t n_ours;
    size_t n_free;
    for (size_t i = 0; i < s->seats.len; i++) {
        clusters += s->seats.v[i]->key != NULL;
        claimed += s->seats.v[i]->is_claim;
    }
    size_t quota = shard_quota(clusters, shards_replicas(s));
    struct seat **ours = choose(s, true, &n_ours);
    struct seat **vacant = choose(s, false, &n_free);
    for (size_t i = quota; i < n_ours; i++)
        set_state(ours[i], SHARD_LEAVING);
    for (size_t i = 0; i < n_free && n_ours + claimed < quota && claimed < CLAIMS; i++, claimed++) {
        vacant[i]->is_claim = true;
        write_seat(vacant[i], false);
    }
    free(ours);
    free(vacant);
}

static void renew(struct shards *s)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < s->seats.len; i++) {
        struct seat *x = s->seats.v[i];
        bool is_kept = x->is_own || x->state != SHARD_OTHERS;
        bool is_stale = x->is_there && !x->key && now - x->seen_ms > STALE_MS;
        if (x->in_flight || x->due_ms > now)
            continue;
        if (is_kept)
            write_seat(x, false);
        else if (is_stale)
            delete_seat(x);
    }
}

static void sweep(struct shards *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->seats.len; i++) {
        struct seat *x = s->seats.v[i];
        bool is_done =
            !x->key && !x->is_own && !x->is_there && !x->in_flight && x->state == SHARD_OTHERS;
        if (is_done)
            seat_free(x);
        else
            s->seats.v[kept++] = x;
    }
    s->seats.len = kept;
}

static void on_tick(void *ctx)
{
    struct shards *s = ctx;
    CLEANUP(str_freep) char *own = lease_name("replica", s->holder);
    if (!s->watch && s->watch_due_ms <= clock_mono_ms())
        watch(s);
    if (s->is_synced) {
        renew(s);
        // Others must be able to know of us before they could wonder where their share went.
        if (!s->is_closing && find_lease(s, own)->is_there)
            balance(s);
        sweep(s);
    }
    loop_timer_set(s->tick, TICK_MS);
}

// ---- for the fleet ----

void shards_add(struct shards *s, const char *key, const char *name, const char *server)
{
    CLEANUP(str_freep) char *lease = shard_lease_name(key);
    CLEANUP(str_freep) char *rank = str_printf("%s\n%s", s->holder, key);
    struct seat *x = seat_of(s, lease);
    str_set(&x->key, key);
    str_set(&x->title, name);
    str_set(&x->server, server);
    x->rank = sha256_of(rank, strlen(rank));
}

void shards_drop(struct shards *s, const char *key)
{
    struct seat *x = find(s, key);
    if (!x || !x->key)
        return;
    str_set(&x->key, NULL);
    if (x->state == SHARD_OURS)
        set_state(x, SHARD_LEAVING);
}

enum shard_state shards_state(const struct shards *s, const char *key)
{
    const struct seat *x = find(s, key);
    return x ? x->state : SHARD_OTHERS;
}

void shards_let_go(struct shards *s, const char *key)
{
    struct seat *x = find(s, key);
    if (!x || x->state != SHARD_LEAVING || x->in_flight)
        return; // asked again
    if (x->key)
        write_seat(x, true);
    else
        delete_seat(x);
}

void shards_note(struct shards *s, const char *key, json_t *note)
{
    struct seat *x = find(s, key);
    if (!x) {
        json_decref(note);
        return;
    }
    json_decref(x->note);
    x->note = note;
}

const char *shards_holder(const struct shards *s, const char *key)
{
    const struct seat *x = find(s, key);
    return x && is_held(x, clock_mono_ms()) ? x->holder : NULL;
}

const json_t *shards_noted(const struct shards *s, const char *key)
{
    const struct seat *x = find(s, key);
    return x ? x->noted : NULL;
}

struct shards *shards_new(struct loop *l, struct kube *k, const struct shards_opts *o)
{
    struct shards *s = mem_alloc(sizeof(*s));
    s->loop = l;
    s->kube = k;
    s->o = *o;
    s->holder = str_dup(o->holder);
    s->kind = *o->kind;
    s->kind.group = str_dup(o->kind->group);
    s->kind.version = str_dup(o->kind->version);
    s->kind.kind = str_dup(o->kind->kind);
    s->kind.plural = str_dup(o->kind->plural);
    s->duration_ms = (o->duration_s ? o->duration_s : DURATION_S) * 1000;
    CLEANUP(str_freep) char *own = lease_name("replica", s->holder);
    struct seat *x = seat_of(s, own);
    x->is_replica = x->is_own = true;
    x->title = str_dup(s->holder);
    s->tick = loop_timer_new(l, on_tick, s);
    loop_timer_set(s->tick, 0);
    return s;
}

// First that we are no more, so that the others know how much they may take.
static void give_back(struct shards *s)
{
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < s->seats.len; i++) {
            struct seat *x = s->seats.v[i];
            if (x->in_flight || !x->is_there || x->is_own != !round)
                continue;
            if (x->is_own)
                delete_seat(x);
            else if (x->state != SHARD_OTHERS)
                write_seat(x, true);
        }
}

void shards_end(struct shards *s)
{
    s->is_closing = true;
}

void shards_free(struct shards *s)
{
    if (!s)
        return;
    int64_t end = clock_mono_ms() + FAREWELL_MS;
    s->is_ending = true;
    loop_timer_free(s->tick);
    while (s->pending && clock_mono_ms() < end)
        loop_run_once(s->loop, 50);
    if (!kube_is_down(s->kube) && s->is_synced)
        give_back(s);
    while (s->pending && clock_mono_ms() < end)
        loop_run_once(s->loop, 50);
    if (s->watch)
        kube_watch_stop(s->watch);
    kube_cancel_owned(s->kube, s);
    for (int i = 0; s->pending && i < 100; i++)
        loop_run_once(s->loop, 10);
    for (size_t i = 0; i < s->seats.len; i++)
        seat_free(s->seats.v[i]);
    vec_clear(&s->seats);
    free(s->holder);
    free(s->kind.group);
    free(s->kind.version);
    free(s->kind.kind);
    free(s->kind.plural);
    free(s);
}
