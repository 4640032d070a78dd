// SPDX-License-Identifier: Apache-2.0
//
// Every form of values (spec argo-cd section 1.5): files beside the chart, from the repository's
// root, of another source, by URL, by pattern; values as text or object; parameters.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "source/helm_int.h"

void values_clear(struct values *v)
{
    json_decref(v->merged);
    strv_clear(&v->seen);
    strv_clear(&v->explicit);
}

void values_merge_text(struct values *v, const char *text, size_t len)
{
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = "values", .warn_only = true};
    struct err err = {0};
    // What is wrong with it helm itself will say.
    if (yaml_read(text, len, &o, &docs, &err) && docs.docs.len)
        json_merge(v->merged, docs.docs.v[0].value);
    err_clear(&err);
    yaml_docs_clear(&docs);
}

static bool add_text(struct values *v, const char *text, size_t len, struct err *err)
{
    CLEANUP(str_freep)
    char *path = str_printf("%s/values-%u.yaml", v->j->work_dir, v->files++);
    sha256_add_str(v->key, "values");
    sha256_add(v->key, text, len);
    asks_find(&v->j->asks, text, len); // values may hold templates
    values_merge_text(v, text, len);
    if (!file_put(path, text, len, 0600, err))
        return false;
    strv_push(&v->j->argv, "--values");
    strv_push(&v->j->argv, path);
    return true;
}

// ---- where a file is ----
struct place {
    struct tree *tree; // NULL: in the chart's archive
    char *path;
    char *url; // then the others are not set
};

static void place_clear(struct place *p)
{
    free(p->path);
    free(p->url);
}

static bool is_pattern(const struct place *p)
{
    return p->path && strpbrk(p->path, "*?[");
}

static char *place_key(const struct place *p)
{
    return p->url ? str_dup(p->url) : str_printf("%p %s", (void *)p->tree, p->path);
}

// A reference to another source of the same repository must mean the same revision: Argo CD has one
// work tree for each repository.
static bool check_ref(const struct values *v, const struct ref_tree *r, struct err *err)
{
    const struct render_job *j = v->j;
    CLEANUP(str_freep) char *url = repo_url_normal(r->src->repo_url);
    for (size_t i = 0; i < j->n_refs; i++) {
        const struct ref_tree *x = &j->refs[i];
        CLEANUP(str_freep) char *other = repo_url_normal(x->src->repo_url);
        if (x->is_used && !strcmp(other, url) &&
            strcmp(x->src->target_revision, r->src->target_revision) != 0)
            return err_set(err, ERR_INVALID,
                           "cannot reference multiple revisions for the same repository ($%s "
                           "references \"%s\" while $%s references \"%s\")",
                           r->name, r->src->target_revision, x->name, x->src->target_revision);
    }
    CLEANUP(str_freep) char *own = repo_url_normal(j->src->repo_url);
    if (j->tree && !strcmp(own, url) && !str_eq(j->tree->commit, r->tree->commit))
        return err_set(err, ERR_INVALID,
                       "cannot reference a different revision of the same repository ($%s "
                       "references \"%s\" while the application references \"%s\")",
                       r->name, r->src->target_revision, j->src->target_revision);
    return true;
}

static struct ref_tree *find_ref(const struct render_job *j, const char *name, size_t len)
{
    for (size_t i = 0; i < j->n_refs; i++)
        if (strlen(j->refs[i].name) == len && !strncmp(j->refs[i].name, name, len))
            return &j->refs[i];
    return NULL;
}

static bool unknown_ref(const struct render_job *j, const char *written, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < j->n_refs; i++)
        buf_printf(&b, "%s$%s", i ? ", " : "", j->refs[i].name);
    return err_set(err, ERR_INVALID, "%s: no source has that ref; application %s has %s", written,
                   j->app->name, b.len ? b.p : "no source with a ref");
}

// The length of a URL's scheme, 0 when there is none.
static size_t scheme_len(const char *s)
{
    size_t n = 0;
    if (!isalpha((unsigned char)*s))
        return 0;
    while (isalnum((unsigned char)s[n]) || (s[n] && strchr("+.-", s[n])))
        n++;
    return !strncmp(s + n, "://", 3) ? n : 0;
}

