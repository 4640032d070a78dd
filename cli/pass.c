// SPDX-License-Identifier: Apache-2.0
#include "cli/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/snapshot.h"

#define MAX_PASS 1024 // longer ones are files given by mistake

// Without the line end that editors and echo leave.
static bool take_line(const char *p, size_t len, const char *where, struct buf *out,
                      struct err *err)
{
    if (len && p[len - 1] == '\n')
        len--;
    if (len && p[len - 1] == '\r')
        len--;
    if (!len || len > MAX_PASS || memchr(p, '\0', len) || memchr(p, '\n', len))
        return err_set(err, ERR_INVALID, "%s: a passphrase is one line of 1 to %d bytes", where,
                       MAX_PASS);
    buf_reserve(out, MAX_PASS + 1);
    buf_append(out, p, len);
    return true;
}

static bool from_file(const char *path, struct buf *out, struct err *err)
{
    struct buf b CLEANUP(buf_wipe) = {0};
    buf_reserve(&b, 2 * MAX_PASS);
    return (file_read(path, 2 * MAX_PASS, &b, err) && take_line(b.p, b.len, path, out, err)) ||
           err_wrap(err, "passphrase");
}

// ---- the terminal ----

struct terminal {
    int fd;
    struct termios before;
};

static void terminal_close(struct terminal *t)
{
    if (t->fd < 0)
        return;
    tcsetattr(t->fd, TCSAFLUSH, &t->before);
    close(t->fd);
}

static bool terminal_open(struct terminal *t)
{
    struct termios quiet;
    t->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (t->fd < 0)
        return false;
    if (tcgetattr(t->fd, &t->before) != 0) {
        close(t->fd);
        t->fd = -1;
        return false;
    }
    quiet = t->before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(t->fd, TCSAFLUSH, &quiet);
    return true;
}

static bool ask_once(const struct terminal *t, const char *prompt, struct buf *out, struct err *err)
{
    char line[MAX_PASS + 2];
    dprintf(t->fd, "%s: ", prompt);
    ssize_t n = read(t->fd, line, sizeof(line));
    int errnum = errno;
    dprintf(t->fd, "\n");
    bool ok = n >= 0 ? take_line(line, (size_t)n, "the terminal", out, err)
              : errnum == EINTR
                  ? err_set(err, ERR_CANCELLED, "interrupted")
                  : err_set_errno(err, errnum, "read the passphrase from the terminal");
    crypto_wipe(line, sizeof(line));
    return ok;
}

static bool ask(const struct pass_source *from, struct buf *out, bool *found, struct err *err)
{
    struct terminal t CLEANUP(terminal_close) = {.fd = -1};
    struct buf again CLEANUP(buf_wipe) = {0};
    *found = terminal_open(&t);
    if (!*found)
        return true;
    if (!ask_once(&t, from->ask, out, err))
        return false;
    if (!from->is_new)
        return true;
    return ask_once(&t, "the same again", &again, err) &&
           (str_eq(again.p, out->p) || err_set(err, ERR_INVALID, "the two passphrases differ"));
}

bool pass_get(const struct pass_source *from, struct buf *out, bool *found, struct err *err)
{
    const char *env = getenv(from->env);
    *found = true;
    if (from->file)
        return from_file(from->file, out, err);
    if (!str_is_empty(env))
        return take_line(env, strlen(env), from->env, out, err);
    if (from->ask)
        return ask(from, out, found, err);
    *found = false;
    return true;
}
