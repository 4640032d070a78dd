// SPDX-License-Identifier: Apache-2.0
//
// doctor: is everything there that a plan, a bootstrap or a snapshot would need? Before anything is
// written, one line for each thing, and what to do about what is not.
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "cli/doctoring.h"

#define EACH_MS 30000
#define LITTLE_BYTES (1ULL << 30)
#define NONE_BYTES (100ULL << 20)
#define SKEW_WARN_S 10
#define SKEW_FAIL_S 300 // tokens and signatures of requests are refused
#define MAX_VERSION 200
#define SHOWN_RIGHTS 5
#define SHOWN_APPS 10

// ---- what was found ----
static void add(struct checks *x, const char *name, enum check_state state, const char *next,
                char *text_take)
{
    int64_t now = clock_mono_ms();
    struct check *k = vec_push(&x->v);
    *k = (struct check){.name = name, .state = state, .text = text_take};
    k->next = str_dup_or_null(next);
    k->ms = x->began_ms ? now - x->began_ms : 0;
    x->began_ms = now;
}

void checks_add(struct checks *x, const char *name, enum check_state state, const char *next,
                const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(x, name, state, next, str_vprintf(fmt, ap));
    va_end(ap);
}

void checks_fail(struct checks *x, const char *name, struct err *err)
{
    const char *next = err->hint ? err->hint : hint_of(err->kind);
    add(x, name, CHECK_FAIL, next, str_dup(err->msg));
    err_clear(err);
}

void checks_clear(struct checks *x)
{
    for (size_t i = 0; i < x->v.len; i++) {
        free(x->v.v[i].text);
        free(x->v.v[i].next);
    }
    vec_clear(&x->v);
}

// Each has its own time.
static void begin(struct doctor *d)
{
    d->checks.began_ms = clock_mono_ms();
    d->c->deadline_ms = d->checks.began_ms + d->each_ms; // a run's
    loop_set_deadline(d->c->loop, d->c->deadline_ms);
}

static void note_late(const struct doctor *d, struct err *err)
{
    CLEANUP(str_freep) char *given = clock_duration_text(d->each_ms);
    if (loop_is_late(d->c->loop) && !err->hint)
        err_hint(err, "It was given %s; --timeout gives each check more.", given);
}

// ---- this machine ----
static void look_at_tool(struct doctor *d, const char *name, const char *const *argv)
{
    CLEANUP(str_freep) char *path = proc_find(name);
    CLEANUP(str_freep) char *search = str_printf("PATH=%s", getenv("PATH") ? getenv("PATH") : "");
    const char *env[] = {search, "HOME=/nonexistent", NULL};
    struct proc_opts o = {.argv = argv,
                          .env = env,
                          .max_out_bytes = 4096,
                          .timeout_ms = d->each_ms,
                          .no_network = true};
    struct proc_result r = {0};
    struct err err = {0};
    if (!path) {
        checks_add(
            &d->checks, name, CHECK_WARN,
            "Put it on the PATH if applications are rendered by it. Restoring needs neither.",
            "is not installed");
        return;
    }
    if (!proc_run(&o, &r, &err)) {
        checks_fail(&d->checks, name, &err);
    } else if (r.exit_code) {
        checks_add(&d->checks, name, CHECK_FAIL, "Install it anew.", "%s ends with exit code %d",
                   path, r.exit_code);
    } else {
        CLEANUP(str_freep) char *all = str_ndup(r.out.p ? r.out.p : "", r.out.len);
        all[strcspn(all, "\n")] = 0;
        checks_add(&d->checks, name, CHECK_OK, NULL, "%.*s, %s", MAX_VERSION, all, path);
    }
    proc_result_clear(&r);
}

// The path of the first that is a script; owned, NULL: neither is.
static char *script_among(const char *one, const char *two)
{
    const char *const names[] = {one, two};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *path = proc_find(names[i]);
        if (path && proc_is_script(path))
            return path;
        free(path);
    }
    return NULL;
}

static void look_at_tools(struct doctor *d)
{
    static const char *const helm[] = {"helm", "version", "--short", NULL};
    static const char *const kustomize[] = {"kustomize", "version", NULL};
    look_at_tool(d, "helm", helm);
    look_at_tool(d, "kustomize", kustomize);
    CLEANUP(str_freep) char *script = script_among("helm", "kustomize");
    if (script && confine_is_offered())
        checks_add(&d->checks, "confinement", CHECK_WARN,
                   "Put the program itself first on PATH, or trust who writes to the repositories "
                   "that bases on the network are of.",
                   "%s is a script: what it runs can read what you can", script);
    else if (confine_is_offered())
        checks_add(&d->checks, "confinement", CHECK_OK, NULL,
                   "helm and kustomize see their own folders, programs and libraries alone");
    else
        checks_add(&d->checks, "confinement", CHECK_WARN,
                   "Use a kernel with Landlock (5.19 or later), or trust who writes to the "
                   "repositories that bases on the network are of.",
                   "this kernel has no Landlock: helm and kustomize can read what you can");
}

