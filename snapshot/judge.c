// SPDX-License-Identifier: Apache-2.0
//
// Good or suspect (docs/repository-format.md section 12). A source that could not be read, or a
// snapshot that is much smaller than the newest good one, is for a person to look at: the usual
// cause is a mistake, and a mistake must not become what is restored.
#include "snapshot/capture.h"

static void add_code(struct snapshot_entry *s, const char *code)
{
    if (!strv_has(&s->why, code))
        strv_push(&s->why, code);
}

// Counts come from a file: the product may be more than 64 bits hold.
static bool is_shrunk(uint64_t now, uint64_t before, unsigned percent)
{
    return (__extension__(unsigned __int128) now * 100) <
           (__extension__(unsigned __int128) before * percent);
}

void capture_judge(struct snapshot_entry *s, const struct snapshot_entry *last_good,
                   const struct shrink_bounds *b, const struct strv *emptied_apps)
{
    const struct snapshot_entry *g = last_good;
    if (s->counts.unknown)
        add_code(s, "unknown-source");
    // There is nothing to compare the first one with: most likely ROOT is not what was meant.
    if (!g && !s->counts.objects && !b->may_be_empty)
        add_code(s, "empty");
    if (emptied_apps && emptied_apps->len)
        add_code(s, "emptied-application");
    const struct {
        const char *code;
        uint64_t now, before;
        unsigned percent, fallback;
    } bounds[] = {
        {"shrunk-objects", s->counts.objects, g ? g->counts.objects : 0, b->objects, 80},
        {"shrunk-apps", s->counts.apps, g ? g->counts.apps : 0, b->apps, 80},
        {"shrunk-secrets", s->counts.secrets, g ? g->counts.secrets : 0, b->secrets, 90},
        {"shrunk-refs", s->counts.refs, g ? g->counts.refs : 0, b->refs, 80},
    };
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
        if (is_shrunk(bounds[i].now, bounds[i].before,
                      bounds[i].percent ? bounds[i].percent : bounds[i].fallback))
            add_code(s, bounds[i].code);
    s->is_good = s->why.len == 0;
}
