// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes/scheme"
)

const systemNamespace = "/registry/namespaces/kube-system"

// A cluster as it was when it had started.
type base struct {
	Keys   map[string][]byte `json:"keys"`   // of etcd
	Groups []string          `json:"groups"` // that the API server serves
}

func (c *cluster) groups() ([]string, error) {
	k, err := c.client()
	if err != nil {
		return nil, err
	}
	list, err := k.Discovery().ServerGroups()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range list.Groups {
		for _, v := range g.Versions {
			names = append(names, v.GroupVersion)
		}
	}
	slices.Sort(names)
	return names, nil
}

// mark notes what there is: reset forgets what is made from now on, wipe comes back to it.
func (c *cluster) mark() error {
	groups, err := c.groups()
	if err != nil {
		return err
	}
	return c.withEtcd(func(ctx context.Context, cli *clientv3.Client) error {
		r, err := cli.Get(ctx, "/registry/", clientv3.WithPrefix())
		if err != nil {
			return err
		}
		b := base{Keys: map[string][]byte{}, Groups: groups}
		for _, kv := range r.Kvs {
			if !isLease(string(kv.Key)) {
				b.Keys[string(kv.Key)] = kv.Value
			}
		}
		if err := c.saveBase(&b); err != nil {
			return err
		}
		c.Mark = r.Header.Revision
		return c.save()
	})
}

func (c *cluster) saveBase(b *base) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("base.json"), text, 0o600)
}

func (c *cluster) loadBase() (*base, error) {
	text, err := os.ReadFile(c.path("base.json"))
	if err != nil {
		return nil, err
	}
	b := &base{}
	return b, json.Unmarshal(text, b)
}

func isLease(key string) bool { return strings.HasPrefix(key, "/registry/leases/kube-") }

// wipe is a start from nothing, or what cannot be told from it and takes a tenth of the time.
func (c *cluster) wipe() error {
	if c.rewind() == nil {
		return nil
	}
	if err := c.stop(); err != nil {
		return err
	}
	os.RemoveAll(c.path("etcd"))
	os.Remove(c.path("audit.log"))
	return c.start()
}

// rewind brings a cluster that runs back to its base, with another uid and an empty audit log.
func (c *cluster) rewind() error {
	for _, p := range parts {
		if !c.running(p) {
			return errors.New(p + " does not run")
		}
	}
	if err := c.readyz(); err != nil {
		return err
	}
	b, err := c.loadBase()
	if err != nil {
		return err
	}
	if b.Keys[systemNamespace], err = anotherUID(b.Keys[systemNamespace]); err != nil {
		return err
	}
	err = c.withEtcd(func(ctx context.Context, cli *clientv3.Client) error {
		tries := map[string]int{}
		return untilQuiet(func() (bool, error) { return b.restore(ctx, cli, tries) })
	})
	if err != nil {
		return err
	}
	if err := c.awaitUsable(); err != nil {
		return err
	}
	err = c.await("what it serves", 10*time.Second, func() error {
		now, err := c.groups()
		if err == nil && !slices.Equal(now, b.Groups) {
			err = fmt.Errorf("%v are served", now)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := c.mark(); err != nil {
		return err
	}
	return os.Truncate(c.path("audit.log"), 0)
}

// restore makes each key what it was, below the API server as reset does. tries: of each key.
func (b *base) restore(ctx context.Context, cli *clientv3.Client, tries map[string]int) (bool, error) {
	r, err := cli.Get(ctx, "/registry/", clientv3.WithPrefix())
	if err != nil {
		return false, err
	}
	did := false
	try := func(key string) bool {
		tries[key]++
		did = did || tries[key] <= maxTries
		return tries[key] <= maxTries
	}
	there := map[string]bool{}
	for _, kv := range r.Kvs {
		key := string(kv.Key)
		there[key] = true
		was, known := b.Keys[key]
		if isLease(key) || bytes.Equal(was, kv.Value) || !try(key) {
			continue
		}
		if known {
			_, err = cli.Put(ctx, key, string(was))
		} else {
			_, err = cli.Delete(ctx, key)
		}
		if err != nil {
			return did, err
		}
	}
	for key, was := range b.Keys {
		if there[key] || !try(key) {
			continue
		}
		if _, err := cli.Put(ctx, key, string(was)); err != nil {
			return did, err
		}
	}
	return did, nil
}

// anotherUID: of a namespace as it is stored.
func anotherUID(stored []byte) ([]byte, error) {
	s := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	ns := &corev1.Namespace{}
	if _, _, err := s.Decode(stored, nil, ns); err != nil {
		return nil, err
	}
	ns.UID = uuid.NewUUID()
	out := &bytes.Buffer{}
	ns.APIVersion, ns.Kind = "v1", "Namespace"
	err := s.Encode(ns, out)
	return out.Bytes(), err
}
