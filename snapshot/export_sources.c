// SPDX-License-Identifier: Apache-2.0
//
// What applications are made of, as it was fetched: Git repositories as bundles of all their refs,
// charts, artifacts and folders as files.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/export_int.h"
#include "snapshot/histories.h"
#include "snapshot/lists.h"
#include "source/source.h"

#define MAX_NAME 60

static bool is_one_line(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            return false;
    return true;
}

// "https://git.example.com/team/platform.git" -> "platform"; taken: names that were given out.
char *export_short_name(const char *url, const char *suffix, json_t *taken)
{
    size_t end = strlen(url);
    while (end && url[end - 1] == '/')
        end--;
    if (end > 4 && !strncmp(url + end - 4, ".git", 4))
        end -= 4;
    size_t begin = end;
    while (begin && url[begin - 1] != '/' && url[begin - 1] != ':' && end - begin < MAX_NAME)
        begin--;
    char *name = str_printf("%.*s%s", (int)(end - begin), url + begin, suffix);
    for (char *p = name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            *p = '_';
    if (*name == '.' || *name == '-' || !*name)
        name[0] = '_';
    char *unique = str_dup(name);
    for (unsigned i = 2; json_object_get(taken, unique); i++) {
        free(unique);
        unique = str_printf("%s-%u", name, i);
    }
    json_object_set_new(taken, unique, json_true());
    free(name);
    return unique;
}

// ---- Git ----

// tips: ids that are in a bundle.
static bool add_bundle(struct export *x, struct git_proof *p, const json_t *repository,
                       const char *name, json_t *tips, struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(x->work, "bundle");
    struct git_refs refs = {0};
    bool ok = true;
    int fd CLEANUP(fd_closep) = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int errnum = errno;
    history_refs(repository, &refs);
    for (size_t i = 0; i < refs.refs.len; i++) {
        const struct git_ref *ref = &refs.refs.v[i];
        json_object_set_new(tips, ref->id, json_true());
        ok = ok && (git_proof_tip(p, ref->id, err) || err_wrap(err, "%s", ref->name));
    }
    if (ok && fd < 0)
        ok = err_set_errno(err, errnum, "make %s", path);
    ok = ok && git_proof_bundle(p, &refs, json_dot_str(repository, "head"), fd, err) &&
         export_tar_file(x->tar, fd, name, err);
    git_refs_clear(&refs);
    return ok;
}

struct passing {
    struct export_tar *tar;
    struct form_pieces pieces;
};

static bool pass_on(void *ctx, const void *p, size_t len, struct err *err)
{
    struct passing *to = ctx;
    form_pieces_add(&to->pieces, p, len);
    return export_tar_data(to->tar, p, len, err);
}

// What is in it need not be carried again.
static bool add_file(struct export *x, const char *name, const json_t *file, bool executable,
                     struct err *err)
{
    json_int_t size = json_integer_value(json_object_get(file, "size"));
    struct passing to = {.tar = x->tar};
    bool ok = (size >= 0 || err_set(err, ERR_CORRUPT, "%s has no size", name)) &&
              export_tar_begin(x->tar, name, (uint64_t)size, executable, err) &&
              reader_file(x->rd, file, pass_on, &to, err) && export_tar_done(x->tar, err);
    form_pieces_end(&to.pieces);
    for (size_t i = 0; ok && i < to.pieces.ids.len; i++)
        idmap_set(&x->pieces, &to.pieces.ids.v[i], 0);
    form_pieces_clear(&to.pieces);
    return ok;
}

struct bundling {
    struct git_proof *proof;
    json_t *taken; // names
    json_t *tips;
    struct buf index;
    unsigned before; // bundles for `snapshot import` alone
};

static void bundling_clear(struct bundling *b)
{
    git_proof_free(b->proof);
    json_decref(b->taken);
    json_decref(b->tips);
    buf_clear(&b->index);
}

// A repository that has a newer list: nobody but `snapshot import` needs what refs led to before.
static bool add_before(struct export *x, struct bundling *b, const json_t *row, struct err *err)
{
    CLEANUP(json_freep) json_t *repository = NULL;
    bool is_new = false;
    size_t i;
    json_t *ref;
    if (!list_read(x->rd, row, "refs", &repository, err))
        return false;
    json_array_foreach(json_object_get(repository, "refs"), i, ref)
    {
        is_new |= !json_object_get(b->tips, json_dot_text(ref, "id"));
    }
    if (!is_new || json_object_get(repository, "bundle"))
        return true;
    CLEANUP(str_freep) char *name = str_printf(FORM_GIT "%04u.bundle", ++b->before);
    return add_bundle(x, b->proof, repository, name, b->tips, err) ||
           err_wrap(err, "%s", json_dot_text(row, "url"));
}

static bool add_repository(struct export *x, struct bundling *b, const json_t *row, struct err *err)
{
    CLEANUP(json_freep) json_t *repository = NULL;
    const char *url = json_dot_text(row, "url");
    if (!list_read(x->rd, row, "refs", &repository, err))
        return false;
    const json_t *bundle = json_object_get(repository, "bundle");
    if (!repository || !(bundle || json_array_size(json_object_get(repository, "refs")))) {
        export_warn(x, "%s: %s", url, repository ? "it has no refs" : "it was never read");
        return true;
    }
    CLEANUP(str_freep) char *name = export_short_name(url, ".bundle", b->taken);
    CLEANUP(str_freep) char *path = str_printf("git/%s", name);
    const char *head = json_dot_text(repository, "head");
    if (!is_one_line(url) || !is_one_line(head) || strchr(head, ' '))
        return err_set(err, ERR_CORRUPT, "a repository whose URL or HEAD is not one line");
    bool ok = bundle ? add_file(x, path, bundle, false, err)
                     : add_bundle(x, b->proof, repository, path, b->tips, err);
    if (!ok)
        return err_wrap(err, "%s", url);
    buf_printf(&b->index, "%s %s %s\n", name, *head ? head : "-", url);
    x->out->repositories++;
    return true;
}

static bool add_repositories(struct export *x, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    CLEANUP(json_freep) json_t *seen = json_object();
    struct bundling b CLEANUP(bundling_clear) = {
        .proof = git_proof_new(x->work, x->r->loop), .taken = json_object(), .tips = json_object()};
    size_t i;
    json_t *row;
    if (!list_read_all(x->rd, x->root, "git", "repositories", &rows, err) ||
        !histories_packs(x->rd, b.proof, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        const char *url = json_dot_text(row, "url");
        bool is_before = json_object_get(seen, url) != NULL;
        json_object_set_new(seen, url, json_true());
        if (!(is_before ? add_before(x, &b, row, err) : add_repository(x, &b, row, err)))
            return false;
    }
    return export_tar_add(x->tar, "git/index", b.index.p ? b.index.p : "", b.index.len, err);
}

// ---- charts, artifacts, folders ----

static bool add_files(struct export *x, const json_t *source, const char *folder, struct err *err)
{
    CLEANUP(json_freep) json_t *seen = json_object();
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(source, "files"), i, f)
    {
        CLEANUP(str_freep) char *clean = NULL;
        if (!path_clean(json_dot_text(f, "path"), &clean) || !*clean ||
            json_object_get(seen, clean))
            return err_set(err, ERR_CORRUPT, "%s: a file whose path leads elsewhere", folder);
        json_object_set_new(seen, clean, json_true());
        CLEANUP(str_freep) char *name = path_join(folder, clean);
        if (!form_name_is_plain(name)) {
            export_warn(x,
                        "%s: a file whose name is more than one line is in " FORM_FILES
                        " alone, for import",
                        folder);
            continue;
        }
        if (!add_file(x, name, f, str_eq(json_dot_str(f, "mode"), "755"), err))
            return err_wrap(err, "%s", name);
    }
    return true;
}

static bool add_source(struct export *x, const json_t *row, json_t *taken, json_t *index,
                       struct err *err)
{
    CLEANUP(json_freep) json_t *source = NULL;
    static const char *const keys[] = {"kind", "url", "chart", "target"};
    if (!list_read(x->rd, row, "files", &source, err))
        return false;
    const char *of =
        *json_dot_text(row, "chart") ? json_dot_text(row, "chart") : json_dot_text(row, "url");
    json_t *o = json_object();
    json_array_append_new(index, o);
    for (size_t k = 0; k < ARRAY_LEN(keys); k++)
        if (*json_dot_text(row, keys[k]))
            json_object_set(o, keys[k], json_object_get(row, keys[k]));
    if (!source) {
        export_warn(x, "%s %s was never read", json_dot_text(row, "kind"), of);
        return true;
    }
    json_object_set(o, "revision", json_object_get(source, "revision"));
    if (*json_dot_text(source, "digest"))
        json_object_set(o, "digest", json_object_get(source, "digest"));
    if (!json_array_size(json_object_get(source, "files")))
        return true; // Git has it
    CLEANUP(str_freep) char *name = export_short_name(of, "", taken);
    CLEANUP(str_freep) char *folder = str_printf("sources/%s", name);
    json_object_set_new(o, "folder", json_string(folder));
    x->out->sources++;
    return add_files(x, source, folder, err);
}

static bool add_sources(struct export *x, struct err *err)
{
    CLEANUP(json_freep) json_t *rows = NULL;
    CLEANUP(json_freep) json_t *taken = json_object();
    CLEANUP(json_freep) json_t *seen = json_object();
    CLEANUP(json_freep) json_t *index = json_array();
    size_t i;
    json_t *row;
    if (!list_read_all(x->rd, x->root, "sources", "sources", &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        CLEANUP(str_freep) char *key = list_source_key(row);
        if (json_object_get(seen, key))
            continue;
        json_object_set_new(seen, key, json_true());
        if (!add_source(x, row, taken, index, err))
            return false;
    }
    char *text = json_dumps(index, JSON_INDENT(2) | JSON_SORT_KEYS);
    bool ok = export_tar_add(x->tar, "sources/index.json", text, strlen(text), err);
    free(text);
    return ok;
}

bool export_sources(struct export *x, struct err *err)
{
    return add_repositories(x, err) && add_sources(x, err);
}
