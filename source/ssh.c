// SPDX-License-Identifier: Apache-2.0
#include "source/ssh.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "source/helper.h"

#define SILENCE_MS 30000
#define TOTAL_MS 600000
#define PUSH_MS 86400000 // a large history over a slow line; silence ends it long before
#define CONNECT_S 10
#define MAX_TRIES 3
#define PAUSE_MS 500

struct ssh_call {
    struct loop *loop;
    struct turn turn;
    struct strv argv;
    char *url;
    int key_fd, hosts_fd; // what ssh reads as files and only this process holds
    struct buf in;
    int in_fd;
    off_t sent; // of it, when it was last looked at
    size_t max_bytes;
    int64_t silence_ms;
    bool (*on_data)(void *ctx, const char *p, size_t len);
    void *data_ctx;
    ssh_done_fn done; // NULL: cancelled
    void *ctx;
    struct proc *child;
    struct loop_timer *silence, *again;
    unsigned tries;
    bool has_enough, is_silent, has_data;
    bool *is_over;      // who cancelled it waits for the program's end
    struct err refused; // why the question could not even be put
};

bool ssh_is_url(const char *url)
{
    if (str_starts(url, "ssh://"))
        return true;
    const char *colon = strchr(url, ':');
    const char *slash = strchr(url, '/');
    return !strstr(url, "://") && colon && strchr(url, '@') && (!slash || colon < slash);
}

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

// A text that exists only in memory becomes a file that only this process holds; NULL on failure.
// ssh closes what it inherits, so the name goes by our number.
static char *memory_file(const char *text, int *fd)
{
    size_t len = strlen(text);
    *fd = memfd_create("ssh", MFD_CLOEXEC);
    if (*fd < 0 || fchmod(*fd, 0600) != 0 || write(*fd, text, len) != (ssize_t)len ||
        (len && text[len - 1] != '\n' && write(*fd, "\n", 1) != 1))
        return NULL;
    return str_printf("/proc/%ld/fd/%d", (long)getpid(), *fd);
}

static bool add_hosts(struct ssh_call *s, const struct ssh_request *q, struct err *err)
{
    struct strv *a = &s->argv;
    if (q->cred && q->cred->insecure) {
        strv_push(a, "-oStrictHostKeyChecking=no");
        strv_push(a, "-oUserKnownHostsFile=/dev/null");
        strv_push(a, "-oGlobalKnownHostsFile=/dev/null");
        return true;
    }
    strv_push(a, "-oStrictHostKeyChecking=yes");
    if (q->known_hosts_file) {
        strv_push_take(a, str_printf("-oUserKnownHostsFile=%s", q->known_hosts_file));
        strv_push(a, "-oGlobalKnownHostsFile=/dev/null");
    } else if (q->known_hosts) {
        CLEANUP(str_freep) char *file = memory_file(q->known_hosts, &s->hosts_fd);
        if (!file)
            return err_set(err, ERR_INTERNAL, "keep host keys in memory");
        strv_push_take(a, str_printf("-oUserKnownHostsFile=%s ~/.ssh/known_hosts", file));
    }
    return true;
}

static bool add_key(struct ssh_call *s, const struct source_cred *c, struct err *err)
{
    if (!c || (!c->ssh_key_file && !c->ssh_key_pem))
        return true;
    CLEANUP(str_freep)
    char *file =
        c->ssh_key_file ? str_dup(c->ssh_key_file) : memory_file(c->ssh_key_pem, &s->key_fd);
    if (!file)
        return err_set(err, ERR_INTERNAL, "keep a key in memory");
    strv_push(&s->argv, "-oIdentitiesOnly=yes");
    strv_push(&s->argv, "-F/dev/null");
    strv_push(&s->argv, "-i");
    strv_push(&s->argv, file);
    return true;
}

