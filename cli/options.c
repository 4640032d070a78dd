// SPDX-License-Identifier: Apache-2.0
//
// What a person wants of a command, from three places: configuration file, REGROW_… variables,
// command line; what comes later wins, and lists add up.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"

static bool set_flag(bool *at, const char *value)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes"};
    for (size_t i = 0; value && i < ARRAY_LEN(words); i++) {
        if (!strcmp(words[i], value)) {
            *at = i % 2;
            return true;
        }
    }
    *at = true;
    return !value;
}

// The words that `arg` offers: "full|inferred|declared".
static bool is_choice(const char *arg, const char *value)
{
    size_t n = strlen(value);
    for (const char *p = arg; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strcspn(p, "|") == n && !strncmp(p, value, n))
            return true;
    return !strchr(arg, '|');
}

static const char time_wanted[] = "a time such as 90s, 10m, 1h30m or 30d is wanted";

// Days as well, which Go's durations have not.
static bool parse_time(const char *value, int64_t *out_ms)
{
    size_t n = strlen(value);
    long long days = 0;
    CLEANUP(str_freep) char *number = n ? str_ndup(value, n - 1) : str_dup("");
    // A bare number is taken for seconds elsewhere; whoever writes it here may mean hours.
    if (n && strspn(value, "0123456789") == n && strcmp(value, "0") != 0)
        return false;
    if (n < 2 || value[n - 1] != 'd')
        return str_to_duration_ms(value, out_ms);
    bool ok = str_to_int(number, 0, 36500, &days);
    *out_ms = days * 86400000;
    return ok;
}

static bool set_output(const struct command *cmd, enum output *at, const char *value)
{
    enum output o;
    if (!output_of(value, &o) || !(cmd->outputs >> o & 1))
        return false;
    *at = o;
    return true;
}

// Sets one option; `shown` is where the value came from, as an error names it.
static bool set_value(const struct command *cmd, struct options *o, const struct option *opt,
                      const char *value, const char *shown, struct err *err)
{
    void *at = (char *)o + opt->at;
    bool ok = true;
    CLEANUP(str_freep) char *wanted = NULL;
    switch (opt->kind) {
    case OPT_FLAG:
        ok = set_flag(at, value);
        wanted = str_dup("true or false is wanted");
        break;
    case OPT_TEXT:
        ok = is_choice(opt->arg, value);
        *(const char **)at = value;
        wanted = str_printf("%s is wanted", opt->arg);
        break;
    case OPT_LIST:
    case OPT_PICK:
        strv_push(at, value);
        break;
    case OPT_TIME: // 0 is what it has when nobody gives it
        ok = parse_time(value, at) && *(int64_t *)at > 0;
        wanted = str_dup(str_eq(value, "0") ? "a time above 0 is wanted" : time_wanted);
        break;
    case OPT_TIME_OR_0:
        ok = parse_time(value, at);
        wanted = str_dup(time_wanted);
        break;
    case OPT_INT:
        ok = str_to_int(value, 1, 1000, at);
        wanted = str_dup("a number from 1 to 1000 is wanted");
        break;
    case OPT_OUTPUT:
        ok = set_output(cmd, at, value);
        CLEANUP(str_freep) char *all = outputs_text(cmd, '|');
        wanted = str_printf("%s of %s is wanted", all, cmd->name);
        break;
    }
    return ok || err_set(err, ERR_USAGE, "%s \"%.80s\": %s", shown, value, wanted);
}

static bool no_option(const struct command *cmd, const char *name, size_t len, struct err *err)
{
    const char *near = option_near(cmd, name, len);
    err_set(err, ERR_USAGE, "%s has no option --%.*s", cmd->name, (int)len, name);
    if (near)
        return err_hint(err, "Did you mean --%s?", near);
    return err_hint(err, "regrow %s --help shows what it has.", cmd->name);
}

static bool parse_long(const struct command *cmd, struct options *o, int argc, char **argv, int *i,
                       struct err *err)
{
    const char *name = argv[*i] + 2;
    size_t len = strcspn(name, "=");
    const struct option *opt = option_find(cmd, name, len);
    if (!opt || !option_is_for(opt, cmd))
        return no_option(cmd, name, len, err);
    CLEANUP(str_freep) char *shown = str_printf("--%s", opt->name);
    const char *value = name[len] ? name + len + 1 : NULL;
    if (opt->kind != OPT_FLAG && !value) {
        if (*i + 1 >= argc)
            return err_set(err, ERR_USAGE, "--%s needs a value: %s", opt->name, opt->arg);
        value = argv[++*i];
    }
    return set_value(cmd, o, opt, value, shown, err);
}

static const struct option *by_letter(const struct command *cmd, char letter)
{
    size_t n;
    const struct option *all = options_all(&n);
    for (size_t k = 0; k < n; k++)
        if (all[k].letter == letter)
            return option_find(cmd, all[k].name, strlen(all[k].name));
    return NULL;
}

