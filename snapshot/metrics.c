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

static void add_head(const char *name, const char *help, struct buf *out)
{
    buf_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s gauge\n", name, help, name);
}

static void add(const struct metrics *m, const char *name, const char *help, double value,
                struct buf *out)
{
    add_head(name, help, out);
    buf_printf(out, PREFIX "%s{chain=\"", name);
    add_label(m->chain, out);
    buf_printf(out, "\"} %.15g\n", value);
}

// The line that was there, when nothing better is known.
static void keep(const char *name, const char *help, const char *before, struct buf *out)
{
    CLEANUP(str_freep) char *start = str_printf(PREFIX "%s{", name);
    for (const char *line = before; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        if (str_starts(line, start)) {
            add_head(name, help, out);
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
        keep(name, help, before, out);
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

bool metrics_write(const struct metrics *m, const char *file, struct err *err)
{
    struct buf before CLEANUP(buf_clear) = {0};
    struct buf text CLEANUP(buf_clear) = {0};
    struct err ignored = {0};
    if (!file_read(file, MAX_FILE_BYTES, &before, &ignored))
        err_clear(&ignored); // nothing is known of what was before
    metrics_text(m, before.p, &text);
    return file_replace(file, text.p, text.len, 0644, err);
}

bool metrics_push(const struct metrics *m, const char *url, struct loop *l, const char *ca_file,
                  struct err *err)
{
    CLEANUP(web_freep) struct web *w = web_new(l, ca_file);
    struct buf text CLEANUP(buf_clear) = {0};
    struct buf to CLEANUP(buf_clear) = {0};
    struct web_reply r CLEANUP(web_reply_clear) = {.retry_after_ms = -1};
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    if (!str_starts(url, "http://") && !str_starts(url, "https://"))
        return err_set(err, ERR_USAGE, "the URL of a Pushgateway begins with http:// or https://");
    buf_append(&to, url, len);
    buf_str(&to, "/metrics/job/regrow_snapshot/chain/");
    uri_encode(&to, m->chain, false);
    metrics_text(m, NULL, &text);
    // POST leaves what is not named as it was.
    struct web_request q = {.method = "POST", .url = to.p, .body = text.p, .body_len = text.len};
    if (!web_run(w, &q, &r, err))
        return false;
    return r.status / 100 == 2 || err_set(err, ERR_UNAVAILABLE, "it answered %d", r.status);
}
