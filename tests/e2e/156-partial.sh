#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# A part of a snapshot: one application with what it needs, one namespace of a cluster that lives;
# what is there and only needed stays as it is, nothing is deleted, keys of others do not come; a
# full restore brings the rest, and from Git nothing is written. Other names for hosts, classes,
# registries. Rendered again without a network. One cluster of a hub, and two at once, from what was
# frozen for each: with its own Kubernetes where it could be asked, and neither helm nor kustomize.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
. "$LIB/cluster.sh"
. "$LIB/audit.sh"
. "$LIB/githttp.sh"
. "$LIB/charts.sh"
. "$LIB/reports.sh"

SHAPE=$ROOT/tests/cli/shape
export XDG_CACHE_HOME=$SCRATCH/cache
cd "$SCRATCH"

snap() { "$REGROW" snapshot "$@"; }
boot() { "$REGROW" bootstrap --timeout 1m -o json "$SCRATCH/fleet/root" "$@"; }
# As on a rescue machine: no helm, no kustomize, no git, and nothing cached.
restore() {
  env PATH="$SCRATCH/nothing" XDG_CACHE_HOME="$SCRATCH/bare-cache" \
    "$REGROW" restore -i ann.id --timeout 1m "$@"
}
field() { jq -c "$1" "$2"; }
minor() { kubectl version -o json | jq -r '.serverVersion.minor' | tr -d +; }

make_repo() {
  mkdir -p nothing
  age-keygen -o ann.id 2>/dev/null
  snap init --repo repo --out repo.admin --recipient "$(age-keygen -y ann.id)" --single >init.txt
  export REGROW_REPO=$SCRATCH/repo
  REGROW_TRUST=$(sed -n 's/^ *pin //p' init.txt)
  export REGROW_TRUST
  snap key add --key repo.admin -i ann.id --role writer --chain prod --out job.key >/dev/null
}

app() { # NAME WAVE
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd, annotations: {argocd.argoproj.io/sync-wave: "$2"}}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $1}
  source: {repoURL: "file://$SCRATCH/fleet", path: $1, targetRevision: main}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

# What goes to two other clusters, from Git, and what both clusters have.
make_spokes() {
  local c
  mkdir -p fleet/edge
  cat >fleet/edge/cm.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: edge}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: edge}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "registry.old.example.com:5000/tools/edge:1"}]}}}}
Y
  mkdir -p fleet/bases/edge
  printf 'resources: [cm.yaml]\n' >fleet/bases/edge/kustomization.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-base}\n' >fleet/bases/edge/cm.yaml
  printf 'namePrefix: my-\nresources: [../../bases/edge]\n' >fleet/edge/kustomization.yaml
  mkdir -p fleet/edge/sub && mv fleet/edge/kustomization.yaml fleet/edge/sub/
  for c in east west; do
    app "made-$c" 0 | sed "s#server: [^,]*#name: $c#; s#namespace: made-$c}#namespace: web}#; s#path: made-$c#path: charted#" >"fleet/root/made-$c.yaml"
    app "built-$c" 0 | sed "s#server: [^,]*#name: $c#; s#namespace: built-$c}#namespace: web}#; s#path: built-$c#path: edge/sub#" >"fleet/root/built-$c.yaml"
    app "edge-$c" 0 | sed "s#server: [^,]*#name: $c#; s#namespace: edge-$c}#namespace: web}#; s#path: edge-$c#path: edge#" >"fleet/root/edge-$c.yaml"
  done
}

# A chart that says which Kubernetes it is rendered for, and makes a password up.
make_chart() {
  mkdir -p fleet/charted/templates
  printf 'apiVersion: v2\nname: charted\nversion: 0.1.0\n' >fleet/charted/Chart.yaml
  cat >fleet/charted/templates/all.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: made-for}
data: {minor: "{{ .Capabilities.KubeVersion.Minor }}"}
---
apiVersion: v1
kind: Secret
metadata: {name: made-up}
stringData: {password: "{{ randAlphaNum 16 }}"}
Y
  app charted 0 >fleet/root/charted.yaml
}

