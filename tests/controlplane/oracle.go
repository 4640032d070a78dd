// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
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
			line, err := canonical(readAsKubectl(in.Text()))
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
		// As kubectl does: the document as JSON text, blank ones left out, numbers as int64 or float64.
		var ext runtime.RawExtension
		err := d.Decode(&ext)
		if err == io.EOF {
			return r
		}
		if err != nil {
			r.Error = err.Error()
			return r
		}
		raw := bytes.TrimSpace(ext.Raw)
		if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
			continue
		}
		var v any
		if err := utiljson.Unmarshal(raw, &v); err != nil {
			r.Error = err.Error()
			return r
		}
		b, err := canonical(v)
		if err != nil {
			r.Error = err.Error()
			return r
		}
		r.Docs = append(r.Docs, b)
	}
}

// canonical prints with sorted keys and without the escapes that HTML would need.
func canonical(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(out.Bytes()), err
}
