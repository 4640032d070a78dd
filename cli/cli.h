// SPDX-License-Identifier: Apache-2.0
//
// The command line: a thin shell over bootstrap and reconcile. One table of commands and one of
// options (commands.c) make parsing, help, completion and man pages.
//
//   main.c        commands, exit codes
//   commands.c    the table of commands
//   option_table.c  that of options; tables.h: which command has which
//   options.c     command line, environment, configuration file
//   manual.c      help and man pages
//   completion.c  for bash, zsh and fish
//   open.c        from options to a session and a run
//   snapshot_open.c  from options to an opened repository; pass.c, identities.c: what opens it
//   snapshot_keys.h  what the commands on keys share
//   snapshot_metrics.c  what monitoring is told
//   print.c       colours, lines, documents
//   table.c       tables and trees
//   planfile.h    a plan as a file
//   doctoring.h   what doctor looks at
//   left.c        what is told of applications that left Git without their objects
//   removed.c     and of all that the inventory has and Git no longer
//   words.c       what nodes, chains and states are called, and what to do about them
//   progress.c    what a bootstrap shows while it runs; frame.h: lines that are drawn in place
//   status.h      how applications are; watching.c: as it changes
//   restore_*.c   what restore shows; a part of one
//   outcome.c     how a bootstrap or a restore ended
//   restore_view.c, restore_report.c  what a restore shows before and after
//   drilling.h    a drill: a restore, what it shows, how it is noted
//   restore_git.c  its --push-git
//   serving.h, snapshotting.h, reloading.h  what a controller shows, which snapshots it takes, how
//                 its configuration changes
//   asking.h      what the commands that ask the controller share
//   cmd_*.c       a command each
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "base/clock.h"
#include "bootstrap/bootstrap.h"

enum output { OUT_TEXT, OUT_JSON, OUT_NDJSON, OUT_YAML, OUT_DOT };

#define TIME_NOT_GIVEN (-1)

// Of the snapshot commands.
struct snapshot_options {
    const char *repo, *trust, *chain, *key, *passphrase_file, *expect_last;
    const char *identity_passphrase_file;
    const char *s3_endpoint, *s3_region, *store_credentials;
    const char *out, *role, *label, *public, *new_passphrase_file;
    const char *propose;
    struct strv identities, recipients, also_keys, last_trusted, write_off, remove_untrusted;
    bool s3_path_style, single, again, dry_run, undo, exclusive, quick, secrets;
    long long max_work_factor;
    long long keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, min_good;
    int64_t keep_within_ms, keep_suspect_ms, grace_ms; // TIME_NOT_GIVEN, or as given
    int64_t retain_ms;
    struct strv least;                                           // create: "objects=80"
    bool full, if_changed, adopt_chain, no_secrets, allow_empty; // create
    bool replace;                                                // export
    bool among_others;                                           // init
    bool on_top;                                                 // import
    const char *from_trust;                                      // import
    const char *metrics, *push_metrics;                          // create
};

struct restore_options {
    const char *at, *report;
    bool yes, adopt, allow_suspect, git_only;
    struct strv push_git;
    int64_t wait_git_ms;
    struct strv namespaces, maps, clusters; // --namespace, --map, --cluster
    long long parallel;                     // 0: as it is by default
    bool rerender;
    bool is_part; // of it all; no option, but what they come to
};

struct drill_options {
    const char *control_plane, *live_kubeconfig, *judge_key, *html;
    bool history;
};

struct reconcile_options {
    int64_t poll_ms; // 0: as it is by default
    bool once;
    const char *listen, *tls_cert, *tls_key, *tls_dir;
    struct strv webhook_secrets;
    const char *webhook_secret_dir;
    const char *log_format;       // "text" or "json"; NULL: as --output says
    const char *snapshot_to;      // NULL: no snapshots are taken
    int64_t snapshot_interval_ms; // 0: as it is by default
};

// Of the commands that ask the controller.
struct control_options {
    struct strv resources, sync_options;
    bool terminate, approve;
    bool prune, hard, wait, no_wait, suspend;
};

struct cluster_options {
    const char *from_kubeconfig, *from_context, *project;
};

