// SPDX-License-Identifier: Apache-2.0
//
// Reading a log (docs/repository-format.md section 11), and appending to it. It is read from the
// head down to the newest checkpoint, then what that one keeps; everything else is ignored. A
// pruner may be at work meanwhile: what went away because of a newer checkpoint is no hole, so a
// reading that fails is repeated when the head has moved.
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "snapshot/log_int.h"
#include "snapshot/members.h"

#define MAX_READINGS 12      // lists of a registry others write to are caught half way
#define READING_PAUSE_MS 10  // times the number of the reading
#define EXPECT_NAME_CHARS 12 // of a hash, in messages

struct log_file {
    uint64_t seq;
    const char *name; // borrowed from the list
    int64_t stored_at_ms;
};
struct reading {
    struct repo *r;
    const char *chain;
    const struct log_opts *o;
    struct log *l;
    struct store_items items;
    VEC(struct log_file) files; // ascending
    bool is_atomic;
    struct log_fault fault;
};

static void reading_clear(struct reading *rd)
{
    store_items_clear(&rd->items);
    vec_clear(&rd->files);
}

static unsigned long long ull(uint64_t n)
{
    return n;
}

void log_clear(struct log *l)
{
    for (size_t i = 0; i < l->v.len; i++)
        entry_clear(&l->v.v[i]);
    vec_clear(&l->v);
    vec_clear(&l->heads);
    vec_clear(&l->numbers);
    free(l->chain);
    *l = (struct log){.checkpoint = -1};
}

// ---- what is there ----

// "0000000042", where names are not unique "0000000042-0123456789abcdef". 0: not such a name, which
// is nobody's business.
static uint64_t number_of(const char *base, bool is_atomic)
{
    uint64_t seq = 0;
    for (int i = 0; i < LOG_DIGITS; i++) {
        if (base[i] < '0' || base[i] > '9')
            return 0;
        seq = seq * 10 + (uint64_t)(base[i] - '0');
    }
    const char *rest = base + LOG_DIGITS;
    bool fits = is_atomic ? *rest == '\0' : *rest == '-' && hex_is_lower(rest + 1, 8);
    return fits ? seq : 0;
}

static bool list_files(struct reading *rd, struct err *err)
{
    CLEANUP(str_freep) char *prefix = chain_file(rd->chain, "log", "");
    if (!store_list(rd->r->store, prefix, &rd->items, err))
        return false;
    for (size_t i = 0; i < rd->items.v.len; i++) {
        const struct store_item *it = &rd->items.v.v[i];
        uint64_t seq =
            str_starts(it->name, prefix) ? number_of(it->name + strlen(prefix), rd->is_atomic) : 0;
        if (!seq)
            continue;
        if (rd->files.len == LOG_MAX_FILES)
            return err_set(err, ERR_CORRUPT, "more than %d log entries", LOG_MAX_FILES);
        *vec_push(&rd->files) =
            (struct log_file){.seq = seq, .name = it->name, .stored_at_ms = it->stored_at_ms};
        *vec_push(&rd->l->numbers) =
            (struct log_number){.seq = seq, .stored_at_ms = it->stored_at_ms};
    }
    return true;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = ((const struct log_file *)b)->seq;
    return x < y ? -1 : x > y;
}

// The first listed file of a number; NULL: none.
static const struct log_file *find_file(const struct reading *rd, uint64_t seq)
{
    if (!rd->files.len)
        return NULL;
    const struct log_file *f =
        bsearch(&seq, rd->files.v, rd->files.len, sizeof(*rd->files.v), by_seq);
    while (f && f > rd->files.v && f[-1].seq == seq)
        f--;
    return f;
}

// ---- one number ----

// Which entry it is that ends the reading. Always false.
static bool fault_at(struct reading *rd, uint64_t seq, bool is_there)
{
    uint64_t head = rd->files.len ? rd->files.v[rd->files.len - 1].seq : 0;
    rd->fault = (struct log_fault){.seq = seq, .is_there = is_there, .is_last = seq >= head};
    return false;
}

