#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A server in front of a server, that takes its time and counts.
#
#   slowhttp.py PORT UPSTREAM_PORT LOG [--latency MS] [--bearer TOKEN] [--hang]
#               [--cut BYTES] [--tls PEM] [--client-ca PEM] [--mood FILE]
#
# Every request waits MS before it is passed on. LOG gets a line for each as it comes: the time in
# ms, the number of requests in flight with it, the user of its Basic authorization or "-", method
# and path; with --hang a line "open" for each connection, which then gets no answer, and "closed"
# when the client gives up. --bearer wants that token; --cut ends the first answer to a fetch after
# so many bytes; --tls speaks TLS, --client-ca wants a client certificate signed by it.
# FILE is looked at for every request: a number in it is the status that is answered, with no body;
# "cut" ends every answer to a fetch after 300 bytes; anything else passes it on.
import argparse
import asyncio
import base64
import ssl
import time

args = None
log = None
in_flight = 0
has_cut = False


def note(*words):
    print(int(time.monotonic() * 1000), *words, file=log, flush=True)


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        if ":" in line:
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
    return lines[0], headers


def user_of(headers):
    kind, _, text = headers.get("authorization", "").partition(" ")
    if kind != "Basic":
        return "-"
    return base64.b64decode(text).decode().partition(":")[0] or "-"


def mood():
    try:
        return open(args.mood, encoding="utf-8").read().strip() if args.mood else ""
    except FileNotFoundError:
        return ""


async def pass_on(first, headers, body, writer):
    global has_cut
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", args.upstream)
    headers = dict(headers, connection="close")
    if args.bearer:
        headers.pop("authorization", None)
    text = first + "\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    up_writer.write(text.encode("latin-1") + body)
    await up_writer.drain()
    cut = 300 if mood() == "cut" else args.cut
    left = cut if cut and first.startswith("POST") and b"command=fetch" in body \
        and not has_cut else None
    has_cut = has_cut or (left is not None and not args.mood)
    while True:
        chunk = await up_reader.read(65536)
        if not chunk or left == 0:
            break
        if left is not None:
            chunk = chunk[:left]
            left -= len(chunk)
        writer.write(chunk)
        await writer.drain()
    up_writer.close()


async def serve(reader, writer):
    global in_flight
    try:
        if args.hang:
            note("open")
            while await reader.read(65536):
                pass
            note("closed")
            return
        first, headers = await read_head(reader)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        in_flight += 1
        try:
            note(in_flight, user_of(headers), *first.split(" ")[:2])
            await asyncio.sleep(args.latency / 1000)
            if args.bearer and headers.get("authorization") != "Bearer " + args.bearer:
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
                             b"Connection: close\r\n\r\n")
            elif mood().isdigit():
                writer.write(f"HTTP/1.1 {mood()} Mood\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n".encode())
            else:
                await pass_on(first, headers, body, writer)
        finally:
            in_flight -= 1
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


def tls_context():
    if not args.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.tls)
    if args.client_ca:
        context.load_verify_locations(args.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", args.port, ssl=tls_context(),
                                        backlog=512)
    async with server:
        await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("upstream", type=int)
parser.add_argument("log")
parser.add_argument("--latency", type=int, default=0)
parser.add_argument("--bearer")
parser.add_argument("--hang", action="store_true")
parser.add_argument("--cut", type=int, default=0)
parser.add_argument("--tls")
parser.add_argument("--client-ca")
parser.add_argument("--mood")
args = parser.parse_args()
log = open(args.log, "a", encoding="utf-8")
asyncio.run(main())
