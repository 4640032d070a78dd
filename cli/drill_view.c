// SPDX-License-Identifier: Apache-2.0
//
// What a drill found, for people and for programs.
#include <stdlib.h>
#include <string.h>

#include "cli/drilling.h"

#define SHOWN_FINDINGS 20
#define SHOWN_DIFFERENCES 8
#define SHOWN_CHANGES 4
#define SHOWN_VALUE 200

// ---- for programs ----
static json_t *findings_part(const struct findings *f)
{
    json_t *out = json_array();
    for (size_t i = 0; i < f->v.len; i++) {
        const struct finding *x = &f->v.v[i];
        json_array_append_new(out, json_pack("{s:s, s:s*, s:s*, s:s}", "kind",
                                             finding_kind_name(x->kind), "object", x->object,
                                             "application", x->application, "message", x->message));
    }
    return out;
}

static json_t *texts(const struct strv *v)
{
    json_t *out = json_array();
    for (size_t i = 0; i < v->len; i++)
        json_array_append_new(out, json_string(v->v[i]));
    return out;
}

static json_t *plane_part(const struct drilling *x)
{
    return json_pack("{s:b, s:I, s:o}", "own", x->plane != NULL, "startMs", (json_int_t)x->plane_ms,
                     "notShown", texts(&x->simulated.told));
}

static json_t *oldest_first(const json_t *list)
{
    json_t *out = json_array();
    for (size_t i = json_array_size(list); i-- > 0;)
        json_array_append(out, json_array_get(list, i));
    return out;
}

static void step(json_t *list, const char *text, const char *command)
{
    json_array_append_new(list, json_pack("{s:s, s:s*}", "text", text, "command", command));
}

// What to do about what was found.
static json_t *steps_part(const struct drilling *x)
{
    json_t *out = json_array();
    enum drill_verdict v = drill_verdict(&x->f);
    const struct snap *s = &x->r.snap;
    bool is_judged = s->has_key && s->key.kind == CREDENTIAL_JUDGE;
    CLEANUP(str_freep)
    char *judge =
        str_printf("regrow snapshot judge %llu good --key FILE", (unsigned long long)x->r.e->seq);
    if (v == DRILL_BAD)
        step(out, "mend what is marked, make a snapshot, and drill that one", NULL);
    if (v == DRILL_BAD && is_judged)
        step(out, "latest is not this one any more; if it shall be, a judge says so", judge);
    if (v == DRILL_UNPROVEN && x->plane)
        step(out, "what only real nodes show: drill in an empty cluster of your own",
             "regrow drill --kubeconfig FILE");
    if (v == DRILL_UNPROVEN && !x->plane)
        step(out, "give it more time, or mend what is marked, and drill again", NULL);
    if (v == DRILL_GOOD && x->f.v.len)
        step(out, "what the live cluster has otherwise is not in Git, or came after the snapshot",
             NULL);
    return out;
}

json_t *drill_doc(const struct drilling *x)
{
    json_t *doc = restoring_doc(&x->r, &x->o);
    CLEANUP(str_freep) char *at = clock_rfc3339(clock_unix_ms() / 1000);
    json_object_set_new(doc, "kind", json_string("drill"));
    json_object_set_new(doc, "at", json_string(at));
    json_object_set_new(doc, "verdict", json_string(drill_verdict_name(drill_verdict(&x->f))));
    json_object_set_new(doc, "findings", findings_part(&x->f));
    json_object_set(doc, "differences", x->differences);
    json_object_set_new(doc, "compared", json_integer((json_int_t)x->compared));
    json_object_set_new(doc, "compareMs", json_integer(x->compare_ms));
    json_object_set_new(doc, "controlPlane", plane_part(x));
    json_object_set_new(doc, "live", json_boolean(x->live != NULL));
    json_object_set_new(doc, "next_steps", steps_part(x));
    json_object_set_new(doc, "history", oldest_first(x->history));
    return doc;
}

// ---- for people ----
static void print_verdict(const struct drilling *x)
{
    enum drill_verdict v = drill_verdict(&x->f);
    CLEANUP(str_freep) char *took = clock_duration_text(x->o.sum.ms);
    CLEANUP(str_freep)
    char *which =
        str_printf("snapshot %llu of %s", (unsigned long long)x->r.e->seq, x->r.snap.chain);
    size_t n = x->f.v.len;
    CLEANUP(str_freep)
    char *found = str_printf("%zu finding%s   (exit" NBSP "10)", n, n == 1 ? "" : "s");
    static const char *const says[] = {
        [DRILL_GOOD] = "comes back",
        [DRILL_UNPROVEN] = "came back, but that it works is not proved",
        [DRILL_BAD] = "does not come back whole",
    };
    CLEANUP(str_freep)
    char *text = str_printf("%s %s: %zu of %zu applications healthy in %s, %zu objects "
                            "compared%s%s",
                            which, says[v], x->o.sum.apps_healthy, x->o.sum.apps, took, x->compared,
                            n ? "   " : ", none differs", n ? found : "");
    printf("%s ", state_symbol(x->r.c, n ? NODE_FAILED : NODE_READY));
    print_wrapped(stdout, text, 2, 2);
}

