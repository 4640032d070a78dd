// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/kube-openapi/pkg/util/proto"
)

const (
	argocdManager  = "argocd-controller"
	trackingID     = "argocd.argoproj.io/tracking-id"
	installationID = "argocd.argoproj.io/installation-id"
	labelMaxLength = 63
)

// argocd is one application as the application controller looks at it.
type argocd struct {
	*options
	discovery *discovery.DiscoveryClient
	dynamic   dynamic.Interface
	resources map[schema.GroupVersionKind]metav1.APIResource
}

func newArgocd(o *options) (*argocd, error) {
	a := &argocd{options: o, resources: map[schema.GroupVersionKind]metav1.APIResource{}}
	var err error
	if a.discovery, err = discovery.NewDiscoveryClientForConfig(o.config); err != nil {
		return nil, err
	}
	if a.dynamic, err = dynamic.NewForConfig(o.config); err != nil {
		return nil, err
	}
	_, lists, err := a.discovery.ServerGroupsAndResources()
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "patch") {
				r.Group, r.Version = gv.Group, gv.Version
				a.resources[gv.WithKind(r.Kind)] = r
			}
		}
	}
	for _, target := range o.objects {
		if err := a.mark(target); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *argocd) at(gvk schema.GroupVersionKind, ns string) (dynamic.ResourceInterface, error) {
	r, ok := a.resources[gvk]
	if !ok {
		return nil, fmt.Errorf("%s is not served", gvk)
	}
	in := a.dynamic.Resource(schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Name})
	if r.Namespaced {
		return in.Namespace(ns), nil
	}
	return in, nil
}

// mark does what the repository server does to what it has rendered.
func (a *argocd) mark(target *unstructured.Unstructured) error {
	gvk := target.GroupVersionKind()
	r, ok := a.resources[gvk]
	if !ok {
		return fmt.Errorf("%s is not served", gvk)
	}
	ns := target.GetNamespace()
	if ns == "" {
		ns = a.namespace
	}
	target.SetNamespace("")
	if r.Namespaced {
		target.SetNamespace(ns)
	}
	if gvk.Kind == "CustomResourceDefinition" {
		return nil
	}
	if a.method != "annotation" {
		value := a.app
		if a.method == "annotation+label" {
			value = value[:min(len(value), labelMaxLength)]
		}
		target.SetLabels(with(target.GetLabels(), a.label, value))
	}
	if a.method == "label" {
		return nil
	}
	id := fmt.Sprintf("%s:%s/%s:%s/%s", a.app, gvk.Group, gvk.Kind, ns, target.GetName())
	annotations := with(target.GetAnnotations(), trackingID, id)
	if a.installed != "" {
		annotations[installationID] = a.installed
	}
	target.SetAnnotations(annotations)
	return nil
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func (a *argocd) owns(live *unstructured.Unstructured) bool {
	if len(live.GetOwnerReferences()) > 0 {
		return false
	}
	if a.method == "label" {
		return live.GetLabels()[a.label] == a.app
	}
	annotations := live.GetAnnotations()
	app, _, _ := strings.Cut(annotations[trackingID], ":")
	return app == a.app && annotations[installationID] == a.installed
}

// dryRunner is the API server's own answer, for server-side diff.
type dryRunner struct{ *argocd }

func (d dryRunner) Run(ctx context.Context, o *unstructured.Unstructured, manager string) (string, error) {
	in, err := d.at(o.GroupVersionKind(), o.GetNamespace())
	if err != nil {
		return "", err
	}
	opts := metav1.ApplyOptions{FieldManager: manager, Force: true, DryRun: []string{metav1.DryRunAll}}
	would, err := in.Apply(ctx, o.GetName(), o, opts)
	if err != nil {
		return "", err
	}
	text, err := would.MarshalJSON()
	return string(text), err
}

func (a *argocd) diffOptions() ([]diff.Option, error) {
	doc, err := a.discovery.OpenAPISchema()
	if err != nil {
		return nil, err
	}
	models, err := proto.NewOpenAPIData(doc)
	if err != nil {
		return nil, err
	}
	parser, err := managedfields.NewGVKParser(models, false)
	if err != nil {
		return nil, err
	}
	return []diff.Option{
		diff.WithLogr(logr.Discard()),
		diff.WithGVKParser(parser),
		diff.WithManager(argocdManager),
		diff.WithStructuredMergeDiff(a.serverSide),
		diff.WithServerSideDiff(a.dryRunDiff),
		diff.WithServerSideDryRunner(dryRunner{a}),
	}, nil
}

func argocdDiff(ctx context.Context, o *options) error {
	a, err := newArgocd(o)
	if err != nil {
		return err
	}
	opts, err := a.diffOptions()
	if err != nil {
		return err
	}
	differs, err := a.extras(ctx)
	if err != nil {
		return err
	}
	for _, target := range o.objects {
		word, err := a.compare(ctx, target, opts)
		if err != nil {
			return fmt.Errorf("%s: %w", nameOf(target), err)
		}
		fmt.Println(word)
		differs = differs || !strings.HasPrefix(word, "same ")
	}
	if differs {
		return errDiffers
	}
	return nil
}

func (a *argocd) compare(ctx context.Context, target *unstructured.Unstructured, opts []diff.Option) (string, error) {
	in, err := a.at(target.GroupVersionKind(), target.GetNamespace())
	if err != nil {
		return "", err
	}
	live, err := in.Get(ctx, target.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "missing " + nameOf(target), nil
	}
	if err != nil {
		return "", err
	}
	d, err := diff.Diff(target, live, opts...)
	if err != nil || !d.Modified {
		return "same " + nameOf(target), err
	}
	patch, err := jsonpatch.CreateMergePatch(d.NormalizedLive, d.PredictedLive)
	return fmt.Sprintf("differs %s: %s", nameOf(target), patch), err
}

// extras prints what is marked as the application's and is no longer wanted: what would be pruned.
func (a *argocd) extras(ctx context.Context) (bool, error) {
	wanted := map[string]bool{}
	for _, target := range a.objects {
		wanted[target.GroupVersionKind().GroupKind().String()+" "+nameOf(target)] = true
	}
	any := false
	for gvk, r := range a.resources {
		if !slices.Contains(r.Verbs, "list") || gvk.Group == "events.k8s.io" || gvk.Kind == "Event" {
			continue
		}
		in, err := a.at(gvk, "")
		if err != nil {
			return false, err
		}
		list, err := in.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, fmt.Errorf("%s: %w", gvk, err)
		}
		for i := range list.Items {
			live := &list.Items[i]
			key := gvk.GroupKind().String() + " " + nameOf(live)
			if a.owns(live) && !wanted[key] {
				wanted[key], any = true, true
				fmt.Printf("extra %s\n", nameOf(live))
			}
		}
	}
	return any, nil
}

// argocdRender prints what Argo CD hands to kubectl's apply.
func argocdRender(_ context.Context, o *options) error {
	if _, err := newArgocd(o); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for _, target := range o.objects {
		if err := out.Encode(target.Object); err != nil {
			return err
		}
	}
	return nil
}
