// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

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

func (c *cluster) readyz() error {
	k, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err = k.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
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

// furnish makes what a cluster's machines and storage would bring: nodes, a default storage class.
func (c *cluster) furnish(ctx context.Context, k *kubernetes.Clientset) error {
	for i := 0; i < c.Nodes; i++ {
		_, err := k.CoreV1().Nodes().Create(ctx, node(fmt.Sprintf("node-%d", i)), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	no := false
	driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: storageDriver},
		Spec: storagev1.CSIDriverSpec{AttachRequired: &no}}
	if _, err := k.StorageV1().CSIDrivers().Create(ctx, driver, metav1.CreateOptions{}); err != nil &&
		!apierrors.IsAlreadyExists(err) {
		return err
	}
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "standard",
		Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: storageDriver}
	_, err := k.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// usable tells whether a workload would run now.
func usable(ctx context.Context, k *kubernetes.Clientset) error {
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
}

func (c *cluster) awaitUsable() error {
	k, err := c.client()
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := c.await("the cluster", 60*time.Second, func() error { return c.furnish(ctx, k) }); err != nil {
		return err
	}
	return c.await("the cluster", 60*time.Second, func() error { return usable(ctx, k) })
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
