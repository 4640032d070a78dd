// SPDX-License-Identifier: Apache-2.0
//
// Another way to open a repository, or another key that signs in it.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/pass.h"
#include "cli/snapshot_keys.h"

static const struct {
    const char *word;
    enum credential_kind kind;
    enum role role;
} roles[] = {
    {"writer", CREDENTIAL_JOB, ROLE_WRITE},
    {"pruner", CREDENTIAL_PRUNER, ROLE_PRUNE},
    {"judge", CREDENTIAL_JUDGE, ROLE_JUDGE},
    {"admin", CREDENTIAL_ADMIN, ROLE_WRITE}, // an admin has no role
};

// A new key on its way from the command line into file and trust.
struct adding {
    struct cli *c;
    struct snap s;
    const struct snapshot_options *o;
    size_t role;
    struct credential new;
    struct key_id id;
    bool made, to_stdout;
    struct ways seal_to;
};

static void adding_clear(struct adding *a)
{
    snap_close(&a->s);
    credential_clear(&a->new);
    ways_clear(&a->seal_to);
}

static size_t role_index(const char *word)
{
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(roles) && strcmp(roles[i].word, word) != 0)
        i++;
    return i;
}

// ---- slots ----

static bool new_passphrase(const struct snapshot_options *o, struct ways *w, struct err *err)
{
    struct pass_source from = {.file = o->new_passphrase_file,
                               .env = "REGROW_NEW_PASSPHRASE",
                               .ask = "new passphrase",
                               .is_new = true};
    bool found = false;
    if (!pass_get(&from, &w->passphrase, &found, err))
        return false;
    if (!found) {
        err_set(err, ERR_USAGE, "nothing is given that shall open the repository, or sign in it");
        return err_hint(err, "Give --recipient age1…, --new-passphrase-file FILE or "
                             "REGROW_NEW_PASSPHRASE; for a key that signs --role.");
    }
    ways_passphrase(w, o->label);
    return true;
}

static bool add_slots(struct cli *c, struct snap *s, struct ways *w, size_t *added, struct err *err)
{
    struct snap_want want = {.read = READ_MUST, .key = true, .kind = CREDENTIAL_ADMIN};
    if (!ways_recipients(w, &c->o.snap, err) || !snap_open(c, &c->o.snap, &want, s, err) ||
        (!w->n && !new_passphrase(&c->o.snap, w, err)))
        return false;
    if (w->n > 1 && !str_is_empty(c->o.snap.propose))
        return err_set(err, ERR_USAGE, "--propose: one slot at a time");
    for (size_t i = 0; i < w->n; i++) {
        size_t n = 0;
        if (!admin_add_slot(&s->repo, &s->key, &s->unlocked, &w->v[i], &n, err))
            return key_change_failed(err);
        *added += n;
    }
    return true;
}

static int add_slot(struct cli *c, struct err *err)
{
    struct ways w CLEANUP(ways_clear) = {0};
    struct snap s CLEANUP(snap_close) = {0};
    size_t added = 0;
    if (!add_slots(c, &s, &w, &added, err))
        return 0;
    if (key_is_proposed(&s)) {
        key_tell_proposed(&s, err);
        return 0;
    }
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-add", &s);
        json_object_set_new(doc, "made", json_boolean(added > 0));
        json_object_set_new(doc, "slots", json_integer((json_int_t)added));
        print_doc(c, doc);
        return 0;
    }
    printf(added ? "%s %zu slot%s added; it was opened before it was stored\n"
                 : "%s that opens it already (%zu slot%s added)\n",
           state_symbol(c, NODE_READY), added, added == 1 ? "" : "s");
    return 0;
}

// ---- keys that sign ----

static bool check_options(struct adding *a, struct err *err)
{
    bool is_job = roles[a->role].kind == CREDENTIAL_JOB;
    if (a->o->public && is_job)
        return err_set(err, ERR_USAGE,
                       "a writer's credential is made here, not from a public key: what it writes "
                       "with comes from the repository's own key");
    if (!a->o->public && str_is_empty(a->o->out)) {
        err_set(err, ERR_USAGE, "--out is missing: a file for the new key");
        return err_hint(err, "--out - prints it; --public takes what key init printed.");
    }
    if (is_job && str_is_empty(a->o->chain)) {
        err_set(err, ERR_USAGE, "--chain is missing: whose snapshots the writer writes");
        return err_hint(err, "Any name of a-z, 0-9, dots and dashes; normally the cluster's.");
    }
    a->to_stdout = !a->o->public && !strcmp(a->o->out, "-");
    return ways_recipients(&a->seal_to, a->o, err);
}

static bool make_credential(struct adding *a, struct err *err)
{
    a->new.kind = roles[a->role].kind;
    a->new.pin = a->s.repo.trust.pin;
    memcpy(a->new.repo, trust_now(&a->s.repo.trust)->repo, sizeof(a->new.repo));
    signer_new(&a->new.signer);
    a->id = key_id_of(a->new.signer.public);
    return a->new.kind != CREDENTIAL_JOB ||
           admin_issue_job(&a->s.repo, &a->s.unlocked, a->s.chain, &a->new, err);
}

