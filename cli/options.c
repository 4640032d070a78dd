// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"

enum {
    PLAN = 1,
    BOOT = 2,
    STATUS = 4,
    WHY = 8,
    DIFF = 16,
    RENDER = 32,
    HEALTH = 64,
    OTHER = 128,
    ROOTED = PLAN | BOOT | STATUS | WHY | DIFF | RENDER,
    LIVE = BOOT | STATUS | WHY | DIFF | PLAN,
    ANY = 255
};

static const struct command commands[] = {
    {"plan", "ROOT", "show what would be applied, in which order, and why",
     "  regrow plan .\n  regrow plan https://git.example.com/platform.git//apps?ref=main\n"
     "  regrow plan --use-cluster -v apps/        against the cluster of the kubeconfig\n"
     "  regrow plan -o dot apps/ | dot -Tsvg >order.svg\n",
     PLAN, cmd_plan},
    {"bootstrap", "ROOT", "bring the cluster to what ROOT says, in order, and wait until healthy",
     "  regrow bootstrap https://git.example.com/platform.git//apps?ref=main\n"
     "  regrow bootstrap --timeout 10m --expect-cluster 4c1f… apps/\n"
     "  regrow bootstrap -o ndjson apps/ >events.ndjson\n",
     BOOT, cmd_bootstrap},
    {"status", "ROOT", "show which applications are healthy and in sync",
     "  regrow status apps/\n  regrow status -o json apps/ | jq .applications\n", STATUS,
     cmd_status},
    {"why", "APP|KIND/[NAMESPACE/]NAME ROOT", "show what something waits for, down to the root",
     "  regrow why team-checkout apps/\n  regrow why deploy/checkout/api apps/\n", WHY, cmd_why},
    {"diff", "ROOT", "show field by field what would change",
     "  regrow diff apps/\n  regrow diff --app cert-manager apps/     exit 20: differences\n", DIFF,
     cmd_diff},
    {"render", "ROOT [APP]", "print what would be applied, in order, as YAML",
     "  regrow render apps/ >all.yaml\n  regrow render apps/ cert-manager\n", RENDER, cmd_render},
    {"health", "FILE|-", "say how healthy objects are, by Argo CD's rules",
     "  kubectl get deploy -A -o json | regrow health -\n  regrow health -o json objects.yaml\n",
     HEALTH, cmd_health},
    {"version", "", "print the version", "  regrow version -o json\n", OTHER, cmd_version},
    {"completion", "bash|zsh|fish", "print a completion script",
     "  regrow completion bash >/etc/bash_completion.d/regrow\n", OTHER, cmd_completion},
    {"man", "[COMMAND]", "print a man page", "  regrow man | man -l -\n", OTHER, cmd_man},
};

#define AT(field) offsetof(struct options, field)

