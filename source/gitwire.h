// SPDX-License-Identifier: Apache-2.0
//
// Git's wire format, pure: pkt-lines, lists of refs (protocol v2 and v0), fetch requests, and the
// answer to a fetch as it arrives (spec libgit2 section 4).
#ifndef SOURCE_GITWIRE_H
#define SOURCE_GITWIRE_H

#include "base/str.h"
#include "gitops/gitops.h"

// One pkt-line at p: its payload, or special (flush 0, delimiter 1, end 2).
enum pkt { PKT_DATA, PKT_FLUSH, PKT_DELIM, PKT_END, PKT_MORE, PKT_BAD };
enum pkt pkt_next(const char *p, size_t len, const char **data, size_t *data_len, size_t *used);
void pkt_add(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

// What a server's first answer (info/refs, or the greeting of ssh) says.
struct git_greeting {
    bool is_v2;
    bool has_shallow, has_filter, has_any_sha; // v0: wants need not be tips
    bool has_status, has_bands;                // of one that takes a push
};
// v0 lists are read into refs. smart_http: skip the "# service=" line.
MUST_CHECK bool greeting_read(const char *p, size_t len, struct git_greeting *g,
                              struct git_refs *refs, struct err *err);
// The same, with annotated tags as they are and not the commits behind them.
MUST_CHECK bool greeting_read_whole(const char *p, size_t len, struct git_greeting *g,
                                    struct git_refs *refs, struct err *err);

void ls_refs_request(struct buf *out); // branches and tags, peeled
void ls_refs_request_some(struct buf *out, const struct strv *prefixes); // peeled
void ls_refs_request_one(struct buf *out, const char *name); // one that is neither, by its name
void ls_refs_request_whole(struct buf *out);                 // every ref, as it is
MUST_CHECK bool ls_refs_read(const char *p, size_t len, struct git_refs *refs, struct err *err);

// want one commit at depth 1; `have` are commits at depth 1 that are there already.
void fetch_request(struct buf *out, const struct git_greeting *g, const char *want,
                   const struct strv *have);
// want these with all that leads to them, less what leads to `have`; the pack stands alone.
void fetch_request_whole(struct buf *out, const struct git_greeting *g, const struct strv *want,
                         const struct strv *have);

// The answer, fed as it comes; pack bytes go to on_pack.
struct fetch_reader {
    bool is_v2;
    bool (*on_pack)(void *ctx, const char *p, size_t len, struct err *err);
    void *ctx;
    struct buf pending;
    bool in_pack, saw_pack;
};
MUST_CHECK bool fetch_feed(struct fetch_reader *f, const char *p, size_t len, struct err *err);

#endif
