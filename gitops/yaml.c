// SPDX-License-Identifier: Apache-2.0
//
// Chunks and trees: the text is split as kubectl splits it, each chunk goes through libyaml's
// events, and the events become jansson values.
#include "gitops/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "gitops/canon.h"
#include "gitops/json.h"
#include "gitops/yaml_scalar.h"

#define MAX_DEPTH 512
#define MAX_ANCHORS 10000
#define MAX_DOC_BYTES (16U << 20)
#define DEFAULT_MAX_BYTES (64U << 20)

struct anchor {
    char *name;
    json_t *value;  // owned; NULL while it is being read
    uint64_t nodes; // with aliases expanded
};

struct reader {
    const struct yaml_opts *o;
    yaml_parser_t parser;
    unsigned first_line; // of the chunk, 0-based
    VEC(struct anchor) anchors;
    uint64_t decoded, from_aliases; // Go's expansion rule
    struct strv *warnings;
    struct err *err;
};

static bool fail_at(struct reader *r, size_t line, const char *what)
{
    return err_set(r->err, ERR_INVALID, "%s:%zu: %s", r->o->name, r->first_line + line + 1, what);
}

// Fails, or warns where the options say so. True: go on.
static bool complain(struct reader *r, size_t line, const char *what)
{
    if (!r->o->warn_only)
        return fail_at(r, line, what);
    if (r->warnings->len < 1000)
        strv_push_take(r->warnings,
                       str_printf("%s:%zu: %s", r->o->name, r->first_line + line + 1, what));
    return true;
}

static void event_clear(yaml_event_t *e)
{
    yaml_event_delete(e);
}

static bool next(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->parser, e))
        return true;
    CLEANUP(str_freep)
    char *what =
        str_printf("%s%s%s", r->parser.problem ? r->parser.problem : "malformed",
                   r->parser.context ? ", " : "", r->parser.context ? r->parser.context : "");
    size_t line = r->parser.problem_mark.line;
    memset(e, 0, sizeof(*e));
    return fail_at(r, line, what);
}

static double allowed_alias_share(uint64_t decoded)
{
    if (decoded <= 400000)
        return 0.99;
    if (decoded >= 4000000)
        return 0.10;
    return 0.99 - 0.89 * ((double)(decoded - 400000) / 3600000.0);
}

static bool count_nodes(struct reader *r, uint64_t n, bool from_alias, size_t line)
{
    r->decoded += n;
    if (from_alias)
        r->from_aliases += n;
    if (r->from_aliases > 100 && r->decoded > 1000 &&
        (double)r->from_aliases / (double)r->decoded > allowed_alias_share(r->decoded))
        return fail_at(r, line, "document contains excessive aliasing");
    return true;
}

static json_t *read_node(struct reader *r, yaml_event_t *e, unsigned depth, bool *is_big);

static struct anchor *find_anchor(struct reader *r, const char *name)
{
    for (size_t i = r->anchors.len; i > 0; i--)
        if (!strcmp(r->anchors.v[i - 1].name, name))
            return &r->anchors.v[i - 1];
    return NULL;
}

// Index of a new anchor, or -1 when the node has none; *ok false on failure.
static long open_anchor(struct reader *r, const yaml_char_t *name, size_t line, bool *ok)
{
    *ok = true;
    if (!name)
        return -1;
    if (r->anchors.len >= MAX_ANCHORS) {
        *ok = fail_at(r, line, "too many anchors");
        return -1;
    }
    struct anchor *a = vec_push(&r->anchors);
    a->name = str_dup((const char *)name);
    a->nodes = r->decoded - 1; // the node itself is counted already
    return (long)r->anchors.len - 1;
}

static void close_anchor(struct reader *r, long at, json_t *value)
{
    if (at < 0)
        return;
    struct anchor *a = &r->anchors.v[at];
    a->value = json_incref(value);
    a->nodes = r->decoded - a->nodes;
}