static const struct option options[] = {
    {"output", 'o', OPT_OUTPUT, AT(output), ANY, "FORMAT",
     "text, json, ndjson (bootstrap), yaml (render), dot (plan)"},
    {"kubeconfig", 0, OPT_TEXT, AT(kubeconfig), LIVE, "FILE",
     "kubeconfig file (else $KUBECONFIG, ~/.kube/config, in-cluster)"},
    {"context", 0, OPT_TEXT, AT(context), LIVE, "NAME", "context of the kubeconfig"},
    {"namespace", 'n', OPT_TEXT, AT(namespace), LIVE, "NAME",
     "namespace of objects named in short"},
    {"app", 0, OPT_LIST, AT(apps), BOOT | DIFF | PLAN, "NAME",
     "only this application and what it depends on; repeatable"},
    {"revision", 0, OPT_TEXT, AT(root_revision), ROOTED, "REV",
     "revision of ROOT, in place of its ?ref="},
    {"timeout", 0, OPT_TIME, AT(timeout_ms), LIVE, "TIME", "give up waiting after, such as 10m"},
    {"wait-cluster", 0, OPT_TIME, AT(wait_ms), BOOT, "TIME",
     "how long an API server that does not answer yet is waited for (default 1m)"},
    {"expect-cluster", 0, OPT_TEXT, AT(expect_cluster), LIVE, "UID",
     "refuse any cluster whose kube-system has another uid"},
    {"order", 0, OPT_TEXT, AT(order), ROOTED, "full|inferred|declared",
     "which edges count: all, without waves, or only what is declared"},
    {"break-declared", 0, OPT_FLAG, AT(break_declared), ROOTED, NULL,
     "let waves and depends-on give way in a cycle"},
    {"ready", 0, OPT_LIST, AT(ready), BOOT | STATUS, "KIND[.GROUP]=applied",
     "take this kind for healthy once it is applied; repeatable"},
    {"force-conflicts", 0, OPT_FLAG, AT(force_conflicts), BOOT | DIFF | PLAN, NULL,
     "take over fields that another manager owns"},
    {"force", 0, OPT_FLAG, AT(force_all), BOOT, NULL, "send every object again"},
    {"no-prune", 0, OPT_FLAG, AT(no_prune), BOOT | PLAN, NULL, "delete nothing"},
    {"allow-mass-prune", 0, OPT_FLAG, AT(allow_mass_prune), BOOT | PLAN, NULL,
     "allow a run to delete more than a third of all objects"},
    {"use-cluster", 0, OPT_FLAG, AT(use_cluster), PLAN | RENDER, NULL,
     "compare with the cluster, and render for its version"},
    {"kube-version", 0, OPT_TEXT, AT(kube_version), PLAN | RENDER, "1.NN",
     "Kubernetes version to render for without a cluster (default 1.37.0)"},
    {"exit-code", 0, OPT_FLAG, AT(exit_code), PLAN, NULL, "exit 20 when there is something to do"},
    {"mirror", 0, OPT_LIST, AT(mirrors), ROOTED, "FROM=TO",
     "read URLs that begin with FROM at TO (URL or folder); repeatable"},
    {"credentials", 0, OPT_TEXT, AT(credentials), ROOTED, "FILE",
     "YAML list of {url, username, password, bearer, sshKeyFile, caFile, enableOCI, "
     "certFile, keyFile, proxy, insecure}"},
    {"git-credentials", 0, OPT_FLAG, AT(git_credentials), ROOTED, NULL,
     "ask git's credential helpers and ~/.netrc as a last resort"},
    {"known-hosts", 0, OPT_TEXT, AT(known_hosts), ROOTED, "FILE", "host keys for ssh"},
    {"ca-file", 0, OPT_TEXT, AT(ca_file), ROOTED, "FILE", "further CA for https sources"},
    {"source-timeout", 0, OPT_TIME, AT(source_timeout_ms), ROOTED, "TIME",
     "how long a source's server may be silent (default 30s)"},
    {"cache-dir", 0, OPT_TEXT, AT(cache_dir), ROOTED, "DIR", "cache (default ~/.cache/regrow)"},
    {"offline", 0, OPT_FLAG, AT(offline), ROOTED, NULL, "use the cache and folders only"},
    {"refresh", 0, OPT_FLAG, AT(refresh), ROOTED, NULL, "render again, whatever is cached"},
    {"allow-duplicate-keys", 0, OPT_FLAG, AT(allow_duplicate_keys), ROOTED, NULL,
     "read YAML with duplicate keys as kubectl does: the last one counts"},
    {"jobs", 'j', OPT_INT, AT(jobs), ROOTED, "N", "helm and kustomize processes at once"},
    {"no-progress", 0, OPT_FLAG, AT(no_progress), BOOT, NULL, "plain lines instead of a live view"},
    {"no-color", 0, OPT_FLAG, AT(no_color), ANY, NULL, "no colours (also NO_COLOR)"},
    {"verbose", 'v', OPT_FLAG, AT(verbose), ANY, NULL, "more detail"},
    {"quiet", 'q', OPT_FLAG, AT(quiet), ANY, NULL, "only the result"},
    {"config", 0, OPT_TEXT, AT(config), ANY, "FILE",
     "YAML map of these options (default ~/.config/regrow/config.yaml)"},
    {"help", 'h', OPT_FLAG, AT(help), ANY, NULL, "show this help"},
};

const struct command *commands_all(size_t *n)
{
    *n = ARRAY_LEN(commands);
    return commands;
}

const struct option *options_all(size_t *n)
{
    *n = ARRAY_LEN(options);
    return options;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static const struct option *find_option(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (strlen(options[i].name) == len && !strncmp(options[i].name, name, len))
            return &options[i];
    return NULL;
}

static bool set_output(enum output *out, const char *value)
{
    static const char *const names[] = {"text", "json", "ndjson", "yaml", "dot"};
    for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
        if (!strcmp(names[i], value)) {
            *out = (enum output)i;
            return true;
        }
    }
    return false;
}

static bool set_value(struct options *o, const struct option *opt, const char *value,
                      const char *shown, struct err *err)
{
    void *at = (char *)o + opt->at;
    bool ok = true;
    switch (opt->kind) {
    case OPT_FLAG:
        *(bool *)at = !value || !strcmp(value, "true") || !strcmp(value, "1");
        break;
    case OPT_TEXT:
        *(const char **)at = value;
        break;
    case OPT_LIST:
        strv_push(at, value);
        break;
    case OPT_TIME:
        ok = str_to_duration_ms(value, at);
        break;
    case OPT_INT:
        ok = str_to_int(value, 1, 1000, at);
        break;
    case OPT_OUTPUT:
        ok = set_output(at, value);
        break;
    }
    return ok || err_set(err, ERR_USAGE, "%s: \"%.80s\" is not valid", shown, value);
}

static bool is_for(const struct option *opt, const struct command *cmd, struct err *err)
{
    if (opt->commands & cmd->bit)
        return true;
    err_set(err, ERR_USAGE, "%s has no option --%s", cmd->name, opt->name);
    return err_hint(err, "regrow %s --help shows what it has.", cmd->name);
}