static bool is_named_by(const char *name, const struct sha256 *hash)
{
    CLEANUP(str_freep) char *hex = hex_encode(hash->b, 8);
    return str_ends(name, hex);
}

static bool read_file(struct reading *rd, uint64_t seq, const char *name, int64_t stored_at_ms,
                      bool *found, struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    struct entry e = {0};
    if (!store_get(rd->r->store, name, ENTRY_MAX_BYTES, &bytes, found, err)) {
        if (err->kind == ERR_CORRUPT)
            fault_at(rd, seq, true);
        return err_wrap(err, "log entry %llu", ull(seq));
    }
    if (!*found)
        return true;
    if (rd->l->v.len >= LOG_MAX_FILES)
        return err_set(err, ERR_CORRUPT, "more than %d log entries", LOG_MAX_FILES);
    bool ok = log_entry_read(rd->r, rd->chain, seq, &bytes, &e, err);
    if (ok && !rd->is_atomic && !is_named_by(name, &e.hash))
        ok = err_set(err, ERR_CORRUPT, "its name is not that of its bytes");
    if (!ok) {
        bool names_lost = !e.is_void && e.trust > trust_now(&rd->r->trust)->n;
        fault_at(rd, seq, true);
        rd->fault.lost_trust = names_lost ? e.trust : 0;
        entry_clear(&e);
        return err_wrap(err, "log entry %llu", ull(seq));
    }
    e.stored_at_ms = stored_at_ms;
    *vec_push(&rd->l->v) = e;
    return true;
}

// Every file of a number. Where names are numbers, one that the list does not show is asked for:
// lists may be stale.
static bool read_number(struct reading *rd, uint64_t seq, bool *found, struct err *err)
{
    const struct log_file *f = find_file(rd, seq);
    *found = false;
    if (!f && rd->is_atomic) {
        CLEANUP(str_freep) char *name = log_name(rd->r, rd->chain, seq, NULL);
        return read_file(rd, seq, name, 0, found, err);
    }
    for (; f && f < rd->files.v + rd->files.len && f->seq == seq; f++) {
        bool is_there;
        if (!read_file(rd, seq, f->name, f->stored_at_ms, &is_there, err))
            return false;
        *found |= is_there;
    }
    return true;
}

// ---- all that counts ----

// The newest checkpoint that is not void, of what has been read.
static void find_checkpoint(struct log *l)
{
    l->checkpoint = -1;
    for (size_t i = 0; i < l->v.len; i++) {
        const struct entry *e = &l->v.v[i];
        if (e->kind == ENTRY_CHECKPOINT && !e->is_void &&
            (l->checkpoint < 0 || e->seq >= l->v.v[l->checkpoint].seq))
            l->checkpoint = (int)i;
    }
}

// The newest snapshot must remember what is below it: those of earlier versions do not.
static bool is_enough(const struct reading *rd)
{
    const struct entry *newest = rd->o->only_head ? log_newest_snapshot(rd->l) : NULL;
    return newest && newest->remembered.has_bad && log_newest_known(rd->l) &&
           log_latest_good(rd->l);
}

static bool is_given_up(const struct reading *rd, uint64_t seq)
{
    for (size_t i = 0; i < rd->o->n_lost; i++)
        if (rd->o->lost[i] == seq)
            return true;
    return false;
}

static bool read_up(struct reading *rd, uint64_t *head, struct err *err)
{
    *head = rd->files.len ? rd->files.v[rd->files.len - 1].seq : 0;
    rd->l->head = *head;
    for (bool found = rd->is_atomic; found && rd->l->head < ENTRY_MAX_SEQ;) {
        if (!read_number(rd, rd->l->head + 1, &found, err))
            return false;
        rd->l->head += found;
    }
    return true;
}

static bool read_down(struct reading *rd, uint64_t from, struct err *err)
{
    struct log *l = rd->l;
    find_checkpoint(l);
    for (uint64_t n = from; n >= 1; n--) {
        bool found;
        if (is_enough(rd) || (l->checkpoint >= 0 && n < l->v.v[l->checkpoint].seq))
            break;
        if (!read_number(rd, n, &found, err))
            return false;
        if (!found && !is_given_up(rd, n)) {
            err_set(err, ERR_CORRUPT, "log entry %llu is missing", ull(n));
            return fault_at(rd, n, false);
        }
        find_checkpoint(l);
    }
    return true;
}

