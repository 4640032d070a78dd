// SPDX-License-Identifier: Apache-2.0
//
// The two tables everything else follows from: commands, and options.
#include <stddef.h>
#include <string.h>

#include "cli/cli.h"

enum {
    PLAN = 1,
    BOOT = 2,
    STATUS = 4,
    WHY = 8,
    DIFF = 16,
    RENDER = 32,
    HEALTH = 64,
    VERSION = 128,
    OTHER = 256,
    ROOTED = PLAN | BOOT | STATUS | WHY | DIFF | RENDER,
    LIVE = BOOT | STATUS | WHY | DIFF | PLAN,
    RENDERS = LIVE | RENDER, // may ask a cluster what it serves
    OUTPUT = ROOTED | HEALTH | VERSION,
    ANY = 511
};

#define TREES (1U << OUT_TEXT | 1U << OUT_JSON | 1U << OUT_YAML)

static const struct command commands[] = {
    {"plan", "[ROOT]", "show what would be applied, in which order, and why",
     "Reads ROOT and everything its applications name, and prints them as a tree with what each "
     "waits for. With --use-cluster it also compares with the cluster of the kubeconfig. Nothing "
     "is written.",
     "  regrow plan apps/\n"
     "  regrow plan https://git.example.com/platform.git//apps?ref=main\n"
     "  regrow plan --use-cluster -v apps/\n"
     "  regrow plan -o dot apps/ | dot -Tsvg >order.svg\n",
     PLAN, 1, TREES | 1U << OUT_DOT, cmd_plan},
    {"bootstrap", "[ROOT]", "bring the cluster to what ROOT says, and wait until healthy",
     "Sends every object once, when what it needs is really there, and waits until all "
     "applications are healthy. Kill it at any moment: the same command continues. On a cluster "
     "that is up it applies what changed in Git and deletes what Git no longer has.",
     "  regrow bootstrap https://git.example.com/platform.git//apps?ref=main\n"
     "  regrow bootstrap --timeout 10m --expect-cluster UID apps/\n"
     "  regrow bootstrap -o ndjson apps/ >events.ndjson\n",
     BOOT, 1, TREES | 1U << OUT_NDJSON, cmd_bootstrap},
    {"status", "[ROOT]", "show which applications are healthy and in sync",
     "Compares the cluster with ROOT, an application a line. Nothing is written. Exit code 10 "
     "when something is not healthy or differs.",
     "  regrow status\n"
     "  regrow status -o json | jq '.applications[] | select(.good == false)'\n",
     STATUS, 1, TREES, cmd_status},
    {"why", "APP|KIND/[NAMESPACE/]NAME [ROOT]", "show what something waits for, down to its cause",
     "Follows what an application or an object waits for, link by link, to the one that fails or "
     "is under way, and says what to do. Nothing is written.",
     "  regrow why team-checkout\n"
     "  regrow why deploy/checkout/api\n",
     WHY, 2, TREES, cmd_why},
    {"diff", "[ROOT]", "show field by field what would change",
     "Asks the API server, by a dry run, what each object would become. Values of Secrets are "
     "never shown. Exit code 20 when there are differences.",
     "  regrow diff\n"
     "  regrow diff --app cert-manager apps/\n",
     DIFF, 1, TREES, cmd_diff},
    {"render", "ROOT [APP]", "print what would be applied, in order, as YAML",
     "Prints the manifests as they would be sent, each with the place it was written in. -o json "
     "makes a List that kubectl takes.",
     "  regrow render apps/ >all.yaml\n"
     "  regrow render apps/ cert-manager\n",
     RENDER, 2, TREES, cmd_render},
    {"health", "FILE|-", "say how healthy objects are, by Argo CD's rules",
     "Reads YAML or JSON, such as kubectl prints, and needs no cluster.",
     "  kubectl get deploy -A -o json | regrow health -\n"
     "  regrow health -o json objects.yaml\n"
     "  regrow health --customizations argocd-cm.yaml objects.yaml\n",
     HEALTH, 1, TREES, cmd_health},
    {"version", "", "print the version", "", "  regrow version -o json\n", VERSION, 0, TREES,
     cmd_version},
    {"completion", "bash|zsh|fish", "print a completion script",
     "make install puts them where the shells look.",
     "  regrow completion bash >/etc/bash_completion.d/regrow\n", OTHER, 1, 1U << OUT_TEXT,
     cmd_completion},
    {"man", "[COMMAND]", "print a man page", "", "  regrow man | man -l -\n", OTHER, 1,
     1U << OUT_TEXT, cmd_man},
};

