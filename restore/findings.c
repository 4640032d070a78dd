// SPDX-License-Identifier: Apache-2.0
#include "restore/findings.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static const struct {
    const char *name;
    bool blames_snapshot;
} kinds[] = {
    [FINDING_MISSING_CRD] = {"missing-crd", true},
    [FINDING_SECRET] = {"secret-not-decryptable", true},
    [FINDING_MISSING_CHART] = {"missing-chart", true},
    [FINDING_MISSING_SOURCE] = {"missing-source", true},
    [FINDING_MISSING] = {"missing-content", true},
    [FINDING_INVALID] = {"invalid-object", true},
    [FINDING_DIFFERENT] = {"different", true},
    [FINDING_REFUSED] = {"refused", false},
    [FINDING_UNSERVED] = {"api-not-served", false},
    [FINDING_UNHEALTHY] = {"unhealthy", false},
    [FINDING_LIVE_MISSING] = {"not-in-snapshot", false},
    [FINDING_LIVE_DIFFERENT] = {"differs-from-live", false},
};

const char *finding_kind_name(enum finding_kind k)
{
    return kinds[k].name;
}

bool finding_blames_snapshot(enum finding_kind k)
{
    return kinds[k].blames_snapshot;
}

void findings_add(struct findings *f, enum finding_kind k, const char *object,
                  const char *application, const char *message)
{
    *vec_push(&f->v) = (struct finding){.kind = k,
                                        .object = str_dup_or_null(object),
                                        .application = str_dup_or_null(application),
                                        .message = str_dup(message)};
}

bool findings_has_object(const struct findings *f, const char *object)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (str_eq(f->v.v[i].object, object))
            return true;
    return false;
}

bool findings_has_app(const struct findings *f, const char *application)
{
    for (size_t i = 0; i < f->v.len; i++)
        if (str_eq(f->v.v[i].application, application))
            return true;
    return false;
}

void findings_clear(struct findings *f)
{
    for (size_t i = 0; i < f->v.len; i++) {
        free(f->v.v[i].object);
        free(f->v.v[i].application);
        free(f->v.v[i].message);
    }
    vec_clear(&f->v);
}

void findings_of_apis(const struct desired *d, const struct api_changes *c, struct findings *out)
{
    for (size_t i = 0; i < c->v.len; i++) {
        const struct api_change *x = &c->v.v[i];
        const struct object *o = &d->objects.v[x->object];
        CLEANUP(str_freep) char *name = object_name(&o->id);
        CLEANUP(str_freep)
        char *text = str_printf("no definition of %s%s%s %s is in the snapshot or the cluster",
                                o->id.group, *o->id.group ? "/" : "", x->from, o->id.kind);
        CLEANUP(str_freep) char *gone = api_change_text(d, x);
        if (x->fate == API_AWAITED)
            findings_add(out, FINDING_MISSING_CRD, name, d->apps.v[o->app]->name, text);
        else if (x->fate == API_DROPPED || x->fate == API_TRIMMED)
            findings_add(out, FINDING_UNSERVED, name, d->apps.v[o->app]->name, gone);
    }
}

// ---- sources ----
// A chart, an artifact or a file is in its list of files; a Git repository among the packs.
static bool has_content(const json_t *row, const json_t *source)
{
    const char *kind = json_dot_text(row, "kind");
    if (!source)
        return false;
    if (!strcmp(kind, "git"))
        return *json_dot_text(source, "revision") != 0;
    return !strcmp(kind, "folder") || json_array_size(json_object_get(source, "files")) > 0;
}

static bool is_named_by(const json_t *row, const struct app_source *s)
{
    const char *url = json_dot_text(row, "url");
    const char *chart = json_dot_text(row, "chart");
    if (strcmp(json_dot_text(row, "target"), s->target_revision ? s->target_revision : "") != 0)
        return false;
    if (*chart || s->chart)
        return str_eq(chart, s->chart ? s->chart : "") &&
               (str_eq(url, s->repo_url) || str_ends(url, path_base(s->repo_url)));
    return str_eq(url, s->repo_url);
}

// The first application that names it; NULL: what remains is named in a kustomization.
static const char *whose(const struct desired *d, const json_t *row)
{
    for (size_t i = 0; i < d->apps.len; i++)
        for (size_t k = 0; k < d->apps.v[i]->sources.len; k++)
            if (is_named_by(row, &d->apps.v[i]->sources.v[k]))
                return d->apps.v[i]->name;
    return NULL;
}

static void add_source(const struct desired *d, const json_t *row, struct findings *out)
{
    const char *kind = json_dot_text(row, "kind");
    const char *chart = json_dot_text(row, "chart");
    bool is_chart = *chart || !strcmp(kind, "helm") || !strcmp(kind, "oci");
    CLEANUP(str_freep)
    char *text =
        is_chart ? str_printf("chart %s%s%s of %s is not in the snapshot", chart, *chart ? " " : "",
                              json_dot_text(row, "target"), json_dot_text(row, "url"))
                 : str_printf("%s %s is not in the snapshot", kind, json_dot_text(row, "url"));
    findings_add(out, is_chart ? FINDING_MISSING_CHART : FINDING_MISSING_SOURCE, NULL,
                 whose(d, row), text);
}

bool findings_of_sources(struct reader *r, const struct frozen *f, struct findings *out,
                         struct err *err)
{
    CLEANUP(json_freep) json_t *root = NULL;
    CLEANUP(json_freep) json_t *rows = NULL;
    size_t i;
    json_t *row;
    if (!reader_root(r, &root, err) || !list_read_all(r, root, "sources", "sources", &rows, err))
        return err_wrap(err, "sources");
    json_array_foreach(rows, i, row)
    {
        CLEANUP(json_freep) json_t *source = NULL;
        if (!list_open(r, row, &source, err))
            return err_wrap(err, "sources");
        if (!has_content(row, source))
            add_source(f->desired, row, out);
    }
    for (size_t k = 0; k < f->missing.len; k++)
        findings_add(out, FINDING_MISSING, NULL, NULL, f->missing.v[k]);
    return true;
}
