#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# What others do to a cluster that is kept as written, and what a repository goes through. Seeded:
# the same number gives the same.
#
#   chaos.py drift KUBECONFIG SEED COUNT      edits and deletes managed objects of tenants, waits
#                                             until each is as it was; a line of JSON each: object,
#                                             manager, pointer (or "gone"), ms (-1: not healed)
#   chaos.py commits DIR REPOSITORY WANTED SEED APPS
#                                             a work tree with applications and objects, committed to
#                                             main of a bare repository; for each number on standard
#                                             input a change of it, as seeded by SEED and the number,
#                                             is the next commit. Prints the id of each; the objects
#                                             that it wants are in WANTED/ID, a line each, sorted
#   chaos.py meddle KUBECONFIG DIR            for each number on standard input edits or deletes one of
#                                             them as another manager; a line of JSON each, with the
#                                             answer (0: none)
#   chaos.py until KUBECONFIG                 for each "PATH VALUE" on standard input waits until the
#                                             ConfigMap there has that as .data.tenant; when that was,
#                                             in microseconds of Unix time (0: not in time)
# CHAOS_MOST: there are about so many objects at most (150).
import base64
import http.client
import json
import os
import random
import ssl
import subprocess
import sys
import tempfile
import time

HEAL_LIMIT_S = 30
MOST_OBJECTS = int(os.environ.get("CHAOS_MOST", "150"))
MOST_APPS = 16


class Api:
    def __init__(self, kubeconfig):
        config = json.loads(subprocess.check_output(
            ["kubectl", "config", "view", "--raw", "--flatten", "-o", "json", "--kubeconfig", kubeconfig]))
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        self.host = cluster["server"].split("://")[1].rstrip("/")
        self.context = ssl.create_default_context(cadata=self.text(cluster, "certificate-authority"))
        self.context.check_hostname = False
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
                f.write(self.text(user, "client-certificate") + self.text(user, "client-key"))
                f.flush()
                self.context.load_cert_chain(f.name)
        self.headers = {"Authorization": "Bearer " + user["token"]} if "token" in user else {}
        self.connection = None

    @staticmethod
    def text(entry, key):
        return base64.b64decode(entry[key + "-data"]).decode()

    def call(self, method, path, body=None, kind="application/json"):
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = kind
        for attempt in (1, 2):
            try:
                if not self.connection:
                    self.connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=20)
                self.connection.request(method, path, body and json.dumps(body), headers)
                answer = self.connection.getresponse()
                data = answer.read()
                return answer.status, json.loads(data) if data else None
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt == 2:
                    raise


# ---- drift ----

# resource path, kind, and the fields of it that are declared: pointer and another value
KINDS = [
    ("/api/v1/namespaces/%s/configmaps/settings", "ConfigMap", "/data/tenant", ("data", "tenant")),
    ("/apis/apps/v1/namespaces/%s/deployments/api", "Deployment", "/spec/template/spec/serviceAccountName",
     ("spec", "template", "spec", "serviceAccountName")),
    ("/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles/zz-api", "Role", "/rules/0/verbs/0", None),
    ("/apis/policy/v1/namespaces/%s/poddisruptionbudgets/api", "PodDisruptionBudget", "/spec/minAvailable",
     ("spec", "minAvailable")),
    ("/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies/deny", "NetworkPolicy", "/spec/policyTypes",
     ("spec", "policyTypes")),
]


def merge(path, value):
    out = value
    for key in reversed(path):
        out = {key: out}
    return out


def at(doc, path):
    for key in path:
        doc = doc.get(key) if isinstance(doc, dict) else None
    return doc


