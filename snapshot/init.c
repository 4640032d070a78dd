// SPDX-License-Identifier: Apache-2.0
#include "snapshot/init.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "snapshot/keyfile.h"
#include "snapshot/repo.h"
#include "snapshot/store_folder.h"
#include "snapshot/trust_int.h"

#define MARKER "regrow.json"
#define FIRST_TRUST "trust/0001"
#define ADMIN "admin.age"
#define TARGET "target"

// The folder in which it is made, and what is made.
struct making {
    const struct init_opts *o;
    struct store *target, *staging;
    char *dir;
    struct trust_chain trust;
    struct signer admin;
    struct slot_content content;
};

static char *staging_dir(const char *admin_file)
{
    return str_printf("%s.init", admin_file);
}

static void making_clear(struct making *m)
{
    store_free(m->target);
    store_free(m->staging);
    free(m->dir);
    trust_chain_clear(&m->trust);
    signer_wipe(&m->admin);
    slot_content_wipe(&m->content);
}

static bool is_staged(const char *dir)
{
    CLEANUP(str_freep) char *marker = path_join(dir, MARKER);
    return file_exists(marker);
}

bool repo_init_began(const char *admin_file)
{
    CLEANUP(str_freep) char *dir = staging_dir(admin_file);
    return is_staged(dir);
}

static bool has_file(struct store *s, const char *name, bool *found, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    return store_get(s, name, STORE_MAX_FILE_BYTES, &b, found, err);
}

// ---- made beside the admin's key ----

// A mistyped place would be filled, and copied and cleaned up with what is of others.
static bool check_empty(struct making *m, struct err *err)
{
    CLEANUP(str_freep) char *name = NULL;
    if (m->o->among_others)
        return true;
    if (!store_stranger(m->target, &name, err))
        return false;
    if (!name)
        return true;
    err_set(err, ERR_CONFLICT, "%s is not empty: there is %.200s", m->target->url, name);
    return err_hint(err, "Name a place of its own, which is made if need be; or --among-others.");
}

// Nothing may be begun where something is.
static bool check_free(struct making *m, struct err *err)
{
    bool found = false;
    if (!has_file(m->target, MARKER, &found, err))
        return false;
    if (found) {
        // Who told the pin and was killed while cleaning up left a rest: it goes now.
        if (!dir_remove(m->dir, err))
            return false;
        err_set(err, ERR_CONFLICT, "there is a repository in %s already", m->target->url);
        return err_hint(err, "If it is yours: regrow snapshot key trust shows its pin, and with "
                             "--key or the passphrase proves it. Else name another place.");
    }
    if (!has_file(m->target, FIRST_TRUST, &found, err))
        return false;
    if (found) {
        err_set(err, ERR_CONFLICT,
                "a repository was begun in %s and not ended, with another file for its admin's key",
                m->target->url);
        return err_hint(err, "Run the interrupted init again as it was, or name another place.");
    }
    if (!check_empty(m, err))
        return false;
    if (file_exists(m->o->admin_file)) {
        err_set(err, ERR_CONFLICT, "%s is there already", m->o->admin_file);
        return err_hint(err, "A key is never replaced: name another file.");
    }
    if (m->o->n_ways >= (m->o->is_single ? 1 : INIT_MIN_SLOTS))
        return true;
    err_set(err, ERR_USAGE, "%zu way%s to open the repository %s too few", m->o->n_ways,
            m->o->n_ways == 1 ? "" : "s", m->o->n_ways == 1 ? "is" : "are");
    return err_hint(err, "Give a passphrase and an age recipient, or two recipients; or --single.");
}

static bool stage_first(struct making *m, struct err *err)
{
    struct trust t = {.n = 1, .need = 1};
    struct trust_admin *a = vec_push(&t.admins);
    struct trust_epoch *e = vec_push(&t.epochs);
    struct age_identity id;
    crypto_random(t.repo, sizeof(t.repo));
    signer_new(&m->admin);
    age_identity_new(&id);
    strv_push(&t.read_flags, TRUST_PAGES);
    strv_push(&t.read_flags, TRUST_SALTED_FILES);
    strv_push(&t.read_flags, TRUST_ZSTD_INDEX);
    strv_push(&t.read_flags, TRUST_ZSTD_ROWS);
    *a = (struct trust_admin){.label = str_dup("admin")};
    memcpy(a->public, m->admin.public, KEY_BYTES);
    *e = (struct trust_epoch){.n = 1};
    memcpy(e->recipient, id.public, KEY_BYTES);
    bool ok = trust_write(m->staging, NULL, &t, &m->admin, 1, &m->content.pin, err) &&
              trust_read(m->staging, &m->content.pin, &m->trust, err);
    m->content.epoch = 1;
    m->content.identity = id;
    memcpy(m->content.repo, t.repo, sizeof(t.repo));
    crypto_wipe(&id, sizeof(id));
    trust_clear(&t);
    return ok;
}

static bool stage_slots(struct making *m, struct err *err)
{
    struct trust t = {0};
    struct sha256 hash;
    bool ok = true;
    trust_next(&m->trust, &t);
    for (size_t i = 0; ok && i < m->o->n_ways; i++) {
        struct trust_slot row = {0};
        ok = slot_make(m->staging, &m->content, &m->o->ways[i], &row, err);
        if (ok)
            *vec_push(&t.slots) = row;
    }
    ok = ok && trust_write(m->staging, &m->trust, &t, &m->admin, 1, &hash, err);
    trust_clear(&t);
    return ok;
}

