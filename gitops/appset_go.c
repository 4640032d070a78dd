// SPDX-License-Identifier: Apache-2.0
//
// goTemplate: true. Texts are gathered with the parameters they are to be filled with and rendered
// together, by the program behind appset_io (spec argo-cd section 6.3). Parameters are trees here.
#include <stdlib.h>
#include <string.h>

#include "gitops/appset_int.h"
#include "gitops/gotext.h"
#include "gitops/json.h"

#define MAX_PAIRS 200000
#define MAX_TEXT_BYTES (4U << 20) // as much as helm takes of a file

struct known_text {
    struct gotext *read;
    char *where;       // the first place it stands at
    bool has_no_value; // it says "<no value>" itself
};

struct go_filler {
    const struct set_reader *r;
    struct go_batch batch;
    json_t *numbers; // text -> number of known
    json_t *bound;   // text as it is rendered -> number among the batch's
    size_t text_bytes;
    VEC(struct known_text) known;
    VEC(unsigned) known_of; // of each pair
    VEC(json_t *) pair_of;  // of each set: text -> number of the pair
    json_t *results;        // a string for each pair
};

struct go_filler *go_filler_new(const struct set_reader *r)
{
    struct go_filler *f = mem_alloc(sizeof(*f));
    f->r = r;
    f->batch.sets = json_array();
    f->numbers = json_object();
    f->bound = json_object();
    return f;
}

void go_filler_free(struct go_filler *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->known.len; i++) {
        gotext_free(f->known.v[i].read);
        free(f->known.v[i].where);
    }
    for (size_t i = 0; i < f->pair_of.len; i++)
        json_decref(f->pair_of.v[i]);
    vec_clear(&f->known);
    vec_clear(&f->known_of);
    vec_clear(&f->pair_of);
    strv_clear(&f->batch.texts);
    vec_clear(&f->batch.pairs);
    json_decref(f->batch.sets);
    json_decref(f->numbers);
    json_decref(f->bound);
    json_decref(f->results);
    free(f);
}

void go_filler_freep(struct go_filler **f)
{
    go_filler_free(*f);
}

void go_params(struct go_filler *f, const json_t *params)
{
    json_array_append(f->batch.sets, (json_t *)params);
    *vec_push(&f->pair_of) = json_object();
}

static bool wrong(const struct go_filler *f, const char *where, struct err *err)
{
    return err_wrap(err, "ApplicationSet %s: %s", f->r->name, where);
}

// ---- asking ----
static bool find_text(struct go_filler *f, const char *where, const char *text, unsigned *number,
                      struct err *err)
{
    const json_t *have = json_object_get(f->numbers, text);
    if (have) {
        *number = (unsigned)json_integer_value(have);
        return true;
    }
    struct gotext *t = NULL;
    if (!gotext_read(text, &t, err))
        return wrong(f, where, err);
    struct known_text *k = vec_push(&f->known);
    k->read = t;
    k->where = str_dup(where);
    k->has_no_value = strstr(text, GOTEXT_NO_VALUE) != NULL;
    *number = (unsigned)f->known.len - 1;
    json_object_set_new(f->numbers, text, json_integer(*number));
    return true;
}

static unsigned find_bound(struct go_filler *f, const struct gotext *t, const json_t *params)
{
    CLEANUP(str_freep) char *text = gotext_bind(t, params, f->r->missing);
    const json_t *have = json_object_get(f->bound, text);
    if (have)
        return (unsigned)json_integer_value(have);
    unsigned n = (unsigned)f->batch.texts.len;
    json_object_set_new(f->bound, text, json_integer(n));
    f->text_bytes += strlen(text);
    strv_push(&f->batch.texts, text);
    return n;
}