# The same of a Helm repository and of a registry, without a password to make up.
make_served() {
  mkdir -p served/templates
  sed 's/charted/served/' fleet/charted/Chart.yaml >served/Chart.yaml
  sed '/^---/,$d; s/made-for/served/' fleet/charted/templates/all.yaml >served/templates/cm.yaml
  charts_package served repo >/dev/null
  oci_push "$FILES_ROOT"/charts/repo/served-*.tgz
  app of-repo 0 | sed "s#source: .*#source: {repoURL: $(charts_index repo), chart: served, targetRevision: 0.1.0}#" >fleet/root/of-repo.yaml
  app of-oci 0 | sed "s#source: .*#source: {repoURL: \"$OCI_URL\", chart: served, targetRevision: '>=0.1.0 <1'}#" >fleet/root/of-oci.yaml
}

# shop comes before web by its wave alone; web needs the kind of kinds, which no wave says.
make_fleet() {
  mkdir -p fleet/root fleet/web fleet/shop fleet/kinds
  app shop -2 >fleet/root/shop.yaml
  app web 0 >fleet/root/web.yaml
  app kinds 1 >fleet/root/kinds.yaml
  sed -i 's/sync-wave: "1"/example.com: "1"/' fleet/root/kinds.yaml
  cat >fleet/kinds/crd.yaml <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: beside-the-kind}
Y
  cat >fleet/web/all.yaml <<'Y'
apiVersion: example.com/v1
kind: Widget
metadata: {name: of-web}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {url: "https://web.old.example.com/ on docker.io/library/nginx"}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {host: web.old.example.com}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {a: web}}
  template:
    metadata: {labels: {a: web}}
    spec:
      serviceAccountName: web
      initContainers: [{name: init, image: "registry.old.example.com:5000/tools/init:1"}]
      containers: [{name: c, image: nginx:1.27, envFrom: [{configMapRef: {name: web}}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls: [{hosts: [web.old.example.com, stays.example.com], secretName: tls}]
  rules:
  - host: web.old.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {a: web}, ports: [{port: 80}]}
Y
  cat >fleet/shop/all.yaml <<'Y'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: gp2, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: shop}
spec:
  serviceName: shop
  replicas: 0
  selector: {matchLabels: {a: shop}}
  template:
    metadata: {labels: {a: shop}}
    spec: {containers: [{name: c, image: "busybox@sha256:0000000000000000000000000000000000000000000000000000000000000001"}]}
  volumeClaimTemplates:
  - metadata: {name: v}
    spec: {storageClassName: gp2, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 2 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: registry.old.example.com:5000/tools/cron}]}}}}
Y
  make_spokes
  make_chart
  make_served
  (cd fleet && git init -q && git add . && git -c user.name=t -c user.email=t@example.com commit -qm 1)
}

# What only the cluster has: of web's namespace, of shop's, of nobody's.
make_live() {
  local c
  kubectl create namespace argocd
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 3 -keyout tls.key -out tls.crt 2>/dev/null
  kubectl -n web create secret tls tls --cert tls.crt --key tls.key
  kubectl -n shop create secret tls tls --cert tls.crt --key tls.key
  kubectl -n kube-system create secret tls sealed-1 --cert tls.crt --key tls.key
  kubectl -n argocd create secret generic east --from-literal=name=east --from-literal=server="$EAST" \
    --from-literal=config="$(kubectl config view --raw -o json | jq -c '{tlsClientConfig: {caData: .clusters[0].cluster["certificate-authority-data"],
      certData: .users[0].user["client-certificate-data"], keyData: .users[0].user["client-key-data"]}, bearerToken: (.users[0].user.token // "")}')"
  kubectl -n argocd create secret generic west --from-literal=name=west --from-literal=server=https://127.0.0.1:1 --from-literal=config='{}'
  for c in east west; do
    kubectl -n argocd label secret "$c" argocd.argoproj.io/secret-type=cluster
  done
  kubectl -n kube-system label secret sealed-1 sealedsecrets.bitnami.com/sealed-secrets-key=active
}

