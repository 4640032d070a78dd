// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "gitops/graph.h"

static const struct {
    const char *name;  // stable, for JSON
    const char *words; // what the target is to the waiting one
} whys[] = {
    [WHY_NAMESPACE] = {"namespace", "its namespace"},
    [WHY_CRD] = {"crd", "the definition of its kind"},
    [WHY_APISERVICE] = {"apiservice", "the API server of its group"},
    [WHY_WEBHOOK] = {"webhook", "it judges this write"},
    [WHY_POD_WEBHOOK] = {"pod-webhook", "it judges its pods"},
    [WHY_MUTATING] = {"mutating", "it may change this object"},
    [WHY_CONVERSION] = {"conversion", "it converts this version"},
    [WHY_WEBHOOK_BACKEND] = {"webhook-backend", "it stands behind the webhook"},
    [WHY_DEPENDS_ON] = {"depends-on", "declared"},
    [WHY_WAVE] = {"wave", "an earlier wave"},
    [WHY_PHASE] = {"phase", "an earlier phase"},
    [WHY_PROJECT] = {"project", "its project"},
    [WHY_PARENT] = {"parent", "an earlier wave of its parent"},
    [WHY_MEMBER] = {"member", "part of it"},
    [WHY_START] = {"start", "its application"},
    [WHY_REFERENCE] = {"reference", "it names it"},
    [WHY_RBAC] = {"rbac", "permissions of its ServiceAccount"},
    [WHY_ROLE] = {"role", "the role it binds"},
    [WHY_NAMESPACE_POLICY] = {"namespace-policy", "a policy of its namespace"},
    [WHY_ISSUER] = {"issuer", "its issuer"},
    [WHY_STORE] = {"store", "its secret store"},
    [WHY_PRODUCED] = {"produced", "it makes the Secret that is read"},
    [WHY_TARGET] = {"target", "it points at it"},
    [WHY_METRICS] = {"metrics", "the metrics it reads"},
    [WHY_POLICY_PARAM] = {"policy-parameter", "the parameters of a policy"},
    [WHY_AGGREGATE] = {"aggregate", "a role it gathers"},
    [WHY_CONFIG_BACKEND] = {"config-backend", "what answers its calls"},
    [WHY_UNJUDGED] = {"unjudged", "it must be written before it is judged"},
    [WHY_ARGO_OBJECT] = {"application", "its content"},
};

const char *edge_why_name(enum edge_why why)
{
    return whys[why].name;
}

char *edge_text(const struct graph *g, const struct edge *e)
{
    const char *to = g->nodes.v[e->to].label;
    const char *detail = e->detail;
    return str_printf("waits for %s (%s%s%s)", to, whys[e->why].words, detail ? ", " : "",
                      detail ? detail : "");
}
