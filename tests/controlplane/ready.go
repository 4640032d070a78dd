// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/yaml"
)

// kwokStages is kwok's configuration: its own stages, pods becoming Ready after delay.
func kwokStages(delay string) ([]byte, error) {
	d, err := time.ParseDuration(delay)
	if err != nil {
		return nil, err
	}
	var ready map[string]any
	if err := yaml.Unmarshal([]byte(podfast.DefaultPodReady), &ready); err != nil {
		return nil, err
	}
	ready["spec"].(map[string]any)["delay"] = map[string]any{"durationMilliseconds": d.Milliseconds()}
	r, err := yaml.Marshal(ready)
	if err != nil {
		return nil, err
	}
	docs := []string{nodefast.DefaultNodeInit, string(r), podfast.DefaultPodComplete, podfast.DefaultPodDelete}
	var out bytes.Buffer
	out.WriteString(strings.Join(docs, "\n---\n"))
	return out.Bytes(), nil
}

func (c *cluster) rest() (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.path("kubeconfig"))
	if err != nil {
		return nil, err
	}
	cfg.QPS, cfg.Burst = 200, 400
	cfg.UserAgent = "controlplane"
	return cfg, nil
}

func (c *cluster) client() (*kubernetes.Clientset, error) {
	cfg, err := c.rest()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(cfg)
}

// kubectl asks a raw path; only "get --raw PATH" is needed here.
func (c *cluster) kubectl(args ...string) error {
	k, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err = k.RESTClient().Get().AbsPath(args[len(args)-1]).DoRaw(ctx)
	return err
}

func (c *cluster) await(what string, limit time.Duration, ready func() error) error {
	end := time.Now().Add(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(end) || errors.Is(err, errEnded) {
			return fmt.Errorf("%s is not ready after %s: %w", what, limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func node(name string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name,
		Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
		Labels: map[string]string{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
			"kubernetes.io/arch": "amd64", "type": "kwok"}}}
	spec := `{"allocatable":{"cpu":"512","memory":"2Ti","pods":"5000"},"capacity":{"cpu":"512","memory":"2Ti","pods":"5000"}}`
	if err := json.Unmarshal([]byte(spec), &n.Status); err != nil {
		panic(err)
	}
	return n
}

// awaitUsable makes the nodes and waits until a workload would run.
func (c *cluster) awaitUsable() error {
	k, err := c.client()
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := 0; i < c.Nodes; i++ {
		name := fmt.Sprintf("node-%d", i)
		if err := c.await("node "+name, 20*time.Second, func() error {
			_, err := k.CoreV1().Nodes().Create(ctx, node(name), metav1.CreateOptions{})
			if err != nil && strings.Contains(err.Error(), "already exists") {
				return nil
			}
			return err
		}); err != nil {
			return err
		}
	}
	return c.await("the cluster", 60*time.Second, func() error {
		if _, err := k.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		if _, err := k.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{}); err != nil {
			return err
		}
		nodes, err := k.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, n := range nodes.Items {
			if !isReady(&n) {
				return fmt.Errorf("node %s is not Ready", n.Name)
			}
		}
		return nil
	})
}

func isReady(n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoSchedule {
			return false
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
