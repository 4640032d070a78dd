// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

const (
	fluxGroup   = "kustomize.toolkit.fluxcd.io"
	fluxManager = "kustomize-controller"
	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
)

// newFlux is the engine of the kustomize-controller, with the objects as it prepares them.
func newFlux(o *options) (*ssa.ResourceManager, error) {
	httpClient, err := rest.HTTPClientFor(o.config)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(o.config, httpClient)
	if err != nil {
		return nil, err
	}
	c, err := client.New(o.config, client.Options{HTTPClient: httpClient, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(c, mapper, polling.Options{})
	m := ssa.NewResourceManager(c, poller, ssa.Owner{Field: fluxManager, Group: fluxGroup})
	if err := normalize.UnstructuredList(o.objects); err != nil {
		return nil, err
	}
	m.SetOwnerLabels(o.objects, o.app, o.namespace)
	return m, nil
}

func fluxDiff(ctx context.Context, o *options) error {
	m, err := newFlux(o)
	if err != nil {
		return err
	}
	differs := false
	for _, target := range o.objects {
		change, live, would, err := m.Diff(ctx, target, ssa.DefaultDiffOptions())
		if err != nil {
			return err
		}
		if change.Action == ssa.UnchangedAction {
			fmt.Printf("same %s\n", nameOf(target))
			continue
		}
		differs = true
		was, _ := json.Marshal(live)
		is, _ := json.Marshal(would)
		fmt.Printf("%s %s: %s -> %s\n", change.Action, nameOf(target), was, is)
	}
	if differs {
		return errDiffers
	}
	return nil
}

// applyOptions are those of the kustomize-controller: whose fields it takes over, what it cleans up.
func applyOptions() ssa.ApplyOptions {
	o := ssa.DefaultApplyOptions()
	o.WaitInterval = 200 * time.Millisecond
	o.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{lastApplied},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: "Apply"},
			{Name: "kubectl", OperationType: "Update"},
			{Name: "before-first-apply", OperationType: "Update"},
			{Name: fluxManager, OperationType: "Update"},
		},
	}
	return o
}

func fluxApply(ctx context.Context, o *options) error {
	m, err := newFlux(o)
	if err != nil {
		return err
	}
	before, err := readInventory(o.inventory)
	if err != nil {
		return err
	}
	changes, err := m.ApplyAllStaged(ctx, o.objects, applyOptions())
	for _, e := range changes.Entries {
		fmt.Println(e.Action, e.Subject)
	}
	if err != nil {
		return err
	}
	now := map[string]string{}
	for _, e := range changes.Entries {
		now[e.ObjMetadata.String()] = e.GroupVersion
	}
	if err := collectGarbage(ctx, m, o, before, now); err != nil {
		return err
	}
	text, err := json.Marshal(now)
	if err != nil || o.inventory == "" {
		return err
	}
	return os.WriteFile(o.inventory, text, 0o600)
}

// readInventory is empty where there is none, as in a Kustomization's first reconciliation.
func readInventory(file string) (map[string]string, error) {
	out := map[string]string{}
	if file == "" {
		return out, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(text, &out)
}

func collectGarbage(ctx context.Context, m *ssa.ResourceManager, o *options, before, now map[string]string) error {
	var stale []*unstructured.Unstructured
	for id, version := range before {
		if _, stays := now[id]; stays {
			continue
		}
		meta, err := object.ParseObjMetadata(id)
		if err != nil {
			return err
		}
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(schema.GroupVersionKind{Group: meta.GroupKind.Group, Version: version, Kind: meta.GroupKind.Kind})
		u.SetName(meta.Name)
		u.SetNamespace(meta.Namespace)
		stale = append(stale, u)
	}
	opts := ssa.DefaultDeleteOptions()
	opts.Inclusions = m.GetOwnerLabels(o.app, o.namespace)
	opts.Exclusions = map[string]string{fluxGroup + "/prune": "disabled", fluxGroup + "/reconcile": "disabled"}
	changes, err := m.DeleteAll(ctx, stale, opts)
	for _, e := range changes.Entries {
		fmt.Println(e.Action, e.Subject)
	}
	return err
}
