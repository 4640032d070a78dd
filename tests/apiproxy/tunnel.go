// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
)

// journal is the log: lines of several goroutines.
type journal struct {
	mu sync.Mutex
	f  *os.File
}

func openJournal(path string) (*journal, error) {
	if path == "" {
		return &journal{}, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &journal{f: f}, err
}

func (j *journal) write(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f != nil {
		fmt.Fprintf(j.f, format+"\n", args...)
	}
}

// tunnels accepts connections; ask says what each wants and tells it when it is there.
func tunnels(o *options, ask func(c net.Conn, in *bufio.Reader) (string, func(bool), error)) error {
	j, err := openJournal(o.log)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in := bufio.NewReader(c)
			target, answer, err := ask(c, in)
			if err != nil {
				j.write("refused %v", err)
				return
			}
			j.write("connect %s", target)
			if o.to != "" {
				target = o.to
			}
			up, err := net.Dial("tcp", target)
			answer(err == nil)
			if err != nil {
				return
			}
			defer up.Close()
			go func() {
				io.Copy(up, in)
				up.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(c, up)
		}()
	}
}

func connect(o *options) error {
	return tunnels(o, func(c net.Conn, in *bufio.Reader) (string, func(bool), error) {
		r, err := http.ReadRequest(in)
		if err != nil {
			return "", nil, err
		}
		if r.Method != http.MethodConnect {
			return "", nil, fmt.Errorf("%s %s", r.Method, r.RequestURI)
		}
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(o.user))
		if o.user != "" && r.Header.Get("Proxy-Authorization") != want {
			fmt.Fprint(c, "HTTP/1.1 407 Proxy Authentication Required\r\n"+
				"Proxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\n\r\n")
			return "", nil, errors.New("a stranger")
		}
		return r.Host, func(ok bool) {
			status := "200 Connection established"
			if !ok {
				status = "502 Bad Gateway"
			}
			fmt.Fprintf(c, "HTTP/1.1 %s\r\n\r\n", status)
		}, nil
	})
}

// socks speaks SOCKS5 without authentication; addresses come as names or numbers.
func socks(o *options) error {
	return tunnels(o, func(c net.Conn, in *bufio.Reader) (string, func(bool), error) {
		head := make([]byte, 2)
		if _, err := io.ReadFull(in, head); err != nil || head[0] != 5 {
			return "", nil, errors.New("not SOCKS5")
		}
		if _, err := in.Discard(int(head[1])); err != nil {
			return "", nil, err
		}
		c.Write([]byte{5, 0})
		req := make([]byte, 4)
		if _, err := io.ReadFull(in, req); err != nil || req[1] != 1 {
			return "", nil, errors.New("not a connect request")
		}
		size := map[byte]int{1: 4, 4: 16}[req[3]]
		if req[3] == 3 {
			n, err := in.ReadByte()
			if err != nil {
				return "", nil, err
			}
			size = int(n)
		}
		addr := make([]byte, size+2)
		if _, err := io.ReadFull(in, addr); err != nil {
			return "", nil, err
		}
		host := string(addr[:size])
		if req[3] != 3 {
			host = net.IP(addr[:size]).String()
		}
		port := strconv.Itoa(int(binary.BigEndian.Uint16(addr[size:])))
		return net.JoinHostPort(host, port), func(ok bool) {
			code := byte(0)
			if !ok {
				code = 5
			}
			c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
		}, nil
	})
}
