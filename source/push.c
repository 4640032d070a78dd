// SPDX-License-Identifier: Apache-2.0
//
// Whole repositories back to their hosts: what is there (all asked side by side), and one request
// with everything that is not. The pack is put into a private file behind the request and goes out
// from there, so that its length is known and a history of any size takes no memory.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "source/git.h"
#include "source/gitrepo.h"
#include "source/load.h"

#define TELL_MS 500 // between two words on how far it is
#define SHOWN_SAID 300

// ---- a folder of this machine ----
static bool open_folder(const char *path, git_repository **out, struct err *err)
{
    if (!file_exists(path))
        return err_set(err, ERR_NOT_FOUND, "there is no folder %s", path);
    if (!gitrepo_open_local(path, out, err))
        return false;
    return git_repository_is_bare(*out) ||
           err_set(err, ERR_INVALID, "%s has a work tree; a bare repository is wanted", path);
}

static void look_in_folder(struct source_push *p, const char *path)
{
    git_repository *r = NULL;
    git_reference *h = NULL;
    if (open_folder(path, &r, &p->problem) &&
        gitrepo_refs_whole(r, &p->there, &p->head, &p->problem) && git_repository_head(&h, r) != 0)
        str_freep(&p->head); // names what is not there
    git_reference_free(h);
    git_repository_free(r);
}

static void write_ref(git_repository *r, const struct source_push_ref *x, struct strv *refused)
{
    git_reference *ref = NULL;
    git_oid to;
    git_oid from;
    bool is_new = !*x->from;
    int rc = git_oid_fromstr(&to, x->to);
    if (rc == 0 && !is_new)
        rc = git_oid_fromstr(&from, x->from);
    if (rc == 0)
        rc = git_reference_create_matching(&ref, r, x->name, &to, !is_new, is_new ? NULL : &from,
                                           "restored");
    const git_error *e = rc != 0 ? git_error_last() : NULL;
    if (rc != 0)
        strv_push_take(refused,
                       str_printf("%s %s", x->name, e && e->message ? e->message : "refused"));
    git_reference_free(ref);
}

static bool send_to_folder(struct source *s, const char *path, struct source_pushing *x, int fd,
                           struct err *err)
{
    git_repository *r = NULL;
    bool ok = open_folder(path, &r, err) && (!x->objects || gitrepo_store(r, fd, s->loop, err));
    for (size_t i = 0; ok && i < x->n; i++)
        write_ref(r, &x->refs[i], &x->refused);
    git_repository_free(r);
    return ok;
}

// ---- looking ----
struct looking {
    struct source_push *p;
    struct gitcall *call; // NULL: over
    struct gitremote reader;
    struct git_refs seen; // by readers: HEAD
    bool with_head;
    size_t *open;
};

static void take_head(struct looking *l)
{
    for (size_t i = 0; i < l->seen.refs.len; i++)
        if (!strcmp(l->seen.refs.v[i].name, "HEAD"))
            str_set(&l->p->head, l->seen.refs.v[i].symref);
}

static void on_head(void *ctx, struct err *err)
{
    struct looking *l = ctx;
    l->call = NULL;
    --*l->open;
    err_clear(err); // who may write but not read is told the less
    take_head(l);
}

static void on_listed(void *ctx, struct err *err)
{
    struct looking *l = ctx;
    struct source_push *p = l->p;
    l->call = NULL;
    if (!err_is_set(err) && !p->remote->greeting.has_status)
        err_set(err, ERR_INVALID, "%s does not report what becomes of a push", p->remote->shown);
    if (err_is_set(err))
        err_move(&p->problem, err);
    if (err_is_set(&p->problem) || !l->with_head) {
        --*l->open;
        return;
    }
    l->reader = *p->remote;
    l->reader.base = NULL;
    l->reader.is_push = false;
    l->call = gitnet_list(&l->reader, &l->seen, on_head, l);
}

static void remote_free(struct gitremote **r)
{
    if (!*r)
        return;
    gitremote_clear(*r);
    free((char *)(*r)->shown);
    free(*r);
    *r = NULL;
}

void source_push_clear(struct source_push *p)
{
    git_refs_clear(&p->there);
    str_freep(&p->head);
    err_clear(&p->problem);
    remote_free(&p->remote);
}

static void begin_look(struct source *s, struct looking *l)
{
    struct source_push *p = l->p;
    const char *path = gitsrc_local_path(p->url);
    source_push_clear(p);
    if (path) {
        look_in_folder(p, path);
        return;
    }
    p->remote = mem_alloc(sizeof(*p->remote));
    *p->remote = (struct gitremote){.c = &s->ctx,
                                    .url = p->url,
                                    .shown = url_redacted(p->url),
                                    .is_whole = true,
                                    .is_push = true};
    ++*l->open;
    l->call = gitnet_list(p->remote, &p->there, on_listed, l);
}

