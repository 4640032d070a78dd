#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Makes of the case table (reconcile/plan.c) a program that has every mistake in it, one of which the
# variable MUTANT switches on (none without it):
#
#   mutants.py SOURCE           prints the changed source
#   mutants.py SOURCE --list    a line for each mistake: number, line, row, what it is
#
# A mistake is a row that is never taken, a part of its condition that does not count, or another
# action than the row has. Whether the tests notice each: test_plan_mutants.sh.
import re
import sys

FUNCTIONS = ("hook_state", "decide_hook", "decide_object", "prune_or_keep", "decide_orphan", "is_left_alone",
             "decide_record", "check_breaker", "plan_make")
DECISION = re.compile(r"\b(decide|keep|leave|prune_or_keep)\((?:p, )?it, ")
VALUE = re.compile(r"(?:bool (\w+)|h\.(\w+)|p\.(\w+)|it->(stays)) \|?= ([^;{]+);")
ROW = re.compile(r'"([A-Z]\d+)"')
HEAD = """\
#include <stdlib.h>
static int mutant_of(void)
{
    static int n = -1;
    if (n < 0)
        n = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0;
    return n;
}
"""


def closing(text, start):
    """Where the parenthesis that opens at start closes; texts in quotes do not count."""
    depth, quoted = 0, False
    for i in range(start, len(text)):
        c = text[i]
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i
    raise SystemExit("mutants.py: a parenthesis is not closed")


def operands(text):
    """(operator, parts): the topmost || or else &&, at depth 0; (None, [text]) without one."""
    for operator in ("||", "&&"):
        parts, depth, begin, i = [], 0, 0, 0
        while i < len(text):
            depth += (text[i] == "(") - (text[i] == ")")
            if depth == 0 and text.startswith(operator, i):
                parts.append(text[begin:i])
                begin = i = i + 2
                continue
            i += 1
        if parts:
            return operator, parts + [text[begin:]]
    return None, [text]


class Mutants:
    def __init__(self):
        self.list = []

    def number(self, line, row, what):
        self.list.append((line, row, " ".join(what.split())))
        return len(self.list)

    def condition(self, text, line, row):
        """With each of its parts, at any depth, able not to count."""
        bare = text.strip()
        inner = bare[1:] if bare.startswith("!") else bare
        if inner.startswith("(") and closing(inner, 0) == len(inner) - 1:
            return ("!" if bare.startswith("!") else "") + "(" + self.condition(inner[1:-1], line, row) + ")"
        operator, parts = operands(text)
        if not operator:
            return text
        neutral = "1" if operator == "&&" else "0"
        out = []
        for part in parts:
            n = self.number(line, row, f"without: {part}")
            changed = self.condition(part, line, row)
            out.append(f"(mutant_of() == {n} ? {neutral} : ({changed}))")
        return f" {operator} ".join(out)

    def guard(self, body, at, line):
        """An if from `at` on: its condition changed, and where it ends."""
        end = closing(body, at)
        found = ROW.search(body[end:body.find(";", end)])
        row = found.group(1) if found else "-"
        never = self.number(line, row, "never")
        inner = self.condition(body[at + 1:end], line, row)
        return f"(mutant_of() != {never} && ({inner}))", end + 1

    def action(self, body, at, line):
        """A call that decides: another action instead."""
        end = closing(body, body.index("(", at))
        call = body[at:end + 1]
        rows = ROW.findall(call)
        if not rows:  # it decides further on
            return call, end + 1
        if call.startswith("decide"):
            actions = re.findall(r"ACTION_\w+", call)
            rows = rows if len(actions) == len(rows) else ["/".join(rows)] * len(actions)
            for action, row in zip(actions, rows):
                n = self.number(line, row, "ACTION_KEEP instead of " + action)
                call = re.sub(rf"\b{action}\b", f"(mutant_of() == {n} ? ACTION_KEEP : {action})", call, count=1)
            return call, end + 1
        n = self.number(line, rows[0], "ACTION_PRUNE instead")
        return f'(mutant_of() == {n} ? decide(it, ACTION_PRUNE, "{rows[0]}") : {call})', end + 1

    def value(self, found, line):
        """What a name says that conditions use."""
        text, what = found.group(0), found.group(5)
        name = next(g for g in found.groups() if g)
        n = self.number(line, name, f"never: {what}")
        return text[:-len(what) - 1] + f"(mutant_of() != {n} && ({self.condition(what, line, name)}));"

    def function(self, body, line):
        out, i = "", 0
        while i < len(body):
            here = line + body.count("\n", 0, i)
            value = VALUE.match(body, i)
            if body.startswith("if (", i):
                text, end = self.guard(body, i + 3, here)
                out, i = out + "if " + text, end
            elif DECISION.match(body, i):
                text, end = self.action(body, i, here)
                out, i = out + text, end
            elif value:
                out, i = out + self.value(value, here), value.end()
            else:
                out, i = out + body[i], i + 1
        return out

    def source(self, text):
        for name in FUNCTIONS:
            begin = re.search(rf"^(?:static )?[\w ]+ {name}\(", text, flags=re.M)
            if not begin:
                raise SystemExit(f"mutants.py: there is no function {name}")
            start = text.index("\n{", begin.start())
            end = text.index("\n}", start)
            text = text[:start] + self.function(text[start:end], text.count("\n", 0, start) + 1) + text[end:]
        return HEAD + text


def main():
    made = Mutants()
    with open(sys.argv[1]) as f:
        text = made.source(f.read())
    if "--list" in sys.argv:
        for n, (line, row, what) in enumerate(made.list, 1):
            print(f"{n}\t{line}\t{row}\t{what}")
    else:
        print(text, end="")


main()
