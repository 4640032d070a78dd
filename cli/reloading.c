// SPDX-License-Identifier: Apache-2.0
#include "cli/reloading.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 2000 // a mounted file changes by a link that is set anew: there is nothing to watch

// What a file is known by, through links.
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct reloading {
    struct cli *c;
    struct session *session;
    struct serving *v;
    const struct event_sink *as_text, *as_json;
    int signal_fd;
    struct loop_timer *timer;
    struct stamp config, credentials;
    struct source_mirror *old_mirrors; // until the controller reads with the new ones
    size_t n_old_mirrors;
    struct source_cred *old_creds;
    size_t n_old_creds;
    bool is_asked_again, has_creds_again; // what came too soon after the last one
};

// Of these the controller takes what they are now; all others are what it was made of. Those of a
// snapshot its child reads by itself.
static const char *const live_options[] = {"poll",
                                           "mirror",
                                           "credentials",
                                           "webhook-secret",
                                           "verbose",
                                           "quiet",
                                           "log-format",
                                           "snapshot-interval",
                                           "key",
                                           "trust",
                                           "chain",
                                           "s3-endpoint",
                                           "s3-region",
                                           "s3-path-style",
                                           "store-credentials",
                                           "adopt-chain",
                                           "no-secrets",
                                           "least",
                                           "retain"};

// ---- what differs ----

static bool is_same(const struct option *o, const struct options *a, const struct options *b)
{
    const void *x = (const char *)a + o->at;
    const void *y = (const char *)b + o->at;
    switch (o->kind) {
    case OPT_FLAG:
        return *(const bool *)x == *(const bool *)y;
    case OPT_TEXT:
        return str_eq(*(const char *const *)x, *(const char *const *)y);
    case OPT_LIST:
    case OPT_PICK:
        return strv_eq(x, y);
    case OPT_TIME:
    case OPT_TIME_OR_0:
        return *(const int64_t *)x == *(const int64_t *)y;
    case OPT_INT:
        return *(const long long *)x == *(const long long *)y;
    case OPT_OUTPUT:
        return true; // of the command line, or as log-format says
    }
    return true;
}

static bool is_live(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(live_options); i++)
        if (!strcmp(live_options[i], name))
            return true;
    return false;
}

void reloading_compare(const struct command *cmd, const struct options *before,
                       const struct options *now, struct strv *live, struct strv *restart)
{
    size_t n;
    const struct option *all = options_all(&n);
    for (size_t i = 0; i < n; i++)
        if (option_is_for(&all[i], cmd) && !is_same(&all[i], before, now))
            strv_push(is_live(all[i].name) ? live : restart, all[i].name);
}

// ---- what is taken ----

static void swap_lists(struct strv *a, struct strv *b)
{
    struct strv t = *a;
    *a = *b;
    *b = t;
}

static void take_one(const struct option *o, struct options *to, struct options *from)
{
    void *x = (char *)to + o->at;
    void *y = (char *)from + o->at;
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)x = *(bool *)y;
        break;
    case OPT_TEXT:
        *(const char **)x = *(const char **)y;
        break;
    case OPT_LIST:
    case OPT_PICK:
        swap_lists(x, y);
        break;
    case OPT_TIME:
    case OPT_TIME_OR_0:
        *(int64_t *)x = *(int64_t *)y;
        break;
    case OPT_INT:
        *(long long *)x = *(long long *)y;
        break;
    case OPT_OUTPUT:
        break;
    }
}

// The new strings live as long as the old ones, which others still lend: to the end.
static void take(const struct command *cmd, struct options *o, struct options *now)
{
    size_t n;
    const struct option *all = options_all(&n);
    for (size_t i = 0; i < n; i++)
        if (option_is_for(&all[i], cmd) && is_live(all[i].name))
            take_one(&all[i], o, now);
    for (size_t i = 0; i < now->owned.len; i++)
        strv_push_take(&o->owned, now->owned.v[i]);
    free(now->owned.v);
    now->owned = (struct strv){0};
}

static void free_ways(struct source_mirror *mirrors, size_t n_mirrors, struct source_cred *creds,
                      size_t n_creds)
{
    for (size_t i = 0; i < n_mirrors; i++) {
        free(mirrors[i].from);
        free(mirrors[i].to);
    }
    free(mirrors);
    for (size_t i = 0; i < n_creds; i++)
        source_cred_clear(&creds[i]);
    free(creds);
}

static void free_old(struct reloading *r)
{
    free_ways(r->old_mirrors, r->n_old_mirrors, r->old_creds, r->n_old_creds);
    r->old_mirrors = NULL;
    r->old_creds = NULL;
    r->n_old_mirrors = r->n_old_creds = 0;
}

static bool renew_sources(struct reloading *r, struct options *now, struct err *err)
{
    struct cli fresh = {.o = {.mirrors = now->mirrors, .credentials = now->credentials}};
    struct source_opts *o = &r->session->source_opts;
    if (!cli_ways(&fresh, r->session->root, err)) {
        free_ways(fresh.mirrors, fresh.n_mirrors, fresh.creds, fresh.n_creds); // nobody saw them
        return false;
    }
    free_old(r);
    r->old_mirrors = r->c->mirrors;
    r->n_old_mirrors = r->c->n_mirrors;
    r->old_creds = r->c->creds;
    r->n_old_creds = r->c->n_creds;
    r->c->mirrors = fresh.mirrors;
    r->c->n_mirrors = fresh.n_mirrors;
    r->c->creds = fresh.creds;
    r->c->n_creds = fresh.n_creds;
    o->mirrors = fresh.mirrors;
    o->n_mirrors = fresh.n_mirrors;
    o->creds = fresh.creds;
    o->n_creds = fresh.n_creds;
    controller_renew_sources(r->v->controller);
    return true;
}

