// SPDX-License-Identifier: Apache-2.0
//
// GitOps Promoter: commits on their way from environment to environment. Being clauses before they
// come here (health_rules.inc), both kinds have a Ready condition that is not False.
#include <string.h>

#include "reconcile/health_int.h"

// Commit statuses of one side of an environment, by phase.
struct checks {
    size_t pending, passed, failed;
    struct buf pending_keys, failed_keys;
};

static void checks_clear(struct checks *c)
{
    buf_clear(&c->pending_keys);
    buf_clear(&c->failed_keys);
}

static void note(struct buf *keys, size_t *count, const json_t *status)
{
    buf_printf(keys, "%s%s", keys->len ? ", " : "", health_str(status, "key"));
    ++*count;
}

// `side` is the "active" or "proposed" part of a status.
static struct checks checks_of(const json_t *side)
{
    struct checks c = {0};
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(side, "commitStatuses"), i, s)
    {
        const char *phase = health_str(s, "phase");
        if (!strcmp(phase, "pending"))
            note(&c.pending_keys, &c.pending, s);
        else if (!strcmp(phase, "failure"))
            note(&c.failed_keys, &c.failed, s);
        else
            c.passed += !strcmp(phase, "success");
    }
    return c;
}

static void put_checks(struct buf *b, const struct checks *c)
{
    buf_printf(b, "%zu pending, %zu successful, %zu failed. ", c->pending, c->passed, c->failed);
    if (c->pending)
        buf_printf(b, "Pending commit statuses: %s. ", c->pending_keys.p);
    if (c->failed)
        buf_printf(b, "Failed commit statuses: %s. ", c->failed_keys.p);
}

#define SHORT_SHA 7

void health_change_transfer_policy(const json_t *o, struct health_result *r)
{
    const json_t *status = json_object_get(o, "status");
    const char *active = health_str(status, "active.dry.sha");
    const char *proposed = health_str(status, "proposed.dry.sha");
    struct buf b CLEANUP(buf_clear) = {0};
    if (!*active || !*proposed) {
        health_set(r, HEALTH_PROGRESSING, "The %s commit DRY SHA is missing or empty.",
                   *active ? "proposed" : "active");
        return;
    }
    bool moves = strcmp(active, proposed) != 0;
    struct checks c CLEANUP(checks_clear) =
        checks_of(json_object_get(status, moves ? "proposed" : "active"));
    if (moves)
        buf_printf(&b, "Promotion in progress from '%.*s' to '%.*s': ", SHORT_SHA, active,
                   SHORT_SHA, proposed);
    else if (c.pending || c.failed)
        buf_str(&b, "Environment is up-to-date, but there are non-successful active commit "
                    "statuses: ");
    if (b.len)
        put_checks(&b, &c);
    else
        buf_printf(&b, "Environment is up-to-date on commit %.*s.", SHORT_SHA, active);
    health_set(r, moves ? HEALTH_PROGRESSING : HEALTH_HEALTHY, "%s", b.p);
}

// The commit the hydrator has got to; its note is newer than the metadata. "" when unknown.
static const char *proposed_sha(const json_t *env)
{
    const char *note_sha = health_str(env, "proposed.note.drySha");
    return *note_sha ? note_sha : health_str(env, "proposed.dry.sha");
}

// Is something not known yet, or do the environments disagree about where they go?
static bool environments_differ(const json_t *envs, struct health_result *r)
{
    size_t i;
    json_t *env;
    json_array_foreach(envs, i, env)
    {
        bool has_active = *health_str(env, "active.dry.sha");
        if (has_active && *proposed_sha(env))
            continue;
        health_set(r, HEALTH_PROGRESSING,
                   "The %s commit DRY SHA is missing or empty in environment '%s'.",
                   has_active ? "proposed" : "active", health_str(env, "branch"));
        return true;
    }
    json_array_foreach(envs, i, env)
    {
        if (!strcmp(proposed_sha(env), proposed_sha(json_array_get(envs, 0))))
            continue;
        health_set(r, HEALTH_PROGRESSING,
                   "Not all environments have the same proposed commit SHA. This likely means the "
                   "hydrator has not run for all environments yet.");
        return true;
    }
    return false;
}

static bool promotion_runs(const json_t *envs, struct health_result *r)
{
    size_t i;
    json_t *env;
    json_array_foreach(envs, i, env)
    {
        const char *active = health_str(env, "active.dry.sha");
        const char *proposed = health_str(env, "proposed.dry.sha");
        if (!strcmp(active, proposed))
            continue;
        struct checks c CLEANUP(checks_clear) = checks_of(json_object_get(env, "proposed"));
        struct buf b CLEANUP(buf_clear) = {0};
        put_checks(&b, &c);
        health_set(r, HEALTH_PROGRESSING,
                   "Promotion in progress for environment '%s' from '%.*s' to '%.*s': %sHydrator "
                   "has processed dry commit '%.*s'. ",
                   health_str(env, "branch"), SHORT_SHA, active, SHORT_SHA, proposed, b.p,
                   SHORT_SHA, proposed_sha(env));
        return true;
    }
    return false;
}

void health_promotion_strategy(const json_t *o, struct health_result *r)
{
    const json_t *envs = json_dot(o, "status.environments");
    struct buf b CLEANUP(buf_clear) = {0};
    size_t i;
    json_t *env;
    if (environments_differ(envs, r) || promotion_runs(envs, r))
        return;
    json_array_foreach(envs, i, env)
    {
        struct checks c CLEANUP(checks_clear) = checks_of(json_object_get(env, "active"));
        if (c.pending || c.failed)
            buf_printf(&b, "%s%s (%zu failed, %zu pending)", b.len ? ", " : "",
                       health_str(env, "branch"), c.failed, c.pending);
    }
    env = json_array_get(envs, 0);
    if (b.len)
        health_set(r, HEALTH_HEALTHY,
                   "Environments are up-to-date, but some environments have non-successful commit "
                   "statuses: %s.",
                   b.p);
    else
        health_set(r, HEALTH_HEALTHY,
                   "All environments are up-to-date on commit '%.*s'. Hydrator has processed dry "
                   "commit '%.*s'.",
                   SHORT_SHA, health_str(env, "active.dry.sha"), SHORT_SHA, proposed_sha(env));
}
