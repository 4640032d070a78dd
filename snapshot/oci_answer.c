// SPDX-License-Identifier: Apache-2.0
#include "snapshot/oci_answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/crypto.h"

char *oci_challenge_value(const char *challenge, const char *name)
{
    CLEANUP(str_freep) char *key = str_printf("%s=\"", name);
    const char *p = strcasestr(challenge, key);
    if (!p)
        return NULL;
    p += strlen(key);
    return str_ndup(p, strcspn(p, "\""));
}

// One that would end the header, or begin another, is none.
static bool fits_header(const char *s)
{
    for (const char *p = s; p && *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return false;
    return s && *s;
}

char *oci_token(const char *body, size_t len)
{
    json_t *v = body ? json_loadb(body, len, 0, NULL) : NULL;
    const char *token = json_string_value(json_object_get(v, "token"));
    if (!token)
        token = json_string_value(json_object_get(v, "access_token"));
    char *out = fits_header(token) ? str_dup(token) : NULL;
    json_decref(v);
    return out;
}

char *oci_error_code(const char *body, size_t len)
{
    json_t *v = body ? json_loadb(body, len, 0, NULL) : NULL;
    const json_t *first = json_array_get(json_object_get(v, "errors"), 0);
    const char *code = json_string_value(json_object_get(first, "code"));
    char *out = code ? str_dup(code) : NULL;
    json_decref(v);
    return out;
}

bool oci_read_tags(const char *body, size_t len, struct strv *out, struct err *err)
{
    json_t *v = json_loadb(body ? body : "", len, 0, NULL);
    const json_t *tags = json_object_get(v, "tags");
    bool is_read = v != NULL;
    size_t i;
    json_t *t;
    json_array_foreach(tags, i, t)
    {
        if (json_string_value(t) && out->len < OCI_MAX_TAGS)
            strv_push(out, json_string_value(t));
    }
    json_decref(v);
    if (!is_read)
        return err_set(err, ERR_UNAVAILABLE, "the list of tags cannot be read");
    return out->len < OCI_MAX_TAGS ||
           err_set(err, ERR_UNAVAILABLE, "a list of more than %d tags", OCI_MAX_TAGS);
}

char *oci_next_page(const char *link)
{
    const char *lt = link && strstr(link, "next") ? strchr(link, '<') : NULL;
    return lt ? str_ndup(lt + 1, strcspn(lt + 1, ">")) : NULL;
}

bool oci_docker_auth(const char *json, const char *host, char **user, char **password)
{
    json_t *v = json_loads(json, 0, NULL);
    const json_t *auths = json_object_get(v, "auths");
    const json_t *entry = json_object_get(auths, host);
    if (!entry) {
        CLEANUP(str_freep) char *url = str_printf("https://%s", host);
        entry = json_object_get(auths, url);
    }
    const char *auth = json_string_value(json_object_get(entry, "auth"));
    struct buf b CLEANUP(buf_clear) = {0};
    bool ok = auth && base64_decode(auth, strlen(auth), &b) && b.p && strchr(b.p, ':');
    if (ok) {
        char *colon = strchr(b.p, ':');
        *user = str_ndup(b.p, (size_t)(colon - b.p));
        *password = str_dup(colon + 1);
        crypto_wipe(b.p, b.len);
    }
    json_decref(v);
    return ok;
}