static void look_at_cache(struct doctor *d)
{
    CLEANUP(str_freep) char *dir = cli_cache_dir(d->c);
    struct statvfs fs;
    struct err err = {0};
    if (!dir_make(dir, 0700, &err)) {
        err_hint(&err, "Name another folder with --cache-dir.");
        checks_fail(&d->checks, "cache", &err);
        return;
    }
    if (access(dir, W_OK) != 0 || statvfs(dir, &fs) != 0) {
        int errnum = errno;
        err_set_errno(&err, errnum, "%s", dir);
        err_hint(&err, "Name another folder with --cache-dir.");
        checks_fail(&d->checks, "cache", &err);
        return;
    }
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    CLEANUP(str_freep) char *size = size_text(room);
    enum check_state s = room < NONE_BYTES     ? CHECK_FAIL
                         : room < LITTLE_BYTES ? CHECK_WARN
                                               : CHECK_OK;
    checks_add(&d->checks, "cache", s,
               s ? "Make room, or name another folder with --cache-dir." : NULL, "%s free in %s",
               size, dir);
}

// ---- the cluster ----
static bool look_at_cluster(struct doctor *d, struct session **out)
{
    struct err err = {0};
    begin(d);
    if (!cli_open(d->c, true, out, &err)) {
        note_late(d, &err);
        checks_fail(&d->checks, "cluster", &err);
        return false;
    }
    struct session *s = *out;
    checks_add(&d->checks, "cluster", CHECK_OK, NULL, "%s at %s, Kubernetes %s",
               kubeconfig_context(s->config), kubeconfig_server(s->config), kube_version(s->kube));
    if (!kube_cluster_uid(s->kube))
        checks_add(&d->checks, "identity", CHECK_WARN,
                   "Permit: get namespaces/kube-system. --expect-cluster and plan files need it.",
                   "the uid of kube-system, by which a cluster is known, may not be read");
    return true;
}

// The server's time is on what it would make; nothing is made.
static void look_at_clock(struct doctor *d, struct session *s)
{
    static const char body[] = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{"
                               "\"generateName\":\"regrow-doctor-\"}}";
    struct kube_call post = {.method = "POST",
                             .path = "/api/v1/namespaces/default/configmaps?dryRun=All",
                             .body = body,
                             .body_len = sizeof(body) - 1};
    struct kube_reply r;
    struct buf store CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    struct err err = {0};
    kube_send_wait(s->kube, &post, &r, &store);
    if (r.cls == KUBE_OK && !canon_read(r.body, r.body_len, &doc, &err))
        err_clear(&err);
    const char *text = json_dot_str(doc, "metadata.creationTimestamp");
    int64_t at_ms = clock_parse_rfc3339_ms(text);
    if (at_ms < 0) {
        checks_add(&d->checks, "clock", CHECK_SKIPPED, NULL,
                   "whether it is that of the cluster could not be looked at: %s",
                   r.cls == KUBE_OK ? "the server tells no time" : kube_class_name(r.cls));
        return;
    }
    int64_t apart = (at_ms - clock_unix_ms()) / 1000;
    apart = apart < 0 ? -apart : apart;
    enum check_state state = apart > SKEW_FAIL_S   ? CHECK_FAIL
                             : apart > SKEW_WARN_S ? CHECK_WARN
                                                   : CHECK_OK;
    checks_add(&d->checks, "clock", state,
               state ? "Set the clock of this machine, or of the API server." : NULL,
               "%lld s from that of the cluster", (long long)apart);
}

// ---- sources ----
// Does a source's line say why already?
static bool is_told(const struct doctor *d, const char *problem)
{
    for (size_t i = 0; i < d->checks.v.len; i++) {
        const struct check *k = &d->checks.v.v[i];
        if (k->state == CHECK_FAIL && !strcmp(k->name, "source") && strstr(problem, k->text))
            return true;
    }
    return false;
}

static void tell_apps(struct doctor *d, size_t all, const struct strv *told, size_t more)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!told->len && !more && all)
        checks_add(&d->checks, "applications", CHECK_OK, NULL, "%zu, all of them can be rendered",
                   all);
    for (size_t i = 0; i < told->len && i < SHOWN_APPS; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", told->v[i]);
    if (told->len > SHOWN_APPS)
        buf_printf(&b, " and %zu more", told->len - SHOWN_APPS);
    if (told->len)
        checks_add(&d->checks, "applications", CHECK_FAIL, NULL,
                   "%zu of %zu cannot be read for want of a source: %s", told->len, all, b.p);
}

