// SPDX-License-Identifier: Apache-2.0
//
// What nodes and chains are called, and what a person can do about them.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static bool is_object(const struct run *r, unsigned node)
{
    return run_graph(r)->nodes.v[node].kind == NODE_OBJECT;
}

// "certificates.cert-manager.io" or "cert-manager.io/Certificate" -> "Certificate CRD"
static char *crd_words(const struct desired *d, const struct object_id *id)
{
    const char *slash = strrchr(id->name, '/');
    const struct kind_info *k = slash ? NULL : kinds_find_name(d->kinds, id->name);
    if (slash || k)
        return str_printf("%s CRD", slash ? slash + 1 : k->kind);
    return str_printf("CRD %s", id->name);
}

char *node_words(const struct graph *g, const struct desired *d, unsigned node)
{
    const struct node *n = &g->nodes.v[node];
    const struct object_id *id = n->kind == NODE_OBJECT     ? &d->objects.v[node].id
                                 : n->kind == NODE_EXTERNAL ? &n->ext
                                                            : NULL;
    if (id && !strcmp(id->kind, "CustomResourceDefinition"))
        return crd_words(d, id);
    if (n->kind == NODE_APP_END || n->kind == NODE_APP_START)
        return str_dup(d->apps.v[n->app]->name);
    return str_dup(n->label);
}

static bool is_shown(const struct graph *g, unsigned node)
{
    enum node_kind k = g->nodes.v[node].kind;
    return k == NODE_OBJECT || k == NODE_WEBHOOK || k == NODE_EXTERNAL || k == NODE_APP_END;
}

char *chain_words(const struct run *r, unsigned app)
{
    const struct graph *g = run_graph(r);
    struct chain_link *chain = NULL;
    size_t n = run_why(r, g->app_end[app], &chain);
    struct strv names = {0};
    struct buf b = {0};
    for (size_t i = 1; i < n; i++)
        if (is_shown(g, chain[i].node))
            strv_push_take(&names, node_words(g, run_desired(r), chain[i].node));
    // The application's own object that waits is not what it waits for, unless it is all there is.
    size_t first = names.len > 1;
    for (size_t i = first; i < names.len; i++) {
        if (names.len - first > 4 && i == first + 2) {
            buf_str(&b, " ← …");
            i = names.len - 2;
        }
        buf_printf(&b, "%s%s", i > first ? " ← " : "", names.v[i]);
    }
    struct node_view v;
    run_node(r, chain[n - 1].node, &v);
    if (n > 1 && *v.message)
        buf_printf(&b, ": %s", v.message);
    strv_clear(&names);
    free(chain);
    return buf_take(&b);
}

char *node_place(const struct run *r, unsigned node)
{
    const struct node *n = &run_graph(r)->nodes.v[node];
    if (n->kind == NODE_OBJECT)
        return origin_text(&run_desired(r)->objects.v[node].origin);
    if (n->kind == NODE_APP_END && run_desired(r)->apps.v[n->app]->doc)
        return origin_text(&run_desired(r)->apps.v[n->app]->origin);
    return NULL;
}

