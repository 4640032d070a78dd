// SPDX-License-Identifier: Apache-2.0
#include "source/creds.h"

#include <stdlib.h>

#include "source/hosts.h"

#define MAX_SECRETS 10000
#define MAX_ANSWERS 10000 // kept from one load to the next

struct own_cred {
    struct source_cred c;
    char *normal;
    bool is_stale; // of a load before, and not read again yet
};

// An answer, kept so that pointers stay good: merged holds what it points to.
struct answer {
    char *key;
    unsigned generation;
    struct cred_list list;
    VEC(struct source_cred *) merged;
};

struct creds {
    VEC(struct own_cred *) all;
    VEC(struct answer *) answers;
    unsigned generation;
    struct buf known_hosts, live_hosts; // all, and those that do not stand in Git
    json_t *tls, *live_tls;             // host -> PEM
};

static void secret_free(char **s)
{
    if (*s)
        explicit_bzero(*s, strlen(*s));
    str_freep(s);
}

void source_cred_clear(struct source_cred *c)
{
    free(c->url);
    free(c->project);
    free(c->username);
    free(c->ssh_key_file);
    free(c->ca_file);
    free(c->cert_pem);
    free(c->proxy);
    free(c->no_proxy);
    secret_free(&c->password);
    secret_free(&c->bearer);
    secret_free(&c->ssh_key_pem);
    secret_free(&c->key_pem);
    *c = (struct source_cred){0};
}

static struct source_cred cred_dup(const struct source_cred *c)
{
    return (struct source_cred){
        .rank = c->rank,
        .is_repository = c->is_repository,
        .url = str_dup_or_null(c->url),
        .project = str_dup_or_null(c->project),
        .username = str_dup_or_null(c->username),
        .password = str_dup_or_null(c->password),
        .bearer = str_dup_or_null(c->bearer),
        .ssh_key_file = str_dup_or_null(c->ssh_key_file),
        .ssh_key_pem = str_dup_or_null(c->ssh_key_pem),
        .ca_file = str_dup_or_null(c->ca_file),
        .cert_pem = str_dup_or_null(c->cert_pem),
        .key_pem = str_dup_or_null(c->key_pem),
        .proxy = str_dup_or_null(c->proxy),
        .no_proxy = str_dup_or_null(c->no_proxy),
        .insecure = c->insecure,
        .enable_oci = c->enable_oci,
        .plain_http = c->plain_http,
    };
}

static bool same(const struct source_cred *a, const struct source_cred *b)
{
    return str_eq(a->username, b->username) && str_eq(a->password, b->password) &&
           str_eq(a->bearer, b->bearer) && str_eq(a->ssh_key_file, b->ssh_key_file) &&
           str_eq(a->ssh_key_pem, b->ssh_key_pem) && str_eq(a->ca_file, b->ca_file) &&
           str_eq(a->cert_pem, b->cert_pem) && str_eq(a->key_pem, b->key_pem) &&
           str_eq(a->proxy, b->proxy) && str_eq(a->no_proxy, b->no_proxy) &&
           a->insecure == b->insecure && a->enable_oci == b->enable_oci &&
           a->plain_http == b->plain_http;
}

char *cred_url_normal(const char *url)
{
    CLEANUP(str_freep) char *n = repo_url_normal(str_starts(url, "oci://") ? url + 6 : url);
    const char *sep = strstr(n, "://");
    if (!sep || str_starts(n, "ssh://"))
        return TAKE(n);
    const char *host = sep + 3;
    size_t len = strcspn(host, "/");
    const char *at = memrchr(host, '@', len);
    return at ? str_printf("%.*s%s", (int)(host - n), n, at + 1) : TAKE(n);
}

bool cred_prefix_covers(const char *prefix, const char *url)
{
    size_t n = strlen(prefix);
    if (!n || strncmp(prefix, url, n) != 0)
        return false;
    // Within the name of the host a prefix is another host: git.example.com, git.example.community.
    const char *sep = strstr(url, "://");
    const char *host = sep ? sep + 3 : url;
    size_t host_end = (size_t)(host - url) + strcspn(host, "/");
    return n >= host_end;
}

