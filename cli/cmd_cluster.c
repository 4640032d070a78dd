// SPDX-License-Identifier: Apache-2.0
//
// cluster add, list, check, remove: the clusters of a hub, as Argo CD registers them
// (docs/fleet.md).
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define SECRETS "/api/v1/namespaces/" ARGOCD_NAMESPACE "/secrets"
#define LEASES "/apis/coordination.k8s.io/v1/namespaces/" REGROW_NAMESPACE "/leases"
#define ANSWER_MS 10000
#define RUNS_OUT_MS 60000 // so long without a sign of life its note in a Lease says nothing

// ---- requests ----

static bool call(struct session *s, const char *method, const char *path, const json_t *doc,
                 const char *what, json_t **out, struct err *err)
{
    struct buf body CLEANUP(buf_clear) = {0};
    struct buf store CLEANUP(buf_clear) = {0};
    struct kube_reply r;
    if (doc)
        canon_write(doc, &body);
    struct kube_call c = {.method = method,
                          .path = path,
                          .body = body.p,
                          .body_len = body.len,
                          .patience_ms = KUBE_PATIENCE_MS};
    kube_send_wait(s->kube, &c, &r, &store);
    if (body.p)
        explicit_bzero(body.p, body.len);
    bool ok = r.cls == KUBE_OK ? !out || canon_read(r.body, r.body_len, out, err)
              : (r.cls == KUBE_ABSENT || r.cls == KUBE_NO_NAMESPACE) && !strcmp(method, "GET")
                  ? true
                  : kube_reply_err(&r, err, what);
    if (store.p)
        explicit_bzero(store.p, store.len);
    return ok;
}

static bool read_leases(struct session *s, json_t **out, struct err *err)
{
    return call(s, "GET", LEASES "?labelSelector=regrow.dev%2Ffleet%3Dcluster", NULL,
                "read who keeps them", out, err);
}

static bool read_secrets(struct session *s, json_t **out, struct err *err)
{
    return call(s, "GET", SECRETS "?labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster", NULL,
                "read the clusters that are registered", out, err);
}

// The Secret of that name of a cluster, borrowed from the list; NULL: err is set.
static const json_t *find_secret(const json_t *list, const char *name, struct err *err)
{
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(list, "items"), i, x)
    {
        CLEANUP(str_freep) char *have = source_cluster_text(x, "name");
        CLEANUP(str_freep) char *server = source_cluster_text(x, "server");
        if (str_eq(str_is_empty(have) ? server : have, name))
            return x;
    }
    err_set(err, ERR_NOT_FOUND, "no cluster %s is registered", name);
    err_hint(err, "regrow cluster list shows those that are.");
    return NULL;
}

// ---- trying one ----

struct trial {
    struct kubeconfig *config;
    struct kube *kube;
    struct kinds *kinds;
};

static void trial_clear(struct trial *t)
{
    kube_free(t->kube);
    kinds_free(t->kinds);
    kubeconfig_free(t->config);
}

static bool try_connect(struct cli *c, struct trial *t, struct err *err)
{
    struct kube_opts o = {.user_agent = "regrow/" REGROW_VERSION " (linux)",
                          .field_manager = "regrow"};
    t->kube = kube_new(c->loop, t->config, &o);
    t->kinds = kinds_new();
    loop_set_deadline(c->loop, clock_mono_ms() + ANSWER_MS);
    bool ok = kube_connect(t->kube, 0, t->kinds, err);
    loop_set_deadline(c->loop, 0);
    if (!ok && (err->kind == ERR_TIMEOUT || err->kind == ERR_CANCELLED) &&
        !loop_stopping(c->loop)) {
        err_clear(err);
        err_set(err, ERR_UNAVAILABLE, "%s does not answer", kubeconfig_server(t->config));
    }
    return ok;
}

// What a session needs there whatever it keeps, and what it mostly does.
static const struct {
    const char *verb, *group, *resource, *ns;
} rights[] = {
    {"get", "", "namespaces", NULL},
    {"update", "coordination.k8s.io", "leases", REGROW_NAMESPACE},
    {"patch", "", "configmaps", REGROW_NAMESPACE},
    {"list", "*", "*", NULL},
    {"watch", "*", "*", NULL},
    {"patch", "*", "*", NULL},
    {"delete", "*", "*", NULL},
};

