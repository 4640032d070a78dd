// SPDX-License-Identifier: Apache-2.0
//
// Completion scripts: commands, the options each has, and what may follow them, all from the two
// tables of commands.c.
#include <string.h>

#include "cli/cli.h"

// What a value may be: choices, separated by blanks, or a kind of file. Owned.
enum value { VALUE_ANY, VALUE_WORDS, VALUE_FILE, VALUE_DIR };

static enum value value_of(const struct option *o, const struct command *cmd, char **words)
{
    *words = NULL;
    if (o->kind == OPT_OUTPUT)
        *words = outputs_text(cmd, ' ');
    else if (strchr(o->arg, '|'))
        *words = str_dup(o->arg);
    for (char *p = *words; p && *p; p++)
        *p = *p == '|' ? ' ' : *p;
    return *words                    ? VALUE_WORDS
           : !strcmp(o->arg, "FILE") ? VALUE_FILE
           : !strcmp(o->arg, "DIR")  ? VALUE_DIR
                                     : VALUE_ANY;
}

// "list" of "snapshot list".
static const char *last_word(const struct command *cmd)
{
    const char *blank = strrchr(cmd->name, ' ');
    return blank ? blank + 1 : cmd->name;
}

// What the arguments of a command may be, besides files: "bash zsh fish", commands, or nothing.
static char *argument_words(const struct command *cmd)
{
    struct buf b = {0};
    size_t n;
    const struct command *all = commands_all(&n);
    if (!strcmp(cmd->name, "completion"))
        buf_str(&b, "bash zsh fish");
    for (size_t i = 0; i < n; i++)
        if (!strcmp(cmd->name, "man") ? command_is_in(&all[i], "")
                                      : !cmd->run && command_is_in(&all[i], cmd->name))
            buf_printf(&b, "%s%s", b.len ? " " : "", last_word(&all[i]));
    return buf_take(&b);
}

static void bash_values(const struct command *cmd)
{
    size_t n;
    const struct option *o = options_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!option_is_for(&o[i], cmd) || o[i].kind == OPT_FLAG)
            continue;
        CLEANUP(str_freep) char *words = NULL;
        printf("        --%s", o[i].name);
        if (o[i].letter)
            printf("|-%c", o[i].letter);
        switch (value_of(&o[i], cmd, &words)) {
        case VALUE_WORDS:
            printf(") _regrow_words '%s' ;;\n", words);
            break;
        case VALUE_FILE:
            printf(") _regrow_files -f ;;\n");
            break;
        case VALUE_DIR:
            printf(") _regrow_files -d ;;\n");
            break;
        case VALUE_ANY:
            printf(") COMPREPLY=() ;;\n");
            break;
        }
    }
}

static void bash_command(const struct command *cmd)
{
    size_t n;
    const struct option *o = options_all(&n);
    CLEANUP(str_freep) char *arguments = argument_words(cmd);
    printf("    '%s')\n      case $before in\n", cmd->name);
    bash_values(cmd);
    printf("        *) if [[ $cur == -* ]]; then _regrow_words '");
    for (size_t i = 0; i < n; i++)
        if (option_is_for(&o[i], cmd))
            printf("--%s%s", o[i].name, i + 1 < n ? " " : "");
    printf("'\n           else %s%s%s; fi ;;\n      esac ;;\n",
           *arguments ? "_regrow_words '" : "_regrow_files -f", arguments, *arguments ? "'" : "");
}

// Names of groups as a pattern of case: "'snapshot'|'snapshot key'".
static void group_pattern(const char *quote)
{
    size_t n;
    const struct command *c = commands_all(&n);
    const char *sep = "";
    for (size_t i = 0; i < n; i++) {
        if (c[i].run)
            continue;
        printf("%s%s%s%s", sep, quote, c[i].name, quote);
        sep = "|";
    }
}

static void bash_completion(void)
{
    size_t n;
    const struct command *c = commands_all(&n);
    // "--output=js" comes as three words where = breaks words.
    printf("# bash completion for regrow\n"
           "_regrow_words() { COMPREPLY=($(compgen -W \"$1\" -- \"$cur\")); }\n"
           "_regrow_files() {\n"
           "  local IFS=$'\\n'\n"
           "  compopt -o filenames 2>/dev/null\n"
           "  COMPREPLY=($(compgen \"$1\" -- \"$cur\"))\n"
           "}\n"
           "_regrow() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
           "  if [[ $cur == = ]]; then cur=\n"
           "  elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
           "  if ((COMP_CWORD == 1)); then\n"
           "    _regrow_words '");
    for (size_t i = 0; i < n; i++)
        if (command_is_in(&c[i], ""))
            printf("%s ", c[i].name);
    printf("--help --version'\n    return\n  fi\n"
           "  local cmd=${COMP_WORDS[1]} at=1\n"
           "  while ((at + 1 < COMP_CWORD)); do\n"
           "    case $cmd in ");
    group_pattern("'");
    printf(") cmd+=\" ${COMP_WORDS[++at]}\" ;; *) break ;; esac\n"
           "  done\n"
           "  case $cmd in\n");
    for (size_t i = 0; i < n; i++)
        bash_command(&c[i]);
    printf("  esac\n}\ncomplete -F _regrow regrow\n");
}

