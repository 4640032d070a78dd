// SPDX-License-Identifier: Apache-2.0
//
// What a cluster's next owner does with it, by that owner's own published code: Argo CD's
// gitops-engine and Flux's ssa package. The tests of hand-over ask it whether anything is left to
// change, and let it carry out a later commit.
//
//	handover argocd diff|render [options] FILE|FOLDER...
//	handover flux   diff|apply  [options] FILE|FOLDER...
//
// The files are what the successor renders, without its marks: it sets these itself. diff prints a
// line for each object and ends with 1 if one differs; apply prints what it did. Argo CD applies
// with kubectl's own code: render prints what it hands to that, with its marks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const deadline = 2 * time.Minute

var errDiffers = errors.New("differs")

type options struct {
	config                   *rest.Config
	app, namespace           string // the owner, and the namespace of its objects or of itself
	method, label, installed string
	serverSide, dryRunDiff   bool
	inventory                string
	objects                  []*unstructured.Unstructured
}

var verbs = map[string]func(context.Context, *options) error{
	"argocd diff":   argocdDiff,
	"argocd render": argocdRender,
	"flux diff":     fluxDiff,
	"flux apply":    fluxApply,
}

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, errDiffers) {
		fmt.Fprintf(os.Stderr, "handover: %v\n", err)
		os.Exit(2)
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 || verbs[args[0]+" "+args[1]] == nil {
		return errors.New("usage: handover argocd diff|render, handover flux diff|apply, [options] FILE...")
	}
	o := &options{}
	f := flag.NewFlagSet("handover", flag.ContinueOnError)
	f.StringVar(&o.app, "app", "", "name of the Application or Kustomization")
	f.StringVar(&o.namespace, "namespace", "", "Argo CD: destination; Flux: of the Kustomization")
	f.StringVar(&o.method, "method", "annotation", "Argo CD: annotation, label, annotation+label")
	f.StringVar(&o.label, "label", "app.kubernetes.io/instance", "Argo CD: key of that label")
	f.StringVar(&o.installed, "installation-id", "", "Argo CD: installationID of argocd-cm")
	f.BoolVar(&o.serverSide, "server-side", false, "Argo CD: ServerSideApply=true")
	f.BoolVar(&o.dryRunDiff, "server-side-diff", false, "Argo CD: compare by dry runs")
	f.StringVar(&o.inventory, "inventory", "", "Flux: file in place of status.inventory")
	if err := f.Parse(args[2:]); err != nil {
		return err
	}
	if o.app == "" {
		return errors.New("--app is missing")
	}
	var err error
	if o.config, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")); err != nil {
		return err
	}
	o.config.QPS, o.config.Burst = -1, -1
	if o.objects, err = readAll(f.Args()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return verbs[args[0]+" "+args[1]](ctx, o)
}

func readAll(places []string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, place := range places {
		err := filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
				return err
			}
			in, err := os.Open(path)
			if err != nil {
				return err
			}
			defer in.Close()
			objects, err := utils.ReadObjects(in)
			all = append(all, objects...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func nameOf(o *unstructured.Unstructured) string {
	return strings.TrimPrefix(o.GetNamespace()+"/", "/") + o.GetKind() + "/" + o.GetName()
}