world() {
  kubectl get ns,crd,cm,secret,sa,svc,ing,deploy,sts,cronjob,pvc,widgets -A -o json | jq -cS '.items[]
    | select(.metadata.namespace != "regrow-system" and .metadata.name != "kube-root-ca.crt" and .metadata.name != "default")
    | select(.metadata.namespace // "" | startswith("kube-") | not)
    | select(.metadata.name | test("^(kube-|regrow-system)") | not)
    | del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.generation, .metadata.managedFields, .status,
        .spec.clusterIP, .spec.clusterIPs, .spec.conversion, .spec.volumeName, .metadata.annotations["deployment.kubernetes.io/revision"])' | sort
}

HOST=(--map host=web.old.example.com=web.new.example.org)
READY=(--ready PersistentVolumeClaim=applied --ready Ingress=applied)
saved() {
  EAST=$(kubectl config view --raw -o jsonpath='{.clusters[0].cluster.server}' | sed 's/127.0.0.1/localhost/')
  check 'the fleet grows' boot "${READY[@]}"
  make_live >/dev/null
  check 'and is saved' eval 'snap create --key job.key --use-cluster "$SCRATCH/fleet/root" -o json >created.json'
  is "$(field '[.clusters[] | [.name, .of, .applications, .objects, .unknown]]' created.json)" '[["west","hub",3,6,0],["east","cluster",3,6,0]]' \
    'and so is what goes to each other cluster, of which one could be asked'
  like "$(field '.clusters[0].why' created.json)" 'not answer|how to log in' 'it says why the other could not'
  world >world.before
}

# What lies between two snapshots, of each cluster for itself. In a copy, so that the newest stays what it is.
compared() {
  cp -r repo other
  export REGROW_REPO=$SCRATCH/other
  sed -i '1i data: {a: b}' fleet/edge/cm.yaml
  git -C fleet -c user.name=t -c user.email=t@example.com commit -qam 2
  check 'saved again' snap create --key job.key --use-cluster "$SCRATCH/fleet/root"
  snap diff 1 2 -i ann.id -o json >diff.json || true
  check 'documented' "$SHAPE" snapshot-diff 'clusters[].name,clusters[].applications[].objects[].fields[].path' <diff.json
  is "$(field '[.clusters[] | .name as $c | .applications[] | select(.name | startswith("edge")) | .objects[] | [$c, .kind, .name, .change, .fields[].path]]' diff.json)" \
    '[["west","ConfigMap","edge","changed","/data"],["east","ConfigMap","edge","changed","/data"]]' 'what differs on the other clusters'
  git -C fleet reset -q --hard HEAD~1
  refuse 'and in text' 20 snap diff 1 2 -i ann.id
  like "$(tr -s ' \n' ' ' <<<"$OUT")" '~ cluster west .*~ edge-west ~ ConfigMap web/edge /data .*~ cluster east .*~ edge-east ~ ConfigMap' 'under the name of each'
}

one_application() {
  cluster_wipe
  restore --app web --dry-run >plan.txt
  like "$(cat plan.txt)" 'Only application web: [0-9]+ objects' 'the plan says what is chosen'
  like "$(tr -s ' \n' ' ' <plan.txt)" 'made as well: CustomResourceDefinition widgets.example.com' 'and what it needs besides'
  unlike "$(cat plan.txt)" 'sealed-secrets' 'keys of others are not in it'
  is "$(restore --app web "${HOST[@]}" --dry-run -o json | jq -c '[.mappings[] | .objects, ([.places[].kind] | unique)]')" '[1,["Ingress"]]' \
    'with another name for a host the plan says where'
  refuse 'no such application' 4 restore --app nobody --yes
  refuse 'no such namespace' 4 restore --namespace nobody --yes
  refuse 'nothing of both' 4 restore --app web --namespace shop --dry-run
  like "$OUT" 'nothing is selected' 'it says so'
  like "$(cat plan.txt)" $'\n  1 application: ' 'only what is chosen is counted'
  # Nobody here gives an Ingress its address: that is for others, and so are names.
  refuse 'one application comes back, on another host' 8 restore --app web --yes "${HOST[@]}" --timeout 10s --report part.json
  like "$(tr -s ' \n' ' ' <<<"$OUT")" 'it waits for an address from the load balancer: Ingress web/web' 'it says who is waited for'
  like "$(tr -s ' \n' ' ' <<<"$OUT")" 'it waits for the DNS: web.new.example.org must lead to this cluster' 'and which name must lead here'
  is "$(field '[.awaited[] | [.kind, .object, .application]]' part.json)" '[["load-balancer","Ingress web/web","web"],["dns",null,null]]' 'and so for programs'
  is "$(kubectl -n web get ingress web -o jsonpath='{.spec.rules[0].host}') $(audit_rejected)" 'web.new.example.org 0' 'no write was rejected'
  check 'on its own again' restore --app web --yes "${READY[@]}" -o json
  restore --app web --yes "${READY[@]}" -o json >again.json
  check 'documented' "$SHAPE" restore 'part.chosen,part.needed' <again.json
  is "$(field '[.plan.create, .plan.change, .plan.prune, .part.chosen, (.part.made | length)]' again.json)" '[0,0,0,8,0]' 'again: nothing to do'
  is "$(field '[.result.objects.written, .result.applications.total, .result.applications.healthy]' again.json)" '[0,1,1]' 'of one application'
  is "$(kubectl get ns -o name | grep -cE '/(shop|kinds)$')" 0 'nothing of what only came before it'
  is "$(kubectl -n kube-system get secret sealed-1 --ignore-not-found)" '' 'no key of others'
  is "$(kubectl -n web get secret tls -o name)" secret/tls 'but the certificate of its namespace'
  is "$(audit_rejected)" 0 'no write was rejected'
}

