// SPDX-License-Identifier: Apache-2.0
//
// Who vouches for an export: its trust files, the signature of its checksums, the entry of the log
// that it is. JSON is parsed only below a signature that held.
#include <string.h>

#include "gitops/gitops.h"
#include "snapshot/import_int.h"
#include "snapshot/log_int.h"

#define SIGNED_MAX_BYTES (16U << 10)

// ---- trust files, read as from a repository ----

struct trust_store {
    struct store s;
    const struct import_files *files;
};

static bool get(struct store *s, const char *name, size_t max_bytes, struct buf *out, bool *found,
                struct err *err)
{
    const struct trust_store *t = (const struct trust_store *)s;
    const struct import_file *f = import_files_find(t->files, name);
    *found = f != NULL;
    if (f && f->kept.len > max_bytes)
        return err_set(err, ERR_CORRUPT, "larger than %zu bytes", max_bytes);
    if (f)
        buf_append(out, f->kept.p ? f->kept.p : "", f->kept.len);
    return true;
}

static const struct store_ops trust_ops = {.traits = {.kind = "export"}, .get = get};

static bool read_trust(struct import *m, struct err *err)
{
    char url[] = "export";
    struct trust_store t = {.s = {.ops = &trust_ops, .url = url}, .files = &m->files};
    const struct sha256 *here = m->o.here;
    if (!trust_read(&t.s, m->o.pin, &m->trust, err)) {
        err->kind = ERR_CORRUPT; // also when there is none
        return false;
    }
    m->facts.pin = m->trust.pin;
    m->facts.is_pinned = m->o.pin || (here && sha256_eq(here, &m->trust.pin));
    return true;
}

// ---- the signature ----

// Whoever of the repository made the signature, whether he may or not.
static bool find_key(const struct import *m, const struct signed_line *line,
                     uint8_t public[KEY_BYTES])
{
    const struct trust *t = trust_now(&m->trust);
    const uint8_t *found = NULL;
    for (size_t i = 0; !found && i < t->admins.len; i++)
        if (signed_by(line, t->admins.v[i].public))
            found = t->admins.v[i].public;
    for (size_t i = 0; !found && i < t->signers.len; i++)
        if (signed_by(line, t->signers.v[i].public))
            found = t->signers.v[i].public;
    if (found)
        memcpy(public, found, KEY_BYTES);
    return found != NULL;
}

static bool says(const json_t *body, const char *key, const void *p, size_t len)
{
    CLEANUP(str_freep) char *hex = hex_encode(p, len);
    return str_eq(json_dot_str(body, key), hex);
}

// What is signed must be this: checksums, and the entry.
static bool check_body(const struct import *m, const json_t *body, const struct sha256 *entry,
                       struct err *err)
{
    const struct trust *t = trust_now(&m->trust);
    return (says(body, "repo", t->repo, sizeof(t->repo)) &&
            says(body, "sums", m->facts.sums.b, sizeof(m->facts.sums.b)) &&
            says(body, "entry", entry->b, sizeof(entry->b))) ||
           err_set(err, ERR_CORRUPT, "what is signed is another export");
}

static bool check_signature(struct import *m, const struct import_file *f,
                            const struct sha256 *entry, uint8_t public[KEY_BYTES], struct err *err)
{
    struct signed_line line;
    CLEANUP(json_freep) json_t *body = NULL;
    if (!signed_split(f->kept.p ? f->kept.p : "", f->kept.len, SIGNED_MAX_BYTES, "export", &line,
                      err))
        return false;
    if (!find_key(m, &line, public))
        return err_set(err, ERR_CORRUPT,
                       "no key of the repository made its signature (%s): it was changed, or comes "
                       "from somebody else",
                       line.sigs[0].key.hex);
    return signed_json(&line, &body, err) && check_body(m, body, entry, err);
}

