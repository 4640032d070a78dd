#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# marks.py MARKS FOLDER-OR-FILE...: which marked texts are in any of the files ("NAME in PATH"): as they
# are, in base64 or percent-encoded; also in what is compressed there, wherever it begins (gzip, zlib
# as in Git's packs, zstd), and in what is compressed within that. A line of MARKS is NAME, tab, text.
import base64
import ctypes
import os
import re
import sys
import urllib.parse
import zlib

MAX_BYTES = 64 << 20  # that come out of one stream
MAX_DEPTH = 3
BEGIN = re.compile(rb"(?=(\x28\xb5\x2f\xfd|\x1f\x8b\x08|[\x08\x18\x28\x38\x48\x58\x68\x78].))", re.S)


class Buffer(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t)]


def load_zstd():
    z = ctypes.CDLL("libzstd.so.1")
    z.ZSTD_createDStream.restype = ctypes.c_void_p
    z.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    z.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.POINTER(Buffer), ctypes.POINTER(Buffer)]
    z.ZSTD_decompressStream.restype = ctypes.c_size_t
    z.ZSTD_isError.argtypes = [ctypes.c_size_t]
    return z


ZSTD = load_zstd()


def from_zstd(data):
    stream = ZSTD.ZSTD_createDStream()
    out = ctypes.create_string_buffer(1 << 17)
    source = ctypes.create_string_buffer(data, len(data))
    into = Buffer(ctypes.addressof(source), len(data), 0)
    text = b""
    while len(text) < MAX_BYTES:
        of = Buffer(ctypes.addressof(out), len(out), 0)
        left = ZSTD.ZSTD_decompressStream(stream, ctypes.byref(of), ctypes.byref(into))
        text += out.raw[:of.pos]
        if ZSTD.ZSTD_isError(left) or left == 0 or (into.pos == into.size and of.pos < len(out)):
            break
    ZSTD.ZSTD_freeDStream(stream)
    return text


def from_zlib(data, window):
    stream = zlib.decompressobj(window)
    text = b""
    try:  # a piece at a time: what came before damage counts
        for at in range(0, len(data), 4096):
            text += stream.decompress(data[at:at + 4096], MAX_BYTES)
            if stream.eof or len(text) >= MAX_BYTES:
                break
    except zlib.error:
        pass
    return text


def unpacked(data):
    """What comes out of each stream that begins in it, and has a length worth looking at."""
    rest = memoryview(data)  # slices of it are no copies
    for begin in BEGIN.finditer(data):
        at, magic = begin.start(), begin.group(1)
        if len(magic) == 4:
            yield from_zstd(data[at:])
        elif len(magic) == 3:
            yield from_zlib(rest[at:], 31)
        elif (magic[0] << 8 | magic[1]) % 31 == 0 and not magic[1] & 0x20:
            yield from_zlib(rest[at:], 15)


def forms_of(text):
    raw = text.encode()
    forms = {raw, urllib.parse.quote(text, safe="").encode()}
    for shift in range(3):  # wherever it begins in what is encoded
        coded = base64.b64encode(b"\0" * shift + raw)
        forms.add(coded[(0, 2, 3)[shift]:len(coded) // 4 * 4 - 4])
    return {f for f in forms if len(f) >= 12}


def search(data, marks, depth=0):
    names = {name for name, forms in marks.items() if any(f in data for f in forms)}
    if depth < MAX_DEPTH:
        for text in unpacked(data):
            if len(text) >= 12:
                names |= search(text, marks, depth + 1)
    return names


def files_of(top):
    if not os.path.isdir(top):
        return [top]
    return [os.path.join(d, f) for d, _, files in os.walk(top) for f in files]


def main():
    marks = {}
    with open(sys.argv[1]) as f:
        for line in f:
            name, text = line.rstrip("\n").split("\t", 1)
            marks[name] = forms_of(text)
    for top in sys.argv[2:]:
        for path in files_of(top):
            try:
                with open(path, "rb") as f:
                    data = f.read()
            except OSError:
                continue
            for name in sorted(search(data, marks)):
                print(f"{name} in {path}")


main()
