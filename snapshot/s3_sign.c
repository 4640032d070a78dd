// SPDX-License-Identifier: Apache-2.0
#include "snapshot/s3_sign.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/vec.h"
#include "snapshot/crypto.h"
#include "snapshot/web.h"

void s3_pair_add(struct s3_pairs *p, const char *name, const char *value)
{
    struct s3_pair *x = vec_push(p);
    x->name = str_dup(name);
    x->value = str_dup(value);
}

void s3_pairs_clear(struct s3_pairs *p)
{
    for (size_t i = 0; i < p->len; i++) {
        free(p->v[i].name);
        free(p->v[i].value);
    }
    vec_clear(p);
}

static int by_name(const void *a, const void *b)
{
    const struct s3_pair *x = a;
    const struct s3_pair *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->value, y->value);
}

char *s3_query(const struct s3_pairs *query)
{
    struct s3_pairs encoded = {0};
    for (size_t i = 0; i < query->len; i++) {
        struct buf name CLEANUP(buf_clear) = {0};
        struct buf value CLEANUP(buf_clear) = {0};
        uri_encode(&name, query->v[i].name, false);
        uri_encode(&value, query->v[i].value, false);
        s3_pair_add(&encoded, name.p ? name.p : "", value.p ? value.p : "");
    }
    if (encoded.len)
        qsort(encoded.v, encoded.len, sizeof(*encoded.v), by_name);
    struct buf out = {0};
    for (size_t i = 0; i < encoded.len; i++)
        buf_printf(&out, "%s%s=%s", i ? "&" : "", encoded.v[i].name, encoded.v[i].value);
    s3_pairs_clear(&encoded);
    return buf_take(&out);
}

// Trimmed, with inner runs of blanks made one.
static void add_value(struct buf *b, const char *s)
{
    bool gap = false;
    bool begun = false;
    for (; *s; s++) {
        if (*s == ' ' || *s == '\t') {
            gap = begun;
            continue;
        }
        if (gap)
            buf_char(b, ' ');
        buf_char(b, *s);
        begun = true;
        gap = false;
    }
}

static void hmac(const void *key, size_t key_len, const char *text, uint8_t out[KEY_BYTES])
{
    CLEANUP(hmac_freep) struct hmac *h = hmac_new(key, key_len);
    hmac_begin(h);
    hmac_add(h, text, strlen(text));
    hmac_end(h, out);
}

static char *signature(const struct s3_keys *k, const char *day, const char *region,
                       const char *service, const char *to_sign)
{
    uint8_t key[KEY_BYTES];
    uint8_t next[KEY_BYTES];
    CLEANUP(str_freep) char *first = str_printf("AWS4%s", k->secret);
    hmac(first, strlen(first), day, key);
    hmac(key, sizeof(key), region, next);
    hmac(next, sizeof(next), service, key);
    hmac(key, sizeof(key), "aws4_request", next);
    hmac(next, sizeof(next), to_sign, key);
    crypto_wipe(first, strlen(first));
    crypto_wipe(next, sizeof(next));
    return hex_encode(key, sizeof(key));
}

// The canonical request and the list of signed headers.
static void canonical(const struct s3_request *q, struct buf *out, struct buf *names)
{
    CLEANUP(str_freep) char *query = s3_query(&q->query);
    buf_printf(out, "%s\n%s\n%s\n", q->method, q->path, query);
    for (size_t i = 0; i < q->headers.len; i++) {
        buf_printf(out, "%s:", q->headers.v[i].name);
        add_value(out, q->headers.v[i].value);
        buf_char(out, '\n');
        buf_printf(names, "%s%s", i ? ";" : "", q->headers.v[i].name);
    }
    buf_printf(out, "\n%s\n%s", names->p, q->payload_sha256);
}

void s3_sign(struct s3_request *q, const struct s3_keys *k, const char *region, const char *service,
             int64_t at_unix_s, struct strv *headers)
{
    char at[32];
    char day[16];
    struct tm tm;
    time_t t = (time_t)at_unix_s;
    gmtime_r(&t, &tm);
    strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &tm);
    strftime(day, sizeof(day), "%Y%m%d", &tm);
    s3_pair_add(&q->headers, "host", q->host);
    s3_pair_add(&q->headers, "x-amz-date", at);
    s3_pair_add(&q->headers, "x-amz-content-sha256", q->payload_sha256);
    if (k->token)
        s3_pair_add(&q->headers, "x-amz-security-token", k->token);
    qsort(q->headers.v, q->headers.len, sizeof(*q->headers.v), by_name);
    struct buf request CLEANUP(buf_clear) = {0};
    struct buf names CLEANUP(buf_clear) = {0};
    canonical(q, &request, &names);
    struct sha256 hash = sha256_of(request.p, request.len);
    CLEANUP(str_freep) char *hex = hex_encode(hash.b, sizeof(hash.b));
    CLEANUP(str_freep) char *scope = str_printf("%s/%s/%s/aws4_request", day, region, service);
    CLEANUP(str_freep) char *to_sign = str_printf("AWS4-HMAC-SHA256\n%s\n%s\n%s", at, scope, hex);
    CLEANUP(str_freep) char *sig = signature(k, day, region, service, to_sign);
    for (size_t i = 0; i < q->headers.len; i++)
        strv_push_take(headers, str_printf("%s: %s", q->headers.v[i].name, q->headers.v[i].value));
    strv_push_take(headers, str_printf("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, "
                                       "SignedHeaders=%s, Signature=%s",
                                       k->access, scope, names.p, sig));
}
