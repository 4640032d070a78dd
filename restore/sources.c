// SPDX-License-Identifier: Apache-2.0
#include "restore/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define MAX_FILE_BYTES (64U << 20)

static void add_mirror(struct frozen_sources *s, const char *from, const char *to)
{
    *vec_push(&s->mirrors) = (struct source_mirror){str_dup(from), str_dup(to)};
}

static bool write_text(const char *dir, const char *name, const char *text, struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(dir, name);
    return file_replace(path, text, strlen(text), 0600, err);
}

// ---- Git: one store of objects, and a folder of refs for each repository ----
static bool take_bytes(void *ctx, const void *p, size_t len, struct err *err)
{
    return git_proof_add(ctx, p, len, err);
}

static bool unpack_git(struct reader *r, const char *packs, const struct loop *l, struct err *err)
{
    CLEANUP(git_proof_freep) struct git_proof *p = git_proof_new(packs, l);
    for (size_t i = 0; i < reader_git_count(r); i++) {
        CLEANUP(str_freep) char *index = NULL;
        if (!git_proof_begin(p, err) || !reader_git_pack(r, i, take_bytes, p, err) ||
            !git_proof_end(p, &index, err))
            return err_wrap(err, "Git pack %zu", i);
    }
    return true;
}

static bool is_plain_line(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7F)
            return false;
    return true;
}

static bool refs_text(const json_t *repository, struct buf *out, struct err *err)
{
    size_t i;
    json_t *ref;
    buf_str(out, "# pack-refs with: sorted\n");
    json_array_foreach(json_object_get(repository, "refs"), i, ref)
    {
        const char *id = json_dot_text(ref, "id");
        const char *name = json_dot_text(ref, "name");
        if (strlen(id) != 40 || strspn(id, "0123456789abcdef") != 40 ||
            !str_starts(name, "refs/") || !is_plain_line(name))
            return err_set(err, ERR_CORRUPT, "a ref in it is none");
        buf_printf(out, "%s %s\n", id, name);
    }
    return true;
}

// A bare repository at `dir` whose objects are those of `store`.
static bool make_repository(const json_t *repository, const char *dir, const char *store,
                            const char *origin, struct err *err)
{
    struct buf refs CLEANUP(buf_clear) = {0};
    const char *head = json_dot_text(repository, "head");
    CLEANUP(str_freep) char *info = path_join(dir, "objects/info");
    CLEANUP(str_freep) char *heads = path_join(dir, "refs/heads");
    CLEANUP(str_freep)
    char *first = str_printf("ref: %s\n", *head && is_plain_line(head) ? head : "refs/heads/main");
    CLEANUP(str_freep) char *alternates = str_printf("%s\n", store ? store : "");
    CLEANUP(str_freep)
    char *config =
        str_printf("[core]\n\trepositoryformatversion = 0\n\tbare = %s\n%s%s%s",
                   origin ? "false" : "true", origin ? "[remote \"origin\"]\n\turl = \"" : "",
                   origin ? origin : "", origin ? "\"\n" : "");
    return refs_text(repository, &refs, err) && dir_make(info, 0700, err) &&
           dir_make(heads, 0700, err) && write_text(dir, "HEAD", first, err) &&
           write_text(dir, "config", config, err) && write_text(dir, "packed-refs", refs.p, err) &&
           (!store || write_text(info, "alternates", alternates, err));
}

static bool lay_git(struct reader *r, const json_t *root, struct frozen_sources *s,
                    const struct loop *l, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    CLEANUP(str_freep) char *store = path_join(s->dir, "objects");
    CLEANUP(str_freep) char *packs = path_join(store, "pack");
    size_t i;
    json_t *row;
    if (!dir_make(packs, 0700, err) || !unpack_git(r, packs, l, err) ||
        !list_read_all(r, root, "git", "repositories", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(json_freep) json_t *repository = NULL;
        CLEANUP(str_freep) char *dir = str_printf("%s/git-%zu", s->dir, i);
        if (!list_read(r, row, "refs", &repository, err))
            return err_wrap(err, "%s", json_dot_text(row, "url"));
        if (!repository || json_object_get(repository, "bundle"))
            continue; // never read, or of another hash: it cannot be asked for here
        if (!make_repository(repository, dir, store, NULL, err))
            return err_wrap(err, "%s", json_dot_text(row, "url"));
        add_mirror(s, json_dot_text(row, "url"), dir);
        s->repositories++;
    }
    return true;
}

// ---- files ----
static bool take_file(void *ctx, const void *p, size_t len, struct err *err)
{
    struct buf *b = ctx;
    if (b->len + len > MAX_FILE_BYTES)
        return err_set(err, ERR_INVALID, "a file in it is larger than %u MiB",
                       MAX_FILE_BYTES >> 20);
    buf_append(b, p, len);
    return true;
}

static bool read_file(struct reader *r, const json_t *file, struct buf *out, struct err *err)
{
    buf_reset(out);
    buf_reserve(out, 1);
    return reader_file(r, file, take_file, out, err);
}

static bool lay_chart(struct reader *r, const json_t *source, struct frozen_sources *s,
                      struct err *err)
{
    const json_t *file = json_array_get(json_object_get(source, "files"), 0);
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file || !read_file(r, file, &b, err))
        return file ? false : err_set(err, ERR_CORRUPT, "it has no file");
    struct source_file f = {
        .path = (char *)json_dot_text(file, "path"), .bytes = b.p, .len = b.len};
    struct source_item item = {.kind = json_dot_text(source, "kind"),
                               .url = (char *)json_dot_text(source, "url"),
                               .chart = (char *)json_dot_text(source, "chart"),
                               .target = (char *)json_dot_text(source, "target"),
                               .revision = (char *)json_dot_str(source, "revision"),
                               .digest = (char *)json_dot_str(source, "digest")};
    *vec_push(&item.files) = f;
    s->charts++;
    bool ok = source_put_chart(s->cache_dir, &item, err);
    vec_clear(&item.files);
    return ok;
}

