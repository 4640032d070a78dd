// SPDX-License-Identifier: Apache-2.0
//
// Asking the controller for something about one application (reconcile/control.h): through its
// Application object, or where there is none through the ConfigMap `control`.
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "cli/cli.h"

struct asking {
    struct cli *c;
    struct session *s;
    char *name, *ns; // ns NULL: there is no Application object
    json_t *doc;     // the object, or the entry of the ConfigMap as it is (NULL: none)
    json_t *status;  // what is known of it, or NULL
    bool is_new;  // nothing of it was ever applied: whether there is one only the controller knows
    bool is_gone; // the object was there when it was asked, and is not any more
    int64_t asked_ms;
};

// Opens the cluster and finds the application that the first argument names: NAME, or
// NAMESPACE/NAME. NOT_FOUND, INVALID where several namespaces have one.
MUST_CHECK bool asking_open(struct cli *c, struct asking *a, struct err *err);
void asking_close(struct asking *a);
// Sends a merge patch of what control.h reads.
MUST_CHECK bool asking_send(struct asking *a, const json_t *patch, struct err *err);
// Reads doc and status again.
MUST_CHECK bool asking_look(struct asking *a, struct err *err);
char *asking_user(struct asking *a); // who we are to the API server; owned
bool asking_waits(const struct cli *c);

#endif
