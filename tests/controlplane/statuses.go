// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Kinds whose controllers would report a condition, and the Secret they would make.
var conditionKinds = []struct {
	gvr    schema.GroupVersionResource
	typ    string
	secret func(*unstructured.Unstructured) string
}{
	{gvr("cert-manager.io", "v1", "clusterissuers"), "Ready", nil},
	{gvr("cert-manager.io", "v1", "issuers"), "Ready", nil},
	{gvr("cert-manager.io", "v1", "certificates"), "Ready", func(o *unstructured.Unstructured) string {
		s, _, _ := unstructured.NestedString(o.Object, "spec", "secretName")
		return s
	}},
	{gvr("external-secrets.io", "v1", "clustersecretstores"), "Ready", nil},
	{gvr("external-secrets.io", "v1", "secretstores"), "Ready", nil},
	{gvr("external-secrets.io", "v1", "externalsecrets"), "Ready", func(o *unstructured.Unstructured) string {
		s, _, _ := unstructured.NestedString(o.Object, "spec", "target", "name")
		if s == "" {
			return o.GetName()
		}
		return s
	}},
	{gvr("gateway.networking.k8s.io", "v1", "gatewayclasses"), "Accepted", nil},
	{gvr("gateway.networking.k8s.io", "v1", "gateways"), "Programmed", nil},
}

func gvr(g, v, r string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: g, Version: v, Resource: r}
}

func hasCondition(o *unstructured.Unstructured, typ string) bool {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range list {
		m, _ := c.(map[string]any)
		seen, _ := m["observedGeneration"].(int64)
		if m["type"] == typ && m["status"] == "True" && seen == o.GetGeneration() {
			return true
		}
	}
	return false
}

func condition(o *unstructured.Unstructured, typ string) map[string]any {
	return map[string]any{"type": typ, "status": "True", "reason": "Simulated",
		"message": "simulated", "lastTransitionTime": metav1.Now().UTC().Format("2006-01-02T15:04:05Z"),
		"observedGeneration": o.GetGeneration()}
}

func (a *addons) patchStatus(ctx context.Context, r schema.GroupVersionResource,
	o *unstructured.Unstructured, status map[string]any) {
	b, _ := json.Marshal(map[string]any{"status": status})
	_, err := a.dyn.Resource(r).Namespace(o.GetNamespace()).Patch(ctx, o.GetName(),
		types.MergePatchType, b, metav1.PatchOptions{}, "status")
	report(err)
}

func (a *addons) writeStatuses(ctx context.Context) {
	for _, k := range conditionKinds {
		list, err := a.dyn.Resource(k.gvr).List(ctx, metav1.ListOptions{})
		if err != nil {
			continue // its CRD is not there yet
		}
		for i := range list.Items {
			o := &list.Items[i]
			if hasCondition(o, k.typ) || !a.due(o.GetUID()) {
				continue
			}
			if k.secret != nil {
				s := secretOf(o.GetNamespace(), k.secret(o))
				a.kube.CoreV1().Secrets(s.Namespace).Create(ctx, s, metav1.CreateOptions{})
			}
			a.patchStatus(ctx, k.gvr, o, map[string]any{"conditions": []any{condition(o, k.typ)}})
		}
	}
	a.writeRoutes(ctx)
	a.writeLoadBalancers(ctx)
}

func (a *addons) writeRoutes(ctx context.Context) {
	r := gvr("gateway.networking.k8s.io", "v1", "httproutes")
	list, err := a.dyn.Resource(r).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range list.Items {
		o := &list.Items[i]
		done, _, _ := unstructured.NestedSlice(o.Object, "status", "parents")
		refs, _, _ := unstructured.NestedSlice(o.Object, "spec", "parentRefs")
		if len(done) > 0 || len(refs) == 0 || !a.due(o.GetUID()) {
			continue
		}
		a.patchStatus(ctx, r, o, map[string]any{"parents": []any{map[string]any{
			"parentRef": refs[0], "controllerName": "simulated.regrow.dev/gateway",
			"conditions": []any{condition(o, "Accepted"), condition(o, "ResolvedRefs")}}}})
	}
}

func (a *addons) writeLoadBalancers(ctx context.Context) {
	list, err := a.kube.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range list.Items {
		s := &list.Items[i]
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer || len(s.Status.LoadBalancer.Ingress) > 0 ||
			!a.due(s.UID) {
			continue
		}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.10"}}
		_, err := a.kube.CoreV1().Services(s.Namespace).UpdateStatus(ctx, s, metav1.UpdateOptions{})
		report(err)
	}
}

// serveAPIServices answers for the backends of aggregated APIs.
func (a *addons) serveAPIServices(ctx context.Context) error {
	list, err := a.dyn.Resource(gvr("apiregistration.k8s.io", "v1", "apiservices")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		o := list.Items[i].Object
		ns, _, _ := unstructured.NestedString(o, "spec", "service", "namespace")
		name, found, _ := unstructured.NestedString(o, "spec", "service", "name")
		port, _, _ := unstructured.NestedInt64(o, "spec", "service", "port")
		if port == 0 {
			port = 443
		}
		if found {
			a.answers(ctx, ns, name, int32(port))
		}
	}
	return nil
}
