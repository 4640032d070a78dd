// SPDX-License-Identifier: Apache-2.0
//
// From a plan to its file, and from the file to what a bootstrap is given.
#include "cli/planfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

// ---- what is in it ----
static json_t *sources_doc(const struct session *s)
{
    struct source_revisions r = {0};
    json_t *out = json_array();
    source_revisions_of(s->source, &r);
    for (size_t i = 0; i < r.v.len; i++) {
        const struct source_revision *x = &r.v.v[i];
        if (!x->revision && strcmp(x->kind, "folder") != 0)
            continue; // it was asked for in vain, and something else was read
        json_array_append_new(
            out, json_pack("{s:s, s:s, s:s*, s:s, s:s*, s:s*, s:s*, s:s*}", "kind", x->kind, "url",
                           x->url, "chart", x->chart, "target", x->target, "prefix",
                           str_is_empty(x->prefix) ? NULL : x->prefix, "revision", x->revision,
                           "by", str_is_empty(x->by) ? NULL : x->by, "digest", x->digest));
    }
    source_revisions_clear(&r);
    return out;
}

static void add_flag(json_t *o, const char *name, bool is_set)
{
    if (is_set)
        json_object_set_new(o, name, json_true());
}

static void add_texts(json_t *o, const char *name, const struct strv *v)
{
    struct strv sorted = {0};
    for (size_t i = 0; i < v->len; i++)
        if (!strv_has(&sorted, v->v[i]))
            strv_push(&sorted, v->v[i]);
    strv_sort(&sorted);
    if (sorted.len)
        json_object_set_new(o, name, print_texts(&sorted));
    strv_clear(&sorted);
}

// Those that decide what is done; where things are fetched from, and how, is for each run to say.
static json_t *options_doc(const struct options *o)
{
    json_t *out = json_pack("{s:s*, s:s*, s:s*}", "order", o->order, "then", o->then, "revision",
                            o->root_revision);
    add_flag(out, "allowDuplicateKeys", o->allow_duplicate_keys);
    add_flag(out, "allowMassPrune", o->allow_mass_prune);
    add_flag(out, "breakDeclared", o->break_declared);
    add_flag(out, "forceConflicts", o->force_conflicts);
    add_flag(out, "noPrune", o->no_prune);
    add_texts(out, "apps", &o->apps);
    add_texts(out, "pruneLeft", &o->prune_left);
    return out;
}

json_t *planfile_doc(const struct cli *c, const struct session *s, const struct run *r)
{
    return json_pack("{s:{s:s*, s:s}, s:o, s:{s:s, s:s*}, s:o, s:o}", "cluster", "uid",
                     kube_cluster_uid(s->kube), "version", kube_version(s->kube), "options",
                     options_doc(&c->o), "root", "url", s->root, "commit", s->desired->root_commit,
                     "sources", sources_doc(s), "objects", run_planned(r));
}

// ---- writing ----
static bool check_whole(const struct planning *p, struct err *err)
{
    size_t n = 0;
    const struct object *secret = run_planned_secret(p->run);
    for (size_t i = 0; i < p->d->apps.len; i++)
        n += p->d->apps.v[i]->state == APP_UNKNOWN;
    if (n) {
        err_set(err, ERR_PARTIAL, "no plan file was written: %zu application%s could not be read",
                n, n == 1 ? "" : "s");
        return err_hint(err, "What could not be read is not planned. Mend it, and plan again.");
    }
    if (!kube_cluster_uid(p->s->kube))
        return err_set(err, ERR_DENIED,
                       "the uid of namespace kube-system may not be read, by which "
                       "a plan knows its cluster");
    if (!secret)
        return true;
    CLEANUP(str_freep) char *name = object_name(&secret->id);
    err_set(err, ERR_INVALID, "%s has values and comes out of a folder: no commit says which",
            name);
    return err_hint(err,
                    "Values of Secrets are in no plan file, so that only a commit can vouch for "
                    "them. Plan from Git; file:///FOLDER is a repository of this machine.");
}

bool planfile_save(const struct planning *p, char **sum, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    CLEANUP(json_freep) json_t *again = NULL;
    const char *path = p->c->o.plan_out;
    if (!check_whole(p, err))
        return false;
    if (!run_planned_is_seen(p->run, err))
        return err_wrap(err, "no plan file was written");
    CLEANUP(json_freep) json_t *doc = planfile_doc(p->c, p->s, p->run);
    plan_file_write(doc, &b);
    if (b.len > PLAN_FILE_MAX_BYTES)
        return err_set(err, ERR_INVALID, "the plan is larger than a plan file may be");
    // What could not be read again would be found out too late.
    if (!plan_file_read(b.p, b.len, &again, err) || !file_replace(path, b.p, b.len, 0600, err))
        return err_wrap(err, "plan file %s", path);
    *sum = plan_file_sum(again);
    return true;
}

// ---- reading ----
static bool read_doc(const char *path, json_t **out, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    if (file_read(path, PLAN_FILE_MAX_BYTES, &b, err) &&
        plan_file_read(b.p ? b.p : "", b.len, out, err))
        return true;
    CLEANUP(str_freep) char *again = shell_words("regrow plan --out", path);
    if (err->kind == ERR_CORRUPT)
        err_hint(err, "Nothing of it was done. Plan again: %s", again);
    return err_wrap(err, "plan file %s", path);
}

