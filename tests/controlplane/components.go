// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
)

// The parts run as processes of their own: this program again, with the part's name.
func registerComponents() {
	part := func(name string, make func() *cobra.Command) {
		register(name, "", "", func(args []string) error { return runCobra(name, make(), args) })
	}
	part("kube-apiserver", apiserver.NewAPIServerCommand)
	part("kube-controller-manager", kcm.NewControllerManagerCommand)
	part("kube-scheduler", func() *cobra.Command { return scheduler.NewSchedulerCommand() })
	register("kwok", "", "", runKwok)
	register("etcd", "", "", runEtcd)
}

func runCobra(name string, c *cobra.Command, args []string) error {
	os.Args = append([]string{name}, args...)
	c.SetArgs(args)
	os.Exit(cli.Run(c))
	return nil
}

func runKwok(args []string) error {
	os.Args = append([]string{"kwok"}, args...)
	// The other parts' libraries have put flags here that cobra would mix into kwok's own.
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, _ = kwoklog.InitFlags(ctx, flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	c := kwok.NewCommand(ctx)
	c.PersistentFlags().AddFlagSet(flags)
	return c.ExecuteContext(ctx)
}

func runEtcd(args []string) error {
	fs := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := fs.String("data-dir", "", "")
	client := fs.String("client-url", "", "")
	peer := fs.String("peer-url", "", "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	clientURL, err := url.Parse(*client)
	if err != nil {
		return err
	}
	peerURL, err := url.Parse(*peer)
	if err != nil {
		return err
	}
	c := embed.NewConfig()
	c.Dir = *dir
	c.UnsafeNoFsync = true
	c.LogLevel = "error"
	c.ListenClientUrls = []url.URL{*clientURL}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls = []url.URL{*peerURL}
	c.AdvertisePeerUrls = c.ListenPeerUrls
	c.InitialCluster = fmt.Sprintf("%s=%s", c.Name, *peer)
	e, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-sig:
		e.Close()
	case err = <-e.Err():
	}
	return err
}
