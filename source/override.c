// SPDX-License-Identifier: Apache-2.0
//
// Overrides that stand in Git beside the manifests: .argocd-source.yaml, and
// .argocd-source-<application>.yaml over it, are merged over the application's source (spec argo-cd
// section 1.2). Where the source is cannot be overridden.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/render.h"

#define MAX_OVERRIDE_BYTES (1U << 20)

static bool merge_file(struct render_job *j, const char *name, json_t *source, bool *any,
                       struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    CLEANUP(str_freep) char *path = path_join(j->path, name);
    struct yaml_opts o = {.name = path};
    if (!tree_has(j->tree, path) || tree_is_dir(j->tree, path))
        return true;
    if (!tree_read(j->tree, path, MAX_OVERRIDE_BYTES, &b, err) ||
        !yaml_read(b.p ? b.p : "", b.len, &o, &docs, err))
        return false;
    const json_t *patch = docs.docs.len ? docs.docs.v[0].value : NULL;
    bool ok = !patch || json_is_object(patch) ||
              err_set(err, ERR_INVALID, "%s: not a map of source parameters", path);
    if (ok && patch) {
        json_merge_patch(source, patch);
        *any = true;
    }
    yaml_docs_clear(&docs);
    return ok;
}

bool override_source(struct render_job *j, struct err *err)
{
    if (!j->src || !j->src->json || !j->tree || j->merged || !tree_is_dir(j->tree, j->path))
        return true;
    CLEANUP(json_freep) json_t *source = json_deep_copy((json_t *)j->src->json);
    CLEANUP(str_freep) char *own = str_printf(".argocd-source-%s.yaml", j->app->tracking_name);
    bool any = false;
    if (!merge_file(j, ".argocd-source.yaml", source, &any, err) ||
        !merge_file(j, own, source, &any, err))
        return false;
    if (!any)
        return true;
    j->merged = TAKE(source);
    j->merged_src = *j->src; // its texts stay with the application
    j->src = &j->merged_src;
    app_source_unknown(j->merged, &j->warnings);
    return app_source_blocks(&j->merged_src, j->merged, err) ||
           err_wrap(err, "with .argocd-source.yaml");
}