the_rest() {
  check 'a full restore brings the rest' restore --yes "${READY[@]}" -o json --report rest.json
  is "$(field '[.missing[] | select(.kind == "volume") | .object] | sort' rest.json)" '["PersistentVolumeClaim shop/data","StatefulSet shop/shop"]' 'what came back empty is in the report'
  like "$(field '[.next_steps[].text]' rest.json)" 'fill the volumes, which came back empty, with the tool that saves them' 'and who fills it'
  restore --dry-run "${READY[@]}" -o json >rest.json
  is "$(field '[.plan.create, .plan.change, .plan.prune, .part]' rest.json)" '[0,0,0,null]' 'and leaves nothing'
  world >world.after
  check 'as it was' diff world.before world.after
}

one_namespace() {
  local writes
  mkdir -p fleet/root fleet/extra
  app extra 0 >fleet/root/extra.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: newer}\n' >fleet/extra/cm.yaml
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: newer-of-shop}\n' >fleet/shop/newer.yaml
  sed -i 's/^metadata: {name: beside-the-kind}/&\ndata: {newer: "1"}/' fleet/kinds/crd.yaml
  sed -i 's/^metadata: {name: widgets.example.com}/metadata: {name: widgets.example.com, labels: {newer: "1"}}/' fleet/kinds/crd.yaml
  (cd fleet && git add . && git -c user.name=t -c user.email=t@example.com commit -qm 2)
  check 'Git goes on' boot "${READY[@]}"
  kubectl delete namespace shop web --wait >/dev/null
  check 'two namespaces come back' restore -n shop --namespace web --yes "${READY[@]}" -o json
  is "$(kubectl -n shop get sts,cronjob,pvc,secret -o name | wc -l)" 4 'all of one of them'
  is "$(kubectl get crd widgets.example.com -o jsonpath='{.metadata.labels.newer}')" 1 'what is needed and newer stays'
  is "$(kubectl -n kinds get cm beside-the-kind -o jsonpath='{.data.newer}')" 1 'and what is not'
  is "$(kubectl -n extra get cm newer -o name)" configmap/newer 'an application the snapshot does not know stays'
  check 'from Git again' boot "${READY[@]}"
  is "$(kubectl -n shop get cm newer-of-shop -o name)" configmap/newer-of-shop 'what is newer in them comes from Git'
  writes=$(audit_writes)
  boot "${READY[@]}" >again.json
  is "$(audit_writes)" "$writes" 'and then nothing is written'
  is "$(field '.result.objects.pruned // .objects.pruned' again.json)" 0 'nor deleted'
}