static bool build_argv(struct ssh_call *s, const struct ssh_request *q, struct err *err)
{
    CLEANUP(str_freep) char *target = NULL;
    CLEANUP(str_freep) char *port = NULL;
    CLEANUP(str_freep) char *path = NULL;
    int64_t connect_s = s->silence_ms / 1000;
    if (!split_ssh(q->url, &target, &port, &path))
        return err_set(err, ERR_INVALID, "%s is no ssh URL of a repository", q->url);
    CLEANUP(str_freep) char *quoted = shell_quote(path);
    strv_push(&s->argv, "ssh");
    strv_push(&s->argv, "-oBatchMode=yes");
    strv_push_take(&s->argv,
                   str_printf("-oConnectTimeout=%d", connect_s < 1           ? 1
                                                     : connect_s < CONNECT_S ? (int)connect_s
                                                                             : CONNECT_S));
    if (!add_hosts(s, q, err) || !add_key(s, q->cred, err))
        return false;
    if (port) {
        strv_push(&s->argv, "-p");
        strv_push(&s->argv, port);
    }
    strv_push(&s->argv, "--");
    strv_push(&s->argv, target);
    strv_push_take(&s->argv, str_printf("%s %s", q->service, quoted));
    *vec_push(&s->argv) = NULL;
    return true;
}

static void call_free(struct ssh_call *s)
{
    loop_timer_free(s->silence);
    loop_timer_free(s->again);
    strv_clear(&s->argv);
    fd_closep(&s->key_fd);
    fd_closep(&s->hosts_fd);
    buf_clear(&s->in);
    err_clear(&s->refused);
    free(s->url);
    if (s->is_over)
        *s->is_over = true;
    free(s);
}

static void end(struct ssh_call *s, struct err *err)
{
    bool is_hosts = err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
    turn_end(&s->turn, is_hosts ? err : NULL);
    if (s->done)
        s->done(s->ctx, err);
    err_clear(err);
    call_free(s);
}

// What ssh, or the program at the other end, says about its failure.
static void words_err(const struct ssh_call *s, int code, const char *text, struct err *err)
{
    bool key = strstr(text, "Host key verification failed") || strstr(text, "IDENTIFICATION HAS");
    bool denied = strstr(text, "Permission denied") || strstr(text, "Too many authentication");
    bool missing = code != 255 || strstr(text, "does not appear to be a git repository");
    if (key) {
        err_set(err, ERR_DENIED, "%s: the host key is not known, or has changed", s->url);
        err_hint(err,
                 "Put the host's key into the file of --known-hosts, or into ConfigMap "
                 "%s/%s (ssh-keyscan shows it; compare it with what its owner publishes).",
                 ARGOCD_NAMESPACE, ARGOCD_KNOWN_HOSTS);
        return;
    }
    if (strstr(text, "No user exists for uid")) { // such as any one that a container is given
        err_set(err, ERR_INVALID, "%s: ssh does not run as a user without a name", s->url);
        err_hint(err, "Give user %u a line in /etc/passwd, or use https.", (unsigned)geteuid());
        return;
    }
    // ssh warns about many things first; the last line is why it gave up.
    size_t len = strlen(text);
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    size_t from = len;
    while (from && text[from - 1] != '\n' && len - from < 300)
        from--;
    err_set(err,
            denied    ? ERR_DENIED
            : missing ? ERR_NOT_FOUND
                      : ERR_UNAVAILABLE,
            "%s: %.*s", s->url, len > from ? (int)(len - from) : 20,
            len > from ? text + from : "the connection ended");
}

// sshd drops connections when too many have not signed in yet: that passes.
static bool is_passing(const struct ssh_call *s, int code, const char *text)
{
    return code == 255 && !s->has_data && s->in_fd <= 0 && s->tries + 1 < MAX_TRIES && s->done &&
           (strstr(text, "Connection closed by") || strstr(text, "Connection reset by") ||
            strstr(text, "kex_exchange_identification"));
}

static void on_again(void *ctx)
{
    struct ssh_call *s = ctx;
    turn_ask(s->turn.hosts, s->url, HOSTS_SSH_AT_ONCE, &s->turn);
}