// "kubectl describe -n checkout deployment api"
static char *describe(const struct object_id *id)
{
    CLEANUP(str_freep) char *kind = str_dup(id->kind);
    for (char *p = kind; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    bool custom = strchr(id->group, '.') != NULL;
    return str_printf("kubectl describe%s%s %s%s%s %s", id->namespace ? " -n " : "",
                      id->namespace ? id->namespace : "", kind, custom ? "." : "",
                      custom ? id->group : "", id->name);
}

static char *advice_failed(const struct run *r, unsigned node, const struct node_view *v)
{
    const struct object_id *id = &run_desired(r)->objects.v[node].id;
    CLEANUP(str_freep) char *what = describe(id);
    switch (v->error) {
    case ERR_DENIED:
        return str_dup(
            "let the API server admit it (permission, quota, policy), or change it in Git");
    case ERR_CONFLICT:
        return str_dup("take the field out of Git, or add --force-conflicts");
    case ERR_PARTIAL:
        if (!strcmp(id->kind, "Job"))
            return str_printf("see kubectl logs -n %s job/%s", id->namespace, id->name);
        return str_printf("see %s", what);
    case ERR_NONE:
    case ERR_USAGE:
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_CORRUPT:
    case ERR_INTERNAL:
    case ERR_CANCELLED:
        break;
    }
    return str_dup("mend it in Git");
}

static char *advice_object(const struct run *r, unsigned node, const struct node_view *v)
{
    if (v->state == NODE_FAILED)
        return advice_failed(r, node, v);
    if (v->state == NODE_READY)
        return str_dup("");
    if (v->state == NODE_QUEUED && strstr(v->message, "is not served"))
        return str_dup("write an apiVersion that the cluster serves");
    if (v->state == NODE_APPLIED || v->health == HEALTH_DEGRADED) {
        CLEANUP(str_freep) char *what = describe(&run_desired(r)->objects.v[node].id);
        return str_printf("%s shows what it lacks", what);
    }
    return str_dup("");
}

// What can be done about a kind of error, where nobody knew better.
const char *hint_of(enum err_kind kind)
{
    static const char *const hints[] = {
        [ERR_USAGE] = "regrow --help shows commands, regrow COMMAND --help options and examples.",
        [ERR_INVALID] = "Put right what the message names, then run the same command again.",
        [ERR_NOT_FOUND] = "Check how it is spelt, and that it is there.",
        [ERR_DENIED] = "Check the credentials, and what they permit.",
        [ERR_CONFLICT] = "See who else is at work there.",
        [ERR_UNAVAILABLE] = "Check that it is up and can be reached.",
        [ERR_TIMEOUT] = "Check that it is up; or wait longer.",
        [ERR_CORRUPT] = "Get it anew from where it comes from.",
        [ERR_PARTIAL] = "What is marked ✗ says why.",
        [ERR_INTERNAL] = "This is a fault of regrow: please report it with the command line.",
        [ERR_CANCELLED] = "Run the same command again: it continues where it is.",
    };
    return (size_t)kind < ARRAY_LEN(hints) ? hints[kind] : NULL;
}

// A place that is full or may not be written; NULL: that is not what was wrong.
static const char *trouble_of(int errnum)
{
    switch (errnum) {
    case ENOSPC:
        return "is on a full disk";
    case EFBIG:
        return "may not grow so large (ulimit -f)";
    case EDQUOT:
        return "is on a disk of which you may use no more";
    case EROFS:
        return "is on a file system that cannot be written";
    default:
        return NULL;
    }
}

// Does the message name this folder, or something in it?
static bool is_in(const char *msg, const char *folder)
{
    size_t n = folder ? strlen(folder) : 0;
    for (const char *at = n ? strstr(msg, folder) : NULL; at; at = strstr(at + 1, folder))
        if ((at == msg || at[-1] == ' ') && (!at[n] || strchr("/: ", at[n])))
            return true;
    return false;
}

const char *const temporary_folders[] = {
    "regrow-render", "regrow-tree", "regrow-artifact", "regrow-gotemplate", "regrow-verify",
    "regrow-diff",   "regrow-git",  "regrow-sources",  "regrow-restore",    NULL};

// A folder of ours there, and not what somebody has named that lies there as well.
static bool is_temporary(const char *msg, const char *tmp)
{
    bool is = strstr(msg, "/regrow-drill.") != NULL;
    for (size_t i = 0; temporary_folders[i] && !is; i++) {
        CLEANUP(str_freep) char *path = str_printf("%s/%s.", tmp, temporary_folders[i]);
        is = strstr(msg, path) != NULL;
    }
    return is;
}

char *hint_of_disk(const struct cli *c, const struct err *err)
{
    const char *trouble = trouble_of(err->errnum);
    const char *tmp = getenv("TMPDIR");
    CLEANUP(str_freep) char *cache = cli_cache_dir(c);
    bool full = err->errnum != EROFS;
    if (!trouble && (err->errnum == EACCES || err->errnum == EPERM) && is_in(err->msg, cache))
        trouble = "is not yours to write";
    if (!trouble)
        return NULL;
    if (is_in(err->msg, cache))
        return str_printf("The cache, %s, %s: %sname another with --cache-dir.", cache, trouble,
                          full && err->errnum != EACCES ? "make room there (all of it may be "
                                                          "deleted), or "
                                                        : "");
    if (is_in(err->msg, c->o.snap.repo))
        return str_printf("The repository, %s, %s: %s.", c->o.snap.repo, trouble,
                          full
                              ? "make room there; regrow snapshot prune deletes what was forgotten "
                                "some time ago"
                              : "make it writable, or name another");
    tmp = str_is_empty(tmp) ? "/tmp" : tmp;
    if (is_temporary(err->msg, tmp))
        return str_printf("%s, for temporary files, %s: %sset TMPDIR to another.", tmp, trouble,
                          full ? "make room there, or " : "");
    return str_printf("It %s: %s.", trouble,
                      full ? "make room there, then run the same command again"
                           : "make it writable, or name another place");
}

const char *advice_unread(const struct application *a)
{
    if (a->problem.hint)
        return a->problem.hint;
    if (trouble_of(a->problem.errnum))
        return "Make room there, or name another place: --cache-dir for the cache, TMPDIR for "
               "temporary files.";
    bool elsewhere = a->problem.kind == ERR_UNAVAILABLE || a->problem.kind == ERR_TIMEOUT ||
                     a->problem.kind == ERR_DENIED;
    return elsewhere ? hint_of(a->problem.kind) : "Mend it in Git.";
}

char *and_again(const char *what, const char *again)
{
    const char *sep = !*what ? "" : str_ends(what, ".") ? " Then " : ", then ";
    return str_printf("%s%s%s", what, sep, again);
}

void named_read(const struct cli *c, const struct session *s, const char *text, struct named *out)
{
    struct strv *p = &out->words;
    *out = (struct named){0};
    strv_split(p, text, '/');
    if (p->len < 2 || p->len > 3)
        return;
    out->kind = kinds_find_name(s->desired->kinds, p->v[0]);
    out->namespace = p->len == 3 ? p->v[1] : c->o.namespace;
    out->name = p->v[p->len - 1];
}

bool named_is(const struct named *n, const struct object_id *id)
{
    return n->kind && !strcmp(id->kind, n->kind->kind) && !strcmp(id->group, n->kind->group) &&
           !strcmp(id->name, n->name) &&
           (!n->namespace || !id->namespace || !strcmp(id->namespace, n->namespace));
}

void named_clear(struct named *n)
{
    strv_clear(&n->words);
}

char *again_words(const struct session *s, const char *command)
{
    bool is_known = !s->root || str_eq(s->root, s->remembered);
    return is_known ? str_dup(command) : shell_words(command, s->root);
}

bool root_is_empty(const struct desired *d)
{
    return !d->objects.len && d->apps.len <= 1;
}

bool bootstrap_refuses(const struct run *r)
{
    return err_is_set(&run_plan(r)->breaker) || root_is_empty(run_desired(r));
}

char *bootstrap_words(const struct session *s, const struct run *r)
{
    CLEANUP(str_freep) char *command = again_words(s, "regrow" NBSP "bootstrap");
    return str_printf("%s%s", command, bootstrap_refuses(r) ? " --allow-mass-prune" : "");
}

char *advice(const struct run *r, unsigned node)
{
    const struct node *n = &run_graph(r)->nodes.v[node];
    struct node_view v;
    run_node(r, node, &v);
    if (is_object(r, node))
        return advice_object(r, node, &v);
    // A definition has a group (GROUP/KIND); what has none is the API server's own.
    if (n->kind == NODE_EXTERNAL && !strcmp(n->ext.kind, "CustomResourceDefinition") &&
        str_starts(n->ext.name, "/"))
        return str_dup("no definition can bring it, since v1 is the API server's own: look how its "
                       "kind and apiVersion are spelt");
    if (n->kind == NODE_EXTERNAL)
        return str_dup("nothing in the repository makes it: install it, add it to the repository, "
                       "or take out what needs it");
    if (n->kind == NODE_WEBHOOK && n->svc_name)
        return str_printf("look at the pods behind it: kubectl get endpointslices -n %s -l "
                          "kubernetes.io/service-name=%s",
                          n->svc_namespace, n->svc_name);
    if (n->kind == NODE_WEBHOOK)
        return str_dup("the API server must be able to reach the webhook's URL");
    if (n->kind == NODE_APP_END && v.state == NODE_FAILED)
        return str_dup(advice_unread(run_desired(r)->apps.v[n->app]));
    return str_dup("");
}

void find_warnings(const struct desired *d, const struct graph *g, struct strv *out)
{
    for (size_t i = 0; i < d->warnings.len; i++)
        strv_push(out, d->warnings.v[i]);
    for (size_t i = 0; i < g->warnings.len; i++)
        strv_push(out, g->warnings.v[i]);
    for (size_t i = 0; i < d->apps.len; i++)
        for (size_t k = 0; k < d->apps.v[i]->warnings.len; k++)
            strv_push_take(out,
                           str_printf("%s: %s", d->apps.v[i]->name, d->apps.v[i]->warnings.v[k]));
}
