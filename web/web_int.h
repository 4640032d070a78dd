// SPDX-License-Identifier: Apache-2.0
//
// The room's own: a server has fronts (a daemon of libmicrohttpd each; an old one drains while the
// next, with a new certificate, already accepts on the same socket), a front has connections, a
// connection has at most one ask: a request from its first line to its last byte. Whatever a
// connection is doing has a deadline, at which it is cut: libmicrohttpd's own only counts silence.
#ifndef WEB_WEB_INT_H
#define WEB_WEB_INT_H

#include <microhttpd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/vec.h"
#include "web/uri.h"
#include "web/web.h"

#define HEADER_BYTES (16U << 10)     // of one request, its first line included
#define MAX_BODIES_BYTES (16U << 20) // of all requests together

struct ask;
struct front;
struct reviews;
struct stream;
struct streams;

struct conn {
    struct conn *prev, *next;
    struct front *front;
    struct MHD_Connection *mhd;
    int fd;
    int64_t deadline; // clock_mono_ms; 0: it is suspended, what it waits for has its own
    struct ask *ask;
    bool is_cut;
};

enum standing { STAND_ASKED, STAND_OK, STAND_NO_TOKEN, STAND_BAD_TOKEN, STAND_DENIED, STAND_NONE };

struct route {
    const char *path; // segments; "*" is any one
    bool is_post;
    const char *verb;     // of applications, for a review; NULL: everybody
    bool is_non_resource; // the verb is about the path
    size_t body_bytes;    // most a body may have; 0: none is taken
    void (*answer)(struct ask *a);
};

struct ask {
    struct web_server *w;
    struct conn *conn;
    struct uri uri;
    bool uri_ok, begun, is_checked, is_asked, answered, is_suspended, is_too_large;
    const struct route *route;
    enum standing standing;
    char *user;          // who it is, by review
    struct sha256 waits; // key of the review that it is suspended for
    struct buf body;
    size_t seen; // bytes of the body that came, also of what was not kept
    struct stream *stream;
};

struct front {
    struct front *next;
    struct web_server *w;
    struct MHD_Daemon *mhd;
    int epoll;
    struct loop_timer *timer;
    struct conn *conns;
    size_t n_conns;
    int64_t end_at; // it drains until then; 0: it is the one that accepts
    char *cert, *key;
};

struct web_counts {
    unsigned long cut, dropped;
    unsigned long reviews[2][3];    // token, access: yes, no, failed
    unsigned long deliveries[5][4]; // by host: pushed, ignored, refused, malformed
};

struct web_server {
    struct loop *loop;
    struct web_opts o;
    struct web_limits limits;
    int listen_fd;
    unsigned port;
    bool is_loopback, is_ending;
    struct front *fronts; // the first accepts
    struct loop_timer *sweep, *reload;
    struct sha256 tls_hash;
    int64_t tls_expires_s;
    size_t bodies_bytes;
    struct reviews *reviews;
    struct streams *streams;
    struct event_sink sink;
    struct web_counts counts;
    json_t *codes;     // {"path": {"200": 7}}
    char *tls_problem; // the last one that was told
};

// ---- server.c ----
void web_front_run(struct front *f);
void web_resume(struct ask *a);
void web_suspend(struct ask *a);
void web_cut(struct conn *c);
MUST_CHECK bool web_front_add(struct web_server *w, char *cert, char *key, struct err *err);

// ---- listen.c ----
// USAGE for what is no address, or none of this machine; CONFLICT where another one listens.
MUST_CHECK bool web_listen(const char *address, int *fd, unsigned *port, bool *is_loopback,
                           struct err *err);
// The same, and lets go of it.
MUST_CHECK bool web_listen_check(const char *address, struct err *err);

// ---- tls.c ----
// Both as PEM, owned; INVALID when they do not belong together.
struct web_pair {
    char *cert, *key;
    int64_t expires_s;
};
MUST_CHECK bool web_pair_load(const char *cert, const char *key, struct web_pair *out,
                              struct err *err);