// In single quotes; brackets and colons mean something to _arguments and _values.
static void zsh_text(const char *s)
{
    for (; *s; s++) {
        if (*s == '\'')
            printf("'\\''");
        else if (strchr("[]:\\", *s))
            printf("\\%c", *s);
        else
            putchar(*s);
    }
}

static void zsh_option(const struct option *o, const struct command *cmd)
{
    CLEANUP(str_freep) char *words = NULL;
    enum value v = o->kind == OPT_FLAG ? VALUE_ANY : value_of(o, cmd, &words);
    printf(" \\\n        '%s--%s%s[", o->kind == OPT_LIST || o->kind == OPT_PICK ? "*" : "",
           o->name, o->kind == OPT_FLAG ? "" : "=");
    zsh_text(o->help);
    printf("]");
    if (o->kind != OPT_FLAG) {
        printf(":");
        zsh_text(o->arg);
        printf(":");
    }
    if (v == VALUE_WORDS)
        printf("(%s)", words);
    else if (v == VALUE_FILE)
        printf("_files");
    else if (v == VALUE_DIR)
        printf("_files -/");
    printf("'");
}

static void zsh_commands(const char *group)
{
    size_t n;
    const struct command *c = commands_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!command_is_in(&c[i], group))
            continue;
        printf(" \\\n      '%s[", last_word(&c[i]));
        zsh_text(c[i].summary);
        printf("]'");
    }
}

static void zsh_completion(void)
{
    size_t n;
    size_t n_opt;
    const struct command *c = commands_all(&n);
    const struct option *o = options_all(&n_opt);
    printf("#compdef regrow\n_regrow() {\n  local curcontext=$curcontext\n"
           "  if (( CURRENT == 2 )); then\n    _values command");
    zsh_commands("");
    printf("\n    return\n  fi\n  local cmd=$words[2]\n  shift words\n  (( CURRENT-- ))\n"
           "  while (( CURRENT > 2 )); do\n    case $cmd in ");
    group_pattern("'");
    printf(") cmd+=\" $words[2]\"; shift words; (( CURRENT-- )) ;; *) break ;; esac\n  done\n"
           "  case $cmd in\n");
    for (size_t i = 0; i < n; i++) {
        CLEANUP(str_freep) char *arguments = argument_words(&c[i]);
        printf("    '%s') ", c[i].name);
        if (!c[i].run) {
            printf("_values command");
            zsh_commands(c[i].name);
            printf(" ;;\n");
            continue;
        }
        printf("_arguments -s");
        for (size_t k = 0; k < n_opt; k++)
            if (option_is_for(&o[k], &c[i]))
                zsh_option(&o[k], &c[i]);
        if (*arguments)
            printf(" \\\n        '1:argument:(%s)' ;;\n", arguments);
        else
            printf(" \\\n        '*:argument:_files' ;;\n");
    }
    printf("  esac\n}\n_regrow \"$@\"\n");
}

static void fish_text(const char *s)
{
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\')
            putchar('\\');
        putchar(*s);
    }
}

static void fish_option(const struct option *o, const struct command *cmd)
{
    CLEANUP(str_freep) char *words = NULL;
    enum value v = o->kind == OPT_FLAG ? VALUE_ANY : value_of(o, cmd, &words);
    printf("complete -c regrow -n '__regrow_is %s' -l %s", cmd->name, o->name);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (v == VALUE_WORDS)
        printf(" -x -a '%s'", words);
    else if (v == VALUE_FILE)
        printf(" -r -F");
    else if (v == VALUE_DIR)
        printf(" -x -a '(__fish_complete_directories)'");
    else if (o->kind != OPT_FLAG)
        printf(" -x");
    printf(" -d '");
    fish_text(o->help);
    printf("'\n");
}

static void fish_completion(void)
{
    size_t n;
    size_t n_opt;
    const struct command *c = commands_all(&n);
    const struct option *o = options_all(&n_opt);
    // The words of the command line that are no options begin with these, or are these.
    printf("function __regrow_words\n"
           "  string match -v -- '-*' (commandline -opc)[2..-1]\nend\n"
           "function __regrow_is\n"
           "  set -l words (__regrow_words)\n"
           "  test \"$words[1..(count $argv)]\" = \"$argv\"\nend\n"
           "function __regrow_in\n"
           "  set -l words (__regrow_words)\n"
           "  test \"$words\" = \"$argv\"\nend\n");
    for (size_t i = 0; i < n; i++) {
        CLEANUP(str_freep) char *arguments = argument_words(&c[i]);
        const char *last = last_word(&c[i]);
        printf("complete -c regrow -f -n '__regrow_in %.*s' -a %s -d '", (int)(last - c[i].name),
               c[i].name, last);
        fish_text(c[i].summary);
        printf("'\n");
        if (*arguments && c[i].run)
            printf("complete -c regrow -f -n '__regrow_is %s' -a '%s'\n", c[i].name, arguments);
        for (size_t k = 0; k < n_opt; k++)
            if (option_is_for(&o[k], &c[i]))
                fish_option(&o[k], &c[i]);
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
        err_set(err, ERR_USAGE, "%s%.80s%swhich shell? bash, zsh and fish are there",
                *shell ? "\"" : "", shell, *shell ? "\": " : "");
    return 0;
}
