# SPDX-License-Identifier: Apache-2.0
#
# Where a run of tests keeps its files: a folder of its own, as TMPDIR of every program it runs, and
# in it the clusters that test files use one after the other (REGROW_TEST_CLUSTERS, tests/lib/cluster.sh).
# In memory where there is plenty, for tests make and delete files by the hundred thousand; a TMPDIR of
# the user's own is kept to. It is taken away at the end with what runs in it; a run that was killed
# leaves it to the next one. KEEP=1 keeps it.
import fcntl
import glob
import os
import shutil
import subprocess
import tempfile
import time

SETUP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "setup")
MEMORY = "/dev/shm"
LEAST = 10 << 30  # bytes; a whole run was seen to have 1.1 GB of files, and to need 5 in all
PREFIX = "regrow-tests."


def available():
    try:
        with open("/proc/meminfo") as f:
            kb = next(line.split()[1] for line in f if line.startswith("MemAvailable:"))
        room = os.statvfs(MEMORY)
    except (OSError, StopIteration):
        return 0
    if room.f_flag & os.ST_NOEXEC:  # tests run programs that they build
        return 0
    return min(int(kb) << 10, room.f_bavail * room.f_frsize)


def place():
    return os.environ.get("TMPDIR") or (MEMORY if available() >= LEAST else tempfile.gettempdir())


def is_left(folder):
    """Nobody is at work there, nor just beginning to be."""
    lock = os.path.join(folder, "lock")
    try:
        if time.time() - os.stat(lock).st_mtime < 60:
            return False
        with open(lock, "rb") as f:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def stop_cluster(folder):
    program = "controlplane"
    try:
        programs = subprocess.run([SETUP, "--print-path"], capture_output=True, text=True, check=True)
        if os.path.exists(os.path.join(folder, "program")):  # of another Kubernetes version
            with open(os.path.join(folder, "program"), encoding="utf-8") as f:
                program = f.read().strip()
        subprocess.run([os.path.join(programs.stdout.strip(), program), "down", folder], timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        pass


def remove(folder):
    for settings in glob.glob(os.path.join(glob.escape(folder), "*", "*", "settings.json")):
        stop_cluster(os.path.dirname(settings))
    shutil.rmtree(folder, ignore_errors=True)


class TestFolder:
    """None of its own in a run within a run."""

    def __init__(self):
        self.path = None
        if os.environ.get("REGROW_TEST_CLUSTERS"):
            return
        base = place()
        for left in glob.glob(os.path.join(glob.escape(base), PREFIX + "*")):
            if is_left(left):
                remove(left)
        self.path = tempfile.mkdtemp(dir=base, prefix=PREFIX)
        os.chmod(self.path, 0o711)  # a test may be another user
        self.lock = open(os.path.join(self.path, "lock"), "wb")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        os.environ["TMPDIR"] = self.path
        os.environ["REGROW_TEST_CLUSTERS"] = os.path.join(self.path, "clusters")

    def end(self):
        if self.path and not os.environ.get("KEEP"):
            remove(self.path)
