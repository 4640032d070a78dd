// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// webhookServer answers on the address of a simulated pod: reviews are allowed, conversions change
// the version, and an aggregated API lists no resources.
type webhookServer struct {
	since     time.Time
	listening bool
}

func (s *webhookServer) listen(ca *authority, ns, name, ip string, port int32) error {
	host := name + "." + ns + ".svc"
	cert, key, err := ca.issue(host, nil, []string{host, ip})
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, port))
	if err != nil {
		return err
	}
	s.listening = true
	srv := &http.Server{Handler: http.HandlerFunc(answer),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go srv.ServeTLS(l, "", "")
	return nil
}

func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(r.URL.Path, "/apis") || r.Method == http.MethodGet {
		answerAPI(w, r)
		return
	}
	var review map[string]any
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil || json.Unmarshal(body, &review) != nil {
		http.Error(w, "not a review", http.StatusBadRequest)
		return
	}
	req, _ := review["request"].(map[string]any)
	resp := map[string]any{"uid": req["uid"]}
	if review["kind"] == "ConversionReview" {
		resp["convertedObjects"] = convert(req)
		resp["result"] = map[string]any{"status": "Success"}
	} else {
		resp["allowed"] = true
	}
	json.NewEncoder(w).Encode(map[string]any{"apiVersion": review["apiVersion"],
		"kind": review["kind"], "response": resp})
}

func convert(req map[string]any) []any {
	var out []any
	objects, _ := req["objects"].([]any)
	for _, o := range objects {
		m, _ := o.(map[string]any)
		m["apiVersion"] = req["desiredAPIVersion"]
		out = append(out, m)
	}
	return out
}

// answerAPI is what discovery asks of an aggregated API.
func answerAPI(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) == 3 {
		json.NewEncoder(w).Encode(map[string]any{"kind": "APIResourceList", "apiVersion": "v1",
			"groupVersion": parts[1] + "/" + parts[2], "resources": []any{}})
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
}
