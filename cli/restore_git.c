// SPDX-License-Identifier: Apache-2.0
//
// The Git part of a restore: from options to a push, and how it is shown. Before the cluster the
// hosts are only looked at, and who does not answer may still be in the cluster that is to come;
// after it they are waited for.
#include <stdlib.h>
#include <string.h>

#include "cli/restoring.h"

#define WAIT_GIT_MS 120000
#define PUSH_MS (5 * 60 * 1000LL)
#define PAUSE_MS 2000
#define SHOWN_AWAY 5

// ---- opening ----
static bool is_in_root(const char *root, const char *url)
{
    size_t n = strlen(url);
    return root && !strncmp(root, url, n) && (!root[n] || root[n] == '/' || root[n] == '?');
}

// Credentials of the environment are for one host: that of the root, else of what is first.
static const char *main_target(const struct restoring *x)
{
    const char *first = "";
    for (size_t i = 0; i < x->git.places.v.len; i++) {
        const struct git_place *p = &x->git.places.v.v[i];
        if (p->to && is_in_root(x->frozen.root, p->h->url))
            return p->to;
        if (p->to && !*first)
            first = p->to;
    }
    return first;
}

// What Argo CD logged in with is in the snapshot: for the URLs that its Secrets name, also here.
static json_t *argocd_secrets(const struct restoring *x)
{
    const struct desired *d = x->frozen.desired;
    json_t *out = json_array();
    for (size_t i = 0; i < x->frozen.zero.len; i++) {
        const struct zero_object *z = &x->frozen.zero.v[i];
        json_t *doc = NULL;
        struct err err = {0};
        if (str_eq(z->id.namespace, ARGOCD_NAMESPACE) &&
            canon_read(z->body, z->body_len, &doc, &err))
            json_array_append(out, doc);
        json_decref(doc);
        err_clear(&err);
    }
    for (size_t i = 0; i < d->objects.len; i++) {
        const struct object *o = &d->objects.v[i];
        if (strcmp(o->id.kind, "Secret") != 0 || *o->id.group ||
            !str_eq(o->id.namespace, ARGOCD_NAMESPACE))
            continue;
        json_array_append_new(out, object_doc(o));
    }
    return out;
}

bool restore_git_open(struct restoring *x, const struct age_identity *id, struct err *err)
{
    struct cli *c = x->c;
    if (!reader_open(&x->snap.repo, x->snap.chain, x->e, id, &x->git_reader, err))
        return err_wrap(err, "snapshot %llu", (unsigned long long)x->e->seq);
    if (!gitback_open(x->git_reader, &c->o.restore.push_git, c->loop, &x->git, err) ||
        !cli_source_opts(c, main_target(x), &x->git_source, err))
        return false;
    x->git_source.events = &c->events;
    x->git_argocd = argocd_secrets(x);
    x->git_source.argocd = x->git_argocd;
    return true;
}

static bool explain(struct err *err)
{
    switch (err->kind) {
    case ERR_CONFLICT:
        return err_hint(err, "Nothing was pushed: what is there is never overwritten. Somebody may "
                             "have pushed since: leave --push-git out, and the cluster comes back "
                             "all the same; or push to an empty place. Remove these refs there "
                             "only if nobody needs them.");
    case ERR_NOT_FOUND:
        return err_hint(err, "Make an empty repository there (no README, no licence), then run "
                             "the same command again. Credentials that are missing or too weak "
                             "look the same on many hosts.");
    case ERR_DENIED:
        return err_hint(err, "It takes credentials that may write: REGROW_GIT_USERNAME and "
                             "REGROW_GIT_PASSWORD, --credentials FILE, or --git-credentials.");
    case ERR_NONE:
    case ERR_USAGE:
    case ERR_INVALID:
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_CORRUPT:
    case ERR_PARTIAL:
    case ERR_INTERNAL:
    case ERR_CANCELLED:
        break;
    }
    return err->hint ? false
                     : err_hint(err, "Run the same command again: what has been done is not done "
                                     "a second time.");
}

static bool is_about_trust(const struct err *err)
{
    return err->hint && (strstr(err->hint, "--ca-file") || strstr(err->hint, "--known-hosts"));
}

static bool fail_git(struct err *err)
{
    if (!is_about_trust(err))
        (void)explain(err);
    return false;
}