static bool clean(const char *joined, const char *written, struct place *out, struct err *err)
{
    return path_clean(joined, &out->path) ||
           err_set(err, ERR_INVALID, "file %s leaves the repository", written);
}

// "$ref/x", "/x" from the repository's root, "https://…", or beside the chart. A ref is recognised
// before variables are replaced.
static bool locate(struct values *v, const char *written, struct place *out, struct err *err)
{
    struct render_job *j = v->j;
    size_t len = *written == '$' ? strcspn(written + 1, "/") : 0;
    struct ref_tree *r = len ? find_ref(j, written + 1, len) : NULL;
    if (r) {
        const char *rest = written + 1 + len;
        CLEANUP(str_freep) char *filled = build_env_fill(j, rest + (*rest == '/'));
        out->tree = r->tree;
        if (!check_ref(v, r, err) || !clean(filled, written, out, err))
            return false;
        r->is_used = true;
        return true;
    }
    if (*written == '$' && json_array_size(json_dot(j->app->doc, "spec.sources")))
        return unknown_ref(j, written, err);
    CLEANUP(str_freep) char *name = build_env_fill(j, written);
    size_t scheme = scheme_len(name);
    if (scheme) {
        if (!str_starts(name, "https://") && !str_starts(name, "http://"))
            return err_set(err, ERR_INVALID, "file %s: the URL scheme '%.*s' is not allowed",
                           written, (int)scheme, name);
        out->url = TAKE(name);
        return true;
    }
    out->tree = j->tree;
    CLEANUP(str_freep)
    char *joined = *name == '/' ? str_dup(name + 1) : path_join(j->path, name);
    return clean(joined, written, out, err);
}

static bool read_place(struct values *v, const struct place *p, struct buf *out, struct err *err)
{
    struct render_job *j = v->j;
    bool ok = p->url    ? url_fetch(j->ctx, p->url, MAX_VALUES_BYTES, out, err)
              : p->tree ? tree_read(p->tree, p->path, MAX_VALUES_BYTES, out, err)
                        : chart_read(j->chart.file, p->path, MAX_VALUES_BYTES, out, err);
    if (ok)
        buf_append(out, "", 0); // never NULL
    return ok;
}

// With one source "$name/x" is a variable and a path, and an unknown variable is empty. That there
// is no such file says little to who meant a ref.
static bool looks_like_ref(const char *written)
{
    size_t len = *written == '$' ? strcspn(written + 1, "/") : 0;
    for (size_t i = 1; i <= len; i++)
        if (!isalnum((unsigned char)written[i]) && written[i] != '_' && written[i] != '-')
            return false;
    return len && written[len + 1] == '/' && !str_starts(written, "$ARGOCD_");
}

// Says so in place of the error, where that is the likelier cause.
static bool explain_ref(const struct values *v, const char *written, struct err *err)
{
    if (err->kind != ERR_NOT_FOUND || !looks_like_ref(written))
        return false;
    err_clear(err);
    return !unknown_ref(v->j, written, err);
}

// ---- value files ----
static bool is_new(struct strv *list, const struct place *p)
{
    CLEANUP(str_freep) char *key = place_key(p);
    if (strv_has(list, key))
        return false;
    strv_push(list, key);
    return true;
}

static bool add_place(struct values *v, const struct place *p, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    return read_place(v, p, &b, err) && add_text(v, b.p, b.len, err);
}

// All files that match, in the order of their names, but for those named by themselves: these
// stand where they are named.
static bool add_matches(struct values *v, const struct place *p, const char *written, bool may_miss,
                        struct err *err)
{
    struct strv files = {0};
    if (!p->tree)
        return err_set(err, ERR_INVALID,
                       "file %s: patterns in a packaged chart are not supported by regrow",
                       written);
    bool ok = tree_list(p->tree, "", true, &files, err);
    bool any = false;
    strv_sort(&files);
    for (size_t i = 0; ok && i < files.len; i++) {
        struct place one = {.tree = p->tree, .path = files.v[i]};
        CLEANUP(str_freep) char *key = place_key(&one);
        if (!glob_match(GLOB_DOUBLESTAR, p->path, files.v[i]))
            continue;
        any = true;
        if (!strv_has(&v->explicit, key) && is_new(&v->seen, &one))
            ok = add_place(v, &one, err);
    }
    strv_clear(&files);
    return ok && (any || may_miss ||
                  err_set(err, ERR_NOT_FOUND, "values file glob \"%s\" matched no files", written));
}

