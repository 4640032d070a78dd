// SPDX-License-Identifier: Apache-2.0
//
// Memory and strings. Allocation never fails here: no memory prints one line and aborts, because
// retrying malloc has never helped a command line program; sizes that come from outside are
// bounded by whoever reads them. `struct buf` is a growing byte buffer, always NUL-terminated
// once it holds something; it may hold NUL bytes.
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

void *mem_alloc(size_t size);                      // zeroed
void *mem_realloc(void *p, size_t n, size_t size); // n * size, checked for overflow
void *mem_dup(const void *p, size_t len);          // copy with a NUL after it

char *str_dup(const char *s);
char *str_dup_or_null(const char *s); // NULL stays NULL
char *str_ndup(const char *s, size_t n);
char *str_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *str_vprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0);
void str_freep(char **p); // CLEANUP helper

bool str_eq(const char *a, const char *b);       // NULL equals only NULL
bool str_eq_empty(const char *a, const char *b); // NULL equals ""
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
int str_cmp(const char *a, const char *b); // NULL sorts first
bool str_is_empty(const char *s);          // NULL or ""
// Replaces *slot by a copy of s (NULL allowed), freeing what was there.
void str_set(char **slot, const char *s);
// Parses the whole of s as a decimal number within [min, max].
MUST_CHECK bool str_to_int(const char *s, long long min, long long max, long long *out);
// Parses a Go duration ("1h30m", "500ms", "10s"); a bare integer counts seconds.
MUST_CHECK bool str_to_duration_ms(const char *s, int64_t *out_ms);

// A list of owned strings.
struct strv {
    char **v;
    size_t len;
    size_t cap;
};
void strv_push(struct strv *l, const char *s);
void strv_push_take(struct strv *l, char *s);
bool strv_has(const struct strv *l, const char *s);
bool strv_eq(const struct strv *a, const struct strv *b); // in the same order
void strv_sort(struct strv *l);                           // bytewise
void strv_clear(struct strv *l);
// Splits at every sep; empty pieces are kept.
void strv_split(struct strv *l, const char *s, char sep);

struct buf {
    char *p;
    size_t len;
    size_t cap;
};
// Room for more bytes (and a NUL) behind len, so that appending them moves nothing.
void buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *p, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
// Base64 with padding of len bytes.
void buf_base64(struct buf *b, const void *p, size_t len);
void buf_reset(struct buf *b); // empty, memory kept
void buf_clear(struct buf *b); // empty, memory freed; CLEANUP helper
char *buf_take(struct buf *b); // the bytes as an owned string, "" if empty
// Decodes standard base64 (blanks and line ends skipped); false when malformed.
MUST_CHECK bool base64_decode(const char *s, size_t len, struct buf *out);

#endif