struct creds *creds_new(const struct source_cred *given, size_t n)
{
    struct creds *c = mem_alloc(sizeof(*c));
    c->tls = json_object();
    c->live_tls = json_object();
    for (size_t i = 0; i < n; i++) {
        struct own_cred *o = mem_alloc(sizeof(*o));
        o->c = cred_dup(&given[i]);
        o->normal = cred_url_normal(given[i].url ? given[i].url : "");
        *vec_push(&c->all) = o;
    }
    return c;
}

static void own_free(struct own_cred *o)
{
    source_cred_clear(&o->c);
    free(o->normal);
    free(o);
}

static void answers_free(struct creds *c)
{
    for (size_t i = 0; i < c->answers.len; i++) {
        struct answer *a = c->answers.v[i];
        for (size_t k = 0; k < a->merged.len; k++) {
            source_cred_clear(a->merged.v[k]);
            free(a->merged.v[k]);
        }
        vec_clear(&a->merged);
        vec_clear(&a->list.v);
        free(a->key);
        free(a);
    }
    vec_clear(&c->answers);
}

void creds_free(struct creds *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->all.len; i++)
        own_free(c->all.v[i]);
    vec_clear(&c->all);
    answers_free(c);
    buf_clear(&c->known_hosts);
    buf_clear(&c->live_hosts);
    json_decref(c->tls);
    json_decref(c->live_tls);
    free(c);
}

bool creds_renew(struct creds *c, const json_t *live, bool may_free)
{
    size_t kept = 0;
    bool any = false;
    // What was not read again in the load before is gone.
    for (size_t i = 0; i < c->all.len; i++) {
        struct own_cred *o = c->all.v[i];
        if (o->is_stale && may_free) {
            any = true;
            own_free(o);
            continue;
        }
        o->is_stale = o->c.rank == CRED_DESIRED || (live && o->c.rank == CRED_CLUSTER);
        c->generation += o->is_stale;
        c->all.v[kept++] = o;
    }
    c->all.len = kept;
    if (any || (may_free && c->answers.len > MAX_ANSWERS)) {
        any = true;
        answers_free(c);
    }
    buf_reset(&c->known_hosts);
    json_object_clear(c->tls);
    if (live) {
        buf_reset(&c->live_hosts);
        json_object_clear(c->live_tls);
    } else {
        buf_append(&c->known_hosts, c->live_hosts.p ? c->live_hosts.p : "", c->live_hosts.len);
        json_object_update(c->tls, c->live_tls);
    }
    size_t i;
    json_t *doc;
    json_array_foreach((json_t *)live, i, doc)
    {
        creds_add_doc(c, doc, CRED_CLUSTER);
    }
    return any;
}

// ---- Secrets and ConfigMaps ----
static char *secret_value(const json_t *doc, const char *key)
{
    const char *plain = json_string_value(json_object_get(json_object_get(doc, "stringData"), key));
    const char *coded = json_string_value(json_object_get(json_object_get(doc, "data"), key));
    struct buf b = {0};
    if (plain)
        return *plain ? str_dup(plain) : NULL;
    if (!coded || !base64_decode(coded, strlen(coded), &b) || !b.len || memchr(b.p, 0, b.len)) {
        buf_clear(&b);
        return NULL;
    }
    return buf_take(&b);
}

static bool secret_flag(const json_t *doc, const char *key)
{
    CLEANUP(str_freep) char *v = secret_value(doc, key);
    return str_eq(v, "true");
}