static bool parse_long(const struct command *cmd, struct options *o, int argc, char **argv, int *i,
                       struct err *err)
{
    const char *name = argv[*i] + 2;
    size_t len = strcspn(name, "=");
    const struct option *opt = find_option(name, len);
    if (!opt) {
        err_set(err, ERR_USAGE, "there is no option --%.*s", (int)len, name);
        return err_hint(err, "regrow %s --help shows what there is.", cmd->name);
    }
    const char *value = name[len] ? name + len + 1 : NULL;
    if (!is_for(opt, cmd, err))
        return false;
    if (opt->kind != OPT_FLAG && !value) {
        if (*i + 1 >= argc)
            return err_set(err, ERR_USAGE, "--%s needs a value: %s", opt->name, opt->arg);
        value = argv[++*i];
    }
    return set_value(o, opt, value, argv[*i], err);
}

static bool parse_short(const struct command *cmd, struct options *o, int argc, char **argv, int *i,
                        struct err *err)
{
    for (const char *s = argv[*i] + 1; *s; s++) {
        const struct option *opt = NULL;
        for (size_t k = 0; k < ARRAY_LEN(options); k++)
            if (options[k].letter == *s)
                opt = &options[k];
        if (!opt)
            return err_set(err, ERR_USAGE, "there is no option -%c", *s);
        if (!is_for(opt, cmd, err))
            return false;
        if (opt->kind == OPT_FLAG) {
            if (!set_value(o, opt, NULL, argv[*i], err))
                return false;
            continue;
        }
        const char *value = s[1] ? s + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value)
            return err_set(err, ERR_USAGE, "-%c needs a value: %s", *s, opt->arg);
        return set_value(o, opt, value, opt->name, err);
    }
    return true;
}

// Values that were not given on the command line, from REGROW_… variables.
static bool parse_env(const struct command *cmd, struct options *o, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!(options[i].commands & cmd->bit))
            continue;
        CLEANUP(str_freep) char *name = str_printf("REGROW_%s", options[i].name);
        for (char *p = name; *p; p++)
            *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        const char *value = getenv(name);
        if (value && *value && !set_value(o, &options[i], value, name, err))
            return false;
    }
    return true;
}

static bool set_from_json(struct options *o, const struct option *opt, const json_t *v,
                          const char *file, struct err *err)
{
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++)
            if (!set_from_json(o, opt, json_array_get(v, i), file, err))
                return false;
        return true;
    }
    char *text = json_is_string(v) ? str_dup(json_string_value(v)) : json_dumps(v, JSON_ENCODE_ANY);
    strv_push_take(&o->owned, text);
    CLEANUP(str_freep) char *shown = str_printf("%s: %s", file, opt->name);
    return set_value(o, opt, text, shown, err);
}

static bool parse_file(const struct command *cmd, struct options *o, const char *given,
                       struct err *err)
{
    const char *home = getenv("HOME");
    const char *xdg = getenv("XDG_CONFIG_HOME");
    CLEANUP(str_freep)
    char *path = given         ? str_dup(given)
                 : xdg && *xdg ? str_printf("%s/regrow/config.yaml", xdg)
                               : str_printf("%s/.config/regrow/config.yaml", home ? home : "");
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts yo = {.name = path};
    if (!given && !file_exists(path))
        return true;
    if (!file_read(path, 1U << 20, &b, err) || !yaml_read(b.p, b.len, &yo, &docs, err))
        return err_wrap(err, "configuration");
    bool ok = true;
    const char *key;
    json_t *v;
    json_object_foreach(docs.docs.len ? docs.docs.v[0].value : NULL, key, v)
    {
        const struct option *opt = find_option(key, strlen(key));
        if (!opt && ok)
            ok = err_set(err, ERR_INVALID, "%s: there is no option \"%.80s\"", path, key);
        if (ok && opt && (opt->commands & cmd->bit))
            ok = set_from_json(o, opt, v, path, err);
    }
    yaml_docs_clear(&docs);
    return ok;
}

static const char *config_of(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--config") && i + 1 < argc)
            return argv[i + 1];
        if (str_starts(argv[i], "--config="))
            return argv[i] + 9;
    }
    return getenv("REGROW_CONFIG");
}

bool options_parse(const struct command *cmd, int argc, char **argv, struct options *o,
                   struct err *err)
{
    bool only_args = false;
    // The weakest first: file, environment, command line.
    if (!parse_file(cmd, o, config_of(argc, argv), err) || !parse_env(cmd, o, err))
        return false;
    for (int i = 0; i < argc; i++) {
        bool ok = true;
        if (!only_args && !strcmp(argv[i], "--"))
            only_args = true;
        else if (!only_args && str_starts(argv[i], "--"))
            ok = parse_long(cmd, o, argc, argv, &i, err);
        else if (!only_args && argv[i][0] == '-' && argv[i][1])
            ok = parse_short(cmd, o, argc, argv, &i, err);
        else
            strv_push(&o->args, argv[i]);
        if (!ok)
            return false;
    }
    return true;
}

void options_clear(struct options *o)
{
    strv_clear(&o->apps);
    strv_clear(&o->mirrors);
    strv_clear(&o->ready);
    strv_clear(&o->args);
    strv_clear(&o->owned);
}
