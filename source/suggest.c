// SPDX-License-Identifier: Apache-2.0
//
// What there is to say of a root as a whole. Without any Application it is nearly always the wrong
// folder of the right repository: those below it that hold some are named as ROOT can be written.
#include <stdlib.h>
#include <string.h>

#include "source/load.h"

#define MAX_FILES 20000
#define MAX_FILE_BYTES (1U << 20)
#define MAX_BYTES (64U << 20) // of all files looked into
#define SHOWN 3

// Is there a document of that kind? A line is enough to tell: nothing here is acted upon.
static bool holds_application(const struct buf *b)
{
    const char *next;
    for (const char *line = b->p; line; line = next) {
        const char *end = strchr(line, '\n');
        next = end ? end + 1 : NULL;
        if (!str_starts(line, "kind:"))
            continue;
        const char *kind = line + 5 + strspn(line + 5, " \"'");
        size_t n = strcspn(kind, " \"'\r\n#");
        if ((n == 11 && !strncmp(kind, "Application", n)) ||
            (n == 14 && !strncmp(kind, "ApplicationSet", n)))
            return strstr(b->p, "argoproj.io/") != NULL;
    }
    return false;
}

static bool is_manifest(const char *file)
{
    return str_ends(file, ".yaml") || str_ends(file, ".yml");
}

static size_t depth_of(const char *path)
{
    size_t n = 0;
    for (; *path; path++)
        n += *path == '/';
    return n;
}

static int cmp_folder(const void *a, const void *b)
{
    const char *x = *(char *const *)a;
    const char *y = *(char *const *)b;
    size_t dx = depth_of(x);
    size_t dy = depth_of(y);
    return dx != dy ? (dx < dy ? -1 : 1) : strcmp(x, y);
}

// Folders below `path`, the shallowest first.
static void find_folders(struct tree *t, const char *path, struct strv *out)
{
    struct strv files = {0};
    struct err err = {0};
    size_t budget = MAX_BYTES;
    if (!tree_list(t, path, true, &files, &err))
        err_clear(&err); // then there is nothing to suggest
    for (size_t i = 0; i < files.len && i < MAX_FILES && budget; i++) {
        struct buf b CLEANUP(buf_clear) = {0};
        const char *slash = strrchr(files.v[i], '/');
        CLEANUP(str_freep)
        char *folder = str_ndup(files.v[i], slash ? (size_t)(slash - files.v[i]) : 0);
        if (!is_manifest(files.v[i]) || !strcmp(folder, path) || strv_has(out, folder))
            continue;
        if (!tree_read(t, files.v[i], MAX_FILE_BYTES, &b, &err))
            err_clear(&err);
        else if (b.len && holds_application(&b))
            strv_push(out, folder);
        budget -= b.len < budget ? b.len : budget;
    }
    strv_clear(&files);
    if (out->len)
        qsort(out->v, out->len, sizeof(*out->v), cmp_folder);
}

// "https://h/r.git//apps/prod?ref=main" for the folder apps/prod of https://h/r.git//apps?ref=main
static char *root_below(const char *root, const char *rel)
{
    CLEANUP(str_freep) char *base = strstr(root, "://") ? url_redacted(root) : str_dup(root);
    const char *scheme = strstr(base, "://");
    char *query = strstr(base, "?ref=");
    CLEANUP(str_freep) char *ref = str_dup(query ? query : "");
    if (query)
        *query = 0;
    size_t n = strlen(base);
    while (n > 1 && base[n - 1] == '/')
        base[--n] = 0;
    bool names_repo = scheme && !strstr(scheme + 3, "//");
    return str_printf("%s%s%s%s", base, names_repo ? "//" : "/", rel, ref);
}

static char *others_of(struct tree *t, const char *path, const char *root)
{
    struct strv folders = {0};
    struct buf b CLEANUP(buf_clear) = {0};
    if (tree_is_dir(t, path))
        find_folders(t, path, &folders);
    for (size_t i = 0; i < folders.len && i < SHOWN; i++) {
        const char *rel = folders.v[i] + (*path ? strlen(path) + 1 : 0);
        CLEANUP(str_freep) char *text = root_below(root, rel);
        buf_printf(&b, "%s%s", i ? ", " : "", text);
    }
    if (folders.len > SHOWN)
        buf_printf(&b, " and %zu more folders", folders.len - SHOWN);
    strv_clear(&folders);
    return b.len ? buf_take(&b) : NULL;
}

static bool has_set(const struct desired *d)
{
    for (size_t i = 0; i < d->objects.len; i++)
        if (!strcmp(d->objects.v[i].id.kind, "ApplicationSet"))
            return true;
    return false;
}

// A root that cannot be read, or names no Application, may be the wrong folder.
void suggest_root(struct source *s, const char *root, struct desired *d, struct err *err)
{
    struct err bad = {0};
    struct tree *t = NULL;
    bool failed = err_is_set(err);
    if (failed && (err->hint || (err->kind != ERR_INVALID && err->kind != ERR_NOT_FOUND)))
        return;
    if (!failed && (d->apps.len > 1 || has_set(d)))
        return; // a set that makes none has its own warning
    if (!source_root_tree(s, d, &t, &bad)) {
        err_clear(&bad); // it is this that is wrong with it
        return;
    }
    CLEANUP(str_freep) char *others = others_of(t, s->root.path, root);
    if (others && failed)
        err_hint(err, "Mend it; or name as ROOT a folder that holds Applications: %s.", others);
    else if (others)
        strv_push_take(
            &d->warnings,
            str_printf("there is no Application in %s itself; ROOT may be meant to be %s",
                       s->root.name, others));
    else if (!d->objects.len)
        strv_push_take(&d->warnings, str_printf("there is no manifest in %s", s->root.name));
}

static bool is_flux(const struct object *o)
{
    return str_ends(o->id.group, ".toolkit.fluxcd.io");
}

// Flux's objects are sent like all others, and act when Flux runs; what they name is not read.
void suggest_flux(struct desired *d)
{
    size_t n = 0;
    const struct object *first = NULL;
    for (size_t i = 0; i < d->objects.len; i++) {
        if (!is_flux(&d->objects.v[i]))
            continue;
        first = first ? first : &d->objects.v[i];
        n++;
    }
    if (!n)
        return;
    CLEANUP(str_freep) char *name = object_name(&first->id);
    strv_push_take(&d->warnings,
                   str_printf("%zu object%s for Flux (%s%s): regrow applies %s and does not read "
                              "what %s; that is left to Flux",
                              n, n == 1 ? "" : "s", name, n == 1 ? "" : " …",
                              n == 1 ? "it" : "them", n == 1 ? "it names" : "they name"));
}