static bool add_file(struct values *v, const char *written, bool may_miss, struct err *err)
{
    struct place p CLEANUP(place_clear) = {0};
    if (!locate(v, written, &p, err))
        return false;
    if (is_pattern(&p))
        return add_matches(v, &p, written, may_miss, err);
    if (!is_new(&v->seen, &p) || add_place(v, &p, err))
        return true;
    if (err->kind == ERR_NOT_FOUND && may_miss && !p.url) {
        err_clear(err);
        return true;
    }
    return !explain_ref(v, written, err) && err_wrap(err, "value file %s", written);
}

static void note_explicit(struct values *v, const char *written)
{
    struct place p CLEANUP(place_clear) = {0};
    struct err err = {0};
    if (locate(v, written, &p, &err) && !is_pattern(&p))
        is_new(&v->explicit, &p);
    err_clear(&err); // said again when the file's turn comes
}

// ---- parameters ----
// Commas separate pairs in --set: they are escaped, unless the value is a list in braces.
static char *escape_commas(const char *s)
{
    size_t n = strlen(s);
    if (n > 1 && s[0] == '{' && s[n - 1] == '}')
        return str_dup(s);
    struct buf b = {0};
    for (; *s; s++) {
        if (*s == ',' && (b.len == 0 || b.p[b.len - 1] != '\\'))
            buf_char(&b, '\\');
        buf_char(&b, *s);
    }
    return buf_take(&b);
}

static void note_condition(struct values *v, const char *name, const char *value)
{
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return;
    struct strv p = {0};
    json_t *at = v->merged;
    strv_split(&p, name, '.');
    for (size_t i = 0; i + 1 < p.len; i++) {
        json_t *next = json_object_get(at, p.v[i]);
        if (!json_is_object(next)) {
            next = json_object();
            json_object_set_new(at, p.v[i], next);
        }
        at = next;
    }
    json_object_set_new(at, p.v[p.len - 1], json_boolean(!strcmp(value, "true")));
    strv_clear(&p);
}

// Of two parameters of one name and sort the last one counts.
static bool is_overridden(const json_t *list, size_t at)
{
    const json_t *p = json_array_get(list, at);
    for (size_t i = at + 1; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        if (str_eq(json_dot_str(x, "name"), json_dot_str(p, "name")) &&
            json_dot_bool(x, "forceString", false) == json_dot_bool(p, "forceString", false))
            return true;
    }
    return false;
}

// Is one of them the other, or about a part of it?
static bool is_part(const char *name, const char *of)
{
    size_t n = strlen(of);
    return str_starts(name, of) && (!name[n] || name[n] == '.' || name[n] == '[');
}

// May the value go to helm in a file? Arguments are for all users of a machine to see, and a
// parameter may be a password. --set-file takes the text as it stands, where --set reads it: for
// these values both come to the same. It also goes before --set, so that nothing else may be about
// a part of what it sets; and a comma or an equals sign in a name would name another file.
static bool fits_file(const json_t *list, size_t at, const char *value, bool is_text)
{
    static const char *const words[] = {"true", "false", "null"};
    const char *name = json_dot_str(json_array_get(list, at), "name");
    const char *digits = value + (*value == '-' || *value == '+');
    if (!*value || *value == '{' || strchr(value, '\\') || strpbrk(name, ",=\\"))
        return false;
    for (size_t i = 0; !is_text && i < ARRAY_LEN(words); i++)
        if (!strcasecmp(value, words[i]))
            return false;
    if (!is_text && !digits[strspn(digits, "0123456789")])
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *x = json_dot_str(json_array_get(list, i), "name");
        if (i != at && x && !is_overridden(list, i) && (is_part(x, name) || is_part(name, x)))
            return false;
    }
    return true;
}

