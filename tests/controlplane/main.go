// SPDX-License-Identifier: Apache-2.0

// Command controlplane is a whole Kubernetes control plane in one program, for tests and demos:
// etcd, API server, controller manager, scheduler, and kwok, which simulates nodes. A cluster lives
// in one folder; several run side by side. Its kubectl is in the folder of that name.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

type command struct {
	usage string
	help  string
	run   func(args []string) error
}

var commands = map[string]command{}

func register(name, usage, help string, run func(args []string) error) {
	commands[name] = command{usage, help, run}
}

func usage() {
	fmt.Println("usage: controlplane COMMAND ...")
	var names []string
	for name, c := range commands {
		if c.help != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Printf("  %-28s %s\n", strings.TrimSpace(n+" "+commands[n].usage), commands[n].help)
	}
}

func main() {
	registerComponents()
	registerClusters()
	registerOracle()
	registerAddons()
	if len(os.Args) < 2 || os.Args[1] == "help" || os.Args[1] == "--help" {
		usage()
		return
	}
	c, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "controlplane: unknown command %q\n", os.Args[1])
		os.Exit(2)
	}
	if err := c.run(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
