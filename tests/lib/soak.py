#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# What a long run takes, watched from outside, and judged.
#
#   soak.py sample PID METRICS-URL SECONDS   a line of JSON every so often, until the process is gone:
#                                            t, anon_kb, rss_kb, fds, threads, cpu_s, turns, queue
#   soak.py judge SAMPLES WARM               whether memory, descriptors and threads are flat, so many
#                                            seconds after the beginning, and WARM_TURNS: a JSON object
#   soak.py page FACTS SAMPLES               docs/soak.md: FACTS is an object with what happened
#
# The rules, which the page tells: see RULES.
import json
import os
import re
import statistics
import sys
import time
import urllib.request

KB_PER_1000_TURNS = 100  # a hundred bytes a turn
KB_SLACK = 512           # heaps come in pieces: so much more or less in all is no slope
BURST_FDS = 4            # a few connections may be open at once by chance
WARM_TURNS = 600         # the ring of events is full, caches and the heaps of all threads have their size
LEAST_TURNS = 200        # packs of a source are kept open, and let go when there are fifty of them

RULES = f"""\
- **Memory**: a line through what the process holds for itself (`RssAnon`) against the turns done, by the
  median of all slopes between two samples (Theil and Sen: single peaks do not move it), rises by less than
  {KB_PER_1000_TURNS} kB in 1,000 turns, or by less than {KB_SLACK} kB in all.
- **Descriptors**: the most of the last quarter is not above the most of the second by more than {BURST_FDS}. They go up and
  down: packs of a source stay open until there are fifty, and are then let go.
- **Threads**: the same, without any more.
- **Turns** are done to the end: some in every quarter. Fewer than {LEAST_TURNS} in that time are too few to judge."""


# ---- sampling ----


def figures(text):
    found = dict(re.findall(r"^([a-z_]+) (\S+)$", text, flags=re.M))
    return {"turns": int(float(found.get("regrow_app_reconcile_seconds_count", 0))),
            "queue": int(float(found.get("regrow_queue_depth", 0)))}


