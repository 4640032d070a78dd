// SPDX-License-Identifier: Apache-2.0
//
// Splitting as kubectl does it before any YAML is read: JSON documents one after another while the
// text begins with "{", then chunks between lines that begin with "---".
#include "gitops/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "gitops/canon.h"
#include "gitops/yaml_chunk.h"

#define DEFAULT_MAX_BYTES (64U << 20)

struct text {
    const char *p;
    size_t len;
    size_t at;     // what is before it has been read
    unsigned line; // of at, 0-based
    const struct yaml_opts *o;
    struct yaml_docs *out;
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void advance(struct text *t, size_t n)
{
    for (; n > 0 && t->at < t->len; n--)
        t->line += t->p[t->at++] == '\n';
}

// Null and empty documents are left out.
static void push_doc_take(struct text *t, json_t *value, unsigned line)
{
    if (!value || json_is_null(value)) {
        json_decref(value);
        return;
    }
    unsigned index = (unsigned)t->out->docs.len;
    *vec_push(&t->out->docs) = (struct yaml_doc){value, index, line + 1};
}

static bool read_chunk(struct text *t, size_t start, size_t end, unsigned first_line,
                       struct err *err)
{
    if (end - start >= 3 && !memcmp(t->p + start, "\xef\xbb\xbf", 3))
        start += 3;
    struct yaml_chunk c = {t->p + start, end - start, first_line, t->o, &t->out->warnings};
    struct buf ended CLEANUP(buf_clear) = {0};
    if (c.len && c.len <= YAML_MAX_DOC_BYTES && c.text[c.len - 1] != '\n') {
        // kubectl ends every line; a block scalar at the end of a file would show the difference.
        buf_append(&ended, c.text, c.len);
        buf_char(&ended, '\n');
        c.text = ended.p;
        c.len = ended.len;
    }
    json_t *value = NULL;
    unsigned line = 0;
    if (!yaml_chunk_read(&c, &value, &line, err))
        return false;
    push_doc_take(t, value, first_line + line);
    return true;
}

// Is this line the end of a chunk? *bad: it starts like one but carries text.
static bool is_separator(const char *line, size_t len, bool *bad)
{
    if (len < 3 || memcmp(line, "---", 3) != 0)
        return false;
    size_t i = 3;
    while (i < len && is_blank(line[i]))
        i++;
    *bad = i < len && line[i] != '#';
    return true;
}

static bool read_chunks(struct text *t, struct err *err)
{
    size_t start = t->at;
    unsigned start_line = t->line;
    for (;;) {
        const char *nl = memchr(t->p + t->at, '\n', t->len - t->at);
        size_t end = nl ? (size_t)(nl - t->p) : t->len;
        bool bad = false;
        bool ends = is_separator(t->p + t->at, end - t->at, &bad);
        if (bad)
            return err_set(err, ERR_INVALID, "%s:%u: text after \"---\"", t->o->name, t->line + 1);
        if (t->at == start)
            ends = false; // it opens the chunk, and is YAML's to read
        if ((ends || !nl) && !read_chunk(t, start, ends ? t->at : t->len, start_line, err))
            return false;
        if (!nl)
            return true;
        t->at = end + 1;
        t->line++;
        if (ends) {
            start = t->at;
            start_line = t->line;
        }
    }
}

// One JSON value at t->at. *is_json false: it is none, and nothing has happened.
static bool read_json_value(struct text *t, bool *is_json, struct err *err)
{
    json_t *v = NULL;
    size_t used = 0;
    unsigned duplicate_line = 0;
    *is_json = canon_read_next(t->p + t->at, t->len - t->at, &used, &duplicate_line, &v, err);
    if (!*is_json)
        return false;
    push_doc_take(t, v, t->line);
    struct yaml_chunk c = {t->p + t->at, used, t->line, t->o, &t->out->warnings};
    if (used > YAML_MAX_DOC_BYTES)
        return yaml_chunk_fail(&c, 0, "the document is larger than 16 MiB", err);
    if (duplicate_line &&
        !yaml_chunk_complain(&c, duplicate_line - 1, "a key is set twice in one map", err))
        return false;
    advance(t, used);
    return true;
}

// Reads JSON documents as long as they come. kubectl takes the rest for YAML, from the next line
// on if only blanks are before it, when at most one document has come: *go_on says so.
static bool read_json(struct text *t, bool *go_on, struct err *err)
{
    for (unsigned count = 0;; count++) {
        struct text start = *t;
        while (t->at < t->len && is_blank(t->p[t->at]))
            advance(t, 1);
        if (t->at == t->len)
            return true;
        bool is_json;
        if (read_json_value(t, &is_json, err))
            continue;
        if (is_json)
            return false;
        if (count > 1)
            return err_wrap(err, "%s:%u", t->o->name, t->line + 1);
        err_clear(err);
        *t = start;
        while (is_blank(t->p[t->at]) && t->p[t->at] != '\n')
            advance(t, 1);
        advance(t, t->p[t->at] == '\n');
        *go_on = true;
        return true;
    }
}

bool yaml_read(const char *text, size_t len, const struct yaml_opts *o, struct yaml_docs *out,
               struct err *err)
{
    size_t max = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES;
    if (len > max)
        return err_set(err, ERR_INVALID, "%s: larger than %zu MiB", o->name, max >> 20);
    struct text t = {.p = text, .len = len, .o = o, .out = out};
    size_t i = 0;
    while (i < len && is_blank(text[i]))
        i++;
    bool is_yaml = i == len || text[i] != '{';
    bool ok = is_yaml || read_json(&t, &is_yaml, err);
    ok = ok && (!is_yaml || read_chunks(&t, err));
    if (!ok)
        yaml_docs_clear(out);
    return ok;
}

void yaml_docs_clear(struct yaml_docs *d)
{
    for (size_t i = 0; i < d->docs.len; i++)
        json_decref(d->docs.v[i].value);
    vec_clear(&d->docs);
    strv_clear(&d->warnings);
}
