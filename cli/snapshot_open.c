// SPDX-License-Identifier: Apache-2.0
#include "cli/snapshot_open.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/pass.h"

#define MAX_PIN_FILE 4096
#define TIMES_APART_S (15 * 60)

// ---- options ----

struct store_opts snap_store_opts(struct cli *c, const struct snapshot_options *o)
{
    return (struct store_opts){.url = o->repo,
                               .loop = c->loop,
                               .events = &c->events,
                               .ca_file = c->o.ca_file,
                               .s3_endpoint = o->s3_endpoint,
                               .s3_region = o->s3_region,
                               .s3_path_style = o->s3_path_style,
                               .s3_retain_ms = o->retain_ms,
                               .credentials_file = o->store_credentials};
}

bool snap_repo_given(const struct snapshot_options *o, struct err *err)
{
    if (!str_is_empty(o->repo))
        return true;
    err_set(err, ERR_USAGE, "which repository? --repo is missing");
    return err_hint(err, "A folder, s3://BUCKET[/PREFIX] or oci://HOST/NAME; REGROW_REPO and the "
                         "configuration file do as well.");
}

bool snap_parse_last(const char *text, struct seq_hash *out, struct err *err)
{
    size_t n = strcspn(text, ":");
    CLEANUP(str_freep) char *number = str_ndup(text, n);
    long long seq = 0;
    if (text[n] && str_to_int(number, 1, ENTRY_MAX_SEQ, &seq) &&
        strlen(text + n + 1) == SHA256_HEX && hex_decode(text + n + 1, out->hash.b, 32)) {
        out->seq = (uint64_t)seq;
        return true;
    }
    return err_set(err, ERR_USAGE, "--expect-last \"%.90s\": SEQ:HASH is wanted, as list prints it",
                   text);
}

bool snap_parse_pin(const char *option, const char *text, struct sha256 *out, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const char *hex = text;
    if (*text == '@') {
        if (!file_read(text + 1, MAX_PIN_FILE, &b, err))
            return err_wrap(err, "%s", option);
        hex = b.p ? b.p : "";
    }
    size_t n = strcspn(hex, " \t\r\n");
    CLEANUP(str_freep) char *word = str_ndup(hex, n);
    return (n == SHA256_HEX && hex_decode(word, out->b, sizeof(out->b))) ||
           err_set(err, ERR_USAGE, "%s \"%.80s\": no pin, which has 64 hex digits", option, text);
}

// ---- what was given to open it ----

bool snap_need_identities(struct snap *s, struct err *err)
{
    return s->ids.v.len || identities_load(s->o, &s->ids, err);
}

// ask: what a person is asked for; NULL: only what was given.
static bool load_passphrase(struct snap *s, const char *ask, struct err *err)
{
    struct pass_source from = {
        .file = s->o->passphrase_file, .env = "REGROW_PASSPHRASE", .ask = ask};
    bool found = false;
    return s->passphrase.len || pass_get(&from, &s->passphrase, &found, err);
}

static struct age_keys keys_of(const struct snap *s)
{
    return (struct age_keys){.identities = s->ids.v.len ? &s->ids : NULL,
                             .passphrase = s->passphrase.len ? s->passphrase.p : NULL,
                             .max_log_n = (unsigned)s->o->max_work_factor};
}

static bool no_way_in(const char *what, struct err *err)
{
    err_set(err, ERR_DENIED, "nothing was given to open %s", what);
    return err_hint(err, "--identity FILE, --passphrase-file FILE or REGROW_PASSPHRASE.");
}

// ---- the credential ----

