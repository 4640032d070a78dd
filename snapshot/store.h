// SPDX-License-Identifier: Apache-2.0
//
// Where the files of a repository lie (docs/repository-format.md section 8).
// Names are paths such as "chains/prod/packs/<sha256>": ASCII, no "..", checked by name_is_valid.
//
// Duties of every store: what `create` made is durable, whole, and visible to get and list before
// it returns; a file is never changed; get and list never give half a file. Three implementations
// (store_folder.c, store_s3.c, store_oci.c) and one contract suite (tests/snapshot/contract.c).
// Stores block, look at the loop's stop flag, and retry what is safe to repeat by themselves.
#ifndef SNAPSHOT_STORE_H
#define SNAPSHOT_STORE_H

#include "base/err.h"
#include "base/event.h"
#include "base/loop.h"
#include "base/vec.h"

#define STORE_MAX_FILE_BYTES (16U << 20) // no file of the format is larger

struct store_item {
    char *name;           // full name
    uint64_t size;        // 0 where the store does not tell (OCI tags)
    int64_t stored_at_ms; // Unix, by the store's clock; 0 unknown
};
struct store_items {
    VEC(struct store_item) v; // sorted by name
};
void store_items_clear(struct store_items *i);

struct store;

// What a store is able to do by nature; what it does is probed (store_probe).
struct store_traits {
    const char *kind;       // "folder", "s3", "oci"
    bool may_create_atomic; // create-if-absent can be asked for
    bool has_retention;     // object lock
};

struct store_ops {
    struct store_traits traits;
    // *made: false when the name was there already. needs: names of all files a log entry makes
    // necessary (an OCI registry keeps what a manifest names); NULL for everything else.
    bool (*create)(struct store *s, const char *name, const void *p, size_t len,
                   const struct strv *needs, bool *made, struct err *err);
    // Absent: true and *found false. Larger than max_bytes: CORRUPT.
    bool (*get)(struct store *s, const char *name, size_t max_bytes, struct buf *out, bool *found,
                struct err *err);
    // All files below prefix ("chains/prod/log/"; "" is all). A prefix without files is empty.
    bool (*list)(struct store *s, const char *prefix, struct store_items *out, struct err *err);
    // What init finds where nothing of ours should be: any file at all, but for leftovers of a
    // probe. *name owned, as a person would find it; NULL: there is none.
    bool (*stranger)(struct store *s, char **name, struct err *err);
    bool (*remove)(struct store *s, const char *name, struct err *err); // absent is fine
    bool (*now)(struct store *s, int64_t *unix_ms, struct err *err);    // the store's clock
    // Keeps a file from deletion until then; stores without retention: NULL.
    bool (*retain)(struct store *s, const char *name, int64_t until_unix_ms, struct err *err);
    // Until when it is kept; 0: it is not. With retain.
    bool (*retained)(struct store *s, const char *name, int64_t *until_unix_ms, struct err *err);
    void (*free)(struct store *s);
};

struct store { // first member of every implementation's struct
    const struct store_ops *ops;
    char *url; // for display, without credentials
};

struct store_opts {
    const char *url; // folder (or file://), s3://bucket/prefix, oci://host/repository
    struct loop *loop;
    const struct event_sink *events;
    const char *ca_file;
    // S3 (else from the environment: AWS_*, REGROW_S3_*):
    const char *s3_endpoint; // NULL: AWS; "https://{bucket}.host": the bucket goes there
    const char *s3_region;
    bool s3_path_style;
    int64_t s3_retain_ms;         // object lock on every file of a chain; 0: none
    const char *credentials_file; // NULL: standard places
};
MUST_CHECK bool store_open(const struct store_opts *o, struct store **out, struct err *err);
void store_free(struct store *s);
CLEANUP_FN(struct store, store_free, store_freep);

// The operations, with names checked and errors wrapped ("store s3://b/p: get log/…: …").
MUST_CHECK bool store_create(struct store *s, const char *name, const void *p, size_t len,
                             const struct strv *needs, bool *made, struct err *err);
MUST_CHECK bool store_get(struct store *s, const char *name, size_t max_bytes, struct buf *out,
                          bool *found, struct err *err);
MUST_CHECK bool store_list(struct store *s, const char *prefix, struct store_items *out,
                           struct err *err);
MUST_CHECK bool store_stranger(struct store *s, char **name, struct err *err);
MUST_CHECK bool store_remove(struct store *s, const char *name, struct err *err);
MUST_CHECK bool store_now(struct store *s, int64_t *unix_ms, struct err *err);
MUST_CHECK bool store_retain(struct store *s, const char *name, int64_t until_unix_ms,
                             struct err *err);

#define STORE_PROBE "probe/"
// 0 as well where the store has no retention.
MUST_CHECK bool store_retained(struct store *s, const char *name, int64_t *until_unix_ms,
                               struct err *err);

// Races 16 writers on each of ten names below "probe/", and looks whether what was made is listed.
struct store_guarantees {
    bool atomic_create, list_after_create;
};
MUST_CHECK bool store_probe(struct store *s, const struct store_opts *o,
                            struct store_guarantees *out, struct err *err);

// A store around another one that injects faults; for tests (tests/snapshot) and power-cut runs.
bool name_is_valid(const char *name);

#endif
