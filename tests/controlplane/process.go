// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func (c *cluster) pidFile(part string) string { return c.path(part + ".pid") }

func (c *cluster) pid(part string) int {
	b, err := os.ReadFile(c.pidFile(part))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// running tells whether the part's process is alive and still ours. One that is ending loses its
// command line first and its ports last: it counts until nothing but its exit code is left.
func (c *cluster) running(part string) bool {
	pid := c.pid(part)
	if pid <= 0 || syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || strings.Contains(string(stat), ") Z ") {
		return false
	}
	cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && (len(cmd) == 0 || strings.Contains(string(cmd), c.dir+"/"))
}

func (c *cluster) spawn(part string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.path("logs", part+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{part}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = c.dir
	if os.Getenv("GOGC") == "" {
		cmd.Env = append(os.Environ(), "GOGC=200") // memory for time
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	cmd.Process.Release()
	return os.WriteFile(c.pidFile(part), []byte(strconv.Itoa(pid)), 0o600)
}

func (c *cluster) kill(part string, sig syscall.Signal) error {
	if !c.running(part) {
		os.Remove(c.pidFile(part))
		return nil
	}
	pid := c.pid(part)
	syscall.Kill(pid, sig)
	for i := 0; i < 500 && c.running(part); i++ {
		if i == 300 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
	os.Remove(c.pidFile(part))
	return nil
}
