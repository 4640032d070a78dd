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

// Where a credential comes from. The first that has one for a URL is tried first; when the server
// refuses it, the next one that has.
enum cred_rank {
    CRED_FILE,    // --credentials
    CRED_ENV,     // REGROW_GIT_…
    CRED_CLUSTER, // Argo CD's Secrets, as they are in the cluster
    CRED_DESIRED, // the same, as they stand in Git, in applications read before
};

// A credential for repositories whose URL starts with `url` (longest prefix wins), or with
// is_repository for that one alone, which then goes before every prefix. Strings owned by whoever
// made it; NULL where absent. Never printed.
struct source_cred {
    enum cred_rank rank;
    bool is_repository;
    char *url;
    char *project;             // only for applications of this project, or NULL
    char *username, *password; // password may be a token
    char *bearer;
    char *ssh_key_file; // or ssh_key_pem
    char *ssh_key_pem;
    char *ca_file;
    char *cert_pem, *key_pem; // client certificate
    char *proxy, *no_proxy;
    bool insecure;   // TLS, or the ssh host's key, not verified
    bool enable_oci; // a Helm repository without scheme is an OCI registry
    bool plain_http; // an OCI registry without TLS
};
void source_cred_clear(struct source_cred *c);

// Where Argo CD keeps its Secrets and ConfigMaps, and what marks its credentials.
#define ARGOCD_NAMESPACE "argocd"
#define ARGOCD_SECRET_TYPE "argocd.argoproj.io/secret-type"
#define ARGOCD_KNOWN_HOSTS "argocd-ssh-known-hosts-cm"
#define ARGOCD_TLS_CERTS "argocd-tls-certs-cm"

// What was asked for by a name that may come to mean something else, and what it stood for.
struct source_revision {
    const char *kind;   // "git", "helm", "oci", "folder" (which has no revision)
    char *url;          // as written, without credentials
    char *chart;        // NULL where there is none
    char *target;       // what was asked for: "main", "^1.2", ""
    char *prefix;       // of tags, of Git; may be NULL
    char *revision;     // exact: commit, version; NULL: none was found
    char *by;           // the ref it came by, or NULL
    char *digest;       // "sha256:…" of a chart's archive, or NULL
    struct err problem; // set: why none was found
};
struct source_revisions {
    VEC(struct source_revision) v;
};
void source_revisions_clear(struct source_revisions *r);

// How often Git hosts were asked.
struct source_counts {
    unsigned long lists, failed_lists, fetches, failed_fetches;
};

struct source_opts {
    const char *cache_dir;
    const char *root_revision; // overrides ?ref= of the root, or NULL
    const struct source_mirror *mirrors;
    size_t n_mirrors;
    const struct source_cred *creds;
    size_t n_creds;
    const json_t *argocd;            // array: live repository Secrets and ConfigMaps, or NULL
    bool git_helpers;                // ask `git credential fill` and ~/.netrc as a last resort
    int64_t silence_ms;              // how long a server may say nothing; 0: 30 s
    int64_t render_ms;               // how long helm or kustomize may take; 0: 2 min
    const char *known_hosts;         // file for ssh; NULL: the ssh program's own, and Argo CD's
    const char *ca_file;             // extra CA for https, or NULL
    const char *kube_version;        // "1.37.2"; what charts see
    const struct kinds *known_kinds; // what the cluster serves; NULL: no cluster
    const json_t *clusters;          // array of {name, server, project, labels, annotations}
    const char *cluster_name;        // name of the target in applications' destinations, or NULL
    const char *cluster_server;      // its server URL in destinations, or NULL
    bool (*kind_served)(void *ctx, const char *group, const char *kind); // NULL: no cluster
    void *ctx;
    bool offline; // caches and local folders only
    // The cluster of that name or server is another than the one that holds the Applications: only
    // what goes there becomes objects; the other applications are read for their children.
    bool is_spoke;
    bool refresh; // ignore the render cache
    bool allow_duplicate_keys;
    unsigned jobs; // child processes at once; 0: cores + 1
    // Names stand for what is said here, whatever their servers say by now: exact revisions, all of
    // them, of Git, Helm repositories and registries. NULL: nothing is.
    const struct source_revisions *fixed;
    const struct event_sink *events;
    struct source_counts *counts; // of all that is read with these options; NULL: none are kept
};