static bool ask(struct go_filler *f, const char *where, const char *text, bool unless_missing,
                struct err *err)
{
    size_t set = f->pair_of.len - 1;
    const json_t *params = json_array_get(f->batch.sets, set);
    unsigned number = 0;
    if (!gotext_is_template(text) || json_object_get(f->pair_of.v[set], text))
        return true;
    if (!find_text(f, where, text, &number, err))
        return false;
    const struct gotext *t = f->known.v[number].read;
    if (unless_missing && !gotext_has_all(t, params))
        return true;
    json_object_set_new(f->pair_of.v[set], text, json_integer((json_int_t)f->batch.pairs.len));
    struct go_pair *p = vec_push(&f->batch.pairs);
    p->text = find_bound(f, t, params);
    p->set = (unsigned)set;
    *vec_push(&f->known_of) = number;
    return (f->batch.pairs.len <= MAX_PAIRS && f->text_bytes <= MAX_TEXT_BYTES) ||
           appset_refuse(f->r, "more templates than regrow renders (200,000, or 4 MiB of them)",
                         err);
}

bool go_ask(struct go_filler *f, const char *where, const char *text, struct err *err)
{
    return ask(f, where, text, false, err);
}

bool go_ask_tree(struct go_filler *f, const char *where, const json_t *v, struct err *err)
{
    const char *key;
    json_t *x;
    size_t i;
    bool ok = true;
    if (json_is_string(v))
        return go_ask(f, where, json_string_value(v), err);
    json_array_foreach(v, i, x)
    {
        CLEANUP(str_freep) char *there = str_printf("%s/%zu", where, i);
        ok = ok && go_ask_tree(f, there, x, err);
    }
    json_object_foreach((json_t *)v, key, x)
    {
        CLEANUP(str_freep) char *there = str_printf("%s/%s", where, key);
        ok = ok && go_ask(f, there, key, err) && go_ask_tree(f, there, x, err);
    }
    return ok;
}

bool go_run(struct go_filler *f, struct err *err)
{
    const struct appset_io *io = f->r->io;
    size_t bad = f->batch.pairs.len;
    if (!bad)
        return true;
    if (!io->go_render)
        return appset_refuse(f->r, "Go templates cannot be rendered here", err);
    if (!io->go_render(io->ctx, &f->batch, &f->results, &bad, err)) {
        bool is_known = bad < f->batch.pairs.len;
        return wrong(f, is_known ? f->known.v[f->known_of.v[bad]].where : "its Go templates", err);
    }
    for (size_t i = 0; f->r->missing == GO_MISSING_ERROR && i < f->batch.pairs.len; i++) {
        const struct known_text *k = &f->known.v[f->known_of.v[i]];
        const char *text = json_string_value(json_array_get(f->results, i));
        if (!k->has_no_value && text && strstr(text, GOTEXT_NO_VALUE))
            return err_set(err, ERR_INVALID,
                           "ApplicationSet %s: %s: a key that it names is missing", f->r->name,
                           k->where);
    }
    return true;
}

// ---- answers ----
const char *go_text(const struct go_filler *f, size_t set, const char *text)
{
    const json_t *pair = json_object_get(f->pair_of.v[set], text);
    const json_t *s = pair ? json_array_get(f->results, (size_t)json_integer_value(pair)) : NULL;
    return s ? json_string_value(s) : text;
}

json_t *go_tree(const struct go_filler *f, size_t set, const json_t *v)
{
    const char *key;
    json_t *x;
    size_t i;
    if (json_is_string(v))
        return json_string(go_text(f, set, json_string_value(v)));
    if (json_is_array(v)) {
        json_t *list = json_array();
        json_array_foreach(v, i, x)
        {
            json_array_append_new(list, go_tree(f, set, x));
        }
        return list;
    }
    if (!json_is_object(v))
        return json_deep_copy((json_t *)v);
    json_t *map = json_object();
    json_object_foreach((json_t *)v, key, x)
    {
        if (!json_is_null(x)) // as Argo CD drops them
            json_object_set_new(map, go_text(f, set, key), go_tree(f, set, x));
    }
    return map;
}

