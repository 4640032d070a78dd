// SPDX-License-Identifier: Apache-2.0
//
// The report of a restore: what the time was spent on, what is missing or awaited, what to do next;
// as members of its document, and in short on a terminal.
#include <stdlib.h>
#include <string.h>

#include "cli/restoring.h"

#define WAITING_MS 1000
#define SHORT_MS 50 // a phase that took no time explains nothing
#define SHOWN_NAMES 3
#define SHOWN_IMAGES 5
#define ADVISED_APPS 3

// ---- the end of the run ----
static int64_t last_write(const struct run *r)
{
    int64_t last = 0;
    for (unsigned i = 0; i < run_desired(r)->objects.len; i++) {
        struct node_view v;
        run_node(r, i, &v);
        if (v.applied_ms > last)
            last = v.applied_ms;
    }
    return last;
}

// While nothing could be written, since all that was left waited for something: no time of writing.
static void find_waiting(struct restoring *x, const struct run *r)
{
    size_t n = 0;
    struct timeline_span *spans = mem_alloc((run_desired(r)->objects.len + 1) * sizeof(*spans));
    for (unsigned i = 0; i < run_desired(r)->objects.len; i++) {
        struct node_view v;
        run_node(r, i, &v);
        if (v.sent_ms && v.applied_ms >= v.sent_ms)
            spans[n++] = (struct timeline_span){v.sent_ms, v.applied_ms};
    }
    timeline_gaps(&x->timeline, "waiting", spans, n, WAITING_MS);
    free(spans);
}

static bool is_all_well(const struct outcome *o)
{
    return !(o->sum.apps_failed + o->sum.apps_blocked + o->sum.apps_waiting);
}

// Of the commit that the root is of; the clock of the RTO stands still by now.
static void find_commit_time(struct restoring *x)
{
    struct err err = {0};
    struct desired *d = x->s->desired;
    const struct age_identity *id = NULL;
    CLEANUP(reader_freep) struct reader *r = NULL;
    if (!d->root_commit || d->root_time_unix_s)
        return;
    // (Only the report says less.)
    if (!snap_identity(&x->snap, x->e, &id, &err) ||
        !reader_open(&x->snap.repo, x->snap.chain, x->e, id, &r, &err) ||
        !which_commit_time(r, d->root_commit, &d->root_time_unix_s, &err))
        err_clear(&err);
}

void restoring_settle(struct restoring *x, const struct outcome *o)
{
    struct err err = {0};
    int64_t at = last_write(o->r);
    if (x->images) // done before
        return;
    find_waiting(x, o->r);
    if (at)
        timeline_split(&x->timeline, "healthy", at);
    timeline_end(&x->timeline, clock_mono_ms());
    json_decref(x->images);
    x->images = json_array();
    // (The report says less where pods may not be listed, or the server has gone.)
    if (!is_all_well(o) && !kube_is_down(x->s->kube) &&
        !awaited_images(x->s->kube, x->s->desired, x->images, &err))
        err_clear(&err);
    find_commit_time(x);
}

// ---- what is missing ----
static void add(json_t *list, const char *kind, const char *object, const char *app,
                const char *message)
{
    json_array_append_new(list, json_pack("{s:s, s:s*, s:s*, s:s}", "kind", kind, "object", object,
                                          "application", app, "message", message));
}

static void add_apis(const struct restoring *x, json_t *out)
{
    const struct desired *d = x->s->desired;
    for (size_t i = 0; i < x->apis.v.len; i++) {
        const struct api_change *c = &x->apis.v.v[i];
        if (c->fate == API_MOVED || c->fate == API_DEPRECATED)
            continue;
        const struct object *o = &d->objects.v[c->object];
        CLEANUP(str_freep) char *name = object_name(&o->id);
        CLEANUP(str_freep) char *text = api_change_text(d, c);
        add(out, "api", name, d->apps.v[o->app]->name, text);
    }
}

static json_t *missing_part(const struct restoring *x)
{
    json_t *out = json_array();
    for (size_t i = 0; i < x->frozen.missing.len; i++)
        add(out, "snapshot", NULL, NULL, x->frozen.missing.v[i]);
    for (size_t i = 0; i < x->frozen.stale.len; i++)
        add(out, "stale", NULL, x->frozen.stale.v[i],
            "it could not be read when the snapshot was made, and comes back as it was before");
    add_apis(x, out);
    for (size_t i = 0; i < x->zero.kept.len; i++)
        add(out, "kept", x->zero.kept.v[i], NULL,
            "was there already, made by others: it stays as it is");
    json_array_extend(out, x->images);
    json_array_extend(out, x->volumes);
    return out;
}

