// SPDX-License-Identifier: Apache-2.0
//
// plan: the applications as a tree, the order, what each waits for, and what would change.
#include <stdlib.h>
#include <string.h>

#include "cli/planfile.h"

#define SHOWN_WAITS 3
#define SHOWN_WARNINGS 3
#define SHOWN_PROBLEMS 20
#define SHOWN_CHAIN 8

static void print_header(const struct planning *p)
{
    const struct desired *d = p->d;
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep)
    char *age = d->root_time_unix_s ? age_text(clock_unix_ms() / 1000 - d->root_time_unix_s) : NULL;
    int rows;
    int cols;
    size_t n_apps = 0;
    size_t n_objects = p->objects[0];
    for (unsigned i = 1; i < d->apps.len; i++) {
        n_apps += planning_shows(p, i);
        n_objects += p->objects[i];
    }
    if (d->root_revision)
        buf_printf(&b, "@ %s ", d->root_revision);
    if (d->root_ref || age)
        buf_printf(&b, "(%s%s%s%s)", d->root_ref ? d->root_ref : "", d->root_ref && age ? ", " : "",
                   age ? age : "", age ? " ago" : "");
    CLEANUP(str_freep)
    char *counts = str_printf("%zu application%s   %zu object%s   order: %u step%s deep", n_apps,
                              n_apps == 1 ? "" : "s", n_objects, n_objects == 1 ? "" : "s",
                              p->steps, p->steps == 1 ? "" : "s");
    CLEANUP(str_freep) char *name = clean(d->root_name);
    CLEANUP(str_freep) char *rest = clean(b.len ? b.p : "");
    screen_size(stdout, &rows, &cols);
    int width = display_width(name) + display_width(rest) + 3 + display_width(counts);
    printf("%s%s%s%s%s%s", paint(p->c, "bold"), name, paint(p->c, ""), b.len ? " " : "", rest,
           !cols || width + 1 < cols ? "   " : "\n  ");
    print_wrapped(stdout, counts, !cols || width + 1 < cols ? width - display_width(counts) : 2, 2);
}

// "Gateway CRD (gateway-api)" -> " CRD (gateway-api)"; NULL when it is no definition.
static const char *crd_of(const char *wait)
{
    const char *s = strstr(wait, " CRD (");
    return s && s[strlen(s) - 1] == ')' ? s : NULL;
}

// Several definitions of one application become one entry; definitions come last, because they
// say least.
static void group_waits(const struct strv *w, struct strv *out)
{
    for (size_t i = 0; i < w->len; i++)
        if (!crd_of(w->v[i]))
            strv_push(out, w->v[i]);
    for (size_t i = 0; i < w->len; i++) {
        const char *crd = crd_of(w->v[i]);
        size_t n = 0;
        for (size_t k = 0; crd && k < w->len; k++) {
            if (!str_eq(crd_of(w->v[k]), crd))
                continue;
            if (k < i)
                n = SIZE_MAX / 2; // counted with an earlier one
            n++;
        }
        if (n == 1)
            strv_push(out, w->v[i]);
        else if (crd && n < SIZE_MAX / 2)
            strv_push_take(out, str_printf("%zu CRDs%s", n, crd + 4));
    }
}

static char *waits_text(const struct strv *all, bool verbose)
{
    struct buf b = {0};
    struct strv w = {0};
    group_waits(all, &w);
    size_t n = verbose || w.len <= SHOWN_WAITS + 1 ? w.len : SHOWN_WAITS;
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%s", i ? ", " : "waits for ", w.v[i]);
    if (n < w.len)
        buf_printf(&b, " and %zu more", w.len - n);
    strv_clear(&w);
    return buf_take(&b);
}

// "v1.4.1 @ 637ff67", as it was asked for and what it is; "" when it is the root's own.
static char *revision_text(const struct planning *p, const struct application *a)
{
    const char *is = a->revision_text;
    if (!is || str_eq(is, p->d->root_revision) || !strcmp(is, "folder"))
        return str_dup("");
    const struct app_source *src = a->sources.len == 1 ? &a->sources.v[0] : NULL;
    bool named = src && src->kind == APP_SOURCE_GIT && *src->target_revision &&
                 !str_starts(src->target_revision, is) && strcmp(src->target_revision, "HEAD") != 0;
    return named ? str_printf("%s @ %s", src->target_revision, is) : str_dup(is);
}

