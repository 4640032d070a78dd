// SPDX-License-Identifier: Apache-2.0

// Command apiproxy stands between a client and a real API server, for tests of what the server
// cannot be made to do at will: answers of flow control, broken connections, a balancer that
// speaks HTTP/1.1 or hides what it does not know. Two more modes are the proxies of kubeconfigs.
package main

import (
	"flag"
	"fmt"
	"os"
)

const usage = `usage: apiproxy serve --listen ADDRESS --kubeconfig FILE [--tls-cert F --tls-key F] [--http1]
                      [--plain-discovery] [--rules FILE] [--log FILE]
       apiproxy connect|socks --listen ADDRESS [--to ADDRESS] [--user NAME:PASSWORD] [--log FILE]

  serve    forward to the API server of a kubeconfig, as its user. FILE of --rules is read again
           whenever it changes: a JSON list of {method, path, auth, times, skip, status, headers, body,
           delay, action}; method, path (with its query) and auth (the Authorization header) are
           regular expressions, times and skip count matching requests. action: answer (with
           status, headers and body; the default), reset (break the stream), forward (after delay,
           the answer with headers besides: "Connection: close" makes HTTP/2 send GOAWAY), late
           (forward, and keep the answer back for delay)
  connect  an HTTP proxy for CONNECT; --user: 407 for everybody else
  socks    a SOCKS5 proxy that resolves names itself
           --to: whatever is asked for, connect there
  The log has a line for each request or connection.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Print(usage)
		os.Exit(2)
	}
	fs := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	fs.Usage = func() { fmt.Print(usage) }
	var o options
	fs.StringVar(&o.listen, "listen", "", "")
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "")
	fs.StringVar(&o.cert, "tls-cert", "", "")
	fs.StringVar(&o.key, "tls-key", "", "")
	fs.StringVar(&o.rules, "rules", "", "")
	fs.StringVar(&o.log, "log", "", "")
	fs.StringVar(&o.to, "to", "", "")
	fs.StringVar(&o.user, "user", "", "")
	fs.BoolVar(&o.http1, "http1", false, "")
	fs.BoolVar(&o.plainDiscovery, "plain-discovery", false, "")
	fs.Parse(os.Args[2:])
	modes := map[string]func(*options) error{"serve": serve, "connect": connect, "socks": socks}
	run := modes[os.Args[1]]
	if run == nil {
		fmt.Print(usage)
		os.Exit(2)
	}
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "apiproxy:", err)
		os.Exit(1)
	}
}
