// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: one import on its way.
//
//   import.c          the whole
//   import_file.c     bytes of the file, opened (zstd)
//   import_tar.c      files in it, bounded                     import_tar.h
//   import_sums.c     is it what was written?
//   import_trust.c    who vouches for it
//   import_content.c  what it holds, by id: a reader over it
//   import_git.c      Git packs in bundles, proved
#ifndef SNAPSHOT_IMPORT_INT_H
#define SNAPSHOT_IMPORT_INT_H

#include "snapshot/export_form.h"
#include "snapshot/idmap.h"
#include "snapshot/import.h"
#include "snapshot/import_tar.h"

// A file in the tar.
struct import_file {
    char *name;
    uint64_t size;
    struct sha256 hash;
    struct buf kept; // its bytes, of the few that are needed first
};
struct import_files {
    VEC(struct import_file) v; // by name, once they are sorted
};
void import_files_clear(struct import_files *f);
void import_files_sort(struct import_files *f);
const struct import_file *import_files_find(const struct import_files *f, const char *name);

// ---- import_sums.c ----
// Every line of SHA256SUMS, by name. CORRUPT when one is none, or a name stands twice.
MUST_CHECK bool import_sums_parse(const char *p, size_t len, struct import_files *out,
                                  struct err *err);
// Are the files exactly those, but for SHA256SUMS itself and its signature?
MUST_CHECK bool import_sums_check(const struct import_files *files, struct err *err);

// ---- import_trust.c ----
// Fills trust, entry and facts from the files that were kept.
MUST_CHECK bool import_vouch(struct import *m, struct err *err);

// ---- import_content.c ----
struct import_place { // where a blob lies
    uint32_t file;    // position in spools
    uint32_t len;
    uint64_t offset; // of a Secret: in what was opened
    char kind;
};
struct import_content {
    struct workdir work;
    struct strv spools; // paths
    VEC(struct import_place) places;
    struct idmap map; // id -> position in places
    struct blob_id root;
    const struct age_identities *ids; // lent
    size_t opened;                    // spool of Secrets that is open now …
    struct buf secrets;               // … and what it holds; wiped
    size_t n_secrets;
    VEC(struct import_bundle {
        uint32_t file;
        uint64_t offset; // of the pack in it
        bool is_twice;
    })
    bundles;
};
void import_content_clear(struct import_content *c);
// Is a file of that name needed?
bool import_content_wants(const char *name);
uint64_t import_content_limit(const char *name); // how large it may be
// All of a spooled file, by its name in the tar.
MUST_CHECK bool import_content_add(struct import_content *c, const char *name, char *path_take,
                                   struct err *err);
// The length of a bundle's head, before the pack: p is its beginning. 0: there is no end of it yet.
// *is_pack false: it is one of SHA-256, a file like others. CORRUPT when it is no bundle.
MUST_CHECK bool import_bundle_head(const char *p, size_t len, size_t *head, bool *is_pack,
                                   struct err *err);
extern const struct reader_ops import_reader_ops; // over a struct import_content

// ---- import_git.c ----
// Indexes all packs and follows all refs of all repositories.
MUST_CHECK bool import_git_prove(struct import_content *c, struct reader *rd, struct loop *loop,
                                 struct err *err);

// ---- one import ----
struct import {
    char *name; // as it was given
    int fd;
    struct import_opts o;
    struct import_files files;
    struct trust_chain trust;
    struct entry entry;
    struct import_facts facts;
    struct import_content content;
    struct reader *reader;
};

#endif