// What stands beside an application: its revision if it is another than the root's, and its waits.
static char *app_text(const struct planning *p, unsigned app)
{
    const struct application *a = p->d->apps.v[app];
    if (a->state == APP_UNKNOWN)
        return str_dup("✗ could not be read: see below");
    if (a->state == APP_OTHER_CLUSTER)
        return str_printf("for another cluster: %s",
                          a->dest_server ? a->dest_server : a->dest_name);
    CLEANUP(str_freep) char *waits = waits_text(&p->waits[app], p->c->o.verbose);
    CLEANUP(str_freep) char *revision = revision_text(p, a);
    bool only_crds = p->objects[app] && p->objects[app] == p->crds[app];
    const char *what = *revision ? revision : only_crds ? "CRDs" : "";
    return str_printf("%s%s%s", what, *what && *waits ? ", " : "", waits);
}

// It, or anything below it.
static bool shows_any(const struct planning *p, unsigned app)
{
    bool any = planning_shows(p, app);
    for (unsigned i = app + 1; !any && i < p->d->apps.len; i++)
        any = p->d->apps.v[i]->parent == (int)app && shows_any(p, i);
    return any;
}

static void add_app(const struct planning *p, struct table *t, unsigned app, int parent)
{
    char count[24];
    CLEANUP(str_freep) char *text = app ? app_text(p, app) : str_dup("");
    size_t row = table_row(t, parent);
    snprintf(count, sizeof(count), "%zu", p->objects[app]);
    table_cell(t, row, 0, app ? "bold" : NULL, app ? p->d->apps.v[app]->name : "root");
    table_cell(t, row, 1, NULL, app || p->objects[0] ? count : "");
    table_cell(t, row, 2, p->d->apps.v[app]->state == APP_UNKNOWN ? "red" : NULL, text);
    for (unsigned i = app + 1; i < p->d->apps.len; i++)
        if (p->d->apps.v[i]->parent == (int)app && shows_any(p, i))
            add_app(p, t, i, (int)row);
}

static void print_tree(const struct planning *p)
{
    struct table *t CLEANUP(table_freep) = table_new(p->c, false, 2);
    table_column(t, "APPLICATION", TABLE_TREE);
    table_column(t, "OBJECTS", TABLE_RIGHT);
    table_column(t, "WAITS", TABLE_WRAP);
    add_app(p, t, 0, -1);
    table_print(t);
}

static void print_object(const struct planning *p, unsigned i)
{
    const struct object *o = &p->d->objects.v[i];
    const struct node *n = &p->g->nodes.v[i];
    CLEANUP(str_freep) char *name = object_name(&o->id);
    CLEANUP(str_freep) char *where = origin_text(&o->origin);
    const char *action = p->run ? action_name(run_plan(p->run)->items.v[i].action) : "";
    printf("  %s%s%s\n    %s", name, *action ? "   " : "", action, paint(p->c, "dim"));
    print_wrapped(stdout, where, 4, 6);
    printf("%s", paint(p->c, ""));
    for (unsigned k = 0; k < n->n_out; k++) {
        const struct edge *e = &p->g->edges.v[n->first_out + k];
        if (e->why == WHY_START || e->why == WHY_NAMESPACE || e->is_dropped)
            continue;
        CLEANUP(str_freep) char *why = edge_text(p->g, e);
        printf("    ");
        print_wrapped(stdout, why, 4, 6);
    }
}

// -v: every object, where it is written and what it waits for.
static void print_objects(const struct planning *p)
{
    for (unsigned app = 0; app < p->d->apps.len; app++) {
        CLEANUP(str_freep) char *name = clean(p->d->apps.v[app]->name);
        if (p->objects[app])
            printf("\n%s%s%s\n", paint(p->c, "bold"), name, paint(p->c, ""));
        for (unsigned i = 0; p->objects[app] && i < p->d->objects.len; i++)
            if (p->d->objects.v[i].app == app && !p->d->objects.v[i].is_virtual && p->chosen[i])
                print_object(p, i);
    }
}

static void print_counts(const struct planning *p)
{
    const size_t *n = run_plan(p->run)->counts;
    const char *uid = kube_cluster_uid(p->s->kube);
    struct buf b CLEANUP(buf_clear) = {0};
    buf_printf(&b, "Against cluster %s (uid %.8s…): ", kubeconfig_context(p->s->config),
               uid ? uid : "?");
    buf_printf(&b, "%zu to create, %zu to change, %zu to prune, %zu unchanged",
               n[ACTION_CREATE] + n[ACTION_TERMINATING],
               n[ACTION_CHANGE] + n[ACTION_REPLACE] + n[ACTION_RECREATE], n[ACTION_PRUNE],
               n[ACTION_NONE] + n[ACTION_HOOK_DONE]);
    if (n[ACTION_KEEP])
        buf_printf(&b, ", %zu no longer in Git but kept", n[ACTION_KEEP]);
    if (n[ACTION_CHECK])
        buf_printf(&b, ", %zu that could not be compared", n[ACTION_CHECK]);
    buf_str(&b, ".");
    print_wrapped(stdout, b.p, 0, 2);
}

