// SPDX-License-Identifier: Apache-2.0
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "cli/cli.h"

static volatile sig_atomic_t stop;

// The first Ctrl-C ends the run cleanly, the second one at once.
static void on_signal(int sig)
{
    (void)sig;
    if (stop) {
        proc_kill_all();
        _exit(130);
    }
    stop = 1;
}

static void set_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a limit to files is told as a full disk is
    // A core would hold tokens. One byte is too few for a file, and stops one that is piped to a
    // program, which none does not (core(5)). To be not dumpable would keep /proc/self/fd from ssh.
    struct rlimit one = {1, 1};
    setrlimit(RLIMIT_CORE, &one);
}

static int fail(const struct cli *c, const struct command *cmd, struct err *err)
{
    int code = err_exit_code(err->kind);
    if (!err->hint && cmd && err->kind == ERR_USAGE)
        err_hint(err, "regrow %s --help shows its options, with examples.", cmd->name);
    CLEANUP(str_freep) char *disk = err->hint ? NULL : hint_of_disk(c, err);
    if (disk)
        err_hint(err, "%s", disk);
    if (!err->hint && hint_of(err->kind))
        err_hint(err, "%s", hint_of(err->kind));
    cli_print_error(c, err);
    err_clear(err);
    return code;
}

static void print_event(void *ctx, const json_t *event)
{
    (void)ctx;
    char *text = json_dumps(event, JSON_COMPACT);
    if (text)
        printf("%s\n", text);
    free(text);
}

static void cli_clear(struct cli *c)
{
    for (size_t i = 0; i < c->n_mirrors; i++) {
        free(c->mirrors[i].from);
        free(c->mirrors[i].to);
    }
    free(c->mirrors);
    for (size_t i = 0; i < c->n_creds; i++)
        source_cred_clear(&c->creds[i]);
    free(c->creds);
    for (size_t i = 0; c->ready && i < c->o.ready.len; i++) {
        free(c->ready[i].kind);
        free(c->ready[i].group);
    }
    free(c->ready);
    options_clear(&c->o);
}

// What was printed and did not arrive (a full disk) is no success, nor is it an answer (20), nor
// does it say what failed (10). A reader that had enough, as head has, is told nothing.
static int code_of_output(const struct cli *c, int code)
{
    struct err err = {0};
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    bool is_lost = poll(&out, 1, 0) < 1 || !(out.revents & POLLERR);
    if (is_lost) {
        err_set(&err, ERR_UNAVAILABLE, "the output could not be written whole: is the disk full?");
        err_hint(&err, "Make room, or send it elsewhere, and run the same again.");
        cli_print_error(c, &err);
    }
    err_clear(&err);
    bool is_told = code == CODE_DIFFERS || code == err_exit_code(ERR_PARTIAL);
    return !code || (is_lost && is_told) ? err_exit_code(ERR_UNAVAILABLE) : code;
}

static int run_command(const struct command *cmd, int argc, char **argv)
{
    struct cli c = {.cmd = cmd, .argc = argc, .argv = argv};
    struct err err = {0};
    c.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    int code;
    if (!options_parse(cmd, argc, argv, &c.o, &err)) {
        code = fail(&c, cmd, &err);
    } else if (c.o.help) {
        print_help(stdout, cmd);
        code = 0;
    } else {
        c.color = c.color && !c.o.no_color;
        c.loop = loop_new(&stop);
        c.deadline_ms = c.o.timeout_ms ? clock_mono_ms() + c.o.timeout_ms : 0;
        loop_set_deadline(c.loop, c.deadline_ms);
        if (c.o.output == OUT_NDJSON)
            c.events = (struct event_sink){print_event, &c};
        dir_temp_sweep(temporary_folders);
        code = cmd->run(&c, &err);
        cli_note_deadline(&c, &err);
        if (err_is_set(&err))
            code = fail(&c, cmd, &err);
        loop_free(c.loop);
    }
    code = code_of_output(&c, code);
    cli_clear(&c);
    return code;
}

static int no_command(int n, int argc, char **words)
{
    struct cli c = {0};
    struct err err = {0};
    options_find_output(argc, words, &c.o.output);
    struct buf all CLEANUP(buf_clear) = {0};
    for (int i = 0; i < n; i++)
        buf_printf(&all, "%s%s", i ? " " : "", words[i]);
    const char *name = all.p;
    const char *near = command_near(name);
    if (*name == '-')
        err_set(&err, ERR_USAGE, "\"%.80s\" is no command; options come behind it", name);
    else
        err_set(&err, ERR_USAGE, "there is no command \"%.80s\"", name);
    if (near)
        err_hint(&err, "Did you mean %s?", near);
    else
        err_hint(&err, "regrow --help lists them.");
    return fail(&c, NULL, &err);
}

// A group that was named alone is told by its help, and is no success.
static int print_about(const struct command *cmd, int argc, char **argv, bool is_asked_for)
{
    struct cli c = {0};
    struct err err = {0};
    for (int i = 0; i < argc; i++)
        is_asked_for |= !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
    if (is_asked_for) {
        print_help(stdout, cmd);
        return code_of_output(&c, 0);
    }
    options_find_output(argc, argv, &c.o.output);
    if (!argc && c.o.output == OUT_TEXT) {
        print_help(stderr, cmd);
        return err_exit_code(ERR_USAGE);
    }
    err_set(&err, ERR_USAGE, "%s is a group: the name of one of its commands is missing",
            cmd->name);
    err_hint(&err, "regrow %s --help lists them.", cmd->name);
    return fail(&c, NULL, &err);
}

int main(int argc, char **argv)
{
    // Widths of characters, and names in archives; nothing else of the locale is taken.
    setlocale(LC_CTYPE, "C.UTF-8");
    set_signals();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    int used = 0;
    bool is_help = !strcmp(argv[1], "help") && argc > 2;
    if (is_help) {
        argc--;
        argv++;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        return code_of_output(&(struct cli){0}, 0);
    }
    if (!strcmp(argv[1], "--version"))
        return run_command(command_find("version"), argc - 2, argv + 2);
    const struct command *cmd = command_of(argc - 1, argv + 1, &used);
    if (!cmd)
        return no_command(used, argc - 1, argv + 1);
    if (is_help || !cmd->run)
        return print_about(cmd, argc - 1 - used, argv + 1 + used, is_help);
    return run_command(cmd, argc - 1 - used, argv + 1 + used);
}
