// SPDX-License-Identifier: Apache-2.0
#include "cli/asking.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Never the controller's: what a person asks for must not look like its own doing.
#define MANAGER "regrow-cli"

static bool call(struct asking *a, const struct kube_call *c, const char *what, json_t **out,
                 struct err *err)
{
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply r;
    kube_send_wait(a->s->kube, c, &r, &store);
    if (r.cls == KUBE_ABSENT && !strcmp(c->method, "GET"))
        return true;
    if (r.cls != KUBE_OK)
        return kube_reply_err(&r, err, what);
    return canon_read(r.body, r.body_len, out, err) || err_wrap(err, "%s", what);
}

static bool get(struct asking *a, const char *path, json_t **out, struct err *err)
{
    struct kube_call c = {.method = "GET", .path = path, .patience_ms = KUBE_PATIENCE_MS};
    return call(a, &c, "read what is known of it", out, err);
}

static bool write_doc(struct asking *a, const char *method, const char *path, const json_t *doc,
                      json_t **reply, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *url = str_printf("%s?fieldManager=" MANAGER, path);
    canon_write(doc, &b);
    struct kube_call c = {.method = method,
                          .path = url,
                          .body = b.p,
                          .body_len = b.len,
                          .content_type =
                              !strcmp(method, "PATCH") ? "application/merge-patch+json" : NULL};
    return call(a, &c, "ask for it", reply, err);
}

static const struct kind_info *application_kind(const struct asking *a)
{
    const struct kind_info *k = kinds_find(a->s->kinds, "argoproj.io", NULL, "Application");
    return k && k->is_served ? k : NULL;
}

// ---- through an Application ----
static bool several(const json_t *items, const char *name, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    size_t i;
    json_t *v;
    json_array_foreach(items, i, v)
    {
        buf_printf(&b, "%s%s", i ? ", " : "", json_dot_text(v, "metadata.namespace"));
    }
    err_set(err, ERR_INVALID, "there is an application %s in each of %s", name, b.p);
    return err_hint(err, "name it as NAMESPACE/%s", name);
}

static bool find_application(struct asking *a, struct err *err)
{
    const struct kind_info *k = application_kind(a);
    CLEANUP(json_freep) json_t *list = NULL;
    if (!k)
        return true;
    CLEANUP(str_freep) char *path = kind_path(k, a->ns, NULL);
    CLEANUP(str_freep)
    char *url = str_printf("%s?limit=20&fieldSelector=metadata.name%%3D%s", path, a->name);
    if (!get(a, url, &list, err))
        return false;
    const json_t *items = json_object_get(list, "items");
    if (json_array_size(items) > 1)
        return several(items, a->name, err);
    const json_t *one = json_array_get(items, 0);
    if (one) {
        str_set(&a->ns, json_dot_text(one, "metadata.namespace"));
        a->doc = json_incref((json_t *)one);
        a->status = json_incref(json_object_get(one, "status"));
    }
    return true;
}

// ---- through the ConfigMap ----
// Does the cluster remember anything of an application of this name?
static bool is_remembered(struct asking *a, bool *yes, struct err *err)
{
    CLEANUP(json_freep) json_t *list = NULL;
    CLEANUP(str_freep) char *begin = str_printf("app-%s-", a->name);
    size_t i;
    json_t *v;
    struct kube_call c = {.method = "GET",
                          .path = CONTROL_MAPS_PATH "?labelSelector=regrow.dev%2Finventory%3Dapp",
                          .accept =
                              "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                          .patience_ms = KUBE_PATIENCE_MS};
    if (!call(a, &c, "read the inventory", &list, err))
        return false;
    json_array_foreach(json_object_get(list, "items"), i, v)
    {
        *yes |= str_starts(json_dot_text(v, "metadata.name"), begin);
    }
    return true;
}

static bool read_maps(struct asking *a, struct err *err)
{
    CLEANUP(json_freep) json_t *asked = NULL;
    CLEANUP(json_freep) json_t *answers = NULL;
    json_t *entry = NULL;
    json_t *answer = NULL;
    if (!get(a, CONTROL_MAPS_PATH "/" CONTROL_MAP, &asked, err) ||
        !get(a, CONTROL_MAPS_PATH "/" CONTROL_ANSWERS, &answers, err) ||
        !control_entry(asked, a->name, &entry, err))
        return false;
    json_decref(a->doc);
    json_decref(a->status);
    a->doc = entry;
    a->status = NULL;
    if (!control_entry(answers, a->name, &answer, err))
        return false;
    a->status = answer;
    return true;
}

static bool send_to_map(struct asking *a, const json_t *patch, struct err *err)
{
    CLEANUP(json_freep) json_t *map = NULL;
    CLEANUP(json_freep) json_t *entry = NULL;
    CLEANUP(json_freep) json_t *reply = NULL;
    struct buf text CLEANUP(buf_clear) = {0};
    if (!get(a, CONTROL_MAPS_PATH "/" CONTROL_MAP, &map, err) ||
        !control_entry(map, a->name, &entry, err))
        return false;
    if (!json_is_object(entry)) {
        json_decref(entry);
        entry = json_object();
    }
    json_merge_patch(entry, patch);
    canon_write(entry, &text);
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s}, s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap",
                            "metadata", "name", CONTROL_MAP, "data", a->name, text.p);
    if (!map)
        return write_doc(a, "POST", CONTROL_MAPS_PATH, doc, &reply, err);
    // Another who asks at the same time must not be overwritten.
    json_object_set_new(json_object_get(doc, "metadata"), "resourceVersion",
                        json_string(json_dot_text(map, "metadata.resourceVersion")));
    return write_doc(a, "PATCH", CONTROL_MAPS_PATH "/" CONTROL_MAP, doc, &reply, err);
}

