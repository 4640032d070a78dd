// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot holds (design section 6): for every application its sources, values, rendered
// objects and their origin; every Git repository with all refs and commits; every chart, artifact
// and remote base by digest; the graph; the secret-zero set; versions. Read-only towards the
// cluster. What cannot be read makes the snapshot suspect and keeps what the newest one had.
//
// The content schema (root, lists, rows) is docs/repository-format.md section 7.
#ifndef SNAPSHOT_CAPTURE_H
#define SNAPSHOT_CAPTURE_H

#include "kube/kube.h"
#include "snapshot/writer.h"
#include "source/source.h"

// Which live Secrets (and ConfigMaps) are taken, and what must never come back. First rule that
// matches decides. docs/secret-zero.md lists the defaults.
struct secret_rule {
    const char *name;      // "sealed-secrets keys"
    bool take;             // false: never
    const char *kind;      // NULL: Secret
    const char *namespace; // glob, NULL: any
    const char *object;    // glob over names, NULL: any
    const char *type;      // Secret type, NULL: any
    const char *label;     // "key" or "key=value", NULL: any
    const char *data_key;  // glob that one key of its data meets, NULL: any
    const char *holds;     // text in one of its values, NULL: any
};
const struct secret_rule *secret_rules_default(size_t *n);
// The rule that decides for a live Secret or ConfigMap; NULL: none takes it. Pure.
const struct secret_rule *secret_rule_for(const struct secret_rule *rules, size_t n,
                                          const json_t *object);

// Secrets that are taken since something needs them: what stores, issuers and Git sources log in
// with, and values that would be made anew.
struct secret_roots {
    VEC(struct secret_root {
        char *namespace; // NULL: any
        char *name;
        const char *rule;
    })
    v;
};
// Notes what an object names: of the kinds in the table, the others name nothing. Pure.
void secret_roots_add(struct secret_roots *r, const json_t *object);
bool secret_roots_are_named_by(const char *group, const char *kind); // is it in the table?
// Why a Secret is needed; NULL: nobody named it.
const char *secret_roots_find(const struct secret_roots *r, const char *ns, const char *name);
void secret_roots_clear(struct secret_roots *r);

// Takes out what must not be restored: uid, resourceVersion, ownerReferences, finalizers,
// managedFields, status and so on. Changes doc.
void capture_strip(json_t *doc);
// Kind k (holds a private key that parses) or s.
char secret_blob_kind(const json_t *secret);

struct capture_opts {
    struct loop *loop;
    const struct desired *desired;
    struct source *source;
    struct kube *kube;         // NULL: from Git alone
    const struct kinds *kinds; // served; NULL without a cluster
    const char *server;        // URL of its API server, or NULL
    // A hub's other clusters, with what goes there.
    const struct source_clusters *clusters; // NULL: none
    const char *root;                       // as the user wrote it, without credentials
    const struct secret_rule *rules;
    size_t n_rules;
    bool without_secrets;  // --no-secrets: from a read-only place
    struct shrink_bounds { // percent of the newest good snapshot; 0: defaults
        unsigned objects, apps, secrets, refs;
        bool may_be_empty; // a first one without any object
    } bounds;
    const char *cache;    // folder for what need not be asked again, or NULL
    const char *work_dir; // private folder for files that pieces are cut from
    const struct event_sink *events;
};
// What a person is told beside the entry.
struct capture_report {
    struct strv warnings; // one line each: application and why it is unknown, what was left out
    struct strv secrets;  // names of what was taken, with the rule
    // Of a hub, for each other cluster: {"name", "server", "kubernetes", "of", "why",
    // "applications", "objects", "unknown"}; NULL: it is none.
    json_t *clusters;
    int64_t ms;
};
void capture_report_clear(struct capture_report *r);
// Hands everything to the writer and fills *out (root, counts, state, why). Not committed yet.
MUST_CHECK bool capture_run(struct writer *w, const struct capture_opts *o,
                            struct snapshot_entry *out, struct capture_report *report,
                            struct err *err);
// The sanity gate alone, pure: state and why against the newest good entry (NULL: none). Codes that
// are in why already stay. emptied_apps had at least 3 objects and have none now.
void capture_judge(struct snapshot_entry *s, const struct snapshot_entry *last_good,
                   const struct shrink_bounds *b, const struct strv *emptied_apps);

#endif