static bool may(struct trial *t, size_t i, bool *out, struct err *err)
{
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s*}}}", "apiVersion",
                            "authorization.k8s.io/v1", "kind", "SelfSubjectAccessReview", "spec",
                            "resourceAttributes", "verb", rights[i].verb, "group", rights[i].group,
                            "resource", rights[i].resource, "namespace", rights[i].ns);
    struct session s = {.kube = t->kube};
    CLEANUP(json_freep) json_t *reply = NULL;
    if (!call(&s, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", doc,
              "ask what may be done there", &reply, err))
        return false;
    *out = json_dot_bool(reply, "status.allowed", false);
    return true;
}

static bool ask_rights(struct trial *t, json_t **out, bool *all, struct err *err)
{
    *out = json_array();
    *all = true;
    for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
        bool ok = false;
        if (!may(t, i, &ok, err))
            return false;
        *all &= ok;
        json_array_append_new(*out,
                              json_pack("{s:s, s:s, s:s, s:s*, s:b}", "verb", rights[i].verb,
                                        "group", rights[i].group, "resource", rights[i].resource,
                                        "namespace", rights[i].ns, "allowed", ok));
    }
    return true;
}

static void print_rights(const struct cli *c, const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        bool ok = json_dot_bool(x, "allowed", false);
        const char *group = json_dot_text(x, "group");
        const char *ns = json_dot_str(x, "namespace");
        printf("%s %s %s%s%s%s%s\n", state_symbol(c, ok ? NODE_READY : NODE_FAILED),
               json_dot_text(x, "verb"), json_dot_text(x, "resource"), *group ? "." : "", group,
               ns ? " in " : "", ns ? ns : "");
    }
}

// The hub's controller keeps it already; as another cluster it would be refused there, unless two
// share it (docs/fleet.md).
static void warn_of_hub(const struct session *hub, const struct trial *t, const char *name)
{
    const char *uid = kube_cluster_uid(t->kube);
    if (!uid || !str_eq(uid, kube_cluster_uid(hub->kube)))
        return;
    CLEANUP(str_freep)
    char *text = str_printf("%s is the cluster of the hub itself, which is kept as in-cluster: the "
                            "controller refuses it unless its Secret has regrow.dev/"
                            "records-namespace",
                            name);
    fprintf(stderr, "! ");
    print_wrapped(stderr, text, 2, 2);
}

// Its connection is written down in the hub, not in a kubeconfig.
static bool check_registered(struct cli *c, const json_t *secret, struct trial *t, json_t **may_do,
                             bool *all, struct err *err)
{
    if (kubeconfig_of_argocd(secret, &t->config, err) && try_connect(c, t, err) &&
        ask_rights(t, may_do, all, err))
        return true;
    return err_hint(err,
                    "How it is reached is in Secret " ARGOCD_NAMESPACE "/%s of this cluster: mend "
                    "that, or remove the cluster and add it again.",
                    json_dot_text(secret, "metadata.name"));
}

int cmd_cluster_check(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct trial t CLEANUP(trial_clear) = {0};
    CLEANUP(json_freep) json_t *list = NULL;
    CLEANUP(json_freep) json_t *may_do = NULL;
    const char *name = c->o.args.len ? c->o.args.v[0] : NULL;
    bool all = false;
    if (!name) {
        err_set(err, ERR_USAGE, "NAME is missing: a cluster, as regrow cluster list names it");
        return 0;
    }
    if (!cli_cluster(c, &s, err) || !read_secrets(s, &list, err))
        return 0;
    const json_t *secret = find_secret(list, name, err);
    if (!secret || !check_registered(c, secret, &t, &may_do, &all, err))
        return 0;
    warn_of_hub(s, &t, name);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = doc_new("cluster-check", NULL);
        json_object_set_new(doc, "name", json_string(name));
        json_object_set_new(doc, "server", json_string(kubeconfig_server(t.config)));
        json_object_set_new(doc, "version", json_string(kube_version(t.kube)));
        json_object_set(doc, "rights", may_do);
        print_doc(c, doc);
    } else {
        printf("%s %s answers: %s at %s\n", state_symbol(c, NODE_READY), name, kube_version(t.kube),
               kubeconfig_server(t.config));
        print_rights(c, may_do);
    }
    return all ? 0 : err_exit_code(ERR_PARTIAL);
}

// ---- add ----

static bool is_name(const char *s)
{
    size_t n = strlen(s);
    return n && n <= 50 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n &&
           !strchr("-.", *s) && !strchr("-.", s[n - 1]);
}

static bool is_new(const json_t *list, const char *name, const char *server, struct err *err)
{
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(list, "items"), i, x)
    {
        CLEANUP(str_freep) char *have = source_cluster_text(x, "name");
        CLEANUP(str_freep) char *at = source_cluster_text(x, "server");
        if (str_eq(have, name) || str_eq(at, server)) {
            err_set(err, ERR_CONFLICT, "a cluster %s at %s is registered already", have, at);
            return err_hint(err, "Remove it first, or give this one another name.");
        }
    }
    return true;
}

