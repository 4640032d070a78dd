// SPDX-License-Identifier: Apache-2.0
//
// Application, ApplicationSet and project documents from hostile repositories.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "gitops/gitops.h"
#include "gitops/ignored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool no_files(void *ctx, const char *url, const char *rev, struct strv *paths,
                     struct err *err)
{
    (void)ctx;
    (void)url;
    (void)rev;
    (void)err;
    strv_push(paths, "a/b.yaml");
    strv_push(paths, "a/c/d.json");
    return true;
}

// As if every template said what it is.
static bool as_they_are(void *ctx, const struct go_batch *b, json_t **out, size_t *bad,
                        struct err *err)
{
    (void)ctx;
    (void)bad;
    *out = json_array();
    for (size_t i = 0; i < b->pairs.len; i++)
        json_array_append_new(*out, json_string(b->texts.v[b->pairs.v[i].text]));
    return b->pairs.len % 7 != 6 || err_set(err, ERR_INVALID, "no");
}

static bool one_file(void *ctx, const char *url, const char *rev, const char *path, struct buf *out,
                     struct err *err)
{
    (void)ctx;
    (void)url;
    (void)rev;
    (void)path;
    (void)err;
    buf_str(out, "{\"a\":{\"b\":[1,\"x\"]}}");
    return true;
}

// The document as a project of its own, and as its own global project.
static void judge(json_t *doc, const struct application *a)
{
    struct cluster_ref c = {"https://kubernetes.default.svc", "in-cluster", NULL};
    struct err err = {0};
    CLEANUP(json_freep) json_t *all = json_pack("[O]", doc);
    CLEANUP(json_freep) json_t *project = NULL;
    const char *settings = json_dot_str(doc, "spec.globals");
    if (!project_with_globals(doc, settings ? settings : "- {projectName: x}", all, &project, &err))
        err_clear(&err);
    if (!project_permits_app(project, a, &c, &err))
        err_clear(&err);
}

// Fields as a server may name them: "metadata.labels.field" of the document, in itself.
static void leave(json_t *doc, const struct application *a)
{
    const char *path = json_dot_str(doc, "metadata.labels.field");
    struct object_id id = {(char *)"apps", (char *)"Deployment", NULL, (char *)"x"};
    CLEANUP(json_freep)
    json_t *marks = ignored_marks(a->ignore_differences, &id, doc, doc, NULL);
    ignored_covers(marks, doc, path ? path : ".spec.replicas");
    CLEANUP(json_freep) json_t *copy = json_deep_copy(doc);
    field_remove(copy, path ? path : ".metadata.labels");
}

static void one(json_t *doc)
{
    struct err err = {0};
    struct origin where = {0};
    struct application *a = NULL;
    struct object o = {0};
    bool skip;
    if (application_parse(doc, &where, &a, &err)) {
        judge(doc, a);
        leave(doc, a);
    }
    object_sync_options(doc, SYNC_SERVER_SIDE, NULL);
    application_free(a);
    err_clear(&err);
    if (object_sync_marks(doc, &o, &skip, &err) && json_is_object(doc) &&
        object_normalize(doc, &err))
        object_set_body(&o, doc);
    object_clear(&o);
    err_clear(&err);
    struct appset_io io = {.git_files = no_files, .git_read = one_file, .go_render = as_they_are};
    struct appset_result r = {0};
    if (!appset_expand(doc, &io, &r, &err))
        err_clear(&err);
    appset_result_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_docs docs = {0};
    struct err err = {0};
    struct yaml_opts o = {.name = "fuzz", .warn_only = true, .max_bytes = 65536};
    CLEANUP(str_freep) char *text = mem_dup(data, size);
    if (!yaml_read(text, size, &o, &docs, &err)) {
        err_clear(&err);
        return 0;
    }
    for (size_t i = 0; i < docs.docs.len && i < 8; i++)
        one(docs.docs.v[i].value);
    yaml_docs_clear(&docs);
    return 0;
}
