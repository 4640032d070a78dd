// SPDX-License-Identifier: Apache-2.0
#include "source/gitnet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "source/http.h"

#define SILENCE_MS 30000
#define MAX_LIST_BYTES (64U << 20)
#define MAX_PACK_BYTES (2ULL << 30)
#define MAX_STDERR 2048

bool gitnet_is_ssh(const char *url)
{
    if (str_starts(url, "ssh://"))
        return true;
    const char *colon = strchr(url, ':');
    const char *slash = strchr(url, '/');
    return !strstr(url, "://") && colon && strchr(url, '@') && (!slash || colon < slash);
}

// ---- HTTP ----
static struct http_request request(const struct gitsrc_opts *o, const char *url)
{
    return (struct http_request){
        .url = url, .cred = o->cred, .ca_file = o->ca_file, .loop = o->loop};
}

static bool http_refs(const struct gitsrc_opts *o, struct git_greeting *g, struct git_refs *refs,
                      struct err *err)
{
    static const char *const headers[] = {"Git-Protocol: version=2", NULL};
    CLEANUP(str_freep) char *url = str_printf("%s/info/refs?service=git-upload-pack", o->url);
    struct http_request q = request(o, url);
    struct http_response r;
    q.headers = headers;
    q.max_bytes = MAX_LIST_BYTES;
    bool ok =
        http_get(&q, &r, err) && greeting_read(r.body.p ? r.body.p : "", r.body.len, g, refs, err);
    http_response_clear(&r);
    if (!ok || !g->is_v2)
        return ok;
    static const char *const post[] = {"Git-Protocol: version=2",
                                       "Content-Type: application/x-git-upload-pack-request", NULL};
    struct buf body CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *to = str_printf("%s/git-upload-pack", o->url);
    ls_refs_request(&body);
    q = request(o, to);
    q.headers = post;
    q.body = body.p;
    q.body_len = body.len;
    q.max_bytes = MAX_LIST_BYTES;
    ok = http_get(&q, &r, err) && ls_refs_read(r.body.p ? r.body.p : "", r.body.len, refs, err);
    http_response_clear(&r);
    return ok;
}

struct feeding {
    struct fetch_reader *f;
    struct err *err;
};

static bool on_data(void *ctx, const char *p, size_t len)
{
    struct feeding *x = ctx;
    return fetch_feed(x->f, p, len, x->err);
}

static bool http_fetch(const struct gitsrc_opts *o, const struct git_greeting *g, const char *want,
                       const struct strv *have, struct fetch_reader *f, struct err *err)
{
    const char *headers[] = {"Content-Type: application/x-git-upload-pack-request",
                             g->is_v2 ? "Git-Protocol: version=2" : NULL, NULL};
    CLEANUP(str_freep) char *url = str_printf("%s/git-upload-pack", o->url);
    struct buf body CLEANUP(buf_clear) = {0};
    fetch_request(&body, g, want, have);
    struct feeding x = {f, err};
    struct http_request q = request(o, url);
    q.headers = headers;
    q.body = body.p;
    q.body_len = body.len;
    q.max_bytes = MAX_PACK_BYTES;
    q.on_data = on_data;
    q.ctx = &x;
    struct http_response r;
    bool ok = http_run(&q, &r, err);
    int status = r.status;
    http_response_clear(&r);
    if (err_is_set(err))
        return false;
    return ok && (status < 400 || http_status_err(status, o->url, err));
}

// ---- ssh ----
struct ssh {
    pid_t pid;
    int in, out, err;
    struct buf err_text;
    int key_fd;
};

static bool split_ssh(const char *url, char **target, char **port, char **path)
{
    CLEANUP(str_freep) char *u = str_dup(url);
    if (str_starts(u, "ssh://")) {
        char *host = u + 6;
        char *slash = strchr(host, '/');
        if (!slash)
            return false;
        *path = str_dup(slash[1] == '~' ? slash + 1 : slash);
        *slash = 0;
        char *colon = strrchr(host, ':');
        if (colon && !strchr(colon, ']')) {
            *port = str_dup(colon + 1);
            *colon = 0;
        }
        *target = str_dup(host);
    } else {
        char *colon = strchr(u, ':');
        if (!colon)
            return false;
        *colon = 0;
        *target = str_dup(u);
        *path = str_dup(colon + 1);
    }
    return **target && **target != '-' && **path && **path != '-';
}

static char *shell_quote(const char *s)
{
    struct buf b = {0};
    buf_char(&b, '\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '!')
            buf_printf(&b, "'\\%c'", *s);
        else
            buf_char(&b, *s);
    }
    buf_char(&b, '\'');
    return buf_take(&b);
}

