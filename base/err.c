// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct err_row {
    const char *name;
    int exit_code;
};

static const struct err_row rows[] = {
    [ERR_NONE] = {"none", 0},
    [ERR_USAGE] = {"usage", 2},
    [ERR_INVALID] = {"invalid", 3},
    [ERR_NOT_FOUND] = {"not_found", 4},
    [ERR_DENIED] = {"denied", 5},
    [ERR_CONFLICT] = {"conflict", 6},
    [ERR_UNAVAILABLE] = {"unavailable", 7},
    [ERR_TIMEOUT] = {"timeout", 8},
    [ERR_CORRUPT] = {"corrupt", 9},
    [ERR_PARTIAL] = {"partial", 10},
    [ERR_INTERNAL] = {"internal", 1},
    [ERR_CANCELLED] = {"cancelled", 130},
};

static bool set_take(struct err *err, enum err_kind kind, char *msg)
{
    assert(err->kind == ERR_NONE && kind != ERR_NONE);
    err->kind = kind;
    err->msg = msg;
    return false;
}

bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *msg = str_vprintf(fmt, ap);
    va_end(ap);
    return set_take(err, kind, msg);
}

static enum err_kind kind_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOEXEC:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return ERR_INVALID;
    case EADDRINUSE:
        return ERR_CONFLICT;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EINTR: // a pipe that nobody writes to was waited for
        return ERR_CANCELLED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENOSPC:
    case EFBIG:
    case EDQUOT:
    case EIO:
        return ERR_UNAVAILABLE;
    default:
        return ERR_INTERNAL;
    }
}

bool err_set_errno(struct err *err, int errnum, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *what = str_vprintf(fmt, ap);
    va_end(ap);
    err->errnum = errnum;
    return set_take(err, kind_of_errno(errnum), str_printf("%s: %s", what, strerror(errnum)));
}

bool err_wrap(struct err *err, const char *fmt, ...)
{
    assert(err->kind != ERR_NONE);
    va_list ap;
    va_start(ap, fmt);
    CLEANUP(str_freep) char *front = str_vprintf(fmt, ap);
    va_end(ap);
    CLEANUP(str_freep) char *old = err->msg;
    err->msg = str_printf("%s: %s", front, old);
    return false;
}

bool err_hint(struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *hint = str_vprintf(fmt, ap);
    va_end(ap);
    free(err->hint);
    err->hint = hint;
    return false;
}

void err_clear(struct err *err)
{
    free(err->msg);
    free(err->hint);
    *err = (struct err){0};
}

void err_move(struct err *dst, struct err *src)
{
    assert(dst->kind == ERR_NONE);
    *dst = *src;
    *src = (struct err){0};
}

void err_copy(struct err *dst, const struct err *src)
{
    assert(dst->kind == ERR_NONE);
    dst->kind = src->kind;
    dst->msg = src->msg ? str_dup(src->msg) : NULL;
    dst->hint = src->hint ? str_dup(src->hint) : NULL;
    dst->errnum = src->errnum;
}

bool err_is_set(const struct err *err)
{
    return err->kind != ERR_NONE;
}

int err_exit_code(enum err_kind kind)
{
    return rows[kind].exit_code;
}

const char *err_kind_name(enum err_kind kind)
{
    return rows[kind].name;
}