# From the frozen sources for another Kubernetes; for one cluster of the hub, and for two at once.
rerendered() {
  local password
  cluster_wipe
  mv fleet fleet.away
  githttp_stop
  oci_stop
  refuse 'no helm' 3 restore --rerender --dry-run
  like "$OUT" 'application charted cannot be rendered again from .*(path|chart) .*: .*helm' 'it says what is missing, and of which source'
  like "$OUT" 'helm and kustomize on the PATH' 'and what to do'
  # shellcheck disable=SC2030
  check 'rendered again' env XDG_CACHE_HOME="$SCRATCH/bare-cache" "$REGROW" restore -i ann.id --timeout 1m --rerender --yes "${READY[@]}" -o json
  env XDG_CACHE_HOME="$SCRATCH/bare-cache" "$REGROW" restore -i ann.id --timeout 1m --rerender --dry-run "${READY[@]}" -o json >anew.json
  is "$(field '[.plan.create, .plan.change, .plan.prune]' anew.json)" '[0,0,0]' 'again: nothing to do'
  check 'documented' "$SHAPE" restore 'rerendered.changed' <anew.json
  is "$(field '.rerendered | [.changed, .added, .removed, .kept]' anew.json)" '[[],[],[],["Secret charted/made-up"]]' 'for the same Kubernetes nothing is other; what was made up stays'
  is "$(kubectl -n of-repo get cm served -o jsonpath='{.data.minor}') $(kubectl -n of-oci get cm served -o jsonpath='{.data.minor}')" "$(minor) $(minor)" \
    'charts of a repository and of a registry that are gone, too'
  is "$(jq -r '.rerendered | length' anew.json) $(restore --dry-run --rerender 2>&1 | grep -c 'cannot be rendered')" '4 1' 'and not without helm'
  password=$(kubectl -n charted get secret made-up -o jsonpath='{.data.password}')
  restore --yes "${READY[@]}" >/dev/null
  is "$(kubectl -n charted get secret made-up -o jsonpath='{.data.password}')" "$password" 'as it was frozen'
  mv fleet.away fleet
}

# helmed: with the programs. Nothing but the snapshot is there: no Git, no helm, no kustomize.
helmed() { env XDG_CACHE_HOME="$SCRATCH/bare-cache" "$REGROW" restore -i ann.id --timeout 1m "$@"; }
of_a_hub() {
  local c
  cluster_wipe
  mv fleet fleet.away
  refuse 'no such cluster' 4 helmed --cluster north --yes
  like "$OUT" 'no application of the snapshot goes to cluster north' 'it says so'
  check 'one cluster of a hub' restore --cluster east --yes -o json
  restore --cluster east --yes -o json >east.json
  is "$(field '[.plan.create, .plan.change, .plan.prune, .result.objects.written, .hubCluster.frozen, .hubCluster.of]' east.json)" '[0,0,0,0,true,"cluster"]' 'again: nothing to do'
  check 'documented' "$SHAPE" restore 'hubCluster.name,hubCluster.kubernetes' <east.json
  is "$(kubectl -n web get cm my-of-base made-for -o name | wc -l) $(kubectl -n web get secret made-up -o name)" '2 secret/made-up' 'what takes helm and kustomize too, without them'
  is "$(kubectl -n web get cm made-for -o jsonpath='{.data.minor}')" "$(minor)" 'for the Kubernetes it has'
  is "$(kubectl get cm -A -l '!x' -o name --field-selector metadata.name=edge | wc -l)" 1 'what goes there'
  is "$(kubectl -n web get cm edge -o jsonpath='{.metadata.annotations.argocd\.argoproj\.io/tracking-id}')" 'edge-east:/ConfigMap:web/edge' 'of that cluster'
  is "$(kubectl get ns -o name | grep -cE '/(shop|charted|argocd)$')" 0 'and nothing of the hub'
  is "$(audit_rejected)" 0 'no write was rejected'
  cluster_wipe
  helmed --cluster east --rerender --yes -o json >anew.json
  is "$(field '[.hubCluster.frozen, .result.applications.healthy]' anew.json)" '[false,3]' 'rendered again'
  refuse 'one of them twice' 2 helmed --cluster "east=$KUBECONFIG" --cluster "east=$SCRATCH/none" --yes
  refuse 'one kubeconfig for both' 2 helmed --cluster "east=$KUBECONFIG" --cluster "west=$KUBECONFIG" --yes
  like "$OUT" 'given twice' 'and why'
  refuse 'no kubeconfig of each' 2 helmed --cluster east --cluster east --yes
  refuse 'several, unasked' 2 helmed --cluster "east=$KUBECONFIG" --cluster "west=$SCRATCH/none"
  refuse 'the worst of both' 4 helmed --cluster "east=$KUBECONFIG" --cluster "west=$SCRATCH/none" --parallel 2 --yes -o json
  restore --cluster "east=$KUBECONFIG" --cluster "west=$SCRATCH/none" --yes --report "$SCRATCH/both.html" -o json >both.json || true
  is "$(field '[.clusters[].report]' both.json) $(grep -c 'cluster east\|edge-east' both-east.html | sed 's/^[1-9].*/some/') $(ls both*.html | wc -l)" "[\"$SCRATCH/both-east.html\",\"$SCRATCH/both-west.html\"] some 3" 'a report for each, whatever its end, and one of both'
  is "$(field '[.exitCode, (.clusters[] | [.cluster, .exitCode, .document.result.applications.healthy])]' both.json)" '[4,["east",0,3],["west",4,null]]' 'one fails, the other is there'
  check 'documented' "$SHAPE" restore-fleet 'clusters[].cluster,clusters[].problem' < <(jq 'del(.clusters[].document)' both.json)
  mv fleet.away fleet
}