static bool lay_url(struct reader *r, const json_t *source, const char *to,
                    struct frozen_sources *s, struct err *err)
{
    const json_t *file = json_array_get(json_object_get(source, "files"), 0);
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file || !read_file(r, file, &b, err) || !file_replace(to, b.p, b.len, 0600, err))
        return file ? false : err_set(err, ERR_CORRUPT, "it has no file");
    add_mirror(s, json_dot_text(source, "url"), to);
    s->others++;
    return true;
}

static bool lay_one(struct reader *r, const json_t *file, const char *dir, struct err *err)
{
    const char *path = json_dot_text(file, "path");
    CLEANUP(str_freep) char *safe = NULL;
    struct buf b CLEANUP(buf_clear) = {0};
    if (!path_clean(path, &safe) || strcmp(safe, path) != 0 || !*path)
        return err_set(err, ERR_CORRUPT, "a file in it lies outside");
    CLEANUP(str_freep) char *to = path_join(dir, path);
    CLEANUP(str_freep) char *parent = str_ndup(to, (size_t)(path_base(to) - to) - 1);
    mode_t mode = str_eq(json_dot_str(file, "mode"), "755") ? 0700 : 0600;
    return read_file(r, file, &b, err) && dir_make(parent, 0700, err) &&
           file_replace(to, b.p, b.len, mode, err);
}

// A folder that stood for a repository's work tree stands for it again.
static bool lay_folder(struct reader *r, const json_t *source, const char *dir,
                       struct frozen_sources *s, struct err *err)
{
    const char *url = json_dot_text(source, "url");
    size_t i;
    json_t *file;
    if (!dir_make(dir, 0700, err))
        return false;
    json_array_foreach(json_object_get(source, "files"), i, file)
    {
        if (!lay_one(r, file, dir, err))
            return false;
    }
    CLEANUP(str_freep) char *git = path_join(dir, ".git");
    if (*url != '/' &&
        (strchr(url, '"') || !is_plain_line(url) || !make_repository(NULL, git, NULL, url, err)))
        return err_is_set(err) ? false : err_set(err, ERR_CORRUPT, "its URL is none");
    s->others++;
    return true;
}

static bool lay_source(struct reader *r, const json_t *row, size_t i, const struct frozen *f,
                       struct frozen_sources *s, struct err *err)
{
    const char *kind = json_dot_text(row, "kind");
    CLEANUP(json_freep) json_t *source = NULL;
    if (!strcmp(kind, "git"))
        return true;
    if (!list_open(r, row, &source, err))
        return false;
    if (!source)
        return true; // it was never read: who needs it will say so
    if (!strcmp(kind, "helm") || !strcmp(kind, "oci"))
        return lay_chart(r, source, s, err);
    CLEANUP(str_freep) char *to = str_printf("%s/%zu", s->dir, i);
    if (!strcmp(kind, "url"))
        return lay_url(r, source, to, s, err);
    if (strcmp(kind, "folder") != 0)
        return true;
    CLEANUP(str_freep) char *name = str_dup(path_base(json_dot_text(source, "url")));
    if (str_ends(name, ".git"))
        name[strlen(name) - 4] = 0;
    CLEANUP(str_freep) char *dir = path_join(to, *name && *name != '.' ? name : "root");
    if (str_eq(f->root_folder, json_dot_text(source, "url"))) {
        free(s->root);
        s->root = *f->root_path ? path_join(dir, f->root_path) : str_dup(dir);
    }
    return lay_folder(r, source, dir, s, err);
}