static void look_at_apps(struct doctor *d, const struct desired *x)
{
    struct strv told = {0};
    size_t bad = 0;
    if (!x->objects.len && x->apps.len <= 1) // bootstrap refuses it
        checks_add(&d->checks, "applications", CHECK_FAIL,
                   "Nothing at all is nearly always another folder than was meant.", "%s",
                   x->warnings.len ? x->warnings.v[0] : "there is no object in ROOT");
    for (size_t i = 0; i < x->apps.len; i++) {
        const struct application *a = x->apps.v[i];
        if (a->state != APP_UNKNOWN)
            continue;
        if (is_told(d, a->problem.msg)) {
            strv_push(&told, a->name);
            continue;
        }
        if (bad++ < SHOWN_APPS)
            checks_add(&d->checks, "application", CHECK_FAIL,
                       a->problem.hint ? a->problem.hint : advice_unread(a), "%s: %s", a->name,
                       a->problem.msg);
    }
    if (bad > SHOWN_APPS)
        checks_add(&d->checks, "application", CHECK_FAIL, "regrow plan -v names all.",
                   "%zu more cannot be read", bad - SHOWN_APPS);
    tell_apps(d, x->apps.len - 1, &told, bad);
    strv_clear(&told);
}

// One line for each repository, whatever is asked of it.
static void look_at_revisions(struct doctor *d, const struct source *s)
{
    struct source_revisions r = {0};
    source_revisions_of(s, &r);
    for (size_t i = 0; i < r.v.len; i++) {
        const struct source_revision *x = &r.v.v[i];
        bool is_first = !i || strcmp(r.v.v[i - 1].url, x->url) != 0;
        if (err_is_set(&x->problem)) {
            struct err err = {0};
            err_copy(&err, &x->problem);
            checks_fail(&d->checks, "source", &err);
        } else if (is_first && (x->revision || !strcmp(x->kind, "folder"))) {
            checks_add(&d->checks, "source", CHECK_OK, NULL, "%s %s %.12s", x->kind, x->url,
                       x->revision ? x->revision : "");
        }
    }
    source_revisions_clear(&r);
}

static bool look_at_sources(struct doctor *d, struct session *s)
{
    struct err err = {0};
    struct source_opts o;
    begin(d);
    CLEANUP(str_freep) char *root = cli_root(d->c, 0, s, &err);
    if (!root) {
        bool is_none = err.kind == ERR_USAGE;
        if (is_none)
            checks_add(&d->checks, "sources", CHECK_SKIPPED, NULL,
                       "no ROOT is given, and the cluster remembers none");
        else
            checks_fail(&d->checks, "sources", &err);
        err_clear(&err);
        return false;
    }
    if (cli_source_opts(d->c, root, &o, &err) && session_load(s, root, &o, &err)) {
        look_at_revisions(d, s->source);
        look_at_apps(d, s->desired);
        return true;
    }
    note_late(d, &err);
    checks_fail(&d->checks, "sources", &err);
    return false;
}

// ---- what is permitted ----
static char *rights_text(const struct doctor *d, const struct strv *missing)
{
    struct buf b = {0};
    for (size_t i = 0; i < missing->len && (i < SHOWN_RIGHTS || d->c->o.verbose); i++)
        buf_printf(&b, "%s%s", i ? ", " : "", missing->v[i]);
    if (missing->len > SHOWN_RIGHTS && !d->c->o.verbose)
        buf_printf(&b, " and %zu more (-v)", missing->len - SHOWN_RIGHTS);
    return buf_take(&b);
}

static void tell_rights(struct doctor *d, const struct strv *missing, const struct strv *grants)
{
    CLEANUP(str_freep) char *text = rights_text(d, missing);
    CLEANUP(str_freep) char *roles = rights_text(d, grants);
    if (!missing->len)
        checks_add(&d->checks, "permissions", CHECK_OK, NULL, "all that the plan needs");
    else
        checks_add(&d->checks, "permissions", CHECK_FAIL,
                   "Bind a role that allows it, or use another context.",
                   "it is not permitted to %s", text);
    if (grants->len)
        checks_add(&d->checks, "roles", CHECK_WARN,
                   "Permit it, or see that whoever applies them holds all that they grant.",
                   "the plan writes roles or bindings, and it is not permitted to %s", roles);
}

