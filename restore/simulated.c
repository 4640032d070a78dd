// SPDX-License-Identifier: Apache-2.0
#include "restore/simulated.h"

#include <string.h>

static void leave_out(struct object *o, size_t *n)
{
    if (o->is_virtual)
        return;
    o->is_virtual = true;
    (*n)++;
}

// Other versions than the stored one are written all the same, as under `strategy: None`.
static void convert_by_name(struct object *o, size_t *n)
{
    if (!memmem(o->body, o->body_len, "\"conversion\"", strlen("\"conversion\"")))
        return;
    CLEANUP(json_freep) json_t *doc = object_doc(o);
    json_t *spec = json_object_get(doc, "spec");
    if (!str_eq(json_dot_str(spec, "conversion.strategy"), "Webhook"))
        return;
    json_object_set_new(spec, "conversion", json_pack("{s:s}", "strategy", "None"));
    object_set_body(o, doc);
    (*n)++;
}

static void add_ready(struct simulated *s, const char *kind, const char *group)
{
    CLEANUP(str_freep) char *text = str_printf("%s.%s=applied", kind, group);
    if (!strv_has(&s->ready, text))
        strv_push(&s->ready, text);
}

// Kinds of Kubernetes' own whose controllers need what is not there: metrics, an ingress.
static bool needs_others(const struct object_id *id)
{
    static const struct {
        const char *group, *kind;
    } kinds[] = {{"autoscaling", "HorizontalPodAutoscaler"}, {"networking.k8s.io", "Ingress"}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].group, id->group) && !strcmp(kinds[i].kind, id->kind))
            return true;
    return false;
}

static void settle(struct desired *d, struct object *o, struct simulated *out)
{
    const struct kind_info *k = kinds_find(d->kinds, o->id.group, o->version, o->id.kind);
    if (!strcmp(o->id.kind, "ValidatingWebhookConfiguration") ||
        !strcmp(o->id.kind, "MutatingWebhookConfiguration"))
        leave_out(o, &out->webhooks);
    else if (!strcmp(o->id.kind, "APIService"))
        leave_out(o, &out->api_services);
    else if (!strcmp(o->id.kind, "CustomResourceDefinition"))
        convert_by_name(o, &out->conversions);
    else if (!o->is_virtual &&
             ((k && !k->is_builtin && strchr(o->id.group, '.')) || needs_others(&o->id)))
        add_ready(out, o->id.kind, o->id.group);
}

static void tell(struct simulated *s, size_t n, const char *one, const char *several)
{
    if (n)
        strv_push_take(&s->told, str_printf("%zu %s", n, n == 1 ? one : several));
}

void simulated_settle(struct desired *d, const struct api_changes *c, struct simulated *out)
{
    for (size_t i = 0; i < c->v.len; i++)
        if (c->v.v[i].fate == API_AWAITED)
            leave_out(&d->objects.v[c->v.v[i].object], &out->undefined);
    for (size_t i = 0; i < d->objects.len; i++)
        settle(d, &d->objects.v[i], out);
    tell(out, out->webhooks, "webhook configuration is left out: no pod answers",
         "webhook configurations are left out: no pod answers");
    tell(out, out->api_services, "aggregated API is left out: no pod serves it",
         "aggregated APIs are left out: no pod serves them");
    tell(out, out->conversions, "definition converts its versions by name alone, not by webhook",
         "definitions convert their versions by name alone, not by webhook");
    tell(out, out->ready.len,
         "kind of object counts as healthy once it is applied: no operator reports on it",
         "kinds of objects count as healthy once they are applied: no operator reports on them");
}

void simulated_clear(struct simulated *s)
{
    strv_clear(&s->ready);
    strv_clear(&s->told);
    *s = (struct simulated){0};
}
