#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A snapshot read by a stranger: from docs/repository-format.md alone, with age and zstd as
# programs, without a line of regrow. Writes everything it holds into a folder:
#
#   stranger.py REPOSITORY CHAIN SEQ IDENTITY OUT
#
#   OUT/root.json                       OUT/git/0000.pack …   Git packs in force, in order
#   OUT/repos.json                      [{url, head, refs: [{name, id}]}]
#   OUT/sources.json                    [{kind, url, chart, target, revision, digest, files: [path]}]
#   OUT/files/N/PATH                    their files, compared with size and SHA-256
#   OUT/apps/NAME.json                  an application's list
#   OUT/objects.jsonl                   every object as it is stored, a line each
#   OUT/secrets.jsonl                   every line of the pool
#   OUT/live.json
#   OUT/clusters/NAME/                  a hub's other clusters: apps, objects.jsonl, secrets.jsonl
#
# What could not be read when a suspect snapshot was made is as it was before (members "before").
import hashlib
import hmac
import json
import os
import subprocess
import sys

SKIPPABLE = b"\x50\x2a\x4d\x18"


def hkdf(ikm, salt, info):
    prk = hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()
    return hmac.new(prk, info.encode() + b"\x01", hashlib.sha256).digest()


def run(argv, data=None):
    return subprocess.run(argv, input=data, stdout=subprocess.PIPE, check=True).stdout


