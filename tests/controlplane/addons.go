// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// addons stands in for the controllers of add-ons whose pods are only simulated: their webhooks
// are real HTTPS servers on the pods' own addresses, and they begin to answer, and get their
// caBundle, only some time after the pods look ready.
type addons struct {
	kube    *kubernetes.Clientset
	dyn     dynamic.Interface
	delay   time.Duration
	never   string // a webhook whose Service has this in its name never answers
	ca      *authority
	mu      sync.Mutex
	servers map[string]*webhookServer // by Service
	seen    map[types.UID]time.Time
}

// impatient keeps client-go from sleeping for a second or more whenever a kind that has only just
// been made answers 429 for a moment: the next round asks again anyway, and nobody else has to wait.
type impatient struct{ http.RoundTripper }

func (i impatient) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := i.RoundTripper.RoundTrip(q)
	if r != nil {
		r.Header.Del("Retry-After")
	}
	return r, err
}

func registerAddons() {
	register("addonsim", "DIR [--delay 3s] [--never NAME]",
		"stand in for the add-ons of the cluster in DIR until killed", runAddons)
}

func runAddons(args []string) error {
	if len(args) < 1 {
		return errors.New("a folder is wanted first")
	}
	c, err := load(args[0])
	if err != nil {
		return err
	}
	fs := flag.NewFlagSet("addonsim", flag.ContinueOnError)
	a := &addons{servers: map[string]*webhookServer{}, seen: map[types.UID]time.Time{}}
	fs.DurationVar(&a.delay, "delay", 3*time.Second, "from ready pods to answers")
	fs.StringVar(&a.never, "never", "", "part of the name of a Service that never answers")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	cfg, err := c.rest()
	if err != nil {
		return err
	}
	cfg.UserAgent = "addonsim"
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return impatient{rt} })
	if a.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	if a.dyn, err = dynamic.NewForConfig(cfg); err != nil {
		return err
	}
	if a.ca, err = newAuthority("add-on webhooks"); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	for ctx.Err() == nil {
		if err := a.step(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "addonsim:", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

func (a *addons) step(ctx context.Context) error {
	v, err := a.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range v.Items {
		x := &v.Items[i]
		var ccs []*admissionv1.WebhookClientConfig
		for k := range x.Webhooks {
			ccs = append(ccs, &x.Webhooks[k].ClientConfig)
		}
		if a.inject(ctx, ccs) {
			_, err := a.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(ctx, x.Name,
				types.JSONPatchType, bundlePatch("webhooks", len(ccs), a.bundle()), metav1.PatchOptions{})
			report(err)
		}
	}
	m, err := a.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range m.Items {
		x := &m.Items[i]
		var ccs []*admissionv1.WebhookClientConfig
		for k := range x.Webhooks {
			ccs = append(ccs, &x.Webhooks[k].ClientConfig)
		}
		if a.inject(ctx, ccs) {
			_, err := a.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(ctx, x.Name,
				types.JSONPatchType, bundlePatch("webhooks", len(ccs), a.bundle()), metav1.PatchOptions{})
			report(err)
		}
	}
	if err := a.serveAPIServices(ctx); err != nil {
		return err
	}
	a.writeStatuses(ctx)
	return nil
}

func report(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "addonsim:", err)
	}
}

func (a *addons) bundle() string {
	return base64.StdEncoding.EncodeToString(certPEM(a.ca.cert.Raw))
}

func bundlePatch(list string, n int, bundle string) []byte {
	var ops []map[string]any
	for i := 0; i < n; i++ {
		ops = append(ops, map[string]any{"op": "add",
			"path": fmt.Sprintf("/%s/%d/clientConfig/caBundle", list, i), "value": bundle})
	}
	b, _ := json.Marshal(ops)
	return b
}

// inject makes sure that every Service behind the entries is answered for, and tells whether the
// caBundle is due: once all of them answer, and only if it is not there yet.
func (a *addons) inject(ctx context.Context, ccs []*admissionv1.WebhookClientConfig) bool {
	due := len(ccs) > 0
	missing := false
	for _, cc := range ccs {
		if cc.Service == nil {
			return false
		}
		port := int32(443)
		if cc.Service.Port != nil {
			port = *cc.Service.Port
		}
		if !a.answers(ctx, cc.Service.Namespace, cc.Service.Name, port) {
			due = false
		}
		if string(cc.CABundle) != string(certPEM(a.ca.cert.Raw)) {
			missing = true
		}
	}
	return due && missing
}

// answers starts the server behind a Service when its pods have been ready for the delay.
func (a *addons) answers(ctx context.Context, ns, name string, port int32) bool {
	key := ns + "/" + name
	if a.never != "" && strings.Contains(name, a.never) {
		return false
	}
	a.mu.Lock()
	s := a.servers[key]
	a.mu.Unlock()
	if s != nil && s.listening {
		return true
	}
	ip, target := a.endpoint(ctx, ns, name, port)
	if ip == "" {
		return false
	}
	if s == nil {
		a.mu.Lock()
		a.servers[key] = &webhookServer{since: time.Now()}
		a.mu.Unlock()
		return false
	}
	if time.Since(s.since) < a.delay {
		return false
	}
	if err := s.listen(a.ca, ns, name, ip, target); err != nil {
		report(err)
		return false
	}
	return true
}

// endpoint is the address and port of a ready pod behind a Service's port.
func (a *addons) endpoint(ctx context.Context, ns, name string, port int32) (string, int32) {
	svc, err := a.kube.CoreV1().Services(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", 0
	}
	portName := ""
	for _, p := range svc.Spec.Ports {
		if p.Port == port {
			portName = p.Name
		}
	}
	slices, err := a.kube.DiscoveryV1().EndpointSlices(ns).List(ctx, metav1.ListOptions{
		LabelSelector: "kubernetes.io/service-name=" + name})
	if err != nil {
		return "", 0
	}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			if !ready || len(e.Addresses) == 0 {
				continue
			}
			for _, p := range s.Ports {
				if p.Port != nil && (p.Name == nil || *p.Name == portName) {
					return e.Addresses[0], *p.Port
				}
			}
		}
	}
	return "", 0
}

// due tells whether an object has been there for the delay.
func (a *addons) due(uid types.UID) bool {
	t, ok := a.seen[uid]
	if !ok {
		a.seen[uid] = time.Now()
		return false
	}
	return time.Since(t) >= a.delay/3
}

func secretOf(ns, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Data: map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("x"), "value": []byte("x")}}
}
