// SPDX-License-Identifier: Apache-2.0
//
// What Git hosts send when something was pushed. Nothing of it is believed: a signature proves that
// the sender has the secret, and all that a delivery can do, now or again, is to have a repository
// looked at.
#include "web/web_int.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SECRET 4096
#define MAX_SECRETS 64
#define MAX_URL 2048
#define MAX_REF 1024
#define MAX_PATHS 5000
#define MAX_COMMITS 2048

// ---- who sends ----

enum push_host push_host(const struct push_from *f)
{
    // Gitea sends GitHub's headers along with its own.
    if (f->gitea_event)
        return PUSH_GITEA;
    if (f->gitlab_event)
        return PUSH_GITLAB;
    return f->github_event ? PUSH_GITHUB : PUSH_GENERIC;
}

const char *push_host_name(enum push_host h)
{
    static const char *const names[PUSH_HOSTS] = {"github", "gitlab", "gitea", "generic"};
    return names[h];
}

// ---- signatures ----

void push_secrets_clear(struct strv *secrets)
{
    for (size_t i = 0; i < secrets->len; i++)
        OPENSSL_cleanse(secrets->v[i], strlen(secrets->v[i]));
    strv_clear(secrets);
}

static bool add_secret(const char *path, struct strv *out, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (!file_read(path, MAX_SECRET, &b, err))
        return err_wrap(err, "webhook secret");
    while (b.len && (b.p[b.len - 1] == '\n' || b.p[b.len - 1] == '\r'))
        b.p[--b.len] = 0;
    bool ok = b.len && !memchr(b.p, 0, b.len);
    if (ok)
        strv_push(out, b.p);
    if (b.p)
        OPENSSL_cleanse(b.p, b.cap);
    return ok || err_set(err, ERR_INVALID, "webhook secret %s is empty or not text", path);
}

// What begins with a dot is how a mounted Secret is replaced, and none.
static bool add_folder(const char *dir, struct strv *out, struct err *err)
{
    DIR *d = opendir(dir);
    int errnum = errno;
    bool ok = true;
    if (!d)
        return errnum == ENOENT || err_set_errno(err, errnum, "webhook secrets in %s", dir);
    for (const struct dirent *e; ok && (e = readdir(d));) {
        CLEANUP(str_freep) char *path = path_join(dir, e->d_name);
        if (*e->d_name == '.')
            continue;
        ok = out->len < MAX_SECRETS
                 ? add_secret(path, out, err)
                 : err_set(err, ERR_INVALID, "%s has more than %d webhook secrets", dir,
                           MAX_SECRETS);
    }
    closedir(d);
    return ok;
}

bool push_secrets(const struct strv *files, const char *dir, struct strv *out, struct err *err)
{
    for (size_t i = 0; files && i < files->len; i++)
        if (!add_secret(files->v[i], out, err))
            return false;
    return !dir || add_folder(dir, out, err);
}

static bool is_hmac(const char *hex, const char *secret, const char *body, size_t len)
{
    uint8_t said[32], is[32];
    unsigned n = 0;
    if (strlen(hex) != 64 || !hex_decode(hex, said, sizeof(said)) ||
        !HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, len, is, &n))
        return false;
    bool same = n == sizeof(is) && CRYPTO_memcmp(said, is, sizeof(is)) == 0;
    OPENSSL_cleanse(is, sizeof(is));
    return same;
}

