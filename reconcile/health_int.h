// SPDX-License-Identifier: Apache-2.0
//
// Private to health: the table of rules, the little language it is written in, and what the
// checks share.
//
//   health.c            health_of: what is asked first, and what a wave makes of the answer
//   health_rules*.inc   the table: one row a kind, in the language below
//   health_rules.c      finds a row and goes through its clauses
//   health_expr.c       the language: does a clause hold, what does it say
//   health_types.c      built-in kinds whose fields must be of their type
//   health_core.c       built-in kinds that need arithmetic
//   health_kinds.c      other people's kinds that do not fit the table
//   health_promoter.c   those of GitOps Promoter
//   health_custom.c     a user's own checks: which one counts for a kind
//   health_lua.c        runs one script in its sandbox
//   health_worker.c     the process in which they run
//
// The language. A clause is WHEN, a status and a message. WHEN is terms separated by blanks, all of
// which must hold ("" always does):
//
//   Ready=False          a condition of that type and status; Ready: of that type, in any status;
//   Ready=False:A,B      with that reason as well; Ready=*:A whatever the status. Among clauses
//                        that go over a list it speaks of the item, else of status.conditions
//   .status.phase=A,B    a field is one of these texts ('quoted' when it holds blanks or commas)
//   .spec.x!=A           it is none of these; absent counts as different, as nil does in Lua
//   .a>=.b-.c            < > <= >= compare numbers, and texts with texts; absent never compares
//   .a=.b                two fields are the same; both absent counts as the same
//   .x^=A .x$=A .x*=A    begins with, ends with, contains (in any case) one of these
//   .spec.x              it is there. #.spec.x: how many entries it has (0 when absent)
//   .spec.x|1            1 stands in for an absent field
//   @field  @            a field of the item at hand; the item itself
//   %lags                observedGeneration (of the item at hand, else of the status) and
//                        metadata.generation are both there and differ
//   !TERM                the term does not hold
//
// Paths go .down.by.keys, [0] and [-1] into lists, [any.key] by keys with dots. A message is text
// with
//
//   {message}            a field of the item at hand, which is that of the first condition named
//   {.status.phase}      of the object; {Ready:reason} of a condition; {#} the item's number from 1
//   {a|.b|'text'}        the first that is there; || passes over empty ones, too
//   [ at {.status.x}]    left out when a value or list in it is absent, empty or 0
//   <, |LIST|WHEN|TEXT>  TEXT for every item of LIST for which WHEN holds, with ", " in between
//
// An absent LIST is status.conditions, here as everywhere.
#ifndef RECONCILE_HEALTH_INT_H
#define RECONCILE_HEALTH_INT_H

#include <sys/types.h>

#include "base/vec.h"
#include "base/worker.h"
#include "gitops/gitops.h"
#include "reconcile/health.h"

enum clause_op {
    CLAUSE_END,
    CLAUSE_IF,   // holds for the object: that is the answer
    CLAUSE_EACH, // the first item of a list for which it, or a CLAUSE_OR behind it, holds
    CLAUSE_OR,
};

struct health_clause {
    enum clause_op op;
    bool is_weak; // remembered; what holds for a later item, or of another clause, overrules it
    const char *list, *when;
    enum health status;
    const char *message;
};

typedef void (*health_fn)(const json_t *obj, struct health_result *r);

// The clauses are gone through first; `fn` is asked when none gives an answer.
struct health_rule {
    const char *group;    // may begin with "*."
    const char *kinds;    // separated by commas, or "*"
    const char *versions; // the check knows these only; NULL: any
    health_fn fn;
    const struct health_clause *clauses;
};

const struct health_rule *health_rule_find(const char *group, const char *kind);
void health_rule_apply(const struct health_rule *rule, const json_t *obj, struct health_result *r);
// Does the rule say what an object on its way out waits for?
bool health_rule_knows_deletion(const struct health_rule *rule);
// For tests: the table's rows, and the clause that gave the last answer (NULL: fn or none).
const struct health_rule *health_rule_at(size_t i); // NULL beyond the last
const struct health_clause *health_rule_trace(const struct health_rule *rule, const json_t *obj,
                                              struct health_result *r);