// ---- what to do next ----
static void step(json_t *list, const char *text, const char *command)
{
    json_array_append_new(list, json_pack("{s:s, s:s*}", "text", text, "command", command));
}

// The kinds of Argo CD that a snapshot brings are served only at the end: until then what is of
// them is read, never sent.
static bool has_argo_left(const struct restoring *x)
{
    const struct desired *d = x->s->desired;
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        struct object_id crd = {(char *)"apiextensions.k8s.io", (char *)"CustomResourceDefinition",
                                NULL, (char *)"applications.argoproj.io"};
        if (o->is_virtual && !strcmp(o->id.group, "argoproj.io") &&
            !strcmp(o->id.kind, "Application"))
            return desired_find(d, &crd) != NULL;
    }
    return false;
}

// "kubectl describe ... shows what it lacks", "see kubectl logs ...": the command apart.
static void add_advised(json_t *out, const char *app, const char *what)
{
    static const char shows[] = " shows what it lacks";
    bool is_shown = str_ends(what, shows);
    bool is_seen = str_starts(what, "see kubectl");
    CLEANUP(str_freep)
    char *command = is_shown  ? str_ndup(what, strlen(what) - strlen(shows))
                    : is_seen ? str_dup(what + strlen("see "))
                              : NULL;
    CLEANUP(str_freep) char *text = str_printf("%s: %s", app, command ? "see what it lacks" : what);
    step(out, text, command);
}

// For each application that is not healthy what can be done about the cause, every cause once. (The
// root waits for all the others.)
static void add_advice(const struct outcome *o, json_t *out)
{
    struct strv said = {0};
    const struct desired *d = run_desired(o->r);
    for (unsigned i = d->apps.len > 1; i < d->apps.len && said.len < ADVISED_APPS; i++) {
        struct chain_link *chain = NULL;
        struct node_view v;
        run_node(o->r, run_graph(o->r)->app_end[i], &v);
        if (v.state == NODE_READY || v.state == NODE_SKIPPED)
            continue;
        size_t n = run_why(o->r, run_graph(o->r)->app_end[i], &chain);
        CLEANUP(str_freep) char *what = advice(o->r, chain[n - 1].node);
        free(chain);
        if (!*what || strv_has(&said, what))
            continue;
        strv_push(&said, what);
        add_advised(out, d->apps.v[i]->name, what);
    }
    strv_clear(&said);
}

// A schedule of Velero that came back names the backups that fill volumes.
static void add_volume_step(const struct restoring *x, json_t *out)
{
    const struct desired *d = x->s->desired;
    if (!json_array_size(x->volumes))
        return;
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object_id *id = &d->objects.v[i].id;
        if (strcmp(id->group, "velero.io") != 0 || strcmp(id->kind, "Schedule") != 0)
            continue;
        CLEANUP(str_freep)
        char *command =
            str_printf("velero restore create --from-schedule %s --include-resources "
                       "persistentvolumeclaims,persistentvolumes --existing-resource-policy update",
                       id->name);
        step(out, "fill the volumes, which came back empty", command);
        return;
    }
    step(out, "fill the volumes, which came back empty, with the tool that saves them", NULL);
}

static json_t *steps_part(const struct restoring *x, const struct outcome *o)
{
    json_t *out = json_array();
    CLEANUP(str_freep) char *boot = restore_next_command(x);
    CLEANUP(str_freep) char *again = restore_again_command(x, false);
    CLEANUP(str_freep) char *rest = restore_again_command(x, true);
    if (json_array_size(x->images))
        step(out, "bring the images back to their registry; pods try again by themselves",
             "kubectl get pods -A --field-selector=status.phase=Pending");
    if (!is_all_well(o)) {
        add_advice(o, out);
        step(out, "then the same restore again: it continues where it is", again);
    } else if (has_argo_left(x)) {
        step(out,
             "run the same command once more: now that Argo CD is there it takes its Applications",
             again);
    }
    add_volume_step(x, out);
    CLEANUP(str_freep) char *mapped = restoring_mapped_text(x);
    if (mapped)
        step(out, mapped, NULL);
    if (x->c->o.restore.is_part)
        step(out, "only a part was restored; this brings the rest", rest);
    if (x->has_git && !x->is_pushed)
        step(out, "then the same command again: it goes on with Git", NULL);
    if (mapped && x->is_pushed)
        step(out, "then the switch back to Git", boot);
    if (mapped) // bootstrap would change things back, until Git has the new names
        return out;
    step(out,
         x->is_pushed
             ? "the switch back to Git; where Git says what the snapshot says, it changes nothing"
             : "when Git answers again; where Git says what the snapshot says, it changes nothing",
         boot);
    return out;
}