// ---- looking, pushing ----
static void tell_plan(const struct restoring *x)
{
    for (size_t i = 0; i < x->git.places.v.len; i++) {
        const struct gitback_repo *r = &x->git.repos[i];
        const struct git_place *p = &x->git.places.v.v[i];
        if (!p->to)
            continue;
        CLEANUP(str_freep) char *to = repo_url_shown(p->to);
        if (r->state == GITBACK_AWAITED)
            event_emit(&x->c->events, "git.awaited", "{s:s, s:s, s:s}", "repo", p->h->url, "to", to,
                       "message", r->problem.msg);
        else
            event_emit(&x->c->events, "git.planned", "{s:s, s:s, s:I, s:I, s:I}", "repo", p->h->url,
                       "to", to, "create", (json_int_t)r->news.create, "forward",
                       (json_int_t)r->news.forward, "unchanged", (json_int_t)r->news.same);
    }
}

static bool look(struct restoring *x, struct source **s, struct err *err)
{
    source_free(*s); // it would not ask a host again that was not there
    *s = source_new(x->c->loop, &x->git_source);
    return gitback_look(&x->git, *s, err);
}

bool restore_git_look(struct restoring *x, struct err *err)
{
    struct source *s CLEANUP(source_freep) = NULL;
    struct err problem = {0};
    if (!look(x, &s, err))
        return fail_git(err);
    tell_plan(x);
    // Without a cluster to come nothing will be there that is not there now.
    if (x->c->o.restore.git_only && !x->c->o.restore.wait_git_ms &&
        !gitback_is_reached(&x->git, &problem))
        err_move(err, &problem);
    err_clear(&problem);
    return !err_is_set(err) || fail_git(err);
}

char *restore_git_host(const struct restoring *x)
{
    for (size_t i = 0; i < x->git.places.v.len; i++) {
        enum gitback_state s = x->git.repos[i].state;
        if (s != GITBACK_PLANNED && s != GITBACK_AWAITED)
            continue;
        CLEANUP(str_freep) char *to = repo_url_shown(x->git.places.v.v[i].to);
        const char *scheme = strstr(to, "://");
        const char *at = scheme ? scheme + 3 : to;
        const char *user = strchr(at, '@');
        bool is_folder = scheme ? str_starts(to, "file:") : !(user && strchr(user, ':'));
        if (is_folder)
            return str_dup(to);
        at = user && user < at + strcspn(at, "/") ? user + 1 : at;
        return str_ndup(at, strcspn(at, scheme ? "/" : ":/"));
    }
    return NULL;
}

static void pause_loop(struct loop *l, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until && !loop_stopping(l))
        loop_run_once(l, until - clock_mono_ms());
}

static int64_t patience(const struct restoring *x)
{
    int64_t given = x->c->o.restore.wait_git_ms;
    return given ? given : x->c->o.restore.git_only ? 0 : WAIT_GIT_MS;
}

static bool look_and_wait(struct restoring *x, struct source **s, struct err *err)
{
    int64_t until = clock_mono_ms() + patience(x);
    bool is_told = false;
    for (;;) {
        struct err problem = {0};
        if (!look(x, s, err))
            return false;
        if (gitback_is_reached(&x->git, &problem))
            return true;
        bool passes = problem.kind == ERR_UNAVAILABLE || problem.kind == ERR_TIMEOUT;
        if (!passes || clock_mono_ms() >= until) {
            err_move(err, &problem);
            return false;
        }
        if (!is_told)
            tell_plan(x);
        is_told = true;
        err_clear(&problem);
        pause_loop(x->c->loop, PAUSE_MS);
        if (loop_stopping(x->c->loop))
            return loop_stopped(x->c->loop, err, "waiting for the Git host");
    }
}

bool restore_git_push(struct restoring *x, struct err *err)
{
    struct source *s CLEANUP(source_freep) = NULL;
    struct progress *p CLEANUP(progress_freep) = progress_new(x->c);
    int64_t began = clock_mono_ms();
    progress_say(p, "asking the Git host");
    // The run took it away; where it has used all of it Git still gets a while of its own.
    int64_t until = x->c->deadline_ms;
    loop_set_deadline(x->c->loop, until && until < began + PUSH_MS ? began + PUSH_MS : until);
    bool ok = look_and_wait(x, &s, err) && gitback_push(&x->git, s, &x->c->events, err);
    progress_end(p);
    x->git_ms = clock_mono_ms() - began;
    x->is_pushed = ok;
    return ok || fail_git(err);
}

// ---- what it says ----
static char *refs_text(const struct git_refs *refs)
{
    size_t n[3];
    static const char *const what[3][2] = {
        {"branch", "branches"}, {"tag", "tags"}, {"other ref", "other refs"}};
    struct buf b = {0};
    gitback_count(refs, &n[0], &n[1], &n[2]);
    for (size_t i = 0; i < 3; i++)
        if (n[i] || (!i && !n[1] && !n[2]))
            buf_printf(&b, "%s%zu %s", b.len ? ", " : "", n[i], what[i][n[i] != 1]);
    return buf_take(&b);
}

