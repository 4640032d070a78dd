// SPDX-License-Identifier: Apache-2.0
#include "base/prom.h"

#include <math.h>
#include <string.h>

// From what a converged application costs to what a chart with webhooks may take.
static const double bounds[PROM_BUCKETS] = {0.005, 0.01, 0.05, 0.1, 0.25, 0.5,
                                            1,     2.5,  5,    15,  60,   300};

void prom_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s ", name);
    for (; *help; help++) {
        if (*help == '\\')
            buf_str(out, "\\\\");
        else if (*help == '\n')
            buf_str(out, "\\n");
        else
            buf_char(out, *help);
    }
    buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

// Bytes of the well-formed UTF-8 sequence at s; 0: there is none.
static size_t utf8_len(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool is_long = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool is_out = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return is_long || is_out ? 0 : n;
}

static void add_value(struct buf *out, const char *s)
{
    size_t room = PROM_MAX_LABEL;
    while (*s) {
        size_t n = utf8_len((const unsigned char *)s);
        if ((n ? n : 1) > room)
            return;
        room -= n ? n : 1;
        if (*s == '\\' || *s == '"')
            buf_char(out, '\\');
        if (*s == '\n')
            buf_str(out, "\\n");
        else if (n)
            buf_append(out, s, n);
        else
            buf_char(out, '?');
        s += n ? n : 1;
    }
}

static void add_label(struct buf *out, bool *is_first, const char *label, const char *value)
{
    buf_printf(out, "%s%s=\"", *is_first ? "{" : ",", label);
    add_value(out, value);
    buf_char(out, '"');
    *is_first = false;
}

static void add_number(struct buf *out, double value)
{
    if (isnan(value))
        buf_str(out, " NaN\n");
    else if (isinf(value))
        buf_str(out, value > 0 ? " +Inf\n" : " -Inf\n");
    else
        buf_printf(out, " %.15g\n", value);
}

void prom_sample(struct buf *out, const char *name, double value, ...)
{
    bool is_first = true;
    va_list ap;
    buf_str(out, name);
    va_start(ap, value);
    for (const char *label = va_arg(ap, const char *); label; label = va_arg(ap, const char *)) {
        const char *text = va_arg(ap, const char *);
        if (text)
            add_label(out, &is_first, label, text);
    }
    va_end(ap);
    if (!is_first)
        buf_char(out, '}');
    add_number(out, value);
}

void prom_observe(struct prom_histogram *h, double seconds)
{
    size_t i = 0;
    while (i < PROM_BUCKETS && seconds > bounds[i])
        i++;
    if (i < PROM_BUCKETS)
        h->at[i]++;
    h->count++;
    h->sum += seconds;
}

static void add_part(struct buf *out, const char *name, const char *part, double number,
                     const char *label, const char *value, const char *le)
{
    CLEANUP(str_freep) char *full = str_printf("%s_%s", name, part);
    if (label)
        prom_sample(out, full, number, label, value, "le", le, NULL);
    else
        prom_sample(out, full, number, "le", le, NULL);
}

void prom_histogram(struct buf *out, const char *name, const struct prom_histogram *h,
                    const char *label, const char *value)
{
    unsigned long below = 0;
    for (size_t i = 0; i < PROM_BUCKETS; i++) {
        CLEANUP(str_freep) char *le = str_printf("%g", bounds[i]);
        below += h->at[i];
        add_part(out, name, "bucket", (double)below, label, value, le);
    }
    add_part(out, name, "bucket", (double)h->count, label, value, "+Inf");
    add_part(out, name, "sum", h->sum, label, value, NULL);
    add_part(out, name, "count", (double)h->count, label, value, NULL);
}