// ---- the document ----
void restoring_add_report(const struct restoring *x, const struct outcome *o, json_t *doc)
{
    const struct timeline *t = &x->timeline;
    int64_t began = t->began_unix_ms / 1000;
    int64_t commit = x->s->desired->root_time_unix_s;
    int64_t rpo = began - entry_taken_s(x->e);
    CLEANUP(str_freep) char *at = clock_rfc3339(began);
    json_object_set_new(doc, "began", json_string(at));
    json_object_set_new(doc, "rpo_seconds", json_integer(rpo > 0 ? rpo : 0));
    if (commit > 0)
        json_object_set_new(doc, "commit_age_seconds",
                            json_integer(began > commit ? began - commit : 0));
    json_object_set_new(doc, "phases", timeline_phases(t));
    json_object_set_new(doc, "missing", missing_part(x));
    if (!o)
        return;
    json_object_set_new(doc, "rto_ms", json_integer(timeline_total(t)));
    json_object_set_new(doc, "applications", timeline_applications(t, o->r));
    json_object_set_new(doc, "critical_path", timeline_path(t, o->r));
    json_object_set_new(doc, "awaited", awaited_find(o->r));
    json_object_set_new(doc, "next_steps", steps_part(x, o));
}

// ---- its file ----
bool restoring_save(const struct restoring *x, const json_t *doc, struct err *err)
{
    const char *path = x->c->o.restore.report;
    if (!path || report_write(doc, path, err))
        return true;
    err_wrap(err, "report %s", path);
    return err_hint(err, "Only the report is missing: what was to be done is done.");
}

void restoring_save_failed(struct restoring *x, const struct run *run, const struct err *why)
{
    struct outcome o;
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!x->c->o.restore.report)
        return;
    if (x->is_running) {
        outcome_of(&o, x->c, run);
        restoring_settle(x, &o);
    }
    timeline_end(&x->timeline, clock_mono_ms());
    doc = x->volumes ? restoring_doc(x, x->is_running ? &o : NULL) : doc_new("restore", NULL);
    if (!x->volumes)
        json_object_set_new(doc, "phases", timeline_phases(&x->timeline));
    CLEANUP(str_freep) char *msg = clean(why->msg);
    CLEANUP(str_freep) char *hint = why->hint ? clean(why->hint) : NULL;
    json_object_set_new(doc, "error",
                        json_pack("{s:s, s:s, s:s*, s:i}", "type", err_kind_name(why->kind),
                                  "message", msg, "hint", hint, "exitCode",
                                  err_exit_code(why->kind)));
    // (Why it ended matters more than that this could not be written.)
    if (!restoring_save(x, doc, &err))
        err_clear(&err);
}

// ---- for people ----
// Writing and waiting may take turns: each is told once, where it first was.
static void sum_phases(const json_t *phases, json_t *sums)
{
    size_t i;
    json_t *p;
    json_array_foreach(phases, i, p)
    {
        const char *name = json_dot_text(p, "name");
        if (json_dot_bool(p, "counted", true))
            json_object_set_new(sums, name,
                                json_integer(json_dot_int(p, "ms", 0) +
                                             json_integer_value(json_object_get(sums, name))));
    }
}

void restoring_print_times(const json_t *report, bool is_all_well)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *total = clock_duration_text(json_dot_int(report, "rto_ms", 0));
    CLEANUP(str_freep) char *age = age_text(json_dot_int(report, "rpo_seconds", 0));
    long long commit = json_dot_int(report, "commit_age_seconds", -1);
    CLEANUP(str_freep) char *of_commit = commit >= 0 ? age_text(commit) : NULL;
    CLEANUP(json_freep) json_t *sums = json_object();
    const char *name;
    json_t *p;
    const char *sep = " (";
    sum_phases(json_object_get(report, "phases"), sums);
    buf_printf(&b, is_all_well ? "RTO %s" : "not all of it is back after %s", total);
    json_object_foreach(sums, name, p)
    {
        if (json_integer_value(p) < SHORT_MS)
            continue;
        CLEANUP(str_freep) char *took = clock_duration_text(json_integer_value(p));
        buf_printf(&b, "%s%s" NBSP "%s", sep, name, took);
        sep = ", ";
    }
    buf_printf(&b, "%s", *sep == ',' ? ")" : "");
    restoring_print_line("", b.p);
    buf_reset(&b);
    buf_printf(&b, "RPO %s", age);
    if (of_commit)
        buf_printf(&b, " (its commit is %s old)", of_commit);
    buf_str(&b, ": what changed since is not in it");
    restoring_print_line("", b.p);
}