static void print_changes(const struct drilling *x, const json_t *changes)
{
    size_t i;
    json_t *v;
    json_array_foreach(changes, i, v)
    {
        const json_t *a = json_object_get(v, "expected");
        const json_t *b = json_object_get(v, "found");
        if (i == SHOWN_CHANGES) {
            printf("      and %zu more\n", json_array_size(changes) - i);
            return;
        }
        printf("      ");
        print_wrapped(stdout, json_dot_str(v, "pointer"), 6, 8);
        if (!json_is_null(a))
            print_value(x->r.c, "-", "red", a, 10, SHOWN_VALUE);
        if (!json_is_null(b))
            print_value(x->r.c, "+", "green", b, 10, SHOWN_VALUE);
    }
}

static void print_differences(const struct drilling *x)
{
    size_t n = json_array_size(x->differences);
    size_t i;
    json_t *d;
    if (!n)
        return;
    printf("  %zu object%s differ%s (- as expected, + as found in the drill):\n", n,
           n == 1 ? "" : "s", n == 1 ? "s" : "");
    json_array_foreach(x->differences, i, d)
    {
        if (i == SHOWN_DIFFERENCES && !x->r.c->o.verbose) {
            printf("    and %zu more (-v)\n", n - i);
            return;
        }
        CLEANUP(str_freep)
        char *head = str_printf("%s  %s, against the %s", json_dot_str(d, "object"),
                                json_dot_str(d, "kind"), json_dot_str(d, "against"));
        printf("    ");
        print_wrapped(stdout, head, 4, 6);
        print_changes(x, json_object_get(d, "changes"));
    }
}

static void print_findings(const struct drilling *x)
{
    for (size_t i = 0; i < x->f.v.len; i++) {
        const struct finding *f = &x->f.v.v[i];
        const char *about = f->object ? f->object : f->application;
        bool of_app = f->object && f->application;
        if (i == SHOWN_FINDINGS && !x->r.c->o.verbose) {
            printf("  and %zu more (-v)\n", x->f.v.len - i);
            return;
        }
        CLEANUP(str_freep)
        char *text = str_printf("%s: %s%s%s%s%s%s", finding_kind_name(f->kind), about ? about : "",
                                of_app ? " (" : "", of_app ? f->application : "", of_app ? ")" : "",
                                about ? ": " : "", f->message);
        printf("  %s ", state_symbol(x->r.c, NODE_FAILED));
        print_wrapped(stdout, text, 4, 6);
    }
}

static void print_not_shown(const struct drilling *x)
{
    for (size_t i = 0; i < x->simulated.told.len; i++) {
        CLEANUP(str_freep) char *text = str_printf("not shown: %s", x->simulated.told.v[i]);
        printf("  · ");
        print_wrapped(stdout, text, 4, 6);
    }
}

static void print_files(const struct drilling *x)
{
    const struct options *o = &x->r.c->o;
    const struct snap *s = &x->r.snap;
    const char *path = o->restore.report;
    bool is_signed = path && s->has_key && s->key.kind == CREDENTIAL_JUDGE;
    CLEANUP(str_freep) char *by = is_signed ? str_printf(" (signed in %s.signed)", path) : NULL;
    CLEANUP(str_freep)
    char *text = str_printf("report: %s%s%s%s", path ? path : "", by ? by : "",
                            path && o->drill.html ? ", " : "", o->drill.html ? o->drill.html : "");
    if (!path && !o->drill.html)
        return;
    printf("  ");
    print_wrapped(stdout, text, 2, 4);
}

static void print_next(const struct drilling *x)
{
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(x->doc, "next_steps"), i, step)
    {
        const char *command = json_dot_str(step, "command");
        printf("%s", i ? "        " : "  next: ");
        print_wrapped(stdout, json_dot_str(step, "text"), 8, 8);
        if (command)
            printf("          %s\n", command);
    }
}

void drill_print(struct drilling *x)
{
    print_verdict(x);
    restoring_print_times(x->doc, !x->o.code);
    if (!x->r.c->o.quiet)
        print_not_shown(x);
    print_files(x);
    if (x->noted)
        printf("  noted in entry %llu, with the report\n", (unsigned long long)x->noted);
    print_differences(x);
    print_findings(x);
    print_next(x);
}