// A passphrase that is this key's own.
static bool open_with_own(const char *where, const struct buf *file, unsigned max_log_n,
                          struct buf *text, struct err *err)
{
    struct buf pass CLEANUP(buf_wipe) = {0};
    CLEANUP(str_freep) char *ask = str_printf("passphrase of %s", where);
    struct pass_source from = {.env = "", .ask = ask};
    struct err wrong = {0};
    bool found = false;
    err_move(&wrong, err);
    if (!pass_get(&from, &pass, &found, err)) {
        err_clear(&wrong);
        return false;
    }
    if (!found) {
        err_move(err, &wrong);
        return false;
    }
    err_clear(&wrong);
    struct age_keys keys = {.passphrase = pass.p, .max_log_n = max_log_n};
    return age_open(&keys, file->p, file->len, CREDENTIAL_MAX_BYTES, text, err);
}

// A sealed one (what init hands its admin) opens as the repository does. That of another admin may
// have a passphrase of its own.
static bool open_sealed_key(struct snap *s, const char *where, const struct buf *file,
                            struct credential *out, struct err *err)
{
    struct buf text CLEANUP(buf_wipe) = {0};
    bool by_pass = false;
    if (!age_is_passphrase(file->p, file->len, &by_pass, err) ||
        (by_pass ? !load_passphrase(s, "passphrase of the key", err)
                 : !snap_need_identities(s, err)))
        return false;
    struct age_keys keys = keys_of(s);
    if (by_pass ? !keys.passphrase : !keys.identities)
        return no_way_in("it", err);
    bool ok = age_open(&keys, file->p, file->len, CREDENTIAL_MAX_BYTES, &text, err);
    if (!ok && err->kind == ERR_DENIED && by_pass && out != &s->key)
        ok = open_with_own(where, file, keys.max_log_n, &text, err);
    return ok && credential_parse(text.p, text.len, out, err);
}

static bool is_sealed(const char *where, struct buf *file)
{
    struct err ignored = {0};
    bool ok = !str_starts(where, "env:") && file_read(where, CREDENTIAL_MAX_BYTES, file, &ignored);
    err_clear(&ignored); // credential_load says what is wrong with it
    return ok && age_is_file(file->p, file->len);
}

static const char *one_of_kind(enum credential_kind k)
{
    return k == CREDENTIAL_ADMIN    ? "an admin"
           : k == CREDENTIAL_JOB    ? "a job"
           : k == CREDENTIAL_PRUNER ? "a pruner"
                                    : "a judge";
}

static bool check_kind(const struct snap *s, const struct snap_want *want, struct err *err)
{
    if (!want->key || s->key.kind == want->kind)
        return true;
    return err_set(err, ERR_DENIED, "--key %s is the key of %s; it takes that of %s", s->o->key,
                   one_of_kind(s->key.kind), one_of_kind(want->kind));
}

static bool load_credential(struct snap *s, const char *where, struct credential *out,
                            struct err *err)
{
    struct buf file CLEANUP(buf_wipe) = {0};
    if (!is_sealed(where, &file)) {
        bool ok = credential_load(where, out, err);
        if (!ok && err->kind == ERR_DENIED && !err->errnum)
            err_hint(err, "chmod 600 %s", where); // it was opened: its mode is all that is refused
        return ok;
    }
    return open_sealed_key(s, where, &file, out, err) || err_wrap(err, "key %s", where);
}

static bool load_key(struct snap *s, const struct snap_want *want, struct err *err)
{
    if (str_is_empty(s->o->key)) {
        if (!want->key)
            return true;
        err_set(err, ERR_USAGE, "--key is missing: the credential of %s", one_of_kind(want->kind));
        return err_hint(err, "init makes that of the admin, regrow snapshot key add the others.");
    }
    s->has_key = load_credential(s, s->o->key, &s->key, err);
    return s->has_key && check_kind(s, want, err);
}

// A change that others have signed there by now would be lost.
static bool may_propose(const char *file, struct err *err)
{
    if (str_is_empty(file) || !file_exists(file))
        return true;
    err_set(err, ERR_CONFLICT, "--propose: %s is there already", file);
    return err_hint(err, "Another change may wait in it for signatures (regrow snapshot key sign "
                         "--show FILE shows it): name another file.");
}