// What bootstrap would do, or be refused with: it would delete too much.
static void tell_plan(struct doctor *d, const struct plan *p)
{
    const size_t *n = p->counts;
    CLEANUP(str_freep)
    char *text =
        str_printf("%zu to create, %zu to change or compare, %zu to prune", n[ACTION_CREATE],
                   n[ACTION_CHANGE] + n[ACTION_CHECK] + n[ACTION_REPLACE] + n[ACTION_RECREATE],
                   n[ACTION_PRUNE]);
    if (err_is_set(&p->breaker))
        checks_add(&d->checks, "plan", CHECK_FAIL, p->breaker.hint, "%s; " CLI_REFUSED "%s", text,
                   p->breaker.msg);
    else
        checks_add(&d->checks, "plan", CHECK_OK, NULL, "%s", text);
}

// Kinds of objects in the plan that nothing serves or brings. An operator may bring its own.
static void tell_kinds(struct doctor *d, const struct run *r)
{
    const struct graph *g = run_graph(r);
    for (unsigned i = 0; i < g->nodes.len; i++) {
        const struct node *n = &g->nodes.v[i];
        struct node_view v;
        if (n->kind != NODE_EXTERNAL || strcmp(n->ext.kind, "CustomResourceDefinition") != 0)
            continue;
        run_node(r, i, &v);
        if (v.state == NODE_READY)
            continue;
        CLEANUP(str_freep) char *name = node_words(g, run_desired(r), i);
        checks_add(&d->checks, "kind", CHECK_WARN,
                   "Install what defines it, add that to the repository, or look how its kind and "
                   "apiVersion are spelt.",
                   "%s: nothing serves it and nothing in ROOT brings it; what needs it would wait",
                   name);
    }
}

static void look_at_rights(struct doctor *d, struct session *s)
{
    struct strv missing = {0};
    struct strv grants = {0};
    struct run *r CLEANUP(run_freep) = NULL;
    struct err err = {0};
    begin(d);
    d->c->o.wait_ms = d->each_ms; // it is there, and may take a moment to answer
    // What is to be deleted only a plan tells.
    bool is_planned = cli_run(d->c, s, true, &r, &err);
    if (is_planned) {
        tell_plan(d, run_plan(r));
        tell_kinds(d, r);
    } else {
        note_late(d, &err);
        checks_fail(&d->checks, "plan", &err);
    }
    begin(d);
    if (rights_check(s->kube, d->c->loop, s->desired, is_planned ? r : NULL, NULL, &missing,
                     &grants, &err)) {
        tell_rights(d, &missing, &grants);
    } else {
        note_late(d, &err);
        checks_fail(&d->checks, "permissions", &err);
    }
    strv_clear(&missing);
    strv_clear(&grants);
}

// ---- the whole ----
static void look(struct doctor *d)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct err err = {0};
    look_at_tools(d);
    look_at_cache(d);
    bool has_cluster = look_at_cluster(d, &s);
    if (has_cluster)
        look_at_clock(d, s);
    begin(d);
    if (!has_cluster && !cli_open(d->c, false, &s, &err)) {
        checks_fail(&d->checks, "sources", &err);
        return;
    }
    bool has_sources = look_at_sources(d, s);
    if (has_cluster && has_sources)
        look_at_rights(d, s);
    else
        checks_add(&d->checks, "permissions", CHECK_SKIPPED, NULL,
                   "what the plan needs is not known without %s",
                   has_cluster ? "its sources" : "the cluster");
}

static int end(struct doctor *d)
{
    int code = 0;
    for (size_t i = 0; i < d->checks.v.len; i++)
        if (d->checks.v.v[i].state == CHECK_FAIL)
            code = err_exit_code(ERR_PARTIAL);
    if (wants_doc(d->c)) {
        CLEANUP(json_freep) json_t *doc = doctor_doc(d, code);
        print_doc(d->c, doc);
    } else {
        doctor_print(d, code);
    }
    return code;
}

int cmd_doctor(struct cli *c, struct err *err)
{
    struct doctor d = {.c = c, .each_ms = c->o.timeout_ms ? c->o.timeout_ms : EACH_MS};
    if (!c->o.wait_ms)
        c->o.wait_ms = 1; // a server is there, or it is not
    d.checks.began_ms = clock_mono_ms();
    doctor_repo_start(&d);
    look(&d);
    bool is_over = loop_stopping(c->loop) && !loop_is_late(c->loop);
    d.stop = is_over;
    doctor_repo_end(&d);
    loop_set_deadline(c->loop, 0);
    int code = is_over ? 0 : end(&d);
    if (is_over)
        err_set(err, ERR_CANCELLED, "interrupted; nothing was written");
    checks_clear(&d.checks);
    return code;
}
