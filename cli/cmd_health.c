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
    if (c->o.output == OUT_JSON) {
        CLEANUP(json_freep) json_t *v = json_pack("{s:s}", "version", REGROW_VERSION);
        print_json(v, stdout);
    } else {
        printf("regrow %s\n", REGROW_VERSION);
    }
    return 0;
}

static void add_objects(json_t *list, json_t *doc)
{
    if (!object_is_list(doc)) {
        json_array_append(list, doc);
        return;
    }
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(doc, "items"), i, item)
    {
        add_objects(list, item);
    }
}

static void print_one(const json_t *doc, const struct health_result *h)
{
    const char *kind = json_dot_str(doc, "kind");
    const char *ns = json_dot_str(doc, "metadata.namespace");
    const char *name = json_dot_str(doc, "metadata.name");
    printf("%-12s %s %s%s%s%s%s\n", h->status == HEALTH_NONE ? "-" : health_name(h->status),
           kind ? kind : "?", ns ? ns : "", ns ? "/" : "", name ? name : "?",
           *h->message ? ": " : "", h->message);
}

int cmd_health(struct cli *c, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    const char *file = c->o.args.len ? c->o.args.v[0] : NULL;
    if (!file) {
        err_set(err, ERR_USAGE, "FILE is missing; - reads standard input");
        return 0;
    }
    bool ok = !strcmp(file, "-") ? file_read_fd(STDIN_FILENO, "standard input", MAX_BYTES, &b, err)
                                 : file_read(file, MAX_BYTES, &b, err);
    struct yaml_opts o = {.name = file, .warn_only = true, .max_bytes = MAX_BYTES};
    if (!ok || !yaml_read(b.p, b.len, &o, &docs, err))
        return 0;
    CLEANUP(json_freep) json_t *objects = json_array();
    CLEANUP(json_freep) json_t *out = json_array();
    for (size_t i = 0; i < docs.docs.len; i++)
        add_objects(objects, docs.docs.v[i].value);
    yaml_docs_clear(&docs);
    size_t i;
    json_t *doc;
    json_array_foreach(objects, i, doc)
    {
        struct health_result h = {0};
        health_of(doc, &h);
        if (c->o.output == OUT_JSON)
            json_array_append_new(out, json_pack("{s:s*, s:s*, s:s*, s:s*, s:s, s:s}", "apiVersion",
                                                 json_dot_str(doc, "apiVersion"), "kind",
                                                 json_dot_str(doc, "kind"), "namespace",
                                                 json_dot_str(doc, "metadata.namespace"), "name",
                                                 json_dot_str(doc, "metadata.name"), "status",
                                                 health_name(h.status), "message", h.message));
        else
            print_one(doc, &h);
        health_result_clear(&h);
    }
    if (c->o.output == OUT_JSON)
        print_json(out, stdout);
    return 0;
}