static void print_chain(const struct planning *p)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const struct strv *c = &p->chain;
    for (size_t i = 0; i < c->len; i++) {
        if (c->len > SHOWN_CHAIN && i == SHOWN_CHAIN / 2 && !p->c->o.verbose) {
            buf_printf(&b, " → %zu more", c->len - SHOWN_CHAIN);
            i = c->len - SHOWN_CHAIN / 2;
        }
        buf_printf(&b, "%s%s", i ? " → " : "Longest chain: ", c->v[i]);
    }
    if (c->len > 1)
        print_wrapped(stdout, b.p, 0, 2);
}

// A warning that ends the command is told at its end, once.
static void drop_warning(struct strv *w, const char *refusal)
{
    for (size_t i = 0; i < w->len; i++) {
        if (!str_eq(w->v[i], refusal))
            continue;
        free(w->v[i]);
        memmove(w->v + i, w->v + i + 1, (w->len - i - 1) * sizeof(*w->v));
        w->len--;
        return;
    }
}

static void print_warnings(const struct planning *p)
{
    const struct strv *w = &p->warnings;
    size_t n = p->c->o.verbose || w->len <= SHOWN_WARNINGS + 1 ? w->len : SHOWN_WARNINGS;
    if (!w->len)
        return;
    printf("%s%zu warning%s:%s%s", paint(p->c, "yellow"), w->len, w->len == 1 ? "" : "s",
           paint(p->c, ""), w->len == 1 ? " " : "\n");
    for (size_t i = 0; i < n; i++) {
        if (w->len > 1)
            printf("  ! ");
        print_wrapped(stdout, w->v[i], w->len > 1 ? 4 : 11, w->len > 1 ? 4 : 2);
    }
    if (n < w->len)
        printf("  and %zu more; -v shows them\n", w->len - n);
}

static bool is_unknown(const struct planning *p, unsigned app)
{
    return p->d->apps.v[app]->state == APP_UNKNOWN && planning_shows(p, app);
}

static bool is_alike(const struct planning *p, unsigned a, unsigned b)
{
    return is_unknown(p, a) && is_unknown(p, b) &&
           str_eq(p->d->apps.v[a]->problem.msg, p->d->apps.v[b]->problem.msg);
}

// How many could not be read for the same reason; 0 when an earlier one of them stands for all.
static size_t count_alike(const struct planning *p, unsigned app)
{
    size_t n = 0;
    for (unsigned i = 0; i < p->d->apps.len; i++) {
        if (!is_alike(p, i, app))
            continue;
        if (i < app)
            return 0;
        n++;
    }
    return n;
}

static char *names_alike(const struct planning *p, unsigned app, size_t n)
{
    struct buf b = {0};
    size_t shown = 0;
    for (unsigned i = app; i < p->d->apps.len && shown < n && shown < SHOWN_WAITS; i++)
        if (i == app || is_alike(p, i, app))
            buf_printf(&b, "%s%s", shown++ ? ", " : "", p->d->apps.v[i]->name);
    if (shown < n)
        buf_printf(&b, " and %zu more", n - shown);
    return buf_take(&b);
}

static size_t count_unknown(const struct planning *p, size_t *all)
{
    size_t n = 0;
    for (unsigned i = 1; i < p->d->apps.len; i++) {
        n += is_unknown(p, i);
        *all += planning_shows(p, i);
    }
    return n;
}

static void print_problem(const struct planning *p, unsigned app, size_t alike)
{
    const struct application *a = p->d->apps.v[app];
    CLEANUP(str_freep) char *names = names_alike(p, app, alike);
    CLEANUP(str_freep) char *text = str_printf("%s: %s", names, a->problem.msg);
    CLEANUP(str_freep) char *where = a->doc ? origin_text(&a->origin) : NULL;
    printf("  %s ", state_symbol(p->c, NODE_FAILED));
    print_wrapped(stdout, text, 4, 6);
    if (alike == 1 && where && !strstr(a->problem.msg, where)) {
        CLEANUP(str_freep) char *line = str_printf("its Application: %s", where);
        printf("      ");
        print_wrapped(stdout, line, 6, 8);
    }
}

