// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

type options struct {
	listen, kubeconfig, cert, key, rules, log, to, user string
	http1, plainDiscovery                               bool
}

type rule struct {
	Method, Path, Auth, Body, Delay, Action string
	Times, Skip, Status                     int
	Headers                                 map[string]string
	method, path, auth                      *regexp.Regexp
	seen                                    int
}

type proxy struct {
	o       *options
	forward *httputil.ReverseProxy
	log     *journal
	mu      sync.Mutex
	rules   []*rule
	stamp   time.Time
}

// upstream reads the kubeconfig of tests/controlplane, which is JSON.
func upstream(file string) (*url.URL, *http.Transport, error) {
	var c struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     string `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert string `json:"client-certificate-data"`
				Key  string `json:"client-key-data"`
			}
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, nil, err
	}
	if len(c.Clusters) == 0 || len(c.Users) == 0 {
		return nil, nil, errors.New("the kubeconfig has no cluster or no user")
	}
	dec := func(s string) []byte {
		b, _ := base64.StdEncoding.DecodeString(s)
		return b
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(dec(c.Clusters[0].Cluster.CA))
	pair, err := tls.X509KeyPair(dec(c.Users[0].User.Cert), dec(c.Users[0].User.Key))
	if err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(c.Clusters[0].Cluster.Server)
	return u, &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}},
		MaxIdleConnsPerHost: 200,
		DisableCompression:  true, // what the client asked for, or did not, goes through
	}, err
}

func serve(o *options) error {
	u, transport, err := upstream(o.kubeconfig)
	if err != nil {
		return err
	}
	j, err := openJournal(o.log)
	if err != nil {
		return err
	}
	p := &proxy{o: o, log: j}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = u.Host
		},
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			panic(http.ErrAbortHandler) // as if the client's own connection had broken
		},
	}
	s := &http.Server{Addr: o.listen, Handler: p, ConnState: func(c net.Conn, now http.ConnState) {
		if now == http.StateNew {
			j.write("connection from %s", c.RemoteAddr())
		}
	}}
	if o.http1 {
		s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	if o.cert == "" {
		return s.ListenAndServe()
	}
	return s.ListenAndServeTLS(o.cert, o.key)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.o.plainDiscovery && strings.Contains(r.Header.Get("Accept"), "apidiscovery") {
		r.Header.Set("Accept", "application/json")
	}
	x := p.match(r)
	note := "forward"
	if x != nil {
		note = fmt.Sprintf("%s %d", x.Action, x.Status)
	}
	p.log.write("%s %s %s encoding=%q %s", r.Proto, r.Method, r.URL.RequestURI(),
		r.Header.Get("Accept-Encoding"), note)
	if x == nil {
		p.forward.ServeHTTP(w, r)
		return
	}
	if x.Action == "late" {
		p.late(w, r, x)
		return
	}
	x.wait()
	for k, v := range x.Headers {
		w.Header().Set(k, v)
	}
	switch x.Action {
	case "reset":
		panic(http.ErrAbortHandler)
	case "forward":
		p.forward.ServeHTTP(w, r)
	default:
		w.WriteHeader(x.Status)
		w.Write([]byte(x.Body))
	}
}

func (x *rule) wait() {
	if d, err := time.ParseDuration(x.Delay); err == nil {
		time.Sleep(d)
	}
}

// late lets the server do at once what it is asked, and keeps its answer back.
func (p *proxy) late(w http.ResponseWriter, r *http.Request, x *rule) {
	answer := httptest.NewRecorder()
	p.forward.ServeHTTP(answer, r)
	x.wait()
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// match finds the first rule that is due for a request.
func (p *proxy) match(r *http.Request) *rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reload()
	for _, x := range p.rules {
		if !x.method.MatchString(r.Method) || !x.path.MatchString(r.URL.RequestURI()) ||
			!x.auth.MatchString(r.Header.Get("Authorization")) {
			continue
		}
		x.seen++
		if x.seen <= x.Skip || (x.Times > 0 && x.seen > x.Skip+x.Times) {
			continue
		}
		return x
	}
	return nil
}

func (p *proxy) reload() {
	st, err := os.Stat(p.o.rules)
	if err != nil || st.ModTime().Equal(p.stamp) {
		return
	}
	b, err := os.ReadFile(p.o.rules)
	if err != nil {
		return
	}
	var rules []*rule
	if err := json.Unmarshal(b, &rules); err != nil {
		fmt.Fprintln(os.Stderr, "apiproxy: rules:", err)
		return
	}
	for _, x := range rules {
		x.method = regexp.MustCompile("^(?:" + x.Method + ")$")
		if x.Method == "" {
			x.method = regexp.MustCompile("")
		}
		x.path, x.auth = regexp.MustCompile(x.Path), regexp.MustCompile(x.Auth)
	}
	p.rules, p.stamp = rules, st.ModTime()
}