// Other admins whose keys are here.
static bool load_others(struct snap *s, struct err *err)
{
    const struct strv *files = &s->o->also_keys;
    if (files->len >= MAX_SIGNATURES)
        return err_set(err, ERR_USAGE, "--also-key: at most %d", MAX_SIGNATURES - 1);
    if (!may_propose(s->o->propose, err))
        return false;
    s->cosigning.others = s->others;
    s->cosigning.proposal = str_is_empty(s->o->propose) ? NULL : &s->proposal;
    for (size_t i = 0; i < files->len; i++) {
        struct credential c CLEANUP(credential_clear) = {0};
        if (!load_credential(s, files->v[i], &c, err))
            return false;
        if (c.kind != CREDENTIAL_ADMIN)
            return err_set(err, ERR_DENIED, "--also-key %s is the key of a %s, not of an admin",
                           files->v[i], credential_kind_name(c.kind));
        if (s->has_key && !sha256_eq(&c.pin, &s->key.pin))
            return err_set(err, ERR_CORRUPT, "--also-key %s is of another repository", files->v[i]);
        s->others[s->cosigning.n++] = c.signer;
    }
    return true;
}

// ---- the pin, and opening ----

// As far as it can be told: where both say the same, either is right.
static const char *name_of_pin(const struct snap *s)
{
    return str_eq(getenv("REGROW_TRUST"), s->o->trust) ? "REGROW_TRUST" : "--trust";
}

static bool given_pin(struct snap *s, struct sha256 *pin, struct err *err)
{
    s->is_pinned = s->has_key;
    if (s->has_key)
        *pin = s->key.pin;
    if (str_is_empty(s->o->trust))
        return true;
    if (!snap_parse_pin(name_of_pin(s), s->o->trust, pin, err))
        return false;
    s->is_pinned = true;
    return !s->has_key || sha256_eq(pin, &s->key.pin) ||
           err_set(err, ERR_CORRUPT, "%s and the key in %s name different repositories",
                   name_of_pin(s), s->o->key);
}

static bool open_repo(struct snap *s, const struct sha256 *pin, struct err *err)
{
    struct store_opts so = snap_store_opts(s->c, s->o);
    if (repo_open(&so, s->is_pinned ? pin : NULL, &s->repo, err)) {
        s->repo.index_cache = s->index_cache;
        s->repo.cosigning = &s->cosigning;
        return true;
    }
    if (err->kind == ERR_NOT_FOUND)
        err_wrap(err, "%s", s->o->repo);
    if (err->kind == ERR_NOT_FOUND)
        err_hint(err, "Check --repo. regrow snapshot init makes a repository.");
    else if (err->kind == ERR_CORRUPT && !err->hint)
        err_hint(err, "This is not the repository that the pin, or the key, was made for, or "
                      "somebody changed it. Trust nothing in it before you know which.");
    return false;
}

static bool not_pinned(const struct snap *s, struct err *err)
{
    CLEANUP(str_freep) char *pin = snap_pin_text(&s->repo.trust.pin);
    err_set(err, ERR_CORRUPT, "nothing says that %s is the repository you mean: its pin is %s",
            s->repo.store->url, pin);
    return err_hint(err, "Compare it with what init printed. If it is the same: --trust %s", pin);
}

static bool hint_ways(const struct age_keys *keys, struct err *err)
{
    return err_hint(err, "regrow snapshot key list shows who can open it; %s",
                    keys->identities ? "without -i a passphrase is asked for."
                                     : "-i FILE opens it with an identity.");
}