static void apply(struct reloading *r, struct options *now)
{
    struct cli *c = r->c;
    take(c->cmd, &c->o, now);
    controller_set_poll(r->v->controller, c->o.reconcile.poll_ms);
    if (!c->o.reconcile.log_format)
        return;
    c->o.output = strcmp(c->o.reconcile.log_format, "json") ? OUT_TEXT : OUT_NDJSON;
    r->v->own = c->o.output == OUT_TEXT ? *r->as_text : *r->as_json;
}

static bool may_be(const struct options *now, struct err *err)
{
    return !now->reconcile.snapshot_to || now->snap.key ||
           err_set(err, ERR_USAGE, "--snapshot-to needs --key: the credential of a job");
}

static json_t *names_of(const struct strv *v)
{
    json_t *out = json_array();
    for (size_t i = 0; i < v->len; i++)
        json_array_append_new(out, json_string(v->v[i]));
    return out;
}

static void tell(const struct cli *c, const struct strv *live, const struct strv *restart)
{
    CLEANUP(json_freep) json_t *changed = names_of(live);
    CLEANUP(json_freep) json_t *rest = names_of(restart);
    event_emit(&c->events, "config.reloaded", "{s:O, s:O}", "changed", changed, "needsRestart",
               rest);
}

// Sources are read anew also when only what is in the file of credentials is another.
static void reload(struct reloading *r, bool is_asked, bool has_creds)
{
    struct cli *c = r->c;
    struct options now = {0};
    struct strv live = {0};
    struct strv restart = {0};
    struct err err = {0};
    // The sources have not been read by the ones before yet.
    r->is_asked_again = !controller_is_renewed(r->v->controller) && is_asked;
    r->has_creds_again = !controller_is_renewed(r->v->controller);
    if (r->has_creds_again)
        return;
    bool ok = options_parse(c->cmd, c->argc, c->argv, &now, &err) && may_be(&now, &err);
    if (ok)
        reloading_compare(c->cmd, &c->o, &now, &live, &restart);
    bool is_source =
        has_creds || is_asked || strv_has(&live, "mirror") || strv_has(&live, "credentials");
    if (ok && is_source)
        ok = renew_sources(r, &now, &err);
    if (ok)
        apply(r, &now);
    if (!ok)
        event_emit(&c->events, "config.refused", "{s:s}", "message", err.msg);
    else if (is_asked || has_creds || live.len || restart.len)
        tell(c, &live, &restart);
    err_clear(&err);
    strv_clear(&live);
    strv_clear(&restart);
    options_clear(&now);
}

// ---- when ----

static struct stamp stamp_of(const char *path)
{
    struct stat st;
    if (!path || stat(path, &st) != 0)
        return (struct stamp){0};
    return (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool is_new(struct stamp *was, struct stamp now)
{
    bool is_other = was->dev != now.dev || was->ino != now.ino || was->size != now.size ||
                    was->changed.tv_sec != now.changed.tv_sec ||
                    was->changed.tv_nsec != now.changed.tv_nsec;
    *was = now;
    return is_other;
}

static bool has_new_config(struct reloading *r)
{
    CLEANUP(str_freep) char *path = options_file(r->c->argc, r->c->argv);
    return is_new(&r->config, stamp_of(path));
}

static void on_look(void *ctx)
{
    struct reloading *r = ctx;
    bool has_creds = is_new(&r->credentials, stamp_of(r->c->o.credentials));
    bool again = r->has_creds_again;
    if (has_new_config(r) || has_creds || again)
        reload(r, r->is_asked_again, has_creds || again);
    loop_timer_set(r->timer, LOOK_MS);
}

static void on_hup(void *ctx, uint32_t events)
{
    struct reloading *r = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(r->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        ;
    (void)has_new_config(r);
    bool has_creds = is_new(&r->credentials, stamp_of(r->c->o.credentials));
    reload(r, true, has_creds);
}

// Held back from the beginning, so that one that comes early ends nothing; children begin without
// it. At a terminal it says that this one is gone.
void reloading_hold(void)
{
    sigset_t hup;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    if (!isatty(STDIN_FILENO))
        sigprocmask(SIG_BLOCK, &hup, NULL);
}

struct reloading *reloading_new(struct cli *c, struct session *s, struct serving *v,
                                const struct event_sink *as_text, const struct event_sink *as_json)
{
    struct reloading *r = mem_alloc(sizeof(*r));
    *r = (struct reloading){.c = c, .session = s, .v = v, .as_text = as_text, .as_json = as_json};
    sigset_t hup;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    r->signal_fd = isatty(STDIN_FILENO) ? -1 : signalfd(-1, &hup, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signal_fd >= 0)
        loop_fd_set(c->loop, r->signal_fd, EPOLLIN, on_hup, r);
    (void)has_new_config(r);
    r->credentials = stamp_of(c->o.credentials);
    r->timer = loop_timer_new(c->loop, on_look, r);
    loop_timer_set(r->timer, LOOK_MS);
    return r;
}

void reloading_free(struct reloading *r)
{
    if (!r)
        return;
    if (r->signal_fd >= 0) {
        loop_fd_del(r->c->loop, r->signal_fd);
        close(r->signal_fd);
    }
    loop_timer_free(r->timer);
    free_old(r);
    free(r);
}