// By their hashes, so that the time taken says nothing about length either.
static bool is_same(const char *token, const char *secret)
{
    struct sha256 a = sha256_of(token, strlen(token));
    struct sha256 b = sha256_of(secret, strlen(secret));
    return CRYPTO_memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

// Every secret is tried, so that the time does not say which one it was.
bool push_is_signed(const struct push_from *f, const char *body, size_t len,
                    const struct strv *secrets)
{
    bool yes = false;
    for (size_t i = 0; i < secrets->len; i++) {
        const char *secret = secrets->v[i];
        if (f->hub_signature && str_starts(f->hub_signature, "sha256="))
            yes |= is_hmac(f->hub_signature + strlen("sha256="), secret, body, len);
        if (f->gitea_signature)
            yes |= is_hmac(f->gitea_signature, secret, body, len);
        if (f->gitlab_token)
            yes |= is_same(f->gitlab_token, secret);
    }
    return yes;
}

// ---- payloads ----

void push_read_clear(struct push_read *p)
{
    strv_clear(&p->push.repos);
    strv_clear(&p->push.paths);
    json_decref(p->doc);
    *p = (struct push_read){0};
}

static bool is_plain(const char *s, size_t most)
{
    size_t n = strnlen(s, most + 1);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
            return false;
    return n && n <= most;
}

// A commit's name; NULL: all zeros, which is how hosts write "none", or no name.
static const char *commit_of(const json_t *doc, const char *field)
{
    const char *s = json_dot_text(doc, field);
    size_t n = strlen(s);
    bool ok = (n == 40 || n == 64) && strspn(s, "0123456789abcdef") == n && strspn(s, "0") != n;
    return ok ? s : NULL;
}

static void add_url(struct strv *urls, const json_t *of, const char *field)
{
    const char *s = json_dot_text(of, field);
    if (is_plain(s, MAX_URL) && !strv_has(urls, s))
        strv_push(urls, s);
}

static void add_urls(struct strv *urls, const json_t *doc, enum push_host h)
{
    static const char *const fields[] = {"clone_url",    "ssh_url",     "git_url", "html_url",
                                         "git_http_url", "git_ssh_url", "web_url", "http_url",
                                         "homepage",     "url"};
    const json_t *of = json_object_get(doc, h == PUSH_GITLAB ? "project" : "repository");
    if (json_is_string(of))
        add_url(urls, doc, "repository");
    for (size_t i = 0; json_is_object(of) && i < ARRAY_LEN(fields); i++)
        add_url(urls, of, fields[i]);
}

static bool add_files(struct web_push *p, const json_t *commit)
{
    static const char *const lists[] = {"added", "modified", "removed"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const json_t *list = json_object_get(commit, lists[i]);
        size_t at;
        json_t *name;
        if (list && !json_is_array(list))
            return false;
        json_array_foreach(list, at, name)
        {
            if (!json_is_string(name) || p->paths.len >= MAX_PATHS)
                return false;
            strv_push(&p->paths, json_string_value(name));
        }
    }
    return json_is_object(commit);
}

// Hosts send only so many commits, and none of a push that rewrote history: then what was changed
// is not known, and all of it is looked at.
static void read_paths(struct web_push *p, const json_t *doc)
{
    const json_t *commits = json_object_get(doc, "commits");
    size_t n = json_array_size(commits);
    bool is_whole =
        p->before && p->after && n && n <= MAX_COMMITS && !json_dot_bool(doc, "forced", false);
    static const char *const totals[] = {"total_commits_count", "total_commits"};
    for (size_t i = 0; i < ARRAY_LEN(totals); i++)
        is_whole = is_whole && json_dot_int(doc, totals[i], (long long)n) == (long long)n;
    // Gitea says how many there are but sends thirty; GitHub says nothing and sends all but cuts
    // the files of a commit.
    for (size_t i = 0; is_whole && i < n; i++)
        is_whole = add_files(p, json_array_get(commits, i));
    p->has_paths = is_whole && p->paths.len;
    if (!p->has_paths)
        strv_clear(&p->paths);
}

// "application/x-www-form-urlencoded": payload=...
static json_t *form_of(const char *body, size_t len)
{
    static const char key[] = "payload=";
    for (size_t at = 0; at < len;) {
        const char *end = memchr(body + at, '&', len - at);
        size_t n = end ? (size_t)(end - body) - at : len - at;
        if (n > strlen(key) && !memcmp(body + at, key, strlen(key))) {
            CLEANUP(str_freep)
            char *text = uri_decode(body + at + strlen(key), n - strlen(key), true, true);
            return text ? json_loads(text, 0, NULL) : NULL;
        }
        at += n + 1;
    }
    return NULL;
}

static json_t *doc_of_body(const struct push_from *f, const char *body, size_t len)
{
    static const char form[] = "application/x-www-form-urlencoded";
    if (f->content_type && !strncasecmp(f->content_type, form, strlen(form)))
        return form_of(body, len);
    return json_loadb(body, len, 0, NULL);
}

static bool is_push_event(const struct push_from *f, const json_t *doc, enum push_host h)
{
    const char *kind = json_dot_text(doc, "object_kind");
    if (!*kind)
        kind = json_dot_text(doc, "event_name"); // GitLab's system hooks
    switch (h) {
    case PUSH_GITHUB:
        return str_eq(f->github_event, "push");
    case PUSH_GITEA:
        return str_eq(f->gitea_event, "push");
    case PUSH_GITLAB:
        return str_eq(kind, "push") || str_eq(kind, "tag_push");
    case PUSH_GENERIC:
        return true;
    case PUSH_HOSTS:
        break;
    }
    return false;
}

bool push_parse(const struct push_from *f, const char *body, size_t len, struct push_read *out,
                bool *is_push, struct err *err)
{
    enum push_host h = push_host(f);
    *out = (struct push_read){.doc = doc_of_body(f, body, len)};
    *is_push = false;
    struct web_push *p = &out->push;
    if (!json_is_object(out->doc)) {
        push_read_clear(out);
        return err_set(err, ERR_INVALID, "the payload is not a JSON object");
    }
    if (!is_push_event(f, out->doc, h))
        return true;
    p->host = push_host_name(h);
    p->ref = json_dot_text(out->doc, "ref");
    p->before = commit_of(out->doc, "before");
    p->after = commit_of(out->doc, "after");
    add_urls(&p->repos, out->doc, h);
    if (!p->repos.len || !is_plain(p->ref, MAX_REF) || !str_starts(p->ref, "refs/")) {
        push_read_clear(out);
        return err_set(err, ERR_INVALID, "the payload names no repository or no ref");
    }
    const char *main = json_dot_text(out->doc, h == PUSH_GITLAB ? "project.default_branch"
                                                                : "repository.default_branch");
    p->is_default =
        *main && str_starts(p->ref, "refs/heads/") && str_eq(p->ref + strlen("refs/heads/"), main);
    read_paths(p, out->doc);
    *is_push = true;
    return true;
}

// ---- the endpoint ----

enum result { R_PUSHED, R_IGNORED, R_REFUSED, R_MALFORMED };

static void count(struct ask *a, enum push_host h, enum result r)
{
    a->w->counts.deliveries[h][r]++;
}

// *any: is there a secret at all?
static bool is_believed(struct ask *a, const struct push_from *f, bool *any)
{
    const struct web_opts *o = &a->w->o;
    struct strv secrets = {0};
    struct err err = {0};
    // Read anew each time: a secret is changed by changing its file.
    bool ok = push_secrets(o->webhook_secrets, o->webhook_secret_dir, &secrets, &err);
    *any = !ok || secrets.len;
    ok = ok && push_is_signed(f, a->body.p ? a->body.p : "", a->body.len, &secrets);
    push_secrets_clear(&secrets);
    err_clear(&err);
    return ok;
}

static void take(struct ask *a, const struct push_from *f, enum push_host h)
{
    const struct web_hooks *hooks = a->w->o.hooks;
    struct push_read read = {0};
    struct err err = {0};
    bool is_push = false;
    if (!push_parse(f, a->body.p ? a->body.p : "", a->body.len, &read, &is_push, &err)) {
        count(a, h, R_MALFORMED);
        web_respond_error(a, 400, "invalid", err.msg, NULL, NULL);
        err_clear(&err);
        return;
    }
    if (is_push && hooks->pushed)
        hooks->pushed(hooks->ctx, &read.push);
    count(a, h, is_push ? R_PUSHED : R_IGNORED);
    web_respond_json(a, is_push ? 202 : 200,
                     json_pack("{s:b}", is_push ? "accepted" : "ignored", 1));
    push_read_clear(&read);
}

void push_answer(struct ask *a)
{
    struct push_from f = {
        .github_event = web_header(a, "X-GitHub-Event"),
        .gitlab_event = web_header(a, "X-Gitlab-Event"),
        .gitea_event = web_header(a, "X-Gitea-Event"),
        .hub_signature = web_header(a, "X-Hub-Signature-256"),
        .gitlab_token = web_header(a, "X-Gitlab-Token"),
        .gitea_signature = web_header(a, "X-Gitea-Signature"),
        .content_type = web_header(a, "Content-Type"),
    };
    enum push_host h = push_host(&f);
    bool has_any = false;
    if (is_believed(a, &f, &has_any)) {
        take(a, &f, h);
        return;
    }
    count(a, h, R_REFUSED);
    web_respond_error(a, has_any ? 401 : 403, "denied",
                      has_any ? "the delivery is not signed with the webhook's secret"
                              : "no webhook secret is configured, so no delivery is taken",
                      NULL, NULL);
}