# As one file: back into the repository, and one cluster of it without regrow.
exported() {
  check 'an export of a hub' snap export latest hub.tar -i ann.id --key job.key --recipient "$(age-keygen -y ann.id)"
  mkdir hub
  tar -xf hub.tar -C hub --strip-components 1
  like "$(sh hub/restore.sh clusters | tr '\n' ' ')" '^west https://127.0.0.1:1 west east https://localhost:[0-9]+ east $' 'it has the others'
  is "$(snap export latest doc.tar --no-secrets -i ann.id -o json | jq '.counts.clusters')" 2 'with and without Secrets'
  cp -r repo again
  check 'taken back' snap import hub.tar --repo again --key job.key -i ann.id --on-top
  check 'it is the same' snap diff 1 2 --repo again -i ann.id
  cluster_wipe
  refuse 'no such cluster' 1 sh hub/restore.sh objects --cluster north --yes -i ann.id
  refuse 'nor one that is empty' 1 sh hub/restore.sh objects --cluster '' --yes -i ann.id
  refuse 'no identity' 1 sh hub/restore.sh objects --cluster east --yes
  check 'one of them by kubectl and age alone' eval 'sh hub/restore.sh objects --cluster east --yes -i ann.id >east.txt'
  like "$(cat east.txt)" 'It gets what goes to cluster east' 'it says which'
  is "$(kubectl -n web get cm edge -o jsonpath='{.metadata.annotations.argocd\.argoproj\.io/tracking-id}') $(kubectl -n web get secret made-up -o name)" \
    'edge-east:/ConfigMap:web/edge secret/made-up' 'what goes there'
  is "$(kubectl get ns -o name | grep -cE '/(shop|charted|argocd)$')" 0 'and nothing of the hub'
  restore --cluster east --adopt --dry-run -o json >plan.json
  is "$(field '[.plan.create, .plan.prune]' plan.json)" '[0,0]' 'regrow misses none of it'
}

# Of a hub with three others, in a chain of its own: in a copy, so that the chain need not be said elsewhere.
hub_of_three() {
  local c
  mkdir -p three/root three/app
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-all}\n' >three/app/cm.yaml
  for c in one two three; do
    app "of-$c" 0 | sed "s#server: [^,]*#server: \"https://$c.example.com\"#; s#/fleet\"#/three\"#; s#path: of-$c#path: app#" >"three/root/$c.yaml"
  done
  (cd three && git init -q && git add . && git -c user.name=t -c user.email=t@example.com commit -qm 1)
  cp -r repo "$REGROW_REPO"
  snap key add --key repo.admin -i ann.id --role writer --chain three --out three.key >/dev/null
  (unset KUBECONFIG && snap create --chain three --key three.key "$SCRATCH/three/root" >/dev/null 2>&1)
}