static bool add_secret(struct creds *c, const json_t *doc, bool is_repository, enum cred_rank rank)
{
    struct own_cred *o = mem_alloc(sizeof(*o));
    CLEANUP(str_freep) char *type = secret_value(doc, "type");
    o->c = (struct source_cred){
        .rank = rank,
        .is_repository = is_repository,
        .url = secret_value(doc, "url"),
        .project = is_repository ? secret_value(doc, "project") : NULL,
        .username = secret_value(doc, "username"),
        .password = secret_value(doc, "password"),
        .bearer = secret_value(doc, "bearerToken"),
        .ssh_key_pem = secret_value(doc, "sshPrivateKey"),
        .cert_pem = secret_value(doc, "tlsClientCertData"),
        .key_pem = secret_value(doc, "tlsClientCertKey"),
        .proxy = secret_value(doc, "proxy"),
        .no_proxy = secret_value(doc, "noProxy"),
        .insecure = secret_flag(doc, "insecure") || secret_flag(doc, "insecureIgnoreHostKey"),
        .enable_oci = secret_flag(doc, "enableOCI") || str_eq(type, "oci"),
        .plain_http = secret_flag(doc, "insecureOCIForceHttp"),
    };
    bool ok = o->c.url && c->all.len < MAX_SECRETS;
    bool news = false;
    if (ok)
        o->normal = cred_url_normal(o->c.url);
    for (size_t i = 0; ok && i < c->all.len; i++) { // read again in another round, or load
        struct own_cred *x = c->all.v[i];
        ok = x->c.rank != rank || x->c.is_repository != is_repository ||
             strcmp(x->normal, o->normal) != 0 || !str_eq(x->c.project, o->c.project) ||
             !same(&x->c, &o->c);
        news = !ok && x->is_stale;
        if (news) {
            x->is_stale = false;
            c->generation++;
        }
    }
    if (ok) {
        *vec_push(&c->all) = o;
        c->generation++;
        return true;
    }
    own_free(o);
    return news;
}

static bool add_known_hosts(struct creds *c, const json_t *doc, bool is_live)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(doc, "data"), "ssh_known_hosts"));
    if (str_is_empty(text) || (c->known_hosts.p && strstr(c->known_hosts.p, text)))
        return false;
    buf_printf(&c->known_hosts, "%s\n", text);
    if (is_live)
        buf_printf(&c->live_hosts, "%s\n", text);
    c->generation++;
    return true;
}

static bool add_tls(struct creds *c, const json_t *doc, bool is_live)
{
    const char *host;
    json_t *v;
    bool news = false;
    json_object_foreach(json_object_get(doc, "data"), host, v)
    {
        const char *have = json_string_value(json_object_get(c->tls, host));
        const char *pem = json_string_value(v);
        if (str_is_empty(pem) || (have && strstr(have, pem)))
            continue;
        CLEANUP(str_freep)
        char *all = str_printf("%s%s%s", have ? have : "", have ? "\n" : "", pem);
        json_object_set_new(c->tls, host, json_string(all));
        if (is_live)
            json_object_set_new(c->live_tls, host, json_string(all));
        news = true;
    }
    c->generation += news;
    return news;
}

bool creds_add_doc(struct creds *c, const json_t *doc, enum cred_rank rank)
{
    const char *kind = json_dot_str(doc, "kind");
    const char *name = json_dot_str(doc, "metadata.name");
    const char *ns = json_dot_str(doc, "metadata.namespace");
    if (!str_eq(json_dot_str(doc, "apiVersion"), "v1") || !str_eq(ns, ARGOCD_NAMESPACE))
        return false;
    if (str_eq(kind, "Secret")) {
        const json_t *labels = json_object_get(json_object_get(doc, "metadata"), "labels");
        const char *type = json_string_value(json_object_get(labels, ARGOCD_SECRET_TYPE));
        bool is_repository = str_eq(type, "repository");
        return (is_repository || str_eq(type, "repo-creds")) &&
               add_secret(c, doc, is_repository, rank);
    }
    if (!str_eq(kind, "ConfigMap"))
        return false;
    bool is_live = rank != CRED_DESIRED;
    return str_eq(name, ARGOCD_KNOWN_HOSTS)
               ? add_known_hosts(c, doc, is_live)
               : str_eq(name, ARGOCD_TLS_CERTS) && add_tls(c, doc, is_live);
}

// ---- the choice ----
static bool has_secret(const struct source_cred *c)
{
    return c->username || c->password || c->bearer || c->ssh_key_file || c->ssh_key_pem ||
           c->cert_pem;
}

