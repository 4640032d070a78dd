// SPDX-License-Identifier: Apache-2.0
//
// From libyaml's events to jansson values, with Go's rules for anchors, merges and keys.
#include "gitops/yaml_chunk.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "gitops/json.h"
#include "gitops/yaml_scalar.h"

#define MAX_DEPTH 512
#define MAX_ANCHORS 10000
#define MAX_WARNINGS 1000
// Go shares the text that aliases repeat, we copy it: a large text repeated often must end here.
#define MAX_ALIAS_BYTES (64U << 20)

struct anchor {
    char *name;
    json_t *value;  // owned; NULL while it is being read
    uint64_t nodes; // with aliases expanded
    uint64_t bytes; // of keys and texts, the same way
};

struct reader {
    const struct yaml_chunk *c;
    yaml_parser_t parser;
    VEC(struct anchor) anchors;
    uint64_t decoded, from_aliases; // Go's expansion rule
    uint64_t bytes, alias_bytes;
    struct err *err;
};

bool yaml_chunk_fail(const struct yaml_chunk *c, size_t line, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s:%zu: %s", c->o->name, c->first_line + line + 1, what);
}

bool yaml_chunk_complain(const struct yaml_chunk *c, size_t line, const char *what, struct err *err)
{
    if (!c->o->warn_only)
        return yaml_chunk_fail(c, line, what, err);
    if (c->warnings->len < MAX_WARNINGS)
        strv_push_take(c->warnings,
                       str_printf("%s:%zu: %s", c->o->name, c->first_line + line + 1, what));
    return true;
}

static bool fail_at(struct reader *r, size_t line, const char *what)
{
    return yaml_chunk_fail(r->c, line, what, r->err);
}

static void event_clear(yaml_event_t *e)
{
    yaml_event_delete(e);
}

static size_t lines_before(const struct yaml_chunk *c, size_t offset)
{
    size_t n = 0;
    for (size_t i = 0; i < offset && i < c->len; i++)
        n += c->text[i] == '\n';
    return n;
}

// Is the line indented by a tab? It is the most frequent of all mistakes, and libyaml only says
// that no token begins there.
static bool has_tab(const struct yaml_chunk *c, size_t line)
{
    const char *at = c->text;
    const char *end = c->text + c->len;
    for (size_t i = 0; at && i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    while (at && at < end && *at == ' ')
        at++;
    return at && at < end && *at == '\t';
}

static bool next(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->parser, e))
        return true;
    size_t line = r->parser.problem_mark.line;
    bool tab = r->parser.error == YAML_SCANNER_ERROR && has_tab(r->c, line);
    CLEANUP(str_freep)
    char *what =
        str_printf("%s%s%s%s", tab ? "a tab cannot indent YAML: " : "",
                   r->parser.problem ? r->parser.problem : "malformed",
                   r->parser.context ? ", " : "", r->parser.context ? r->parser.context : "");
    if (r->parser.error == YAML_READER_ERROR) // it knows the byte only
        line = lines_before(r->c, r->parser.problem_offset);
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
    a->bytes = r->bytes;
    return (long)r->anchors.len - 1;
}

static void close_anchor(struct reader *r, long at, json_t *value)
{
    if (at < 0)
        return;
    struct anchor *a = &r->anchors.v[at];
    a->value = json_incref(value);
    a->nodes = r->decoded - a->nodes;
    a->bytes = r->bytes - a->bytes;
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
    // Go counts the alias itself too, as a node of the document.
    if (!count_nodes(r, 1, false, line) || !count_nodes(r, a->nodes, true, line))
        return NULL;
    r->bytes += a->bytes;
    r->alias_bytes += a->bytes;
    if (r->alias_bytes > MAX_ALIAS_BYTES) {
        fail_at(r, line, "aliases repeat more than 64 MiB of text");
        return NULL;
    }
    return json_deep_copy(a->value);
}

static struct scalar scalar_of(const yaml_event_t *e)
{
    return (struct scalar){
        .text = (const char *)e->data.scalar.value,
        .len = e->data.scalar.length,
        .tag = (const char *)e->data.scalar.tag,
        .is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
    };
}

