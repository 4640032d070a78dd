// SPDX-License-Identifier: Apache-2.0
//
// Help, completion and man pages, all from the two tables of options.c.
#include <ctype.h>
#include <string.h>

#include "cli/cli.h"

static const char *const exits[] = {
    "0    done and healthy, or no difference",
    "1    internal error",
    "2    wrong use of the command line",
    "3    invalid manifest, repository or configuration",
    "4    not found",
    "5    denied",
    "6    conflict: another writer or field owner",
    "7    unavailable: network, API server",
    "8    timed out waiting",
    "9    corrupt, or signature not trusted",
    "10   finished, but part of it failed",
    "20   there are differences (diff, plan --exit-code)",
    "130  interrupted",
};

void print_usage(FILE *f)
{
    size_t n;
    const struct command *c = commands_all(&n);
    fprintf(f, "regrow grows a Kubernetes cluster from one Git repository, in dependency order.\n\n"
               "usage: regrow COMMAND [OPTION]... [ARGUMENT]...\n\n");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "  %-12s %s\n", c[i].name, c[i].summary);
    fprintf(f, "\nROOT is a folder, or URL[//path][?ref=REV], that holds Argo CD Applications.\n"
               "regrow COMMAND --help shows options and examples.\n");
}

static void print_option(FILE *f, const struct option *o)
{
    char left[64];
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
             o->arg ? o->arg : "");
    if (strlen(left) > 30)
        fprintf(f, "  %s\n  %-30s %s\n", left, "", o->help);
    else
        fprintf(f, "  %-30s %s\n", left, o->help);
}

void print_help(FILE *f, const struct command *cmd)
{
    size_t n;
    const struct option *o = options_all(&n);
    fprintf(f, "regrow %s: %s\n\nusage: regrow %s [OPTION]... %s\n\noptions:\n", cmd->name,
            cmd->summary, cmd->name, cmd->args);
    for (size_t i = 0; i < n; i++)
        if (o[i].commands & cmd->bit)
            print_option(f, &o[i]);
    fprintf(f,
            "\nEvery option can also be set as REGROW_NAME in the environment, or in the "
            "configuration file.\n\nexamples:\n%s",
            cmd->examples);
}

static void bash_completion(void)
{
    size_t n_cmd;
    size_t n_opt;
    const struct command *c = commands_all(&n_cmd);
    const struct option *o = options_all(&n_opt);
    printf("# bash completion for regrow\n_regrow() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]} words=\n"
           "  if [ \"$COMP_CWORD\" -eq 1 ]; then words='");
    for (size_t i = 0; i < n_cmd; i++)
        printf("%s%s", i ? " " : "", c[i].name);
    printf("'; else case $cmd in\n");
    for (size_t i = 0; i < n_cmd; i++) {
        printf("    %s) words='", c[i].name);
        for (size_t k = 0; k < n_opt; k++)
            if (o[k].commands & c[i].bit)
                printf("--%s ", o[k].name);
        printf("';;\n");
    }
    printf("  esac; fi\n"
           "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "  [ -n \"${COMPREPLY[*]}\" ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "}\ncomplete -F _regrow regrow\n");
}

static void zsh_completion(void)
{
    size_t n_cmd;
    size_t n_opt;
    const struct command *c = commands_all(&n_cmd);
    const struct option *o = options_all(&n_opt);
    printf("#compdef regrow\n_regrow() {\n  if (( CURRENT == 2 )); then\n    _values command");
    for (size_t i = 0; i < n_cmd; i++)
        printf(" '%s[%s]'", c[i].name, c[i].summary);
    printf("\n    return\n  fi\n  case $words[2] in\n");
    for (size_t i = 0; i < n_cmd; i++) {
        printf("    %s) _arguments", c[i].name);
        for (size_t k = 0; k < n_opt; k++)
            if (o[k].commands & c[i].bit)
                printf(" '--%s%s'", o[k].name, o[k].kind == OPT_FLAG ? "" : "=:value:_files");
        printf(" '*:file:_files';;\n");
    }
    printf("  esac\n}\n_regrow \"$@\"\n");
}

static void fish_completion(void)
{
    size_t n_cmd;
    size_t n_opt;
    const struct command *c = commands_all(&n_cmd);
    const struct option *o = options_all(&n_opt);
    for (size_t i = 0; i < n_cmd; i++) {
        printf("complete -c regrow -n __fish_use_subcommand -a %s -d '%s'\n", c[i].name,
               c[i].summary);
        for (size_t k = 0; k < n_opt; k++)
            if (o[k].commands & c[i].bit)
                printf("complete -c regrow -n '__fish_seen_subcommand_from %s' -l %s%s\n",
                       c[i].name, o[k].name, o[k].kind == OPT_FLAG ? "" : " -r");
    }
}

int cmd_completion(struct cli *c, struct err *err)
{
    const char *shell = c->o.args.len ? c->o.args.v[0] : "";
    if (!strcmp(shell, "bash"))
        bash_completion();
    else if (!strcmp(shell, "zsh"))
        zsh_completion();
    else if (!strcmp(shell, "fish"))
        fish_completion();
    else
        err_set(err, ERR_USAGE, "completion is there for bash, zsh and fish");
    return 0;
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
            printf("\\\\");
        else
            putchar(*s);
    }
}