static void add_news(const struct gitback_repo *r, struct buf *b)
{
    const struct {
        size_t n;
        const char *what;
    } parts[] = {{r->news.create, "to create"},
                 {r->news.forward, "to move forward"},
                 {r->news.same, "there already"},
                 {r->news.ahead, "there and ahead, left as they are"},
                 {r->news.besides, "of others there, left alone"}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i].n)
            buf_printf(b, ", %zu %s", parts[i].n, parts[i].what);
}

static char *plan_text(const struct restoring *x, size_t i)
{
    const struct git_place *p = &x->git.places.v.v[i];
    const struct gitback_repo *r = &x->git.repos[i];
    CLEANUP(str_freep) char *to = repo_url_shown(p->to);
    CLEANUP(str_freep) char *refs = refs_text(&p->h->refs);
    struct buf b = {0};
    if (r->state == GITBACK_NONE) {
        buf_str(&b, r->problem.msg);
        return buf_take(&b);
    }
    if (strcmp(to, p->h->url) != 0)
        buf_printf(&b, "%s to ", p->h->url);
    buf_printf(&b, "%s: %s", to, refs);
    if (p->h->head && str_starts(p->h->head, "refs/heads/"))
        buf_printf(&b, " (default branch %s)", p->h->head + strlen("refs/heads/"));
    if (p->h->is_stale)
        buf_str(&b, ", as it was before, since it could not be read when the snapshot was made");
    if (r->state == GITBACK_AWAITED)
        buf_printf(&b, "; it cannot be asked now%s: %s",
                   x->c->o.restore.git_only ? "" : ", and will be when the cluster is up",
                   r->problem.msg);
    else
        add_news(r, &b);
    return buf_take(&b);
}

static void print_item(const char *symbol, const char *text)
{
    printf("  %s ", symbol);
    print_wrapped(stdout, text, 4, 4);
}

void restore_git_print_plan(const struct restoring *x)
{
    struct buf away CLEANUP(buf_clear) = {0};
    size_t n_away = 0;
    printf("Git      back to its host, %s\n",
           x->c->o.restore.git_only ? "and no cluster is touched" : "once the cluster is up");
    for (size_t i = 0; i < x->git.places.v.len; i++) {
        const struct gitback_repo *r = &x->git.repos[i];
        if (r->state == GITBACK_AWAY) {
            if (n_away++ < SHOWN_AWAY)
                buf_printf(&away, "%s%s", away.len ? ", " : "", x->git.places.v.v[i].h->url);
            continue;
        }
        CLEANUP(str_freep) char *text = plan_text(x, i);
        print_item(r->state == GITBACK_AWAITED || r->state == GITBACK_NONE ? "!" : " ", text);
    }
    if (!n_away)
        return;
    CLEANUP(str_freep)
    char *more =
        n_away > SHOWN_AWAY ? str_printf(" and %zu more", n_away - SHOWN_AWAY) : str_dup("");
    CLEANUP(str_freep)
    char *text = str_printf("not pushed, since no --push-git is about them: %s%s", away.p, more);
    print_item(" ", text);
}

static void print_head(const struct restoring *x, const struct gitback_repo *r)
{
    CLEANUP(str_freep) char *to = repo_url_shown(r->there.url);
    const char *want = r->head_wanted + strlen("refs/heads/");
    CLEANUP(str_freep)
    char *text = str_printf("%s: set the default branch to %s there (a push cannot; %s)", to, want,
                            r->there.head ? r->there.head : "there is none now");
    (void)x;
    print_item("!", text);
}