static bool read_kept(struct reading *rd, const struct seq_hash *p, uint64_t checkpoint,
                      const char *what, struct err *err)
{
    CLEANUP(str_freep) char *name = log_name(rd->r, rd->chain, p->seq, &p->hash);
    const struct log_file *f = find_file(rd, p->seq);
    while (f && f < rd->files.v + rd->files.len && f->seq == p->seq && !str_eq(f->name, name))
        f++;
    bool is_listed = f && f < rd->files.v + rd->files.len && f->seq == p->seq;
    bool found;
    if (!read_file(rd, p->seq, name, is_listed ? f->stored_at_ms : 0, &found, err))
        return false;
    if (!found && is_given_up(rd, p->seq))
        return true;
    if (!found) {
        err_set(err, ERR_CORRUPT, "log entry %llu, which checkpoint %llu %s, is missing",
                ull(p->seq), ull(checkpoint), what);
        return fault_at(rd, p->seq, false);
    }
    if (!sha256_eq(&rd->l->v.v[rd->l->v.len - 1].hash, &p->hash))
        return err_set(err, ERR_CORRUPT, "log entry %llu is not the one that checkpoint %llu %s",
                       ull(p->seq), ull(checkpoint), what);
    return true;
}

// What the checkpoint keeps, newest first, and what waits.
static bool read_below(struct reading *rd, struct err *err)
{
    struct log *l = rd->l;
    if (l->checkpoint < 0)
        return true;
    // l->v may move; the lists of the checkpoint do not.
    const struct checkpoint_entry c = l->v.v[l->checkpoint].checkpoint;
    uint64_t seq = l->v.v[l->checkpoint].seq;
    for (size_t i = c.keep.len; i-- > 0 && !is_enough(rd);)
        if (!read_kept(rd, &c.keep.v[i], seq, "keeps", err))
            return false;
    for (size_t i = c.wait.len; i-- > 0 && !is_enough(rd);)
        if (!read_kept(rd, &c.wait.v[i], seq, "lets wait", err))
            return false;
    return true;
}

static int by_seq_and_hash(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return memcmp(x->hash.b, y->hash.b, sizeof(x->hash.b));
}

static bool read_once(struct reading *rd, struct err *err)
{
    struct log *l = rd->l;
    uint64_t listed;
    l->chain = str_dup(rd->chain);
    if (!list_files(rd, err) || !read_up(rd, &listed, err) || !read_down(rd, listed, err) ||
        !read_below(rd, err))
        return false;
    l->is_whole = !is_enough(rd);
    if (l->v.len)
        qsort(l->v.v, l->v.len, sizeof(*l->v.v), by_seq_and_hash);
    find_checkpoint(l);
    return log_check_links(rd->r, l, rd->o, err);
}

// ---- what someone remembers ----

static bool rolled_back(const struct log *l, const struct seq_hash *want, struct err *err)
{
    CLEANUP(str_freep) char *hex = hex_encode(want->hash.b, EXPECT_NAME_CHARS / 2);
    if (want->seq > l->head)
        return err_set(err, ERR_CORRUPT,
                       "rolled back: the log ends at %llu, entry %llu (%s) is remembered",
                       ull(l->head), ull(want->seq), hex);
    return err_set(err, ERR_CORRUPT,
                   "rolled back: log entry %llu is not the one that is remembered (%s)",
                   ull(want->seq), hex);
}