// Applications that could not be read: the problem comes last, with what to do.
static void print_unknown(const struct planning *p)
{
    const char *hint = NULL;
    size_t all = 0;
    size_t n = count_unknown(p, &all);
    if (!n)
        return;
    printf("\n%s✗%s %zu of %zu applications could not be read   (exit 10)\n", paint(p->c, "red"),
           paint(p->c, ""), n, all);
    size_t shown = 0;
    size_t told = 0;
    for (unsigned i = 1; i < p->d->apps.len; i++) {
        if (!is_unknown(p, i))
            continue;
        hint = hint ? hint : advice_unread(p->d->apps.v[i]);
        size_t alike = p->c->o.verbose ? 1 : count_alike(p, i);
        if (!alike || (shown == SHOWN_PROBLEMS && !p->c->o.verbose))
            continue;
        print_problem(p, i, alike);
        shown++;
        told += alike;
    }
    if (told < n)
        printf("  and %zu more; -v shows them\n", n - told);
    CLEANUP(str_freep)
    char *next = str_printf("%s Until then bootstrap leaves what is marked ✗ alone, and brings up "
                            "all others.",
                            hint ? hint : "");
    printf("  next: ");
    print_wrapped(stdout, next, 8, 8);
}

static void print_saved(const struct planning *p)
{
    const char *path = p->c->o.plan_out;
    CLEANUP(str_freep) char *text = str_printf("Written to %s (%.19s…).", path, p->sum);
    CLEANUP(str_freep) char *next = shell_words("regrow bootstrap --plan", path);
    print_wrapped(stdout, text, 0, 2);
    printf("  next: ");
    print_wrapped(stdout, next, 8, 8);
}

static void print_text(const struct planning *p)
{
    print_header(p);
    printf("\n");
    print_tree(p);
    if (p->c->o.verbose)
        print_objects(p);
    if (p->run || p->chain.len > 1 || p->warnings.len)
        printf("\n");
    if (p->run) {
        print_counts(p);
        print_removed(p->c, p->run);
        print_left(p->c, p->run, true);
    }
    print_chain(p);
    print_warnings(p);
    print_unknown(p);
    if (p->sum)
        print_saved(p);
}

static bool build(struct cli *c, struct session *s, struct run **run, struct graph **own,
                  struct err *err)
{
    for (size_t i = 0; i < c->o.apps.len; i++)
        if (desired_find_app(s->desired, c->o.apps.v[i]) < 0)
            return err_set(err, ERR_NOT_FOUND, "there is no application %s", c->o.apps.v[i]) ||
                   err_hint(err, "regrow plan without --app lists them.");
    if (c->o.use_cluster)
        return cli_run(c, s, true, run, err) && run_resolve_checks(*run, err);
    struct graph_opts go = cli_graph_opts(c);
    return graph_build(s->desired, NULL, &go, own, err);
}

// What is left behind is in a cluster, and nowhere else.
static bool check_usage(const struct cli *c, struct err *err)
{
    if (c->o.use_cluster || !c->o.prune_left.len)
        return true;
    err_set(err, ERR_USAGE,
            "--prune-left asks for what is left in a cluster, and none is looked at");
    return err_hint(err, "Add --use-cluster.");
}

int cmd_plan(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct run *run CLEANUP(run_freep) = NULL;
    struct graph *own CLEANUP(graph_freep) = NULL;
    CLEANUP(str_freep) char *sum = NULL;
    c->o.use_cluster |= c->o.plan_out != NULL;
    if (!check_usage(c, err) || !cli_session(c, 0, c->o.use_cluster, &s, err) ||
        !build(c, s, &run, &own, err))
        return 0;
    struct planning p CLEANUP(planning_clear) = {
        .c = c, .s = s, .d = s->desired, .g = run ? run_graph(run) : own, .run = run};
    planning_fill(&p);
    size_t all = 0;
    // What bootstrap would refuse is shown, and refused: it is written to no file.
    struct err refusal CLEANUP(err_clear) = {0};
    if (run)
        err_copy(&refusal, &run_plan(run)->breaker);
    bool is_refused = err_is_set(&refusal) || !cli_any(c, s->desired, &refusal);
    if (c->o.plan_out && !is_refused && !count_unknown(&p, &all) && !planfile_save(&p, &sum, err))
        return 0;
    p.sum = sum;
    if (wants_doc(c))
        print_plan_doc(&p);
    else if (c->o.output == OUT_DOT)
        print_plan_dot(&p);
    else {
        if (is_refused)
            drop_warning(&p.warnings, refusal.msg);
        print_text(&p);
    }
    if (is_refused) {
        err_copy(err, &refusal);
        return 0;
    }
    if (count_unknown(&p, &all)) {
        if (c->o.plan_out)
            (void)!planfile_save(&p, &sum, err); // says that it is not written
        return err_exit_code(ERR_PARTIAL);
    }
    return c->o.exit_code && (!p.run || planning_has_changes(&p)) ? CODE_DIFFERS : 0;
}