static bool lay_sources(struct reader *r, const json_t *root, const struct frozen *f,
                        struct frozen_sources *s, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    CLEANUP(json_freep) json_t *seen = json_object();
    size_t i;
    json_t *row;
    if (!list_read_all(r, root, "sources", "sources", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(str_freep) char *key = list_source_key(row);
        if (json_object_get(seen, key))
            continue; // as it was before
        json_object_set_new(seen, key, json_true());
        if (!lay_source(r, row, i, f, s, err))
            return err_wrap(err, "%s %s", json_dot_text(row, "kind"), json_dot_text(row, "url"));
    }
    return true;
}

// ---- what Argo CD knew of other clusters ----
static void find_clusters(const struct frozen *f, struct frozen_sources *s)
{
    s->clusters = json_array();
    for (size_t i = 0; i < f->zero.len; i++) {
        const struct zero_object *z = &f->zero.v[i];
        struct err err = {0};
        json_t *doc = NULL;
        if (strcmp(z->id.kind, "Secret") != 0 || !str_eq(z->id.namespace, ARGOCD_NAMESPACE))
            continue;
        if (!canon_read(z->body, z->body_len, &doc, &err))
            err_clear(&err); // it was written by us
        else if (str_eq(json_label(doc, ARGOCD_SECRET_TYPE), "cluster"))
            json_array_append(s->clusters, doc);
        json_decref(doc);
    }
}

bool frozen_sources_make(struct reader *r, const struct frozen *f, const struct loop *l,
                         struct frozen_sources *out, struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    *out = (struct frozen_sources){0};
    if (!dir_make_temp("regrow-sources", &out->dir, err))
        return false;
    out->cache_dir = path_join(out->dir, "cache");
    out->root = str_dup(f->root);
    find_clusters(f, out);
    return dir_make(out->cache_dir, 0700, err) && reader_root(r, &root, err) &&
           lay_git(r, root, out, l, err) && lay_sources(r, root, f, out, err);
}

void frozen_sources_clear(struct frozen_sources *s)
{
    dir_temp_cleanup(&s->dir);
    free(s->cache_dir);
    free(s->root);
    for (size_t i = 0; i < s->mirrors.len; i++) {
        free(s->mirrors.v[i].from);
        free(s->mirrors.v[i].to);
    }
    vec_clear(&s->mirrors);
    json_decref(s->clusters);
    *s = (struct frozen_sources){0};
}

// ---- what came out ----
// Made up anew by charts at each rendering, and known to what has run since: passwords, and
// certificates with what trusts them.
static bool must_stay(const struct object *o)
{
    static const char *const trust[] = {"ValidatingWebhookConfiguration",
                                        "MutatingWebhookConfiguration", "APIService",
                                        "CustomResourceDefinition"};
    if (!*o->id.group && !strcmp(o->id.kind, "Secret"))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(trust); i++)
        if (!strcmp(o->id.kind, trust[i]))
            return strstr(o->body, "\"caBundle\"") != NULL;
    return false;
}

static void compare(const struct object *was, struct object *now, struct rendered_anew *out)
{
    if (sha256_eq(&was->hash, &now->hash))
        return;
    if (!must_stay(was)) {
        strv_push_take(&out->changed, object_name(&now->id));
        return;
    }
    CLEANUP(json_freep) json_t *doc = object_doc(was);
    object_set_body(now, doc);
    strv_push_take(&out->kept, object_name(&now->id));
}

void rendered_anew_of(const struct desired *frozen, struct desired *now, struct rendered_anew *out)
{
    unsigned was[DESIRED_MAX_PHASES];
    unsigned is[DESIRED_MAX_PHASES];
    *out = (struct rendered_anew){0};
    for (unsigned i = 0; i < now->objects.len; i++) {
        struct object *o = &now->objects.v[i];
        size_t n = desired_find_all(frozen, &o->id, was);
        size_t m = desired_find_all(now, &o->id, is);
        if (o->is_virtual || is[0] != i)
            continue;
        if (!n)
            strv_push_take(&out->added, object_name(&o->id));
        for (size_t k = 0; k < n && k < m; k++)
            compare(&frozen->objects.v[was[k]], &now->objects.v[is[k]], out);
    }
    for (unsigned i = 0; i < frozen->objects.len; i++) {
        const struct object *o = &frozen->objects.v[i];
        if (!o->is_virtual && !desired_find(now, &o->id))
            strv_push_take(&out->removed, object_name(&o->id));
    }
}

void rendered_anew_clear(struct rendered_anew *a)
{
    strv_clear(&a->changed);
    strv_clear(&a->added);
    strv_clear(&a->removed);
    strv_clear(&a->kept);
}