// Opens slots. Without a pin, only a passphrase proves that the repository is its owner's.
static bool unlock(struct snap *s, const struct snap_want *want, struct err *err)
{
    bool must = want->read == READ_MUST;
    bool ask = must && !s->o->identities.len;
    if (want->read == READ_NOTHING && (s->is_pinned || want->unpinned))
        return true;
    if (s->is_pinned && !snap_need_identities(s, err))
        return false;
    if (!load_passphrase(s, ask ? "passphrase of the repository" : NULL, err))
        return false;
    struct age_keys keys = keys_of(s);
    if (!s->is_pinned)
        keys.identities = NULL;
    if (!keys.identities && !keys.passphrase)
        return !must || !s->is_pinned || no_way_in("the repository", err);
    if (!repo_unlock(s->repo.store, &s->repo.trust, &keys, &s->unlocked, err))
        return (err->kind == ERR_DENIED || err->kind == ERR_CORRUPT) && hint_ways(&keys, err);
    s->is_pinned |= s->unlocked.by_passphrase;
    return true;
}

static bool choose_chain(struct snap *s, const struct snap_want *want, struct err *err)
{
    struct strv all = {0};
    const char *given = s->o->chain ? s->o->chain : s->has_key ? s->key.chain : NULL;
    if (given && !chain_name_is_valid(given))
        return err_set(err, ERR_USAGE, "--chain \"%.80s\": a-z, 0-9, dots and dashes are wanted",
                       given);
    if (given && s->has_key && s->key.chain && !str_eq(given, s->key.chain))
        return err_set(err, ERR_DENIED, "the key in %s is for the chain %s", s->o->key,
                       s->key.chain);
    // A job that has not written yet is no mistake; a name that somebody typed may be.
    if (given && (want->new_chain || (!want->chain && !s->o->chain))) {
        s->chain = str_dup(given);
        return true;
    }
    if (!want->chain && !given)
        return true;
    if (!repo_chains(&s->repo, &all, err))
        return false;
    bool ok = given ? strv_has(&all, given) : all.len == 1;
    if (ok)
        s->chain = str_dup(given ? given : all.v[0]);
    else if (given || !all.len)
        err_set(err, ERR_NOT_FOUND, "%s has no snapshots%s%s", s->repo.store->url,
                given ? " of the chain " : "", given ? given : "");
    else
        err_set(err, ERR_USAGE, "%s has %zu chains, such as %s: --chain says which is meant",
                s->repo.store->url, all.len, all.v[0]);
    strv_clear(&all);
    return ok;
}

bool snap_open(struct cli *c, const struct snapshot_options *o, const struct snap_want *want,
               struct snap *out, struct err *err)
{
    struct sha256 pin = {0};
    *out = (struct snap){.c = c, .o = o};
    CLEANUP(str_freep) char *cache = cli_cache_dir(c);
    out->index_cache = path_join(cache, "snapshot-index");
    if (o->max_work_factor > AGE_MAX_LOG_N)
        return err_set(err, ERR_USAGE, "--max-work-factor is at most %d", AGE_MAX_LOG_N);
    if (!snap_repo_given(o, err) || !load_key(out, want, err) || !load_others(out, err) ||
        !given_pin(out, &pin, err) || !open_repo(out, &pin, err) || !unlock(out, want, err))
        return false;
    if (!out->is_pinned && !want->unpinned)
        return not_pinned(out, err);
    return choose_chain(out, want, err);
}

void snap_close(struct snap *s)
{
    if (s->has_log)
        log_clear(&s->log);
    unlocked_clear(&s->unlocked);
    age_identities_clear(&s->ids);
    buf_wipe(&s->passphrase);
    crypto_wipe(s->others, sizeof(s->others));
    buf_clear(&s->proposal);
    if (s->has_key)
        credential_clear(&s->key);
    if (s->repo.store)
        repo_close(&s->repo);
    free(s->chain);
    free(s->index_cache);
    *s = (struct snap){0};
}

// ---- the log ----