struct options {
    enum output output;
    const char *kubeconfig, *context, *namespace;
    const char *cache_dir, *ca_file, *known_hosts, *credentials, *kube_version, *expect_cluster;
    const char *root_revision, *order, *then, *config, *customizations;
    const char *plan_out, *plan_file; // plan --out, bootstrap --plan
    struct strv apps, mirrors, ready, prune_left, args;
    bool verbose, quiet, no_color, no_progress, offline, refresh, no_cluster, use_cluster;
    bool force_conflicts, break_declared, no_prune, allow_mass_prune, exit_code, help, force_all;
    bool allow_duplicate_keys, git_credentials;
    bool watch; // status
    int64_t timeout_ms, wait_ms, source_timeout_ms, render_timeout_ms;
    long long jobs;
    struct snapshot_options snap;
    struct restore_options restore;
    struct drill_options drill;
    struct reconcile_options reconcile;
    struct control_options control;
    struct cluster_options cluster;
    struct snapshot_options to; // the second repository of copy
    struct strv owned;          // strings that came from environment or file
};

struct cli {
    struct options o;
    struct loop *loop;
    int64_t deadline_ms; // of --timeout, monotonic; 0: none. The loop's as well, until a run begins
    struct event_sink events;
    struct event_sink of_cluster; // what the connection says: to events, or to standard error
    struct source_mirror *mirrors;
    size_t n_mirrors;
    struct source_cred *creds;
    size_t n_creds;
    struct ready_override *ready;
    const struct source_revisions *fixed; // by a plan file; NULL: none is given
    bool color;
    const struct command *cmd; // and what it was called with; lent
    int argc;
    char **argv;
};

struct command {
    const char *name; // "plan"; "snapshot list" is a command of the group "snapshot"
    const char *args, *summary, *about, *examples;
    uint64_t bit;
    size_t max_args;
    unsigned outputs; // a bit for each enum output it can print
    // The exit code; err set when it is not 0 by it. NULL: a group.
    int (*run)(struct cli *c, struct err *err);
};

// ---- commands.c ----
// OPT_PICK: a list that only a command line may have. What a file says for other commands must not
// make a part of a restore.
enum opt_kind {
    OPT_FLAG,
    OPT_TEXT,
    OPT_LIST,
    OPT_PICK,
    OPT_TIME,
    OPT_TIME_OR_0,
    OPT_INT,
    OPT_OUTPUT
};
enum opt_group { GROUP_OWN, GROUP_REPO, GROUP_CLUSTER, GROUP_SOURCES, GROUP_GENERAL }; // in help
struct option {
    const char *name;
    enum opt_group group;
    char letter;
    enum opt_kind kind;
    size_t at; // offset in struct options
    uint64_t commands;
    const char *arg, *help; // arg: "FILE", "DIR", "a|b" (choices) or any other word
};
const struct command *commands_all(size_t *n);
const struct command *command_find(const char *name);
// The command that words begin with, groups followed down; *used of them. NULL: none of that name.
const struct command *command_of(int n, char **words, int *used);
// Is it one of the group's own? group "": is it no command of any group?
bool command_is_in(const struct command *cmd, const char *group);
const char *command_near(const char *name); // what a mistyped one may have meant; or NULL
const struct option *options_all(size_t *n);
// That of the command, where several have one of that name; else any of that name, or NULL.
const struct option *option_find(const struct command *cmd, const char *name, size_t len);
const char *option_near(const struct command *cmd, const char *name, size_t len);
const char *option_former(const struct option *o); // the name it had before; NULL: none
bool option_is_for(const struct option *o, const struct command *cmd);
bool output_of(const char *name, enum output *out);
char *outputs_text(const struct command *cmd, char sep); // "text|json|yaml"; owned

// ---- options.c ----
MUST_CHECK bool options_parse(const struct command *cmd, int argc, char **argv, struct options *o,
                              struct err *err);
// The format that a command line asks for that could not be parsed: its error is told in it.
void options_find_output(int argc, char **argv, enum output *out);
void options_clear(struct options *o);
char *options_file(int argc, char **argv); // the configuration file that is looked for; owned
// The options of a command line that another command has as well, "--name=value" each: those of the
// environment and of files it finds by itself. Added to *out.
void options_shared(const struct command *from, const struct command *to, int argc,
                    const char *const *argv, struct strv *out);