static bool seal_admin(const struct making *m, const struct buf *text, struct buf *out,
                       struct err *err)
{
    uint8_t to[AGE_MAX_STANZAS][KEY_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < m->o->n_ways; i++) {
        const struct slot_way *w = &m->o->ways[i];
        if (w->passphrase)
            return age_seal_passphrase(w->passphrase, SLOT_LOG_N, text->p, text->len, out, err);
        if (n < ARRAY_LEN(to))
            memcpy(to[n++], w->recipient, KEY_BYTES);
    }
    return age_seal((const uint8_t(*)[KEY_BYTES])to, n, text->p, text->len, out, NULL, err);
}

static bool stage_admin(struct making *m, struct err *err)
{
    struct buf text CLEANUP(buf_wipe) = {0};
    struct buf file CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *path = path_join(m->dir, ADMIN);
    struct credential c = {.kind = CREDENTIAL_ADMIN, .pin = m->content.pin, .signer = m->admin};
    memcpy(c.repo, m->content.repo, sizeof(c.repo));
    credential_write(&c, &text);
    crypto_wipe(&c, sizeof(c));
    return seal_admin(m, &text, &file, err) && file_replace(path, file.p, file.len, 0600, err);
}

static bool stage_marker(struct making *m, struct err *err)
{
    struct store_guarantees g = {0};
    if (!store_probe(m->target, m->o->store, &g, err))
        return err_wrap(err, "probe");
    struct marker marker = {.atomic_create = g.atomic_create,
                            .list_after_create = g.list_after_create,
                            .store_kind = str_dup(m->target->ops->traits.kind)};
    memcpy(marker.repo, m->content.repo, sizeof(marker.repo));
    bool ok = marker_write(m->staging, &marker, &m->admin, err);
    marker_clear(&marker);
    return ok;
}

static bool stage(struct making *m, struct err *err)
{
    CLEANUP(str_freep) char *target = path_join(m->dir, TARGET);
    return check_free(m, err) && dir_remove(m->dir, err) && dir_make(m->dir, 0700, err) &&
           file_replace(target, m->target->url, strlen(m->target->url), 0600, err) &&
           stage_first(m, err) && stage_slots(m, err) && stage_admin(m, err) &&
           stage_marker(m, err);
}

// ---- brought to the store ----

static bool check_target(const struct making *m, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *path = path_join(m->dir, TARGET);
    if (!file_read(path, 4096, &b, err))
        return false;
    return str_eq(b.p, m->target->url) ||
           err_set(err, ERR_CONFLICT, "%s is what is left of making a repository in %s", m->dir,
                   b.p ? b.p : "nowhere");
}

static bool bring_one(struct making *m, const char *name, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    bool found = false;
    return store_get(m->staging, name, STORE_MAX_FILE_BYTES, &b, &found, err) &&
           (found || err_set(err, ERR_CORRUPT, "%s is gone from %s", name, m->dir)) &&
           create_same(m->target, name, &b, err);
}

static bool bring_all(struct making *m, const char *prefix, struct err *err)
{
    struct store_items items CLEANUP(store_items_clear) = {0};
    bool ok = store_list(m->staging, prefix, &items, err);
    for (size_t i = 0; ok && i < items.v.len; i++)
        ok = bring_one(m, items.v.v[i].name, err);
    return ok;
}

static bool hand_over_admin(const struct making *m, struct err *err)
{
    struct buf made CLEANUP(buf_clear) = {0};
    struct buf there CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *path = path_join(m->dir, ADMIN);
    if (!file_read(path, CREDENTIAL_MAX_BYTES, &made, err))
        return false;
    if (!file_exists(m->o->admin_file))
        return file_replace(m->o->admin_file, made.p, made.len, 0600, err);
    if (!file_read(m->o->admin_file, CREDENTIAL_MAX_BYTES, &there, err))
        return false;
    return (there.len == made.len && !memcmp(there.p, made.p, made.len)) ||
           err_set(err, ERR_CONFLICT, "%s is there already", m->o->admin_file);
}

// Opened again as everybody will open it.
static bool look_at_it(struct making *m, struct init_result *out, struct err *err)
{
    struct repo r = {0};
    trust_chain_clear(&m->trust);
    if (!trust_read(m->staging, NULL, &m->trust, err) ||
        !repo_open(m->o->store, &m->trust.pin, &r, err))
        return false;
    out->pin = r.trust.pin;
    out->marker = r.marker;
    r.marker = (struct marker){0};
    repo_close(&r);
    return true;
}

static bool make(struct making *m, struct init_result *out, struct err *err)
{
    m->dir = staging_dir(m->o->admin_file);
    m->staging = store_folder_new(m->dir, folder_fs_real());
    if (!store_open(m->o->store, &m->target, err))
        return false;
    out->continued = is_staged(m->dir);
    if (out->continued ? !check_target(m, err) : !stage(m, err))
        return false;
    return hand_over_admin(m, err) && bring_one(m, FIRST_TRUST, err) &&
           bring_all(m, "keys/", err) && bring_all(m, "trust/", err) && bring_one(m, MARKER, err) &&
           look_at_it(m, out, err);
}

bool repo_init(const struct init_opts *o, struct init_result *out, struct err *err)
{
    struct making m = {.o = o};
    int lock CLEANUP(fd_closep) = -1;
    *out = (struct init_result){0};
    bool ok = key_folder_lock(o->admin_file, &lock, err) && make(&m, out, err);
    making_clear(&m);
    return ok;
}

bool repo_init_end(const char *admin_file, struct err *err)
{
    CLEANUP(str_freep) char *dir = staging_dir(admin_file);
    CLEANUP(str_freep) char *marker = path_join(dir, MARKER);
    // The marker first: whoever is killed in between leaves what nobody takes for begun.
    return dir_remove(marker, err) && dir_remove(dir, err);
}

void init_result_clear(struct init_result *r)
{
    marker_clear(&r->marker);
}
