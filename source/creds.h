// SPDX-License-Identifier: Apache-2.0
//
// Credentials: which there are for a URL, in the order they are tried. They come from a file, the
// environment, and Argo CD's Secrets (spec argo-cd section 8.2), and may grow while applications
// are read. Host keys and TLS roots of Argo CD's ConfigMaps are kept here as well. Nothing of it is
// ever printed.
#ifndef SOURCE_CREDS_H
#define SOURCE_CREDS_H

#include "source/source.h"

struct creds;

struct creds *creds_new(const struct source_cred *given, size_t n); // copied
void creds_free(struct creds *c);

// Takes what a document holds if it is one of Argo CD's credential Secrets or one of the two
// ConfigMaps, in its namespace; true when it did and that was news.
bool creds_add_doc(struct creds *c, const json_t *doc, enum cred_rank rank);

// Before another load: what stands in Git counts only once it is read again, and with `live` (else
// NULL) what is in the cluster is that. True when credentials that were lent are gone, which is
// only with may_free.
bool creds_renew(struct creds *c, const json_t *live, bool may_free);

// What to try for a URL as an application of `project` (NULL: of none), best first. Borrowed, as
// are the credentials: they live as long as `c`.
struct cred_list {
    VEC(const struct source_cred *) v;
};
const struct cred_list *creds_for(struct creds *c, const char *url, const char *project);
// The project, when the URL has a credential for that project alone; else "".
const char *creds_scope(const struct creds *c, const char *url, const char *project);

unsigned creds_generation(const struct creds *c); // grows with every piece of news

const char *creds_known_hosts(const struct creds *c); // text of a known_hosts file, or NULL
const char *creds_tls_roots(const struct creds *c, const char *url); // PEM for its host, or NULL

// Does a credential of this (normal) URL cover that (normal) one? Never another host's.
bool cred_prefix_covers(const char *prefix, const char *url);
// The form in which URLs are compared: lower case, no user of https, no scheme of OCI. Owned.
char *cred_url_normal(const char *url);

#endif
