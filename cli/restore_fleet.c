// SPDX-License-Identifier: Apache-2.0
//
// Several clusters of a hub in one command: for each a process of our own with the same options and
// its kubeconfig, so many at once, and one report: of all, with all of each in it.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "cli/restoring.h"

#define MAX_CLUSTERS 1000
#define MAX_ARGUMENTS (1U << 20)
#define DEFAULT_PARALLEL 4
#define NO_LIMIT_MS 86400000

extern char **environ;

struct fleet;
struct member {
    struct fleet *fleet;
    char *name, *kubeconfig;
    char *report; // its own; NULL: none is wanted
    struct strv argv;
    bool is_started, is_over;
    int code;
    int64_t ms;
    char *problem; // what it said of itself
    json_t *doc;   // its document, if it came so far
};

struct fleet {
    struct cli *c;
    VEC(struct member) v;
    size_t running, most; // at once
    int64_t began_ms, began_unix_ms;
};

static void fleet_clear(struct fleet *f)
{
    for (size_t i = 0; i < f->v.len; i++) {
        struct member *m = &f->v.v[i];
        free(m->name);
        free(m->kubeconfig);
        free(m->report);
        strv_clear(&m->argv);
        free(m->problem);
        json_decref(m->doc);
    }
    vec_clear(&f->v);
}

bool restoring_is_fleet(const struct cli *c)
{
    const struct strv *v = &c->o.restore.clusters;
    for (size_t i = 0; i < v->len; i++)
        if (strchr(v->v[i], '='))
            return true;
    return v->len > 1;
}

// ---- who ----
static bool bad(const char *given, const char *why, struct err *err)
{
    err_set(err, ERR_USAGE, "--cluster \"%.200s\": %s", given, why);
    return err_hint(err, "Several at once are each NAME=KUBECONFIG.");
}

static bool add_member(struct fleet *f, const char *given, struct err *err)
{
    const char *eq = strrchr(given, '=');
    if (!eq || eq == given || !eq[1])
        return bad(given, "its kubeconfig is missing", err);
    CLEANUP(str_freep) char *name = str_ndup(given, (size_t)(eq - given));
    for (size_t i = 0; i < f->v.len; i++)
        if (!strcmp(f->v.v[i].name, name) || !strcmp(f->v.v[i].kubeconfig, eq + 1))
            return bad(given, "that cluster, or that kubeconfig, is given twice", err);
    if (f->v.len >= MAX_CLUSTERS)
        return bad(given, "more clusters than one command restores", err);
    *vec_push(&f->v) =
        (struct member){.fleet = f, .name = TAKE(name), .kubeconfig = str_dup(eq + 1)};
    return true;
}

// ---- what each is told ----
// Our own command line, without what each member has of its own.
static bool own_words(struct strv *out, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    static const char *const valued[] = {"--cluster", "--parallel", "--kubeconfig", "--context",
                                         "--output",  "-o",         "--report"};
    if (!file_read("/proc/self/cmdline", MAX_ARGUMENTS, &b, err))
        return false;
    size_t end = 0;
    for (size_t at = 0; at < b.len; at = end + 1) {
        const char *word = b.p + at;
        end = at + strlen(word);
        bool is_left_out = at == 0; // the program
        for (size_t i = 0; !is_left_out && i < ARRAY_LEN(valued); i++) {
            size_t n = strlen(valued[i]);
            if (!strcmp(word, valued[i])) {
                is_left_out = true;
                end += 1 + (end + 1 < b.len ? strlen(b.p + end + 1) : 0); // and its value
            } else if (!strncmp(word, valued[i], n) && (word[n] == '=' || word[1] != '-')) {
                is_left_out = true;
            }
        }
        if (!is_left_out)
            strv_push(out, word);
    }
    return true;
}

