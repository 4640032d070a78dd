// SPDX-License-Identifier: Apache-2.0
//
// What may be printed of a refusal. Server messages repeat what the object holds (pod templates
// with their values, diffs of claims, the wrong value itself): of validation errors only fields and
// short reasons are passed on, and whatever is left is searched for the secrets that were sent.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "kube/kube_int.h"

#define MAX_CAUSES 5
#define MAX_WORDS 160
#define MAX_MESSAGE 600
#define MIN_SECRET 4   // shorter ones are words of any language
#define MIN_ARGUMENT 8 // of a container: flags are no secrets, but what they are set to may be

// Past a value as the server prints it, quoted or a number; NULL when it is a dump of an object.
static const char *skip_value(const char *s)
{
    if (*s == '"') {
        for (s++; *s && *s != '"'; s++)
            if (*s == '\\' && s[1])
                s++;
        return *s ? s + 1 : NULL;
    }
    if (*s == '{' || *s == '[' || *s == '&' || isalpha((unsigned char)*s)) {
        static const char *const plain[] = {"null", "true", "false", "<nil>"};
        for (size_t i = 0; i < ARRAY_LEN(plain); i++)
            if (str_starts(s, plain[i]))
                return s + strlen(plain[i]);
        return NULL;
    }
    return s + strcspn(s, ": ");
}

// After a dump nothing tells where it ends: only what the server is known to say is looked for.
static char *known_words(const char *s)
{
    static const char *const known[] = {"field is immutable", "may not change once set",
                                        "may not be changed in an update", "is immutable"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strstr(s, known[i]))
            return str_dup(known[i]);
    return NULL;
}

static char *one_line(const char *s)
{
    size_t n = strcspn(s, "\n");
    return n ? str_printf("%.*s", (int)(n < MAX_WORDS ? n : MAX_WORDS), s) : NULL;
}

char *safe_reason(const char *m)
{
    static const char *const with_value[] = {
        "Invalid value: ", "Unsupported value: ", "Duplicate value: ", "Not found: "};
    static const char *const without[] = {
        "Forbidden: ", "Required value: ", "Too long: ", "Too many: "};
    if (!m)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        if (str_starts(m, without[i]))
            return one_line(m + strlen(without[i]));
    for (size_t i = 0; i < ARRAY_LEN(with_value); i++) {
        if (!str_starts(m, with_value[i]))
            continue;
        const char *value = m + strlen(with_value[i]);
        const char *end = skip_value(value);
        if (!end)
            return known_words(value);
        return str_starts(end, ": ") ? one_line(end + 2) : NULL;
    }
    return known_words(m);
}

static void write_causes(const json_t *causes, struct buf *out)
{
    size_t i;
    json_t *c;
    json_array_foreach(causes, i, c)
    {
        const char *field = json_dot_str(c, "field");
        const char *reason = json_dot_str(c, "reason");
        if (i == MAX_CAUSES) {
            buf_printf(out, "; and %zu more", json_array_size(causes) - i);
            break;
        }
        CLEANUP(str_freep) char *words = safe_reason(json_dot_str(c, "message"));
        // "[]" and "<nil>" are the server's names for the object as a whole.
        bool is_named = field && *field && *field != '[' && *field != '<';
        buf_printf(out, "%s%.200s%s%s", i ? "; " : "", is_named ? field : "", is_named ? ": " : "",
                   words    ? words
                   : reason ? reason
                            : "invalid");
    }
}

// ".data.a, .data.b owned by "kubectl"; .spec.replicas owned by "scaler"".
static void write_conflicts(const json_t *causes, struct buf *out)
{
    CLEANUP(str_freep) char *before = NULL;
    size_t i;
    json_t *c;
    json_array_foreach(causes, i, c)
    {
        const char *field = json_dot_str(c, "field");
        const char *m = json_dot_str(c, "message");
        const char *open = m ? strchr(m, '"') : NULL;
        const char *close = open ? strchr(open + 1, '"') : NULL;
        CLEANUP(str_freep)
        char *owner = close ? str_ndup(open + 1, (size_t)(close - open - 1)) : str_dup("?");
        if (i == MAX_CAUSES) {
            buf_printf(out, " and %zu more", json_array_size(causes) - i);
            break;
        }
        if (before && strcmp(before, owner) != 0)
            buf_printf(out, " owned by \"%s\"; ", before);
        else if (before)
            buf_str(out, ", ");
        buf_printf(out, "%.200s", field ? field : "?");
        str_set(&before, owner);
    }
    buf_printf(out, " owned by \"%s\"", before ? before : "?");
}

