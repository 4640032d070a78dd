// SPDX-License-Identifier: Apache-2.0
#include "source/helper.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/proc.h"

#define HELPER_MS 30000
#define MAX_ANSWER (64U << 10)

struct asked {
    char *url;
    struct helper *helper;
    bool is_known;
    struct source_cred cred; // without password: there is none
    struct proc *child;
    char *in;
};

struct question {
    struct asked *about;
    helper_fn done;
    void *ctx;
    struct question *next;
};

struct helper {
    struct loop *loop;
    VEC(struct asked *) asked;
    struct question *open;
    struct loop_timer *answer;
    bool is_freeing;
};

static void answer_open(void *ctx)
{
    struct helper *h = ctx;
    struct question **at = &h->open;
    while (*at) {
        struct question *q = *at;
        if (!q->about->is_known) {
            at = &q->next;
            continue;
        }
        *at = q->next;
        q->done(q->ctx, q->about->cred.password ? &q->about->cred : NULL);
        free(q);
        at = &h->open; // the answer may have asked, or cancelled, something else
    }
}

struct helper *helper_new(struct loop *l)
{
    struct helper *h = mem_alloc(sizeof(*h));
    h->loop = l;
    h->answer = loop_timer_new(l, answer_open, h);
    return h;
}

static void asked_free(struct asked *x)
{
    source_cred_clear(&x->cred);
    free(x->url);
    free(x->in);
    free(x);
}

void helper_free(struct helper *h)
{
    if (!h)
        return;
    h->is_freeing = true;
    while (h->open)
        helper_cancel(h->open);
    for (size_t i = 0; i < h->asked.len; i++) {
        struct asked *x = h->asked.v[i];
        if (x->child)
            proc_cancel(x->child);
        while (x->child)
            loop_run_once(h->loop, 100);
        asked_free(x);
    }
    vec_clear(&h->asked);
    loop_timer_free(h->answer);
    free(h);
}

// Nothing in a URL may become another line of the question.
static bool has_control(const char *s)
{
    for (; *s; s++)
        if (iscntrl((unsigned char)*s))
            return true;
    return false;
}

static char *question_text(const char *url)
{
    const char *sep = strstr(url, "://");
    if (!sep || has_control(url))
        return NULL;
    const char *host = sep + 3;
    size_t n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', n);
    struct buf b = {0};
    buf_printf(&b, "protocol=%.*s\n", (int)(sep - url), url);
    if (at) {
        buf_printf(&b, "username=%.*s\n", (int)strcspn(host, ":@"), host);
        n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    buf_printf(&b, "host=%.*s\n", (int)n, host);
    const char *path = host + n;
    if (path[0] == '/' && path[1])
        buf_printf(&b, "path=%.*s\n", (int)strcspn(path + 1, "?#"), path + 1);
    buf_char(&b, '\n');
    return buf_take(&b);
}

static void read_answer(struct asked *x, const char *text)
{
    struct strv lines = {0};
    strv_split(&lines, text, '\n');
    for (size_t i = 0; i < lines.len; i++) {
        char *v = lines.v[i];
        if (str_starts(v, "username="))
            str_set(&x->cred.username, v + 9);
        if (str_starts(v, "password="))
            str_set(&x->cred.password, v + 9);
        explicit_bzero(v, strlen(v));
    }
    strv_clear(&lines);
}

static void on_child(void *ctx, struct proc_result *r, struct err *err)
{
    struct asked *x = ctx;
    x->child = NULL;
    x->is_known = true;
    // Without git, or with a helper that fails, there simply is no credential.
    if (!err_is_set(err) && !r->exit_code && r->out.p)
        read_answer(x, r->out.p);
    if (r->out.p)
        explicit_bzero(r->out.p, r->out.len);
    if (!x->helper->is_freeing)
        loop_timer_set(x->helper->answer, 0);
}

void user_environment(struct strv *out, const char *const *more)
{
    for (size_t i = 0; more && more[i]; i++)
        strv_push(out, more[i]);
    for (char **e = environ; *e; e++) {
        bool ours = str_starts(*e, "REGROW_");
        size_t n = strcspn(*e, "=") + 1;
        for (size_t i = 0; more && more[i]; i++)
            ours |= !strncmp(more[i], *e, n);
        if (!ours)
            strv_push(out, *e);
    }
    *vec_push(out) = NULL;
}

static void ask_git(struct asked *x, const char *url)
{
    // An empty GIT_ASKPASS keeps git from looking for a program that would open a window.
    static const char *const more[] = {"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", NULL};
    static const char *const argv[] = {"git", "credential", "fill", NULL};
    x->in = question_text(url);
    if (!x->in) {
        x->is_known = true;
        loop_timer_set(x->helper->answer, 0);
        return;
    }
    struct strv env = {0};
    user_environment(&env, more);
    struct proc_opts o = {.argv = argv,
                          .env = (const char *const *)env.v,
                          .cwd = "/", // no repository's configuration
                          .in = x->in,
                          .in_len = strlen(x->in),
                          .max_out_bytes = MAX_ANSWER,
                          .timeout_ms = HELPER_MS};
    x->child = proc_start(x->helper->loop, &o, on_child, x);
    strv_clear(&env);
}

static struct asked *asked_of(struct helper *h, const char *url)
{
    for (size_t i = 0; i < h->asked.len; i++)
        if (!strcmp(h->asked.v[i]->url, url))
            return h->asked.v[i];
    struct asked *x = mem_alloc(sizeof(*x));
    x->helper = h;
    x->url = str_dup(url);
    *vec_push(&h->asked) = x;
    ask_git(x, url);
    return x;
}

struct question *helper_ask(struct helper *h, const char *url, helper_fn done, void *ctx)
{
    struct question *q = mem_alloc(sizeof(*q));
    q->about = asked_of(h, url);
    q->done = done;
    q->ctx = ctx;
    q->next = h->open;
    h->open = q;
    if (q->about->is_known)
        loop_timer_set(h->answer, 0);
    return q;
}

void helper_cancel(struct question *q)
{
    struct question **at = &q->about->helper->open;
    while (*at && *at != q)
        at = &(*at)->next;
    if (*at)
        *at = q->next;
    free(q);
}