static void print_repo(const struct restoring *x, size_t i)
{
    const struct gitback_repo *r = &x->git.repos[i];
    CLEANUP(str_freep)
    char *to = x->git.places.v.v[i].to ? repo_url_shown(x->git.places.v.v[i].to) : str_dup("");
    CLEANUP(str_freep) char *size = size_text(r->bytes);
    CLEANUP(str_freep) char *took = clock_duration_text(r->ms);
    if (r->state == GITBACK_PUSHED) {
        CLEANUP(str_freep)
        char *text = str_printf("pushed %s: %zu ref%s, %llu object%s, %s in %s", to, r->news.v.len,
                                r->news.v.len == 1 ? "" : "s", (unsigned long long)r->objects,
                                r->objects == 1 ? "" : "s", size, took);
        print_item(state_symbol(x->c, NODE_READY), text);
    } else if (r->state == GITBACK_SAME) {
        CLEANUP(str_freep)
        char *text = str_printf("%s has all of it%s", to, r->news.ahead ? ", and more" : "");
        print_item(state_symbol(x->c, NODE_READY), text);
    } else if (err_is_set(&r->problem)) {
        print_item(state_symbol(x->c, NODE_FAILED), r->problem.msg);
    }
    if (r->refused.len) {
        CLEANUP(str_freep)
        char *text = str_printf("%s keeps %zu ref%s to itself that %s neither branch nor tag, such "
                                "as %s",
                                to, r->refused.len, r->refused.len == 1 ? "" : "s",
                                r->refused.len == 1 ? "is" : "are", r->refused.v[0]);
        print_item("!", text);
    }
    if (r->head_wanted && (r->state == GITBACK_PUSHED || r->state == GITBACK_SAME))
        print_head(x, r);
}

void restore_git_print_end(const struct restoring *x)
{
    if (x->is_put_off) {
        CLEANUP(str_freep) char *command = restore_git_command(x);
        CLEANUP(str_freep)
        char *text = str_printf("Git was not pushed: the cluster comes first. The same command "
                                "continues; without a cluster: %s",
                                command);
        print_item("!", text);
    }
    for (size_t i = 0; i < x->git.places.v.len; i++)
        print_repo(x, i);
    for (size_t i = 0; i < x->git.places.v.len && x->is_pushed; i++) {
        const struct git_place *p = &x->git.places.v.v[i];
        if (!p->from || !is_in_root(x->frozen.root, p->h->url))
            continue;
        CLEANUP(str_freep)
        char *text = str_printf("what is in Git still says %s, where Argo CD and Flux ask: give "
                                "the new host the old name, or change repoURL in Git and bootstrap "
                                "from the new URL. Until then regrow needs --mirror",
                                p->h->url);
        print_item("!", text);
        return;
    }
}

void restoring_print_git_end(const struct restoring *x)
{
    restore_git_print_end(x);
    if (!x->is_pushed)
        return;
    CLEANUP(str_freep) char *command = restore_next_command(x);
    printf("  next: ");
    print_wrapped(stdout, command, 8, 8);
}

// ---- the switch back ----
static void add_words(struct buf *b, const char *option, const struct strv *words)
{
    for (size_t i = 0; i < words->len; i++)
        shell_option(b, option, words->v[i]);
}

// Which repository, and what opens it: as it was said.
static void add_snapshot(struct buf *b, const struct restoring *x)
{
    const struct snapshot_options *o = &x->c->o.snap;
    const struct {
        const char *option, *value, *env;
    } all[] = {{"--repo", o->repo, "REGROW_REPO"},
               {"--trust", o->trust, "REGROW_TRUST"},
               {"--chain", o->chain, "REGROW_CHAIN"},
               {"--key", o->key, "REGROW_KEY"},
               {"--passphrase-file", o->passphrase_file, "REGROW_PASSPHRASE_FILE"}};
    buf_printf(b, "regrow restore %llu", (unsigned long long)x->e->seq);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i].value && !str_eq(getenv(all[i].env), all[i].value))
            shell_option(b, all[i].option, all[i].value);
    add_words(b, "-i", &o->identities);
}

static void add_places(struct buf *b, const struct restoring *x)
{
    for (size_t i = 0; i < x->c->o.restore.push_git.len; i++) {
        // OLD=URL, both without credentials.
        const char *text = x->c->o.restore.push_git.v[i];
        const char *equals = strchr(text, '=');
        CLEANUP(str_freep) char *old = equals ? str_ndup(text, (size_t)(equals - text)) : NULL;
        CLEANUP(str_freep) char *from = old ? repo_url_shown(old) : NULL;
        CLEANUP(str_freep) char *to = repo_url_shown(equals ? equals + 1 : text);
        CLEANUP(str_freep) char *both = str_printf("%s%s%s", from ? from : "", from ? "=" : "", to);
        shell_option(b, "--push-git", both);
    }
}

// Without the cluster, in which something is in the way.
char *restore_git_command(const struct restoring *x)
{
    struct buf b = {0};
    add_snapshot(&b, x);
    buf_str(&b, " --git-only");
    add_places(&b, x);
    return buf_take(&b);
}

