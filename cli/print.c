// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cli/cli.h"

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

void print_json(const json_t *v, FILE *f)
{
    char *text = json_dumps(v, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    fprintf(f, "%s\n", text ? text : "null");
    free(text);
}

void cli_print_error(const struct cli *c, const struct err *err)
{
    if (c->o.output == OUT_JSON || c->o.output == OUT_NDJSON) {
        CLEANUP(json_freep)
        json_t *e = json_pack("{s:s, s:s, s:s, s:s*, s:i}", "type", "error", "kind",
                              err_kind_name(err->kind), "message", err->msg, "hint", err->hint,
                              "exitCode", err_exit_code(err->kind));
        char *text = json_dumps(e, JSON_COMPACT);
        fprintf(stderr, "%s\n", text ? text : "{}");
        free(text);
        return;
    }
    fprintf(stderr, "%s✗%s %s\n", paint(c, "red"), paint(c, ""), err->msg);
    if (err->hint)
        fprintf(stderr, "  next: %s\n", err->hint);
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

static size_t char_len(const char *s)
{
    unsigned char b = (unsigned char)*s;
    size_t n = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 1;
    return n;
}

int display_width(const char *s)
{
    int w = 0;
    for (; *s; s += char_len(s))
        w++;
    return w;
}

char *fit(const char *s, int width)
{
    if (display_width(s) <= width)
        return str_dup(s);
    struct buf b = {0};
    for (int w = 0; *s && w < width - 1; w++) {
        size_t n = char_len(s);
        buf_append(&b, s, n);
        s += n;
    }
    buf_str(&b, "…");
    return buf_take(&b);
}
