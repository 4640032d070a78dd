#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A history for the bench: a real tree of Kubernetes manifests, grown commit by commit as GitOps
# repositories grow. The same seed gives the same commits, to the last bit.
#
#   history.py TREE URL COMMITS [SEED] | git fast-import      in an empty repository
#
# The first commit is TREE as it is, and root/: an Argo CD Application of URL for every folder of
# TREE whose kustomization lists plain manifests, rendered as the plain files they are. Then, of a
# hundred commits, 47 set an image to its next version wherever an application names it, 27 change
# some lines of a file, 8 of several, 8 bring a new application or file, 6 rename files or move an
# application, 2 remove something, 2 touch what is no manifest.
import os
import random
import re
import sys

DOCUMENT = (re.compile(r"^apiVersion: *\S", re.M), re.compile(r"^kind: *\S", re.M),
            re.compile(r"^metadata: *$", re.M), re.compile(r"^  name: *[\w.-]+ *$", re.M))
IMAGE = re.compile(r"^( *(?:- )?image: *[\"']?)([\w./-]+):([\w.-]*\d[\w.-]*)(@sha256:[0-9a-f]{64})?", re.M)
NUMBER = re.compile(r"^ +[\w./-]+: *\"?(\d{1,5})(?:m|Mi|Gi|s|h)?\"?$", re.M)
AUTHORS = ("Ada", "Grace", "renovate[bot]", "Linus")
EPOCH = 1735689600
STEP = 3 * 3600


class App:
    def __init__(self, name, folder, namespace, files):
        self.name, self.folder, self.namespace, self.files = name, folder, namespace, files