// ---- generators ----
bool go_values(const struct set_reader *r, const char *kind, const json_t *values, json_t *sets,
               size_t first, struct err *err)
{
    CLEANUP(go_filler_freep) struct go_filler *f = go_filler_new(r);
    const char *key;
    json_t *v;
    if (!json_object_size(values))
        return true;
    for (size_t i = first; i < json_array_size(sets); i++) {
        go_params(f, json_array_get(sets, i));
        json_object_foreach((json_t *)values, key, v)
        {
            CLEANUP(str_freep) char *where = str_printf("values.%s of its %s generator", key, kind);
            if (json_is_string(v) && !go_ask(f, where, json_string_value(v), err))
                return false;
        }
    }
    if (!go_run(f, err))
        return false;
    for (size_t i = first; i < json_array_size(sets); i++) {
        json_t *filled = json_object();
        json_object_foreach((json_t *)values, key, v)
        {
            if (json_is_string(v))
                json_object_set_new(filled, key,
                                    json_string(go_text(f, i - first, json_string_value(v))));
        }
        json_object_set_new(json_array_get(sets, i), "values", filled);
    }
    return true;
}

// "values" that name what the other generator does not have wait for their own.
static bool ask_kind(struct go_filler *f, const char *where, const json_t *x, struct err *err)
{
    const char *key;
    const char *name;
    json_t *v;
    json_t *text;
    bool ok = true;
    json_object_foreach((json_t *)x, key, v)
    {
        CLEANUP(str_freep) char *there = str_printf("%s/%s", where, key);
        if (strcmp(key, "values") != 0 || !json_is_object(v)) {
            ok = ok && go_ask_tree(f, there, v, err);
            continue;
        }
        json_object_foreach(v, name, text)
        {
            CLEANUP(str_freep) char *place = str_printf("%s/%s", there, name);
            ok = ok && (!json_is_string(text) || ask(f, place, json_string_value(text), true, err));
        }
    }
    return ok;
}

static bool ask_generator(struct go_filler *f, const char *where, const json_t *g, struct err *err)
{
    const char *key;
    json_t *v;
    size_t i;
    json_t *kid;
    bool ok = true;
    json_object_foreach((json_t *)g, key, v)
    {
        CLEANUP(str_freep) char *there = str_printf("%s/%s", where, key);
        if (!strcmp(key, "matrix") || !strcmp(key, "merge")) {
            json_array_foreach(json_object_get(v, "generators"), i, kid)
            {
                CLEANUP(str_freep) char *place = str_printf("%s/generators/%zu", there, i);
                ok = ok && ask_generator(f, place, kid, err);
            }
        } else if (!strcmp(key, "clusters") || !strcmp(key, "git")) {
            ok = ok && ask_kind(f, there, v, err);
        } else if (strcmp(key, "selector") != 0) {
            ok = ok && go_ask_tree(f, there, v, err);
        }
    }
    return ok;
}

bool go_second(const struct set_reader *r, const json_t *g, const json_t *first, json_t *out,
               struct err *err)
{
    CLEANUP(go_filler_freep) struct go_filler *f = go_filler_new(r);
    size_t i;
    json_t *set;
    json_array_foreach(first, i, set)
    {
        go_params(f, set);
        if (json_object_size(set) && !ask_generator(f, "second generator of its matrix: ", g, err))
            return false;
    }
    if (!go_run(f, err))
        return false;
    json_array_foreach(first, i, set)
    {
        json_t *filled = go_tree(f, i, g);
        if (json_object_get(g, "selector")) // counts as it is written
            json_object_set(filled, "selector", json_object_get(g, "selector"));
        json_array_append_new(out, filled);
    }
    return true;
}

// ---- goTemplateOptions ----
bool go_options(struct set_reader *r, const json_t *spec, struct err *err)
{
    size_t i;
    json_t *o;
    r->is_go = json_dot_bool(spec, "goTemplate", false);
    json_array_foreach(r->is_go ? json_object_get(spec, "goTemplateOptions") : NULL, i, o)
    {
        const char *text = json_string_value(o);
        if (str_eq(text, "missingkey=error")) {
            r->missing = GO_MISSING_ERROR;
        } else if (str_eq(text, "missingkey=default") || str_eq(text, "missingkey=invalid")) {
            r->missing = GO_MISSING_PRINTED;
        } else {
            CLEANUP(str_freep)
            char *what = str_printf("goTemplateOptions \"%.60s\" is not supported by regrow",
                                    text ? text : "");
            return appset_refuse(r, what, err);
        }
    }
    return true;
}
