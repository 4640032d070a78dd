// SPDX-License-Identifier: Apache-2.0
//
// Private to snapshot: what a registry answers, read. Pure; every byte is a stranger's.
#ifndef SNAPSHOT_OCI_ANSWER_H
#define SNAPSHOT_OCI_ANSWER_H

#include "base/err.h"
#include "base/str.h"

#define OCI_MAX_TAGS 2000000 // of a repository: more than a store of a century has

// The value of name="…" in a challenge (WWW-Authenticate); owned, NULL when absent.
char *oci_challenge_value(const char *challenge, const char *name);
// The token in the answer of a token server; owned, NULL: none that a header can hold.
char *oci_token(const char *body, size_t len);
// The code of the first error in an answer; owned, NULL: it names none.
char *oci_error_code(const char *body, size_t len);
// Tags of one page of a list, appended. UNAVAILABLE: it cannot be read, or there are too many.
MUST_CHECK bool oci_read_tags(const char *body, size_t len, struct strv *out, struct err *err);
// The next page of `Link: </v2/…>; rel="next"`; owned, NULL when this was the last. link may be
// NULL.
char *oci_next_page(const char *link);
// User and password for a host from docker's config.json text. False: none.
bool oci_docker_auth(const char *json, const char *host, char **user, char **password);

#endif