// The URL (or folder) this one is mirrored at, or a copy of it. Owned.
char *source_mirror_url(const struct source_opts *o, const char *url);

// What a person calls the repository of a URL: without user and password, nor what only Git asks
// for. Owned.
char *url_shown(const char *url);

struct source;
struct source *source_new(struct loop *l, const struct source_opts *o); // o lent for its life
void source_free(struct source *s);
CLEANUP_FN(struct source, source_free, source_freep);

// ROOT = folder | URL[//path][?ref=REV]. Reads it, follows every Application and ApplicationSet to
// any depth, checks projects, renders, normalises, adds tracking marks and default namespaces.
// Applications are sorted so that parents come before children.
MUST_CHECK bool source_load(struct source *s, const char *root, struct desired **out,
                            struct err *err);

// Everything that the load has asked for by name, sorted: what the next one can be given as
// `fixed`. A commit that is named by its id is not among them.
void source_revisions_of(const struct source *s, struct source_revisions *out);

// ---- a hub's other clusters; after source_load ----
// One that destinations name and that is not the target.
struct source_cluster {
    char *name, *server;     // one may be NULL
    char *kube_version;      // "1.37.2"; NULL: what goes there is rendered as for the target
    struct kinds *kinds;     // what it serves, with kube_version
    char *not_asked;         // why those are not known; NULL: they are
    char *rendered_for;      // the version, after it was loaded
    struct desired *desired; // the root, without objects, and what goes there
    struct err problem;      // set: there is no such state
    // Of who loads it again and again:
    bool keeps;                    // what applications yielded is kept for the next load
    const struct source_pin *pins; // of its applications, for the next load only
    size_t n_pins;
    const struct strv *hard; // as in source_now
    bool is_same;            // by the last load: nothing of it is other than before
    struct memo *memo;       // private, with keeps
    unsigned state;          // private
};
struct source_clusters {
    VEC(struct source_cluster) v; // by server and name
};
void source_clusters_clear(struct source_clusters *c);
void source_clusters_of(struct source *s, const struct desired *hub, struct source_clusters *out);
void source_cluster_clear(struct source_cluster *c);
// Of Argo CD's Secret of a cluster: a value as text, and its server without slashes at the end.
// Owned; NULL: it has none.
char *source_cluster_text(const json_t *secret, const char *key);
char *source_cluster_server(const json_t *secret);
// Reads what of the hub's applications goes there, and renders it for that cluster; with `keeps`
// what the hub knows nothing of is unknown there too (application.is_passing). What c->desired was
// is freed, also when it cannot be read. False only when the loop is to stop; what is wrong with it
// is its problem. May be called again without another load of the hub, for its last state.
MUST_CHECK bool source_load_cluster(struct source *s, const struct desired *hub,
                                    struct source_cluster *c, struct err *err);

// ---- loading again: a controller keeps one source for its life ----
// Life: source_load_again instead of source_load, every time (the first with *state NULL);
// between two of them source_poll, as often as one likes, tells whether another is worth it. What a
// load has to ask again is what polls since the last one found changed; without any poll
// everything. Documents, objects and rendered manifests of applications of which nothing changed
// are taken over from the load before; what cannot be proved unchanged is read as if for the first
// time. Nothing grows with the number of loads.

