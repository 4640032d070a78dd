// SPDX-License-Identifier: Apache-2.0
//
// The command line: a thin shell over bootstrap and reconcile. One table of commands and one of
// options (options.c) make parsing, help, completion and man pages.
//
//   main.c       commands, exit codes
//   options.c    the tables; command line, environment, configuration file
//   manual.c     help, completion, man pages
//   open.c       from options to a session and a run
//   print.c      colours, lines, JSON
//   progress.c   what a bootstrap shows while it runs
//   cmd_*.c      a command each
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "bootstrap/bootstrap.h"

enum output { OUT_TEXT, OUT_JSON, OUT_NDJSON, OUT_YAML, OUT_DOT };

struct options {
    enum output output;
    const char *kubeconfig, *context, *namespace;
    const char *cache_dir, *ca_file, *known_hosts, *credentials, *kube_version, *expect_cluster;
    const char *root_revision, *order, *then, *config;
    struct strv apps, mirrors, ready, args;
    bool verbose, quiet, no_color, no_progress, offline, refresh, no_cluster, use_cluster;
    bool force_conflicts, break_declared, no_prune, allow_mass_prune, exit_code, help, force_all;
    bool allow_duplicate_keys, git_credentials;
    int64_t timeout_ms, wait_ms, source_timeout_ms;
    long long jobs;
    struct strv owned; // strings that came from environment or file
};

struct cli {
    struct options o;
    struct loop *loop;
    struct event_sink events;
    struct source_mirror *mirrors;
    size_t n_mirrors;
    struct source_cred *creds;
    size_t n_creds;
    struct ready_override *ready;
    bool color;
};

struct command {
    const char *name, *args, *summary, *examples;
    unsigned bit;
    int (*run)(struct cli *c, struct err *err); // the exit code; err set when it is not 0 by it
};
const struct command *commands_all(size_t *n);
const struct command *command_find(const char *name);

// ---- options.c ----
enum opt_kind { OPT_FLAG, OPT_TEXT, OPT_LIST, OPT_TIME, OPT_INT, OPT_OUTPUT };
struct option {
    const char *name;
    char letter;
    enum opt_kind kind;
    size_t at; // offset in struct options
    unsigned commands;
    const char *arg, *help;
};
const struct option *options_all(size_t *n);
MUST_CHECK bool options_parse(const struct command *cmd, int argc, char **argv, struct options *o,
                              struct err *err);
void options_clear(struct options *o);

// ---- manual.c ----
void print_usage(FILE *f);
void print_help(FILE *f, const struct command *cmd);
int cmd_completion(struct cli *c, struct err *err);
int cmd_man(struct cli *c, struct err *err);

// ---- open.c ----
// Opens root (the first argument) and, if wanted, the cluster.
MUST_CHECK bool cli_session(struct cli *c, const char *root, bool use_cluster, struct session **out,
                            struct err *err);
struct run *cli_run(struct cli *c, struct session *s, bool read_only, const char *root);
const char *cli_root(struct cli *c, size_t at, struct err *err); // argument or REGROW_ROOT

// ---- print.c ----
const char *paint(const struct cli *c, const char *what); // "red", "dim", "bold", "" = reset
void print_json(const json_t *v, FILE *f);
void cli_print_error(const struct cli *c, const struct err *err);
// What an application's state looks like: a symbol in colour.
const char *state_symbol(const struct cli *c, enum node_state s);
int display_width(const char *s);
char *fit(const char *s, int width); // cut to width with an ellipsis; owned

// ---- progress.c ----
struct progress;
struct progress *progress_new(struct cli *c);
void progress_attach(struct progress *p, const struct run *r, const char *title);
void progress_end(struct progress *p); // clears what it drew
void progress_free(struct progress *p);

int cmd_plan(struct cli *c, struct err *err);
int cmd_bootstrap(struct cli *c, struct err *err);
int cmd_status(struct cli *c, struct err *err);
int cmd_why(struct cli *c, struct err *err);
int cmd_diff(struct cli *c, struct err *err);
int cmd_render(struct cli *c, struct err *err);
int cmd_health(struct cli *c, struct err *err);
int cmd_version(struct cli *c, struct err *err);

#endif