#define AT(field) offsetof(struct options, field)

static const struct option options[] = {
    {"output", GROUP_GENERAL, 'o', OPT_OUTPUT, AT(output), OUTPUT, "FORMAT",
     "format of the answer"},
    {"kubeconfig", GROUP_CLUSTER, 0, OPT_TEXT, AT(kubeconfig), RENDERS, "FILE",
     "kubeconfig (default: $KUBECONFIG, ~/.kube/config, in-cluster)"},
    {"context", GROUP_CLUSTER, 0, OPT_TEXT, AT(context), RENDERS, "NAME",
     "context of the kubeconfig"},
    {"namespace", GROUP_CLUSTER, 'n', OPT_TEXT, AT(namespace), RENDERS, "NAME",
     "namespace of objects named in short"},
    {"app", GROUP_OWN, 0, OPT_LIST, AT(apps), BOOT | DIFF | PLAN, "NAME",
     "only this application and what it depends on; repeatable"},
    {"revision", GROUP_OWN, 0, OPT_TEXT, AT(root_revision), ROOTED, "REV",
     "revision of ROOT, in place of its ?ref="},
    {"timeout", GROUP_OWN, 0, OPT_TIME, AT(timeout_ms), LIVE, "TIME",
     "give up waiting after, such as 10m"},
    {"wait-cluster", GROUP_CLUSTER, 0, OPT_TIME, AT(wait_ms), RENDERS, "TIME",
     "how long to wait for an API server that does not answer yet (default 1m)"},
    {"expect-cluster", GROUP_CLUSTER, 0, OPT_TEXT, AT(expect_cluster), LIVE, "UID",
     "refuse any cluster whose kube-system has another uid"},
    {"order", GROUP_OWN, 0, OPT_TEXT, AT(order), ROOTED, "full|inferred|declared",
     "which edges count: all, without waves, or only what is declared"},
    {"break-declared", GROUP_OWN, 0, OPT_FLAG, AT(break_declared), ROOTED, NULL,
     "let waves and depends-on give way in a cycle"},
    {"ready", GROUP_OWN, 0, OPT_LIST, AT(ready), BOOT | STATUS, "KIND[.GROUP]=applied",
     "take this kind for healthy once it is applied; repeatable"},
    {"force-conflicts", GROUP_OWN, 0, OPT_FLAG, AT(force_conflicts), BOOT | DIFF | PLAN, NULL,
     "take over fields that another manager owns"},
    {"force", GROUP_OWN, 0, OPT_FLAG, AT(force_all), BOOT, NULL, "send every object again"},
    {"no-prune", GROUP_OWN, 0, OPT_FLAG, AT(no_prune), BOOT | PLAN, NULL, "delete nothing"},
    {"allow-mass-prune", GROUP_OWN, 0, OPT_FLAG, AT(allow_mass_prune), BOOT | PLAN, NULL,
     "let a run delete more than a third of all objects"},
    {"use-cluster", GROUP_CLUSTER, 0, OPT_FLAG, AT(use_cluster), PLAN | RENDER, NULL,
     "compare with the cluster, and render for its version"},
    {"kube-version", GROUP_CLUSTER, 0, OPT_TEXT, AT(kube_version), PLAN | RENDER, "1.NN",
     "Kubernetes version to render for without a cluster (1.37.0)"},
    {"exit-code", GROUP_OWN, 0, OPT_FLAG, AT(exit_code), PLAN, NULL,
     "exit 20 when there is something to do"},
    {"mirror", GROUP_SOURCES, 0, OPT_LIST, AT(mirrors), ROOTED, "FROM=TO",
     "read URLs that begin with FROM at TO (URL or folder); repeatable"},
    {"credentials", GROUP_SOURCES, 0, OPT_TEXT, AT(credentials), ROOTED, "FILE",
     "YAML list of entries with url and username, password, bearer, sshKeyFile, caFile, certFile, "
     "keyFile, proxy, insecure, enableOCI"},
    {"git-credentials", GROUP_SOURCES, 0, OPT_FLAG, AT(git_credentials), ROOTED, NULL,
     "ask git's credential helpers and ~/.netrc as a last resort"},
    {"source-timeout", GROUP_SOURCES, 0, OPT_TIME, AT(source_timeout_ms), ROOTED, "TIME",
     "how long a source's server may be silent (default 30s)"},
    {"known-hosts", GROUP_SOURCES, 0, OPT_TEXT, AT(known_hosts), ROOTED, "FILE",
     "host keys for ssh"},
    {"ca-file", GROUP_SOURCES, 0, OPT_TEXT, AT(ca_file), ROOTED, "FILE",
     "further CA for https sources"},
    {"cache-dir", GROUP_SOURCES, 0, OPT_TEXT, AT(cache_dir), ROOTED, "DIR",
     "cache (default ~/.cache/regrow)"},
    {"offline", GROUP_SOURCES, 0, OPT_FLAG, AT(offline), ROOTED, NULL,
     "use the cache and folders only"},
    {"refresh", GROUP_SOURCES, 0, OPT_FLAG, AT(refresh), ROOTED, NULL,
     "render again, whatever is cached"},
    {"allow-duplicate-keys", GROUP_SOURCES, 0, OPT_FLAG, AT(allow_duplicate_keys), ROOTED, NULL,
     "read YAML with duplicate keys as kubectl does: the last one counts"},
    {"jobs", GROUP_SOURCES, 'j', OPT_INT, AT(jobs), ROOTED, "N",
     "helm and kustomize processes at once"},
    {"customizations", GROUP_GENERAL, 0, OPT_TEXT, AT(customizations), HEALTH, "FILE",
     "argocd-cm whose health scripts go first"},
    {"no-progress", GROUP_GENERAL, 0, OPT_FLAG, AT(no_progress), BOOT, NULL,
     "plain lines, no live view"},
    {"no-color", GROUP_GENERAL, 0, OPT_FLAG, AT(no_color), ANY, NULL, "no colours (also NO_COLOR)"},
    {"verbose", GROUP_GENERAL, 'v', OPT_FLAG, AT(verbose), ANY, NULL, "more detail"},
    {"quiet", GROUP_GENERAL, 'q', OPT_FLAG, AT(quiet), ANY, NULL, "only the result"},
    {"config", GROUP_GENERAL, 0, OPT_TEXT, AT(config), ANY, "FILE",
     "YAML map of these options (default ~/.config/regrow/config.yaml)"},
    {"help", GROUP_GENERAL, 'h', OPT_FLAG, AT(help), ANY, NULL, "show this help"},
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

const struct option *option_find(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (strlen(options[i].name) == len && !strncmp(options[i].name, name, len))
            return &options[i];
    return NULL;
}

bool option_is_for(const struct option *o, const struct command *cmd)
{
    return (o->commands & cmd->bit) != 0;
}

static const char *const output_names[] = {"text", "json", "ndjson", "yaml", "dot"};

bool output_of(const char *name, enum output *out)
{
    for (size_t i = 0; i < ARRAY_LEN(output_names); i++) {
        if (!strcmp(output_names[i], name)) {
            *out = (enum output)i;
            return true;
        }
    }
    return false;
}

char *outputs_text(const struct command *cmd, char sep)
{
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(output_names); i++)
        if (cmd->outputs >> i & 1)
            buf_printf(&b, "%.*s%s", b.len ? 1 : 0, &sep, output_names[i]);
    return buf_take(&b);
}

// How many single-letter changes lie between two words (Levenshtein), by one row of the table.
static size_t distance(const char *a, size_t n, const char *b)
{
    size_t row[64];
    size_t m = strlen(b);
    if (n >= ARRAY_LEN(row) || m >= ARRAY_LEN(row))
        return ARRAY_LEN(row);
    for (size_t k = 0; k <= m; k++)
        row[k] = k;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= m; k++) {
            size_t change = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            size_t shift = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            row[k] = change < shift ? change : shift;
        }
    }
    return row[m];
}

const char *command_near(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (distance(name, strlen(name), commands[i].name) <= 2)
            return commands[i].name;
    return NULL;
}

const char *option_near(const struct command *cmd, const char *name, size_t len)
{
    const char *best = NULL;
    size_t least = 3;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        size_t d = distance(name, len, options[i].name);
        if (option_is_for(&options[i], cmd) && d < least) {
            least = d;
            best = options[i].name;
        }
    }
    return best;
}