static bool parse_short(const struct command *cmd, struct options *o, int argc, char **argv, int *i,
                        struct err *err)
{
    for (const char *s = argv[*i] + 1; *s; s++) {
        const struct option *opt = by_letter(cmd, *s);
        if (!opt || !option_is_for(opt, cmd)) {
            err_set(err, ERR_USAGE, "%s has no option -%c", cmd->name, *s);
            return err_hint(err, "regrow %s --help shows what it has.", cmd->name);
        }
        CLEANUP(str_freep) char *shown = str_printf("-%c", *s);
        if (opt->kind == OPT_FLAG) {
            if (!set_value(cmd, o, opt, NULL, shown, err))
                return false;
            continue;
        }
        const char *value = s[1] ? s + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value)
            return err_set(err, ERR_USAGE, "-%c needs a value: %s", *s, opt->arg);
        return set_value(cmd, o, opt, value, shown, err);
    }
    return true;
}

// A list in one variable is separated by commas.
static bool set_from_env(const struct command *cmd, struct options *o, const struct option *opt,
                         const char *value, const char *name, struct err *err)
{
    if (opt->kind != OPT_LIST)
        return set_value(cmd, o, opt, value, name, err);
    struct strv parts = {0};
    bool ok = true;
    strv_split(&parts, value, ',');
    for (size_t i = 0; ok && i < parts.len; i++)
        ok = !*parts.v[i] || set_value(cmd, o, opt, parts.v[i], name, err);
    strv_clear(&parts);
    return ok;
}

char *option_env(const char *option)
{
    char *name = str_printf("REGROW_%s", option);
    for (char *p = name; *p; p++)
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    return name;
}

static bool parse_env(const struct command *cmd, struct options *o, struct err *err)
{
    size_t n;
    const struct option *all = options_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!option_is_for(&all[i], cmd) || !strcmp(all[i].name, "help") || all[i].kind == OPT_PICK)
            continue;
        const char *former = option_former(&all[i]);
        CLEANUP(str_freep) char *name = option_env(all[i].name);
        CLEANUP(str_freep) char *was = former ? option_env(former) : NULL;
        const char *value = getenv(name);
        if (was && !(value && *value))
            value = getenv(was);
        if (value && *value && !set_from_env(cmd, o, &all[i], value, name, err))
            return false;
    }
    return true;
}

static bool set_from_json(const struct command *cmd, struct options *o, const struct option *opt,
                          const json_t *v, const char *file, struct err *err)
{
    if (json_is_array(v) && opt->kind == OPT_LIST) {
        for (size_t i = 0; i < json_array_size(v); i++)
            if (!set_from_json(cmd, o, opt, json_array_get(v, i), file, err))
                return false;
        return true;
    }
    if (json_is_array(v) || json_is_object(v) || json_is_null(v))
        return err_set(err, ERR_INVALID, "%s: \"%s\" wants a plain value", file, opt->name);
    char *text = json_is_string(v) ? str_dup(json_string_value(v)) : json_dumps(v, JSON_ENCODE_ANY);
    strv_push_take(&o->owned, text);
    CLEANUP(str_freep) char *shown = str_printf("%s: %s", file, opt->name);
    bool ok = set_value(cmd, o, opt, text, shown, err);
    if (!ok)
        err->kind = ERR_INVALID; // not the command line
    return ok;
}

static bool parse_map(const struct command *cmd, struct options *o, const json_t *map,
                      const char *path, struct err *err)
{
    const char *key;
    json_t *v;
    if (map && !json_is_null(map) && !json_is_object(map))
        return err_set(err, ERR_INVALID, "%s: a map of options is wanted", path);
    json_object_foreach((json_t *)map, key, v)
    {
        const struct option *opt = option_find(cmd, key, strlen(key));
        if (!opt) {
            const char *near = option_near(cmd, key, strlen(key));
            err_set(err, ERR_INVALID, "%s: there is no option \"%.80s\"", path, key);
            return near ? err_hint(err, "Did you mean %s?", near) : false;
        }
        if (option_is_for(opt, cmd) && opt->kind != OPT_PICK &&
            !set_from_json(cmd, o, opt, v, path, err))
            return false;
    }
    return true;
}

static char *path_of(const char *given)
{
    const char *home = getenv("HOME");
    const char *xdg = getenv("XDG_CONFIG_HOME");
    return given         ? str_dup(given)
           : xdg && *xdg ? str_printf("%s/regrow/config.yaml", xdg)
                         : str_printf("%s/.config/regrow/config.yaml", home ? home : "");
}

static bool parse_file(const struct command *cmd, struct options *o, const char *given,
                       struct err *err)
{
    CLEANUP(str_freep) char *path = path_of(given);
    struct buf b CLEANUP(buf_clear) = {0};
    struct yaml_docs docs = {0};
    struct yaml_opts yo = {.name = path};
    if (!given && !file_exists(path))
        return true;
    if (!file_read(path, 1U << 20, &b, err) || !yaml_read(b.p, b.len, &yo, &docs, err))
        return err_wrap(err, "configuration");
    bool ok = parse_map(cmd, o, docs.docs.len ? docs.docs.v[0].value : NULL, path, err);
    yaml_docs_clear(&docs);
    return ok || err_wrap(err, "configuration");
}

