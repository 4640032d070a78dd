// SPDX-License-Identifier: Apache-2.0
//
// Every option of every command, from each of the three places, and what is refused.
#include "tests/test.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"

// A value each kind of option takes, and one it does not.
static const char *good_value(const struct option *o, const struct command *cmd)
{
    switch (o->kind) {
    case OPT_FLAG:
        return "true";
    case OPT_TIME:
    case OPT_TIME_OR_0:
        return "90s";
    case OPT_INT:
        return "3";
    case OPT_OUTPUT:
        return cmd->outputs >> OUT_JSON & 1 ? "json" : "text";
    case OPT_TEXT:
    case OPT_LIST:
    case OPT_PICK:
        break;
    }
    return strchr(o->arg, '|') ? strrchr(o->arg, '|') + 1 : "some-value";
}

static bool is_set(const struct options *o, const struct option *opt, const struct command *cmd)
{
    const void *at = (const char *)o + opt->at;
    enum output want;
    switch (opt->kind) {
    case OPT_FLAG:
        return *(const bool *)at;
    case OPT_TEXT:
        return str_eq(*(const char *const *)at, good_value(opt, cmd));
    case OPT_LIST:
    case OPT_PICK:
        return ((const struct strv *)at)->len == 1;
    case OPT_TIME:
    case OPT_TIME_OR_0:
        return *(const int64_t *)at == 90000;
    case OPT_INT:
        return *(const long long *)at == 3;
    case OPT_OUTPUT:
        return output_of(good_value(opt, cmd), &want) && *(const enum output *)at == want;
    }
    return false;
}

static void expect_set(const struct command *cmd, const struct option *opt, int argc, char **argv,
                       const char *from)
{
    struct options o = {0};
    struct err err = {0};
    if (!options_parse(cmd, argc, argv, &o, &err))
        fail_msg("%s --%s from %s: %s", cmd->name, opt->name, from, err.msg);
    if (!is_set(&o, opt, cmd))
        fail_msg("%s --%s from %s is not set", cmd->name, opt->name, from);
    options_clear(&o);
}

static void each_option(void (*fn)(const struct command *cmd, const struct option *opt))
{
    size_t n_cmd;
    size_t n_opt;
    const struct command *c = commands_all(&n_cmd);
    const struct option *o = options_all(&n_opt);
    for (size_t i = 0; i < n_cmd; i++)
        for (size_t k = 0; k < n_opt; k++)
            if (option_is_for(&o[k], &c[i]) && strcmp(o[k].name, "help") != 0)
                fn(&c[i], &o[k]);
}

static void by_line(const struct command *cmd, const struct option *opt)
{
    if (!strcmp(opt->name, "config"))
        return; // it is read before everything else
    CLEANUP(str_freep) char *name = str_printf("--%s", opt->name);
    CLEANUP(str_freep) char *joined = str_printf("--%s=%s", opt->name, good_value(opt, cmd));
    CLEANUP(str_freep) char *value = str_dup(good_value(opt, cmd));
    char *split[] = {name, value};
    char *one[] = {joined};
    expect_set(cmd, opt, opt->kind == OPT_FLAG ? 1 : 2, split, "the command line");
    expect_set(cmd, opt, 1, one, "the command line, with =");
}

static void by_env(const struct command *cmd, const struct option *opt)
{
    if (!strcmp(opt->name, "config") || opt->kind == OPT_PICK)
        return;
    CLEANUP(str_freep) char *name = option_env(opt->name);
    setenv(name, good_value(opt, cmd), 1);
    expect_set(cmd, opt, 0, NULL, name);
    unsetenv(name);
}

static void by_file(const struct command *cmd, const struct option *opt)
{
    char path[] = "/tmp/regrow-options-XXXXXX";
    if (!strcmp(opt->name, "config") || opt->kind == OPT_PICK)
        return;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    // In quotes, since YAML 1.1 takes yes for a truth value.
    dprintf(fd, opt->kind == OPT_LIST ? "\"%s\": [%s]\n" : "\"%s\": %s\n", opt->name,
            good_value(opt, cmd));
    close(fd);
    char *argv[] = {(char *)"--config", path};
    expect_set(cmd, opt, 2, argv, "the file");
    unlink(path);
}

// A name that an option had before is taken wherever the new one is.
static void by_its_former_name(void **state)
{
    (void)state;
    const struct command *cmd = command_find("restore");
    const struct option *opt = option_find(cmd, "wait-for-cluster", strlen("wait-for-cluster"));
    char *line[] = {(char *)"--wait-cluster", (char *)good_value(opt, cmd)};
    assert_string_equal(option_former(opt), "wait-cluster");
    expect_set(cmd, opt, 2, line, "its former name");
    setenv("REGROW_WAIT_CLUSTER", good_value(opt, cmd), 1);
    expect_set(cmd, opt, 0, NULL, "REGROW_WAIT_CLUSTER");
    unsetenv("REGROW_WAIT_CLUSTER");
}

