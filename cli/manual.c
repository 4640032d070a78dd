// SPDX-License-Identifier: Apache-2.0
//
// Help and man pages, all from the two tables of commands.c.
#include <string.h>

#include "cli/cli.h"

#define MAX_COLUMNS 80
#define OPTION_COLUMN 32
#define NARROW_OPTION_COLUMN 10 // where there is no room beside

// Of help: what a terminal has, and never more than 80, also in a pipe.
static int columns_of(FILE *f)
{
    int rows;
    int cols;
    screen_size(f, &rows, &cols);
    return cols && cols < MAX_COLUMNS ? cols : MAX_COLUMNS;
}

static const struct {
    int code;
    const char *meaning;
} exits[] = {
    {0, "done and healthy, or no difference"},
    {1, "internal error"},
    {2, "wrong use of the command line"},
    {3, "invalid manifest, repository or configuration"},
    {4, "not found: repository, revision, path, application, context"},
    {5, "denied: credentials, permission, policy, project"},
    {6, "conflict: another writer or field owner, another cluster, too much to delete"},
    {7, "unavailable: Git host, registry, API server"},
    {8, "timed out waiting"},
    {9, "corrupt, or signature not trusted"},
    {10, "finished, but part of it failed"},
    {20, "there are differences (diff, plan --exit-code)"},
    {130, "interrupted"},
};

// "" for those of no group.
static void print_commands(FILE *f, const char *group)
{
    size_t n;
    const struct command *c = commands_all(&n);
    for (size_t i = 0; i < n; i++)
        if (command_is_in(&c[i], group)) {
            fprintf(f, "  %-12s ", c[i].name + strlen(group) + (*group != '\0'));
            wrap(f, c[i].summary, 15, 15, columns_of(f));
        }
}

// "usage: regrow plan [OPTION]... [ROOT]"
static void print_synopsis(FILE *f, const char *name, const char *args)
{
    CLEANUP(str_freep)
    char *text = str_printf("usage: regrow %s%s%s", name, *args ? " " : "", args);
    wrap(f, text, 0, 7, columns_of(f));
}

static void print_title(FILE *f, const struct command *cmd)
{
    CLEANUP(str_freep) char *text = str_printf("regrow %s: %s", cmd->name, cmd->summary);
    wrap(f, text, 0, 2, columns_of(f));
    fprintf(f, "\n");
}

void print_usage(FILE *f)
{
    wrap(f, "regrow grows a Kubernetes cluster from one Git repository, in dependency order.", 0, 0,
         columns_of(f));
    fprintf(f, "\n");
    print_synopsis(f, "COMMAND", "[OPTION]... [ARGUMENT]...");
    fprintf(f, "\n");
    print_commands(f, "");
    fprintf(f, "\n");
    wrap(f,
         "ROOT is a folder, a file, or URL[//path][?ref=REV], with Argo CD Applications. Where it "
         "may "
         "be left out, REGROW_ROOT counts, or what the cluster was grown from last.",
         0, 0, columns_of(f));
    fprintf(f, "\n"
               "  regrow plan 'https://git.example.com/platform.git//apps?ref=main'\n"
               "  regrow bootstrap 'https://git.example.com/platform.git//apps?ref=main'\n"
               "  regrow why team-checkout\n\n");
    wrap(f, "regrow COMMAND --help shows options and examples, regrow man COMMAND the manual.", 0,
         0, columns_of(f));
}

// What an option says of itself; the output formats depend on the command.
static char *help_of(const struct option *o, const struct command *cmd)
{
    if (o->kind != OPT_OUTPUT)
        return str_dup(o->help);
    CLEANUP(str_freep) char *all = outputs_text(cmd, '|');
    return str_printf("%s: %s", o->help, all);
}

static void print_option(FILE *f, const struct option *o, const struct command *cmd)
{
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    CLEANUP(str_freep)
    char *left =
        str_printf("  %s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    CLEANUP(str_freep) char *help = help_of(o, cmd);
    int column = columns_of(f) < 72 ? NARROW_OPTION_COLUMN : OPTION_COLUMN;
    if (strlen(left) >= (size_t)column)
        fprintf(f, "%s\n%*s", left, column, "");
    else
        fprintf(f, "%-*s", column, left);
    wrap(f, help, column, column, columns_of(f));
}

static const char *const groups[] = {[GROUP_OWN] = "options",
                                     [GROUP_REPO] = "the repository",
                                     [GROUP_CLUSTER] = "the cluster",
                                     [GROUP_SOURCES] = "the sources",
                                     [GROUP_GENERAL] = "in general"};

static void print_group(FILE *f, const struct command *cmd, enum opt_group group)
{
    size_t n;
    const struct option *o = options_all(&n);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (o[i].group != group || !option_is_for(&o[i], cmd))
            continue;
        if (!any)
            fprintf(f, "\n%s:\n", groups[group]);
        any = true;
        print_option(f, &o[i], cmd);
    }
}

