// SPDX-License-Identifier: Apache-2.0
//
// Private to folder.c (the disk, names) and folder_whole.c (contents).
#ifndef SOURCE_FOLDER_INT_H
#define SOURCE_FOLDER_INT_H

#include "source/folder.h"

// Opens what was located: where there was no link there must be none now. -1 sets errno.
int folder_open(const struct folder *f, const char *path, int flags);
// What errno says then; always false.
bool folder_cannot_open(const char *path, struct err *err);
bool folder_changed(const char *path, struct err *err); // always false
bool folder_is_file(int fd, bool *is_executable);

// ---- among the names that were noted ----
struct folder_file *folder_find(const struct folder *f, const char *path);
// What lies below a folder ("": all).
void folder_range(const struct folder *f, const char *dir, size_t *first, size_t *end);
// For struct links; ctx is the folder.
bool folder_read_noted(void *ctx, const char *path, bool *is_link, struct buf *text,
                       struct err *err);

#endif
