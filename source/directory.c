// SPDX-License-Identifier: Apache-2.0
//
// Plain directories of manifests (spec argo-cd section 1.3).
#include <stdlib.h>
#include <string.h>

#include "source/render.h"

#define MAX_MANIFEST_BYTES (16U << 20)
#define STRICT_HINT                                                                                \
    "Mend it; or take it as kubectl does, which drops a part of it: --allow-duplicate-keys."
#define CACHED_BYTES (64U << 10) // less is read as fast again
#define SKIP_MARK "+argocd:skip-file-rendering"

static bool has_extension(const char *path)
{
    return str_ends(path, ".yaml") || str_ends(path, ".yml") || str_ends(path, ".json") ||
           str_ends(path, ".jsonnet");
}

static const char *rel_path(const struct render_job *j, const char *file)
{
    size_t n = strlen(j->path);
    return n && !strncmp(file, j->path, n) && file[n] == '/' ? file + n + 1 : file;
}

static bool is_selected(const struct render_job *j, const char *file)
{
    const json_t *d = j->src ? j->src->directory : NULL;
    const char *include = json_dot_str(d, "include");
    const char *exclude = json_dot_str(d, "exclude");
    const char *rel = rel_path(j, file);
    if (!json_dot_bool(d, "disableExtensionFilter", false) && !has_extension(file))
        return false;
    if (!str_is_empty(exclude) && glob_match(GLOB_GOBWAS, exclude, rel))
        return false;
    return str_is_empty(include) || glob_match(GLOB_GOBWAS, include, rel);
}

// Files from Windows: UTF-16 with a byte order mark becomes UTF-8. What is malformed becomes
// U+FFFD, as in the Go library.
void text_from_utf16(struct buf *b)
{
    const unsigned char *p = (const unsigned char *)b->p;
    if (b->len < 2 || !((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
        return;
    unsigned lo = p[0] == 0xff ? 0 : 1; // which byte of a unit is the low one
    struct buf out = {0};
    buf_str(&out, "");
    for (size_t i = 2; i + 1 < b->len; i += 2) {
        uint32_t c = (uint32_t)p[i + lo] | (uint32_t)p[i + 1 - lo] << 8;
        uint32_t next = i + 3 < b->len ? (uint32_t)p[i + 2 + lo] | (uint32_t)p[i + 3 - lo] << 8 : 0;
        if (c >= 0xd800 && c < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00);
            i += 2;
        } else if (c >= 0xd800 && c < 0xe000) {
            c = 0xfffd;
        }
        if (c < 0x80) {
            buf_char(&out, (char)c);
        } else if (c < 0x800) {
            buf_char(&out, (char)(0xc0 | c >> 6));
            buf_char(&out, (char)(0x80 | (c & 0x3f)));
        } else {
            if (c >= 0x10000)
                buf_char(&out, (char)(0xf0 | c >> 18));
            buf_char(&out, (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12));
            buf_char(&out, (char)(0x80 | (c >> 6 & 0x3f)));
            buf_char(&out, (char)(0x80 | (c & 0x3f)));
        }
    }
    buf_clear(b);
    *b = out;
}

// What cannot be meant as a manifest is passed over, as Argo CD does: values beside manifests,
// notes with the ending of YAML.
static bool looks_like_object(const struct buf *b)
{
    static const char *const words[] = {"apiVersion:", "kind:", "metadata:"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!memmem(b->p, b->len, words[i], strlen(words[i])))
            return false;
    return true;
}

// The first document that is no object, or NULL.
static const struct yaml_doc *find_other(const struct yaml_docs *docs)
{
    for (size_t i = 0; i < docs->docs.len; i++)
        if (str_is_empty(json_dot_str(docs->docs.v[i].value, "kind")))
            return &docs->docs.v[i];
    return NULL;
}

static bool pass_over(struct render_job *j, const char *file, struct err *err)
{
    strv_push_take(&j->warnings, str_printf("%s is no manifest and was passed over", file));
    err_clear(err);
    return true;
}

// Would kubectl take it?
static bool is_only_stricter(const struct buf *b, const char *file)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = file, .warn_only = true};
    struct err err = {0};
    bool ok = yaml_read(b->p, b->len, &o, &docs, &err);
    err_clear(&err);
    yaml_docs_clear(&docs);
    return ok;
}

