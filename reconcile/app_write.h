// SPDX-License-Identifier: Apache-2.0
//
// Writes what app_status.h makes to the Application objects of a cluster, and Kubernetes events
// beside it. At most one request is under way for an application, so many in all; what is set
// meanwhile takes the place of what was waiting, so that the newest wins and a burst costs one
// write. What cannot be written is tried again with growing pauses, unless it is refused; a
// definition without the status subresource, such as Argo CD's, is found out by the first answer.
//
// Life: app_writer_new, app_writer_set whenever a status is known, app_writer_free; callbacks of
// requests under way are dropped then.
#ifndef RECONCILE_APP_WRITE_H
#define RECONCILE_APP_WRITE_H

#include "kube/kube.h"
#include "reconcile/app_status.h"

struct app_writer;
// A write that the server will not have, however often it is sent: it is no status by the
// definition, or nobody gave us the right. Lent for the call.
struct app_refusal {
    const char *ns, *name;
    const struct kube_reply *reply;
    const json_t *taken; // not even this, which was to be taken out, could be; NULL: there was none
    bool is_news;        // it was not told yet, or one such write was taken since
};
struct app_writer_opts {
    const char *manager;          // field manager; NULL: "regrow"
    const char *component;        // of the events: "regrow"; NULL: that
    const char *instance;         // of the events: host and process; NULL: ""
    const struct kind_info *kind; // of Application, as it is served; copied
    void (*refused)(void *ctx, const struct app_refusal *r);
    void *ctx;
};
struct app_writer *app_writer_new(struct loop *l, struct kube *k, const struct app_writer_opts *o);
void app_writer_free(struct app_writer *w);
CLEANUP_FN(struct app_writer, app_writer_free, app_writer_freep);

// live: the object as the watch has it; status: as it should be (app_status_json), a reference is
// taken. taken: a merge patch of the rest of the object, such as a request that has been
// taken out ({"operation": null}; control_taken), or NULL; patches of several calls are merged.
// Nothing is sent when nothing differs.
void app_writer_set(struct app_writer *w, const json_t *live, json_t *status, const json_t *taken);
// How many more it takes without holding much; more than that is taken all the same.
size_t app_writer_room(const struct app_writer *w);
// The object is gone: what waits for it is dropped.
void app_writer_forget(struct app_writer *w, const char *ns, const char *name);
// Nothing is waiting or under way.
bool app_writer_is_idle(const struct app_writer *w);
// Waits on the loop until then, at most so long; false: not all is written.
bool app_writer_drain(struct app_writer *w, int64_t max_ms);

struct app_writer_stats {
    unsigned long writes, superseded, failed, events, events_dropped;
};
struct app_writer_stats app_writer_stats(const struct app_writer *w);

#endif