// "restore.html" is "restore-eu-1.html" of cluster eu-1.
static char *report_of(const struct fleet *f, size_t member)
{
    const char *path = f->c->o.restore.report;
    const char *dot = strrchr(path, '.');
    CLEANUP(str_freep) char *name = str_dup(f->v.v[member].name);
    for (char *p = name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            *p = '-';
    char *out = str_printf("%.*s-%s%s", (int)(dot - path), path, name, dot);
    for (size_t i = 0; i < member; i++)
        if (str_eq(f->v.v[i].report, out)) { // two servers may differ in such a sign alone
            free(out);
            return str_printf("%.*s-%s-%zu%s", (int)(dot - path), path, name, member + 1, dot);
        }
    return out;
}

static bool make_arguments(struct fleet *f, struct err *err)
{
    struct strv own = {0};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    bool ok = own_words(&own, err);
    if (ok && n <= 0)
        ok = err_set(err, ERR_INTERNAL, "where this program lies is not known");
    for (size_t i = 0; ok && i < f->v.len; i++) {
        struct member *m = &f->v.v[i];
        self[n] = 0;
        strv_push(&m->argv, self);
        for (size_t k = 0; k < own.len; k++)
            strv_push(&m->argv, own.v[k]);
        const char *const more[] = {"--cluster", m->name, "--kubeconfig", m->kubeconfig,
                                    "-o",        "json",  "--no-progress"};
        for (size_t k = 0; k < ARRAY_LEN(more); k++)
            strv_push(&m->argv, more[k]);
        if (!f->c->o.restore.report)
            continue;
        m->report = report_of(f, i);
        strv_push(&m->argv, "--report");
        strv_push(&m->argv, m->report);
    }
    strv_clear(&own);
    return ok;
}

// ---- side by side ----
// Its last line is an error's document.
static char *problem_of(const struct buf *text)
{
    CLEANUP(str_freep) char *all = str_ndup(text->p ? text->p : "", text->len);
    size_t n = strlen(all);
    while (n && all[n - 1] == '\n')
        all[--n] = 0;
    const char *line = strrchr(all, '\n') ? strrchr(all, '\n') + 1 : all;
    CLEANUP(json_freep) json_t *doc = json_loads(line, 0, NULL);
    const char *message = json_dot_str(doc, "message");
    return str_dup(message ? message : line);
}

static void on_done(void *ctx, struct proc_result *r, struct err *err)
{
    struct member *m = ctx;
    m->fleet->running--;
    m->is_over = true;
    m->ms = r->ms;
    m->code = err_is_set(err) ? err_exit_code(err->kind) : r->exit_code;
    struct buf text = {0};
    buf_append(&text, r->out.p, r->out.len);
    buf_str(&text, "");
    m->doc = text.len ? json_loadb(text.p, text.len, 0, NULL) : NULL;
    buf_clear(&text);
    if (err_is_set(err))
        m->problem = str_dup(err->msg);
    else if (m->code && !m->doc)
        m->problem = problem_of(&r->err_text);
    event_emit(&m->fleet->c->events, "restore.cluster", "{s:s, s:i, s:I}", "cluster", m->name,
               "exitCode", m->code, "ms", (json_int_t)m->ms);
}

// Ours, but for a report, which all of them would write.
static const char **environment(void)
{
    size_t n = 0;
    size_t kept = 0;
    while (environ[n])
        n++;
    const char **env = mem_alloc((n + 1) * sizeof(*env));
    for (size_t i = 0; i < n; i++)
        if (!str_starts(environ[i], "REGROW_REPORT="))
            env[kept++] = environ[i];
    return env;
}

static void start(struct fleet *f, struct member *m)
{
    const char **env = environment();
    const char **argv = mem_alloc((m->argv.len + 1) * sizeof(*argv));
    for (size_t i = 0; i < m->argv.len; i++)
        argv[i] = m->argv.v[i];
    struct proc_opts o = {
        .argv = argv, .env = env, .timeout_ms = NO_LIMIT_MS}; // --timeout is its own
    m->is_started = true;
    f->running++;
    event_emit(&f->c->events, "restore.cluster.begun", "{s:s}", "cluster", m->name);
    proc_start(f->c->loop, &o, on_done, m);
    free(argv);
    free(env);
}

static void run_all(struct fleet *f)
{
    size_t next = 0;
    loop_set_deadline(f->c->loop, 0); // each keeps its own
    while (f->running || (next < f->v.len && !loop_stopping(f->c->loop))) {
        while (next < f->v.len && f->running < f->most && !loop_stopping(f->c->loop))
            start(f, &f->v.v[next++]);
        loop_run_once(f->c->loop, 200); // a signal reaches the whole group
    }
}

// ---- the report ----
static int worst(const struct fleet *f)
{
    int code = 0;
    for (size_t i = 0; i < f->v.len; i++) {
        int one = f->v.v[i].is_over ? f->v.v[i].code : err_exit_code(ERR_CANCELLED);
        code = one > code ? one : code;
    }
    return code;
}

static void print_member(const struct cli *c, const struct member *m)
{
    CLEANUP(str_freep) char *took = clock_duration_text(m->ms);
    struct buf b CLEANUP(buf_clear) = {0};
    const json_t *r = json_object_get(m->doc, "result");
    if (!m->is_over)
        buf_printf(&b, "%s: not begun", m->name);
    else if (m->problem)
        buf_printf(&b, "%s: %s   (exit" NBSP "%d)", m->name, m->problem, m->code);
    else if (r)
        buf_printf(&b,
                   "%s: %lld of %lld applications healthy in %s, %lld objects written, %lld "
                   "rejected",
                   m->name, json_dot_int(r, "applications.healthy", 0),
                   json_dot_int(r, "applications.total", 0), took,
                   json_dot_int(r, "objects.written", 0), json_dot_int(r, "objects.rejected", 0));
    else
        buf_printf(&b, "%s: %lld to create, %lld to change", m->name,
                   json_dot_int(m->doc, "plan.create", 0), json_dot_int(m->doc, "plan.change", 0));
    if (m->report && file_exists(m->report))
        buf_printf(&b, "; report: %s", m->report);
    printf("%s ", state_symbol(c, m->is_over && !m->code ? NODE_READY : NODE_FAILED));
    print_wrapped(stdout, b.p, 2, 4);
}

static json_t *fleet_doc(const struct fleet *f)
{
    json_t *list = json_array();
    CLEANUP(str_freep) char *at = clock_rfc3339(f->began_unix_ms / 1000);
    json_t *doc = json_pack("{s:i, s:s, s:i, s:s, s:I, s:I, s:o}", "version", 1, "kind",
                            "restore-fleet", "exitCode", worst(f), "began", at, "ms",
                            (json_int_t)(clock_mono_ms() - f->began_ms), "parallel",
                            (json_int_t)f->most, "clusters", list);
    for (size_t i = 0; i < f->v.len; i++) {
        const struct member *m = &f->v.v[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:i, s:I, s:s*, s:s*, s:O*}", "cluster",
                                        m->name, "begun", m->is_started, "exitCode", m->code, "ms",
                                        (json_int_t)m->ms, "problem", m->problem, "report",
                                        m->report && file_exists(m->report) ? m->report : NULL,
                                        "document", m->doc));
    }
    return doc;
}