// An application (by its tracking name) read at other revisions than its sources name.
struct source_pin {
    const char *app;
    const struct strv *revisions; // one for each of its sources; "": what it names
};
// What counts from this load on in place of the options; NULL: as before. Lent until another takes
// its place; pins and hard count for this load only.
struct source_now {
    const char *kube_version;
    const struct kinds *known_kinds;
    const json_t *argocd, *clusters;
    const struct source_pin *pins;
    size_t n_pins;
    const struct strv *hard; // applications (tracking names) rendered whatever the caches hold
    bool ask_all;            // whatever polls have found: every source is asked again, this time
};

// ---- has anything changed? ----
enum source_news {
    SOURCE_SAME,
    SOURCE_NEWS,   // from one revision to another
    SOURCE_UNREAD, // it could not be asked, shows nothing where something was, or lacks what is
                   // named
};
struct source_seen {
    const char *kind; // "git", "helm", "oci", "folder"
    char *url;        // as written, without credentials
    char *chart;      // NULL where there is none
    char *target;     // what is followed: "main", "^1.2", ""
    char *from, *to;  // exact; NULL: not known
    enum source_news news;
    struct err problem; // UNREAD: why
};
struct source_polled {
    VEC(struct source_seen) v;
};
void source_polled_clear(struct source_polled *p);
typedef void (*source_polled_fn)(void *ctx, const struct source_polled *p); // lent for the call
// Asks every source that the last load used and that may move, or (only, else NULL) those alone
// that have one of these URLs; how they are written does not matter. Everything side by side, in
// the loop: `fn` is called once, from there, when the last has answered or fallen silent. False:
// one is open already, or --offline. Afterwards another load asks nothing of what has been asked,
// and takes what was unread for unread.
bool source_poll(struct source *s, const struct strv *only, source_polled_fn fn, void *ctx);
void source_poll_cancel(struct source *s); // fn does not come any more; none open is fine
// The repositories in use that the URL of a push names (https, ssh, user@host:path; ".git", case
// and port do not count), as they are written. None: nothing here follows it.
void source_uses(const struct source *s, const char *pushed_url, struct strv *out);

enum source_change_kind {
    SOURCE_APP_ADDED,
    SOURCE_APP_REMOVED,
    SOURCE_APP_CONTENT,  // one of its objects is there, gone, or otherwise
    SOURCE_APP_DOCUMENT, // only its Application document
    SOURCE_APP_STATE,    // it became known or unknown, or its reason is another; nothing else
};
struct source_change {
    char *app; // tracking name
    enum source_change_kind kind;
};
struct source_changes {
    VEC(struct source_change) v;
    bool is_amended; // the same applications at the same places
};
void source_changes_clear(struct source_changes *c);

// Makes of *state (NULL: nothing yet) what source_load would make of the same root now. It is
// changed in place where little is another, else freed and replaced by one whose objects share
// their texts with it. changes (NULL: nobody asks) is added to. False: nothing is known, *state is
// as it was and the next load begins where this one did. Ends a poll that is open.
MUST_CHECK bool source_load_again(struct source *s, const char *root, struct desired **state,
                                  const struct source_now *now, struct source_changes *changes,
                                  struct err *err);
// What is another in d than in `previous` (NULL: nothing was there), application by application.
void source_compare(const struct desired *previous, const struct desired *d,
                    struct source_changes *out);

// When source_load failed: the state of which nothing is known but that there is this root, with
// the reason as its problem. False where not even the root's name is known.
MUST_CHECK bool source_unread(struct source *s, const struct err *why, struct desired **out);

// The exact revision the root points at now, without reading anything else. Owned.
MUST_CHECK bool source_root_revision(struct source *s, const char *root, char **commit,
                                     struct err *err);

