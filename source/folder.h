// SPDX-License-Identifier: Apache-2.0
//
// A folder of this machine as a tree (a work tree, an unpacked artifact), read like a commit: names
// and links are followed by our own eyes, no link leads out of it, and a file is opened where it
// was found or not at all, whatever is moved meanwhile.
//
// Two ways to read. folder_locate, folder_list and folder_read look at the disk each time, and only
// where they are asked to. folder_walk notes all names once; folder_hash reads every file, and
// refuses a tree with a link that leads out; folder_write makes a copy of just what was hashed,
// which is what helm and kustomize get to see: they follow links by themselves, and would go on
// reading while somebody writes.
//
// What Git would not have is not there: ".git", and links that lead out and are ignored (a virtual
// environment's, say). Sockets and devices neither.
#ifndef SOURCE_FOLDER_H
#define SOURCE_FOLDER_H

#include "base/hash.h"
#include "base/loop.h"
#include "base/vec.h"

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
// Both run in the pool. Of a tree that is hashed already the second time costs nothing.
MUST_CHECK bool folder_hash(struct folder *f, struct err *err);
MUST_CHECK bool folder_write(struct folder *f, const char *to, struct err *err);
// What identifies the content below a path, owned; folder_hash has been there.
MUST_CHECK bool folder_id(const struct folder *f, const char *path, char **out, struct err *err);

#endif