static json_t *read_scalar(struct reader *r, const yaml_event_t *e, bool *is_big)
{
    struct scalar s = scalar_of(e);
    struct err err = {0};
    json_t *v = scalar_value(&s, is_big, &err);
    r->bytes += s.len;
    if (!v)
        fail_at(r, e->start_mark.line, err.msg);
    err_clear(&err);
    return v;
}

// A value that is no key. Integral reals become integers, as the API reads them.
static json_t *read_value_of(struct reader *r, yaml_event_t *e, unsigned depth)
{
    bool big;
    json_t *v = read_node(r, e, depth, &big);
    if (!json_is_real(v))
        return v;
    double d = json_real_value(v);
    if (d <= -9223372036854775808.0 || d >= 9223372036854775808.0 || d != (double)(json_int_t)d)
        return v;
    json_decref(v);
    return json_integer((json_int_t)d);
}

static json_t *read_sequence(struct reader *r, unsigned depth)
{
    CLEANUP(json_freep) json_t *list = json_array();
    for (;;) {
        yaml_event_t e CLEANUP(event_clear) = {0};
        if (!next(r, &e))
            return NULL;
        if (e.type == YAML_SEQUENCE_END_EVENT)
            return TAKE(list);
        json_t *v = read_value_of(r, &e, depth + 1);
        if (!v)
            return NULL;
        json_array_append_new(list, v);
    }
}

