// SPDX-License-Identifier: Apache-2.0
//
// What the controller shows over HTTP (docs/serving.md): the hooks of the web room.
#ifndef CLI_SERVING_H
#define CLI_SERVING_H

#include "cli/cli.h"
#include "cli/snapshotting.h"
#include "web/web.h"

struct serving {
    struct controller *controller;
    struct session *session;
    struct snapshotting *snapshots; // NULL: none are taken
    struct web_server *web;         // NULL: nothing is served
    struct event_sink own;          // where events go besides
    struct web_hooks hooks;
    struct source_counts sources;
};
// Before anything is connected to: what of --listen, --tls-* and --webhook-secret cannot be.
MUST_CHECK bool serving_check(const struct cli *c, struct err *err);
// Listens where --listen says; v->controller is there. On anything but loopback only with TLS and
// tokens that the cluster reviews.
MUST_CHECK bool serving_begin(struct cli *c, struct session *s, struct serving *v, struct err *err);

#endif