// ---- health_types.c ----
// False: a field that the check of this kind reads is not of its type, and r says so.
bool health_types_fit(const char *group, const char *kind, const json_t *obj,
                      struct health_result *r);

// What terms and messages speak of.
struct health_scope {
    const json_t *obj;
    const json_t *item; // NULL: none yet; the first condition a term names becomes it
    size_t number;      // of the item, from 1
    const char **fault; // set where Lua would end a script: why; may be NULL
};
bool health_when(struct health_scope *s, const char *when);
void health_text(const struct health_scope *s, const char *text, struct buf *out);
// The list a path names (NULL: status.conditions), array or map; NULL when there is none.
const json_t *health_list(const json_t *obj, const char *path, size_t len);
// Is there something at that path that is none?
bool health_list_is_wrong(const json_t *obj, const char *path, size_t len);
// Entry i of it, or NULL.
const json_t *health_list_at(const json_t *list, size_t i);
size_t health_list_len(const json_t *list);

// ---- what the checks share ----
void health_set(struct health_result *r, enum health h, const char *fmt, ...) PRINTF_LIKE(3, 4);
// The check itself could not be done: Unknown.
void health_error(struct health_result *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
const json_t *health_condition(const json_t *obj, const char *type); // the first of that type
bool health_is_true(const json_t *condition);
const char *health_str(const json_t *v, const char *dotted); // "" when absent
bool health_has(const json_t *v, const char *dotted);        // there, and not null
// A number as Kubernetes has them, of 32 bits, so that sums and differences are safe.
long long health_count(const json_t *v, const char *dotted, long long fallback);

// ---- health_custom.c ----
struct health_script {
    char *key;  // "group/Kind", "Kind", with wildcards
    char *text; // Lua
    bool open_libs;
    unsigned failures; // how often it did not answer
};
struct health_custom {
    VEC(struct health_script) scripts; // those that say more first
    bool skips_applications;
    struct worker *worker; // NULL: it was not needed yet
};
bool health_custom_has(const struct health_custom *c, const char *group, const char *kind);
// False: the user has no check for it.
bool health_custom_apply(struct health_custom *c, const char *group, const char *kind,
                         const json_t *obj, struct health_result *r);

// ---- health_lua.c, health_worker.c ----
#define HEALTH_SCRIPT_MS 1000
#define HEALTH_OUT_OF_TIME "the script did not end within a second"
// In this process: C code that a script calls (patterns) is not bounded in time.
void health_lua_run(const struct health_script *script, const json_t *obj, struct health_result *r);
// In a process of its own, which is killed when it does not answer.
void health_worker_run(struct health_custom *c, size_t script, const json_t *obj,
                       struct health_result *r);
void health_worker_stop(struct health_custom *c);

// ---- health_core.c ----
void health_deployment(const json_t *o, struct health_result *r);
void health_stateful_set(const json_t *o, struct health_result *r);
void health_daemon_set(const json_t *o, struct health_result *r);
void health_replica_set(const json_t *o, struct health_result *r);
void health_job(const json_t *o, struct health_result *r);
void health_pod(const json_t *o, struct health_result *r);
void health_autoscaler(const json_t *o, struct health_result *r);

// ---- health_kinds.c ----
void health_rollout(const json_t *o, struct health_result *r);
void health_ceph_cluster(const json_t *o, struct health_result *r);
void health_elasticsearch(const json_t *o, struct health_result *r);
void health_gateway(const json_t *o, struct health_result *r);
void health_route(const json_t *o, struct health_result *r);
void health_policy(const json_t *o, struct health_result *r);
void health_grafana(const json_t *o, struct health_result *r);
void health_keycloak(const json_t *o, struct health_result *r);
void health_collector(const json_t *o, struct health_result *r);
void health_subscription(const json_t *o, struct health_result *r);
void health_spark(const json_t *o, struct health_result *r);
void health_openshift_route(const json_t *o, struct health_result *r);
void health_kubernetes_client(const json_t *o, struct health_result *r);
void health_configuration_policy(const json_t *o, struct health_result *r);

// ---- health_promoter.c ----
void health_change_transfer_policy(const json_t *o, struct health_result *r);
void health_promotion_strategy(const json_t *o, struct health_result *r);

#endif