char *snap_fault_text(const struct log_fault *f)
{
    unsigned long long n = f->seq;
    if (!n)
        return NULL;
    if (f->lost_trust)
        return str_printf("Put trust/%04u back from another copy of the repository: entry %llu is "
                          "signed, and names it.",
                          f->lost_trust, n);
    if (!f->is_there)
        return str_printf("Put entry %llu back from another copy of the repository. If it is lost "
                          "for good: regrow snapshot forget --write-off %llu.",
                          n, n);
    if (f->is_last)
        return str_printf("Nobody signed entry %llu as it is there now. Put it back from another "
                          "copy of the repository, or give it up: regrow snapshot prune "
                          "--remove-untrusted %llu.",
                          n, n);
    return str_printf("Nobody signed entry %llu as it is there now. Put it back from another copy "
                      "of the repository, or give it up in two steps: regrow snapshot prune "
                      "--remove-untrusted %llu, then regrow snapshot forget --write-off %llu.",
                      n, n, n);
}

void snap_explain_fault(const struct snap *s, struct err *err)
{
    CLEANUP(str_freep) char *text = snap_fault_text(&s->repo.fault);
    if (err->kind == ERR_CORRUPT && text)
        err_hint(err, "%s", text);
}

bool snap_log(struct snap *s, struct err *err)
{
    struct log_opts o = {0};
    if (s->o->expect_last && !snap_parse_last(s->o->expect_last, &o.expect_last, err))
        return false;
    // Of two memories the later one holds the other.
    if (s->has_key && s->key.head_seq > o.expect_last.seq && str_eq(s->key.chain, s->chain))
        o.expect_last = (struct seq_hash){.seq = s->key.head_seq, .hash = s->key.head};
    s->has_log = log_read(&s->repo, s->chain, &o, &s->log, err);
    if (!s->has_log && err->kind == ERR_CORRUPT)
        err_hint(err,
                 "The repository shows less than before, or something foreign. regrow snapshot "
                 "verify says more; another copy may be whole.");
    if (!s->has_log)
        snap_explain_fault(s, err);
    return s->has_log;
}

// Signed by a key that is not believed any more: of them all, or of that number.
static const struct entry *find_void(const struct log *l, uint64_t seq)
{
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind == ENTRY_SNAPSHOT && e->is_void && (!seq || e->seq == seq))
            return e;
    }
    return NULL;
}

static bool refuse_void(const struct snap *s, const struct entry *e, struct err *err)
{
    err_set(err, ERR_DENIED,
            "snapshot %llu of %s is not believed: the key that signed it, %s, was revoked",
            (unsigned long long)e->seq, s->chain, e->signer.hex);
    return err_hint(err, "regrow snapshot key list shows who may sign, and since when a key is "
                         "revoked.");
}

bool snap_find(struct snap *s, const char *ref, const struct entry **out, struct err *err)
{
    long long seq = 0;
    if (!strcmp(ref, "latest")) {
        *out = log_latest_good(&s->log);
        if (*out)
            return true;
        const struct entry *e = find_void(&s->log, 0);
        if (e && !log_newest_snapshot(&s->log))
            return refuse_void(s, e, err);
        err_set(err, ERR_NOT_FOUND, "there is no good snapshot of %s yet", s->chain);
        return err_hint(err, "regrow snapshot list shows those there are; each can be named by its "
                             "number.");
    }
    if (!str_to_int(ref, 1, ENTRY_MAX_SEQ, &seq))
        return err_set(err, ERR_USAGE, "\"%.80s\": a snapshot's number, or latest, is wanted", ref);
    *out = log_find(&s->log, (uint64_t)seq);
    if (*out && (*out)->kind == ENTRY_SNAPSHOT && log_standing(&s->log, *out) != STANDING_DEAD)
        return true;
    if (*out && (*out)->is_void)
        return refuse_void(s, *out, err);
    err_set(err, ERR_NOT_FOUND, "there is no snapshot %lld of %s", seq, s->chain);
    return err_hint(err, "regrow snapshot list shows those there are.");
}

bool snap_identity(const struct snap *s, const struct entry *e, const struct age_identity **out,
                   struct err *err)
{
    const struct slot_content *c = unlocked_epoch(&s->unlocked, e->snapshot.epoch);
    *out = c ? &c->identity : NULL;
    return c || err_set(err, ERR_DENIED,
                        "snapshot %llu is of epoch %u, of which nothing given opens a slot",
                        (unsigned long long)e->seq, e->snapshot.epoch);
}

