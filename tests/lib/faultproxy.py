#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Stands in front of a server that keeps files (S3, OCI registry) and lets one request go wrong.
#
#   faultproxy.py PORT UPSTREAM_PORT FOLDER
#
# FOLDER/rule says what goes wrong; replacing it (by a rename) begins a new count:
#
#   N FAULT REGEX    the Nth request of which REGEX is found in "METHOD PATH"; "N+" that one and
#                    all that follow
#
#   500 404 ...      that status, and nothing is done
#   cut              nothing is done, and the connection ends
#   lost             it is done, and the connection ends without an answer
#   late             it is done, and 504 is told
#   hang             it is done, and no answer comes until the client gives up
#   short            of a request with a body half is passed on; else half of the answer comes back:
#                    then the connection ends
#   half             half of the answer's body, told as if it were all
#   blind            a condition that does not hold is told as if it did
#   stale            what is newest is not there yet: not in a list, and not to be had
#
# FOLDER/log gets a line for each request that is counted: its number, method, path and what was
# done to it ("-": nothing). Connections are kept, as a server keeps them. With DATE_SHIFT_S in the
# environment the server's clock is so many seconds away.
import asyncio
import email.utils
import json
import os
import re
import sys

PORT, UPSTREAM, FOLDER = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SHIFT_S = int(os.environ.get("DATE_SHIFT_S", "0"))
HOP = {"connection", "transfer-encoding", "keep-alive"}


class Rule:
    """What goes wrong, and how many requests there were since it was set."""

    def __init__(self):
        self.stamp = None
        self.log = None

    def read(self):
        try:
            st = os.stat(FOLDER + "/rule")
        except FileNotFoundError:
            return
        if self.stamp == (st.st_ino, st.st_mtime_ns):
            return
        self.stamp = (st.st_ino, st.st_mtime_ns)
        with open(FOLDER + "/rule", encoding="utf-8") as f:
            at, self.fault, regex = f.read().rstrip("\n").split(" ", 2)
        self.at, self.on = int(at.rstrip("+")), at.endswith("+")
        self.regex = re.compile(regex)
        self.count = 0
        self.log = open(FOLDER + "/log", "w", encoding="utf-8")

    def judge(self, what):
        """The fault of this request, or None."""
        self.read()
        if not self.log or not self.regex.search(what):
            return None
        self.count += 1
        hit = self.count == self.at or (self.on and self.count > self.at)
        print(self.count, what, self.fault if hit else "-", file=self.log, flush=True)
        return self.fault if hit else None


rule = Rule()


async def read_message(reader, is_answer_to=None):
    """(first line, [(name, value)], body). An answer may end with its connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = [tuple(s.strip() for s in line.split(":", 1)) for line in head[1:] if ":" in line]
    low = {k.lower(): v for k, v in headers}
    if is_answer_to == "HEAD" or head[0].split(" ")[1] in ("204", "304"):
        return head[0], headers, b""
    if low.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return head[0], headers, body
    if "content-length" in low:
        return head[0], headers, await reader.readexactly(int(low["content-length"]))
    return head[0], headers, await reader.read() if is_answer_to else b""


def message(first, headers, body, method=None, connection=None):
    """The bytes of it. The length is that of the body, but for HEAD."""
    out = [first]
    out += [f"{k}: {v}" for k, v in headers if k.lower() not in HOP
            and (k.lower() != "content-length" or method == "HEAD")]
    if method != "HEAD" and " 204 " not in first:
        out.append(f"Content-Length: {len(body)}")
    if connection:
        out.append("Connection: " + connection)
    return ("\r\n".join(out) + "\r\n\r\n").encode("latin-1") + body


def shifted(answer):
    """The same at another time."""
    def at(name, value):
        if SHIFT_S and name.lower() == "date":
            then = email.utils.parsedate_to_datetime(value).timestamp() + SHIFT_S
            return email.utils.formatdate(then, usegmt=True)
        return value
    return answer[0], [(k, at(k, v)) for k, v in answer[1]], answer[2]


async def ask(first, headers, body, half=False):
    """What the server behind answers; half: it gets half of the body, and is left alone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", UPSTREAM)
    try:
        whole = message(first, headers, body, connection="close")
        writer.write(whole[:len(whole) - len(body) + len(body) // 2] if half else whole)
        await writer.drain()
        return None if half else shifted(await read_message(reader, first.split(" ")[0]))
    finally:
        writer.close()


def stale_list(path, body):
    """A list without what came last, or None: it is none."""
    if "list-type=2" in path:
        found = list(re.finditer(rb"<Contents>.*?</Contents>", body, re.S))
        if found:
            when = re.compile(rb"<LastModified>(.*?)<.*", re.S)
            last = max(found, key=lambda m: (when.search(m[0])[1], m[0]))
            body = body[:last.start()] + body[last.end():]
        return body
    if "/tags/list" in path:
        doc = json.loads(body)
        tags = doc.get("tags") or []
        entries = [t for t in tags if re.search(r"\.\d{10}\.", t)]
        if tags:
            tags.remove(max(entries, key=lambda t: t.split(".")[-2:]) if entries else tags[-1])
        return json.dumps(doc).encode()
    return None


async def go_wrong(fault, request, reader, writer):
    """Serves a request that goes wrong. False: the connection is over."""
    first, headers, body = request
    method, path = first.split(" ")[:2]
    if fault.isdigit():
        writer.write(message(f"HTTP/1.1 {fault} On Purpose", [("Content-Type", "text/plain")],
                             b"" if method == "HEAD" else b"on purpose\n"))
        return True
    if fault == "cut":
        return False
    if fault == "short" and body:
        await ask(first, headers, body, half=True)
        return False
    answer = await ask(first, headers, body)
    if fault == "hang":
        await reader.read(1)
    if fault in ("lost", "hang"):
        return False
    if fault == "late":
        writer.write(message("HTTP/1.1 504 On Purpose", [], b""))
        return True
    if fault == "blind":
        if " 412 " in answer[0]:
            answer = "HTTP/1.1 200 On Purpose", [], b""
        writer.write(message(*answer, method))
        return True
    if fault == "stale":
        fresh = stale_list(path, answer[2])
        if fresh is None and method in ("GET", "HEAD"):
            writer.write(message("HTTP/1.1 404 On Purpose", [], b""))
        else:
            writer.write(message(answer[0], answer[1], answer[2] if fresh is None else fresh, method))
        return True
    if fault == "half":
        writer.write(message(answer[0], answer[1], answer[2][:len(answer[2]) // 2], method))
        return True
    whole = message(*answer, method)  # short; of an answer without a body half of its headers
    writer.write(whole[:len(whole) - len(answer[2]) + len(answer[2]) // 2] if answer[2]
                 else whole[:len(whole) // 2])
    return False


async def serve(reader, writer):
    try:
        while True:
            request = await read_message(reader)
            method = request[0].split(" ")[0]
            fault = rule.judge(" ".join(request[0].split(" ")[:2]))
            if not fault:
                writer.write(message(*await ask(*request), method))
            elif not await go_wrong(fault, request, reader, writer):
                break
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=512, limit=1 << 20)
    async with server:
        await server.serve_forever()


asyncio.run(main())