static bool add_file(struct render_job *j, const char *file, size_t *bytes, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    bool is_json = str_ends(file, ".json");
    if (!tree_read(j->tree, file, MAX_MANIFEST_BYTES, &b, err))
        return false;
    text_from_utf16(&b);
    *bytes += b.len;
    if (!b.len || memmem(b.p, b.len, SKIP_MARK, strlen(SKIP_MARK)))
        return true;
    struct yaml_opts o = {.name = file, .warn_only = j->ctx->o->allow_duplicate_keys};
    if (!yaml_read(b.p, b.len, &o, &docs, err)) {
        if (!is_json && !looks_like_object(&b))
            return pass_over(j, file, err);
        return is_only_stricter(&b, file) && err_hint(err, STRICT_HINT);
    }
    const struct yaml_doc *other = find_other(&docs);
    bool ok = true;
    if (is_json && docs.docs.len > 1) {
        ok = err_set(err, ERR_INVALID,
                     "%s: found multiple objects; only single objects are allowed in JSON files",
                     file);
    } else if (other && (is_json || other->index || looks_like_object(&b))) {
        ok = err_set(err, ERR_INVALID, "%s:%u: a document without a kind", file, other->line);
    } else if (other) {
        ok = pass_over(j, file, err);
    } else {
        render_take(j, &docs, file);
    }
    yaml_docs_clear(&docs);
    return ok;
}

static bool select_files(const struct render_job *j, struct strv *out, struct err *err)
{
    struct strv files = {0};
    bool recurse = j->src && json_dot_bool(j->src->directory, "recurse", false);
    bool ok = tree_list(j->tree, j->path, recurse, &files, err);
    bool single = ok && files.len == 1 && !strcmp(files.v[0], j->path);
    for (size_t i = 0; ok && i < files.len; i++) {
        if (!single && !is_selected(j, files.v[i]))
            continue;
        if (str_ends(files.v[i], ".jsonnet"))
            ok = err_set(err, ERR_INVALID, "%s: jsonnet is not supported by regrow", files.v[i]);
        else
            strv_push(out, files.v[i]);
    }
    strv_clear(&files);
    return ok;
}

// What is read of a commit is known by the ids of the files, wherever links lead; NULL: not to be
// cached. A line of the cache is of one document, and begins with the name of its file.
static char *key_of(const struct render_job *j, const struct strv *files)
{
    struct sha256_ctx *h = sha256_begin();
    bool ok = j->tree->git != NULL;
    sha256_add_str(h, j->ctx->o->allow_duplicate_keys ? "regrow-directory/1 lenient"
                                                      : "regrow-directory/1");
    for (size_t i = 0; ok && i < files->len; i++) {
        CLEANUP(str_freep) char *id = NULL;
        struct err err = {0};
        ok = tree_id(j->tree, files->v[i], &id, &err) && !strpbrk(files->v[i], "\t\n");
        err_clear(&err);
        sha256_add_str(h, files->v[i]);
        sha256_add_str(h, id ? id : "");
    }
    struct sha256 sum = sha256_end(h);
    return ok ? hex_encode(sum.b, sizeof(sum.b)) : NULL;
}

bool directory_render(struct render_job *j, struct err *err)
{
    struct strv files = {0};
    size_t bytes = 0;
    bool ok = select_files(j, &files, err);
    CLEANUP(str_freep) char *key = ok ? key_of(j, &files) : NULL;
    bool is_known = key && !j->ctx->o->refresh && cache_load(j, key);
    for (size_t i = 0; ok && !is_known && i < files.len; i++)
        ok = add_file(j, files.v[i], &bytes, err);
    if (ok && key && !is_known && bytes >= CACHED_BYTES && !j->warnings.len)
        cache_store(j, key);
    strv_clear(&files);
    return ok;
}
