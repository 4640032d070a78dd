#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# runbooks.py parts PAGE DIR    its fenced sh blocks as NN.sh, how they end as NN.exit ("```sh exit=N",
#                               else 0), what they print as NN.text (the text block after one), and
#                               variables, the names that its first table has; prints how many blocks
# runbooks.py unnamed DIR       variables that blocks read and neither the table nor a block before has
# runbooks.py shows FILE        what FILE has, line by line, comes in this order in standard input; …
#                               stands for anything, blanks for blanks; prints the line that does not
import os
import re
import sys

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.M | re.S)
ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]*)`", re.M)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
READS = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)")
SETS = re.compile(r"(?:^|[\s;])(?:export )?([A-Z][A-Z0-9_]*)=", re.M)


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def parts(page, folder):
    body = read(page)
    count, may_show = 0, False
    for kind, words, text in FENCE.findall(body):
        if kind == "sh":
            count += 1
            ends = re.search(r"exit=(\d+)", words)
            write(folder, f"{count:02d}.sh", text)
            write(folder, f"{count:02d}.exit", ends[1] if ends else "0")
        elif kind == "text" and may_show:
            write(folder, f"{count:02d}.text", text)
        may_show = kind == "sh"
    write(folder, "variables", "".join(name + "\n" for name in ROW.findall(body.split("```")[0])))
    print(count)


def unnamed(folder):
    known = set(read(os.path.join(folder, "variables")).split())
    missing = set()
    for name in sorted(os.listdir(folder)):
        if name.endswith(".sh"):
            text = re.sub(r"#.*", "", read(os.path.join(folder, name)))
            known |= set(SETS.findall(text))
            missing |= set(READS.findall(text)) - known
    print(" ".join(sorted(missing)))


def form(line):
    pieces = [r"\s+".join(map(re.escape, piece.split(" "))) for piece in re.sub(r" +", " ", line).split("…")]
    return re.compile(".*".join(pieces))


def shows(path):
    got = iter([line.strip() for line in CONTROL.sub("", sys.stdin.read()).splitlines()])
    for line in [line.strip() for line in read(path).splitlines()]:
        if line and line != "…" and not any(form(line).fullmatch(have) for have in got):
            print(line)
            return


if __name__ == "__main__":
    {"parts": parts, "unnamed": unnamed, "shows": shows}[sys.argv[1]](*sys.argv[2:])
