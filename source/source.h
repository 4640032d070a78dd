// SPDX-License-Identifier: Apache-2.0
//
// Sources: Git (libgit2 for objects, transports of our own), Helm repositories, OCI registries,
// local folders; rendering (plain directory natively, kustomize and helm as child processes); and
// the loader that turns a root into the whole desired state.
//
// Life: source_new with options, source_load once per run (it drives the loop until everything is
// read), source_free. A source that cannot be read or rendered makes its application unknown
// (app->state, app->problem) and is never taken as empty; only a root that cannot be read at all
// fails the load. Caches live under opts.cache_dir, are shared between processes by flock, and may
// be deleted at any time. The room knows no cluster: what it needs of one (version, served APIs)
// is passed in.
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "base/event.h"
#include "base/loop.h"
#include "gitops/gitops.h"

// A prefix rewrite, so that an air-gapped site needs no change in Git:
// "https://charts.example.com" -> "http://mirror.local/charts" or "/srv/mirror". Longest wins.
struct source_mirror {
    char *from, *to;
};

// Credentials for repositories whose URL starts with `url` (longest prefix wins). Strings owned by
// whoever made the list; NULL where absent. Never printed.
struct source_cred {
    char *url;
    char *username, *password; // password may be a token
    char *bearer;
    char *ssh_key_file; // or ssh_key_pem
    char *ssh_key_pem;
    char *ca_file;
    char *cert_pem, *key_pem; // client certificate
    bool insecure;            // TLS not verified
    bool enable_oci;
};

struct source_opts {
    const char *cache_dir;
    const char *root_revision; // overrides ?ref= of the root, or NULL
    const struct source_mirror *mirrors;
    size_t n_mirrors;
    const struct source_cred *creds;
    size_t n_creds;
    const char *known_hosts;         // file for ssh; NULL: the ssh program's own
    const char *ca_file;             // extra CA for https, or NULL
    const char *kube_version;        // "1.37.2"; what charts see
    const struct kinds *known_kinds; // what the cluster serves; NULL: no cluster
    const json_t *clusters;          // array of {name, server, project, labels, annotations}
    const char *cluster_name;        // name of the target in applications' destinations, or NULL
    const char *cluster_server;      // its server URL in destinations, or NULL
    bool (*kind_served)(void *ctx, const char *group, const char *kind); // NULL: no cluster
    void *ctx;
    bool offline; // caches and local folders only
    bool refresh; // ignore the render cache
    bool allow_duplicate_keys;
    unsigned jobs; // child processes at once; 0: cores + 1
    const struct event_sink *events;
};

struct source;
struct source *source_new(struct loop *l, const struct source_opts *o); // o lent for its life
void source_free(struct source *s);
CLEANUP_FN(struct source, source_free, source_freep);

// ROOT = folder | URL[//path][?ref=REV]. Reads it, follows every Application and ApplicationSet to
// any depth, checks projects, renders, normalises, adds tracking marks and default namespaces.
// Applications are sorted so that parents come before children.
MUST_CHECK bool source_load(struct source *s, const char *root, struct desired **out,
                            struct err *err);

// The exact revision the root points at now, without reading anything else. Owned.
MUST_CHECK bool source_root_revision(struct source *s, const char *root, char **commit,
                                     struct err *err);

#endif
