// SPDX-License-Identifier: Apache-2.0
//
// A folder of this machine as a tree (a work tree, an unpacked artifact), read like a commit: names
// and links are followed by our own eyes, no link leads out of it, and a file is opened where it
// was found or not at all, whatever is moved meanwhile.
//
// Two ways to read. folder_locate, folder_list and folder_read look at the disk each time, and only
// where they are asked to. folder_walk notes all names once; folder_hash reads every file, and
// refuses a tree with a link that leads out; folder_write makes a copy of a part of just what was
// hashed, which is what helm and kustomize get to see: they follow links by themselves, and would
// go on reading while somebody writes.
//
// What Git would not have is not there: ".git", and links that lead out and are ignored (a virtual
// environment's, say). Sockets and devices neither.
#ifndef SOURCE_FOLDER_H
#define SOURCE_FOLDER_H

#include "base/hash.h"
#include "base/loop.h"
#include "base/vec.h"

// Of all names, sizes and times below a folder.
struct folder_stamp {
    struct sha256 sum;
    bool is_fresh; // something was written only just: it may be written again within a tick
};
MUST_CHECK bool folder_stamped(const char *dir, struct folder_stamp *out, struct err *err);

struct folder_file {
    char *path;
    char *link; // its text; NULL for a file
    bool is_executable;
    struct sha256 sum; // of its bytes, once it is hashed
};

struct folder {
    char *dir;
    const struct loop *stop;
    bool is_walked, is_hashed;
    struct err leaves;             // set: what is wrong with the first link that leads out
    VEC(struct folder_file) files; // ordered by path
};

struct folder *folder_new(const char *dir, const struct loop *stop); // stop is lent
void folder_free(struct folder *f);

// Follows links on the way. *out is owned; NOT_FOUND when there is nothing.
MUST_CHECK bool folder_locate(const struct folder *f, const char *path, char **out,
                              struct err *err);
bool folder_is_dir(const struct folder *f, const char *path);
// Files below a folder, by the path that was asked for; a file is its own list.
MUST_CHECK bool folder_list(struct folder *f, const char *path, bool recurse, struct strv *out,
                            struct err *err);
MUST_CHECK bool folder_read(const struct folder *f, const char *path, size_t max_bytes,
                            struct buf *out, struct err *err);

// All names, once. Below ".git" nobody looks.
MUST_CHECK bool folder_walk(struct folder *f, struct err *err);
// Runs in the pool. A second time costs nothing.
MUST_CHECK bool folder_hash(struct folder *f, struct err *err);
// ---- after folder_hash ----
// What lies at these paths, with all that links in it lead to; links stay links.
MUST_CHECK bool folder_write(const struct folder *f, const struct strv *parts, const char *to,
                             struct err *err);
// Each file as a program sees it that follows links: where it is seen, and what it is. A link to a
// folder that holds it is left out.
typedef void (*folder_seen_fn)(void *ctx, const char *path, const struct folder_file *file);
MUST_CHECK bool folder_each(const struct folder *f, folder_seen_fn fn, void *ctx, struct err *err);
// What identifies the content below a path, owned.
MUST_CHECK bool folder_id(const struct folder *f, const char *path, char **out, struct err *err);

#endif
