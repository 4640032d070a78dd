// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"

#define DEFAULT_KUBE_VERSION "1.37.0"
#define DEFAULT_WAIT_MS 60000
#define PRUNE_PERCENT 34
#define PRUNE_MIN 20

char *cli_cache_dir(const struct cli *c)
{
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (c->o.cache_dir)
        return str_dup(c->o.cache_dir);
    return xdg && *xdg ? str_printf("%s/regrow", xdg)
                       : str_printf("%s/.cache/regrow", home && *home ? home : "/tmp");
}

void cli_note_deadline(const struct cli *c, struct err *err)
{
    if (!loop_is_late(c->loop) || (err->kind != ERR_CANCELLED && err->kind != ERR_TIMEOUT))
        return;
    CLEANUP(str_freep) char *given = clock_duration_text(c->o.timeout_ms);
    if (err->kind == ERR_CANCELLED) { // as any that is told to stop
        CLEANUP(str_freep) char *msg = str_dup(err->msg);
        err_clear(err);
        err_set(err, ERR_TIMEOUT, "timed out waiting (%s)", msg);
    }
    if (!err->hint)
        err_hint(err, "--timeout gave it %s. Run the same command again, with more time.", given);
}

static bool parse_mirrors(struct cli *c, struct err *err)
{
    c->mirrors = mem_alloc((c->o.mirrors.len + 1) * sizeof(*c->mirrors));
    for (size_t i = 0; i < c->o.mirrors.len; i++) {
        const char *eq = strchr(c->o.mirrors.v[i], '=');
        if (!eq || eq == c->o.mirrors.v[i] || !eq[1])
            return err_set(err, ERR_USAGE, "--mirror %s: FROM=TO is wanted", c->o.mirrors.v[i]);
        struct source_mirror *m = &c->mirrors[c->n_mirrors++];
        m->from = str_ndup(c->o.mirrors.v[i], (size_t)(eq - c->o.mirrors.v[i]));
        m->to = str_dup(eq + 1);
    }
    return true;
}

// Charts and the list of kinds would make something of any text.
static bool check_kube_version(const char *v, struct err *err)
{
    const char *s = v && *v == 'v' ? v + 1 : v;
    size_t numbers = 0;
    for (; s && *s; numbers++) {
        size_t n = strspn(s, "0123456789");
        if (!n || n > 4 || (s[n] && s[n] != '.') || (s[n] && !s[n + 1]) || numbers == 3)
            break;
        s += n + (s[n] == '.');
    }
    if (!v || (!*s && numbers >= 2))
        return true;
    return err_set(err, ERR_USAGE,
                   "--kube-version \"%.80s\": a version such as 1.34 or 1.34.2 is wanted", v);
}

static char *text_at(const json_t *v, const char *key)
{
    return str_dup_or_null(json_dot_str(v, key));
}

static bool text_of_file(const json_t *v, const char *key, char **out, struct err *err)
{
    const char *path = json_dot_str(v, key);
    struct buf b = {0};
    *out = NULL;
    if (!path)
        return true;
    if (!file_read(path, 1U << 20, &b, err))
        return err_wrap(err, "credentials: %s", key);
    *out = buf_take(&b);
    return true;
}

static bool read_credentials(struct cli *c, struct err *err)
{
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts o = {.name = c->o.credentials};
    if (!file_read(c->o.credentials, 1U << 20, &b, err) || !yaml_read(b.p, b.len, &o, &docs, err))
        return err_wrap(err, "credentials");
    size_t i;
    json_t *v;
    json_t *list = docs.docs.len ? docs.docs.v[0].value : NULL;
    bool ok = true;
    c->creds = mem_realloc(c->creds, c->n_creds + json_array_size(list) + 1, sizeof(*c->creds));
    json_array_foreach(list, i, v)
    {
        struct source_cred *x = &c->creds[c->n_creds++];
        *x = (struct source_cred){
            .rank = CRED_FILE,
            .url = text_at(v, "url"),
            .username = text_at(v, "username"),
            .password = text_at(v, "password"),
            .bearer = text_at(v, "bearer"),
            .ssh_key_file = text_at(v, "sshKeyFile"),
            .ca_file = text_at(v, "caFile"),
            .proxy = text_at(v, "proxy"),
            .insecure = json_dot_bool(v, "insecure", false),
            .enable_oci = json_dot_bool(v, "enableOCI", false),
        };
        ok = ok && text_of_file(v, "certFile", &x->cert_pem, err) &&
             text_of_file(v, "keyFile", &x->key_pem, err);
        // It would go to whoever is asked.
        if (ok && (str_is_empty(x->url) || str_ends(x->url, "://")))
            ok = err_set(err, ERR_INVALID, "%s: entry %zu has no url that names a host",
                         c->o.credentials, i + 1);
    }
    yaml_docs_clear(&docs);
    return ok;
}

