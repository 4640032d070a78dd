// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	KubeVersion                 string
	Nodes                       int
}

type cluster struct {
	dir string
	settings
}

func registerClusters() {
	register("up", "DIR [--ready-delay 500ms] [--kube-version 1.36] [--nodes N]",
		"start a cluster whose state is in DIR; DIR/kubeconfig reaches it", up)
	register("down", "DIR", "stop it", onCluster((*cluster).stop))
	register("wipe", "DIR", "stop it, forget its state, start it again", onCluster((*cluster).wipe))
	register("kill-apiserver", "DIR", "SIGKILL to the API server", onCluster(func(c *cluster) error {
		return c.kill("kube-apiserver", syscall.SIGKILL)
	}))
	register("start-apiserver", "DIR", "start the API server again", onCluster((*cluster).startAPIServer))
	register("stop-controllers", "DIR", "stop controller manager, scheduler and nodes",
		onCluster((*cluster).stopControllers))
	register("start-controllers", "DIR", "start them again", onCluster((*cluster).startControllers))
	register("status", "DIR", "which parts run", onCluster((*cluster).status))
}

// errEnded says that waiting longer is of no use.
var errEnded = errors.New("the process ended")

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
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

func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

func up(args []string) error {
	if len(args) < 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("a folder is wanted first")
	}
	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	var s settings
	fs.StringVar(&s.ReadyDelay, "ready-delay", "100ms", "from scheduled to Ready")
	fs.StringVar(&s.KubeVersion, "kube-version", "", "serve the APIs of this minor version")
	fs.IntVar(&s.Nodes, "nodes", 2, "simulated nodes")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	abs, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	c := &cluster{dir: abs, settings: s}
	if old, err := load(abs); err == nil && old.running("kube-apiserver") {
		return fmt.Errorf("a cluster runs in %s already", args[0])
	}
	for _, p := range []*int{&c.APIPort, &c.EtcdPort, &c.PeerPort} {
		if *p, err = freePort(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.path("logs"), 0o700); err != nil {
		return err
	}
	b, _ := json.MarshalIndent(c.settings, "", "  ")
	if err := os.WriteFile(c.path("settings.json"), b, 0o600); err != nil {
		return err
	}
	if err := makePKI(c.path("pki")); err != nil {
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
			"server":                     fmt.Sprintf("https://127.0.0.1:%d", c.APIPort),
			"certificate-authority-data": read("ca.crt")}}},
		"users": []any{map[string]any{"name": user, "user": map[string]any{
			"client-certificate-data": read(user + ".crt"), "client-key-data": read(user + ".key")}}},
		"contexts": []any{map[string]any{"name": "regrow-test", "context": map[string]any{
			"cluster": "regrow-test", "user": user}}},
	}, "", "  ")
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