static json_t *read_alias(struct reader *r, const yaml_event_t *e)
{
    size_t line = e->start_mark.line;
    const char *name = (const char *)e->data.alias.anchor;
    struct anchor *a = find_anchor(r, name);
    if (!a || !a->value) {
        CLEANUP(str_freep)
        char *what =
            str_printf(a ? "anchor \"%.60s\" contains itself" : "unknown anchor \"%.60s\"", name);
        fail_at(r, line, what);
        return NULL;
    }
    if (!count_nodes(r, a->nodes ? a->nodes : 1, true, line))
        return NULL;
    return json_deep_copy(a->value);
}

static json_t *read_scalar(struct reader *r, const yaml_event_t *e, bool *is_big)
{
    struct scalar s = {
        .text = (const char *)e->data.scalar.value,
        .len = e->data.scalar.length,
        .tag = (const char *)e->data.scalar.tag,
        .is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
    };
    struct err err = {0};
    json_t *v = scalar_value(&s, is_big, &err);
    if (!v)
        fail_at(r, e->start_mark.line, err.msg);
    err_clear(&err);
    return v;
}

static json_t *read_sequence(struct reader *r, unsigned depth)
{
    CLEANUP(json_freep) json_t *list = json_array();
    for (;;) {
        yaml_event_t e CLEANUP(event_clear);
        if (!next(r, &e))
            return NULL;
        if (e.type == YAML_SEQUENCE_END_EVENT)
            return TAKE(list);
        bool big;
        json_t *v = read_node(r, &e, depth + 1, &big);
        if (!v)
            return NULL;
        json_array_append_new(list, v);
    }
}

static bool merge_into(struct reader *r, json_t *map, const json_t *value, size_t line)
{
    if (json_is_object(value)) {
        json_object_update(map, (json_t *)value);
        return true;
    }
    bool ok = json_is_array(value);
    // Earlier items win: they are applied last.
    for (size_t i = json_array_size(value); ok && i > 0; i--) {
        json_t *item = json_array_get(value, i - 1);
        ok = json_is_object(item);
        if (ok)
            json_object_update(map, item);
    }
    return ok || fail_at(r, line, "a merge needs a map or a list of maps");
}

// Sets an explicit key. `explicit` holds those set so far, once a merge has made the map itself
// useless for that question.
static bool set_key(struct reader *r, json_t *map, json_t *explicit, const char *key, size_t len,
                    json_t *value, size_t line)
{
    const json_t *known = explicit ? explicit : map;
    if (json_object_getn(known, key, len)) {
        CLEANUP(str_freep) char *what = str_printf("key \"%.80s\" is set twice", key);
        if (!complain(r, line, what)) {
            json_decref(value);
            return false;
        }
    }
    if (explicit)
        json_object_setn_new(explicit, key, len, json_true());
    return json_object_setn_new(map, key, len, value) == 0 ||
           fail_at(r, line, "a map key is not UTF-8");
}

static json_t *keys_of(json_t *map)
{
    json_t *keys = json_object();
    for (void *it = json_object_iter(map); it; it = json_object_iter_next(map, it))
        json_object_setn_new(keys, json_object_iter_key(it), json_object_iter_key_len(it),
                             json_true());
    return keys;
}

// A key event to its text; NULL with the error set.
static char *read_key(struct reader *r, yaml_event_t *e, unsigned depth, size_t *len)
{
    bool big = false;
    CLEANUP(json_freep) json_t *key = read_node(r, e, depth + 1, &big);
    if (!key)
        return NULL;
    struct err err = {0};
    char *text = scalar_key(key, big, len, &err);
    if (!text)
        fail_at(r, e->start_mark.line, err.msg);
    err_clear(&err);
    return text;
}

static bool is_merge_key(const yaml_event_t *e)
{
    struct scalar s = {
        .text = (const char *)e->data.scalar.value,
        .len = e->data.scalar.length,
        .tag = (const char *)e->data.scalar.tag,
        .is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
    };
    return e->type == YAML_SCALAR_EVENT && scalar_is_merge(&s);
}

static json_t *read_value(struct reader *r, unsigned depth)
{
    yaml_event_t e CLEANUP(event_clear);
    bool big;
    return next(r, &e) ? read_node(r, &e, depth + 1, &big) : NULL;
}