// "https://host/" of a URL: credentials from the environment go to the root's host alone, or to
// that of its mirror.
static char *host_prefix(const char *url)
{
    const char *sep = strstr(url, "://");
    return sep ? str_ndup(url, (size_t)(sep + 3 - url) + strcspn(sep + 3, "/")) : str_dup(url);
}

static bool find_credentials(struct cli *c, const char *root, struct err *err)
{
    struct source_opts mirrored = {.mirrors = c->mirrors, .n_mirrors = c->n_mirrors};
    CLEANUP(str_freep) char *asked = source_mirror_url(&mirrored, root);
    const char *user = getenv("REGROW_GIT_USERNAME");
    const char *password = getenv("REGROW_GIT_PASSWORD");
    const char *token = getenv("REGROW_GIT_TOKEN");
    c->creds = mem_alloc(2 * sizeof(*c->creds));
    if (password || token) {
        c->creds[c->n_creds++] = (struct source_cred){
            .rank = CRED_ENV,
            .url = host_prefix(asked),
            .username = str_dup(user ? user : "git"),
            .password = str_dup(password ? password : token),
        };
    }
    return !c->o.credentials || read_credentials(c, err);
}

char *awaited_words(const json_t *e)
{
    CLEANUP(str_freep) char *most = clock_duration_text(json_dot_int(e, "wait_ms", 0));
    CLEANUP(str_freep) char *so_far = clock_duration_text(json_dot_int(e, "ms", 0));
    const char *why = json_dot_str(e, "message");
    // What a try said begins with the server.
    return str_printf("waiting for cluster %s, up to %s, %s so far: %s%s",
                      json_dot_str(e, "context"), most, so_far,
                      why ? why : json_dot_text(e, "server"), why ? "" : " does not answer");
}

// Before there is a view, and where there are no events, a person still learns what it hangs on.
static void on_cluster_event(void *ctx, const json_t *e)
{
    const struct cli *c = ctx;
    if (c->events.emit) {
        c->events.emit(c->events.ctx, e);
    } else if (str_eq(json_dot_str(e, "type"), "kube.awaited") && !c->o.quiet) {
        CLEANUP(str_freep) char *line = awaited_words(e);
        fprintf(stderr, "! ");
        print_wrapped(stderr, line, 2, 2);
    }
}

bool cli_open(struct cli *c, bool use_cluster, struct session **out, struct err *err)
{
    struct session_opts o = {
        .kube = {c->o.kubeconfig, c->o.context, c->o.namespace},
        .use_cluster = use_cluster,
        .wait_cluster_ms = c->o.wait_ms ? c->o.wait_ms : DEFAULT_WAIT_MS,
        .events = &c->of_cluster,
    };
    c->of_cluster = (struct event_sink){on_cluster_event, c};
    return session_open(c->loop, &o, out, err);
}

bool cli_ways(struct cli *c, const char *url, struct err *err)
{
    return parse_mirrors(c, err) && find_credentials(c, url, err);
}

bool cli_source_opts(struct cli *c, const char *url, struct source_opts *out, struct err *err)
{
    CLEANUP(str_freep) char *cache = cli_cache_dir(c);
    if (!check_kube_version(c->o.kube_version, err) || !cli_ways(c, url, err))
        return false;
    if (!dir_make(cache, 0700, err))
        return err_wrap(err, "cache");
    strv_push(&c->o.owned, cache);
    *out = (struct source_opts){
        .cache_dir = c->o.owned.v[c->o.owned.len - 1],
        .root_revision = c->o.root_revision,
        .mirrors = c->mirrors,
        .n_mirrors = c->n_mirrors,
        .creds = c->creds,
        .n_creds = c->n_creds,
        .git_helpers = c->o.git_credentials,
        .silence_ms = c->o.source_timeout_ms,
        .render_ms = c->o.render_timeout_ms,
        .known_hosts = c->o.known_hosts,
        .ca_file = c->o.ca_file,
        .kube_version = c->o.kube_version ? c->o.kube_version : DEFAULT_KUBE_VERSION,
        .offline = c->o.offline,
        .refresh = c->o.refresh,
        .allow_duplicate_keys = c->o.allow_duplicate_keys,
        .jobs = (unsigned)c->o.jobs,
        .fixed = c->fixed,
    };
    return true;
}

