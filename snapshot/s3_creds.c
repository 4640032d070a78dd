// SPDX-License-Identifier: Apache-2.0
#include "snapshot/s3_creds.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "snapshot/crypto.h"
#include "snapshot/s3_xml.h"

#define MAX_FILE (256U << 10)
#define STS_TRIES 4

static void wipe(char **s)
{
    if (*s)
        crypto_wipe(*s, strlen(*s));
    str_freep(s);
}

void s3_keys_clear(struct s3_keys *k)
{
    wipe(&k->access);
    wipe(&k->secret);
    wipe(&k->token);
    k->expires_ms = 0;
}

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return str_is_empty(v) ? NULL : v;
}

static char *trimmed(const char *s, size_t n)
{
    while (n && (*s == ' ' || *s == '\t'))
        s++, n--;
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
        n--;
    return str_ndup(s, n);
}

bool s3_keys_parse(const char *text, const char *profile, struct s3_keys *out)
{
    bool in = false;
    while (*text) {
        size_t n = strcspn(text, "\n");
        CLEANUP(str_freep) char *line = trimmed(text, n);
        const char *eq = strchr(line, '=');
        text += n + (text[n] == '\n');
        if (*line == '[') {
            size_t len = strlen(line);
            in = len > 2 && line[len - 1] == ']' && strlen(profile) == len - 2 &&
                 !strncmp(line + 1, profile, len - 2);
        } else if (in && eq && *line != '#' && *line != ';') {
            CLEANUP(str_freep) char *name = trimmed(line, (size_t)(eq - line));
            char *value = trimmed(eq + 1, strlen(eq + 1));
            char **slot = !strcmp(name, "aws_access_key_id")       ? &out->access
                          : !strcmp(name, "aws_secret_access_key") ? &out->secret
                          : !strcmp(name, "aws_session_token")     ? &out->token
                                                                   : NULL;
            if (slot) {
                wipe(slot);
                *slot = value;
            } else {
                wipe(&value);
            }
        }
    }
    if (out->access && out->secret)
        return true;
    s3_keys_clear(out);
    return false;
}

static bool from_file(const char *file, struct s3_keys *out, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    const char *profile = env("AWS_PROFILE") ? env("AWS_PROFILE") : "default";
    if (!file_read(file, MAX_FILE, &b, err))
        return false;
    bool ok = s3_keys_parse(b.p, profile, out);
    crypto_wipe(b.p, b.len);
    return ok || err_set(err, ERR_DENIED, "%s holds no keys for profile \"%s\"", file, profile);
}

// AssumeRoleWithWebIdentity: the only unsigned call, its token is the proof.
static bool from_web_identity(struct web *w, const char *region, struct s3_keys *out,
                              struct err *err)
{
    struct buf token CLEANUP(buf_clear) = {0};
    struct buf body CLEANUP(buf_clear) = {0};
    if (!file_read(env("AWS_WEB_IDENTITY_TOKEN_FILE"), MAX_FILE, &token, err))
        return err_wrap(err, "web identity");
    while (token.len && (token.p[token.len - 1] == '\n' || token.p[token.len - 1] == '\r'))
        token.p[--token.len] = 0;
    const char *session = env("AWS_ROLE_SESSION_NAME");
    buf_str(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    uri_encode(&body, env("AWS_ROLE_ARN"), false);
    buf_str(&body, "&RoleSessionName=");
    uri_encode(&body, session ? session : "regrow", false);
    buf_str(&body, "&WebIdentityToken=");
    uri_encode(&body, token.p, false);
    const char *endpoint = env("AWS_ENDPOINT_URL_STS");
    CLEANUP(str_freep)
    char *url = endpoint ? str_dup(endpoint) : str_printf("https://sts.%s.amazonaws.com/", region);
    struct strv headers = {0};
    strv_push(&headers, "Content-Type: application/x-www-form-urlencoded");
    struct web_request q = {
        .method = "POST", .url = url, .headers = &headers, .body = body.p, .body_len = body.len};
    struct web_reply r = {0};
    bool ok = false;
    for (unsigned i = 1; i <= STS_TRIES; i++) {
        err_clear(err);
        ok = web_run(w, &q, &r, err);
        if ((ok && r.status < 500) || (!ok && err->kind != ERR_UNAVAILABLE) ||
            !web_pause(w, i, r.retry_after_ms))
            break;
    }
    strv_clear(&headers);
    if (ok && r.status == 200) {
        CLEANUP(str_freep) char *until = xml_text(r.body.p, r.body.len, "Expiration");
        out->access = xml_text(r.body.p, r.body.len, "AccessKeyId");
        out->secret = xml_text(r.body.p, r.body.len, "SecretAccessKey");
        out->token = xml_text(r.body.p, r.body.len, "SessionToken");
        out->expires_ms = until ? clock_parse_rfc3339_ms(until) : 0;
    }
    if (ok && !(out->access && out->secret)) {
        CLEANUP(str_freep) char *code = xml_text(r.body.p, r.body.len, "Code");
        ok = err_set(err, ERR_DENIED, "web identity: STS answered %d %s", r.status,
                     code ? code : "");
    }
    if (r.body.p)
        crypto_wipe(r.body.p, r.body.len);
    web_reply_clear(&r);
    crypto_wipe(token.p, token.len);
    crypto_wipe(body.p, body.len);
    return ok;
}

// Says where was looked, and of a half what is missing.
static bool none_found(const char *standard, struct err *err)
{
    static const char *const pairs[][2] = {{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
                                           {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}};
    err_set(err, ERR_DENIED, "no keys for S3");
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        bool first = env(pairs[i][0]);
        if (first != (env(pairs[i][1]) != NULL))
            return err_hint(err, "%s is set, but not %s.", pairs[i][!first], pairs[i][first]);
    }
    return err_hint(err,
                    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_ROLE_ARN and "
                    "AWS_WEB_IDENTITY_TOKEN_FILE; or write %s (AWS_SHARED_CREDENTIALS_FILE names "
                    "another, AWS_PROFILE what of it), or give --store-credentials FILE.",
                    standard);
}

bool s3_keys_find(struct web *w, const char *file, const char *region, struct s3_keys *out,
                  struct err *err)
{
    if (file)
        return from_file(file, out, err);
    if (env("AWS_ACCESS_KEY_ID") && env("AWS_SECRET_ACCESS_KEY")) {
        out->access = str_dup(env("AWS_ACCESS_KEY_ID"));
        out->secret = str_dup(env("AWS_SECRET_ACCESS_KEY"));
        out->token = str_dup_or_null(env("AWS_SESSION_TOKEN"));
        return true;
    }
    if (env("AWS_ROLE_ARN") && env("AWS_WEB_IDENTITY_TOKEN_FILE"))
        return from_web_identity(w, region, out, err);
    const char *home = env("HOME");
    CLEANUP(str_freep)
    char *standard = env("AWS_SHARED_CREDENTIALS_FILE")
                         ? str_dup(env("AWS_SHARED_CREDENTIALS_FILE"))
                         : str_printf("%s/.aws/credentials", home ? home : "");
    if (file_exists(standard))
        return from_file(standard, out, err);
    return none_found(standard, err);
}