MUST_CHECK bool web_pair_make(struct web_pair *out, struct err *err);
void web_pair_clear(struct web_pair *p); // wipes the key

// ---- request.c ----
void *web_on_uri(void *ctx, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result web_on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *len, void **con_ctx);
void web_on_completed(void *ctx, struct MHD_Connection *mhd, void **con_ctx,
                      enum MHD_RequestTerminationCode how);
const char *web_header(const struct ask *a, const char *name); // borrowed, NULL: none

// ---- respond.c ----
void web_respond(struct ask *a, unsigned status, const char *type, struct buf *body); // takes it
void web_respond_json(struct ask *a, unsigned status, json_t *doc);                   // takes it
void web_respond_static(struct ask *a, const char *type, const char *p, size_t len);
// {"error": kind, "message": text}; extra: a header's name and value, or NULL
void web_respond_error(struct ask *a, unsigned status, const char *kind, const char *message,
                       const char *header, const char *value);
void web_respond_with(struct ask *a, unsigned status, struct MHD_Response *r); // takes it

// ---- routes.c ----
const struct route *web_route(const struct uri *u, const char **allow, bool is_post, bool *is_path);

// ---- review.c ----
struct reviews *reviews_new(struct web_server *w);
void reviews_free(struct reviews *r);
// What is known about who asks for what; STAND_ASKED: a->waits says for which review to wait.
enum standing reviews_stand(struct reviews *r, struct ask *a);
// The token of an Authorization header; false: it has none that could be one.
bool web_bearer(const char *header, const char **token, size_t *len);

// ---- stream.c ----
struct streams *streams_new(struct web_server *w);
void streams_free(struct streams *s);
void streams_emit(void *ctx, const json_t *event);
void streams_answer(struct ask *a);
void streams_end(struct stream *s); // with its request
size_t streams_count(const struct streams *s);
// "BOOT-SEQ": where to go on, for this boot; false: from nowhere, what is known must be read anew.
bool web_event_id(const char *header, const char *boot, uint64_t *seq);

// ---- push.c ----
#define PUSH_MAX_BYTES (1U << 20)
enum push_is { PUSH_NO, PUSH_YES, PUSH_IGNORED };
struct push_from { // what the headers say, NULL: it is not there
    const char *github_event, *gitlab_event, *gitea_event;
    const char *hub_signature, *gitlab_token, *gitea_signature;
    const char *content_type;
};
struct push_read {
    struct web_push push;
    json_t *doc; // owns its texts
};
enum push_host { PUSH_GITHUB, PUSH_GITLAB, PUSH_GITEA, PUSH_GENERIC, PUSH_HOSTS };
enum push_host push_host(const struct push_from *f);
const char *push_host_name(enum push_host h);
// Whether it is signed with one of the secrets.
bool push_is_signed(const struct push_from *f, const char *body, size_t len,
                    const struct strv *secrets);
MUST_CHECK bool push_parse(const struct push_from *f, const char *body, size_t len,
                           struct push_read *out, bool *is_push, struct err *err);
void push_read_clear(struct push_read *p);
// The secrets of these files and of those in a folder, which may be absent (each may be NULL),
// without the line end. An empty one is refused.
MUST_CHECK bool push_secrets(const struct strv *files, const char *dir, struct strv *out,
                             struct err *err);
void push_secrets_clear(struct strv *secrets); // wipes them
void push_answer(struct ask *a);

// ---- page.c, api.c, figures.c ----
void page_answer_root(struct ask *a);
void page_answer_css(struct ask *a);
void page_answer_js(struct ask *a);
void api_applications(struct ask *a);
void api_application(struct ask *a);
void api_fleet(struct ask *a);
void api_act(struct ask *a);
void api_healthz(struct ask *a);
void api_readyz(struct ask *a);
void figures_answer(struct ask *a);

#endif