static json_t *read_mapping(struct reader *r, unsigned depth)
{
    CLEANUP(json_freep) json_t *map = json_object();
    CLEANUP(json_freep) json_t *explicit = NULL;
    for (;;) {
        yaml_event_t e CLEANUP(event_clear);
        if (!next(r, &e))
            return NULL;
        if (e.type == YAML_MAPPING_END_EVENT)
            return TAKE(map);
        size_t line = e.start_mark.line;
        if (is_merge_key(&e)) {
            if (!explicit)
                explicit = keys_of(map);
            CLEANUP(json_freep) json_t *value = read_value(r, depth);
            if (!value || !merge_into(r, map, value, line))
                return NULL;
            continue;
        }
        size_t len = 0;
        CLEANUP(str_freep) char *key = read_key(r, &e, depth, &len);
        json_t *value = key ? read_value(r, depth) : NULL;
        if (!value || !set_key(r, map, explicit, key, len, value, line))
            return NULL;
    }
}

static json_t *read_node(struct reader *r, yaml_event_t *e, unsigned depth, bool *is_big)
{
    size_t line = e->start_mark.line;
    bool ok = true;
    json_t *v = NULL;
    *is_big = false;
    if (depth > MAX_DEPTH) {
        fail_at(r, line, "nested too deep");
        return NULL;
    }
    if (e->type == YAML_ALIAS_EVENT)
        return read_alias(r, e);
    if (!count_nodes(r, 1, false, line))
        return NULL;
    long anchor = -1;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = open_anchor(r, e->data.scalar.anchor, line, &ok);
        v = ok ? read_scalar(r, e, is_big) : NULL;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = open_anchor(r, e->data.sequence_start.anchor, line, &ok);
        v = ok ? read_sequence(r, depth) : NULL;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = open_anchor(r, e->data.mapping_start.anchor, line, &ok);
        v = ok ? read_mapping(r, depth) : NULL;
    } else {
        fail_at(r, line, "malformed");
    }
    if (v)
        close_anchor(r, anchor, v);
    return v;
}

// Integral reals become integers, as the API reads them.
static json_t *integral(json_t *v)
{
    if (json_is_real(v)) {
        double d = json_real_value(v);
        if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 &&
            d == (double)(json_int_t)d) {
            json_t *n = json_integer((json_int_t)d);
            json_decref(v);
            return n;
        }
    } else if (json_is_object(v)) {
        for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it)) {
            json_t *x = json_object_iter_value(it);
            if (json_is_real(x) || json_is_object(x) || json_is_array(x))
                json_object_iter_set_new(v, it, integral(json_incref(x)));
        }
    } else if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            json_t *x = json_array_get(v, i);
            if (json_is_real(x) || json_is_object(x) || json_is_array(x))
                json_array_set_new(v, i, integral(json_incref(x)));
        }
    }
    return v;
}

// Reads the chunk's only document: *out is NULL when the chunk is empty.
static bool read_chunk_events(struct reader *r, json_t **out, size_t *line)
{
    bool seen = false;
    for (;;) {
        yaml_event_t e CLEANUP(event_clear);
        bool big;
        if (!next(r, &e)) {
            if (!seen || !r->o->warn_only)
                return false;
            // kubectl never reads what follows the root node.
            strv_push(r->warnings, r->err->msg);
            err_clear(r->err);
            return true;
        }
        switch (e.type) {
        case YAML_STREAM_END_EVENT:
            return true;
        case YAML_SCALAR_EVENT:
        case YAML_SEQUENCE_START_EVENT:
        case YAML_MAPPING_START_EVENT:
        case YAML_ALIAS_EVENT:
            if (seen)
                return complain(r, e.start_mark.line,
                                "text after the end of the document is ignored by kubectl");
            seen = true;
            *line = e.start_mark.line;
            *out = read_node(r, &e, 0, &big);
            if (!*out)
                return false;
            break;
        default:
            break;
        }
    }
}