// By the chain that the entry is of, not by one that the signer says.
static bool check_role(struct import *m, const uint8_t public[KEY_BYTES], struct err *err)
{
    struct import_facts *f = &m->facts;
    f->key = key_id_of(public);
    f->role = form_signer(trust_now(&m->trust), public, m->entry.chain, &f->label);
    f->is_signed = f->role != NULL;
    return f->is_signed ||
           err_set(err, ERR_CORRUPT, "key %s may not vouch for snapshots of chain %s", f->key.hex,
                   m->entry.chain);
}

// ---- the entry ----

static const struct trust_signer *writer_of(const struct import *m, const struct signed_line *line)
{
    for (size_t n = m->trust.v.len; n > 0; n--) {
        const struct trust *t = &m->trust.v.v[n - 1];
        for (size_t i = 0; i < t->signers.len; i++)
            if (t->signers.v[i].role == ROLE_WRITE && signed_by(line, t->signers.v[i].public))
                return &t->signers.v[i];
    }
    return NULL;
}

static bool read_entry(struct import *m, const struct buf *bytes, struct err *err)
{
    struct signed_line line;
    enum entry_kind kind;
    CLEANUP(json_freep) json_t *body = NULL;
    struct repo r = {.trust = m->trust}; // lent
    if (!entry_split(bytes->p ? bytes->p : "", bytes->len, &kind, &line, err))
        return false;
    if (kind != ENTRY_SNAPSHOT || !writer_of(m, &line))
        return err_set(err, ERR_CORRUPT, "no writer of the repository signed it");
    if (!signed_json(&line, &body, err))
        return false;
    const char *chain = json_dot_str(body, "chain");
    if (!chain || !chain_name_is_valid(chain))
        return err_set(err, ERR_CORRUPT, "it is of no chain");
    if (!log_entry_read(&r, chain, (uint64_t)json_dot_int(body, "seq", 0), bytes, &m->entry, err))
        return false;
    return !m->entry.is_void || err_set(err, ERR_CORRUPT, "the key that signed it is revoked");
}

// ---- all of it ----

static void note_doubts(struct import *m, const struct form_about *about)
{
    struct import_facts *f = &m->facts;
    f->has_secrets = about->has_secrets;
    if (!f->is_signed)
        strv_push(&f->doubts, "unsigned");
    if (!f->is_pinned)
        strv_push(&f->doubts, "unpinned");
    if (!about->has_secrets)
        strv_push(&f->doubts, "no-secrets");
    if (about->is_bad)
        strv_push(&f->doubts, "judged-bad");
}

bool import_vouch(struct import *m, struct err *err)
{
    const struct import_file *sums = import_files_find(&m->files, FORM_SUMS);
    const struct import_file *sig = import_files_find(&m->files, FORM_SIGNED);
    const struct import_file *about = import_files_find(&m->files, FORM_ABOUT);
    const struct import_file *entry = import_files_find(&m->files, FORM_ENTRY);
    uint8_t public[KEY_BYTES];
    struct form_about a;
    if (!about || !entry)
        return err_set(err, ERR_INVALID,
                       "it was made by a version that did not put into it what import needs; its "
                       "restore.sh brings it back");
    const struct sha256 hash = sha256_of(entry->kept.p ? entry->kept.p : "", entry->kept.len);
    m->facts.sums = sums->hash;
    if (!read_trust(m, err))
        return false;
    if (sig && !check_signature(m, sig, &hash, public, err))
        return err_wrap(err, FORM_SIGNED);
    if (!read_entry(m, &entry->kept, err))
        return err_wrap(err, FORM_ENTRY);
    if (sig && !check_role(m, public, err))
        return err_wrap(err, FORM_SIGNED);
    if (!form_about_parse(about->kept.p ? about->kept.p : "", about->kept.len, &a, err))
        return err_wrap(err, FORM_ABOUT);
    note_doubts(m, &a);
    m->facts.entry = &m->entry;
    return true;
}