static const char *config_of(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--config") && i + 1 < argc)
            return argv[i + 1];
        if (str_starts(argv[i], "--config="))
            return argv[i] + 9;
    }
    const char *env = getenv("REGROW_CONFIG");
    return env && *env ? env : NULL;
}

char *options_file(int argc, char **argv)
{
    return path_of(config_of(argc, argv));
}

static bool parse_line(const struct command *cmd, int argc, char **argv, struct options *o,
                       struct err *err)
{
    bool only_args = false;
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
    if (o->help || o->args.len <= cmd->max_args)
        return true;
    err_set(err, ERR_USAGE, "\"%.80s\" is one argument too many", o->args.v[cmd->max_args]);
    return err_hint(err, "usage: regrow %s [OPTION]... %s", cmd->name, cmd->args);
}

// Behind which letter of "-vo" its value stands: what follows it, or the next word.
static const struct option *valued_letter(const char *letters, const char **value)
{
    for (const char *s = letters; *s; s++) {
        const struct option *opt = by_letter(NULL, *s);
        *value = s[1] ? s + 1 : NULL;
        if (opt && opt->kind != OPT_FLAG)
            return opt;
    }
    return NULL;
}

void options_find_output(int argc, char **argv, enum output *out)
{
    const char *env = getenv("REGROW_OUTPUT");
    if (env)
        (void)output_of(env, out);
    if (str_eq(getenv("REGROW_LOG_FORMAT"), "json"))
        *out = OUT_NDJSON;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = NULL;
        const struct option *opt = NULL;
        if (str_starts(argv[i], "--")) {
            size_t len = strcspn(argv[i] + 2, "=");
            opt = option_find(NULL, argv[i] + 2, len);
            value = argv[i][2 + len] ? argv[i] + 3 + len : NULL;
        } else if (argv[i][0] == '-') {
            opt = valued_letter(argv[i] + 1, &value);
        }
        if (!opt || opt->kind == OPT_FLAG)
            continue;
        if (!value && i + 1 < argc)
            value = argv[++i];
        if (opt->kind == OPT_OUTPUT && value)
            (void)output_of(value, out);
        else if (!strcmp(opt->name, "log-format") && str_eq(value, "json"))
            *out = OUT_NDJSON;
    }
}

static void push_if_shared(const struct option *opt, const struct command *to, const char *value,
                           struct strv *out)
{
    const struct option *there = option_find(to, opt->name, strlen(opt->name));
    if (!there || !option_is_for(there, to) || there->at != opt->at || there->kind != opt->kind)
        return;
    strv_push_take(out,
                   value ? str_printf("--%s=%s", opt->name, value) : str_printf("--%s", opt->name));
}

void options_shared(const struct command *from, const struct command *to, int argc,
                    const char *const *argv, struct strv *out)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = NULL;
        const struct option *opt = NULL;
        if (str_starts(argv[i], "--")) {
            size_t len = strcspn(argv[i] + 2, "=");
            opt = option_find(from, argv[i] + 2, len);
            value = argv[i][2 + len] ? argv[i] + 3 + len : NULL;
        }
        for (const char *s = argv[i] + 1; argv[i][0] == '-' && *s && *s != '-'; s++) {
            opt = by_letter(from, *s);
            if (opt && opt->kind != OPT_FLAG) {
                value = s[1] ? s + 1 : NULL;
                break;
            }
            if (opt && s[1])
                push_if_shared(opt, to, NULL, out);
        }
        if (opt && opt->kind != OPT_FLAG && !value && i + 1 < argc)
            value = argv[++i];
        if (opt)
            push_if_shared(opt, to, value, out);
    }
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

bool options_parse(const struct command *cmd, int argc, char **argv, struct options *o,
                   struct err *err)
{
    o->snap.keep_within_ms = o->snap.keep_suspect_ms = o->snap.grace_ms = TIME_NOT_GIVEN;
    // Help is there even when the configuration file is broken.
    if (asks_for_help(argc, argv)) {
        o->help = true;
        return true;
    }
    bool ok = parse_file(cmd, o, config_of(argc, argv), err) && parse_env(cmd, o, err) &&
              parse_line(cmd, argc, argv, o, err);
    if (!ok)
        options_find_output(argc, argv, &o->output); // it may stand behind what is wrong
    return ok;
}

void options_clear(struct options *o)
{
    strv_clear(&o->apps);
    strv_clear(&o->mirrors);
    strv_clear(&o->ready);
    strv_clear(&o->prune_left);
    strv_clear(&o->args);
    strv_clear(&o->restore.namespaces);
    strv_clear(&o->restore.maps);
    strv_clear(&o->restore.clusters);
    strv_clear(&o->snap.identities);
    strv_clear(&o->snap.recipients);
    strv_clear(&o->snap.last_trusted);
    strv_clear(&o->snap.also_keys);
    strv_clear(&o->snap.least);
    strv_clear(&o->snap.write_off);
    strv_clear(&o->snap.remove_untrusted);
    strv_clear(&o->restore.push_git);
    strv_clear(&o->reconcile.webhook_secrets);
    strv_clear(&o->control.resources);
    strv_clear(&o->control.sync_options);
    strv_clear(&o->owned);
}