static void man_options(unsigned bit)
{
    size_t n;
    const struct option *o = options_all(&n);
    printf(".SH OPTIONS\n");
    for (size_t i = 0; i < n; i++) {
        if (!(o[i].commands & bit))
            continue;
        printf(".TP\n\\fB");
        if (o[i].letter)
            printf("\\-%c\\fR, \\fB", o[i].letter);
        roff("--");
        roff(o[i].name);
        printf("\\fR");
        if (o[i].arg) {
            printf(" \\fI");
            roff(o[i].arg);
            printf("\\fR");
        }
        printf("\n");
        roff(o[i].help);
        printf(".\n");
    }
}

static void man_exits(void)
{
    printf(".SH EXIT STATUS\n.nf\n");
    for (size_t i = 0; i < ARRAY_LEN(exits); i++)
        printf("%s\n", exits[i]);
    printf(".fi\n");
}

static void man_command(const struct command *cmd)
{
    printf(".TH REGROW\\-%s 1 \"\" \"regrow %s\"\n.SH NAME\nregrow\\-%s \\- ", cmd->name,
           REGROW_VERSION, cmd->name);
    roff(cmd->summary);
    printf("\n.SH SYNOPSIS\n\\fBregrow %s\\fR [OPTION]... ", cmd->name);
    roff(cmd->args);
    printf("\n");
    man_options(cmd->bit);
    printf(".SH EXAMPLES\n.nf\n");
    roff(cmd->examples);
    printf(".fi\n");
    man_exits();
}

static void man_main(void)
{
    size_t n;
    const struct command *c = commands_all(&n);
    printf(".TH REGROW 1 \"\" \"regrow %s\"\n.SH NAME\nregrow \\- grow a Kubernetes cluster from "
           "one Git repository\n.SH SYNOPSIS\n\\fBregrow\\fR COMMAND [OPTION]... "
           "[ARGUMENT]...\n.SH DESCRIPTION\nregrow reads the Argo CD Applications of a "
           "repository, works out which object needs which, and brings all of them up in one "
           "pass: each is sent once, when what it needs is really there. The same command "
           "continues after any interruption.\n.SH COMMANDS\n",
           REGROW_VERSION);
    for (size_t i = 0; i < n; i++) {
        printf(".TP\n\\fB%s\\fR ", c[i].name);
        roff(c[i].args);
        printf("\n");
        roff(c[i].summary);
        printf(".\n");
    }
    man_exits();
    printf(".SH ENVIRONMENT\nEvery option can be set as REGROW_NAME. REGROW_ROOT stands for "
           "ROOT. REGROW_GIT_USERNAME with REGROW_GIT_PASSWORD, or REGROW_GIT_TOKEN, open the "
           "root's host.\n");
}

int cmd_man(struct cli *c, struct err *err)
{
    const struct command *cmd = c->o.args.len ? command_find(c->o.args.v[0]) : NULL;
    if (c->o.args.len && !cmd)
        err_set(err, ERR_USAGE, "there is no command %s", c->o.args.v[0]);
    else if (cmd)
        man_command(cmd);
    else
        man_main();
    return 0;
}