static void print_group_help(FILE *f, const struct command *cmd)
{
    print_title(f, cmd);
    print_synopsis(f, cmd->name, "COMMAND [OPTION]... [ARGUMENT]...");
    fprintf(f, "\n");
    wrap(f, cmd->about, 0, 0, columns_of(f));
    fprintf(f, "\ncommands:\n");
    print_commands(f, cmd->name);
    CLEANUP(str_freep)
    char *more = str_printf("regrow %s COMMAND --help shows options and examples.", cmd->name);
    fprintf(f, "\n");
    wrap(f, more, 0, 0, columns_of(f));
    fprintf(f, "\nexamples:\n%s", cmd->examples);
}

void print_help(FILE *f, const struct command *cmd)
{
    if (!cmd->run) {
        print_group_help(f, cmd);
        return;
    }
    CLEANUP(str_freep)
    char *args = str_printf("[OPTION]...%s%s", *cmd->args ? " " : "", cmd->args);
    print_title(f, cmd);
    print_synopsis(f, cmd->name, args);
    if (*cmd->about) {
        fprintf(f, "\n");
        wrap(f, cmd->about, 0, 0, columns_of(f));
    }
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        print_group(f, cmd, (enum opt_group)g);
    fprintf(f, "\n");
    wrap(f,
         "Every option can also be set in the environment, as REGROW_KUBE_VERSION for "
         "--kube-version, or in the configuration file. The command line wins.",
         0, 0, columns_of(f));
    fprintf(f, "\nexamples:\n%s", cmd->examples);
}

// Text for roff: hyphens of options stay hyphens, a leading dot is no request.
static void roff(const char *s)
{
    for (bool start = true; *s; s++) {
        if (start && (*s == '.' || *s == '\''))
            printf("\\&");
        start = *s == '\n';
        if (*s == '-')
            printf("\\-");
        else if (*s == '\\')
            printf("\\e");
        else
            putchar(*s);
    }
}

static void man_title(const char *name, const char *summary)
{
    CLEANUP(str_freep) char *upper = str_dup(name);
    for (char *p = upper; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    printf(".TH \"");
    roff(upper);
    // Neither hyphenated nor stretched: most of it is names.
    printf("\" 1 \"\" \"regrow %s\" \"regrow manual\"\n.nh\n.ad l\n.SH NAME\n", REGROW_VERSION);
    roff(name);
    printf(" \\- ");
    roff(summary);
    printf("\n");
}

static void man_option(const struct option *o, const struct command *cmd)
{
    CLEANUP(str_freep) char *help = help_of(o, cmd);
    CLEANUP(str_freep) char *env = option_env(o->name);
    printf(".TP\n\\fB");
    if (o->letter)
        printf("\\-%c\\fR, \\fB", o->letter);
    roff("--");
    roff(o->name);
    printf("\\fR");
    if (o->arg) {
        printf(" \\fI");
        roff(o->arg);
        printf("\\fR");
    }
    printf("\n");
    roff(help);
    printf(strcmp(o->name, "help") != 0 ? " (%s).\n" : ".\n", env);
}

static void man_exits(void)
{
    printf(".SH EXIT STATUS\n");
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        printf(".TP 5\n\\fB%d\\fR\n", exits[i].code);
        roff(exits[i].meaning);
        printf(".\n");
    }
}

static void man_files(void)
{
    printf(".SH FILES\n.TP\n~/.config/regrow/config.yaml\nA YAML map of options, such as "
           "\\fBmirror: [https://charts.example.com=/srv/charts]\\fR; lists may be given as lists. "
           "XDG_CONFIG_HOME is heeded.\n.TP\n~/.cache/regrow\nRepositories, charts and what was "
           "rendered; may be deleted at any time.\n");
}

