// SPDX-License-Identifier: Apache-2.0
//
// Sources as they were fetched, and Git repositories whole: all refs, and packs of what the chain
// does not hold yet.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "snapshot/capture_int.h"

#define MAX_GIT_PACKS 65536

// ---- sources ----
static char *source_key(const struct source_item *i)
{
    return str_printf("source %s %s %s %s", i->kind, i->url, i->chart, i->target);
}

// One source for all that name it alike; what one project could not read another may have.
static size_t take_item(struct capture *c, struct source_item *i)
{
    CLEANUP(str_freep) char *key = source_key(i);
    for (size_t k = 0; k < c->sources.len; k++) {
        struct used_source *u = &c->sources.v[k];
        if (strcmp(u->key, key) != 0)
            continue;
        if (err_is_set(&u->item.problem) && !err_is_set(&i->problem)) {
            source_item_clear(&u->item);
            u->item = *i;
        } else {
            source_item_clear(i);
        }
        return k;
    }
    *vec_push(&c->sources) = (struct used_source){TAKE(key), *i};
    return c->sources.len - 1;
}

size_t capture_source_of(struct capture *c, const struct application *a,
                         const struct app_source *src)
{
    CLEANUP(str_freep)
    char *asked = src ? str_printf("%d\n%s\n%s\n%s\n%s\n%s", (int)src->kind, src->repo_url,
                                   src->chart ? src->chart : "", src->target_revision,
                                   src->tag_prefix ? src->tag_prefix : "", a->project)
                      : str_dup("the root's");
    const json_t *known = json_object_get(c->source_of, asked);
    if (known)
        return (size_t)json_integer_value(known);
    struct source_item i = {0};
    source_item_of(c->o->source, c->d, a, src, &i);
    size_t at = take_item(c, &i);
    json_object_set_new(c->source_of, asked, json_integer((json_int_t)at));
    return at;
}

// Files that stand outside Git hold what nobody has hashed together, a Secret perhaps: who holds
// the key of a job shall not guess them one by one. Those of one source are salted with all of
// them.
static bool salt_of(struct capture *c, const struct source_item *i, struct file_salt *out)
{
    struct buf all CLEANUP(buf_wipe) = {0};
    if (strcmp(i->kind, "folder") != 0 && strcmp(i->kind, "url") != 0)
        return false;
    for (size_t k = 0; k < i->files.len; k++) {
        const struct source_file *f = &i->files.v[k];
        buf_printf(&all, "%s %s\n", f->path, f->sha256 ? f->sha256 : "");
        if (!f->sha256 && f->bytes)
            buf_append(&all, f->bytes, f->len);
    }
    return writer_salt(c->w, all.p ? all.p : "", all.len, out);
}

static bool is_large(const struct source_file *f)
{
    struct stat st;
    return f->from ? stat(f->from, &st) != 0 || st.st_size > BLOB_MAX_BYTES - BLOB_SALT_BYTES
                   : f->len > BLOB_MAX_BYTES - BLOB_SALT_BYTES;
}

static bool add_file(struct capture *c, const struct source_file *f, const struct file_salt *salt,
                     json_t *files, struct err *err)
{
    json_t *path = json_string(f->path);
    json_t *v = NULL;
    if (!path)
        return err_set(err, ERR_INVALID, "the name of a file in it is not UTF-8");
    if (is_large(f))
        salt = NULL; // of several pieces, as everywhere
    if (f->from && !writer_add_file(c->w, f->from, -1, salt, &v, err)) {
        json_decref(path);
        return false;
    }
    if (!f->from)
        v = writer_add_bytes(c->w, f->bytes, f->len, salt);
    json_object_set_new(v, "path", path);
    if (f->sha256 && !str_eq(json_dot_str(v, "sha256"), f->sha256)) {
        json_decref(v);
        return err_set(err, ERR_CONFLICT, "%s was changed while it was read", f->path);
    }
    if (f->is_executable)
        json_object_set_new(v, "mode", json_string("755"));
    json_array_append_new(files, v);
    return true;
}

static bool add_source(struct capture *c, const struct source_item *i, struct blob_id *id,
                       struct err *err)
{
    CLEANUP(json_freep) json_t *v = json_pack("{s:s}", "type", "regrow source v1");
    json_t *files = json_array();
    json_object_set_new(v, "files", files);
    capture_set(v, "kind", i->kind);
    capture_set(v, "url", i->url);
    capture_set(v, "chart", i->chart);
    capture_set(v, "target", i->target);
    capture_set(v, "revision", i->revision);
    capture_set(v, "digest", i->digest);
    struct file_salt salt;
    bool is_salted = salt_of(c, i, &salt);
    for (size_t k = 0; k < i->files.len; k++)
        if (!add_file(c, &i->files.v[k], is_salted ? &salt : NULL, files, err))
            return false;
    if (!strcmp(i->kind, "git")) {
        json_object_del(v, "files");
    } else if (!strcmp(i->kind, "folder")) {
        struct buf b CLEANUP(buf_clear) = {0};
        canon_write(files, &b);
        struct sha256 sum = sha256_of(b.p, b.len);
        CLEANUP(str_freep) char *hex = hex_encode(sum.b, sizeof(sum.b));
        capture_set(v, "revision", hex);
    }
    return capture_add(c, 'l', v, id, err);
}