static bool credential_bytes(struct adding *a, struct buf *out, struct err *err)
{
    struct buf text CLEANUP(buf_wipe) = {0};
    if (!a->seal_to.n) {
        credential_write(&a->new, out);
        return true;
    }
    credential_write(&a->new, &text);
    return age_seal((const uint8_t(*)[KEY_BYTES])a->seal_to.recipients, a->seal_to.n, text.p,
                    text.len, out, NULL, err);
}

// What trust says of the key in the role that was asked for; NULL: it has not that role.
static const struct trust_signer *listed_signer(const struct adding *a)
{
    const struct trust *t = trust_now(&a->s.repo.trust);
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        if (s->role == roles[a->role].role && !strcmp(key_id_of(s->public).hex, a->id.hex))
            return s;
    }
    return NULL;
}

static bool is_listed_admin(const struct adding *a)
{
    const struct trust *t = trust_now(&a->s.repo.trust);
    for (size_t i = 0; i < t->admins.len; i++)
        if (!strcmp(key_id_of(t->admins.v[i].public).hex, a->id.hex))
            return true;
    return false;
}

// "pruner of all, judge of prod": all that the key may sign; owned.
static char *real_roles(const struct adding *a)
{
    const struct trust *t = trust_now(&a->s.repo.trust);
    struct buf b = {0};
    if (is_listed_admin(a))
        buf_str(&b, "admin");
    for (size_t i = 0; i < t->signers.len; i++) {
        const struct trust_signer *s = &t->signers.v[i];
        CLEANUP(str_freep) char *chains = key_chains_text(s);
        if (!strcmp(key_id_of(s->public).hex, a->id.hex))
            buf_printf(&b, "%s%s of %s%s", b.len ? ", " : "", key_role_word(s->role), chains,
                       s->until ? " (revoked)" : "");
    }
    return buf_take(&b);
}

// A key that is there already is not made another by asking for it.
static bool is_what_was_asked(const struct adding *a, struct err *err)
{
    const struct trust_signer *s = listed_signer(a);
    bool is_admin = roles[a->role].kind == CREDENTIAL_ADMIN;
    bool chain_fits = s && (!s->chains.len || (a->o->chain && strv_has(&s->chains, a->o->chain)));
    if (is_admin ? is_listed_admin(a) : s && !s->until && chain_fits)
        return true;
    CLEANUP(str_freep) char *real = real_roles(a);
    err_set(err, ERR_CONFLICT, "%s is there already, with a key that is %s", a->o->out, real);
    return err_hint(err, "Name another file for the new key.");
}

static bool list_key(struct adding *a, const uint8_t public[KEY_BYTES], struct err *err)
{
    bool is_admin = roles[a->role].kind == CREDENTIAL_ADMIN;
    struct signer_new_row row = {.is_admin = is_admin,
                                 .role = roles[a->role].role,
                                 .chain = is_admin ? NULL : a->o->chain,
                                 .label = a->o->label ? a->o->label : roles[a->role].word};
    memcpy(row.public, public, KEY_BYTES);
    a->id = key_id_of(public);
    return admin_add_signer(&a->s.repo, &a->s.key, &row, &a->made, err) || key_change_failed(err);
}

static bool add_given(struct adding *a, struct err *err)
{
    struct buf key CLEANUP(buf_clear) = {0};
    const char *text = a->o->public;
    if (!base64_decode(text, strlen(text), &key) || key.len != KEY_BYTES)
        return err_set(err, ERR_USAGE, "--public \"%.60s\": no key as key init prints it", text);
    return list_key(a, (const uint8_t *)key.p, err);
}

// Before it is trusted: a private half that did not arrive would be lost.
static bool print_credential(const struct buf *bytes, struct err *err)
{
    if (file_write_fd(STDOUT_FILENO, "standard output", bytes->p, bytes->len, err))
        return true;
    return err_hint(err,
                    "The repository is as it was. Send the key elsewhere, and run this again.");
}

// File, trust, name: in this order, so that whoever is killed runs it again.
static bool add_made(struct adding *a, struct err *err)
{
    struct buf bytes CLEANUP(buf_wipe) = {0};
    int lock CLEANUP(fd_closep) = -1;
    bool done = false;
    if (!a->to_stdout &&
        (!key_folder_lock(a->o->out, &lock, err) ||
         !keyfile_begin(a->o->out, trust_now(&a->s.repo.trust), &done, &a->id, err)))
        return false;
    if (done)
        return is_what_was_asked(a, err);
    return make_credential(a, err) && credential_bytes(a, &bytes, err) &&
           (a->to_stdout ? print_credential(&bytes, err)
                         : keyfile_write(a->o->out, &a->id, &bytes, err)) &&
           list_key(a, a->new.signer.public, err) &&
           (a->to_stdout || keyfile_end(a->o->out, &a->id, err));
}