# All of them side by side, never more than the bound, and one report of all, whatever the end of each.
three_at_once() {
  local c=(--cluster "https://one.example.com=$1" --cluster "https://two.example.com=$2" --cluster "https://three.example.com=$3")
  local -x REGROW_REPO=$SCRATCH/three-repo
  hub_of_three
  check 'three clusters, two at a time' eval 'restore --chain three "${c[@]}" --parallel 2 --yes --report three.html -o ndjson >three.ndjson'
  is "$(jq -sc '[foreach .[] as $e (0; if $e.type == "restore.cluster.begun" then . + 1 elif $e.type == "restore.cluster" then . - 1 else . end)]
    | [length, max, last]' three.ndjson)" '[6,2,0]' 'never more than that bound'
  check 'as documented' "$SHAPE" events <three.ndjson
  report_page three.html 'Restore of 3 clusters' '3 of 3 as they should be' 'at most 2 at a time' 'Cluster https://one.example.com' \
    'Cluster https://two.example.com' 'Cluster https://three.example.com' 'id="time-3-title"' 'of-three' '>phases<' '<dt>RPO</dt>'
  is "$(ls three-*.html | wc -l)" 3 'beside one of each'
  refuse 'one of them is not there' 4 restore --chain three "${c[@]/$3/$SCRATCH/none}" --yes --report lost.json
  like "$(tr -s ' \n' ' ' <<<"$OUT")" 'https://three.example.com: .*\(exit.4\).* report: lost.json' 'the line of it, and where the report is'
  check 'the report of all as documented' eval 'jq "del(.clusters[].document)" lost.json | "$SHAPE" restore-fleet "parallel,ms,clusters[].report"'
  is "$(field '[.exitCode, .parallel, (.clusters[] | [.cluster, .exitCode, .document.result.applications.healthy])]' lost.json)" \
    '[4,4,["https://one.example.com",0,1],["https://two.example.com",0,1],["https://three.example.com",4,null]]' 'and has the others'
}

# Two clusters at once, of which both come back, other names included; as many at a time as is said.
two_of_a_hub() {
  local which
  cluster_wipe
  A=$KUBECONFIG
  cluster_up west
  B=$KUBECONFIG
  cluster_up third
  three_at_once "$A" "$B" "$KUBECONFIG"
  cluster_down third
  for which in main west; do
    cluster_use "$which"
    cluster_control reset
  done
  check 'both at once' eval 'restore --cluster "east=$A" --cluster "west=$B" --yes -o json >both.json'
  is "$(field '[.exitCode, (.clusters[] | [.cluster, .exitCode])]' both.json)" '[0,["east",0],["west",0]]' 'and both are back'
  is "$(field '[.clusters[].document | [.hubCluster.name, .result.applications.healthy, .result.objects.written > 4, .result.objects.rejected]]' both.json)" \
    '[["east",3,true,0],["west",3,true,0]]' 'each with what is its own'
  restore --cluster "east=$A" --cluster "west=$B" --yes --parallel 1 -o ndjson >one.ndjson
  is "$(jq -sc 'map([.type[16:], .cluster, .exitCode])' one.ndjson)" \
    '[["begun","east",null],["","east",0],["begun","west",null],["","west",0]]' 'one at a time, where that is the bound'
  is "$(for c in "$A" "$B"; do kubectl --kubeconfig "$c" -n web get cm edge -o jsonpath='{.metadata.annotations.argocd\.argoproj\.io/tracking-id} '; done)" \
    'edge-east:/ConfigMap:web/edge edge-west:/ConfigMap:web/edge ' 'none has the other one'
  # Another registry for one cluster alone.
  KUBECONFIG=$A
  restore --cluster east --map registry=registry.old.example.com:5000=registry.new --yes -o json >mapped.json
  is "$(field '[.plan.change, .mappings[0].objects, .result.objects.written, .result.objects.rejected]' mapped.json)" '[1,1,1,0]' 'one cluster, with another registry'
  is "$(kubectl -n web get cronjob edge -o jsonpath='{..image}') $(kubectl --kubeconfig "$B" -n web get cronjob edge -o jsonpath='{..image}')" \
    'registry.new/tools/edge:1 registry.old.example.com:5000/tools/edge:1' 'there and nowhere else'
}

