// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// awaitPort waits until a port can be listened on: a killed process looks gone while the kernel
// still closes what it had open.
func (c *cluster) awaitPort(host string, port int) error {
	return c.await(fmt.Sprintf("port %d", port), 10*time.Second, func() error {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		return l.Close()
	})
}

func (c *cluster) start() error {
	for _, port := range []int{c.EtcdPort, c.PeerPort} {
		if err := c.awaitPort("127.0.0.1", port); err != nil {
			return err
		}
	}
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
	if err := c.awaitUsable(); err != nil {
		return err
	}
	return c.mark()
}

func (c *cluster) startAPIServer() error {
	if err := c.awaitPort(c.Bind, c.APIPort); err != nil {
		return err
	}
	// A file that is there is appended to, so that it can be emptied meanwhile.
	log, err := os.OpenFile(c.path("audit.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	log.Close()
	pki := func(n string) string { return c.path("pki", n) }
	args := []string{
		"--etcd-servers", fmt.Sprintf("http://127.0.0.1:%d", c.EtcdPort),
		"--bind-address=" + c.Bind, fmt.Sprintf("--secure-port=%d", c.APIPort),
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
		"--audit-log-maxsize=4096", // one file: a reader must not miss the rotated part
	}
	if c.RuntimeConfig != "" {
		args = append(args, "--runtime-config="+c.RuntimeConfig)
	}
	if err := c.spawn("kube-apiserver", c.emulate(args)...); err != nil {
		return err
	}
	return c.await("the API server", 60*time.Second, func() error {
		if !c.running("kube-apiserver") {
			return fmt.Errorf("%w: see %s", errEnded, c.path("logs", "kube-apiserver.log"))
		}
		return c.readyz()
	})
}

// emulate makes a part behave as the cluster's minor version.
func (c *cluster) emulate(args []string) []string {
	if c.KubeVersion == "" {
		return args
	}
	return append(args, "--emulated-version=kube="+c.KubeVersion)
}

func (c *cluster) startControllers() error {
	if err := c.spawn("kube-controller-manager", c.emulate([]string{
		"--kubeconfig", c.path("parts.kubeconfig"),
		"--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000",
		"--secure-port=0", "--use-service-account-credentials=false",
		"--cluster-cidr=" + podRange, "--service-cluster-ip-range=" + serviceRange,
		"--root-ca-file", c.path("pki", "ca.crt"),
		"--service-account-private-key-file", c.path("pki", "service-account.key"),
		"--cluster-signing-cert-file", c.path("pki", "ca.crt"),
		"--cluster-signing-key-file", c.path("pki", "ca.key"),
		"--node-monitor-grace-period=24h", // simulated nodes send no heartbeats
		"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20",
		"--concurrent-service-endpoint-syncs=20"})...); err != nil {
		return err
	}
	if err := c.spawn("kube-scheduler", c.emulate([]string{
		"--kubeconfig", c.path("parts.kubeconfig"), "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000"})...); err != nil {
		return err
	}
	return c.startNodes()
}

func (c *cluster) startNodes() error {
	return c.spawn("kwok", "--kubeconfig", c.path("parts.kubeconfig"), "--config",
		c.path("kwok.yaml"), "--manage-all-nodes=true", "--cidr="+podRange,
		"--node-lease-duration-seconds=0")
}