// A key that exists only in memory becomes a file that only this process holds.
static char *key_path(const struct source_cred *c, int *fd)
{
    *fd = -1;
    if (!c || (!c->ssh_key_file && !c->ssh_key_pem))
        return NULL;
    if (c->ssh_key_file)
        return str_dup(c->ssh_key_file);
    *fd = memfd_create("key", MFD_CLOEXEC);
    size_t len = strlen(c->ssh_key_pem);
    if (*fd < 0 || fchmod(*fd, 0600) != 0 || write(*fd, c->ssh_key_pem, len) != (ssize_t)len ||
        (len && c->ssh_key_pem[len - 1] != '\n' && write(*fd, "\n", 1) != 1))
        return NULL;
    return str_printf("/proc/%ld/fd/%d", (long)getpid(), *fd);
}

static void ssh_args(const struct gitsrc_opts *o, const char *target, const char *port,
                     const char *path, const char *key, struct strv *a)
{
    CLEANUP(str_freep) char *quoted = shell_quote(path);
    strv_push(a, "ssh");
    strv_push(a, "-oBatchMode=yes");
    strv_push(a, "-oConnectTimeout=10");
    strv_push(a, "-oStrictHostKeyChecking=yes");
    if (o->known_hosts) {
        strv_push_take(a, str_printf("-oUserKnownHostsFile=%s", o->known_hosts));
        strv_push(a, "-oGlobalKnownHostsFile=/dev/null");
    }
    if (key) {
        strv_push(a, "-oIdentitiesOnly=yes");
        strv_push(a, "-F/dev/null");
        strv_push(a, "-i");
        strv_push(a, key);
    }
    if (port) {
        strv_push(a, "-p");
        strv_push(a, port);
    }
    strv_push(a, "--");
    strv_push(a, target);
    strv_push_take(a, str_printf("git-upload-pack %s", quoted));
    *vec_push(a) = NULL;
}

static bool ssh_start(const struct gitsrc_opts *o, struct ssh *s, struct err *err)
{
    CLEANUP(str_freep) char *target = NULL;
    CLEANUP(str_freep) char *port = NULL;
    CLEANUP(str_freep) char *path = NULL;
    CLEANUP(str_freep) char *program = proc_find("ssh");
    *s = (struct ssh){.in = -1, .out = -1, .err = -1, .key_fd = -1};
    if (!split_ssh(o->url, &target, &port, &path))
        return err_set(err, ERR_INVALID, "%s is no ssh URL of a repository", o->url);
    if (!program)
        return err_set(err, ERR_NOT_FOUND, "the program ssh is not installed");
    CLEANUP(str_freep) char *key = key_path(o->cred, &s->key_fd);
    struct strv argv = {0};
    ssh_args(o, target, port, path, key, &argv);
    int p[6];
    for (int i = 0; i < 3; i++)
        if (pipe2(p + 2 * (size_t)i, O_CLOEXEC) != 0) {
            int errnum = errno;
            strv_clear(&argv);
            return err_set_errno(err, errnum, "make pipes");
        }
    s->pid = fork();
    if (s->pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        setpgid(0, 0);
        if (dup2(p[0], 0) < 0 || dup2(p[3], 1) < 0 || dup2(p[5], 2) < 0)
            _exit(127);
        execv(program, argv.v);
        _exit(127);
    }
    close(p[0]);
    close(p[3]);
    close(p[5]);
    s->in = p[1];
    s->out = p[2];
    s->err = p[4];
    fcntl(s->err, F_SETFL, O_NONBLOCK);
    strv_clear(&argv);
    return s->pid > 0 || err_set(err, ERR_UNAVAILABLE, "ssh could not be started");
}

static void read_errors(struct ssh *s)
{
    char chunk[1024];
    ssize_t n;
    while ((n = read(s->err, chunk, sizeof(chunk))) > 0)
        if (s->err_text.len < MAX_STDERR)
            buf_append(&s->err_text, chunk, (size_t)n);
}