static void from_the_command_line(void **state)
{
    (void)state;
    each_option(by_line);
}

static void from_the_environment(void **state)
{
    (void)state;
    each_option(by_env);
}

static void from_the_file(void **state)
{
    (void)state;
    each_option(by_file);
}

static void later_ones_win(void **state)
{
    (void)state;
    char path[] = "/tmp/regrow-options-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "context: file\norder: declared\ntimeout: 10s\nmirror: [a=b, c=d]\n");
    close(fd);
    setenv("REGROW_CONFIG", path, 1);
    setenv("REGROW_ORDER", "full", 1);
    setenv("REGROW_CONTEXT", "env", 1);
    setenv("REGROW_MIRROR", "e=f,g=h", 1);
    char *argv[] = {(char *)"--context", (char *)"line", (char *)"--mirror=i=j", (char *)"root"};
    struct options o = {0};
    struct err err = {0};
    assert_true(options_parse(command_find("plan"), 4, argv, &o, &err));
    assert_string_equal(o.context, "line");
    assert_string_equal(o.order, "full");
    assert_int_equal(o.timeout_ms, 10000);
    assert_int_equal(o.mirrors.len, 5);
    assert_string_equal(o.args.v[0], "root");
    options_clear(&o);
    unsetenv("REGROW_CONFIG");
    unsetenv("REGROW_ORDER");
    unsetenv("REGROW_CONTEXT");
    unsetenv("REGROW_MIRROR");
    unlink(path);
}

