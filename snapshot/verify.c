// SPDX-License-Identifier: Apache-2.0
//
// Proving that snapshots are whole (docs/repository-format.md section 12). Every file is read once,
// whoever needs it; what is wrong is noted with the snapshots it harms, and the rest is looked at
// all the same.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "snapshot/reader.h"
#include "snapshot/verify_int.h"

void verify_result_clear(struct verify_result *v)
{
    strv_clear(&v->problems);
    vec_clear(&v->harmed);
    vec_clear(&v->unopened);
    *v = (struct verify_result){0};
}

bool verify_is_checked(const struct verifying *v, const struct entry *e)
{
    return e->kind == ENTRY_SNAPSHOT && log_standing(v->l, e) != STANDING_DEAD &&
           (!v->o->only_seq || e->seq == v->o->only_seq);
}

static void harm(struct verifying *v, uint64_t seq)
{
    for (size_t i = 0; i < v->out->harmed.len; i++)
        if (v->out->harmed.v[i] == seq)
            return;
    *vec_push(&v->out->harmed) = seq;
}

static char *problem_text(uint64_t seq, const char *text)
{
    CLEANUP(str_freep) char *front = str_printf("snapshot %llu: ", (unsigned long long)seq);
    return str_printf("%s%s", str_starts(text, front) ? "" : front, text);
}

void verify_problem(struct verifying *v, uint64_t seq, const char *text)
{
    strv_push_take(&v->out->problems, problem_text(seq, text));
    harm(v, seq);
}

// What ends the whole: the store does not answer, or refuses; that is no damage. Everything else is
// noted and err is empty again.
bool verify_goes_on(struct verifying *v, uint64_t seq, struct err *err)
{
    if (!err_is_set(err))
        return true;
    if (err->kind != ERR_CORRUPT && err->kind != ERR_NOT_FOUND && err->kind != ERR_INVALID)
        return false;
    // What an index file lacks is met by each stage.
    CLEANUP(str_freep) char *text = problem_text(seq, err->msg);
    if (!strv_has(&v->out->problems, text))
        verify_problem(v, seq, err->msg);
    err_clear(err);
    return true;
}

const struct age_identity *verify_identity(const struct verifying *v, const struct entry *e)
{
    const struct trust *t = trust_now(&v->r->trust);
    for (size_t i = 0; i < v->o->identities->v.len; i++) {
        const struct age_identity *id = &v->o->identities->v.v[i];
        for (size_t k = 0; k < t->epochs.len; k++)
            if (t->epochs.v[k].n == e->snapshot.epoch &&
                !memcmp(t->epochs.v[k].recipient, id->public, KEY_BYTES))
                return id;
    }
    return NULL;
}

// A verdict on it that was there, and is not any more.
static void check_judged(struct verifying *v, const struct entry *e)
{
    uint64_t at = log_left_out(v->l, e);
    if (!at)
        return;
    CLEANUP(str_freep)
    char *text = str_printf("log entry %llu called it bad, and a checkpoint leaves that out",
                            (unsigned long long)at);
    verify_problem(v, e->seq, text);
}

// ---- which files are needed, and by whom ----

static struct needed_file *add_file(struct verifying *v, const char *name)
{
    struct needed_file *f = vec_push(&v->files);
    f->name = str_dup(name);
    return f;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct needed_file *)a)->name, ((const struct needed_file *)b)->name);
}

// One row a file and snapshot; sorted, so that rows of one file stand together.
static bool collect(struct verifying *v, struct err *err)
{
    for (size_t i = 0; i < v->l->v.len; i++) {
        const struct entry *e = &v->l->v.v[i];
        struct strv needs = {0};
        if (!verify_is_checked(v, e))
            continue;
        v->out->snapshots++;
        check_judged(v, e);
        if (snapshot_needs(v->r, v->l, e, &needs, err))
            for (size_t k = 0; k < needs.len; k++)
                add_file(v, needs.v[k])->seq = e->seq;
        strv_clear(&needs);
        if (!verify_goes_on(v, e->seq, err))
            return false;
    }
    if (v->files.len)
        qsort(v->files.v, v->files.len, sizeof(*v->files.v), by_name);
    return true;
}

// ---- V0, V1: every file is there, and its bytes are what its name says ----