static int ssh_end(struct ssh *s)
{
    fd_closep(&s->in);
    fd_closep(&s->out);
    int status = 0;
    for (int i = 0; i < 200 && s->pid > 0; i++) {
        if (waitpid(s->pid, &status, WNOHANG) == s->pid)
            break;
        if (i == 100)
            kill(-s->pid, SIGTERM);
        if (i == 199) {
            kill(-s->pid, SIGKILL);
            waitpid(s->pid, &status, 0);
        }
        poll(NULL, 0, 10);
    }
    read_errors(s);
    fd_closep(&s->err);
    fd_closep(&s->key_fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static bool ssh_error(const struct gitsrc_opts *o, struct ssh *s, struct err *err)
{
    int code = ssh_end(s);
    const char *t = s->err_text.p ? s->err_text.p : "";
    bool key = strstr(t, "Host key verification failed") || strstr(t, "REMOTE HOST IDENTIFICATION");
    bool denied = key || strstr(t, "Permission denied") || strstr(t, "Too many authentication");
    bool missing = code != 255 || strstr(t, "does not appear to be a git repository");
    size_t n = strcspn(t, "\r\n");
    if (key) {
        err_set(err, ERR_DENIED, "%s: the host key is not known, or has changed", o->url);
        err_hint(err, "Put the host's key into the file of --known-hosts (ssh-keyscan shows it; "
                      "compare it with what its owner publishes).");
    } else {
        err_set(err,
                denied    ? ERR_DENIED
                : missing ? ERR_NOT_FOUND
                          : ERR_UNAVAILABLE,
                "%s: %.*s", o->url, (int)(n < 300 ? n : 300), n ? t : "the connection ended");
    }
    buf_clear(&s->err_text);
    return false;
}

// Reads what comes; 0 at the end, -1 on silence or a stop.
static ssize_t ssh_read(const struct gitsrc_opts *o, struct ssh *s, char *p, size_t len)
{
    int64_t end = clock_mono_ms() + SILENCE_MS;
    while (clock_mono_ms() < end && !(o->loop && loop_stopping(o->loop))) {
        struct pollfd fds[2] = {{s->out, POLLIN, 0}, {s->err, POLLIN, 0}};
        if (poll(fds, 2, 200) <= 0)
            continue;
        if (fds[1].revents)
            read_errors(s);
        if (fds[0].revents)
            return read(s->out, p, len);
    }
    return -1;
}

static bool write_all(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static bool ssh_greeting(const struct gitsrc_opts *o, struct ssh *s, struct git_greeting *g,
                         struct git_refs *refs, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    char chunk[65536];
    while (!greeting_is_whole(b.p ? b.p : "", b.len)) {
        ssize_t n = ssh_read(o, s, chunk, sizeof(chunk));
        if (n <= 0 || b.len > MAX_LIST_BYTES)
            return ssh_error(o, s, err);
        buf_append(&b, chunk, (size_t)n);
    }
    return greeting_read(b.p, b.len, g, refs, err);
}

static bool ssh_refs(const struct gitsrc_opts *o, struct git_greeting *g, struct git_refs *refs,
                     struct err *err)
{
    struct ssh s;
    if (!ssh_start(o, &s, err) || !ssh_greeting(o, &s, g, refs, err))
        return false;
    // A client that wants nothing says so; that the other end is gone already is fine.
    if (!write_all(s.in, "0000", 4))
        errno = 0;
    ssh_end(&s);
    buf_clear(&s.err_text);
    return true;
}

static bool ssh_fetch(const struct gitsrc_opts *o, const char *want, const struct strv *have,
                      struct fetch_reader *f, struct err *err)
{
    struct ssh s;
    struct git_greeting g;
    struct git_refs refs = {0};
    struct buf body CLEANUP(buf_clear) = {0};
    if (!ssh_start(o, &s, err))
        return false;
    bool ok = ssh_greeting(o, &s, &g, &refs, err);
    git_refs_clear(&refs);
    if (!ok)
        return false;
    f->is_v2 = false;
    fetch_request(&body, &g, want, have);
    ok = write_all(s.in, body.p, body.len);
    char chunk[65536];
    ssize_t n = 0;
    while (ok && (n = ssh_read(o, &s, chunk, sizeof(chunk))) > 0)
        ok = fetch_feed(f, chunk, (size_t)n, err);
    if (err_is_set(err)) {
        ssh_end(&s);
        buf_clear(&s.err_text);
        return false;
    }
    if (!ok || n < 0 || !f->saw_pack)
        return ssh_error(o, &s, err);
    ssh_end(&s);
    buf_clear(&s.err_text);
    return true;
}

bool gitnet_refs(const struct gitsrc_opts *o, struct git_greeting *g, struct git_refs *refs,
                 struct err *err)
{
    return gitnet_is_ssh(o->url) ? ssh_refs(o, g, refs, err) : http_refs(o, g, refs, err);
}

bool gitnet_fetch(const struct gitsrc_opts *o, const struct git_greeting *g, const char *want,
                  const struct strv *have, struct fetch_reader *f, struct err *err)
{
    f->is_v2 = g->is_v2;
    return gitnet_is_ssh(o->url) ? ssh_fetch(o, want, have, f, err)
                                 : http_fetch(o, g, want, have, f, err);
}