bool source_push_look(struct source *s, struct source_push *v, size_t n, bool with_head,
                      struct err *err)
{
    struct looking *all = mem_alloc((n + 1) * sizeof(*all));
    size_t open = 0;
    gitrepo_init();
    for (size_t i = 0; i < n; i++) {
        all[i] = (struct looking){.p = &v[i], .with_head = with_head, .open = &open};
        begin_look(s, &all[i]);
    }
    while (open && !loop_stopping(s->loop))
        loop_run_once(s->loop, 200);
    for (size_t i = 0; i < n; i++) {
        gitnet_cancel(all[i].call);
        gitremote_clear(&all[i].reader);
        git_refs_clear(&all[i].seen);
    }
    free(all);
    return !open || loop_stopped(s->loop, err, "asking Git hosts");
}

// ---- sending ----
struct sending {
    struct source *s;
    struct source_push *p;
    struct source_pushing *x;
    struct push_report report;
    struct err err;
    bool is_over;
    uint64_t sent;
    int64_t told_ms;
    int fd;
};

static void on_sent(void *ctx, uint64_t bytes)
{
    struct sending *g = ctx;
    g->sent = bytes;
}

static void on_pushed(void *ctx, struct err *err)
{
    struct sending *g = ctx;
    g->is_over = true;
    err_move(&g->err, err);
}

// ssh reads the file where we see how far it is; curl says so.
static void tell(struct sending *g)
{
    off_t at = lseek(g->fd, 0, SEEK_CUR);
    uint64_t sent = g->sent > (uint64_t)at ? g->sent : (uint64_t)at;
    if (clock_mono_ms() - g->told_ms < TELL_MS)
        return;
    g->told_ms = clock_mono_ms();
    event_emit(g->s->o.events, "git.sending", "{s:s, s:I, s:I}", "to", g->p->remote->shown, "bytes",
               (json_int_t)sent, "of", (json_int_t)g->x->bytes);
}

// The last line of what hooks and servers say to people.
static char *last_line(const struct buf *said)
{
    size_t len = said->len;
    while (len && strchr("\r\n ", said->p[len - 1]))
        len--;
    size_t from = len;
    while (from && said->p[from - 1] != '\n' && len - from < SHOWN_SAID)
        from--;
    return len > from ? str_ndup(said->p + from, len - from) : NULL;
}

static bool judge(struct sending *g, struct err *err)
{
    struct push_report *r = &g->report;
    const char *shown = g->p->remote->shown;
    g->x->said = last_line(&r->said);
    if (err_is_set(&g->err)) {
        err_move(err, &g->err);
        return false;
    }
    if (!r->unpack)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: the connection ended before the server had said "
                       "what became of it",
                       shown);
    if (strcmp(r->unpack, "ok") != 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: the server did not take the pack: %s%s%s", shown,
                       r->unpack, g->x->said ? ": " : "", g->x->said ? g->x->said : "");
    for (size_t i = 0; i < r->refused.len; i++)
        strv_push(&g->x->refused, r->refused.v[i]);
    return r->taken + r->refused.len >= g->x->n ||
           err_set(err, ERR_UNAVAILABLE, "%s: the server says nothing of some refs", shown);
}

static bool send_over_net(struct source *s, struct source_push *p, struct source_pushing *x, int fd,
                          struct err *err)
{
    struct sending g = {.s = s, .p = p, .x = x, .fd = fd, .told_ms = clock_mono_ms()};
    struct gitcall *call = gitnet_push(p->remote, fd, &g.report, on_sent, on_pushed, &g);
    while (!g.is_over && !loop_stopping(s->loop)) {
        loop_run_once(s->loop, 200);
        tell(&g);
    }
    if (!g.is_over)
        gitnet_cancel(call);
    bool ok = g.is_over ? judge(&g, err) : loop_stopped(s->loop, err, "pushing to Git");
    push_report_clear(&g.report);
    err_clear(&g.err);
    return ok;
}

// The request and the pack, in a file without a name; to a folder the pack alone.
static bool prepare(struct source_push *p, struct source_pushing *x, int fd, struct err *err)
{
    struct strv tips = {0};
    struct buf head CLEANUP(buf_clear) = {0};
    for (size_t i = 0; i < x->n; i++) {
        strv_push(&tips, x->refs[i].to);
        if (p->remote)
            push_request_add(&head, &p->remote->greeting, x->refs[i].name, x->refs[i].from,
                             x->refs[i].to);
    }
    if (p->remote)
        push_request_end(&head);
    bool ok = file_write_fd(fd, "the request", head.p ? head.p : "", head.len, err) &&
              git_proof_pack(x->proof, &tips, x->less, fd, &x->objects, err);
    off_t size = lseek(fd, 0, SEEK_CUR);
    x->bytes = size > 0 ? (uint64_t)size : 0;
    strv_clear(&tips);
    return ok;
}

static int nameless(const char *dir, struct err *err)
{
    CLEANUP(str_freep) char *path = path_join(dir, "push.XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        err_set_errno(err, errno, "make a file in %s", dir);
    else
        unlink(path);
    return fd;
}

bool source_push_send(struct source *s, struct source_push *p, struct source_pushing *x,
                      struct err *err)
{
    const char *path = gitsrc_local_path(p->url);
    int fd CLEANUP(fd_closep) = nameless(x->dir, err);
    if (fd < 0 || !prepare(p, x, fd, err))
        return false;
    return path ? send_to_folder(s, path, x, fd, err) : send_over_net(s, p, x, fd, err);
}

void source_pushing_clear(struct source_pushing *x)
{
    strv_clear(&x->refused);
    str_freep(&x->said);
}