static json_t *source_row(struct capture *c, const struct used_source *u)
{
    struct err err = {0};
    struct blob_id id;
    json_t *row = NULL;
    bool ok = err_is_set(&u->item.problem) ? (err_copy(&err, &u->item.problem), false)
                                           : add_source(c, &u->item, &id, &err);
    if (ok) {
        row = capture_ref(&id);
        writer_note_list(c->w, u->key, &id, 0);
    } else {
        row = capture_kept(c, u->key, NULL);
        capture_unknown(c, "%s %s is unknown: %s", u->item.kind, u->item.url, err.msg);
    }
    err_clear(&err);
    row = row ? row : json_object();
    capture_set(row, "kind", u->item.kind);
    capture_set(row, "url", u->item.url);
    capture_set(row, "chart", u->item.chart);
    capture_set(row, "target", u->item.target);
    return row;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct used_source *)a)->key, ((const struct used_source *)b)->key);
}

void capture_take_sources(struct capture *c, struct capture *from)
{
    for (size_t i = 0; i < from->sources.len; i++) {
        (void)take_item(c, &from->sources.v[i].item);
        free(from->sources.v[i].key);
    }
    vec_clear(&from->sources);
}

bool capture_sources(struct capture *c, struct err *err)
{
    struct source_item i = {0};
    struct blob_id id;
    json_t *list = json_array();
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:o}", "type", "regrow sources v1", "sources", list);
    if (!source_fetch_remotes(c->o->source, c->d, err))
        return false;
    for (size_t at = 0; source_item_next(c->o->source, &at, &i); i = (struct source_item){0})
        (void)take_item(c, &i);
    if (c->sources.len)
        qsort(c->sources.v, c->sources.len, sizeof(*c->sources.v), by_key);
    for (size_t k = 0; k < c->sources.len; k++)
        json_array_append_new(list, source_row(c, &c->sources.v[k]));
    if (!capture_add(c, 'l', v, &id, err))
        return false;
    json_object_set_new(c->root, "sources", capture_ref(&id));
    c->e->counts.sources = capture_whole(c, "all sources", "sourcesBefore", &id, c->sources.len);
    return true;
}

// ---- Git ----
static bool is_known(void *ctx, const char *id)
{
    return writer_known_tip(ctx, id);
}

static bool add_packs(struct capture *c, const struct source_repo *r, int *git, struct err *err)
{
    for (size_t i = 0; i < r->packs.len; i++) {
        json_t *file = NULL;
        if (*git >= MAX_GIT_PACKS)
            return err_set(err, ERR_INVALID, "more than %d Git packs", MAX_GIT_PACKS);
        if (!writer_add_file(c->w, r->packs.v[i], (*git)++, NULL, &file, err))
            return false;
        json_decref(file); // the index names its pieces
    }
    return true;
}

static bool add_repository(struct capture *c, const struct source_repo *r, int *git,
                           struct blob_id *id, struct err *err)
{
    json_t *refs = json_array();
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:s, s:o}", "type", "regrow repository v1", "format", "sha1",
                          "refs", refs);
    capture_set(v, "url", r->url);
    capture_set(v, "head", r->head);
    for (size_t i = 0; i < r->refs.refs.len; i++)
        json_array_append_new(refs, json_pack("{s:s, s:s}", "name", r->refs.refs.v[i].name, "id",
                                              r->refs.refs.v[i].id));
    return capture_add(c, 'l', v, id, err) && add_packs(c, r, git, err);
}

static json_t *repository_row(struct capture *c, const struct source_repo *r, int *git)
{
    CLEANUP(str_freep) char *name = str_printf("repository %s", r->url);
    struct err err = {0};
    struct blob_id id;
    uint32_t refs = 0;
    json_t *row = NULL;
    bool ok = err_is_set(&r->problem) ? (err_copy(&err, &r->problem), false)
                                      : add_repository(c, r, git, &id, &err);
    if (ok) {
        row = capture_ref(&id);
        refs = (uint32_t)r->refs.refs.len;
        writer_note_list(c->w, name, &id, refs);
        for (size_t i = 0; i < r->refs.refs.len; i++)
            writer_note_tip(c->w, r->refs.refs.v[i].id);
    } else {
        row = capture_kept(c, name, &refs);
        capture_unknown(c, "%s is unknown: %s", r->url, err.msg);
    }
    for (size_t i = 0; i < r->unnamed.len; i++)
        capture_warn(c, "%s: ref %s cannot be kept", r->url, r->unnamed.v[i]);
    c->e->counts.refs += refs;
    err_clear(&err);
    row = row ? row : json_object();
    capture_set(row, "url", r->url);
    return row;
}

bool capture_git(struct capture *c, struct err *err)
{
    struct source_repos repos = {0};
    struct source_repos_opts o = {.is_known = is_known, .ctx = c->w, .dir = c->o->work_dir};
    struct blob_id id;
    int git = 0;
    json_t *list = json_array();
    CLEANUP(json_freep)
    json_t *v = json_pack("{s:s, s:o}", "type", "regrow repositories v1", "repositories", list);
    bool ok = source_repos(c->o->source, &o, &repos, err);
    for (size_t i = 0; ok && i < repos.v.len; i++)
        json_array_append_new(list, repository_row(c, &repos.v.v[i], &git));
    source_repos_clear(&repos);
    if (!ok || !capture_add(c, 'l', v, &id, err))
        return false;
    json_object_set_new(c->root, "git", capture_ref(&id));
    c->e->counts.refs = capture_whole(c, "all repositories", "gitBefore", &id, c->e->counts.refs);
    return true;
}