// ---- both ----
static bool read_name(struct cli *c, struct asking *a, struct err *err)
{
    const char *arg = c->o.args.len ? c->o.args.v[0] : NULL;
    const char *slash = arg ? strchr(arg, '/') : NULL;
    if (!arg || !*arg)
        return err_set(err, ERR_USAGE, "APP is missing: an application, as regrow status names it");
    a->name = str_dup(slash ? slash + 1 : arg);
    a->ns = slash ? str_ndup(arg, (size_t)(slash - arg)) : str_dup_or_null(c->o.namespace);
    for (const char *s = a->name; *s; s++)
        if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && !strchr("-._", *s))
            return err_set(err, ERR_USAGE, "%.100s is no name of an application", arg);
    return *a->name || err_set(err, ERR_USAGE, "%.100s is no name of an application", arg);
}

// One that was never applied is known to the controller alone: it says so if it is none.
static bool is_kept(struct asking *a, bool *yes, struct err *err)
{
    CLEANUP(json_freep) json_t *lease = NULL;
    if (!get(a, "/apis/coordination.k8s.io/v1/namespaces/" REGROW_NAMESPACE "/leases/regrow",
             &lease, err))
        return false;
    *yes = !str_is_empty(json_dot_str(lease, "spec.holderIdentity"));
    return true;
}

bool asking_open(struct cli *c, struct asking *a, struct err *err)
{
    bool is_there = false;
    *a = (struct asking){.c = c};
    if (!read_name(c, a, err) || !cli_cluster(c, &a->s, err) || !find_application(a, err))
        return false;
    if (a->doc)
        return true;
    if (!a->ns && !is_remembered(a, &is_there, err))
        return false;
    a->is_new = !is_there;
    if (!a->ns && !is_there && !is_kept(a, &is_there, err))
        return false;
    if (!is_there) {
        err_set(err, ERR_NOT_FOUND, "the cluster has no application %s%s%s", a->ns ? a->ns : "",
                a->ns ? "/" : "", a->name);
        return err_hint(err, "regrow status lists them");
    }
    return read_maps(a, err);
}

void asking_close(struct asking *a)
{
    session_close(a->s);
    free(a->name);
    free(a->ns);
    json_decref(a->doc);
    json_decref(a->status);
    *a = (struct asking){0};
}

// Where the definition has a status of its own, that takes it; else the object does, as it answers.
static bool has_status(const json_t *doc, const json_t *patch)
{
    const json_t *status = json_object_get(doc, "status");
    CLEANUP(json_freep) json_t *patched = status ? json_deep_copy(status) : json_object();
    if (!patch)
        return true;
    json_merge_patch(patched, patch);
    return json_equal(patched, status);
}

bool asking_send(struct asking *a, const json_t *patch, struct err *err)
{
    a->asked_ms = clock_mono_ms();
    if (!a->ns)
        return send_to_map(a, patch, err);
    CLEANUP(str_freep) char *path = kind_path(application_kind(a), a->ns, a->name);
    CLEANUP(json_freep) json_t *reply = NULL;
    CLEANUP(json_freep) json_t *again = NULL;
    if (!write_doc(a, "PATCH", path, patch, &reply, err))
        return false;
    CLEANUP(str_freep) char *own = str_printf("%s/status", path);
    return has_status(reply, json_object_get(patch, "status")) ||
           write_doc(a, "PATCH", own, patch, &again, err);
}

bool asking_look(struct asking *a, struct err *err)
{
    CLEANUP(json_freep) json_t *doc = NULL;
    if (!a->ns)
        return read_maps(a, err);
    CLEANUP(str_freep) char *path = kind_path(application_kind(a), a->ns, a->name);
    if (!get(a, path, &doc, err))
        return false;
    if (!doc && json_dot_str(a->doc, "metadata.deletionTimestamp")) {
        a->is_gone = true;
        return true;
    }
    if (!doc)
        return err_set(err, ERR_NOT_FOUND, "application %s/%s has gone", a->ns, a->name);
    json_decref(a->doc);
    json_decref(a->status);
    a->doc = TAKE(doc);
    a->status = json_incref(json_object_get(a->doc, "status"));
    return true;
}

char *asking_user(struct asking *a)
{
    static const char body[] =
        "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}";
    struct kube_call c = {.method = "POST",
                          .path = "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                          .body = body,
                          .body_len = strlen(body)};
    CLEANUP(json_freep) json_t *v = NULL;
    struct err err = {0};
    // A server that does not say it: the name we have here will do.
    if (!call(a, &c, "who we are", &v, &err))
        err_clear(&err);
    const char *user = json_dot_str(v, "status.userInfo.username");
    const char *here = getenv("USER");
    return str_dup(user ? user : here ? here : "somebody");
}

bool asking_waits(const struct cli *c)
{
    return c->o.control.wait || (!c->o.control.no_wait && isatty(STDOUT_FILENO));
}
