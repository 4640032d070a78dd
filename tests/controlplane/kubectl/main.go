// SPDX-License-Identifier: Apache-2.0

// Command kubectl is kubectl as it is published. It is a program of its own, for one that is linked
// into the control plane takes twice the time to start, and tests start it thousands of times.
package main

import (
	"runtime/debug"

	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	debug.SetGCPercent(400) // it lives for a tenth of a second
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		cmdutil.CheckErr(err)
	}
}