def edit(api, rng, number, url, kind, path, before):
    """Changes a declared field; returns how to see that it is as it was."""
    manager = f"chaos-{number % 7}"
    if kind == "Role":
        patch, want = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]}, before["rules"]
        seen = lambda doc: doc["rules"] == want
    else:
        value = {"ConfigMap": "changed-%d" % number, "Deployment": "default", "PodDisruptionBudget": 7,
                 "NetworkPolicy": ["Egress"]}[kind]
        patch, want = merge(path, value), at(before, path)
        seen = lambda doc: at(doc, path) == want
    status, doc = api.call("PATCH", f"{url}?fieldManager={manager}", patch, "application/merge-patch+json")
    if status != 200:
        raise SystemExit(f"edit of {url}: {status} {doc}")
    return manager, seen


def drift(kubeconfig, seed, count):
    api, rng = Api(kubeconfig), random.Random(seed)
    spaces = [n["metadata"]["name"] for n in api.call("GET", "/api/v1/namespaces")[1]["items"]
              if n["metadata"]["name"].startswith("tenant-")]
    for number in range(count):
        space = rng.choice(sorted(spaces))
        form, kind, pointer, path = rng.choice(KINDS)
        url = form % space
        status, before = api.call("GET", url)
        if status != 200:
            raise SystemExit(f"{url} is not there: {status}")
        begin = time.monotonic()
        if rng.random() < 0.25:
            manager, pointer, uid = "", "gone", before["metadata"]["uid"]
            api.call("DELETE", url + "?propagationPolicy=Background")
            seen = lambda doc: doc["metadata"]["uid"] != uid and "deletionTimestamp" not in doc["metadata"]
        else:
            manager, seen = edit(api, rng, number, url, kind, path, before)
        ms = -1
        while time.monotonic() - begin < HEAL_LIMIT_S:
            status, doc = api.call("GET", url)
            if status == 200 and seen(doc):
                ms = int((time.monotonic() - begin) * 1000)
                break
            time.sleep(0.005)
        print(json.dumps({"kind": kind, "namespace": space, "manager": manager, "pointer": pointer, "ms": ms}),
              flush=True)


# ---- any object of a tree ----

RESOURCES = {"ConfigMap": ("/api/v1", "configmaps"), "Secret": ("/api/v1", "secrets"), "Service": ("/api/v1", "services"),
             "ServiceAccount": ("/api/v1", "serviceaccounts"),
             "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"), "Deployment": ("/apis/apps/v1", "deployments")}


def another(kind, number):
    """A merge patch of a declared field; None: nothing of it is declared."""
    image = {"containers": [{"name": "c", "image": "registry.example.com/hand:%d" % number}]}
    return {"ConfigMap": {"data": {"n": "hand-%d" % number}},
            "Secret": {"data": {"n": base64.b64encode(b"hand-%d" % number).decode()}},
            "Service": {"spec": {"selector": {"app": "hand-%d" % number}}},
            "Role": {"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]},
            "Deployment": {"spec": {"template": {"spec": image}}}}.get(kind)


def meddle_one(api, root, number):
    rng = random.Random(f"{open(root + '/.seed').read()}-hand-{number}")
    doc = json.load(open(rng.choice(files_of(root))))
    kind, name = doc["kind"], doc["metadata"]["name"]
    group, resource = RESOURCES[kind]
    url = f"{group}/namespaces/world/{resource}/{name}"
    patch = another(kind, number) if rng.random() < 0.75 else None
    if patch:
        answer = api.call("PATCH", f"{url}?fieldManager=hand-{number % 7}", patch, "application/merge-patch+json")
    else:
        answer = api.call("DELETE", url + "?propagationPolicy=Background")
    return {"kind": kind, "name": name, "what": "edit" if patch else "delete", "status": answer[0]}


def meddle(kubeconfig, root):
    api = Api(kubeconfig)
    for line in sys.stdin:
        try:
            done = meddle_one(api, root, int(line))
        except (OSError, http.client.HTTPException, ValueError):  # the server is away, or the file has just gone
            done = {"status": 0}
        print(json.dumps(done), flush=True)


def until(kubeconfig):
    api = Api(kubeconfig)
    for line in sys.stdin:
        url, want = line.split()
        end, seen = time.monotonic() + HEAL_LIMIT_S, 0
        while not seen and time.monotonic() < end:
            doc = api.call("GET", url)[1]
            if at(doc, ("data", "tenant")) == want:
                seen = time.time_ns() // 1000
            time.sleep(0.002)
        print(seen, flush=True)


# ---- commits ----

def application(name, prune=True):
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd",
                         "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
            "spec": {"project": "default",
                     "destination": {"server": "https://kubernetes.default.svc", "namespace": "world"},
                     "source": {"repoURL": os.environ["CHAOS_URL"], "targetRevision": "main", "path": "apps/" + name},
                     "syncPolicy": {"automated": {"prune": prune, "selfHeal": True, "allowEmpty": True},
                                    "syncOptions": ["CreateNamespace=true"],
                                    "retry": {"limit": -1, "backoff": {"duration": "200ms", "maxDuration": "2s"}}}}}