static void push_doc(struct yaml_docs *out, json_t *value, unsigned line)
{
    unsigned index = (unsigned)out->docs.len;
    *vec_push(&out->docs) = (struct yaml_doc){integral(value), index, line};
}

static bool read_chunk(const char *text, size_t len, unsigned first_line, const struct yaml_opts *o,
                       struct yaml_docs *out, struct err *err)
{
    struct reader r = {.o = o, .first_line = first_line, .warnings = &out->warnings, .err = err};
    if (len > MAX_DOC_BYTES)
        return fail_at(&r, 0, "the document is larger than 16 MiB");
    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, ERR_INTERNAL, "no memory for a YAML parser");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    json_t *value = NULL;
    size_t line = 0;
    bool ok = read_chunk_events(&r, &value, &line);
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.anchors.len; i++) {
        free(r.anchors.v[i].name);
        json_decref(r.anchors.v[i].value);
    }
    vec_clear(&r.anchors);
    if (ok && value && !json_is_null(value))
        push_doc(out, value, first_line + (unsigned)line + 1);
    else
        json_decref(value);
    return ok;
}

// JSON documents one after another; false (and nothing in out) when it is not JSON after all.
static bool read_json(const char *text, size_t len, struct yaml_docs *out)
{
    size_t at = 0;
    unsigned line = 1;
    while (at < len) {
        while (at < len && strchr(" \t\r\n", text[at])) {
            line += text[at] == '\n';
            at++;
        }
        if (at == len || !text[at])
            break;
        struct err err = {0};
        json_t *v = NULL;
        size_t used = 0;
        if (!canon_read_some(text + at, len - at, &used, &v, &err) || !used) {
            err_clear(&err);
            json_decref(v);
            yaml_docs_clear(out);
            return false;
        }
        if (json_is_null(v))
            json_decref(v);
        else
            push_doc(out, v, line);
        for (size_t i = at; i < at + used && i < len; i++)
            line += text[i] == '\n';
        at += used;
    }
    return true;
}

// Is this line the end of a chunk? *bad: it starts like one but carries text.
static bool is_separator(const char *line, size_t len, bool *bad)
{
    if (len < 3 || memcmp(line, "---", 3) != 0)
        return false;
    size_t i = 3;
    while (i < len && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
        i++;
    *bad = i < len && line[i] != '#';
    return true;
}

static bool split(const char *text, size_t len, const struct yaml_opts *o, struct yaml_docs *out,
                  struct err *err)
{
    size_t start = 0;
    unsigned start_line = 0;
    unsigned line = 0;
    for (size_t at = 0; at <= len;) {
        const char *nl = at < len ? memchr(text + at, '\n', len - at) : NULL;
        size_t end = nl ? (size_t)(nl - text) : len;
        bool bad = false;
        bool last = !nl;
        bool sep = is_separator(text + at, end - at, &bad);
        if (bad)
            return err_set(err, ERR_INVALID, "%s:%u: text after \"---\"", o->name, line + 1);
        if (sep || last) {
            size_t stop = sep ? at : len;
            if (!read_chunk(text + start, stop - start, start_line, o, out, err))
                return false;
            start = end + 1;
            start_line = line + 1;
        }
        if (last)
            return true;
        at = end + 1;
        line++;
    }
    return true;
}

bool yaml_read(const char *text, size_t len, const struct yaml_opts *o, struct yaml_docs *out,
               struct err *err)
{
    size_t max = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES;
    if (len > max)
        return err_set(err, ERR_INVALID, "%s: larger than %zu MiB", o->name, max >> 20);
    size_t i = 0;
    while (i < len && strchr(" \t\r\n", text[i]) && text[i])
        i++;
    if (i < len && text[i] == '{' && read_json(text, len, out))
        return true;
    if (split(text, len, o, out, err))
        return true;
    yaml_docs_clear(out);
    return false;
}

void yaml_docs_clear(struct yaml_docs *d)
{
    for (size_t i = 0; i < d->docs.len; i++)
        json_decref(d->docs.v[i].value);
    vec_clear(&d->docs);
    strv_clear(&d->warnings);
}