// `value` is shared with the map: it is a tree of its own, or a copy of an anchor's.
static bool merge_into(struct reader *r, json_t *map, const json_t *value, bool is_alias,
                       size_t line)
{
    if (json_is_object(value)) {
        json_object_update(map, (json_t *)value);
        return true;
    }
    // An alias to a list is not taken, a list of aliases is.
    bool ok = json_is_array(value) && !is_alias;
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
        CLEANUP(str_freep)
        char *what = str_printf("key \"%.80s\" is set twice%s", key,
                                r->c->o->warn_only ? "; the last one counts" : "");
        if (!yaml_chunk_complain(r->c, line, what, r->err)) {
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
    if (e->type == YAML_SCALAR_EVENT) {
        // Infinities are no JSON numbers, but Go takes them as keys.
        struct scalar s = scalar_of(e);
        const char *word = scalar_nonfinite(&s);
        if (word) {
            *len = strlen(word);
            return count_nodes(r, 1, false, e->start_mark.line) ? str_dup(word) : NULL;
        }
    }
    bool big = false;
    CLEANUP(json_freep) json_t *key = read_node(r, e, depth + 1, &big);
    if (!key)
        return NULL;
    struct err err = {0};
    char *text = scalar_key(key, big, len, &err);
    if (!text)
        fail_at(r, e->start_mark.line, err.msg);
    err_clear(&err);
    if (text && memchr(text, 0, *len)) {
        // Our own JSON reader could not read it back.
        fail_at(r, e->start_mark.line, "a map key contains a NUL character");
        str_freep(&text);
    }
    return text;
}

static bool is_merge_key(const yaml_event_t *e)
{
    if (e->type != YAML_SCALAR_EVENT)
        return false;
    struct scalar s = scalar_of(e);
    return scalar_is_merge(&s);
}

// Programs do not agree on which of several merges wins, nor on what one is: by its text, by its
// tag.
static bool is_unwanted(const struct reader *r, const yaml_event_t *e)
{
    if (!r->c->o->no_merge || e->type != YAML_SCALAR_EVENT)
        return false;
    const char *tag = (const char *)e->data.scalar.tag;
    return !strcmp((const char *)e->data.scalar.value, "<<") ||
           (tag && str_ends(tag, "2002:merge"));
}

static bool read_merge(struct reader *r, json_t *map, unsigned depth, size_t line)
{
    yaml_event_t e CLEANUP(event_clear) = {0};
    if (!next(r, &e))
        return false;
    if (e.type == YAML_SEQUENCE_START_EVENT)
        r->decoded--; // Go decodes the list's items, never the list
    CLEANUP(json_freep) json_t *value = read_value_of(r, &e, depth + 1);
    return value && merge_into(r, map, value, e.type == YAML_ALIAS_EVENT, line);
}

static bool read_pair(struct reader *r, yaml_event_t *key_event, json_t *map, json_t *explicit,
                      unsigned depth)
{
    size_t len = 0;
    CLEANUP(str_freep) char *key = read_key(r, key_event, depth, &len);
    yaml_event_t e CLEANUP(event_clear) = {0};
    if (!key || !next(r, &e))
        return false;
    json_t *value = read_value_of(r, &e, depth + 1);
    return value && set_key(r, map, explicit, key, len, value, key_event->start_mark.line);
}

static json_t *read_mapping(struct reader *r, unsigned depth)
{
    CLEANUP(json_freep) json_t *map = json_object();
    CLEANUP(json_freep) json_t *explicit = NULL;
    for (;;) {
        yaml_event_t e CLEANUP(event_clear) = {0};
        if (!next(r, &e))
            return NULL;
        if (e.type == YAML_MAPPING_END_EVENT)
            return TAKE(map);
        if (is_unwanted(r, &e)) {
            fail_at(r, e.start_mark.line, "a merge key, which not all read alike");
            return NULL;
        }
        if (is_merge_key(&e)) {
            if (!explicit)
                explicit = keys_of(map);
            if (!read_merge(r, map, depth, e.start_mark.line))
                return NULL;
        } else if (!read_pair(r, &e, map, explicit, depth)) {
            return NULL;
        }
    }
}

static json_t *read_node(struct reader *r, yaml_event_t *e, unsigned depth, bool *is_big)
{
    size_t line = e->start_mark.line;
    bool ok = true;
    json_t *v = NULL;
    *is_big = false;
    if (depth > MAX_DEPTH) {
        fail_at(r, line, "nested deeper than 512");
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

// kubectl reads one document a chunk and never looks at what follows it; we do, and say so.
static bool read_tail(struct reader *r)
{
    static const char text[] = "text after the end of the document is ignored by kubectl";
    for (;;) {
        yaml_event_t e CLEANUP(event_clear) = {0};
        if (!next(r, &e)) {
            if (r->parser.error == YAML_PARSER_ERROR) {
                err_clear(r->err);
                return yaml_chunk_complain(r->c, r->parser.problem_mark.line, text, r->err);
            }
            if (!r->c->o->warn_only)
                return false;
            strv_push(r->c->warnings, r->err->msg);
            err_clear(r->err);
            return true;
        }
        if (e.type == YAML_STREAM_END_EVENT)
            return true;
        if (e.type == YAML_DOCUMENT_START_EVENT)
            return yaml_chunk_complain(r->c, e.start_mark.line, text, r->err);
    }
}

// From the start of the stream to the end of its first document.
static bool read_document(struct reader *r, json_t **out, unsigned *line, bool *ended)
{
    for (;;) {
        yaml_event_t e CLEANUP(event_clear) = {0};
        if (!next(r, &e))
            return false;
        if (e.type == YAML_STREAM_END_EVENT)
            return true;
        if (e.type == YAML_DOCUMENT_END_EVENT) {
            *ended = true;
            return true;
        }
        if (e.type == YAML_STREAM_START_EVENT || e.type == YAML_DOCUMENT_START_EVENT)
            continue;
        *line = (unsigned)e.start_mark.line;
        *out = read_value_of(r, &e, 0);
        if (!*out)
            return false;
    }
}

bool yaml_chunk_read(const struct yaml_chunk *c, json_t **out, unsigned *line, struct err *err)
{
    // Go counts the document as a node.
    struct reader r = {.c = c, .decoded = 1, .err = err};
    if (c->len > YAML_MAX_DOC_BYTES)
        return fail_at(&r, 0, "the document is larger than 16 MiB");
    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, ERR_INTERNAL, "no memory for a YAML parser");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)c->text, c->len);
    bool ended = false;
    CLEANUP(json_freep) json_t *value = NULL;
    bool ok = read_document(&r, &value, line, &ended) && (!ended || read_tail(&r));
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.anchors.len; i++) {
        free(r.anchors.v[i].name);
        json_decref(r.anchors.v[i].value);
    }
    vec_clear(&r.anchors);
    if (ok)
        *out = TAKE(value);
    return ok;
}