def thing(rng, name):
    kind = rng.choice(["ConfigMap", "ConfigMap", "Secret", "Service", "ServiceAccount", "Role", "Deployment"])
    n = rng.randrange(1 << 30)
    doc = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
    if kind == "ConfigMap":
        doc["data"] = {"n": str(n), "more": "x" * rng.randrange(200)}
    elif kind == "Secret":
        doc["stringData"] = {"n": str(n)}
    elif kind == "Service":
        doc["spec"] = {"selector": {"app": name}, "ports": [{"port": 1024 + n % 60000}]}
    elif kind == "Role":
        doc["apiVersion"] = "rbac.authorization.k8s.io/v1"
        doc["rules"] = [{"apiGroups": [""], "resources": [rng.choice(["pods", "secrets", "configmaps"])], "verbs": ["get"]}]
    elif kind == "Deployment":
        doc["apiVersion"] = "apps/v1"
        labels = {"app": name}
        doc["spec"] = {"replicas": n % 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": f"registry.example.com/c:{n % 9}"}]}}}
    return doc


def write_text(path, text):
    with open(path, "w") as f:
        f.write(text)


def write(path, doc):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_text(path, json.dumps(doc, indent=1))  # which is YAML as well


def apps_of(root):
    return sorted(f[:-5] for f in os.listdir(root + "/root"))


def files_of(root):
    return sorted(f"{root}/apps/{a}/{f}" for a in apps_of(root) for f in os.listdir(f"{root}/apps/{a}") if f != "note.txt")


def add_app(root, rng, name, objects):
    write(f"{root}/root/{name}.yaml", application(name))
    os.makedirs(f"{root}/apps/{name}", exist_ok=True)
    open(f"{root}/apps/{name}/note.txt", "w").close()  # so that an empty one is still a folder in Git
    for i in range(objects):
        add_object(root, rng, name)


def add_object(root, rng, app):
    name = f"o{rng.randrange(1 << 28):07x}"
    write(f"{root}/apps/{app}/{name}.yaml", thing(rng, name))


def start(root, seed, apps):
    rng = random.Random(seed)
    os.makedirs(root + "/root", exist_ok=True)
    write_text(root + "/.seed", str(seed))
    for i in range(apps):
        add_app(root, rng, f"app-{i}", rng.randrange(2, 6))


def remove_app(root, name):
    for f in os.listdir(f"{root}/apps/{name}"):
        os.remove(f"{root}/apps/{name}/{f}")
    os.rmdir(f"{root}/apps/{name}")
    os.remove(f"{root}/root/{name}.yaml")


def step(root, number):
    rng = random.Random(f"{open(root + '/.seed').read()}-{number}")
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        apps, files = apps_of(root), files_of(root)
        what = rng.random()
        if what < 0.25 and len(files) >= MOST_OBJECTS:
            os.remove(rng.choice(files))
        elif what < 0.25 or len(files) < 8:
            add_object(root, rng, rng.choice(apps))
        elif what < 0.50:
            path = rng.choice(files)
            doc = json.load(open(path))
            kind = doc["kind"]
            fresh = thing(rng, doc["metadata"]["name"])
            while fresh["kind"] != kind:
                fresh = thing(rng, doc["metadata"]["name"])
            if kind in ("ServiceAccount",):
                fresh["metadata"]["labels"] = {"n": str(rng.randrange(1000))}
            write(path, fresh)
        elif what < 0.60:  # renamed
            path = rng.choice(files)
            doc = json.load(open(path))
            os.remove(path)
            name = f"r{rng.randrange(1 << 28):07x}"
            old = doc["metadata"]["name"]
            text = json.dumps(doc).replace(f'"{old}"', f'"{name}"')
            write(f"{os.path.dirname(path)}/{name}.yaml", json.loads(text))
        elif what < 0.78:  # moved to another application
            path = rng.choice(files)
            target = f"{root}/apps/{rng.choice(apps)}/{os.path.basename(path)}"
            os.rename(path, target)
        elif what < 0.90:
            os.remove(rng.choice(files))
        elif (what < 0.95 and len(apps) < MOST_APPS) or len(apps) < 4:
            add_app(root, rng, f"app-{rng.randrange(1 << 16)}", rng.randrange(1, 4))
        else:  # an application goes, and half of what it had goes to another
            name = rng.choice(apps)
            other = rng.choice([a for a in apps if a != name])
            for path in [f for f in files if f.startswith(f"{root}/apps/{name}/")]:
                if rng.random() < 0.5:
                    os.rename(path, f"{root}/apps/{other}/{os.path.basename(path)}")
            remove_app(root, name)


def wanted(root):
    out = set()
    for path in files_of(root):
        doc = json.load(open(path))
        out.add(f"{doc['kind']} world {doc['metadata']['name']}\n")
    return "".join(sorted(out))


class Repository:
    """A bare repository whose main goes from commit to commit, by one git fast-import for all of them."""

    def __init__(self, place):
        subprocess.check_call(["git", "init", "-q", "--bare", place])
        for key in ("allowFilter", "allowAnySHA1InWant"):
            subprocess.check_call(["git", "--git-dir", place, "config", "uploadpack." + key, "true"])
        self.git = subprocess.Popen(["git", "--git-dir", place, "fast-import", "--quiet"],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.count = 0

    def commit(self, root):
        """The whole of a work tree; always of the same author and hour, so that its id is the same."""
        stream = [b"commit refs/heads/main\nmark :1\ncommitter test <test@example.org> %d +0000\n"
                  b"data 6\nChange\ndeleteall\n" % (1767225600 + 60 * self.count)]
        for folder, _, files in sorted(os.walk(root)):
            for path in sorted(os.path.join(folder, f) for f in files):
                with open(path, "rb") as f:
                    data = f.read()
                stream.append(b"M 100644 inline %s\ndata %d\n%s\n"
                              % (os.path.relpath(path, root).encode(), len(data), data))
        # It answers when the checkpoint is behind it: objects are there, and main is this commit.
        self.git.stdin.write(b"".join(stream) + b"\ncheckpoint\n\nget-mark :1\n")
        self.git.stdin.flush()
        self.count += 1
        commit = self.git.stdout.readline().decode().strip()
        if not commit:
            raise SystemExit("git fast-import has ended")
        return commit


def commits(root, place, wants, seed, apps):
    repository = Repository(place)
    start(root, seed, apps)
    while True:
        commit = repository.commit(root)
        write_text(f"{wants}/{commit}", wanted(root))
        print(commit, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        step(root, int(line))


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "drift":
        drift(args[0], int(args[1]), int(args[2]))
    elif what == "commits":
        commits(args[0], args[1], args[2], int(args[3]), int(args[4]))
    elif what == "meddle":
        meddle(args[0], args[1])
    elif what == "until":
        until(args[0])
    else:
        raise SystemExit("drift, commits, meddle or until")


main()