static bool make_namespace(struct session *s, struct err *err)
{
    CLEANUP(json_freep) json_t *there = NULL;
    CLEANUP(json_freep)
    json_t *doc = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace",
                            "metadata", "name", ARGOCD_NAMESPACE);
    if (!call(s, "GET", "/api/v1/namespaces/" ARGOCD_NAMESPACE, NULL, "look at the hub", &there,
              err))
        return false;
    return there || call(s, "POST", "/api/v1/namespaces", doc, "make namespace " ARGOCD_NAMESPACE,
                         NULL, err);
}

static bool write_secret(struct cli *c, struct session *s, const char *name, struct trial *t,
                         struct err *err)
{
    CLEANUP(str_freep) char *config = NULL;
    CLEANUP(str_freep) char *object = str_printf("cluster-%s", name);
    if (!kubeconfig_to_argocd(t->config, &config, err) || !make_namespace(s, err))
        return false;
    CLEANUP(json_freep)
    json_t *doc = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:{s:s, s:s, s:s, s:s*}}", "apiVersion", "v1",
        "kind", "Secret", "type", "Opaque", "metadata", "name", object, "namespace",
        ARGOCD_NAMESPACE, "labels", ARGOCD_SECRET_TYPE, "cluster", "app.kubernetes.io/managed-by",
        "regrow-cli", "stringData", "name", name, "server", kubeconfig_server(t->config), "config",
        config, "project", c->o.cluster.project);
    explicit_bzero(config, strlen(config));
    return call(s, "POST", SECRETS "?fieldManager=regrow-cli", doc, "register it", NULL, err);
}

int cmd_cluster_add(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    struct trial t CLEANUP(trial_clear) = {0};
    CLEANUP(json_freep) json_t *list = NULL;
    const char *name = c->o.args.len ? c->o.args.v[0] : "";
    struct kubeconfig_opts from = {
        .path = c->o.cluster.from_kubeconfig ? c->o.cluster.from_kubeconfig : c->o.kubeconfig,
        .context = c->o.cluster.from_context,
        .loop = c->loop};
    if (!is_name(name)) {
        err_set(err, ERR_USAGE, "NAME \"%.60s\": small letters, digits, - and . are wanted", name);
        return 0;
    }
    if (!c->o.cluster.from_kubeconfig && !c->o.cluster.from_context) {
        err_set(err, ERR_USAGE, "which cluster is it? --from-context or --from-kubeconfig say");
        return 0;
    }
    if (!kubeconfig_load(&from, &t.config, err) || !cli_cluster(c, &s, err) ||
        !read_secrets(s, &list, err) || !is_new(list, name, kubeconfig_server(t.config), err) ||
        !try_connect(c, &t, err) || !write_secret(c, s, name, &t, err))
        return 0;
    warn_of_hub(s, &t, name);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = doc_new("cluster-added", NULL);
        json_object_set_new(doc, "name", json_string(name));
        json_object_set_new(doc, "server", json_string(kubeconfig_server(t.config)));
        json_object_set_new(doc, "version", json_string(kube_version(t.kube)));
        print_doc(c, doc);
    } else if (!c->o.quiet) {
        printf("%s %s is registered: %s at %s\n", state_symbol(c, NODE_READY), name,
               kube_version(t.kube), kubeconfig_server(t.config));
    }
    return 0;
}

// ---- list ----

static const json_t *lease_of(const json_t *leases, const char *server)
{
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(leases, "items"), i, x)
    {
        const json_t *notes = json_object_get(json_object_get(x, "metadata"), "annotations");
        if (str_eq(json_string_value(json_object_get(notes, "regrow.dev/server")), server))
            return x;
    }
    return NULL;
}

static const char *note_of(const json_t *lease, const char *key)
{
    const json_t *notes = json_object_get(json_object_get(lease, "metadata"), "annotations");
    return json_string_value(json_object_get(notes, key));
}