static bool add_parameter(struct values *v, const json_t *list, size_t at, const char *value,
                          struct err *err)
{
    const json_t *p = json_array_get(list, at);
    const char *name = json_dot_str(p, "name");
    bool text = json_dot_bool(p, "forceString", false);
    CLEANUP(str_freep) char *escaped = escape_commas(value);
    CLEANUP(str_freep) char *pair = str_printf("%s=%s", name, escaped);
    sha256_add_str(v->key, text ? "set-string" : "set");
    sha256_add_str(v->key, pair);
    note_condition(v, name, value);
    if (!fits_file(list, at, value, text)) {
        strv_push(&v->j->argv, text ? "--set-string" : "--set");
        strv_push(&v->j->argv, pair);
        return true;
    }
    CLEANUP(str_freep) char *to = str_printf("%s/set-%zu", v->j->work_dir, at);
    strv_push(&v->j->argv, "--set-file");
    strv_push_take(&v->j->argv, str_printf("%s=%s", name, to));
    return file_put(to, value, strlen(value), 0600, err);
}

static bool add_parameters(struct values *v, const json_t *list, struct err *err)
{
    struct render_job *j = v->j;
    size_t i;
    json_t *p;
    json_array_foreach(list, i, p)
    {
        const char *name = json_dot_str(p, "name");
        const json_t *raw = json_object_get(p, "value");
        if (str_is_empty(name) || is_overridden(list, i))
            continue;
        if (raw && !json_is_string(raw) && !json_is_null(raw))
            return err_set(err, ERR_INVALID, "parameter %s: the value is not text", name);
        CLEANUP(str_freep)
        char *filled = build_env_fill(j, json_is_string(raw) ? json_string_value(raw) : "");
        if (!add_parameter(v, list, i, filled, err))
            return false;
    }
    return true;
}

static bool add_file_parameter(struct values *v, const json_t *p, size_t index, struct err *err)
{
    const char *name = json_dot_str(p, "name");
    const char *written = json_dot_str(p, "path");
    struct place place CLEANUP(place_clear) = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    if (str_is_empty(name) || str_is_empty(written))
        return err_set(err, ERR_INVALID, "fileParameters: a name and a path are wanted");
    // A comma or an equals sign would name a file of this machine to helm.
    if (strpbrk(name, ",="))
        return err_set(err, ERR_INVALID, "fileParameters: the name \"%.80s\" is malformed", name);
    if (!locate(v, written, &place, err) || !read_place(v, &place, &b, err)) {
        explain_ref(v, written, err);
        return err_wrap(err, "fileParameters %s", name);
    }
    CLEANUP(str_freep) char *to = str_printf("%s/file-%zu", v->j->work_dir, index);
    CLEANUP(str_freep) char *pair = str_printf("%s=%s", name, to);
    sha256_add_str(v->key, "set-file");
    sha256_add_str(v->key, name);
    sha256_add(v->key, b.p, b.len);
    strv_push(&v->j->argv, "--set-file");
    strv_push(&v->j->argv, pair);
    return file_put(to, b.p, b.len, 0600, err);
}

// An object of values wins over text outright, even an empty one.
static bool add_inline(struct values *v, const json_t *helm, struct err *err)
{
    const json_t *object = json_object_get(helm, "valuesObject");
    const char *text = json_dot_str(helm, "values");
    if (json_is_object(object)) {
        struct buf b CLEANUP(buf_clear) = {0};
        canon_write(object, &b);
        return add_text(v, b.p, b.len, err);
    }
    if (object && !json_is_null(object))
        return err_set(err, ERR_INVALID, "valuesObject is not a map");
    return str_is_empty(text) || add_text(v, text, strlen(text), err);
}

bool values_add_all(struct values *v, const json_t *helm, struct err *err)
{
    bool may_miss = json_dot_bool(helm, "ignoreMissingValueFiles", false);
    const json_t *files = json_object_get(helm, "valueFiles");
    const json_t *parameters = json_object_get(helm, "fileParameters");
    size_t i;
    json_t *f;
    for (i = 0; i < v->j->n_refs; i++)
        v->j->refs[i].is_used = false; // by another source of the application
    json_array_foreach(files, i, f)
    {
        if (json_is_string(f))
            note_explicit(v, json_string_value(f));
    }
    json_array_foreach(files, i, f)
    {
        if (json_is_string(f) && !add_file(v, json_string_value(f), may_miss, err))
            return false;
    }
    if (!add_inline(v, helm, err) || !add_parameters(v, json_object_get(helm, "parameters"), err))
        return false;
    json_array_foreach(parameters, i, f)
    {
        if (!add_file_parameter(v, f, i, err))
            return false;
    }
    return true;
}
