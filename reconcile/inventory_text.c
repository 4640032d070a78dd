// SPDX-License-Identifier: Apache-2.0
//
// The texts of the inventory, as docs/inventory.md has them: read line by line.
#include <string.h>

#include "reconcile/run_int.h"

#define HEADER INVENTORY_HEADER

static bool read_line(const struct inventory_reader *rd, const char *line, const char *app,
                      bool is_intent)
{
    struct strv f = {0};
    strv_split(&f, line, '\t');
    bool is_note = f.len >= 3 && !strcmp(f.v[0], INVENTORY_NOTE);
    bool ok = !is_note && f.len >= 10 && *f.v[1] && *f.v[2] && *f.v[4];
    if (is_note)
        rd->note(rd->ctx, f.v[1], f.v[2], true);
    if (ok) {
        struct record rec = {
            .id = {f.v[0], f.v[1], *f.v[3] ? f.v[3] : NULL, f.v[4]},
            .version = f.v[2],
            .app = is_intent ? f.v[9] : (char *)app,
            .uid = *f.v[5] ? f.v[5] : NULL,
            .is_hook = strchr(f.v[8], 'h') != NULL,
            .is_made = strchr(f.v[8], 'm') != NULL,
            .is_intent = is_intent,
        };
        if (!hex_decode(f.v[6], rec.sent.b, sizeof(rec.sent.b)))
            memset(&rec.sent, 0, sizeof(rec.sent));
        if (!hex_decode(f.v[7], rec.projection.b, sizeof(rec.projection.b)))
            memset(&rec.projection, 0, sizeof(rec.projection));
        rd->record(rd->ctx, &rec);
    }
    strv_clear(&f);
    return ok;
}

bool inventory_read(const json_t *cm, const struct inventory_reader *rd)
{
    const char *what = json_label(cm, INVENTORY_LABEL);
    const char *name = json_dot_str(cm, "metadata.name");
    const char *text = json_dot_str(cm, "data.records");
    if (!what || !name || !text || !str_starts(text, HEADER "\t"))
        return false;
    struct strv lines = {0};
    strv_split(&lines, text, '\n');
    struct strv head = {0};
    strv_split(&head, lines.v[0], '\t');
    const char *app = head.len > 1 ? head.v[1] : "";
    if (head.len > 3 && !strcmp(what, "app"))
        rd->note(rd->ctx, app, head.v[3], false);
    for (size_t i = 1; i < lines.len; i++)
        if (*lines.v[i])
            read_line(rd, lines.v[i], app, !strcmp(what, "intent"));
    strv_clear(&head);
    strv_clear(&lines);
    return true;
}

// The header's first field: an application's tracking name, or what the cluster is grown from.
char *inventory_root(const json_t *cm)
{
    const char *text = json_dot_str(cm, "data.records");
    if (!text || !str_starts(text, HEADER "\t"))
        return NULL;
    text += strlen(HEADER "\t");
    size_t n = strcspn(text, "\t\n");
    return n ? str_ndup(text, n) : NULL;
}

char *inventory_then(const json_t *cm)
{
    static const char line[] = "\n" INVENTORY_THEN "\t";
    const char *text = json_dot_str(cm, "data.records");
    const char *at = text && str_starts(text, HEADER "\t") ? strstr(text, line) : NULL;
    if (!at)
        return NULL;
    at += strlen(line);
    return str_ndup(at, strcspn(at, "\t\n"));
}

char *inventory_map_name(const char *app, unsigned part)
{
    struct sha256 h = sha256_of(app, strlen(app));
    CLEANUP(str_freep) char *hex = hex_encode(h.b, 4);
    struct buf b = {0};
    buf_str(&b, "app-");
    for (const char *s = app; *s && b.len < 180; s++)
        buf_char(&b, (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') ? *s : '-');
    buf_printf(&b, "-%s", hex);
    if (part)
        buf_printf(&b, "-%u", part);
    return buf_take(&b);
}
