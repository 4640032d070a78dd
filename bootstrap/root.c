// SPDX-License-Identifier: Apache-2.0
//
// The root as it is remembered and shown: the same from every folder, and without credentials.
#include "bootstrap/bootstrap.h"

#include <stdlib.h>
#include <string.h>

// "https://user:secret@host/x" -> "https://host/x"; ssh keeps the user, who is no secret there.
static char *without_credentials(const char *url)
{
    const char *sep = strstr(url, "://");
    if (!sep)
        return str_dup(url); // user@host:path
    const char *host = sep + 3;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);
    if (!at)
        return str_dup(url);
    size_t user = 0;
    if (str_starts(url, "ssh://"))
        user = strcspn(host, ":@");
    return str_printf("%.*s%.*s%s%s", (int)(host - url), url, (int)user, host, user ? "@" : "",
                      at + 1);
}

char *root_text(const char *root, const char *revision)
{
    bool is_scp = strchr(root, '@') && strchr(root, ':') && strcspn(root, ":") < strcspn(root, "/");
    if (!strstr(root, "://") && !is_scp) {
        char *real = realpath(root, NULL);
        return real ? real : str_dup(root);
    }
    CLEANUP(str_freep) char *url = without_credentials(root);
    char *query = strstr(url, "?ref=");
    if (!revision)
        return TAKE(url);
    if (query)
        *query = 0;
    return str_printf("%s?ref=%s", url, revision);
}

bool session_recall(struct session *s, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!kube_read(s->kube, REGROW_ROOT_PATH, KUBE_PATIENCE_MS,
                   "read what this cluster is grown from", &doc, NULL, err))
        return false;
    if (!doc)
        return true;
    free(s->remembered);
    s->remembered = inventory_root(doc);
    CLEANUP(str_freep) char *then = inventory_then(doc);
    s->has_then = hand_over_parse(then, &s->then);
    if (then && !s->has_then)
        return err_set(err, ERR_CONFLICT,
                       "this cluster is reconciled by \"%.40s\", which this regrow does not know",
                       then);
    return true;
}

static size_t without_ref(const char *root)
{
    const char *query = strstr(root, "?ref=");
    return query ? (size_t)(query - root) : strlen(root);
}

bool session_is_new_root(const struct session *s)
{
    if (!s->remembered || !s->root)
        return false;
    size_t n = without_ref(s->root);
    return n != without_ref(s->remembered) || strncmp(s->root, s->remembered, n) != 0;
}