// ---- what a snapshot keeps; after source_load ----
struct source_file {
    char *path;        // in the artifact or folder
    char *from;        // where it lies; NULL: bytes
    const void *bytes; // borrowed, as long as the source lives
    size_t len;
    char *sha256; // hex, of the bytes it must have; NULL: whatever there is
    bool is_executable;
};
// Something that was fetched, as it was asked for and as it came.
struct source_item {
    const char *kind;              // "git", "helm", "oci", "folder", "url"
    char *url;                     // as written, without credentials
    char *chart, *target;          // "" where there is none
    char *revision;                // exact: commit, version, digest of the manifest; NULL unknown
    char *digest;                  // "sha256:…" of the artifact, or NULL
    struct err problem;            // set: it could not be had
    VEC(struct source_file) files; // the archive, or all files of a folder; none for Git
};
void source_item_clear(struct source_item *i);
// Where the root lies in its repository or folder; borrowed.
const char *source_root_path(const struct source *s);
// The source of an application; src NULL: that of the root. Never fails: see problem.
void source_item_of(struct source *s, const struct desired *d, const struct application *a,
                    const struct app_source *src, struct source_item *out);
// Brings what kustomizations name elsewhere, which kustomize itself had fetched, and the sources of
// applications of other clusters. False only when the loop is to stop; what cannot be had is among
// the items, with its problem.
MUST_CHECK bool source_fetch_remotes(struct source *s, const struct desired *d, struct err *err);
// What came besides: remote bases, charts that others depend on, value files by URL. One after
// another from *at = 0; false at the end.
bool source_item_next(struct source *s, size_t *at, struct source_item *out);

// A Git repository with everything in it.
struct source_repo {
    char *url;            // as written, without credentials
    char *head;           // "refs/heads/main"; NULL: detached
    struct git_refs refs; // all of them, as the server showed them; HEAD is not among them
    struct strv packs;    // files, to be kept as they are
    struct strv unnamed;  // refs that cannot be kept: their names are no UTF-8
    struct err problem;   // set: it could not be had
};
struct source_repos {
    VEC(struct source_repo) v; // by url
};
void source_repos_clear(struct source_repos *r);
struct source_repos_opts {
    // Is this commit, with all that leads to it, kept already? Called by other threads, one at a
    // time, while source_repos waits.
    bool (*is_known)(void *ctx, const char *id);
    void *ctx;
    const char *dir; // where packs of what is new are written; they must stay until they are read
};
// Every repository this run has asked for anything, with its whole history: all refs, all commits.
// Fetched into caches of their own, side by side. False only when the loop is to stop.
MUST_CHECK bool source_repos(struct source *s, const struct source_repos_opts *o,
                             struct source_repos *out, struct err *err);

// One repository, as it would be read as a source: all of its history, in *out alone.
MUST_CHECK bool source_history(struct source *s, const char *url, const struct source_repos_opts *o,
                               struct source_repos *out, struct err *err);

// A chart or artifact that was kept so, into a cache: offline it is found there under what it was
// asked for. Its one file is given as bytes.
MUST_CHECK bool source_put_chart(const char *cache_dir, const struct source_item *i,
                                 struct err *err);

// ---- packs that hold whole histories, proved (no source is needed) ----
// Life: git_proof_new with a private folder; each pack in (begin, add…, end: it is indexed there,
// which computes the name of every object from its bytes) and used; then git_proof_tip for every
// ref; git_proof_free. Who made the folder removes it.
struct git_proof;
struct git_proof *git_proof_new(const char *dir, const struct loop *stop); // stop may be NULL
// For who asks for tips alone: the library is called in only for what is damaged, missing or out of
// the ordinary (gitlight.h), which is several times as fast.
struct git_proof *git_proof_new_light(const char *dir, const struct loop *stop);
void git_proof_free(struct git_proof *p);
CLEANUP_FN(struct git_proof, git_proof_free, git_proof_freep);
// Damaged, or not complete in itself: CORRUPT. *index is the file to use; owned.
MUST_CHECK bool git_proof_begin(struct git_proof *p, struct err *err);
MUST_CHECK bool git_proof_add(struct git_proof *p, const void *bytes, size_t len, struct err *err);
MUST_CHECK bool git_proof_end(struct git_proof *p, char **index, struct err *err);
MUST_CHECK bool git_proof_use(struct git_proof *p, const char *index, struct err *err);
// Everything the object of this id leads to is in the packs that are used. CORRUPT names what is
// not. What was followed once is not followed again.
MUST_CHECK bool git_proof_tip(struct git_proof *p, const char *id, struct err *err);
// A Git bundle of these refs and all they lead to, in the packs that are used; at least one. head:
// the ref that HEAD names, or NULL. The same bytes every time. Not to be called before
// git_proof_tip of every ref held. `git clone` takes it.
MUST_CHECK bool git_proof_bundle(struct git_proof *p, const struct git_refs *refs, const char *head,
                                 int fd, struct err *err);
