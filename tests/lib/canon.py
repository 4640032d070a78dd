#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# The canonical form of objects (gitops/canon.h), written a second time without a line of regrow: what
# a repository of snapshots must hold, byte for byte. Items of the JSON List on stdin, a line each:
#
#   canon.py              all but Secrets
#   canon.py FROM         the Secrets, as lines of the pool: desired or live
import json
import sys
from decimal import Decimal

SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# What a YAML reader refuses or changes where it stands raw.
HIDDEN = {*range(0x20), *range(0x7f, 0xa0), 0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff}


def string(s):
    return '"' + "".join(SHORT.get(c) or (f"\\u{ord(c):04x}" if ord(c) in HIDDEN else c)
                         for c in s) + '"'


def number(v):
    """As Go prints it: no exponent from 1e-6 up to below 1e21, and none of two digits below 10."""
    if v == int(v) and abs(v) < 1 << 63:
        return str(int(v))
    text = format(Decimal(repr(v)), "f" if 1e-6 <= abs(v) < 1e21 else "e")
    return text.replace("e-0", "e-")


def canonical(v):
    if isinstance(v, dict):
        rows = sorted(v.items(), key=lambda row: row[0].encode())
        return "{" + ",".join(string(k) + ":" + canonical(x) for k, x in rows) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(canonical, v)) + "]"
    if isinstance(v, str):
        return string(v)
    if isinstance(v, (bool, type(None))):
        return {True: "true", False: "false", None: "null"}[v]
    return number(v)


def main():
    pool = sys.argv[1] if len(sys.argv) > 1 else None
    for item in json.load(sys.stdin)["items"]:
        if (item["kind"] == "Secret") == (pool is not None):
            line = {"from": pool, "object": item} if pool else item
            sys.stdout.buffer.write(canonical(line).encode() + b"\n")


main()