def sample_one(pid, url):
    status = dict(re.findall(r"^(\w+):\s+(\d+)", open(f"/proc/{pid}/status").read(), flags=re.M))
    stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    out = {"t": round(time.time(), 1), "anon_kb": int(status["RssAnon"]), "rss_kb": int(status["VmRSS"]),
           "fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": int(status["Threads"]),
           "cpu_s": (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")}
    out.update(figures(urllib.request.urlopen(url, timeout=20).read().decode()))
    return out


def sample(pid, url, every):
    while os.path.exists(f"/proc/{pid}"):
        try:
            print(json.dumps(sample_one(pid, url)), flush=True)
        except (OSError, ValueError, KeyError) as e:  # it has not begun to serve, or has just ended
            print(f"no sample: {e}", file=sys.stderr)
        time.sleep(every)


# ---- judging ----


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def slope(points):
    """Theil and Sen: the median of the slopes between all pairs. At most 600 points count."""
    step = max(1, len(points) // 600)
    points = points[::step]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0]]
    return statistics.median(slopes) if slopes else 0.0


def quarters(samples):
    n = len(samples)
    return [samples[n * i // 4:n * (i + 1) // 4] for i in range(4)]


def flat(quarter, key, burst):
    second, last = ([s[key] for s in quarter[i]] for i in (1, 3))
    most = max(second), max(last)
    return {"ok": most[1] <= most[0] + burst,
            "text": f"at most {most[0]} in the second quarter, {most[1]} in the last; medians "
                    f"{statistics.median(second):g} and {statistics.median(last):g}"}


def warmed(samples, warm):
    """What counts: after so many seconds and turns, but of a slow run the second half."""
    half = samples[len(samples) // 2:]
    late = [s for s in samples if s["t"] >= samples[0]["t"] + warm and s["turns"] >= WARM_TURNS] if samples else []
    return late if len(late) > len(half) else half


def judge(samples, warm):
    late = warmed(samples, warm)
    turns = late[-1]["turns"] - late[0]["turns"] if late else 0
    if len(late) < 16 or turns < LEAST_TURNS:
        return {"turns": {"ok": None, "text": f"{turns} turns in {len(late)} samples are too few to judge"}}
    quarter = quarters(late)
    per_1000 = slope([(s["turns"], s["anon_kb"]) for s in late]) * 1000
    rise = per_1000 * turns / 1000
    since = f"after {(late[0]['t'] - samples[0]['t']) / 60:.0f} minutes and {late[0]['turns']} turns"
    memory = {"ok": per_1000 < KB_PER_1000_TURNS or rise < KB_SLACK,
              "text": f"{per_1000:+.0f} kB in 1,000 turns, {rise:+.0f} kB in {turns} turns, {since}"}
    done = [q[-1]["turns"] - q[0]["turns"] for q in quarter]
    return {"memory": memory, "descriptors": flat(quarter, "fds", BURST_FDS), "threads": flat(quarter, "threads", 0),
            "turns": {"ok": min(done) > 0, "text": "in the quarters: " + ", ".join(map(str, done))}}


# ---- the page ----


def curve(samples, key, rows=10, columns=72):
    """What a column of the time had at most, drawn from the least to the most."""
    t0, t1 = samples[0]["t"], samples[-1]["t"]
    most = [None] * columns
    for s in samples:
        at = min(columns - 1, int((s["t"] - t0) / max(t1 - t0, 1) * columns))
        most[at] = max(most[at] or 0, s[key])
    low, high = min(m for m in most if m is not None), max(m for m in most if m is not None)
    lines = []
    for row in range(rows, -1, -1):
        level = low + (high - low) * row / rows
        marks = "".join("*" if m is not None and round((m - low) / max(high - low, 1) * rows) == row else " " for m in most)
        lines.append(f"{level / 1024:8.2f} |{marks}".rstrip())
    return "\n".join(lines + [" " * 9 + "+" + "-" * columns, f"{'':9}0{(t1 - t0) / 60:>{columns}.0f} min"])


def page(facts, samples):
    verdicts = facts["verdicts"]
    last = samples[-1]
    cpu = last["cpu_s"] - samples[0]["cpu_s"]
    turns = max(last["turns"], 1)
    shown = "all of it holds" if facts["failed"] == "0" else f"**{facts['failed']} checks failed**"
    print(f"""# Soak

Written by `make soak` on {facts["date"]}, seed {facts["seed"]}, {facts["seconds"]} s: {shown}.

One `regrow reconcile`, never restarted, while a seeded sequence of others' doings goes on around it: commits that add,
change, rename, move and remove objects and applications, half of them announced by a signed push, the others found by
the poll (every {facts["poll"]}); edits and deletions by other field managers; the Git server away, the API server killed and started
again, the connections to it (and with them the watches) cut. In the end the cluster is compared, object by object, with a fresh
bootstrap of the last commit, and every deletion in the API server's audit log with what the commit of that time wanted.

| what | figure |
|---|---|
| commits; announced by a push | {facts["commits"]}; {facts["pushes"]} |
| edits and deletions by others that were answered; not (the server was away) | {facts["meddled"]}; {facts["unmeddled"]} |
| drifts told; healed | {facts["drifted"]}; {facts["healed"]} |
| API server killed and started; Git server; connections cut | {facts["api"]}; {facts["git"]}; {facts["cut"]} |
| turns; objects pruned | {last["turns"]}; {facts["deletes"]} |
| resident memory after {facts["warm"]} s; at the end; most | {facts["rss_warm"] / 1024:.1f} MB; {last["rss_kb"] / 1024:.1f} MB; {max(s["rss_kb"] for s in samples) / 1024:.1f} MB |
| memory against turns | {verdicts.get("memory", {}).get("text", "not judged")} |
| descriptors | {verdicts.get("descriptors", {}).get("text", "not judged")} |
| threads | {verdicts.get("threads", {}).get("text", "not judged")} |
| turns | {verdicts.get("turns", {}).get("text", "not judged")} |
| processor time; of that a turn | {cpu:.1f} s ({100 * cpu / max(last["t"] - samples[0]["t"], 1):.1f} % of a core); {1000 * cpu / turns:.0f} ms |
| applications that waited for a turn, at most; at the end | {max(s["queue"] for s in samples)}; {last["queue"]} |
| other work on the machine (load) at the beginning; at the end | {facts["load"]} |

**What counts as flat**, {facts["warm"]} s and {WARM_TURNS} turns after the beginning (of a slow run in its second half): until then
the ring of a megabyte of events fills, and caches and the heaps of all threads come to their size.

{RULES}

`tests/e2e/00-testlib.sh` shows that these rules refuse a run that leaks.

**Memory of its own over time**, MB, most of each moment:

```
{curve(samples, "anon_kb")}
```""")


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "sample":
        sample(int(args[0]), args[1], float(args[2]))
    elif what == "judge":
        print(json.dumps(judge(read(args[0]), float(args[1]))))
    elif what == "page":
        page(json.load(open(args[0])), read(args[1]))
    else:
        raise SystemExit("sample, judge or page")


main()
