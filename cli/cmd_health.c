// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"

#define MAX_BYTES (256U << 20)

int cmd_version(struct cli *c, struct err *err)
{
    (void)err;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *v = doc_new("version", NULL);
        json_object_set_new(v, "regrow", json_string(REGROW_VERSION));
        print_doc(c, v);
    } else {
        printf("regrow %s\n", REGROW_VERSION);
    }
    return 0;
}

// Items of a "DeploymentList" do not repeat what they are.
static void name_item(const json_t *list, json_t *item)
{
    const char *kind = json_dot_str(list, "kind");
    size_t n = strlen(kind) - strlen("List");
    if (!n || !json_is_object(item) || json_object_get(item, "kind"))
        return;
    json_object_set_new(item, "kind", json_stringn(kind, n));
    json_object_set(item, "apiVersion", json_object_get(list, "apiVersion"));
}

static bool add_objects(json_t *list, json_t *doc, struct err *err)
{
    size_t i;
    json_t *item;
    if (object_is_list(doc)) {
        json_array_foreach(json_object_get(doc, "items"), i, item)
        {
            name_item(doc, item);
            if (!add_objects(list, item, err))
                return err_wrap(err, "item %zu", i + 1);
        }
        return true;
    }
    const char *missing = !json_is_object(doc)                            ? "it is not a map"
                          : str_is_empty(json_dot_str(doc, "kind"))       ? "kind is not set"
                          : str_is_empty(json_dot_str(doc, "apiVersion")) ? "apiVersion is not set"
                                                                          : NULL;
    if (missing)
        return err_set(err, ERR_INVALID, "this is no object of Kubernetes: %s", missing);
    json_array_append(list, doc);
    return true;
}

// "Healthy      Deployment web/api: message"
static void print_one(const json_t *doc, const struct health_result *h)
{
    const char *kind = json_dot_str(doc, "kind");
    const char *ns = json_dot_str(doc, "metadata.namespace");
    const char *name = json_dot_str(doc, "metadata.name");
    CLEANUP(str_freep)
    char *text =
        str_printf("%-12s %s %s%s%s%s%s", *health_name(h->status) ? health_name(h->status) : "-",
                   kind ? kind : "?", ns ? ns : "", ns ? "/" : "", name ? name : "?",
                   *h->message ? ": " : "", h->message);
    print_wrapped(stdout, text, 0, 13);
}

static json_t *one_doc(const json_t *doc, const struct health_result *h)
{
    return json_pack("{s:s*, s:s*, s:s*, s:s*, s:s, s:s}", "apiVersion",
                     json_dot_str(doc, "apiVersion"), "kind", json_dot_str(doc, "kind"),
                     "namespace", json_dot_str(doc, "metadata.namespace"), "name",
                     json_dot_str(doc, "metadata.name"), "status", health_name(h->status),
                     "message", h->message);
}

static bool read_objects(const char *file, json_t *objects, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    const char *name = strcmp(file, "-") != 0 ? file : "standard input";
    struct yaml_opts o = {.name = name, .warn_only = true, .max_bytes = MAX_BYTES};
    bool ok = !strcmp(file, "-") ? file_read_fd(STDIN_FILENO, name, MAX_BYTES, &b, err)
                                 : file_read(file, MAX_BYTES, &b, err);
    if (!ok || !yaml_read(b.p, b.len, &o, &docs, err))
        return false;
    if (!docs.docs.len) // what made it has failed: no objects are an empty list
        ok = err_set(err, ERR_INVALID, "%s holds nothing", name);
    for (size_t i = 0; ok && i < docs.docs.len; i++) {
        const struct yaml_doc *d = &docs.docs.v[i];
        if (!add_objects(objects, d->value, err))
            ok = err_wrap(err, "%s:%u", name, d->line);
    }
    yaml_docs_clear(&docs);
    return ok;
}

// The first ConfigMap of the file.
static bool read_customizations(const char *file, struct health_custom **out, struct err *err)
{
    CLEANUP(json_freep) json_t *objects = json_array();
    size_t i;
    json_t *doc;
    if (!read_objects(file, objects, err))
        return false;
    json_array_foreach(objects, i, doc)
    {
        if (str_eq(json_dot_str(doc, "kind"), "ConfigMap"))
            return health_custom_new(doc, out, err) || err_wrap(err, "%s", file);
    }
    return err_set(err, ERR_INVALID, "%s holds no ConfigMap", file);
}

int cmd_health(struct cli *c, struct err *err)
{
    CLEANUP(health_custom_freep) struct health_custom *custom = NULL;
    const char *file = c->o.args.len ? c->o.args.v[0] : NULL;
    CLEANUP(json_freep) json_t *objects = json_array();
    CLEANUP(json_freep) json_t *out = doc_new("health", NULL);
    json_t *list = json_array();
    json_object_set_new(out, "objects", list);
    if (!file) {
        err_set(err, ERR_USAGE, "FILE is missing; - reads standard input");
        err_hint(err, "kubectl get deploy -A -o json | regrow health -");
        return 0;
    }
    if (c->o.customizations && !read_customizations(c->o.customizations, &custom, err))
        return 0;
    if (!read_objects(file, objects, err))
        return 0;
    size_t i;
    json_t *doc;
    json_array_foreach(objects, i, doc)
    {
        struct health_result h = {0};
        health_of(custom, doc, &h);
        if (wants_doc(c))
            json_array_append_new(list, one_doc(doc, &h));
        else
            print_one(doc, &h);
        health_result_clear(&h);
    }
    if (wants_doc(c))
        print_doc(c, out);
    return 0;
}