static bool load_root(struct cli *c, struct session *s, const char *root, struct err *err)
{
    struct source_opts o;
    if (!cli_source_opts(c, root, &o, err))
        return false;
    if (session_load(s, root, &o, err))
        return true;
    if (!err->hint && str_ends(err->msg, strerror(ENOSPC)))
        err_hint(err, "Make room in %s, or name another folder with --cache-dir.", o.cache_dir);
    return false;
}

static const char *given_root(const struct cli *c, size_t at)
{
    if (c->o.args.len > at)
        return c->o.args.v[at];
    const char *root = getenv("REGROW_ROOT");
    return root && *root ? root : NULL;
}

static bool no_root(const struct cli *c, const struct session *s, struct err *err)
{
    if (!s->kube) {
        err_set(err, ERR_USAGE, "ROOT is missing: a folder, a file, or URL[//path][?ref=REV]");
        return err_hint(err, "With --use-cluster it is what the cluster was grown from last.");
    }
    err_set(err, ERR_USAGE, "ROOT is missing, and cluster %s does not remember any",
            kubeconfig_context(s->config));
    (void)c;
    return err_hint(err,
                    "Name it: a folder, or URL[//path][?ref=REV]. The first bootstrap notes it "
                    "in the cluster.");
}

void cli_warn(const struct cli *c, const char *text)
{
    if (c->events.emit) {
        event_emit(&c->events, "run.warning", "{s:s}", "message", text);
    } else if (!c->o.quiet) {
        fprintf(stderr, "! ");
        print_wrapped(stderr, text, 2, 2);
    }
}

static void say_recalled(const struct cli *c, const char *root)
{
    CLEANUP(str_freep) char *line = str_printf("root: %s (remembered)", root);
    if (c->events.emit)
        event_emit(&c->events, "root.recalled", "{s:s}", "root", root);
    else if (!c->o.quiet)
        print_wrapped(stderr, line, 0, 6);
}

char *cli_root(struct cli *c, size_t at, struct session *s, struct err *err)
{
    const char *root = given_root(c, at);
    if (s->kube && !session_recall(s, err)) {
        if (!root || err->kind != ERR_DENIED)
            return NULL;
        err_clear(err); // who may not read it is told the root; a run would need more rights anyway
    }
    if (root)
        return str_dup(root);
    if (!s->remembered) {
        no_root(c, s, err);
        return NULL;
    }
    say_recalled(c, s->remembered);
    return str_dup(s->remembered);
}

bool cli_session(struct cli *c, size_t at, bool use_cluster, struct session **out, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    if (!given_root(c, at) && !use_cluster) {
        struct session none = {0};
        return no_root(c, &none, err);
    }
    if (!cli_open(c, use_cluster, &s, err))
        return false;
    CLEANUP(str_freep)
    char *root = s->kube ? cli_root(c, at, s, err) : str_dup(given_root(c, at));
    if (!root)
        return false;
    bool ok = load_root(c, s, root, err);
    if (!ok && !given_root(c, at) && err->kind == ERR_NOT_FOUND && *root == '/')
        err_hint(err, "That folder was on the machine that ran bootstrap. Name ROOT.");
    *out = TAKE(s); // also when it failed: its root is what an error names
    return ok;
}

struct graph_opts cli_graph_opts(const struct cli *c)
{
    return (struct graph_opts){.ignore_declared = str_eq(c->o.order, "inferred"),
                               .ignore_inferred = str_eq(c->o.order, "declared"),
                               .break_declared = c->o.break_declared};
}

static bool parse_ready(struct cli *c, struct err *err)
{
    if (c->ready)
        return true; // by an earlier run
    c->ready = mem_alloc((c->o.ready.len + 1) * sizeof(*c->ready));
    for (size_t i = 0; i < c->o.ready.len; i++) {
        const char *s = c->o.ready.v[i];
        size_t n = strcspn(s, "=");
        size_t k = strcspn(s, ".=");
        if (!k || strcmp(s + n, "=applied") != 0)
            return err_set(err, ERR_USAGE, "--ready \"%.80s\": KIND[.GROUP]=applied is wanted", s);
        c->ready[i].kind = str_ndup(s, k);
        c->ready[i].group = k < n ? str_ndup(s + k + 1, n - k - 1) : NULL;
    }
    return true;
}

