// SPDX-License-Identifier: Apache-2.0
//
// A desired state as text, all of it: two are the same state when they are the same text.
#ifndef TESTS_SOURCE_DESIRED_TEXT_H
#define TESTS_SOURCE_DESIRED_TEXT_H

#include "source/source.h"
#include "tests/test.h"

static inline void text_list(struct buf *b, const char *what, const struct strv *list)
{
    for (size_t i = 0; i < list->len; i++)
        buf_printf(b, "  %s %s\n", what, list->v[i]);
}

static inline void text_app(struct buf *b, const struct desired *d, const struct application *a)
{
    CLEANUP(str_freep) char *origin = origin_text(&a->origin);
    CLEANUP(str_freep) char *doc = a->doc ? canon_of(a->doc) : str_dup("");
    buf_printf(b, "app %s %s of %s state %d problem %d %s hint %s from %s source %u\n",
               a->tracking_name, a->name, a->parent < 0 ? "-" : d->apps.v[a->parent]->tracking_name,
               a->state, a->problem.kind, a->problem.msg ? a->problem.msg : "",
               a->problem.hint ? a->problem.hint : "", origin, a->origin.source);
    buf_printf(b, "  revision %s set %s preserved %d marks %u doc %s\n",
               a->revision_text ? a->revision_text : "", a->set_name ? a->set_name : "",
               a->is_preserved, a->marks, doc);
    text_list(b, "exact", &a->revisions);
    text_list(b, "warning", &a->warnings);
}

static inline void text_object(struct buf *b, const struct desired *d, const struct object *o)
{
    CLEANUP(str_freep) char *key = object_key(&o->id);
    CLEANUP(str_freep) char *origin = origin_text(&o->origin);
    buf_printf(b,
               "object %s %s of %s from %s source %u phase %d/%u hook %d/%u wave %d options %u\n",
               key, o->version, d->apps.v[o->app]->tracking_name, origin, o->origin.source,
               o->phase, o->phases, o->is_hook, o->hook_delete, o->wave, o->options);
    buf_printf(b, "  namespaced %d guessed %d denied %d made %d bare %d virtual %d %s\n",
               o->is_namespaced, o->is_scope_guessed, o->is_denied_for_cluster, o->is_made,
               o->is_bare, o->is_virtual, o->body);
    struct sha256 sum = sha256_of(o->body, o->body_len);
    if (!sha256_eq(&sum, &o->hash))
        buf_str(b, "  the hash is another\n");
}

static inline char *desired_text(const struct desired *d)
{
    struct buf b = {0};
    buf_printf(&b, "root %s %s %s %s %lld\n", d->root_name,
               d->root_revision ? d->root_revision : "", d->root_commit ? d->root_commit : "",
               d->root_ref ? d->root_ref : "", (long long)d->root_time_unix_s);
    text_list(&b, "warning", &d->warnings);
    for (size_t i = 0; i < d->apps.len; i++)
        text_app(&b, d, d->apps.v[i]);
    for (size_t i = 0; i < d->objects.len; i++)
        text_object(&b, d, &d->objects.v[i]);
    for (size_t i = 0; i < d->projects.len; i++) {
        CLEANUP(str_freep) char *doc = canon_of(d->projects.v[i]);
        buf_printf(&b, "project %s\n", doc);
    }
    for (size_t i = 0; i < kinds_count(d->kinds); i++) {
        const struct kind_info *k = kinds_get(d->kinds, i);
        if (!k->is_builtin)
            buf_printf(&b, "kind %s/%s %s %s %d %d\n", k->group, k->version, k->kind, k->plural,
                       k->is_namespaced, k->is_served);
    }
    for (size_t i = 0; i < d->index_len; i++)
        buf_printf(&b, "%u ", d->index[i]);
    for (unsigned i = 0; i < d->apps.len; i++) {
        const unsigned *of = NULL;
        size_t n = desired_objects_of(d, i, &of);
        buf_printf(&b, "\nof %u:", i);
        for (size_t k = 0; k < n; k++)
            buf_printf(&b, " %u", of[k]);
    }
    buf_char(&b, '\n');
    return buf_take(&b);
}

// Fails the test at the first line that differs.
static inline void assert_same_state(const struct desired *a, const struct desired *b,
                                     const char *what)
{
    CLEANUP(str_freep) char *x = desired_text(a);
    CLEANUP(str_freep) char *y = desired_text(b);
    const char *p = x;
    const char *q = y;
    if (!strcmp(x, y))
        return;
    for (size_t n = 0; *p && *p == *q; p++, q++)
        n++;
    while (p > x && p[-1] != '\n') {
        p--;
        q--;
    }
    fail_msg("%s:\n%.*s\nwanted:\n%.*s", what, (int)strcspn(p, "\n"), p, (int)strcspn(q, "\n"), q);
}

#endif