// A key is of no use to https, a password of none to ssh.
static bool is_of_use(const struct source_cred *c, bool is_ssh)
{
    bool key = c->ssh_key_file || c->ssh_key_pem;
    return is_ssh ? key || c->insecure : !key || c->username || c->password || c->bearer;
}

static const struct source_cred *best(const struct creds *c, const char *normal,
                                      const char *project, enum cred_rank rank, bool exact)
{
    const struct own_cred *found = NULL;
    for (size_t i = 0; i < c->all.len; i++) {
        const struct own_cred *o = c->all.v[i];
        if (o->is_stale || o->c.rank != rank || o->c.is_repository != exact)
            continue;
        if (exact) {
            if (strcmp(o->normal, normal) != 0 || (o->c.project && !str_eq(o->c.project, project)))
                continue;
            if (!found || (o->c.project && !found->c.project))
                found = o;
        } else if (cred_prefix_covers(o->normal, normal) &&
                   (!found || strlen(o->normal) > strlen(found->normal))) {
            found = o;
        }
    }
    return found ? &found->c : NULL;
}

// A repository's own Secret without a credential takes that of the prefix, and keeps its ways.
static const struct source_cred *merge(struct answer *a, const struct source_cred *own,
                                       const struct source_cred *prefix)
{
    if (!own || !prefix || has_secret(own))
        return own ? own : prefix;
    struct source_cred *m = mem_alloc(sizeof(*m));
    *m = cred_dup(prefix);
    m->insecure |= own->insecure;
    m->enable_oci |= own->enable_oci;
    m->plain_http |= own->plain_http;
    if (own->proxy) {
        str_set(&m->proxy, own->proxy);
        str_set(&m->no_proxy, own->no_proxy);
    }
    *vec_push(&a->merged) = m;
    return m;
}

const struct cred_list *creds_for(struct creds *c, const char *url, const char *project)
{
    CLEANUP(str_freep) char *key = str_printf("%s\n%s", project ? project : "", url);
    for (size_t i = c->answers.len; i > 0; i--)
        if (c->answers.v[i - 1]->generation == c->generation &&
            !strcmp(c->answers.v[i - 1]->key, key))
            return &c->answers.v[i - 1]->list;
    CLEANUP(str_freep) char *normal = cred_url_normal(url);
    struct answer *a = mem_alloc(sizeof(*a));
    bool is_ssh = str_starts(normal, "ssh://");
    a->key = TAKE(key);
    a->generation = c->generation;
    for (enum cred_rank r = CRED_FILE; r <= CRED_DESIRED; r++) {
        const struct source_cred *x =
            merge(a, best(c, normal, project, r, true), best(c, normal, project, r, false));
        bool known = !x || !is_of_use(x, is_ssh);
        for (size_t i = 0; !known && i < a->list.v.len; i++)
            known = same(a->list.v.v[i], x);
        if (!known)
            *vec_push(&a->list.v) = x;
    }
    *vec_push(&c->answers) = a;
    return &a->list;
}

const char *creds_scope(const struct creds *c, const char *url, const char *project)
{
    CLEANUP(str_freep) char *normal = cred_url_normal(url);
    for (size_t i = 0; project && i < c->all.len; i++) {
        const struct own_cred *o = c->all.v[i];
        if (!o->is_stale && o->c.is_repository && str_eq(o->c.project, project) &&
            !strcmp(o->normal, normal))
            return project;
    }
    return "";
}

unsigned creds_generation(const struct creds *c)
{
    return c->generation;
}

const char *creds_known_hosts(const struct creds *c)
{
    return c->known_hosts.p;
}

const char *creds_tls_roots(const struct creds *c, const char *url)
{
    CLEANUP(str_freep) char *origin = url_origin(url);
    char *host = strstr(origin, "://") + 3;
    char *colon = strrchr(host, ':');
    if (colon && !strchr(colon, ']'))
        *colon = 0;
    return json_string_value(json_object_get(c->tls, host));
}