static void print_losses(const struct restoring *x, const json_t *report)
{
    struct strv losses = {0};
    size_t i;
    json_t *m;
    restoring_losses(x, &losses);
    json_array_foreach(json_object_get(report, "missing"), i, m)
    {
        const char *kind = json_dot_str(m, "kind");
        const char *object = json_dot_str(m, "object");
        if (!strcmp(kind, "api"))
            strv_push(&losses, json_dot_str(m, "message"));
        else if (!strcmp(kind, "kept"))
            strv_push_take(&losses, str_printf("%s %s", object, json_dot_str(m, "message")));
    }
    for (i = 0; i < json_array_size(x->images) && i < SHOWN_IMAGES; i++) {
        m = json_array_get(x->images, i);
        strv_push_take(&losses, str_printf("the image of %s cannot be pulled: %s",
                                           json_dot_str(m, "object"), json_dot_str(m, "message")));
    }
    if (json_array_size(x->images) > SHOWN_IMAGES)
        strv_push_take(
            &losses, str_printf("and %zu more images", json_array_size(x->images) - SHOWN_IMAGES));
    for (i = 0; i < losses.len; i++)
        restoring_print_line("!", losses.v[i]);
    strv_clear(&losses);
}

// A line for each act of others: "waits for a certificate authority: Certificate edge/tls".
static void print_awaited(const json_t *report)
{
    const json_t *list = json_object_get(report, "awaited");
    CLEANUP(json_freep) json_t *lines = json_object();
    size_t i;
    json_t *a;
    json_t *names;
    const char *kind;
    json_array_foreach(list, i, a)
    {
        kind = json_dot_str(a, "kind");
        const char *object = json_dot_str(a, "object");
        names = json_object_get(lines, kind);
        if (!names) {
            names = json_array();
            json_object_set_new(lines, kind, names);
        }
        json_array_append_new(names, json_string(object ? object : json_dot_str(a, "message")));
    }
    json_object_foreach(lines, kind, names)
    {
        struct buf b CLEANUP(buf_clear) = {0};
        buf_printf(&b, "it waits for %s: ", awaited_text(kind));
        for (i = 0; i < json_array_size(names) && i < SHOWN_NAMES; i++)
            buf_printf(&b, "%s%s", i ? ", " : "", json_string_value(json_array_get(names, i)));
        if (json_array_size(names) > SHOWN_NAMES)
            buf_printf(&b, " and %zu more", json_array_size(names) - SHOWN_NAMES);
        restoring_print_line("·", b.p);
    }
}

static void print_steps(const json_t *report)
{
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(report, "next_steps"), i, s)
    {
        const char *command = json_dot_str(s, "command");
        printf("%s", i ? "        " : "  next: ");
        print_wrapped(stdout, json_dot_str(s, "text"), 8, 8);
        if (command) {
            printf("          ");
            print_wrapped(stdout, command, 10, 12);
        }
    }
}

struct shown {
    const struct restoring *x;
    const json_t *report;
    bool is_all_well;
};

static void print_below(const void *ctx)
{
    const struct shown *s = ctx;
    restoring_print_times(s->report, s->is_all_well);
    if (s->x->has_report) {
        CLEANUP(str_freep) char *line = str_printf("report: %s", s->x->c->o.restore.report);
        restoring_print_line("", line);
    }
    print_losses(s->x, s->report);
    print_awaited(s->report);
    if (s->x->has_git)
        restore_git_print_end(s->x);
}

void restoring_print_end(const struct restoring *x, struct outcome *o, const json_t *report)
{
    struct shown s = {x, report, is_all_well(o)};
    o->s = x->s;
    o->below = print_below;
    o->below_ctx = &s;
    outcome_print(o);
    if (s.is_all_well) // else what to do has been said
        print_steps(report);
}
