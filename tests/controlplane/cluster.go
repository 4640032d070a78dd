// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	advertiseAddress = "192.0.2.1" // never contacted: the endpoint reconciler is off
	serviceRange     = "10.96.0.0/16"
	serviceIP        = "10.96.0.1"
	podRange         = "10.200.0.0/16"
)

// settings of a cluster, kept in its folder so that wipe and restart find them.
type settings struct {
	APIPort, EtcdPort, PeerPort int
	ReadyDelay                  string
	KubeVersion, Bind           string
	RuntimeConfig               string
	Nodes                       int
	Mark                        int64 // of the store, when it had started; see reset
}

// Everything but reads, leases and events, without bodies: what regrow wrote, in what order.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: None
  resources:
  - {group: coordination.k8s.io, resources: [leases]}
  - {group: "", resources: [events]}
  - {group: events.k8s.io, resources: [events]}
- level: Metadata
`

type cluster struct {
	dir string
	settings
}

func registerClusters() {
	register("up", "DIR [--ready-delay 500ms] [--kube-version 1.36] [--runtime-config API=true] [--nodes N] [--bind ADDRESS]",
		"start a cluster whose state is in DIR; DIR/kubeconfig reaches it", up)
	register("down", "DIR", "stop it", onCluster((*cluster).stop))
	register("wipe", "DIR", "back to a just-started one: another uid, an empty audit log", onCluster((*cluster).wipe))
	register("kill-apiserver", "DIR", "SIGKILL to the API server", onCluster(func(c *cluster) error {
		if err := c.kill("kube-apiserver", syscall.SIGKILL); err != nil {
			return err
		}
		return c.awaitPort(c.Bind, c.APIPort) // its last thread closes it
	}))
	register("start-apiserver", "DIR", "start the API server again", onCluster((*cluster).startAPIServer))
	register("stop-controllers", "DIR", "stop controller manager, scheduler and nodes",
		onCluster((*cluster).stopControllers))
	register("start-controllers", "DIR", "start them again", onCluster((*cluster).startControllers))
	register("ready-delay", "DIR TIME", "from now on, pods become Ready TIME after they are scheduled", setReadyDelay)
	register("status", "DIR", "which parts run", onCluster((*cluster).status))
}

var parts = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}

// errEnded says that waiting longer is of no use.
var errEnded = errors.New("the process ended")

// freePort looks below the range that outgoing connections take theirs from, so that a port is
// still free when a part starts again.
func freePort(bind string) (int, error) {
	for range 200 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", net.JoinHostPort(bind, strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port on %s", bind)
}

func onCluster(fn func(*cluster) error) func([]string) error {
	return func(args []string) error {
		if len(args) != 1 {
			return errors.New("one folder is wanted")
		}
		c, err := load(args[0])
		if err != nil {
			return err
		}
		return fn(c)
	}
}

func load(dir string) (*cluster, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: abs}
	b, err := os.ReadFile(c.path("settings.json"))
	if err != nil {
		return nil, fmt.Errorf("no cluster in %s", dir)
	}
	return c, json.Unmarshal(b, &c.settings)
}

func (c *cluster) save() error {
	b, err := json.MarshalIndent(c.settings, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("settings.json"), b, 0o600)
}

func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

func up(args []string) error {
	if len(args) < 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("a folder is wanted first")
	}
	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	var s settings
	fs.StringVar(&s.ReadyDelay, "ready-delay", "500ms", "from scheduled to Ready")
	fs.StringVar(&s.Bind, "bind", "127.0.0.1", "address the API server listens on")
	fs.StringVar(&s.KubeVersion, "kube-version", "", "serve the APIs of this minor version")
	fs.StringVar(&s.RuntimeConfig, "runtime-config", "", "serve these APIs besides, or not: storage.k8s.io/v1beta1=true")
	fs.IntVar(&s.Nodes, "nodes", 2, "simulated nodes")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	abs, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	c := &cluster{dir: abs, settings: s}
	if old, err := load(abs); err == nil {
		if old.running("kube-apiserver") {
			return fmt.Errorf("a cluster runs in %s already", args[0])
		}
		old.stop() // what a killed API server left
	}
	for _, p := range []*int{&c.APIPort, &c.EtcdPort, &c.PeerPort} {
		if *p, err = freePort(c.Bind); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.path("logs"), 0o700); err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	if err := makePKI(c.path("pki"), c.Bind); err != nil {
		return err
	}
	if err := c.writeFiles(); err != nil {
		return err
	}
	os.RemoveAll(c.path("etcd"))
	if err := c.start(); err != nil {
		c.stop()
		return err
	}
	return nil
}

func (c *cluster) kubeconfig(user string) ([]byte, error) {
	host := c.Bind
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	read := func(name string) string {
		b, err := os.ReadFile(c.path("pki", name))
		if err != nil {
			return ""
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	return json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "regrow-test",
		"clusters": []any{map[string]any{"name": "regrow-test", "cluster": map[string]any{
			"server":                     "https://" + net.JoinHostPort(host, strconv.Itoa(c.APIPort)),
			"certificate-authority-data": read("ca.crt")}}},
		"users": []any{map[string]any{"name": user, "user": map[string]any{
			"client-certificate-data": read(user + ".crt"), "client-key-data": read(user + ".key")}}},
		"contexts": []any{map[string]any{"name": "regrow-test", "context": map[string]any{
			"cluster": "regrow-test", "user": user}}},
	}, "", "  ")
}

func (c *cluster) writeFiles() error {
	admin, err := c.kubeconfig("admin")
	if err != nil {
		return err
	}
	parts, err := c.kubeconfig("controller-manager")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"kubeconfig": admin, "parts.kubeconfig": parts,
		"audit-policy.yaml": []byte(auditPolicy)} {
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return c.writeStages()
}

func (c *cluster) writeStages() error {
	stages, err := kwokStages(c.ReadyDelay)
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("kwok.yaml"), stages, 0o600)
}

func setReadyDelay(args []string) error {
	if len(args) != 2 {
		return errors.New("a folder and a time are wanted")
	}
	c, err := load(args[0])
	if err != nil {
		return err
	}
	if c.ReadyDelay == args[1] && c.running("kwok") {
		return nil
	}
	c.ReadyDelay = args[1]
	if err := c.writeStages(); err != nil {
		return err
	}
	if err := c.save(); err != nil || !c.running("kwok") {
		return err
	}
	c.kill("kwok", syscall.SIGKILL)
	return c.startNodes()
}

func (c *cluster) stopControllers() error {
	for _, p := range []string{"kwok", "kube-scheduler", "kube-controller-manager"} {
		c.kill(p, syscall.SIGKILL)
	}
	return nil
}

func (c *cluster) stop() error {
	c.stopControllers()
	c.kill("kube-apiserver", syscall.SIGKILL)
	return c.kill("etcd", syscall.SIGKILL)
}

func (c *cluster) status() error {
	for _, p := range parts {
		state := "stopped"
		if c.running(p) {
			state = fmt.Sprintf("running, pid %d", c.pid(p))
		}
		fmt.Printf("%-24s %s\n", p, state)
	}
	return nil
}