bool cli_cluster(struct cli *c, struct session **out, struct err *err)
{
    struct session *s CLEANUP(session_closep) = NULL;
    if (!cli_open(c, true, &s, err) || !session_recall(s, err))
        return false;
    *out = TAKE(s);
    return true;
}

// Nothing at all is nearly always another folder than was meant, and no success.
bool cli_any(const struct cli *c, const struct desired *d, struct err *err)
{
    if (!root_is_empty(d) || c->o.allow_mass_prune)
        return true;
    err_set(err, ERR_INVALID, "%s",
            d->warnings.len ? d->warnings.v[0] : "there is no object in ROOT");
    return err_hint(err,
                    "Name the folder that holds Applications, or manifests. Only if the cluster "
                    "shall have nothing of it any more, add --allow-mass-prune.");
}

bool cli_run(struct cli *c, struct session *s, bool read_only, struct run **out, struct err *err)
{
    return cli_run_first(c, s, read_only, NULL, NULL, out, err);
}

bool cli_look(struct cli *c, struct session *s, struct run **out, struct err *err)
{
    if (!cli_run(c, s, true, out, err) || !run_resolve_checks(*out, err))
        return false;
    const struct err *breaker = &run_plan(*out)->breaker;
    CLEANUP(str_freep) char *text = str_printf(CLI_REFUSED "%s. %s", breaker->msg, breaker->hint);
    if (err_is_set(breaker))
        cli_warn(c, text);
    return true;
}

bool cli_run_opts(struct cli *c, const struct session *s, struct run_opts *out, struct err *err)
{
    if (!parse_ready(c, err))
        return false;
    *out = (struct run_opts){
        .graph = cli_graph_opts(c),
        .policy = {.prune = !c->o.no_prune,
                   .force_all = c->o.force_all,
                   .max_prune_percent = PRUNE_PERCENT,
                   .min_prune_count = PRUNE_MIN,
                   .allow_mass_prune = c->o.allow_mass_prune,
                   .prune_left = (const char *const *)c->o.prune_left.v,
                   .n_prune_left = c->o.prune_left.len},
        .only_apps = (const char *const *)c->o.apps.v,
        .n_only_apps = c->o.apps.len,
        .only_namespaces = (const char *const *)c->o.restore.namespaces.v,
        .n_only_namespaces = c->o.restore.namespaces.len,
        .keep_needed = c->o.restore.is_part,
        .deadline_ms = c->deadline_ms,
        .lost_ms = c->o.wait_ms,
        .expect_cluster = c->o.expect_cluster,
        .force_conflicts = c->o.force_conflicts,
        // Of a hub it is not this cluster that is grown from it.
        .root = c->o.restore.clusters.len ? NULL : s->root,
        .then = s->has_then ? hand_over_name(s->then) : NULL,
        .manager = hand_over_manager(s->then),
        .events = &c->events,
        .ready = c->ready,
        .n_ready = c->o.ready.len,
        .is_superseded = s->unread ? unread_has_come : NULL,
        .superseded_ctx = s->unread,
    };
    if (session_is_new_root(s))
        out->policy.replaced_root = s->remembered;
    return true;
}

// Who goes on afterwards: as this command says, or as the cluster remembers.
static bool choose_successor(struct cli *c, struct session *s, struct err *err)
{
    if (c->o.then && !hand_over_parse(c->o.then, &s->then))
        return err_set(err, ERR_USAGE, "--then \"%.40s\": regrow, argocd, flux or none is wanted",
                       c->o.then);
    s->has_then |= c->o.then != NULL;
    return session_hand_over(s, err);
}

bool cli_run_first(struct cli *c, struct session *s, bool read_only,
                   bool (*first)(void *ctx, struct err *err), void *ctx, struct run **out,
                   struct err *err)
{
    struct run_opts o;
    if (!choose_successor(c, s, err) || !cli_run_opts(c, s, &o, err))
        return false;
    o.read_only = o.policy.is_read = read_only;
    o.first = first;
    o.first_ctx = ctx;
    *out = run_new(c->loop, s->kube, s->desired, &o);
    return run_prepare(*out, err);
}