githttp_start
oci_start
cluster_up main
make_repo
make_fleet
# Another registry, other hosts, other storage: what is named and nothing else.
mapped() {
  cluster_wipe
  MAPS=(--map host=web.old.example.com=web.new.example.org --map storageClass=gp2=standard
    --map registry=registry.old.example.com:5000=registry.new --map registry=docker.io=mirror.new:5000/hub
    --map cluster=east=north --map "cluster=https://127.0.0.1:1=https://west.new.example.com")
  refuse 'a mapping of nothing' 4 restore --yes --map host=old.example.com=new.example.com
  like "$OUT" 'nothing in the snapshot has that name' 'it says so'
  refuse 'no mapping at all' 2 restore --yes --map host=old.example.com
  restore "${MAPS[@]}" --dry-run >maps.txt
  like "$(cat maps.txt)" 'Mapped host=web.old.example.com=web.new.example.org: 2 places in 1 object' 'the plan says how much'
  like "$(tr -s ' \n' ' ' <maps.txt)" 'Ingress web/web /spec/tls/0/hosts/0: web.old.example.com -> web.new.example.org' 'and where'
  restore "${MAPS[@]}" --yes "${READY[@]}" >mapped.txt
  like "$(tr -s ' \n' ' ' <mapped.txt)" 'Git still has the old names: .* change 5 objects back' 'it says what Git has'
  unlike "$(tr -s ' \n' ' ' <mapped.txt)" 'it changes nothing' 'and does not say the opposite'
  is "$(kubectl -n web get ingress web -o jsonpath='{.spec.rules[0].host} {.spec.tls[0].hosts}')" \
    'web.new.example.org ["web.new.example.org","stays.example.com"]' 'hosts'
  is "$(kubectl -n web get deploy web -o jsonpath='{.spec.template.spec.initContainers[0].image} {.spec.template.spec.containers[0].image}')" \
    'registry.new/tools/init:1 mirror.new:5000/hub/library/nginx:1.27' 'images'
  like "$(kubectl -n shop get sts,cronjob -o jsonpath='{..image}')" '^mirror.new:5000/hub/library/busybox@sha256:0+1 registry.new/tools/cron$' 'of every kind'
  is "$(kubectl -n shop get sts/shop pvc/data -o jsonpath='{..storageClassName}')" 'standard standard' 'storage classes'
  is "$(kubectl -n web get cm web -o jsonpath='{.data.url}')" 'https://web.old.example.com/ on docker.io/library/nginx' 'no text within a text'
  is "$(kubectl -n web get secret login -o jsonpath='{.data.host}' | base64 -d)" web.old.example.com 'no data of a Secret'
  is "$(for c in east west; do kubectl -n argocd get secret "$c" -o json | jq -r '.data | map_values(@base64d) | "\(.name) \(.server)"'; done | sed 's/localhost:[0-9]*/same/')" \
    $'north https://same\nwest https://west.new.example.com' 'registered clusters, by their name or server'
  like "$(kubectl -n argocd get secret east -o jsonpath='{.data.config}' | base64 -d)" tlsClientConfig 'whose credentials stay'
  restore "${MAPS[@]}" --dry-run "${READY[@]}" -o json >maps.json
  is "$(field '[.plan.create, .plan.change, .plan.prune, .plan.notComparable, ([.mappings[].objects] | add)]' maps.json)" '[0,0,0,0,12]' 'again: nothing to do'
  check 'documented' "$SHAPE" restore 'mappings[].map,mappings[].places[].pointer' <maps.json
  is "$(restore --dry-run "${READY[@]}" -o json | jq -c '.plan | [.change, (.changes | length), (.deletes | length)]')" '[5,5,0]' 'without the mappings they would be changed back'
  is "$(audit_rejected)" 0 'no write was rejected'
}

run_case saved saved
run_case compared compared
run_case 'one application' one_application
run_case 'the rest' the_rest
run_case 'one namespace' one_namespace
run_case mapped mapped
run_case rerendered rerendered
run_case 'of a hub' of_a_hub
run_case exported exported
run_case 'two of a hub' two_of_a_hub