static void man_environment(void)
{
    printf(
        ".SH ENVIRONMENT\nEvery option can be set as REGROW_NAME, lists separated by commas. The "
        "environment wins over the configuration file, the command line over both; lists add "
        "up.\n.TP\nREGROW_ROOT\nstands for ROOT.\n.TP\nREGROW_GIT_USERNAME, "
        "REGROW_GIT_PASSWORD, REGROW_GIT_TOKEN\nopen the root's host, and no other.\n.TP\n"
        "KUBECONFIG, NO_COLOR, XDG_CONFIG_HOME, XDG_CACHE_HOME\nas everywhere.\n");
}

char *name_joined(const struct command *cmd, char sep)
{
    char *name = str_dup(cmd->name);
    for (char *p = name; *p; p++)
        *p = *p == ' ' ? sep : *p;
    return name;
}

static void man_list(const char *group)
{
    size_t n;
    const struct command *c = commands_all(&n);
    printf(".SH COMMANDS\n");
    for (size_t i = 0; i < n; i++) {
        if (!command_is_in(&c[i], group))
            continue;
        printf(".TP\n\\fBregrow %s\\fR ", c[i].name);
        roff(c[i].args);
        printf("\n");
        roff(c[i].summary);
        printf(".\n");
    }
}

static void man_options(const struct command *cmd)
{
    size_t n;
    const struct option *o = options_all(&n);
    printf(".SH OPTIONS\n");
    for (size_t i = 0; i < n; i++)
        if (option_is_for(&o[i], cmd))
            man_option(&o[i], cmd);
}

// The group's commands, or the page of the group it is in.
static void man_see_also(const struct command *cmd)
{
    size_t n;
    const struct command *c = commands_all(&n);
    printf(".SH SEE ALSO\n");
    for (size_t i = 0; i < n; i++) {
        if (!command_is_in(&c[i], cmd->name) && !command_is_in(cmd, c[i].name))
            continue;
        CLEANUP(str_freep) char *name = name_joined(&c[i], '-');
        printf(".BR ");
        CLEANUP(str_freep) char *page = str_printf("regrow-%s", name);
        roff(page);
        printf(" (1),\n");
    }
    printf(".BR regrow (1)\n");
}

static void man_command(const struct command *cmd)
{
    CLEANUP(str_freep) char *joined = name_joined(cmd, '-');
    CLEANUP(str_freep) char *name = str_printf("regrow-%s", joined);
    man_title(name, cmd->summary);
    printf(".SH SYNOPSIS\n\\fBregrow %s\\fR %s", cmd->name, cmd->run ? "[OPTION]... " : "");
    roff(cmd->args);
    printf("\n");
    if (*cmd->about) {
        printf(".SH DESCRIPTION\n");
        roff(cmd->about);
        printf("\n");
    }
    if (cmd->run)
        man_options(cmd);
    else
        man_list(cmd->name);
    printf(".SH EXAMPLES\n.nf\n");
    roff(cmd->examples);
    printf(".fi\n");
    man_exits();
    man_files();
    man_environment();
    man_see_also(cmd);
}

static void man_main(void)
{
    size_t n;
    const struct command *c = commands_all(&n);
    man_title("regrow", "grow a Kubernetes cluster from one Git repository");
    printf(".SH SYNOPSIS\n\\fBregrow\\fR COMMAND [OPTION]... [ARGUMENT]...\n.SH DESCRIPTION\n");
    roff("regrow reads the Argo CD Applications of a repository, works out which object needs "
         "which, and brings all of them up in one pass: each is sent once, when what it needs is "
         "really there. The same command continues after any interruption.\n");
    printf(".PP\n");
    roff(
        "ROOT is a folder, or URL[//path][?ref=REV]. Where it may be left out, REGROW_ROOT counts, "
        "or what the cluster was grown from last.\n");
    printf(".PP\n");
    roff("Standard output is the answer; everything else goes to standard error.\n");
    man_list("");
    man_exits();
    man_files();
    man_environment();
    printf(".SH SEE ALSO\n");
    for (size_t i = 0; i < n; i++)
        if (command_is_in(&c[i], ""))
            printf(".BR regrow\\-%s (1)%s\n", c[i].name, i + 1 < n ? "," : "");
}

int cmd_man(struct cli *c, struct err *err)
{
    int n = (int)c->o.args.len;
    int used = 0;
    const struct command *cmd = n ? command_of(n, c->o.args.v, &used) : NULL;
    if (n && (!cmd || used < n))
        err_set(err, ERR_USAGE, "there is no command \"%.80s\"",
                c->o.args.v[cmd ? used : used - 1]);
    else if (cmd)
        man_command(cmd);
    else
        man_main();
    return 0;
}
