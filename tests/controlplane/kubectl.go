// SPDX-License-Identifier: Apache-2.0

//go:build !nokubectl

package main

import (
	"os"

	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// The control planes of other versions do without it (see build).
func init() {
	register("kubectl", "...", "the linked kubectl", func(args []string) error {
		os.Args = append([]string{"kubectl"}, args...)
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			cmdutil.CheckErr(err)
		}
		return nil
	})
}
