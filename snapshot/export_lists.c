// SPDX-License-Identifier: Apache-2.0
//
// What `snapshot import` needs and nobody else: the lists of the snapshot with all they name, so
// that the same snapshot comes of it. Files and histories that lie in the export for people are
// not there twice.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "gitops/gitops.h"
#include "snapshot/export_int.h"
#include "snapshot/rename.h"

struct carrying {
    struct export *x;
    struct renaming names;
    struct buf root, lists;
    int objects; // a file: they may be large
    char *objects_path;
    struct buf secrets; // of the file that is being filled
    size_t n_secrets, n_sealed;
};

static void carrying_clear(struct carrying *c)
{
    renaming_clear(&c->names);
    buf_clear(&c->root);
    buf_clear(&c->lists);
    buf_wipe(&c->secrets);
    fd_closep(&c->objects);
    free(c->objects_path);
}

// ---- Secrets ----

static bool seal_secrets(struct carrying *c, struct err *err)
{
    struct buf age CLEANUP(buf_clear) = {0};
    const struct export_opts *o = c->x->o;
    if (!c->secrets.len)
        return true;
    CLEANUP(str_freep) char *name = str_printf(FORM_SECRETS "%04zu.age", ++c->n_sealed);
    bool ok =
        age_seal(o->recipients, o->n_recipients, c->secrets.p, c->secrets.len, &age, NULL, err) &&
        export_tar_add(c->x->tar, name, age.p, age.len, err);
    buf_wipe(&c->secrets);
    return ok;
}

static bool put_secret(struct carrying *c, char kind, const void *p, size_t len, struct blob_id *id,
                       struct err *err)
{
    if (c->x->o->without_secrets)
        return err_set(err, ERR_CORRUPT, "Secrets where a snapshot has none");
    buf_reserve(&c->secrets, FORM_SEALED_MAX); // growing would leave copies behind
    form_secret_head(kind, len, &c->secrets);
    buf_append(&c->secrets, p, len);
    *id = form_secret_id(c->n_secrets++);
    return c->secrets.len < FORM_SEALED_BYTES || seal_secrets(c, err);
}

// ---- the others ----

// A text and its line end, in canonical form: whoever reads it takes it line by line.
static bool put_object(struct carrying *c, const void *p, size_t len, struct blob_id *id,
                       struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    struct buf line CLEANUP(buf_clear) = {0};
    if (!canon_read(p, len, &doc, err))
        return err_wrap(err, "an object");
    canon_write(doc, &line);
    buf_char(&line, '\n');
    *id = form_id('o', line.p, line.len);
    return file_write_fd(c->objects, c->objects_path, line.p, line.len, err);
}

static bool put_piece(struct carrying *c, const void *p, size_t len, struct blob_id *id,
                      struct err *err)
{
    char hex[33];
    *id = form_id('f', p, len);
    if (!idmap_set(&c->x->pieces, id, 0))
        return true; // in a file that is there anyway
    blob_id_hex(id, hex);
    CLEANUP(str_freep) char *name = str_printf(FORM_FILES "%s", hex);
    return export_tar_add(c->x->tar, name, p, len, err);
}

static bool put(void *ctx, char kind, const void *p, size_t len, struct blob_id *id,
                struct err *err)
{
    struct carrying *c = ctx;
    if (kind == 'k' || kind == 's')
        return put_secret(c, kind, p, len, id, err);
    if (kind == 'o')
        return put_object(c, p, len, id, err);
    if (kind == 'f' || kind == 'h') {
        const char *piece = blob_of_file(kind, p, &len); // it is in clear there: no salt
        return piece ? put_piece(c, piece, len, id, err)
                     : err_set(err, ERR_CORRUPT, "a salted piece without anything in it");
    }
    buf_append(kind == 'r' ? &c->root : &c->lists, p, len);
    *id = form_id(kind, p, len);
    return true;
}

// ---- all of it ----

static bool add_entry(struct export *x, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const struct entry *e = x->o->entry;
    bool found = false;
    CLEANUP(str_freep) char *name = log_name(x->r, e->chain, e->seq, &e->hash);
    if (!store_get(x->r->store, name, ENTRY_MAX_BYTES, &b, &found, err))
        return false;
    struct sha256 h = sha256_of(b.p, b.len);
    return ((found && sha256_eq(&h, &e->hash)) ||
            err_set(err, ERR_CORRUPT, "%s is not what it was", name)) &&
           export_tar_add(x->tar, FORM_ENTRY, b.p, b.len, err);
}

static bool add_about(struct export *x, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct form_about a = {.has_secrets = !x->o->without_secrets,
                           .is_bad = log_goodness(x->o->log, x->o->entry) == SNAP_BAD};
    form_about_write(&a, &b);
    return export_tar_add(x->tar, FORM_ABOUT, b.p, b.len, err);
}

static bool name_all(struct carrying *c, struct err *err)
{
    struct blob_id id;
    CLEANUP(json_freep) json_t *root = json_deep_copy(c->x->root);
    return rename_doc(&c->names, root, 'r', &id, err) && seal_secrets(c, err);
}

static bool add_buf(struct export *x, const char *name, const struct buf *b, struct err *err)
{
    return export_tar_add(x->tar, name, b->p ? b->p : "", b->len, err);
}

bool export_lists(struct export *x, struct err *err)
{
    struct carrying c CLEANUP(carrying_clear) = {.x = x, .objects = -1};
    c.objects_path = path_join(x->work, "objects");
    c.names = (struct renaming){.r = x->rd,
                                .loop = x->r->loop,
                                .put = put,
                                .ctx = &c,
                                .joins_pages = true,
                                .drops_secrets = x->o->without_secrets};
    c.objects = open(c.objects_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (c.objects < 0)
        return err_set(err, ERR_UNAVAILABLE, "make %s: %m", c.objects_path);
    return name_all(&c, err) && export_tar_file(x->tar, c.objects, FORM_OBJECTS, err) &&
           add_buf(x, FORM_LISTS, &c.lists, err) && add_buf(x, FORM_ROOT, &c.root, err) &&
           add_entry(x, err) && add_about(x, err);
}
