// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/util/yaml"
)

type oracleResult struct {
	File  string            `json:"file"`
	Docs  []json.RawMessage `json:"docs"`
	Error string            `json:"error,omitempty"`
}

// registerOracle adds yamloracle: what kubectl's own reader makes of each file named on standard
// input, one JSON line a file.
func registerOracle() {
	register("yamloracle", "< FILES", "what kubectl reads in each file, as JSON lines", func([]string) error {
		in := bufio.NewScanner(os.Stdin)
		out := bufio.NewWriter(os.Stdout)
		defer out.Flush()
		for in.Scan() {
			line, err := json.Marshal(readAsKubectl(in.Text()))
			if err != nil {
				return err
			}
			out.Write(append(line, '\n'))
		}
		return in.Err()
	})
}

func readAsKubectl(name string) oracleResult {
	r := oracleResult{File: name, Docs: []json.RawMessage{}}
	text, err := os.ReadFile(name)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var v any
		err := d.Decode(&v)
		if err == io.EOF {
			return r
		}
		if err != nil {
			r.Error = err.Error()
			return r
		}
		if v == nil {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			r.Error = err.Error()
			return r
		}
		r.Docs = append(r.Docs, b)
	}
}
