// SPDX-License-Identifier: Apache-2.0
//
// Text for people: colours that only repeat a symbol, lines that wrap on a terminal and stay whole
// in a pipe, nothing in them that a terminal would obey. And documents for programs.
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/cli.h"

#define MIN_WIDTH 40
#define MIN_TEXT 12 // of a line that is wrapped, however far to the right it begins

const char *paint(const struct cli *c, const char *what)
{
    static const struct {
        const char *name, *code;
    } codes[] = {{"", "\033[0m"},     {"bold", "\033[1m"},   {"dim", "\033[2m"},
                 {"red", "\033[31m"}, {"green", "\033[32m"}, {"yellow", "\033[33m"},
                 {"cyan", "\033[36m"}};
    for (size_t i = 0; c->color && i < ARRAY_LEN(codes); i++)
        if (!strcmp(codes[i].name, what))
            return codes[i].code;
    return "";
}

void print_doc(const struct cli *c, const json_t *v)
{
    if (c->o.output == OUT_YAML) {
        struct buf b CLEANUP(buf_clear) = {0};
        yaml_write(v, &b);
        fputs(b.p ? b.p : "", stdout);
        return;
    }
    char *text = json_dumps(v, JSON_INDENT(2) | JSON_ENCODE_ANY);
    printf("%s\n", text ? text : "null");
    free(text);
}

bool wants_doc(const struct cli *c)
{
    return c->o.output == OUT_JSON || c->o.output == OUT_YAML;
}

json_t *doc_new(const char *kind, const struct session *s)
{
    json_t *doc = json_pack("{s:i, s:s}", "version", 1, "kind", kind);
    if (!s)
        return doc;
    const struct desired *d = s->desired;
    CLEANUP(str_freep)
    char *at = d->root_time_unix_s ? clock_rfc3339(d->root_time_unix_s) : NULL;
    json_object_set_new(doc, "root",
                        json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "url", s->root, "name",
                                  d->root_name, "ref", d->root_ref, "commit", d->root_commit,
                                  "committed", at));
    if (s->kube)
        json_object_set_new(doc, "cluster",
                            json_pack("{s:s*, s:s*, s:s*}", "context",
                                      kubeconfig_context(s->config), "uid",
                                      kube_cluster_uid(s->kube), "version", kube_version(s->kube)));
    return doc;
}

static bool is_control(wchar_t w)
{
    return w < 0x20 || (w >= 0x7f && w < 0xa0) || w == 0x2028 || w == 0x2029 ||
           (w >= 0x202a && w <= 0x202e) || (w >= 0x2066 && w <= 0x2069);
}

// One character: its length in bytes, and its columns; what is no character counts as "?".
static size_t next_char(const char *s, int *width, bool *ok)
{
    mbstate_t state = {0};
    wchar_t w = 0;
    size_t n = mbrtowc(&w, s, MB_LEN_MAX, &state);
    *ok = n != (size_t)-1 && n != (size_t)-2 && n > 0 && !is_control(w);
    if (n == (size_t)-1 || n == (size_t)-2 || n == 0)
        n = 1;
    int columns = *ok ? wcwidth(w) : 1;
    *width = columns < 0 ? 1 : columns;
    return n;
}

int display_width(const char *s)
{
    int total = 0;
    while (*s) {
        int w;
        bool ok;
        s += next_char(s, &w, &ok);
        total += w;
    }
    return total;
}

char *clean(const char *s)
{
    struct buf b = {0};
    while (*s) {
        int w;
        bool ok;
        size_t n = next_char(s, &w, &ok);
        if (ok)
            buf_append(&b, s, n);
        else if (*s == '\n' || *s == '\t' || *s == '\r')
            buf_str(&b, b.len && b.p[b.len - 1] != ' ' ? " " : "");
        else
            buf_char(&b, '?');
        s += n;
    }
    while (b.len && b.p[b.len - 1] == ' ')
        b.p[--b.len] = 0;
    return buf_take(&b);
}

char *fit(const char *s, int width)
{
    if (display_width(s) <= width)
        return str_dup(s);
    struct buf b = {0};
    for (int at = 0; *s;) {
        int w;
        bool ok;
        size_t n = next_char(s, &w, &ok);
        if (at + w > width - 1)
            break;
        buf_append(&b, s, n);
        at += w;
        s += n;
    }
    buf_str(&b, "…");
    return buf_take(&b);
}

void screen_size(FILE *f, int *rows, int *cols)
{
    struct winsize w;
    *rows = 24;
    *cols = 0;
    if (!isatty(fileno(f)))
        return;
    bool known = ioctl(fileno(f), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;
    *cols = !known ? 80 : w.ws_col < MIN_WIDTH ? MIN_WIDTH : w.ws_col;
    if (known)
        *rows = w.ws_row < 5 ? 5 : w.ws_row;
}

bool is_narrow(void)
{
    int rows;
    int cols;
    screen_size(stdout, &rows, &cols);
    return cols && cols < NARROW;
}

// Where a line of at most `width` columns ends: behind a word, or in one that is too long.
static size_t line_end(const char *s, int width)
{
    size_t last = 0;
    size_t i = 0;
    for (int at = 0; s[i];) {
        int w;
        bool ok;
        size_t n = next_char(s + i, &w, &ok);
        if (s[i] == ' ')
            last = i;
        if (at + w > width)
            return last ? last : i ? i : n;
        at += w;
        i += n;
    }
    return i;
}

static void add_line(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool fixed = !strncmp(s + i, NBSP, 2);
        buf_char(b, fixed ? ' ' : s[i]);
        i += fixed;
    }
}