char *option_env(const char *name); // "REGROW_EXPECT_CLUSTER"; owned

// ---- manual.c ----
void print_usage(FILE *f);
void print_help(FILE *f, const struct command *cmd);
char *name_joined(const struct command *cmd, char sep); // "snapshot-list"; owned
int cmd_man(struct cli *c, struct err *err);

// ---- completion.c ----
int cmd_completion(struct cli *c, struct err *err);

// ---- open.c ----
// Opens the cluster, if wanted, and reads the root: the argument `at`, REGROW_ROOT, or what the
// cluster was grown from last. *out may be set on failure too: it is to be closed.
MUST_CHECK bool cli_session(struct cli *c, size_t at, bool use_cluster, struct session **out,
                            struct err *err);
// Does the root ask for anything? One that does not is refused without --allow-mass-prune.
MUST_CHECK bool cli_any(const struct cli *c, const struct desired *d, struct err *err);
// A run over it, prepared. *out may be set on failure too.
MUST_CHECK bool cli_run(struct cli *c, struct session *s, bool read_only, struct run **out,
                        struct err *err);
// Beside the answer: an event where there are any, else a line of standard error.
void cli_warn(const struct cli *c, const char *text);
#define CLI_REFUSED "bootstrap would refuse to go on: "
// One that only looks, with what was open settled. What a run that writes would be refused with
// because it deletes too much is told as a warning. *out as above.
MUST_CHECK bool cli_look(struct cli *c, struct session *s, struct run **out, struct err *err);
// The options of a run over it, as the command line has them.
MUST_CHECK bool cli_run_opts(struct cli *c, const struct session *s, struct run_opts *out,
                             struct err *err);
// As cli_run, with what is to be done before all else (run_opts.first).
MUST_CHECK bool cli_run_first(struct cli *c, struct session *s, bool read_only,
                              bool (*first)(void *ctx, struct err *err), void *ctx,
                              struct run **out, struct err *err);
// The root that is meant: the argument `at`, REGROW_ROOT, or what the cluster was grown from last
// (then it is told). Owned; NULL: there is none, and err says so.
char *cli_root(struct cli *c, size_t at, struct session *s, struct err *err);
// The connection alone, or nothing: no root is read, nothing recalled.
MUST_CHECK bool cli_open(struct cli *c, bool use_cluster, struct session **out, struct err *err);
// The cluster alone, and what it remembers; no root is read.
MUST_CHECK bool cli_cluster(struct cli *c, struct session **out, struct err *err);
char *awaited_words(const json_t *event); // of kube.awaited; owned
struct graph_opts cli_graph_opts(const struct cli *c);
// What ended because the time was up says so, and what to do.
void cli_note_deadline(const struct cli *c, struct err *err);
char *cli_cache_dir(const struct cli *c); // owned
// The mirrors and credentials of its options alone.
MUST_CHECK bool cli_ways(struct cli *c, const char *url, struct err *err);
// How sources are asked; url: who gets the credentials of the environment. Once in a run.
MUST_CHECK bool cli_source_opts(struct cli *c, const char *url, struct source_opts *out,
                                struct err *err);

// ---- print.c ----
#define NBSP "\xc2\xa0" // a blank that no line is broken at; printed as any other
const char *paint(const struct cli *c, const char *what); // "red", "dim", "bold", "" = reset
bool wants_doc(const struct cli *c);                      // JSON or YAML
void print_doc(const struct cli *c, const json_t *v);
json_t *print_texts(const struct strv *v);                  // as an array; owned
json_t *doc_new(const char *kind, const struct session *s); // version, kind, root, cluster
#define CODE_DIFFERS 20 // the answer of diff, and of plan --exit-code (docs/exit-codes.md)
void cli_print_error(const struct cli *c, const struct err *err);
// What a state looks like: a symbol in colour.
const char *state_symbol(const struct cli *c, enum node_state s);
int display_width(const char *s);
char *clean(const char *s);                      // one line, nothing a terminal would obey; owned
char *fit(const char *s, int width);             // cut to width with an ellipsis; owned
void screen_size(FILE *f, int *rows, int *cols); // cols 0: not a terminal
#define NARROW 60     // below so many columns nothing stands beside a name
bool is_narrow(void); // standard output is a terminal of fewer
// Cleaned, and wrapped on a terminal: the first line begins in column `at`, others in `hang`.
void print_wrapped(FILE *f, const char *text, int at, int hang);
// A value of a Secret at this pointer, without what nobody may see. Owned.
json_t *secret_masked(const char *path, const json_t *v);
// A value as JSON, with its sign and colour: the text begins in column `at` and is cut to `width`.
void print_value(const struct cli *c, const char *sign, const char *color, const json_t *v, int at,
                 int width);
