// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func init() {
	register("reset", "DIR", "forget what was made since it started, without stopping it (same uid, same audit log)",
		onCluster((*cluster).reset))
}

// withEtcd runs fn with a client of the cluster's etcd.
func (c *cluster) withEtcd(fn func(context.Context, *clientv3.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cli, err := clientv3.New(clientv3.Config{Context: ctx,
		Endpoints: []string{fmt.Sprintf("http://127.0.0.1:%d", c.EtcdPort)}})
	if err != nil {
		return err
	}
	defer cli.Close()
	return fn(ctx, cli)
}

// What comes back that often is the cluster's own, made a little late: on a slow machine the
// kube-root-ca.crt of kube-public, say.
const maxTries = 3

// reset takes the keys away below the API server, which hears of it as of any other deletion: no
// finalizer is waited for, no pod for its grace period. A controller that was about to write may
// still do so: it is looked again until nothing more appears.
func (c *cluster) reset() error {
	if c.Mark == 0 {
		return errors.New("it was started by a program that did not note what there was")
	}
	return c.withEtcd(func(ctx context.Context, cli *clientv3.Client) error {
		deleted := map[string]int{}
		return untilQuiet(func() (bool, error) { return c.deleteNew(ctx, cli, deleted) })
	})
}

// untilQuiet calls step until it had nothing to do twice in a row.
func untilQuiet(step func() (bool, error)) error {
	for quiet := 0; quiet < 2; time.Sleep(100 * time.Millisecond) {
		did, err := step()
		if err != nil {
			return err
		}
		quiet++
		if did {
			quiet = 0
		}
	}
	return nil
}

// What the parts of the cluster themselves write now and then.
func (c *cluster) isTheirs(key string) bool {
	return isLease(key) || strings.HasPrefix(key, "/registry/events/")
}

// deleteNew tells whether there was anything to delete. deleted: how often each key was.
func (c *cluster) deleteNew(ctx context.Context, cli *clientv3.Client, deleted map[string]int) (bool, error) {
	r, err := cli.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithMinCreateRev(c.Mark+1))
	if err != nil {
		return false, err
	}
	any := false
	for _, kv := range r.Kvs {
		key := string(kv.Key)
		if c.isTheirs(key) || deleted[key] == maxTries {
			continue
		}
		if _, err := cli.Delete(ctx, key); err != nil {
			return any, err
		}
		deleted[key]++
		any = true
	}
	return any, nil
}