func (c *cluster) writeFiles() error {
	admin, err := c.kubeconfig("admin")
	if err != nil {
		return err
	}
	parts, err := c.kubeconfig("controller-manager")
	if err != nil {
		return err
	}
	stages, err := kwokStages(c.ReadyDelay)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"kubeconfig": admin, "parts.kubeconfig": parts,
		"kwok.yaml": stages, "audit-policy.yaml": []byte(auditPolicy)} {
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ---- processes ----

func (c *cluster) pidFile(part string) string { return c.path(part + ".pid") }

func (c *cluster) pid(part string) int {
	b, err := os.ReadFile(c.pidFile(part))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// running tells whether the part's process is alive and still ours.
func (c *cluster) running(part string) bool {
	pid := c.pid(part)
	if pid <= 0 || syscall.Kill(pid, 0) != nil {
		return false
	}
	cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(cmd), c.dir)
}

func (c *cluster) spawn(part string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.path("logs", part+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{part}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	cmd.Process.Release()
	return os.WriteFile(c.pidFile(part), []byte(strconv.Itoa(pid)), 0o600)
}

func (c *cluster) kill(part string, sig syscall.Signal) error {
	if !c.running(part) {
		os.Remove(c.pidFile(part))
		return nil
	}
	pid := c.pid(part)
	syscall.Kill(pid, sig)
	for i := 0; i < 500 && c.running(part); i++ {
		if i == 300 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
	os.Remove(c.pidFile(part))
	return nil
}

func (c *cluster) start() error {
	if err := c.spawn("etcd", "--data-dir", c.path("etcd"),
		"--client-url", fmt.Sprintf("http://127.0.0.1:%d", c.EtcdPort),
		"--peer-url", fmt.Sprintf("http://127.0.0.1:%d", c.PeerPort)); err != nil {
		return err
	}
	if err := c.startAPIServer(); err != nil {
		return err
	}
	if err := c.startControllers(); err != nil {
		return err
	}
	return c.awaitUsable()
}

func (c *cluster) startAPIServer() error {
	pki := func(n string) string { return c.path("pki", n) }
	args := []string{
		"--etcd-servers", fmt.Sprintf("http://127.0.0.1:%d", c.EtcdPort),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.APIPort),
		"--advertise-address=" + advertiseAddress, "--endpoint-reconciler-type=none",
		"--tls-cert-file", pki("apiserver.crt"), "--tls-private-key-file", pki("apiserver.key"),
		"--client-ca-file", pki("ca.crt"), "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file", pki("service-account.key"),
		"--service-account-signing-key-file", pki("service-account.key"),
		"--service-cluster-ip-range=" + serviceRange, "--enable-aggregator-routing",
		"--requestheader-client-ca-file", pki("proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file", pki("proxy-client.crt"),
		"--proxy-client-key-file", pki("proxy-client.key"),
		"--allow-privileged", "--profiling=false", "--shutdown-delay-duration=0s",
		"--audit-policy-file", c.path("audit-policy.yaml"), "--audit-log-path", c.path("audit.log"),
	}
	if c.KubeVersion != "" {
		args = append(args, "--emulated-version=kube="+c.KubeVersion)
	}
	if err := c.spawn("kube-apiserver", args...); err != nil {
		return err
	}
	return c.await("the API server", 60*time.Second, func() error {
		if !c.running("kube-apiserver") {
			return fmt.Errorf("%w: see %s", errEnded, c.path("logs", "kube-apiserver.log"))
		}
		return c.kubectl("get", "--raw", "/readyz")
	})
}

func (c *cluster) startControllers() error {
	if err := c.spawn("kube-controller-manager", "--kubeconfig", c.path("parts.kubeconfig"),
		"--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000",
		"--secure-port=0", "--use-service-account-credentials=false",
		"--cluster-cidr="+podRange, "--service-cluster-ip-range="+serviceRange,
		"--root-ca-file", c.path("pki", "ca.crt"),
		"--service-account-private-key-file", c.path("pki", "service-account.key"),
		"--cluster-signing-cert-file", c.path("pki", "ca.crt"),
		"--cluster-signing-key-file", c.path("pki", "ca.key"),
		"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20",
		"--concurrent-service-endpoint-syncs=20"); err != nil {
		return err
	}
	if err := c.spawn("kube-scheduler", "--kubeconfig", c.path("parts.kubeconfig"),
		"--leader-elect=false", "--secure-port=0", "--kube-api-qps=500",
		"--kube-api-burst=1000"); err != nil {
		return err
	}
	return c.spawn("kwok", "--kubeconfig", c.path("parts.kubeconfig"), "--config",
		c.path("kwok.yaml"), "--manage-all-nodes=true", "--cidr="+podRange,
		"--node-lease-duration-seconds=0")
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

func (c *cluster) wipe() error {
	if err := c.stop(); err != nil {
		return err
	}
	os.RemoveAll(c.path("etcd"))
	os.Remove(c.path("audit.log"))
	return c.start()
}

func (c *cluster) status() error {
	for _, p := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"} {
		state := "stopped"
		if c.running(p) {
			state = fmt.Sprintf("running, pid %d", c.pid(p))
		}
		fmt.Printf("%-24s %s\n", p, state)
	}
	return nil
}