static void on_child(void *ctx, struct proc_result *r, struct err *err)
{
    struct ssh_call *s = ctx;
    struct err e = {0};
    s->child = NULL;
    loop_timer_stop(s->silence);
    const char *text = r->err_text.p ? r->err_text.p : "";
    if (!s->is_silent && !err_is_set(err) && is_passing(s, r->exit_code, text)) {
        turn_end(&s->turn, NULL);
        loop_timer_set(s->again, (int64_t)PAUSE_MS << s->tries++);
        return;
    }
    if (s->is_silent)
        err_set(&e, ERR_TIMEOUT, "%s: it was silent for %lld s", s->url,
                (long long)s->silence_ms / 1000);
    else if (s->has_enough)
        ; // we ended it
    else if (err_is_set(err))
        err_move(&e, err);
    else if (r->exit_code)
        words_err(s, r->exit_code, text, &e);
    end(s, &e);
}

static bool on_out(void *ctx, const char *p, size_t len)
{
    struct ssh_call *s = ctx;
    loop_timer_set(s->silence, s->silence_ms);
    s->has_data = true;
    s->has_enough = s->done && !s->on_data(s->data_ctx, p, len);
    return !s->has_enough;
}

static void on_silence(void *ctx)
{
    struct ssh_call *s = ctx;
    // While a file goes out nothing comes in: ssh reads it where we see how far it is.
    off_t at = s->in_fd > 0 ? lseek(s->in_fd, 0, SEEK_CUR) : s->sent;
    if (at != s->sent) {
        s->sent = at;
        loop_timer_set(s->silence, s->silence_ms);
        return;
    }
    s->is_silent = true;
    proc_cancel(s->child);
}

static void on_turn(void *ctx, const struct err *dead)
{
    struct ssh_call *s = ctx;
    struct err err = {0};
    if (dead) {
        err_copy(&err, dead);
        end(s, &err);
        return;
    }
    struct strv env = {0};
    user_environment(&env, NULL);
    struct proc_opts o = {.argv = (const char *const *)s->argv.v,
                          .env = (const char *const *)env.v,
                          .in = s->in.p,
                          .in_len = s->in.len,
                          .in_fd = s->in_fd,
                          .max_out_bytes = s->max_bytes,
                          .on_out = on_out,
                          .out_ctx = s,
                          .timeout_ms = s->in_fd > 0 ? PUSH_MS : TOTAL_MS};
    loop_timer_set(s->silence, s->silence_ms);
    s->child = proc_start(s->loop, &o, on_child, s);
    strv_clear(&env);
}

static void on_refused(void *ctx)
{
    struct ssh_call *s = ctx;
    struct err err = {0};
    err_move(&err, &s->refused);
    end(s, &err);
}

struct ssh_call *ssh_start(struct loop *l, struct hosts *h, const struct ssh_request *q,
                           ssh_done_fn done, void *ctx)
{
    struct ssh_call *s = mem_alloc(sizeof(*s));
    s->loop = l;
    s->url = str_dup(q->url);
    s->key_fd = s->hosts_fd = -1;
    s->max_bytes = q->max_bytes;
    s->in_fd = q->in_fd;
    s->silence_ms = q->silence_ms ? q->silence_ms : SILENCE_MS;
    s->on_data = q->on_data;
    s->data_ctx = q->data_ctx;
    s->done = done;
    s->ctx = ctx;
    if (q->in_len)
        buf_append(&s->in, q->in, q->in_len);
    s->turn.go = on_turn;
    s->turn.ctx = s;
    bool ok = build_argv(s, q, &s->refused);
    s->silence = loop_timer_new(l, ok ? on_silence : on_refused, s);
    s->again = loop_timer_new(l, on_again, s);
    if (ok)
        turn_ask(h, q->url, HOSTS_SSH_AT_ONCE, &s->turn);
    else
        loop_timer_set(s->silence, 0);
    return s;
}

void ssh_cancel(struct ssh_call *s)
{
    if (!s)
        return;
    s->done = NULL;
    if (!s->child) {
        turn_end(&s->turn, NULL);
        call_free(s);
        return;
    }
    bool is_over = false;
    struct loop *loop = s->loop;
    s->is_over = &is_over;
    proc_cancel(s->child);
    while (!is_over)
        loop_run_once(loop, 100);
}