// (A picture is of one cluster: there is none of all.)
static bool save(const struct fleet *f, const json_t *doc, struct err *err)
{
    const char *path = f->c->o.restore.report;
    if (!path || str_ends(path, ".svg") || report_write(doc, path, err))
        return true;
    err_wrap(err, "report %s", path);
    return err_hint(err, "Only the report is missing: what was to be done is done.");
}

static void print(const struct fleet *f, bool saved)
{
    const char *path = f->c->o.restore.report;
    for (size_t i = 0; i < f->v.len; i++)
        print_member(f->c, &f->v.v[i]);
    if (path && saved && !str_ends(path, ".svg"))
        printf("  report: %s\n", path);
}

int restoring_fleet(struct cli *c, struct err *err)
{
    long long parallel = c->o.restore.parallel;
    struct fleet f CLEANUP(fleet_clear) = {.c = c,
                                           .most = parallel ? (size_t)parallel : DEFAULT_PARALLEL,
                                           .began_ms = clock_mono_ms(),
                                           .began_unix_ms = clock_unix_ms()};
    const struct strv *given = &c->o.restore.clusters;
    for (size_t i = 0; i < given->len; i++)
        if (!add_member(&f, given->v[i], err))
            return 0;
    if (c->o.restore.report && !report_check(c->o.restore.report, err))
        return 0;
    if (!c->o.restore.yes && !c->o.snap.dry_run) {
        err_set(err, ERR_USAGE,
                "%zu clusters at once are not confirmed by typing names: --yes is missing",
                f.v.len);
        err_hint(err, "--dry-run looks at all of them and writes nothing; then give --yes.");
        return 0;
    }
    if (!make_arguments(&f, err))
        return 0;
    run_all(&f);
    CLEANUP(json_freep) json_t *doc = fleet_doc(&f);
    bool saved = save(&f, doc, err);
    if (wants_doc(c))
        print_doc(c, doc);
    else if (c->o.output == OUT_TEXT)
        print(&f, saved);
    return saved ? worst(&f) : 0;
}