static json_t *cluster_doc(const char *name, const char *server, const json_t *lease)
{
    const char *renewed = json_dot_str(lease, "spec.renewTime");
    const char *holder = json_dot_str(lease, "spec.holderIdentity");
    bool lives = !str_is_empty(holder) && renewed &&
                 clock_unix_ms() - clock_parse_rfc3339_ms(renewed) < RUNS_OUT_MS;
    const char *state = lives ? note_of(lease, "regrow.dev/state") : NULL;
    const char *apps = lives ? note_of(lease, "regrow.dev/applications") : NULL;
    json_t *doc = json_pack(
        "{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "name", name, "server", server, "state",
        state   ? state
        : lives ? "waiting"
                : "unkept",
        "version", lives ? note_of(lease, "regrow.dev/version") : NULL, "message",
        lives ? note_of(lease, "regrow.dev/message") : NULL, "leader", lives ? holder : NULL);
    if (apps)
        json_object_set_new(doc, "applications", json_integer(atoll(apps)));
    return doc;
}

static json_t *cluster_docs(const json_t *secrets, const json_t *leases)
{
    json_t *out = json_array();
    size_t i;
    json_t *x;
    const char *hub = "https://kubernetes.default.svc";
    json_array_append_new(out, cluster_doc("in-cluster", hub, lease_of(leases, hub)));
    json_array_foreach(json_object_get(secrets, "items"), i, x)
    {
        CLEANUP(str_freep) char *name = source_cluster_text(x, "name");
        CLEANUP(str_freep) char *server = source_cluster_server(x);
        if (!server || !strcmp(server, hub))
            continue;
        json_array_append_new(
            out, cluster_doc(str_is_empty(name) ? server : name, server, lease_of(leases, server)));
    }
    return out;
}

// What is said of each cluster, from its document.
static const struct {
    const char *head, *key;
} columns[] = {{"NAME", "name"},
               {"SERVER", "server"},
               {"VERSION", "version"},
               {"STATE", "state"},
               {"APPLICATIONS", "applications"},
               {"LEADER", "leader"},
               {"MESSAGE", "message"}};
#define N_COLUMNS ARRAY_LEN(columns)

// "" when nothing is known of it.
static char *cell_of(const json_t *x, size_t column)
{
    const json_t *v = json_object_get(x, columns[column].key);
    return json_is_integer(v) ? str_printf("%lld", (long long)json_integer_value(v))
                              : str_dup(json_is_string(v) ? json_string_value(v) : "");
}

static bool is_kept(const json_t *x)
{
    return !strcmp(json_dot_text(x, "state"), "ok");
}

// The width of a table with the columns of which something is known; 0 for the others.
static int widths_of(const json_t *list, int *widths)
{
    int all = 0;
    for (size_t k = 0; k < N_COLUMNS; k++) {
        size_t i;
        json_t *x;
        widths[k] = 0;
        json_array_foreach(list, i, x)
        {
            CLEANUP(str_freep) char *text = cell_of(x, k);
            int width = display_width(text);
            widths[k] = width > widths[k] ? width : widths[k];
        }
        if (widths[k] && display_width(columns[k].head) > widths[k])
            widths[k] = display_width(columns[k].head);
        all += widths[k] ? widths[k] + 2 : 0;
    }
    return all;
}

static void print_cluster_table(const struct cli *c, const json_t *list, const int *widths)
{
    struct table *t CLEANUP(table_freep) = table_new(c, true, 0);
    size_t i;
    json_t *x;
    for (size_t k = 0; k < N_COLUMNS; k++)
        if (widths[k])
            table_column(t, columns[k].head, 0);
    json_array_foreach(list, i, x)
    {
        size_t row = table_row(t, -1);
        size_t at = 0;
        for (size_t k = 0; k < N_COLUMNS; k++) {
            CLEANUP(str_freep) char *text = cell_of(x, k);
            bool is_bad = !strcmp(columns[k].key, "state") && !is_kept(x);
            if (widths[k])
                table_cell(t, row, at++, is_bad ? "red" : "", *text ? text : "-");
        }
    }
    table_print(t);
}

// Where a table has no room.
static void print_cluster_lines(const struct cli *c, const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const char *leader = json_dot_text(x, "leader");
        const char *version = json_dot_text(x, "version");
        const char *message = json_dot_text(x, "message");
        const json_t *apps = json_object_get(x, "applications");
        struct buf b CLEANUP(buf_clear) = {0};
        buf_printf(&b, "%s: %s%s%s, %s%s%s", json_dot_text(x, "name"), json_dot_text(x, "state"),
                   *leader ? " by " : "", leader, json_dot_text(x, "server"), *version ? ", " : "",
                   version);
        if (apps)
            buf_printf(&b, ", applications: %lld", (long long)json_integer_value(apps));
        buf_printf(&b, "%s%s", *message ? ": " : "", message);
        printf("%s ", state_symbol(c, is_kept(x) ? NODE_READY : NODE_FAILED));
        print_wrapped(stdout, b.p, 2, 4);
    }
}

