// SPDX-License-Identifier: Apache-2.0
//
// A writer reads a log's head alone. An entry further down that is damaged would not be noticed
// until everything is to be restored, and everybody refuses the chain for it. So a run looks at
// some more: those behind the head, down to the newest checkpoint, and of what that one keeps a few
// in turn.
#include "snapshot/log_int.h"

#define LOOK 32 // entries a run: a file and a signature each

// Is it there, and could it be read? Nothing is said of links.
static bool is_fine(struct repo *r, const struct log *head, uint64_t seq, struct entry *e,
                    struct err *err)
{
    struct buf bytes CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *name = log_name(r, head->chain, seq, NULL);
    bool found;
    return store_get(r->store, name, ENTRY_MAX_BYTES, &bytes, &found, err) && found &&
           log_entry_read(r, head->chain, seq, &bytes, e, err);
}

static bool look_at(struct repo *r, const struct log *head, const struct seq_hash *p,
                    struct err *err)
{
    struct entry e = {0};
    bool ok = log_find_hash(head, p->seq, &p->hash) ||
              (is_fine(r, head, p->seq, &e, err) && sha256_eq(&e.hash, &p->hash));
    entry_clear(&e);
    return ok;
}

static bool look_at_kept(struct repo *r, const struct log *head, const struct checkpoint_entry *c,
                         struct err *err)
{
    size_t n = c->keep.len + c->wait.len;
    size_t from = n ? head->head * LOOK % n : 0;
    for (size_t i = 0; i < n && i < LOOK; i++) {
        size_t at = (from + i) % n;
        if (!look_at(r, head, at < c->keep.len ? &c->keep.v[at] : &c->wait.v[at - c->keep.len],
                     err))
            return false;
    }
    return true;
}

// From what was read last down to the newest checkpoint.
static bool look_down(struct repo *r, const struct log *head, struct err *err)
{
    uint64_t below = head->v.len ? head->v.v[0].seq : 0;
    for (unsigned i = 0; i < LOOK && below > 1; i++) {
        struct entry e = {0};
        bool ok = is_fine(r, head, --below, &e, err);
        bool is_checkpoint = ok && e.kind == ENTRY_CHECKPOINT && !e.is_void;
        if (is_checkpoint)
            ok = look_at_kept(r, head, &e.checkpoint, err);
        entry_clear(&e);
        if (!ok || is_checkpoint)
            return ok;
    }
    return true;
}

bool log_look(struct repo *r, const struct log *head, struct err *err)
{
    struct log_opts o = {0};
    struct log all = {.checkpoint = -1};
    // A registry compares what it gives with its name by itself.
    if (head->is_whole || !r->marker.atomic_create)
        return true;
    bool ok = head->checkpoint >= 0
                  ? look_at_kept(r, head, &head->v.v[head->checkpoint].checkpoint, err)
                  : look_down(r, head, err);
    if (ok)
        return true;
    // Something is odd. Whether it counts the whole log says.
    err_clear(err);
    ok = log_read(r, head->chain, &o, &all, err);
    log_clear(&all);
    return ok;
}