static char *text_of(const json_t *v, const char *key)
{
    return str_dup_or_null(json_dot_str(v, key));
}

static void take_sources(const json_t *list, struct source_revisions *out)
{
    static const char *const kinds[] = {"git", "helm", "oci"};
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        const char *kind = NULL;
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
            if (!strcmp(json_dot_text(v, "kind"), kinds[k]))
                kind = kinds[k];
        if (!kind)
            continue; // a folder is read as it is, and compared
        *vec_push(&out->v) = (struct source_revision){.kind = kind,
                                                      .url = text_of(v, "url"),
                                                      .chart = text_of(v, "chart"),
                                                      .target = text_of(v, "target"),
                                                      .prefix = text_of(v, "prefix"),
                                                      .revision = text_of(v, "revision"),
                                                      .by = text_of(v, "by")};
    }
}

static bool said_otherwise(const char *option, struct err *err)
{
    err_set(err, ERR_USAGE, "--%s is what the plan file says, and cannot be another", option);
    return err_hint(err, "Plan again with it, or leave it out.");
}

// As long as the command runs.
static const char *keep(struct cli *c, const char *s)
{
    strv_push(&c->o.owned, s);
    return c->o.owned.v[c->o.owned.len - 1];
}

static bool take_text(struct cli *c, const json_t *o, const char *key, const char *option,
                      const char **slot, struct err *err)
{
    const char *planned = json_dot_str(o, key);
    if (*slot && !str_eq(*slot, planned))
        return said_otherwise(option, err);
    *slot = planned ? keep(c, planned) : NULL;
    return true;
}

static bool take_flag(const json_t *o, const char *key, const char *option, bool *slot,
                      struct err *err)
{
    bool planned = json_dot_bool(o, key, false);
    if (*slot && !planned)
        return said_otherwise(option, err);
    *slot = planned;
    return true;
}

static bool take_texts(const json_t *o, const char *key, const char *option, struct strv *slot,
                       struct err *err)
{
    const json_t *list = json_object_get(o, key);
    size_t i;
    json_t *v;
    bool same = true;
    CLEANUP(json_freep) json_t *given = json_object();
    add_texts(given, key, slot);
    if (slot->len)
        same = json_equal(json_object_get(given, key), (json_t *)list);
    if (!same)
        return said_otherwise(option, err);
    strv_clear(slot);
    json_array_foreach((json_t *)list, i, v)
    {
        strv_push(slot, json_string_value(v));
    }
    return true;
}

static bool take_options(struct cli *c, const json_t *o, struct err *err)
{
    struct options *x = &c->o;
    const struct {
        const char *key, *option;
        const char **slot;
    } texts[] = {{"order", "order", &x->order},
                 {"then", "then", &x->then},
                 {"revision", "revision", &x->root_revision}};
    const struct {
        const char *key, *option;
        bool *slot;
    } flags[] = {{"allowDuplicateKeys", "allow-duplicate-keys", &x->allow_duplicate_keys},
                 {"allowMassPrune", "allow-mass-prune", &x->allow_mass_prune},
                 {"breakDeclared", "break-declared", &x->break_declared},
                 {"forceConflicts", "force-conflicts", &x->force_conflicts},
                 {"noPrune", "no-prune", &x->no_prune}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!take_text(c, o, texts[i].key, texts[i].option, texts[i].slot, err))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (!take_flag(o, flags[i].key, flags[i].option, flags[i].slot, err))
            return false;
    return take_texts(o, "apps", "app", &x->apps, err) &&
           take_texts(o, "pruneLeft", "prune-left", &x->prune_left, err);
}

static bool check_usage(const struct cli *c, struct err *err)
{
    if (c->o.args.len)
        return err_set(err, ERR_USAGE, "ROOT is in the plan file: only one of both can be given");
    return !c->o.force_all ||
           err_set(err, ERR_USAGE,
                   "--force sends what is in no plan: only one of --force and --plan can be given");
}

bool planfile_open(struct cli *c, struct planfile *out, struct err *err)
{
    if (!c->o.plan_file)
        return true;
    if (!check_usage(c, err) || !read_doc(c->o.plan_file, &out->doc, err))
        return false;
    const char *uid = json_dot_text(out->doc, "cluster.uid");
    if (c->o.expect_cluster && strcmp(c->o.expect_cluster, uid) != 0)
        return said_otherwise("expect-cluster", err);
    c->o.expect_cluster = keep(c, uid);
    strv_push(&c->o.args, json_dot_text(out->doc, "root.url"));
    take_sources(json_object_get(out->doc, "sources"), &out->fixed);
    c->fixed = &out->fixed;
    return take_options(c, json_object_get(out->doc, "options"), err);
}

void planfile_clear(struct planfile *f)
{
    json_decref(f->doc);
    json_decref(f->seen);
    source_revisions_clear(&f->fixed);
    *f = (struct planfile){0};
}