class History:
    def __init__(self, tree, url, seed):
        self.url = url
        self.random = random.Random(seed)
        self.files = {}  # path -> text, or bytes where it is none
        self.apps = []
        self.serial = 0
        self.out = sys.stdout.buffer
        self.changes = []
        self.commits = 0
        self.read(tree)

    # ---- choosing: only random() is promised to be the same everywhere ----
    def below(self, n):
        return int(self.random.random() * n)

    def pick(self, values):
        return values[self.below(len(values))]

    def new_name(self):
        self.serial += 1
        return self.serial

    # ---- the tree at the beginning ----
    def read(self, tree):
        for folder, folders, names in os.walk(tree):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    continue
                with open(path, "rb") as f:
                    data = f.read()
                try:
                    data = data.decode()
                except UnicodeDecodeError:
                    pass
                self.put(os.path.relpath(path, tree), data)
        self.find_apps()

    def find_apps(self):
        known = set()
        for path in sorted(self.files):
            folder, base = os.path.split(path)
            if base != "kustomization.yaml":
                continue
            text = self.files[path]
            namespace = re.search(r"^namespace: *([\w-]+) *$", text, re.M)
            namespace = namespace[1] if namespace else os.path.basename(folder).lower()
            listed = re.findall(r"^ *- *([\w.-]+\.yaml) *$", text, re.M)
            files = [f for f in dict.fromkeys(listed)
                     if self.is_plain(self.files.get(f"{folder}/{f}"), namespace, known)]
            if files:
                name = re.sub(r"[^a-z0-9-]", "-", "-".join(folder.split("/")[1:]).lower())
                self.apps.append(App(name, folder, namespace, files))
        for app in self.apps:
            self.put_app(app)

    def is_plain(self, text, namespace, known):
        """Nothing but objects that no other application has."""
        if not isinstance(text, str) or "\t" in text:
            return False
        names = set()
        for document in re.split(r"^---.*$", text, flags=re.M):
            if not re.search(r"^[^#\s]", document, re.M):
                continue
            if not all(p.search(document) for p in DOCUMENT):
                return False
            kind = re.search(r"^kind: *(\S+)", document, re.M)[1]
            name = re.search(r"^  name: *(\S+)", document, re.M)[1]
            own = re.search(r"^  namespace: *(\S+)", document, re.M)
            key = (kind, own[1] if own else namespace, name)
            if key in known or key in names or kind in ("Kustomization", "ApplicationSet", "Application"):
                return False
            names.add(key)
        known |= names
        return bool(names)

    # ---- what a commit changes ----
    def put(self, path, data):
        if self.files.get(path) != data:
            self.files[path] = data
            self.changes.append(("M", path))

    def delete(self, path):
        del self.files[path]
        self.changes.append(("D", path))

    def move(self, old, new):
        self.files[new] = self.files.pop(old)
        self.changes.append(("R", old, new))

    def put_app(self, app):
        include = app.files[0] if len(app.files) == 1 else "{" + ",".join(app.files) + "}"
        self.put(f"root/{app.name}.yaml", f"""apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {app.name}
  namespace: argocd
spec:
  project: default
  destination: {{server: https://kubernetes.default.svc, namespace: {app.namespace}}}
  source:
    repoURL: {self.url}
    targetRevision: main
    path: {app.folder}
    directory: {{include: "{include}"}}
  syncPolicy: {{automated: {{prune: true}}, syncOptions: [CreateNamespace=true]}}
""")

    def write(self, message):
        self.commits += 1
        who = AUTHORS[self.commits % len(AUTHORS)]
        when = EPOCH + self.commits * STEP
        by = f"{who} <{who.split('[')[0].lower()}@example.com> {when} +0000"
        self.line(f"commit refs/heads/main\nmark :{self.commits}\nauthor {by}\ncommitter {by}")
        self.data(message + "\n")
        if self.commits > 1:
            self.line(f"from :{self.commits - 1}")
        for change in self.changes:
            if change[0] == "M":
                self.line(f"M 100644 inline {change[1]}")
                self.data(self.files.get(change[1], ""))  # gone again: its D follows
            else:
                self.line(" ".join(change))
        self.line("")
        self.changes = []

    def line(self, text):
        self.out.write(text.encode() + b"\n")

    def data(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.out.write(b"data %d\n%s\n" % (len(data), data))

    # ---- what people do ----
    def paths(self, app):
        return [f"{app.folder}/{f}" for f in app.files]

    def next_version(self, tag):
        numbers = list(re.finditer(r"\d+", tag))
        at = numbers[-1] if len(numbers) < 2 or self.below(4) else numbers[-2]
        tag = tag[:at.start()] + str(int(at[0]) % 99999 + 1) + tag[at.end():]
        return tag

    def bump(self):
        for _ in range(200):
            app = self.pick(self.apps)
            images = [m for p in self.paths(app) for m in IMAGE.finditer(self.files[p])]
            if images:
                break
        else:
            return self.edit()
        m = self.pick(images)
        old = m[2] + ":" + m[3] + (m[4] or "")
        tag = self.next_version(m[3])
        digest = "@sha256:%064x" % self.random.getrandbits(256) if m[4] else ""
        for path in self.paths(app):
            self.put(path, self.files[path].replace(old, f"{m[2]}:{tag}{digest}"))
        return f"chore(container): update image {m[2]} ( {m[3]} -> {tag} )"

    def change_lines(self, path, most):
        text = self.files[path]
        for _ in range(1 + self.below(most)):
            numbers = list(NUMBER.finditer(text))
            if numbers and self.below(3):
                m = self.pick(numbers)
                text = text[:m.start(1)] + str(int(m[1]) + 1 + self.below(9)) + text[m.end(1):]
            else:  # an annotation more, where there is none yet, or a label
                n = self.new_name()
                if re.search(r"^  labels: *$", text, re.M):
                    text = re.sub(r"^  labels: *$", f"  labels:\n    example.com/change-{n}: \"{n * 7}\"",
                                  text, count=1, flags=re.M)
                elif not re.search(r"^  (labels|annotations):", text, re.M):
                    text = re.sub(r"^(  name: .*)$", f"\\1\n  labels:\n    example.com/change-{n}: \"{n}\"",
                                  text, count=1, flags=re.M)
                else:
                    text += f"# see note {n}\n"
        self.put(path, text)

    def edit(self):
        app = self.pick(self.apps)
        path = self.pick(self.paths(app))
        self.change_lines(path, 4)
        return f"fix({app.name}): {os.path.basename(path)}"

    def edit_many(self):
        app = self.pick([a for a in self.apps if len(a.files) > 1])
        paths = self.paths(app)
        for _ in range(2 + self.below(5)):
            self.change_lines(self.pick(paths), 2)
        return f"refactor({app.name}): limits and labels"

    def list_files(self, app):
        """The kustomization names what the application has, as its authors would keep it."""
        path = f"{app.folder}/kustomization.yaml"
        rows = "".join(f"  - {f}\n" for f in app.files)
        self.put(path, "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
                       f"namespace: {app.namespace}\nresources:\n{rows}")
        self.put_app(app)

    def add_file(self, app):
        n = self.new_name()
        rows = "".join(f"  key-{i}: \"{self.below(100000)}\"\n" for i in range(1 + self.below(6)))
        app.files.append(f"settings-{n}.yaml")
        self.put(self.paths(app)[-1], "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
                                      f"  name: settings-{n}\ndata:\n{rows}")
        self.list_files(app)
        return f"feat({app.name}): settings"

    def add(self):
        app = self.pick(self.apps)
        if self.below(2):
            return self.add_file(app)
        n = self.new_name()
        short = os.path.basename(app.folder)
        new = App(f"{app.name}-{n}", f"{app.folder}-{n}", f"{app.namespace}-{n}", list(app.files))
        for old, path in zip(self.paths(app), self.paths(new)):
            # Every name gets the number: nothing may be there twice.
            text = re.sub(r"^  name: *([\w.-]+) *$", f"  name: \\1-{n}", self.files[old], flags=re.M)
            self.put(path, re.sub(r"^  namespace: .*$", f"  namespace: {new.namespace}", text, flags=re.M)
                     .replace(f"app: {short}\n", f"app: {short}-{n}\n"))
        self.list_files(new)
        self.apps.append(new)
        return f"feat: {new.name}"

    def rename(self):
        app = self.pick(self.apps)
        n = self.new_name()
        if self.below(4) == 0:
            old = self.paths(app)
            app.folder = re.sub(r"(-moved-\d+)?$", f"-moved-{n}", app.folder, count=1)
            for a, b in zip(old, self.paths(app)):
                self.move(a, b)
            self.list_files(app)
            return f"refactor: move {app.name}"
        at = self.below(len(app.files))
        old = self.paths(app)[at]
        app.files[at] = re.sub(r"(-\d+)?\.yaml$", f"-{n}.yaml", app.files[at])
        self.move(old, self.paths(app)[at])
        self.list_files(app)
        return f"refactor({app.name}): rename {os.path.basename(old)}"

    def remove(self):
        app = self.pick([a for a in self.apps if len(a.files) > 1])
        path = self.pick(self.paths(app))
        app.files.remove(os.path.basename(path))
        self.delete(path)
        self.list_files(app)
        return f"chore({app.name}): drop {os.path.basename(path)}"

    def note(self):
        n = self.new_name()
        self.put("CHANGELOG.md", f"## {n}\n\n- what changed in {self.pick(self.apps).name}\n\n" +
                 self.files.get("CHANGELOG.md", ""))
        return "docs: changelog"

    def run(self, commits):
        self.write("the tree as it is")
        ways = ((47, self.bump), (74, self.edit), (82, self.edit_many), (90, self.add),
                (96, self.rename), (98, self.remove), (100, self.note))
        while self.commits < commits:
            at = self.below(100)
            message = next(way for limit, way in ways if at < limit)()
            if self.changes:
                self.write(message)


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: history.py TREE URL COMMITS [SEED] | git fast-import")
    seed = int(sys.argv[4]) if len(sys.argv) == 5 else 1
    History(sys.argv[1], sys.argv[2], seed).run(int(sys.argv[3]))


main()