def open_slot(repository, identity, epoch):
    """The text of a slot of that epoch which the identity opens."""
    folder = os.path.join(repository, "keys")
    for name in sorted(os.listdir(folder)):
        done = subprocess.run(["age", "-d", "-i", identity, os.path.join(folder, name)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        text = done.stdout.decode()
        if done.returncode == 0 and f" epoch {epoch}\n" in text:
            return text
    sys.exit(f"no slot of epoch {epoch} opens")


class Snapshot:
    def __init__(self, repository, chain, seq, identity, out):
        self.chain = os.path.join(repository, "chains", chain)
        self.out = out
        log = os.path.join(self.chain, "log")
        name = next(n for n in os.listdir(log) if n[:10] == f"{int(seq):010d}")
        with open(os.path.join(log, name), "rb") as f:
            self.entry = json.loads(f.readline())
        slot = open_slot(repository, identity, self.entry["epoch"])
        words = {k: v for k, v in (l[2:].split(" ", 1) for l in slot.splitlines() if l[:2] == "# ")}
        key = hkdf(bytes.fromhex(words["raw"]), bytes.fromhex(self.entry["repo"]),
                   "regrow/1 chain " + chain)
        self.id_key = hkdf(key, None, "regrow/1 id")
        self.key_file = os.path.join(out, "repo.key")
        with open(self.key_file, "w", encoding="utf-8") as f:
            f.write(slot)
        self.blobs = {}
        self.git = []

    def blob_id(self, kind, content):
        if kind == b"s":
            content = hashlib.scrypt(hashlib.sha256(content).digest(), salt=self.id_key, n=1 << 14,
                                     r=8, p=1, dklen=32, maxmem=64 << 20)
        return hmac.new(self.id_key, kind + content, hashlib.sha256).hexdigest()[:32]

    def read_pack(self, name):
        """[(kind, content)] of one pack."""
        path = os.path.join(self.chain, "packs", name)
        with open(path, "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest() == name, name
        stream = run(["age", "-d", "-i", self.key_file, path])
        content = run(["zstd", "-dc"], stream)
        at = stream.rfind(SKIPPABLE)
        while int.from_bytes(stream[at + 4:at + 8], "little") != len(stream) - at - 8:
            at = stream.rfind(SKIPPABLE, 0, at)
        table = stream[at + 8:]
        assert table[:4] in (b"RGT1", b"RGT2")
        table_rows, count = table[8:], int.from_bytes(table[4:8], "little")
        if table[:4] == b"RGT2":
            table_rows = run(["zstd", "-dc"], table_rows)
        rows, offset = [], 0
        for i in range(count):
            row = table_rows[5 * i:5 * i + 5]
            n = int.from_bytes(row[1:], "little")
            rows.append((row[:1], content[offset:offset + n]))
            offset += n
        assert offset == len(content)
        return rows

    def read_set(self, name):
        def line(index):
            with open(os.path.join(self.chain, "index", index), "rb") as f:
                data = f.read()
            if not data.startswith(b"{"):
                data = run(["zstd", "-dcq"], data)
            return json.loads(data.split(b"\n", 1)[0])
        own = line(name)
        for index in [line(i) for i in own["over"]] + [own]:
            last = None
            for pack in index["packs"]:
                rows = self.read_pack(pack["id"])
                for kind, content in rows:
                    # A salted piece of a file is what stands behind its salt.
                    self.blobs[self.blob_id(kind, content)] = content[32:] if kind == b"h" else content
                if "git" in pack and pack["git"] != last:
                    self.git.append(b"")
                    last = pack["git"]
                if "git" in pack:
                    self.git[-1] += b"".join(c for _, c in rows)

    def json(self, ref):
        value = json.loads(self.blobs[ref["blob"]])
        for page in value.pop("pages", {"blobs": []})["blobs"]:
            value.setdefault("objects", []).extend(json.loads(self.blobs[page])["objects"])
        while "more" in value:
            rest = self.json(value.pop("more"))
            for k, v in rest.items():
                if isinstance(v, list):
                    value[k] += v
        return value

    def write(self, name, data):
        path = os.path.join(self.out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else
                    json.dumps(data, indent=1, ensure_ascii=False).encode())

    def file(self, name, described):
        data = b"".join(self.blobs[b] for b in described["blobs"])
        assert len(data) == described["size"], name
        assert hashlib.sha256(data).hexdigest() == described["sha256"], name
        self.write(name, data)

    def lists(self, root, member, key):
        """Rows of a list in the root, and of the one of before, if it has one."""
        seen = {}
        for m in (member, member + "Before"):
            if m in root:
                for row in self.json(root[m])[key]:
                    name = tuple(row.get(k) for k in ("kind", "url", "chart", "target"))
                    if "blob" in row:
                        seen.setdefault(name, self.json(row))
        return list(seen.values())

    def write_sources(self, root):
        out = []
        for i, s in enumerate(self.lists(root, "sources", "sources")):
            for f in s.get("files", []):
                self.file(f"files/{i}/{f['path']}", f)
            out.append({**{k: s.get(k) for k in ("kind", "url", "chart", "target", "revision",
                                                 "digest")},
                        "files": [f["path"] for f in s.get("files", [])]})
        self.write("sources.json", out)

    def apps_of(self, blobs):
        """{name: (row, list or None)} of shards."""
        rows = [r for b in blobs for r in self.json({"blob": b})["applications"]]
        return {r["name"]: (r, self.json(r) if "blob" in r else None) for r in rows}

    def all_apps(self, root):
        """Those there are; and what was found in one that could not be read now, as it was before."""
        apps = self.apps_of(root["shards"]["blobs"])
        if "before" not in root:
            return apps
        before = self.apps_of(self.json(root["before"])["blobs"])
        kept = {}
        for name in before.keys() - apps.keys():
            above = name
            while above in before and above not in apps:
                above = (before[above][1] or {}).get("parent")
            if above in apps and apps[above][0].get("stale"):
                kept[name] = before[name]
        return {**apps, **kept}

    def write_apps(self, root, where=""):
        lines = []
        for _, app in self.all_apps(root).values():
            if app and not app.get("elsewhere"):
                self.write(f"{where}apps/{app['name']}.json", app)
                lines += [self.blobs[o["blob"]] for o in app["objects"] if "blob" in o]
        self.write(f"{where}objects.jsonl", b"".join(lines))

    def write_secrets(self, root, where=""):
        """The first list that holds a Secret counts."""
        seen, lines = set(), []
        for blob in (b for p in root["secrets"] for b in self.json(p)["blobs"]):
            for text in self.blobs[blob].splitlines(keepends=True):
                line = json.loads(text)
                o = line["object"]
                key = (line["from"], o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"])
                if key not in seen:
                    lines.append(text)
                seen.add(key)
        self.write(f"{where}secrets.jsonl", b"".join(lines))

    def write_clusters(self, root):
        seen = {}
        for m in ("clusters", "clustersBefore"):
            for row in self.json(root[m])["clusters"] if m in root else []:
                seen.setdefault((row.get("server"), row.get("name")), row)
        for row in seen.values():
            if "blob" in row:
                cluster = self.json(row)
                where = "clusters/" + (row.get("name") or row["server"].split("/")[-1]) + "/"
                self.write_apps(cluster, where)
                self.write_secrets(cluster, where)

    def write_all(self):
        self.read_set(self.entry["objects"])
        if self.entry["git"]:
            self.read_set(self.entry["git"])
        root = json.loads(self.blobs[self.entry["root"]])
        self.write("root.json", root)
        for i, pack in enumerate(self.git):
            self.write(f"git/{i:04d}.pack", pack)
        self.write("repos.json", [{k: r.get(k) for k in ("url", "head", "refs")}
                                  for r in self.lists(root, "git", "repositories")])
        self.write_sources(root)
        self.write_apps(root)
        self.write_secrets(root)
        self.write_clusters(root)
        self.write("live.json", self.json(root["live"]) if "live" in root else {"objects": []})


def main():
    repository, chain, seq, identity, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    Snapshot(repository, chain, seq, identity, out).write_all()


main()
