// SPDX-License-Identifier: Apache-2.0
//
// The Git repositories of a snapshot back to a Git host: all refs, the same commits. Nothing that
// is there is overwritten: a branch may go forward, everything else must be new or the same.
//
// Life: gitback_open with what was asked for, gitback_look (before and after the cluster, as often
// as is wanted), gitback_push, gitback_clear. What is to be pushed is computed from what is there,
// so the same once more continues.
#ifndef RESTORE_GITBACK_H
#define RESTORE_GITBACK_H

#include "snapshot/snapshot.h"
#include "source/source.h"

// ---- where to (gitplace.c, pure) ----
// What --push-git says: "OLD=NEW", as a mirror: URLs that begin with OLD go to NEW instead, the
// longest OLD wins. "URL" alone: repositories whose URL begins with it go back to where they were;
// if there is none, the only repository of the snapshot goes there.
struct git_place {
    const struct history *h;
    char *to;          // NULL: nobody said where; it stays away
    char *from, *into; // the mirror that finds it there: FROM=INTO; NULL when it is where it was
};
struct git_places {
    VEC(struct git_place) v; // one for each history, in their order
};
// USAGE or NOT_FOUND with what there is.
MUST_CHECK bool git_places_find(const struct histories *all, const struct strv *given,
                                struct git_places *out, struct err *err);
void git_places_clear(struct git_places *p);

// ---- what is to be done there (gitplace.c, pure) ----
struct git_news {
    VEC(struct source_push_ref) v; // what is not there yet; lent from the lists. HEAD's is first
    size_t create, forward, same;
    size_t ahead;           // there at a commit that leads back to ours: all of it is there
    size_t besides;         // refs that the snapshot does not have: left alone
    struct strv in_the_way; // refs that are at something else: "refs/heads/main is at 0123456, …"
};
// leads(ctx, id, of): does the commit `of` lead back to `id`?
void git_news_find(const struct git_refs *wanted, const struct git_refs *there, const char *head,
                   bool (*leads)(void *ctx, const char *id, const char *of), void *ctx,
                   struct git_news *out);
void git_news_clear(struct git_news *n);

// ---- the doing (gitback.c) ----
enum gitback_state {
    GITBACK_AWAY,    // nobody said where
    GITBACK_NONE,    // the snapshot has nothing of it that could be pushed: see `problem`
    GITBACK_AWAITED, // it could not be asked: see `problem`
    GITBACK_PLANNED,
    GITBACK_SAME, // all of it is there
    GITBACK_PUSHED,
    GITBACK_FAILED, // see `problem`
};
struct gitback_repo {
    enum gitback_state state;
    struct source_push there; // as it was last seen
    struct git_news news;
    struct err problem;
    struct strv refused;     // neither branches nor tags, which the host does not take: "REF WHY"
    const char *head_wanted; // the host's default branch is another, or none; NULL: as it should be
    uint64_t objects, bytes;
    int64_t ms;
};
struct gitback {
    struct reader *rd; // lent
    struct histories all;
    struct git_places places;
    struct gitback_repo *repos; // one for each place
    struct git_proof *proof;    // of all packs, once it is needed
    char *dir;
    const struct loop *loop;
};
MUST_CHECK bool gitback_open(struct reader *rd, const struct strv *given, const struct loop *loop,
                             struct gitback *out, struct err *err);
void gitback_clear(struct gitback *b);
// Asks all hosts. What cannot be asked is AWAITED; CONFLICT when something is in the way.
MUST_CHECK bool gitback_look(struct gitback *b, struct source *s, struct err *err);
// The worst of what keeps a host from being asked: UNAVAILABLE and TIMEOUT may pass. False when
// there is such a thing.
bool gitback_is_reached(const struct gitback *b, struct err *err);
// After a look without fault; looks once more at the end, and what is there then counts. False:
// the first failure, of what is told in `repos`.
MUST_CHECK bool gitback_push(struct gitback *b, struct source *s, const struct event_sink *events,
                             struct err *err);
// "refs/heads/x" and "refs/tags/x" among refs, and the others.
void gitback_count(const struct git_refs *refs, size_t *branches, size_t *tags, size_t *others);
// The root as it is now, for a bootstrap, is found with these: "FROM=INTO", each once.
void gitback_mirrors(const struct gitback *b, struct strv *out);

#endif
