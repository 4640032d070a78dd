// SPDX-License-Identifier: Apache-2.0
//
// One exchange on the wire: a curl handle with the client's identity, its headers, what it says.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "kube/kube_int.h"

#define CONNECT_MS 10000L
#define USER_TIMEOUT_MS 30000
#define MAX_HEADER_BYTES 4096

// A peer whose kernel acknowledges nothing for so long is gone.
static int on_sockopt(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx;
    (void)purpose;
    unsigned ms = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    return CURL_SOCKOPT_OK;
}

static size_t on_write(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct kube *k = t->k;
    alive_heard(t->lane);
    k->in_callback++;
    size_t took = t->on_data(t, p, size * n);
    k->in_callback--;
    return took;
}

static char *header_value(const char *p, size_t len, const char *name)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(p, name, n) != 0)
        return NULL;
    p += n;
    len -= n;
    while (len && (*p == ' ' || *p == '\t')) {
        p++;
        len--;
    }
    while (len && (p[len - 1] == '\r' || p[len - 1] == '\n' || p[len - 1] == ' '))
        len--;
    return str_ndup(p, len < MAX_HEADER_BYTES ? len : MAX_HEADER_BYTES);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    char *v;
    long long seconds;
    alive_heard(t->lane);
    if (size * n > 6 && !memcmp(p, "HTTP/", 5)) {
        t->k->saw_http1 = p[5] == '1';
    } else if ((v = header_value(p, size * n, "retry-after:"))) {
        if (str_to_int(v, 0, 3600, &seconds))
            t->retry_after_ms = seconds * 1000;
        free(v);
    } else if ((v = header_value(p, size * n, "content-type:"))) {
        free(t->content_type);
        t->content_type = v;
    } else if ((v = header_value(p, size * n, "warning:"))) {
        free(t->warning);
        t->warning = v;
    }
    return size * n;
}

long transfer_http(struct transfer *t)
{
    long http = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http);
    return http;
}

static void set_blob(CURL *e, CURLoption opt, const struct buf *b, unsigned flags)
{
    if (!b->len)
        return;
    struct curl_blob blob = {.data = b->p, .len = b->len, .flags = flags};
    curl_easy_setopt(e, opt, &blob);
}

// The kubeconfig's proxy serves every address. Those of the environment do not serve loopback,
// which is Go's rule; curl would ask them for it.
static void set_proxy(CURL *e, const struct kube *k)
{
    if (k->config->proxy_url) {
        curl_easy_setopt(e, CURLOPT_PROXY, k->config->proxy_url);
        curl_easy_setopt(e, CURLOPT_NOPROXY, "");
    } else if (k->is_loopback) {
        curl_easy_setopt(e, CURLOPT_PROXY, "");
    }
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void set_identity(CURL *e, const struct kube *k)
{
    const struct kubeconfig *c = k->config;
    // A plugin may bring another key pair while this one is in use.
    unsigned flags = c->exec ? CURL_BLOB_COPY : CURL_BLOB_NOCOPY;
    set_blob(e, CURLOPT_CAINFO_BLOB, &c->ca, CURL_BLOB_NOCOPY);
    set_blob(e, CURLOPT_SSLCERT_BLOB, &c->cert, flags);
    set_blob(e, CURLOPT_SSLKEY_BLOB, &c->key, flags);
    if (c->insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (c->username) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(e, CURLOPT_USERNAME, c->username);
        curl_easy_setopt(e, CURLOPT_PASSWORD, c->password ? c->password : "");
    }
    if (k->resolve_to)
        curl_easy_setopt(e, CURLOPT_CONNECT_TO, k->resolve_to);
}

static void add_header(struct transfer *t, const char *name, const char *value)
{
    // Without a value curl would take the header out instead.
    CLEANUP(str_freep)
    char *h = *value ? str_printf("%s: %s", name, value) : str_printf("%s;", name);
    t->headers = curl_slist_append(t->headers, h);
}

static void add_impersonation(struct transfer *t, const struct kubeconfig *c)
{
    size_t i;
    json_t *v;
    const char *key;
    json_t *list;
    if (!c->as_user)
        return;
    add_header(t, "Impersonate-User", c->as_user);
    if (c->as_uid)
        add_header(t, "Impersonate-Uid", c->as_uid);
    json_array_foreach(c->as_groups, i, v)
    {
        add_header(t, "Impersonate-Group", json_string_value(v));
    }
    json_object_foreach(c->as_extra, key, list)
    {
        char *escaped = curl_easy_escape(NULL, key, 0);
        CLEANUP(str_freep) char *name = str_printf("Impersonate-Extra-%s", escaped);
        curl_free(escaped);
        json_array_foreach(list, i, v)
        {
            add_header(t, name, json_string_value(v));
        }
    }
}

static void set_headers(struct transfer *t, const char *accept, const char *content_type)
{
    const struct kube *k = t->k;
    add_header(t, "Accept", accept ? accept : "application/json");
    if (content_type)
        add_header(t, "Content-Type", content_type);
    t->headers = curl_slist_append(t->headers, "Expect:");
    if (k->auth.header)
        t->headers = curl_slist_append(t->headers, k->auth.header);
    if (k->host_header)
        t->headers = curl_slist_append(t->headers, k->host_header);
    add_impersonation(t, k->config);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

void transfer_init(struct transfer *t, struct kube *k, const char *method, const char *path,
                   const char *accept, const char *content_type)
{
    t->k = k;
    t->retry_after_ms = -1;
    t->generation = k->auth.generation;
    t->easy = k->idle.len ? k->idle.v[--k->idle.len] : curl_easy_init();
    CURL *e = t->easy;
    CLEANUP(str_freep) char *url = str_printf("%s%s", k->base_url, path);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_sockopt);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_USERAGENT, k->user_agent);
    if (!k->is_loopback) // there it only costs the server's time
        curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
    set_proxy(e, k);
    set_identity(e, k);
    set_headers(t, accept, content_type);
}
