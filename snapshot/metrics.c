// SPDX-License-Identifier: Apache-2.0
#include "snapshot/metrics.h"

#include <string.h>

#include "base/file.h"
#include "snapshot/web.h"

#define MAX_FILE_BYTES (64U << 10)
#define PREFIX "regrow_snapshot_"

// A label's value; in it three characters are written otherwise.
static void add_label(const char *s, struct buf *out)
{
    for (; *s; s++) {
        if (*s == '\\' || *s == '"')
            buf_char(out, '\\');
        if (*s == '\n')
            buf_str(out, "\\n");
        else
            buf_char(out, *s);
    }
}

static void add_head(const char *prefix, const char *name, const char *help, struct buf *out)
{
    buf_printf(out, "# HELP %s%s %s\n# TYPE %s%s gauge\n", prefix, name, help, prefix, name);
}

static void add_gauge(const char *prefix, const char *chain, const char *name, const char *help,
                      double value, struct buf *out)
{
    add_head(prefix, name, help, out);
    buf_printf(out, "%s%s{chain=\"", prefix, name);
    add_label(chain, out);
    buf_printf(out, "\"} %.15g\n", value);
}

static void add(const struct metrics *m, const char *name, const char *help, double value,
                struct buf *out)
{
    add_gauge(PREFIX, m->chain, name, help, value, out);
}

// The line that was there, when nothing better is known.
static void keep(const char *prefix, const char *name, const char *help, const char *before,
                 struct buf *out)
{
    CLEANUP(str_freep) char *start = str_printf("%s%s{", prefix, name);
    for (const char *line = before; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        if (str_starts(line, start)) {
            add_head(prefix, name, help, out);
            buf_append(out, line, len);
            buf_char(out, '\n');
            return;
        }
        line = end ? end + 1 : NULL;
    }
}

static void add_known(const struct metrics *m, const char *name, const char *help, int64_t value,
                      const char *before, struct buf *out)
{
    if (value)
        add(m, name, help, (double)value, out);
    else
        keep(PREFIX, name, help, before, out);
}

static void add_result(const struct metrics *m, struct buf *out)
{
    const struct snapshot_entry *s = &m->result->entry.snapshot;
    const struct {
        const char *name, *help;
        uint64_t value;
    } rows[] = {
        {"seq", "Number of the newest snapshot.", m->result->entry.seq},
        {"suspect", "1: it is stored, and not good.", !s->is_good},
        {"unknown", "What could not be read for it.", s->counts.unknown},
        {"applications", "In it.", s->counts.apps},
        {"objects", "In it.", s->counts.objects},
        {"secrets", "In it.", s->counts.secrets},
        {"refs", "In it.", s->counts.refs},
        {"content_bytes", "All of it, opened.", s->bytes.content},
        {"stored_bytes", "All of it, as it lies in the store.", s->bytes.stored},
        {"added_bytes", "What this run added to the store.",
         m->result->is_unchanged ? 0 : s->bytes.added},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        add(m, rows[i].name, rows[i].help, (double)rows[i].value, out);
}

void metrics_text(const struct metrics *m, const char *before, struct buf *out)
{
    const struct create_result *r = m->result;
    bool is_good = r && r->entry.snapshot.is_good;
    int64_t good_at = 0;
    uint64_t good_seq = 0;
    if (is_good && !r->is_unchanged) {
        good_at = m->at_unix_s;
        good_seq = r->entry.seq;
    } else if (is_good) {
        good_at = r->entry.stored_at_ms ? r->entry.stored_at_ms / 1000 : r->entry.time_unix_s;
        good_seq = r->entry.seq;
    } else if (r) {
        good_at = r->last_good.at_ms / 1000;
        good_seq = r->last_good.seq;
    }
    add(m, "last_run_timestamp_seconds", "When the last run ended.", (double)m->at_unix_s, out);
    add(m, "last_run_duration_seconds", "How long it took.", (double)m->duration_ms / 1000, out);
    add(m, "last_run_exit_code", "How it ended: 0 good, 10 suspect.", m->exit_code, out);
    add_known(m, "last_success_timestamp_seconds",
              "When a run last ended with a good snapshot, or found that the newest still holds.",
              is_good ? m->at_unix_s : 0, before, out);
    add_known(m, "last_good_timestamp_seconds", "When the newest good snapshot was stored.",
              good_at, before, out);
    add_known(m, "last_good_seq", "Its number.", (int64_t)good_seq, before, out);
    if (r)
        add_result(m, out);
}

// fill: writes the text to a buffer, given what was there.
typedef void (*fill_fn)(const void *ctx, const char *before, struct buf *out);

static bool write_text(fill_fn fill, const void *ctx, const char *file, struct err *err)
{
    struct buf before CLEANUP(buf_clear) = {0};
    struct buf text CLEANUP(buf_clear) = {0};
    struct err ignored = {0};
    if (!file_read(file, MAX_FILE_BYTES, &before, &ignored))
        err_clear(&ignored); // nothing is known of what was before
    fill(ctx, before.p, &text);
    return file_replace(file, text.p, text.len, 0644, err);
}

static bool push_text(const struct buf *text, const char *url, const char *job, const char *chain,
                      struct loop *l, const char *ca_file, struct err *err)
{
    CLEANUP(web_freep) struct web *w = web_new(l, ca_file);
    struct buf to CLEANUP(buf_clear) = {0};
    struct web_reply r CLEANUP(web_reply_clear) = {.retry_after_ms = -1};
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    if (!str_starts(url, "http://") && !str_starts(url, "https://"))
        return err_set(err, ERR_USAGE, "the URL of a Pushgateway begins with http:// or https://");
    buf_append(&to, url, len);
    buf_printf(&to, "/metrics/job/%s/chain/", job);
    uri_encode(&to, chain, false);
    // POST leaves what is not named as it was.
    struct web_request q = {.method = "POST", .url = to.p, .body = text->p, .body_len = text->len};
    if (!web_run(w, &q, &r, err))
        return false;
    return r.status / 100 == 2 || err_set(err, ERR_UNAVAILABLE, "it answered %d", r.status);
}

static void fill_metrics(const void *ctx, const char *before, struct buf *out)
{
    metrics_text(ctx, before, out);
}

bool metrics_write(const struct metrics *m, const char *file, struct err *err)
{
    return write_text(fill_metrics, m, file, err);
}

bool metrics_push(const struct metrics *m, const char *url, struct loop *l, const char *ca_file,
                  struct err *err)
{
    struct buf text CLEANUP(buf_clear) = {0};
    metrics_text(m, NULL, &text);
    return push_text(&text, url, "regrow_snapshot", m->chain, l, ca_file, err);
}

// ---- of other runs ----
void metric_set_text(const struct metric_set *s, const char *before, struct buf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct metric_row *r = &s->rows[i];
        if (r->is_known)
            add_gauge(s->prefix, s->chain, r->name, r->help, r->value, out);
        else
            keep(s->prefix, r->name, r->help, before, out);
    }
}

static void fill_set(const void *ctx, const char *before, struct buf *out)
{
    metric_set_text(ctx, before, out);
}

bool metric_set_write(const struct metric_set *s, const char *file, struct err *err)
{
    return write_text(fill_set, s, file, err);
}

bool metric_set_push(const struct metric_set *s, const char *url, struct loop *l,
                     const char *ca_file, struct err *err)
{
    struct buf text CLEANUP(buf_clear) = {0};
    CLEANUP(str_freep) char *job = str_ndup(s->prefix, strlen(s->prefix) - 1);
    metric_set_text(s, NULL, &text);
    return push_text(&text, url, job, s->chain, l, ca_file, err);
}
