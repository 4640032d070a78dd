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

// mark notes how far the store is: what is made from now on, reset forgets.
func (c *cluster) mark() error {
	return c.withEtcd(func(ctx context.Context, cli *clientv3.Client) error {
		r, err := cli.Get(ctx, "/registry/", clientv3.WithLimit(1))
		if err != nil {
			return err
		}
		c.Mark = r.Header.Revision
		return c.save()
	})
}

// reset takes the keys away below the API server, which hears of it as of any other deletion: no
// finalizer is waited for, no pod for its grace period. A controller that was about to write may
// still do so: it is looked again until nothing more appears.
func (c *cluster) reset() error {
	if c.Mark == 0 {
		return errors.New("it was started by a program that did not note what there was")
	}
	return c.withEtcd(func(ctx context.Context, cli *clientv3.Client) error {
		var last []string
		for quiet := 0; quiet < 2; time.Sleep(100 * time.Millisecond) {
			made, err := c.deleteNew(ctx, cli)
			if err != nil {
				return fmt.Errorf("%w; made again and again: %v", err, last)
			}
			quiet++
			if len(made) > 0 {
				quiet, last = 0, made
			}
		}
		return nil
	})
}

// What the parts of the cluster themselves write now and then.
func (c *cluster) isTheirs(key string) bool {
	for _, p := range []string{"/registry/leases/kube-", "/registry/events/"} {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

func (c *cluster) deleteNew(ctx context.Context, cli *clientv3.Client) ([]string, error) {
	r, err := cli.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithMinCreateRev(c.Mark+1))
	if err != nil {
		return nil, err
	}
	var made []string
	for _, kv := range r.Kvs {
		key := string(kv.Key)
		if c.isTheirs(key) {
			continue
		}
		if _, err := cli.Delete(ctx, key); err != nil {
			return made, err
		}
		made = append(made, key)
	}
	return made, nil
}