bool verify_is_listed(const struct verifying *v, const char *name, uint64_t *size)
{
    const struct store_items *items = &v->items;
    for (size_t lo = 0, hi = items->v.len; lo < hi;) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(items->v.v[mid].name, name);
        if (c == 0) {
            *size = items->v.v[mid].size;
            return true;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

// Wrong: all snapshots that need it are harmed, each told once.
static void file_problem(struct verifying *v, size_t first, const char *text)
{
    for (size_t i = first; i < v->files.len && !strcmp(v->files.v[i].name, v->files.v[first].name);
         i++)
        verify_problem(v, v->files.v[i].seq, text);
}

static bool check_bytes(struct verifying *v, size_t first, struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    if (repo_fetch(v->r, v->files.v[first].name, STORE_MAX_FILE_BYTES, &bytes, err)) {
        v->out->files++;
        v->out->stored_bytes += bytes.len;
        return true;
    }
    if (err->kind != ERR_CORRUPT)
        return false;
    file_problem(v, first, err->msg);
    err_clear(err);
    return true;
}

// Is this pack read when the content of a snapshot is?
static bool is_read_later(const struct verifying *v, size_t first)
{
    const char *name = v->files.v[first].name;
    if (!v->o->identities || !strstr(name, "/packs/"))
        return false;
    for (size_t i = first; i < v->files.len && !strcmp(v->files.v[i].name, name); i++) {
        const struct entry *e = log_find(v->l, v->files.v[i].seq);
        if (e && verify_identity(v, e))
            return true;
    }
    return false;
}

static bool check_listed(struct verifying *v, size_t first)
{
    uint64_t size = 0;
    if (verify_is_listed(v, v->files.v[first].name, &size)) {
        v->out->files++;
        v->out->stored_bytes += size;
    } else {
        CLEANUP(str_freep) char *text = str_printf("%s is missing", v->files.v[first].name);
        file_problem(v, first, text);
    }
    return true;
}

static bool check_files(struct verifying *v, struct err *err)
{
    CLEANUP(str_freep) char *prefix = str_printf("chains/%s/", v->l->chain);
    if (!store_list(v->r->store, prefix, &v->items, err))
        return false;
    for (size_t i = 0; i < v->files.len; i++) {
        bool is_same = i && !strcmp(v->files.v[i].name, v->files.v[i - 1].name);
        if (is_same)
            continue;
        if (!(v->o->quick || is_read_later(v, i) ? check_listed(v, i) : check_bytes(v, i, err)))
            return false;
        event_emit(v->r->events, "verify.file", "{s:s, s:I}", "file", v->files.v[i].name, "bytes",
                   (json_int_t)v->out->stored_bytes);
    }
    return true;
}

// Slots: their names are hashes too.
static bool check_slots(struct verifying *v, struct err *err)
{
    const struct trust *t = trust_now(&v->r->trust);
    const struct trust_epoch *open = trust_open_epoch(t);
    for (size_t i = 0; !v->o->is_restore && i < t->slots.len; i++) {
        struct buf bytes CLEANUP(buf_clear) = {0};
        CLEANUP(str_freep) char *name = str_printf("keys/%s", t->slots.v[i].file);
        bool is_open = open && t->slots.v[i].epoch == open->n;
        v->out->slots += is_open;
        if (repo_fetch(v->r, name, STORE_MAX_FILE_BYTES, &bytes, err)) {
            v->out->files++;
            continue;
        }
        if (err->kind != ERR_CORRUPT)
            return false;
        v->out->slots_lost += is_open;
        strv_push(&v->out->problems, err->msg);
        err_clear(err);
    }
    return true;
}

// ---- V2: the boxes open and agree ----

static bool check_boxes(struct verifying *v, struct err *err)
{
    for (size_t i = 0; i < v->l->v.len; i++) {
        const struct entry *e = &v->l->v.v[i];
        struct batches b = {0};
        if (!verify_is_checked(v, e))
            continue;
        bool ok = batches_read(v->r, v->l->chain, e, v->o->k, &b, err);
        batches_clear(&b);
        if (!ok && !verify_goes_on(v, e->seq, err))
            return false;
    }
    return true;
}

// ---- V3 ----

static bool check_content(struct verifying *v, struct err *err)
{
    for (size_t i = 0; i < v->l->v.len; i++) {
        const struct entry *e = &v->l->v.v[i];
        if (!verify_is_checked(v, e))
            continue;
        const struct age_identity *id = verify_identity(v, e);
        if (!id)
            *vec_push(&v->out->unopened) = e->seq;
        else if (!verify_content(v, e, id, err) && !verify_goes_on(v, e->seq, err))
            return false;
    }
    return true;
}

static void clear(struct verifying *v)
{
    for (size_t i = 0; i < v->files.len; i++)
        free(v->files.v[i].name);
    vec_clear(&v->files);
    store_items_clear(&v->items);
    verify_content_clear(v);
    index_memo_free(v->r->memo);
    v->r->memo = NULL;
}

bool repo_verify(struct repo *r, const struct log *l, const struct verify_opts *o,
                 struct verify_result *out, struct err *err)
{
    struct verifying v = {.r = r, .l = l, .o = o, .out = out};
    int64_t start = clock_mono_ms();
    r->memo = index_memo_new();
    bool ok = collect(&v, err) && check_slots(&v, err) && check_files(&v, err) &&
              (o->is_restore || verify_reports(&v, err));
    out->level = VERIFY_CHAIN;
    if (ok && o->k && !o->identities) {
        ok = check_boxes(&v, err);
        out->level = VERIFY_INDEX;
    }
    if (ok && o->identities && !o->quick) {
        ok = check_content(&v, err);
        bool any = out->unopened.len < out->snapshots || !out->snapshots;
        out->level = any ? VERIFY_CONTENT : VERIFY_CHAIN;
    }
    if (ok && o->only_seq && !out->snapshots)
        ok = err_set(err, ERR_NOT_FOUND, "snapshot %llu is not there",
                     (unsigned long long)o->only_seq);
    clear(&v);
    out->ms = clock_mono_ms() - start;
    return ok;
}
