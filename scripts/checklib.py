# SPDX-License-Identifier: Apache-2.0
#
# What the check-* scripts share: the list of files, and counting. Each check calls ok() or fail()
# once per thing it looked at and ends with done(), which prints "N passed, N failed".
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOMS = ["base", "gitops", "source", "kube", "reconcile", "snapshot", "bootstrap", "restore",
         "web", "cli"]


def files():
    """The paths git tracks or would add; every file below the root where there is no git."""
    try:
        out = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT,
                             capture_output=True, check=True).stdout
        paths = sorted(set(os.fsdecode(p) for p in out.split(b"\0") if p))
    except (OSError, subprocess.CalledProcessError):
        paths = []
        for folder, dirs, names in os.walk(ROOT):
            dirs[:] = [d for d in dirs if d != ".git" and not d.startswith("build")]
            paths += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    return [p for p in sorted(paths) if os.path.isfile(os.path.join(ROOT, p))]


def sources(suffixes=(".c", ".h")):
    """C files of the rooms and of their tests."""
    return [p for p in files() if p.endswith(suffixes) and p.split("/")[0] in ROOMS + ["tests"]]


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def ok(self):
        self.passed += 1

    def fail(self, message):
        self.failed += 1
        print(message)

    def expect(self, holds, message):
        if holds:
            self.ok()
        else:
            self.fail(message)

    def done(self):
        if not self.passed and not self.failed:
            self.fail("nothing was checked")
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)