static void refused(void **state)
{
    static const struct {
        const char *command, *argv[4];
        const char *words;
    } cases[] = {
        {"plan", {"--frobnicate"}, "plan has no option --frobnicate"},
        {"plan", {"-x"}, "plan has no option -x"},
        {"why", {"--exit-code"}, "why has no option --exit-code"},
        {"plan", {"--order", "sideways"}, "--order \"sideways\": full|inferred|declared is wanted"},
        {"plan", {"--timeout=soon"}, "--timeout \"soon\": a time such as"},
        {"plan", {"--timeout", "0"}, "--timeout \"0\": a time above 0"},
        {"status", {"--wait-for-cluster", "0"}, "--wait-for-cluster \"0\": a time above 0"},
        {"snapshot prune", {"--grace", "72"}, "--grace \"72\": a time such as"},
        {"plan", {"-j", "0"}, "-j \"0\": a number from 1 to 1000"},
        {"plan", {"-o", "ndjson"}, "-o \"ndjson\": text|json|yaml|dot of plan is wanted"},
        {"plan", {"--output"}, "--output needs a value: FORMAT"},
        {"plan", {"--offline=perhaps"}, "true or false is wanted"},
        {"plan", {"one", "two"}, "\"two\" is one argument too many"},
        {"snapshot list", {"--recipient", "x"}, "snapshot list has no option --recipient"},
        {"version", {"x"}, "\"x\" is one argument too many"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options o = {0};
        struct err err = {0};
        int argc = 0;
        while (argc < 4 && cases[i].argv[argc])
            argc++;
        assert_false(
            options_parse(command_find(cases[i].command), argc, (char **)cases[i].argv, &o, &err));
        assert_int_equal(err.kind, ERR_USAGE);
        if (!strstr(err.msg, cases[i].words))
            fail_msg("\"%s\" is not in \"%s\"", cases[i].words, err.msg);
        err_clear(&err);
        options_clear(&o);
    }
}

// Whatever is wrong, and wherever it stands.
static void format_of_an_error(void **state)
{
    static const struct {
        const char *argv[5];
        enum output output;
    } cases[] = {
        {{"--frobnicate", "-o", "json"}, OUT_JSON},
        {{"-o", "json", "--frobnicate"}, OUT_JSON},
        {{"-ojson", "--frobnicate"}, OUT_JSON},
        {{"-vojson", "--frobnicate"}, OUT_JSON},
        {{"-x", "--output=ndjson"}, OUT_NDJSON}, // not of plan, but asked for
        {{"--order", "sideways", "--output", "yaml"}, OUT_YAML},
        {{"-o", "json", "-o", "text", "--frobnicate"}, OUT_TEXT},
        {{"-o", "xml"}, OUT_TEXT},
        {{"--frobnicate", "--", "-o", "json"}, OUT_TEXT},
        {{"--frobnicate", "--revision", "-o", "json"}, OUT_TEXT}, // a revision
        {{"--timeout", "-o", "json"}, OUT_TEXT},
        {{"one", "two", "-o", "json"}, OUT_JSON},
        {{"--frobnicate", "-o"}, OUT_TEXT},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options o = {0};
        struct err err = {0};
        int argc = 0;
        while (argc < 5 && cases[i].argv[argc])
            argc++;
        assert_false(options_parse(command_find("plan"), argc, (char **)cases[i].argv, &o, &err));
        if (o.output != cases[i].output)
            fail_msg("case %zu: %d", i, (int)o.output);
        err_clear(&err);
        options_clear(&o);
    }
    setenv("REGROW_OUTPUT", "json", 1);
    struct options o = {0};
    struct err err = {0};
    char *argv[] = {(char *)"--frobnicate"};
    assert_false(options_parse(command_find("plan"), 1, argv, &o, &err));
    assert_int_equal(o.output, OUT_JSON);
    err_clear(&err);
    options_clear(&o);
    unsetenv("REGROW_OUTPUT");
}

static void refused_in_the_file(void **state)
{
    static const char *const cases[][2] = {
        {"frobnicate: 1\n", "there is no option \"frobnicate\""},
        {"ofline: true\n", "there is no option \"ofline\""},
        {"offline: maybe\n", "true or false is wanted"},
        {"- a\n", "a map of options is wanted"},
        {"context: [a, b]\n", "\"context\" wants a plain value"},
        {"context: [\n", "configuration"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[] = "/tmp/regrow-options-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        dprintf(fd, "%s", cases[i][0]);
        close(fd);
        char *argv[] = {(char *)"--config", path};
        struct options o = {0};
        struct err err = {0};
        assert_false(options_parse(command_find("plan"), 2, argv, &o, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.msg, cases[i][1]))
            fail_msg("\"%s\" is not in \"%s\"", cases[i][1], err.msg);
        err_clear(&err);
        options_clear(&o);
        unlink(path);
    }
}

// Options of other commands may stand in the file: it serves all of them.
static void help_needs_nothing(void **state)
{
    (void)state;
    setenv("REGROW_CONFIG", "/no/such/file", 1);
    struct options o = {0};
    struct err err = {0};
    char *argv[] = {(char *)"--frobnicate", (char *)"-h"};
    assert_true(options_parse(command_find("plan"), 2, argv, &o, &err));
    assert_true(o.help);
    options_clear(&o);
    unsetenv("REGROW_CONFIG");
}

static void near_misses(void **state)
{
    (void)state;
    assert_string_equal(command_near("statsu"), "status");
    assert_string_equal(command_near("bootstrp"), "bootstrap");
    assert_string_equal(command_near("snapshot lst"), "snapshot list");
    assert_null(command_near("frobnicate"));
    const struct command *plan = command_find("plan");
    assert_string_equal(option_near(plan, "kubconfig", 9), "kubeconfig");
    assert_string_equal(option_near(plan, "mirrors=x", 7), "mirror");
    assert_null(option_near(plan, "frobnicate", 10));
    char longest[200];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    assert_null(command_near(longest));
}

// Groups are followed down as far as the words go; an option ends the name.
static void words_to_command(void **state)
{
    static const struct {
        const char *words[4], *name; // NULL: there is none
        int used;
    } cases[] = {
        {{"plan", "snapshot"}, "plan", 1},       {{"snapshot"}, "snapshot", 1},
        {{"snapshot", "--help"}, "snapshot", 1}, {{"snapshot", "list", "init"}, "snapshot list", 2},
        {{"snapshot", "frobnicate"}, NULL, 2},   {{"list"}, NULL, 1},
        {{"snapshot list"}, "snapshot list", 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int n = 0;
        int used = 0;
        while (n < 4 && cases[i].words[n])
            n++;
        const struct command *cmd = command_of(n, (char **)cases[i].words, &used);
        assert_int_equal(used, cases[i].used);
        assert_true(str_eq(cmd ? cmd->name : NULL, cases[i].name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_the_command_line),
                                       cmocka_unit_test(by_its_former_name),
                                       cmocka_unit_test(from_the_environment),
                                       cmocka_unit_test(from_the_file),
                                       cmocka_unit_test(later_ones_win),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(format_of_an_error),
                                       cmocka_unit_test(words_to_command),
                                       cmocka_unit_test(refused_in_the_file),
                                       cmocka_unit_test(help_needs_nothing),
                                       cmocka_unit_test(near_misses)};
    setenv("XDG_CONFIG_HOME", "/no/such/folder", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