// Behind what the server's layers put in front, none of which says more than the rest of the line:
// "Internal error occurred: failed calling webhook "x": failed to call webhook: Post …" and
// "failed to create typed patch object (web/api; apps/v1, Kind=Deployment): .spec.x: …".
static const char *behind_layers(const char *m)
{
    static const char *const fronts[] = {"failed to call webhook: ",
                                         "failed to create typed patch object ("};
    const char *hook = strstr(m, fronts[0]);
    if (hook)
        return hook + strlen(fronts[0]);
    // 'configmaps "x" is forbidden: exceeded quota': which object, everybody knows who asked.
    const char *forbidden = strstr(m, "\" is forbidden: ");
    if (forbidden && memchr(m, '"', (size_t)(forbidden - m)) == strchr(m, '"') &&
        !memchr(m, ':', (size_t)(forbidden - m)))
        return forbidden + strlen("\" is forbidden: ");
    const char *end = str_starts(m, fronts[1]) ? strstr(m, "): ") : NULL;
    if (!end)
        return m;
    end += strlen("): ");
    if (str_starts(end, "errors:\n"))
        end += strlen("errors:\n");
    return end + strspn(end, " ");
}

// The wrong value of "expected string, got &value.valueUnstructured{Value:...}" is left out.
static void write_plain(const char *message, struct buf *out)
{
    const char *s = message;
    while (*s && out->len < MAX_MESSAGE) {
        if (str_starts(s, ", got ") || str_starts(s, " got ")) {
            s += strcspn(s, "\n");
            continue;
        }
        if (*s == '\n') {
            buf_str(out, out->len ? "; " : "");
            s += 1 + strspn(s + 1, " \n");
            continue;
        }
        buf_char(out, (unsigned char)*s < 0x20 ? ' ' : *s);
        s++;
    }
}

// ---- what was sent ----
static void replace_all(struct buf *text, const char *secret, size_t min)
{
    size_t n = strlen(secret);
    char *at;
    if (n < min || !text->p)
        return;
    while ((at = strstr(text->p, secret))) {
        struct buf next = {0};
        buf_append(&next, text->p, (size_t)(at - text->p));
        buf_str(&next, "***");
        buf_str(&next, at + n);
        buf_clear(text);
        *text = next; // shorter each time
    }
}

static void hide(struct buf *text, const char *secret, size_t min)
{
    if (!secret)
        return;
    replace_all(text, secret, min);
    // Several lines are printed as one, or the first of them only.
    size_t n = strcspn(secret, "\n");
    CLEANUP(str_freep) char *first = str_ndup(secret, n);
    if (secret[n])
        replace_all(text, first, min);
}

static void hide_secret_data(struct buf *text, const json_t *doc)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(doc, "data"), key, v)
    {
        const char *s = json_string_value(v);
        struct buf plain CLEANUP(buf_clear) = {0};
        hide(text, s, MIN_SECRET);
        if (s && base64_decode(s, strlen(s), &plain) && plain.p && strlen(plain.p) == plain.len)
            hide(text, plain.p, MIN_SECRET);
    }
}

// Values of environment variables, commands and arguments, wherever a pod template stands.
static void hide_pod_values(struct buf *text, const json_t *v)
{
    static const char *const lists[] = {"command", "args"};
    size_t i;
    json_t *item;
    const char *key;
    json_array_foreach(v, i, item)
    {
        hide_pod_values(text, item);
    }
    json_array_foreach(json_object_get(v, "env"), i, item)
    {
        hide(text, json_dot_str(item, "value"), MIN_SECRET);
    }
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        json_array_foreach(json_object_get(v, lists[k]), i, item)
        {
            hide(text, json_string_value(item), MIN_ARGUMENT);
        }
    }
    json_object_foreach((json_t *)v, key, item)
    {
        hide_pod_values(text, item);
    }
}

static void hide_what_was_sent(struct buf *text, const struct asked *a)
{
    struct err err = {0};
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!text->len || !a->body_len || !canon_read(a->body, a->body_len, &doc, &err)) {
        err_clear(&err);
        return;
    }
    if (str_eq(json_dot_str(doc, "kind"), "Secret"))
        hide_secret_data(text, doc);
    else
        hide_pod_values(text, json_object_get(doc, "spec"));
}

void safe_text(const struct kube_reply *r, const json_t *status, const char *message,
               const struct asked *a, struct buf *out)
{
    const json_t *causes = json_dot(status, "details.causes");
    bool has_causes = json_array_size(causes) > 0;
    if (r->cls == KUBE_CONFLICT && has_causes &&
        str_eq(json_dot_str(json_array_get(causes, 0), "reason"), "FieldManagerConflict"))
        write_conflicts(causes, out);
    else if (r->http == 422 && r->cls != KUBE_DENIED && has_causes)
        write_causes(causes, out);
    else
        write_plain(behind_layers(message), out);
    hide_what_was_sent(out, a);
}
