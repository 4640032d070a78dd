// SPDX-License-Identifier: Apache-2.0
//
// Talking to a Git server: over HTTP by source/http.h, over ssh by the ssh program.
#ifndef SOURCE_GITNET_H
#define SOURCE_GITNET_H

#include "source/git.h"
#include "source/gitwire.h"

bool gitnet_is_ssh(const char *url);
MUST_CHECK bool gitnet_refs(const struct gitsrc_opts *o, struct git_greeting *g,
                            struct git_refs *refs, struct err *err);
MUST_CHECK bool gitnet_fetch(const struct gitsrc_opts *o, const struct git_greeting *g,
                             const char *want, const struct strv *have, struct fetch_reader *f,
                             struct err *err);

#endif