void wrap(FILE *f, const char *text, int at, int hang, int cols); // cols 0: one line
char *wrap_text(const char *text, int width); // with line breaks; width 0: none; owned
char *age_text(int64_t seconds);              // "45 s", "12 min", "5 h", "3 d"; owned
char *size_text(uint64_t bytes);              // "0 B", "2.1 kB", "14 MB"; owned
// A word of a command that is to be copied; an option (or "") and its word, with a blank before
// them; and a command with a word as its last (owned).
void shell_word(struct buf *b, const char *word);
void shell_option(struct buf *b, const char *option, const char *word);
char *shell_words(const char *command, const char *word);

// ---- words.c ----
// All that is to be warned of, applications' with their names; added to *out.
void find_warnings(const struct desired *d, const struct graph *g, struct strv *out);
// "Certificate CRD" for a definition, otherwise the node's label; owned.
char *node_words(const struct graph *g, const struct desired *d, unsigned node);
// "Secret db ← ExternalSecret db ← ClusterSecretStore vault" behind an application; owned, "" when
// it waits for nothing.
char *chain_words(const struct run *r, unsigned app);
// What a person can do about a node that is not as it should be, before the same command is run
// again; "" when there is nothing but that. Owned.
char *advice(const struct run *r, unsigned node);
// "mend it, then run it again", "Mend it. Then run it again"; owned.
char *and_again(const char *what, const char *again);
// What "deploy/checkout/api", "deploy/api" (with -n or the context's namespace) or
// "clusterissuer/le" names; kind is NULL where it names no object.
struct named {
    struct strv words;
    const struct kind_info *kind; // of the session's
    const char *namespace, *name;
};
void named_read(const struct cli *c, const struct session *s, const char *text, struct named *out);
bool named_is(const struct named *n, const struct object_id *id);
void named_clear(struct named *n);
// A command about the same root, which is named where another would be taken without; and the
// bootstrap that makes the cluster as this run would, with what lets it delete so much. Owned.
char *again_words(const struct session *s, const char *command);
bool root_is_empty(const struct desired *d);
bool bootstrap_refuses(const struct run *r); // to delete so much, or for a root that has nothing
char *bootstrap_words(const struct session *s, const struct run *r);
const char *hint_of(enum err_kind kind); // where an error has none of its own
// What runs that were killed may have left in $TMPDIR: values, trees, packs. The folder of a drill
// is its warden's to remove. Ends with NULL.
extern const char *const temporary_folders[];
// Of a disk that is full, or not to be written: which folder it is, and what to do; owned, or NULL.
char *hint_of_disk(const struct cli *c, const struct err *err);
const char *advice_unread(const struct application *a); // what to do about one that is unknown
char *node_place(const struct run *r,
                 unsigned node); // file:line in repository @ rev; owned or NULL

// ---- behind.c ----
// {node, action, refused, message, origin} for each object of an application, or the object itself,
// that is not as Git says, with what the server answers to a dry run of the change; owned.
json_t *behind(struct run *r, unsigned node);
void behind_print(const struct cli *c, const json_t *list);

// ---- left.c ----
// A line for each, and what can be done; only_new: those that this run has found, or would.
void print_left(const struct cli *c, const struct run *r, bool only_new);
const struct left_app *left_named(const struct run *r, const char *app); // NULL: none of that name
void left_print_one(const struct cli *c, const struct session *s, const struct left_app *x);
json_t *left_doc(const struct run *r); // owned

