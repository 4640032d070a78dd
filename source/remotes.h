// SPDX-License-Identifier: Apache-2.0
//
// Remote bases of kustomize, as it writes them. Private to source.
#ifndef SOURCE_REMOTES_H
#define SOURCE_REMOTES_H

#include "source/source.h"

struct remote {
    bool is_file;    // one file by its URL; else a Git repository
    char *url, *ref; // ref "" is HEAD
};
// "github.com/o/r//path?ref=v1", "https://h/o/r.git/path", "git@h:o/r", "https://h/a.yaml". Pure.
void remote_parse(const char *text, struct remote *out);
void remote_clear(struct remote *r);
// The commit that source_fetch_remotes has brought.
MUST_CHECK bool remote_revision(struct source *s, const struct remote *r, char **revision,
                                struct err *err);

#endif