char *wrap_text(const char *text, int width)
{
    struct buf b = {0};
    if (width && width < MIN_TEXT)
        width = MIN_TEXT;
    while (*text) {
        size_t n = width ? line_end(text, width) : strlen(text);
        buf_str(&b, b.len ? "\n" : "");
        add_line(&b, text, n);
        text += n;
        while (*text == ' ')
            text++;
    }
    return buf_take(&b);
}

void wrap(FILE *f, const char *text, int at, int hang, int cols)
{
    CLEANUP(str_freep) char *all = clean(text);
    const char *s = all;
    do {
        // A column stays free: some terminals wrap when the last one is written.
        int room = cols - 1 - at;
        size_t n = cols ? line_end(s, room < MIN_TEXT ? MIN_TEXT : room) : strlen(s);
        struct buf line CLEANUP(buf_clear) = {0};
        add_line(&line, s, n);
        fprintf(f, "%s\n", line.p ? line.p : "");
        s += n;
        while (*s == ' ')
            s++;
        if (*s)
            fprintf(f, "%*s", hang, "");
        at = hang;
    } while (*s);
}

void print_wrapped(FILE *f, const char *text, int at, int hang)
{
    int rows;
    int cols;
    screen_size(f, &rows, &cols);
    wrap(f, text, at, hang, cols);
}

void print_value(const struct cli *c, const char *sign, const char *color, const json_t *v, int at,
                 int width)
{
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    CLEANUP(str_freep) char *shown = fit(text ? text : "", width);
    printf("%*s%s%s ", at - 2, "", paint(c, color), sign);
    print_wrapped(stdout, shown, at, at);
    printf("%s", paint(c, ""));
    free(text);
}

// Our own messages may have several lines (a cycle); each is cleaned for itself.
static void print_lines(FILE *f, const char *text, int at, int hang)
{
    for (;;) {
        size_t n = strcspn(text, "\n");
        CLEANUP(str_freep) char *line = str_ndup(text, n);
        size_t lead = strspn(line, " ");
        fprintf(f, "%*s", (int)lead, "");
        print_wrapped(f, line + lead, at + (int)lead, hang + (int)lead);
        if (!text[n])
            return;
        text += n + 1;
        fprintf(f, "%*s", hang, "");
        at = hang;
    }
}

void cli_print_error(const struct cli *c, const struct err *err)
{
    if (c->o.output != OUT_TEXT && c->o.output != OUT_DOT) {
        CLEANUP(json_freep)
        json_t *e = json_pack("{s:i, s:s, s:s, s:s, s:s*, s:i}", "version", 1, "type", "error",
                              "kind", err_kind_name(err->kind), "message", err->msg, "hint",
                              err->hint, "exitCode", err_exit_code(err->kind));
        char *text = json_dumps(e, JSON_COMPACT);
        fprintf(stderr, "%s\n", text ? text : "{}");
        free(text);
        return;
    }
    bool color = isatty(STDERR_FILENO) && !c->o.no_color && !getenv("NO_COLOR");
    fprintf(stderr, "%s✗%s ", color ? "\033[31m" : "", color ? "\033[0m" : "");
    print_lines(stderr, err->msg, 2, 2);
    if (err->hint) {
        fprintf(stderr, "  next: ");
        print_lines(stderr, err->hint, 8, 8);
    }
}

const char *state_symbol(const struct cli *c, enum node_state s)
{
    switch (s) {
    case NODE_READY:
        return c->color ? "\033[32m✓\033[0m" : "✓";
    case NODE_FAILED:
        return c->color ? "\033[31m✗\033[0m" : "✗";
    case NODE_BLOCKED:
    case NODE_WAITING:
        return "·";
    case NODE_SKIPPED:
        return "-";
    case NODE_QUEUED:
    case NODE_IN_FLIGHT:
    case NODE_APPLIED:
        break;
    }
    return c->color ? "\033[36m…\033[0m" : "…";
}

char *age_text(int64_t seconds)
{
    static const struct {
        int64_t limit, unit;
        const char *name;
    } steps[] = {{120, 1, "s"}, {7200, 60, "min"}, {172800, 3600, "h"}, {INT64_MAX, 86400, "d"}};
    size_t i = 0;
    while (seconds >= steps[i].limit)
        i++;
    return str_printf("%lld %s", (long long)(seconds < 0 ? 0 : seconds / steps[i].unit),
                      steps[i].name);
}

char *size_text(uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double n = (double)bytes;
    size_t i = 0;
    for (; n >= 999.5 && i + 1 < ARRAY_LEN(units); i++)
        n /= 1000;
    return str_printf("%.*f %s", i && n < 9.95 ? 1 : 0, n, units[i]);
}

json_t *print_texts(const struct strv *v)
{
    json_t *out = json_array();
    for (size_t i = 0; i < v->len; i++)
        json_array_append_new(out, json_string(v->v[i]));
    return out;
}

// A shell would look for files by the ? of a URL: zsh refuses such a word when it finds none.
void shell_word(struct buf *b, const char *word)
{
    bool plain = *word && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789._-/:@=+,%")] == 0;
    if (plain) {
        buf_str(b, word);
        return;
    }
    buf_char(b, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            buf_str(b, "'\\''");
        else
            buf_char(b, *word);
    }
    buf_char(b, '\'');
}

void shell_option(struct buf *b, const char *option, const char *word)
{
    buf_printf(b, " %s%s", option, *option ? " " : "");
    shell_word(b, word);
}

char *shell_words(const char *command, const char *word)
{
    struct buf b = {0};
    buf_printf(&b, "%s ", command);
    shell_word(&b, word);
    return buf_take(&b);
}