// ---- removed.c ----
// What a plan would delete, named: some, or all with -v; and all that is no longer in Git (owned).
void print_removed(const struct cli *c, const struct run *r);
json_t *removed_doc(const struct run *r);
// An object, or an application, that Git no longer has and the inventory does: what is to become of
// it is printed. False: it is none.
bool removed_why(const struct cli *c, const struct session *s, const struct run *r,
                 const char *what);

// ---- table.c ----
enum { TABLE_TREE = 1, TABLE_RIGHT = 2, TABLE_WRAP = 4 }; // WRAP: the last column only
struct table;
struct table *table_new(const struct cli *c, bool has_head, int indent);
void table_column(struct table *t, const char *name, unsigned flags);
size_t table_row(struct table *t, int parent); // parent: a row of a tree, or -1
void table_cell(struct table *t, size_t row, size_t column, const char *color, const char *text);
void table_print(struct table *t);
void table_free(struct table *t);
CLEANUP_FN(struct table, table_free, table_freep);

// ---- progress.c ----
struct progress;
struct progress *progress_new(struct cli *c);
void progress_say(struct progress *p, const char *phase); // what is done now, before a run
void progress_attach(struct progress *p, const struct run *r, const char *title);
void progress_detach(struct progress *p); // the run goes, and another one comes
void progress_end(struct progress *p);    // clears what it drew
void progress_free(struct progress *p);
CLEANUP_FN(struct progress, progress_free, progress_freep);

int cmd_plan(struct cli *c, struct err *err);
int cmd_bootstrap(struct cli *c, struct err *err);
int cmd_status(struct cli *c, struct err *err);
int cmd_why(struct cli *c, struct err *err);
int cmd_diff(struct cli *c, struct err *err);
int cmd_render(struct cli *c, struct err *err);
int cmd_health(struct cli *c, struct err *err);
int cmd_restore(struct cli *c, struct err *err);
int cmd_drill(struct cli *c, struct err *err);
int cmd_reconcile(struct cli *c, struct err *err);
int cmd_doctor(struct cli *c, struct err *err);
int cmd_version(struct cli *c, struct err *err);
int cmd_sync(struct cli *c, struct err *err);
int cmd_refresh(struct cli *c, struct err *err);
int cmd_rollback(struct cli *c, struct err *err);
int cmd_history(struct cli *c, struct err *err);
int cmd_suspend(struct cli *c, struct err *err);
int cmd_resume(struct cli *c, struct err *err);
int cmd_cluster_add(struct cli *c, struct err *err);
int cmd_cluster_list(struct cli *c, struct err *err);
int cmd_cluster_check(struct cli *c, struct err *err);
int cmd_cluster_remove(struct cli *c, struct err *err);
int cmd_snapshot_init(struct cli *c, struct err *err);
int cmd_snapshot_list(struct cli *c, struct err *err);
int cmd_snapshot_show(struct cli *c, struct err *err);
int cmd_snapshot_verify(struct cli *c, struct err *err);
int cmd_snapshot_judge(struct cli *c, struct err *err);
int cmd_snapshot_forget(struct cli *c, struct err *err);
int cmd_snapshot_prune(struct cli *c, struct err *err);
int cmd_snapshot_key_init(struct cli *c, struct err *err);
int cmd_snapshot_key_add(struct cli *c, struct err *err);
int cmd_snapshot_key_remove(struct cli *c, struct err *err);
int cmd_snapshot_key_list(struct cli *c, struct err *err);
int cmd_snapshot_key_trust(struct cli *c, struct err *err);
int cmd_snapshot_key_rotate(struct cli *c, struct err *err);
int cmd_snapshot_key_revoke(struct cli *c, struct err *err);
int cmd_snapshot_key_quorum(struct cli *c, struct err *err);
int cmd_snapshot_key_sign(struct cli *c, struct err *err);
int cmd_snapshot_create(struct cli *c, struct err *err);
int cmd_snapshot_export(struct cli *c, struct err *err);
int cmd_snapshot_import(struct cli *c, struct err *err);
int cmd_snapshot_diff(struct cli *c, struct err *err);
int cmd_snapshot_copy(struct cli *c, struct err *err);

#endif
