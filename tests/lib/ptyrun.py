#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# ptyrun ANSWER... -- COMMAND...: runs it at a terminal, and types an answer at every prompt (a line
# that ends with ": "); "^C" interrupts. Prints what the terminal showed, then "echo on" or "echo
# off" as the command left it, and ends with its exit code.
import os
import pty
import select
import sys
import termios
import time

LIMIT_S = 60


def main():
    at = sys.argv.index("--")
    answers, command = sys.argv[1:at], sys.argv[at + 1:]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    shown, seen, end = b"", 0, time.monotonic() + LIMIT_S
    state = "unknown"
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        try:
            state = "on" if termios.tcgetattr(fd)[3] & termios.ECHO else "off"
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if shown[seen:].endswith(b": ") and answers:
            answer = answers.pop(0)
            seen = len(shown)
            time.sleep(0.05)  # what it switches off, it has switched off
            os.write(fd, b"\x03" if answer == "^C" else answer.encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    sys.stdout.write(shown.decode(errors="replace").replace("\r", ""))
    print(f"\necho {state}")
    sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 99)


main()