// *is_settled false: not enough of the log was read to know.
static bool check_expected(const struct reading *rd, bool *is_settled, struct err *err)
{
    const struct seq_hash *want = &rd->o->expect_last;
    const struct log *l = rd->l;
    *is_settled = true;
    if (want->seq == 0 || log_find_hash(l, want->seq, &want->hash))
        return true;
    uint64_t checkpoint = l->checkpoint < 0 ? 0 : l->v.v[l->checkpoint].seq;
    uint64_t lowest = l->v.len ? l->v.v[0].seq : 0;
    bool is_read = l->is_whole || want->seq >= (checkpoint ? checkpoint : lowest);
    if (want->seq > l->head || (is_read && want->seq >= checkpoint))
        return rolled_back(l, want, err);
    if (rd->is_atomic && log_find(l, want->seq))
        return rolled_back(l, want, err);
    if (want->seq < checkpoint)
        return true; // dropped since
    *is_settled = false;
    return true;
}

// A remembered entry below what was read: still there, or the whole log must tell.
static bool is_still_there(const struct reading *rd, bool *is_there, struct err *err)
{
    const struct seq_hash *want = &rd->o->expect_last;
    struct buf bytes CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *name = log_name(rd->r, rd->chain, want->seq, &want->hash);
    if (!store_get(rd->r->store, name, ENTRY_MAX_BYTES, &bytes, is_there, err))
        return false;
    struct sha256 hash = sha256_of(bytes.p, bytes.len);
    *is_there = *is_there && sha256_eq(&hash, &want->hash);
    return true;
}

// What cannot be told has not moved: then the first error is the one to tell.
static bool has_moved(const struct reading *rd)
{
    struct log fresh = {.checkpoint = -1};
    struct reading again = {
        .r = rd->r, .chain = rd->chain, .o = rd->o, .l = &fresh, .is_atomic = rd->is_atomic};
    struct err err = {0};
    uint64_t listed;
    bool moved = list_files(&again, &err) && read_up(&again, &listed, &err) &&
                 (fresh.head > rd->l->head || again.files.len != rd->files.len);
    err_clear(&err);
    reading_clear(&again);
    log_clear(&fresh);
    return moved;
}

static bool read_settled(struct repo *r, const char *chain, const struct log_opts *o,
                         struct log *out, bool *again, struct err *err)
{
    struct reading rd CLEANUP(reading_clear) = {
        .r = r, .chain = chain, .o = o, .l = out, .is_atomic = r->marker.atomic_create};
    bool is_settled = false;
    bool ok = read_once(&rd, err) && check_expected(&rd, &is_settled, err);
    if (ok && !is_settled)
        ok = is_still_there(&rd, &is_settled, err);
    *again = ok ? !is_settled : err->kind == ERR_CORRUPT && has_moved(&rd);
    r->fault = ok ? (struct log_fault){0} : rd.fault;
    return ok;
}

bool log_read(struct repo *r, const char *chain, const struct log_opts *o, struct log *out,
              struct err *err)
{
    struct log_opts opts = *o;
    *out = (struct log){.checkpoint = -1};
    if (!chain_name_is_valid(chain))
        return err_set(err, ERR_INVALID, "%s is not a chain's name", chain);
    for (int i = 1;; i++) {
        bool again = false;
        bool ok = read_settled(r, chain, &opts, out, &again, err);
        if (ok && !again)
            return true;
        log_clear(out);
        if (!ok && (!again || i == MAX_READINGS))
            return err_wrap(err, "chain %s", chain);
        assert(!ok || opts.only_head); // a whole log tells
        clock_pause_ms(READING_PAUSE_MS * (i - 1));
        if (ok)
            opts.only_head = false;
        err_clear(err);
    }
}

// ---- appending ----

enum whose { NOBODYS, OURS, ANOTHERS };

// Whose bytes are at the name?
static bool ask_whose(struct repo *r, const char *name, const struct buf *bytes, enum whose *whose,
                      struct err *err)
{
    struct buf there CLEANUP(buf_clear) = {0};
    bool found;
    if (!store_get(r->store, name, ENTRY_MAX_BYTES, &there, &found, err))
        return false;
    bool is_same = there.len == bytes->len && !memcmp(there.p, bytes->p, bytes->len);
    *whose = !found ? NOBODYS : is_same ? OURS : ANOTHERS;
    return true;
}