static void print_next(const struct adding *a, const char *out)
{
    struct buf b CLEANUP(buf_clear) = {0};
    buf_str(&b, "regrow snapshot create");
    shell_option(&b, "--repo", a->o->repo);
    shell_option(&b, "--key", out);
    printf("  next: %s   in the job\n", b.p);
}

static void print_added(const struct adding *a)
{
    const struct cli *c = a->c;
    const char *out = a->o->public ? NULL : a->o->out;
    if (a->to_stdout)
        return;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-add", &a->s);
        json_object_set_new(doc, "made", json_boolean(a->made));
        json_object_set_new(doc, "key",
                            json_pack("{s:s, s:s, s:s*}", "id", a->id.hex, "role",
                                      roles[a->role].word, "file", out));
        print_doc(c, doc);
        return;
    }
    CLEANUP(str_freep) char *real = real_roles(a);
    printf("%s key %s %s: %s\n", state_symbol(c, NODE_READY), a->id.hex,
           a->made ? "is trusted" : "was trusted already", real);
    if (out)
        printf("  its credential is in %s%s\n", out,
               a->seal_to.n ? ", sealed" : "; whoever has it can sign: keep it 0600");
    if (roles[a->role].kind == CREDENTIAL_JOB)
        print_next(a, out);
}

static bool add_key(struct adding *a, struct err *err)
{
    bool is_job = roles[a->role].kind == CREDENTIAL_JOB;
    struct snap_want want = {.read = is_job ? READ_MUST : READ_NOTHING,
                             .key = true,
                             .kind = CREDENTIAL_ADMIN,
                             .new_chain = true};
    return check_options(a, err) && snap_open(a->c, a->o, &want, &a->s, err) &&
           (a->o->public ? add_given(a, err) : add_made(a, err));
}

int cmd_snapshot_key_add(struct cli *c, struct err *err)
{
    struct adding a CLEANUP(adding_clear) = {.c = c, .o = &c->o.snap};
    if (!a.o->role)
        return add_slot(c, err);
    a.role = role_index(a.o->role);
    if (!add_key(&a, err))
        return 0;
    if (key_is_proposed(&a.s))
        key_tell_proposed(&a.s, err);
    else
        print_added(&a);
    return 0;
}

// ---- init: who shall have it makes it ----

// The same command again shows the public half once more.
static bool is_key_of_role(struct adding *a, struct err *err)
{
    if (!credential_load(a->o->out, &a->new, err)) {
        err->kind = ERR_CONFLICT; // whatever is wrong with it as a key
        err_wrap(err, "%s is there already", a->o->out);
        return err_hint(err, "Name another file for the new key.");
    }
    return a->new.kind == roles[a->role].kind ||
           err_set(err, ERR_CONFLICT, "%s is there already, and is the key of a %s", a->o->out,
                   credential_kind_name(a->new.kind));
}

static bool init_key(struct adding *a, struct err *err)
{
    struct buf bytes CLEANUP(buf_wipe) = {0};
    struct snap_want want = {.read = READ_NOTHING};
    if (!a->o->role || str_is_empty(a->o->out))
        return err_set(err, ERR_USAGE, "--role and --out are wanted");
    if (!strcmp(a->o->out, "-")) {
        err_set(err, ERR_USAGE, "--out -: the key wants a file of its own");
        return err_hint(err, "What is printed is the public half, for an admin.");
    }
    a->role = role_index(a->o->role);
    if (roles[a->role].kind == CREDENTIAL_JOB) {
        err_set(err, ERR_USAGE, "a writer's credential is issued by an admin");
        return err_hint(err, "regrow snapshot key add --role writer --chain NAME --out FILE");
    }
    if (!ways_recipients(&a->seal_to, a->o, err) || !snap_open(a->c, a->o, &want, &a->s, err))
        return false;
    if (file_exists(a->o->out))
        return is_key_of_role(a, err);
    return make_credential(a, err) && credential_bytes(a, &bytes, err) &&
           file_replace(a->o->out, bytes.p, bytes.len, 0600, err);
}

int cmd_snapshot_key_init(struct cli *c, struct err *err)
{
    struct adding a CLEANUP(adding_clear) = {.c = c, .o = &c->o.snap};
    struct buf public CLEANUP(buf_clear) = {0};
    if (!init_key(&a, err))
        return 0;
    buf_base64(&public, a.new.signer.public, KEY_BYTES);
    struct key_id id = key_id_of(a.new.signer.public);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = snap_doc("snapshot-key-init", &a.s);
        json_object_set_new(doc, "key",
                            json_pack("{s:s, s:s, s:s, s:s}", "id", id.hex, "role",
                                      roles[a.role].word, "file", a.o->out, "public", public.p));
        print_doc(c, doc);
        return 0;
    }
    printf("%s key %s made, in %s\n  next: an admin makes it trusted:\n"
           "        regrow snapshot key add --role %s --public %s\n",
           state_symbol(c, NODE_READY), id.hex, a.o->out, roles[a.role].word, public.p);
    return 0;
}