static void print_clusters(const struct cli *c, const json_t *list)
{
    int widths[N_COLUMNS];
    int rows;
    int cols;
    screen_size(stdout, &rows, &cols);
    if (widths_of(list, widths) > cols && cols)
        print_cluster_lines(c, list);
    else
        print_cluster_table(c, list, widths);
    // A hub alone has no Lease of a fleet: whether it is kept is not known here.
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_array_size(list) == 1 || json_object_get(json_array_get(list, i), "leader"))
            return;
    printf("  next: ");
    print_wrapped(stdout, "regrow reconcile   keeps them; no controller is at work", 8, 8);
}

int cmd_cluster_list(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    CLEANUP(json_freep) json_t *secrets = NULL;
    CLEANUP(json_freep) json_t *leases = NULL;
    if (!cli_cluster(c, &s, err) || !read_secrets(s, &secrets, err) ||
        !read_leases(s, &leases, err))
        return 0;
    CLEANUP(json_freep) json_t *list = cluster_docs(secrets, leases);
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = doc_new("clusters", NULL);
        json_object_set(doc, "clusters", list);
        print_doc(c, doc);
    } else {
        print_clusters(c, list);
    }
    return 0;
}

// ---- remove ----

static bool can_be_asked(const struct cli *c, const char *name, struct err *err)
{
    if (!*name) {
        err_set(err, ERR_USAGE, "NAME is missing: a cluster, as regrow cluster list names it");
        return false;
    }
    if (c->o.restore.yes || (c->o.output == OUT_TEXT && isatty(STDIN_FILENO)))
        return true;
    err_set(err, ERR_USAGE, "nobody is there to confirm that %.100s is to be removed", name);
    return err_hint(err, "--yes goes on without asking.");
}

// As a controller counted them last; 0: none, or nobody knows.
static long long count_apps(const json_t *leases, const char *server)
{
    CLEANUP(json_freep) json_t *doc = cluster_doc("", server, lease_of(leases, server));
    return json_dot_int(doc, "applications", 0);
}

static char *apps_text(long long n)
{
    return n ? str_printf("%lld application%s in Git go%s there", n, n == 1 ? "" : "s",
                          n == 1 ? "es" : "")
             : str_dup("");
}

static bool is_meant(const struct cli *c, const char *name, const char *apps, struct err *err)
{
    char line[256] = "";
    if (c->o.restore.yes)
        return true;
    printf("Remove %s? What is on it stays there%s%s. Its name: ", name, *apps ? "; " : "", apps);
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        *line = 0;
    line[strcspn(line, "\r\n")] = 0;
    if (!strcmp(line, name))
        return true;
    err_set(err, ERR_USAGE, "what was typed is not %.100s: it stays registered", name);
    return err_hint(err, "Run it again and type the name, or give --yes.");
}

int cmd_cluster_remove(struct cli *c, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    CLEANUP(json_freep) json_t *list = NULL;
    CLEANUP(json_freep) json_t *leases = NULL;
    const char *name = c->o.args.len ? c->o.args.v[0] : "";
    if (!can_be_asked(c, name, err) || !cli_cluster(c, &s, err) || !read_secrets(s, &list, err) ||
        !read_leases(s, &leases, err))
        return 0;
    const json_t *secret = find_secret(list, name, err);
    if (!secret)
        return 0;
    CLEANUP(str_freep) char *server = source_cluster_server(secret);
    long long n = count_apps(leases, server ? server : "");
    CLEANUP(str_freep) char *apps = apps_text(n);
    if (!is_meant(c, name, apps, err))
        return 0;
    CLEANUP(str_freep)
    char *path = str_printf(SECRETS "/%s", json_dot_text(secret, "metadata.name"));
    if (!call(s, "DELETE", path, NULL, "remove it", NULL, err))
        return 0;
    if (wants_doc(c)) {
        CLEANUP(json_freep) json_t *doc = doc_new("cluster-removed", NULL);
        json_object_set_new(doc, "name", json_string(name));
        json_object_set_new(doc, "server", json_string(server ? server : ""));
        json_object_set_new(doc, "applications", json_integer(n));
        print_doc(c, doc);
    } else if (!c->o.quiet) {
        CLEANUP(str_freep)
        char *text = str_printf("%s is registered no longer. What is on it stays there, with its "
                                "inventory in namespace " REGROW_NAMESPACE ": nobody keeps it now"
                                "%s%s.",
                                name, *apps ? ", and " : "", apps);
        printf("%s ", state_symbol(c, NODE_READY));
        print_wrapped(stdout, text, 2, 2);
    }
    return 0;
}