static bool create(struct repo *r, const char *name, const struct buf *bytes,
                   const struct strv *needs, bool *made, struct err *err)
{
    struct err later = {0};
    enum whose whose = NOBODYS;
    if (store_create(r->store, name, bytes->p, bytes->len, needs, made, err)) {
        if (!*made && !ask_whose(r, name, bytes, &whose, err))
            return false;
        *made |= whose == OURS;
        return true;
    }
    // It may have arrived although no answer came back.
    if (err->kind != ERR_UNAVAILABLE && err->kind != ERR_TIMEOUT)
        return false;
    bool is_known = ask_whose(r, name, bytes, &whose, &later);
    err_clear(&later);
    if (!is_known || whose == NOBODYS)
        return false;
    *made = whose == OURS;
    err_clear(err);
    return true;
}

static bool may_sign(const struct repo *r, const struct log *l, const struct entry *e,
                     const struct signer *s, struct err *err)
{
    struct key_id key = key_id_of(s->public);
    const struct trust_signer *row = log_signer(r, e->kind, &key, l->chain);
    if (!row)
        return err_set(err, ERR_DENIED, "key %s may not sign a %s in chain %s", key.hex,
                       entry_kind_name(e->kind), l->chain);
    if (trust_is_void(row, l->chain, l->head + 1))
        return err_set(err, ERR_DENIED, "key %s is revoked in chain %s", key.hex, l->chain);
    return true;
}

static void fill(const struct repo *r, const struct log *l, struct entry *e)
{
    const struct trust *now = trust_now(&r->trust);
    memcpy(e->repo, now->repo, sizeof(e->repo));
    str_set(&e->chain, l->chain);
    e->seq = l->head + 1;
    vec_clear(&e->prev);
    for (size_t i = 0; i < l->heads.len; i++)
        *vec_push(&e->prev) = l->heads.v[i];
    e->trust = now->n;
    vec_clear(&e->remembered.bad);
    e->remembered = (struct remembered){0};
    if (e->kind != ENTRY_CHECKPOINT)
        log_remember(l, &e->remembered);
    if (!e->time_unix_s)
        e->time_unix_s = clock_unix_ms() / 1000;
    if (!e->tool)
        e->tool = str_dup("regrow " REGROW_VERSION);
}

static void push(struct log *l, struct entry *e)
{
    *vec_push(&l->v) = *e;
    find_checkpoint(l);
    l->head = e->seq;
    l->head_hash = e->hash;
    l->heads.len = 0;
    *vec_push(&l->heads) = e->hash;
    *vec_push(&l->numbers) = (struct log_number){.seq = e->seq};
}

bool log_append(struct repo *r, struct log *l, struct entry *e, const struct signer *s,
                const struct strv *needs, bool *made, struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    struct entry copy = {0};
    *made = false;
    if (!may_sign(r, l, e, s, err))
        return false;
    fill(r, l, e);
    if (!entry_write(e, s, &bytes, &e->hash, err))
        return false;
    e->signer = key_id_of(s->public);
    CLEANUP(str_freep) char *name = log_name(r, l->chain, e->seq, &e->hash);
    if (!create(r, name, &bytes, needs, made, err))
        return err_wrap(err, "log entry %llu", ull(e->seq));
    if (!*made)
        return true;
    if (!log_entry_read(r, l->chain, e->seq, &bytes, &copy, err)) {
        entry_clear(&copy);
        return err_wrap(err, "log entry %llu", ull(e->seq));
    }
    push(l, &copy);
    return true;
}

bool log_confirm(struct repo *r, const struct entry *e, bool *counts, struct err *err)
{
    struct log l CLEANUP(log_clear) = {.checkpoint = -1};
    struct log_opts o = {.only_head = true};
    if (!log_read(r, e->chain, &o, &l, err))
        return false;
    *counts = log_find_hash(&l, e->seq, &e->hash);
    if (*counts || l.is_whole)
        return true;
    // Others have committed meanwhile: they stand on it, or they do not.
    log_clear(&l);
    o.only_head = false;
    if (!log_read(r, e->chain, &o, &l, err))
        return false;
    *counts = log_find_hash(&l, e->seq, &e->hash);
    return true;
}
