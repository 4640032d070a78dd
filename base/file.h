// SPDX-License-Identifier: Apache-2.0
//
// Files. Every read has a bound. Every durable write goes through file_replace: a temporary in the
// same folder, full write, fsync, rename, fsync of the folder, so that a crash at any line leaves
// the old file or the new one.
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

// Reads a whole file into out (appended). Larger than max_bytes: INVALID. Absent: NOT_FOUND.
MUST_CHECK bool file_read(const char *path, size_t max_bytes, struct buf *out, struct err *err);
// Reads fd to its end, same bound.
MUST_CHECK bool file_read_fd(int fd, const char *name, size_t max_bytes, struct buf *out,
                             struct err *err);
// All of it, where fd stands.
MUST_CHECK bool file_write_fd(int fd, const char *name, const void *p, size_t len, struct err *err);
// A file that nobody needs after this run, a child's input say: neither durable nor whole at every
// moment.
MUST_CHECK bool file_put(const char *path, const void *p, size_t len, mode_t mode, struct err *err);
// As file_replace, but a file that has these bytes already stays the very same one, also when
// several write it at once: who was told to open it (base/confine.h) still may.
MUST_CHECK bool file_keep(const char *path, const void *p, size_t len, mode_t mode,
                          struct err *err);
MUST_CHECK bool file_replace(const char *path, const void *p, size_t len, mode_t mode,
                             struct err *err);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
// mkdir -p with the given mode for what it makes.
MUST_CHECK bool dir_make(const char *path, mode_t mode, struct err *err);
// Removes a folder and all in it; symbolic links are removed, never followed. Absent is fine.
MUST_CHECK bool dir_remove(const char *path, struct err *err);
// ---- temporary folders (tempdir.c) ----
// Makes a private folder under $TMPDIR or /tmp; the caller owns the path and removes the folder. As
// long as it is there, and we are, it is locked.
MUST_CHECK bool dir_make_temp(const char *prefix, char **out, struct err *err);
// CLEANUP helper: removes the folder named by *path (if any), then frees the string.
void dir_temp_cleanup(char **path);
// Removes what processes that were killed have left of such folders; the prefixes end with NULL.
void dir_temp_sweep(const char *const *prefixes);

char *path_join(const char *a, const char *b);
const char *path_base(const char *path); // borrowed: what follows the last slash
// Normalises "a/./b//c/../d" to "a/b/d" by text. False when it would leave its root or when it is
// absolute. "" and "." give "".
MUST_CHECK bool path_clean(const char *path, char **out);

void fd_closep(int *fd); // CLEANUP helper; closes when >= 0

#endif