// ---- printing ----

char *snap_pin_text(const struct sha256 *pin)
{
    return hex_encode(pin->b, sizeof(pin->b));
}

unsigned long long snap_apps(const struct entry *e)
{
    return e->snapshot.counts.apps ? e->snapshot.counts.apps - 1 : 0;
}

char *snap_time_text(int64_t unix_ms)
{
    CLEANUP(str_freep) char *at = clock_rfc3339(unix_ms / 1000);
    return str_printf("%.10s %.5s UTC", at, at + 11);
}

char *snap_forgotten_text(const struct snap *s, const struct entry *e)
{
    int64_t since = prune_waits_since_ms(&s->log, e);
    if (log_standing(&s->log, e) != STANDING_WAITING)
        return NULL;
    CLEANUP(str_freep) char *until = snap_time_text(since + PRUNE_GRACE_MS);
    return str_printf("Forgotten: regrow snapshot forget --undo %llu brings it back%s%s%s.",
                      (unsigned long long)e->seq,
                      since ? " at least until " : " until regrow snapshot prune deletes it",
                      since ? until : "",
                      since ? " (72 h after, unless prune is given another --grace)" : "");
}

bool snap_times_differ(const struct entry *e)
{
    int64_t apart = e->stored_at_ms / 1000 - entry_taken_s(e);
    return e->stored_at_ms && (apart > TIMES_APART_S || apart < -TIMES_APART_S);
}

// An origin is "REPOSITORY CHAIN SEQ".
char *snap_origin_text(const struct entry *e)
{
    const char *how = e->snapshot.has_export ? "imported" : "copied";
    const char *o = e->snapshot.origin;
    const char *chain = o ? strchr(o, ' ') : NULL;
    const char *seq = chain ? strchr(chain + 1, ' ') : NULL;
    if (!o)
        return e->snapshot.has_export ? str_dup(how) : NULL;
    if (!seq)
        return str_printf("%s from %s", how, o);
    return str_printf("%s from %s of %.*s in %.*s", how, seq + 1, (int)(seq - chain - 1), chain + 1,
                      (int)(chain - o), o);
}

void snap_origin_doc(const struct entry *e, json_t *doc)
{
    CLEANUP(str_freep) char *hex = snap_pin_text(&e->snapshot.export);
    if (e->snapshot.origin)
        json_object_set_new(doc, "origin", json_string(e->snapshot.origin));
    if (e->snapshot.has_export)
        json_object_set_new(doc, "export", json_string(hex));
}

void snap_hint_lock(const struct snapshot_options *o, struct err *err)
{
    if (o->retain_ms && err->kind == ERR_INVALID && !err->hint && strstr(err->msg, "Lock"))
        err_hint(err, "--retain wants a bucket that was made with object lock.");
}

void snap_forgotten_doc(const struct snap *s, const struct entry *e, json_t *doc)
{
    int64_t since = prune_waits_since_ms(&s->log, e);
    if (log_standing(&s->log, e) != STANDING_WAITING)
        return;
    CLEANUP(str_freep) char *at = since ? clock_rfc3339(since / 1000) : NULL;
    CLEANUP(str_freep) char *until = since ? clock_rfc3339((since + PRUNE_GRACE_MS) / 1000) : NULL;
    json_object_set_new(doc, "forgotten", json_pack("{s:s*, s:s*}", "since", at, "until", until));
}

json_t *snap_doc(const char *kind, const struct snap *s)
{
    json_t *doc = doc_new(kind, NULL);
    CLEANUP(str_freep) char *pin = snap_pin_text(&s->repo.trust.pin);
    json_object_set_new(doc, "repository", json_string(s->repo.store->url));
    json_object_set_new(doc, "pin", json_string(pin));
    if (s->chain)
        json_object_set_new(doc, "chain", json_string(s->chain));
    return doc;
}