// One pack to fd of all that `tips` (ids) lead to and `less` does not, copied out of the packs that
// are used; ids of `less` that are in none are passed over. *objects: how many, there may be none.
MUST_CHECK bool git_proof_pack(struct git_proof *p, const struct strv *tips,
                               const struct strv *less, int fd, uint64_t *objects, struct err *err);
bool git_proof_has(struct git_proof *p, const char *id); // is it in the packs that are used?
// Does the commit `of` lead back to the commit `id`, or is it that one? False: also when either is
// not there, or no commit.
bool git_proof_is_ancestor(struct git_proof *p, const char *id, const char *of);
// No pack is used any more, and nothing was followed; index files stay.
void git_proof_restart(struct git_proof *p);
// Only the first so many packs are used any more, and of what was followed only what was followed
// when they alone were used counts. Not after a failure.
MUST_CHECK bool git_proof_back(struct git_proof *p, size_t packs, struct err *err);
uint64_t git_proof_objects(const struct git_proof *p); // that were indexed
// The commits that `to` leads to and `from` (NULL: nothing) does not, newest first; a tag stands
// for its commit, and what is no commit has none. A callback that answers false ends it.
typedef bool (*git_log_fn)(void *ctx, const char *id, int64_t time_unix_s, const char *author,
                           const char *subject);
MUST_CHECK bool git_proof_log(struct git_proof *p, const char *from, const char *to, git_log_fn fn,
                              void *ctx, struct err *err);

// ---- a repository back to a host ----
// Life: source_push_look for what is there, source_push_send for what is to be, source_push_look
// again for what has become of it; source_push_clear. Over https, ssh, or to a folder of this
// machine; credentials, host keys and limits are those of the source's options.
struct gitremote;
struct source_push {
    const char *url; // lent; not asked through mirrors
    // What was seen:
    struct git_refs there; // its refs, each as it is; HEAD is not among them
    char *head;            // what HEAD names, if that is there; after a look with_head
    struct err problem;    // set: it could not be asked
    struct gitremote *remote;
};
// All side by side. False only when the loop is to stop.
MUST_CHECK bool source_push_look(struct source *s, struct source_push *v, size_t n, bool with_head,
                                 struct err *err);
void source_push_clear(struct source_push *p);

struct source_push_ref {
    const char *name, *to;
    const char *from; // the id it has there; "": none. If it is another by then it is refused
};
struct source_pushing {
    struct git_proof *proof;            // holds what they lead to
    const char *dir;                    // for a private file, as large as the pack
    const struct source_push_ref *refs; // in this order
    size_t n;
    const struct strv *less; // ids that are there already, with all they lead to
    // What has become of it:
    struct strv refused; // "REF WHY"; all others were taken
    char *said;          // what the server said besides, or NULL
    uint64_t objects, bytes;
};
// One repository, after a look at it. Nothing is overwritten: the server compares `from`. False:
// nothing was taken, or it is not known what was.
MUST_CHECK bool source_push_send(struct source *s, struct source_push *p, struct source_pushing *x,
                                 struct err *err);
void source_pushing_clear(struct source_pushing *x);

#endif