char *restore_again_command(const struct restoring *x, bool is_whole)
{
    const struct options *o = &x->c->o;
    struct buf b = {0};
    const struct {
        const char *option, *value;
    } same[] = {{"--kubeconfig", o->kubeconfig}, {"--context", o->context}, {"--then", o->then}};
    const struct {
        const char *option;
        bool is_given;
    } flags[] = {{"--adopt", o->restore.adopt},
                 {"--allow-suspect", o->restore.allow_suspect},
                 {"--rerender", o->restore.rerender}};
    add_snapshot(&b, x);
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (same[i].value)
            shell_option(&b, same[i].option, same[i].value);
    if (!is_whole) {
        add_words(&b, "--app", &o->apps);
        add_words(&b, "--namespace", &o->restore.namespaces);
    }
    add_words(&b, "--map", &o->restore.maps);
    add_words(&b, "--cluster", &o->restore.clusters);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (flags[i].is_given)
            buf_printf(&b, " %s", flags[i].option);
    add_places(&b, x);
    return buf_take(&b);
}

// The root keeps its name, so that nothing in the cluster is another's; where it is now a mirror
// says.
char *restore_next_command(const struct restoring *x)
{
    const struct options *o = &x->c->o;
    struct buf b = {0};
    struct strv mirrors = {0};
    const struct {
        const char *option, *value;
    } same[] = {{"--kubeconfig", o->kubeconfig},
                {"--context", o->context},
                {"--credentials", o->credentials},
                {"--known-hosts", o->known_hosts},
                {"--ca-file", x->has_git ? o->ca_file : NULL}};
    buf_str(&b, "regrow bootstrap");
    shell_option(&b, "", x->frozen.root);
    if (x->has_git)
        gitback_mirrors(&x->git, &mirrors);
    for (size_t i = 0; i < mirrors.len; i++)
        shell_option(&b, "--mirror", mirrors.v[i]);
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (same[i].value)
            shell_option(&b, same[i].option, same[i].value);
    if (o->git_credentials)
        buf_str(&b, " --git-credentials");
    strv_clear(&mirrors);
    return buf_take(&b);
}

// ---- for programs ----
static const char *const states[] = {
    [GITBACK_AWAY] = "away",       [GITBACK_NONE] = "nothing",   [GITBACK_AWAITED] = "awaited",
    [GITBACK_PLANNED] = "planned", [GITBACK_SAME] = "unchanged", [GITBACK_PUSHED] = "pushed",
    [GITBACK_FAILED] = "failed"};

static json_t *repo_doc(const struct restoring *x, size_t i)
{
    const struct git_place *p = &x->git.places.v.v[i];
    const struct gitback_repo *r = &x->git.repos[i];
    size_t branches;
    size_t tags;
    size_t others;
    gitback_count(&p->h->refs, &branches, &tags, &others);
    CLEANUP(str_freep) char *to = p->to ? repo_url_shown(p->to) : NULL;
    json_t *doc =
        json_pack("{s:s, s:s*, s:s, s:s*, s:I, s:I, s:I, s:b}", "url", p->h->url, "to", to, "state",
                  states[r->state], "head", p->h->head, "branches", (json_int_t)branches, "tags",
                  (json_int_t)tags, "others", (json_int_t)others, "stale", p->h->is_stale);
    if (err_is_set(&r->problem))
        json_object_set_new(doc, "problem", json_string(r->problem.msg));
    if (r->head_wanted)
        json_object_set_new(doc, "headThere",
                            r->there.head ? json_string(r->there.head) : json_string(""));
    if (r->state == GITBACK_AWAY || r->state == GITBACK_NONE || r->state == GITBACK_AWAITED)
        return doc;
    json_t *refused = json_array();
    for (size_t k = 0; k < r->refused.len; k++)
        json_array_append_new(refused, json_string(r->refused.v[k]));
    json_object_set_new(doc, "create", json_integer((json_int_t)r->news.create));
    json_object_set_new(doc, "forward", json_integer((json_int_t)r->news.forward));
    json_object_set_new(doc, "unchanged", json_integer((json_int_t)r->news.same));
    json_object_set_new(doc, "ahead", json_integer((json_int_t)r->news.ahead));
    json_object_set_new(doc, "besides", json_integer((json_int_t)r->news.besides));
    json_object_set_new(doc, "refused", refused);
    json_object_set_new(doc, "objects", json_integer((json_int_t)r->objects));
    json_object_set_new(doc, "bytes", json_integer((json_int_t)r->bytes));
    return doc;
}

json_t *restore_git_doc(const struct restoring *x)
{
    json_t *out = json_array();
    for (size_t i = 0; i < x->git.places.v.len; i++)
        json_array_append_new(out, repo_doc(x, i));
    return out;
}
