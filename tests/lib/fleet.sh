# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The fleet of the end-to-end tests: real add-ons of ../shared/upstream, custom resources of each,
# and tenants, in one repository. File names are chosen so that alphabetical order is wrong.
#
#   fleet_make DIR URL TENANTS [waves|hooks]   writes the repository (not committed) to DIR
#   fleet_state      the tenants' objects as they are in the cluster, without what differs from run
#                    to run
#   fleet_recorded   succeeds if what carries our mark is what the inventory holds

fleet_app() { # NAME NAMESPACE PATH [EXTRA-SOURCE-YAML] [ANNOTATIONS]
  cat <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: $1
  namespace: argocd
  finalizers: [resources-finalizer.argocd.argoproj.io]
  annotations: {${5:-}}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: $2}
  source:
    repoURL: $fleet_url
    targetRevision: main
    path: $3
${4:-}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
Y
}

fleet_wave() { # NUMBER -> annotation, when the fleet has waves
  [[ $fleet_kind == waves ]] && echo "argocd.argoproj.io/sync-wave: \"$1\""
  return 0
}

fleet_charts() { # DIR
  local up=$REGROW_SHARED/upstream d=$1/charts
  mkdir -p "$d"
  cp -r "$up/cert-manager/deploy/charts/cert-manager" "$d/"
  cp -r "$up/external-secrets/deploy/charts/external-secrets" "$d/"
  mkdir -p "$1/crds/external-secrets" "$1/crds/gateway-api" "$1/crds/prometheus"
  cp "$up/external-secrets/deploy/crds/bundle.yaml" "$1/crds/external-secrets/"
  cp "$up"/gateway-api/config/crd/standard/*.yaml "$1/crds/gateway-api/"
  rm -f "$1"/crds/gateway-api/*vap_safeupgrades.yaml
  cp "$up"/kube-prometheus/manifests/setup/0*.yaml "$1/crds/prometheus/"
  cp -r "$up/traefik/traefik" "$up/sealed-secrets/helm/sealed-secrets" \
    "$up/metrics-server/charts/metrics-server" "$up/kyverno/charts/kyverno" "$d/"
}

fleet_addons() { # DIR: alphabetically the last are needed first
  local r=$1/root
  mkdir -p "$r"
  fleet_app cert-manager cert-manager charts/cert-manager "    helm: {valuesObject: {crds: {enabled: true}}}" \
    "$(fleet_wave -5)" >"$r/z-cert-manager.yaml"
  fleet_app eso-crds external-secrets crds/external-secrets "" "$(fleet_wave -6)" >"$r/y-eso-crds.yaml"
  fleet_app external-secrets external-secrets charts/external-secrets \
    "    helm: {valuesObject: {installCRDs: false}}" "$(fleet_wave -5)" >"$r/x-external-secrets.yaml"
  fleet_app gateway-api gateway-api crds/gateway-api "" "$(fleet_wave -6)" >"$r/w-gateway-api.yaml"
  fleet_app prometheus-crds monitoring crds/prometheus "" "$(fleet_wave -6)" >"$r/v-prometheus-crds.yaml"
  fleet_app traefik traefik charts/traefik \
    "    helm: {skipCrds: false, valuesObject: {providers: {kubernetesGateway: {enabled: true}}}}" \
    "$(fleet_wave -4)" >"$r/u-traefik.yaml"
  fleet_app sealed-secrets kube-system charts/sealed-secrets "" "$(fleet_wave -5)" >"$r/t-sealed-secrets.yaml"
  fleet_app metrics-server kube-system charts/metrics-server "" "$(fleet_wave -5)" >"$r/s-metrics-server.yaml"
  fleet_app kyverno kyverno charts/kyverno "    helm: {valuesObject: {crds: {install: false}}}" "$(fleet_wave -5)" >"$r/r-kyverno.yaml"
}

fleet_platform() { # DIR: an object of each kind that an add-on brings
  mkdir -p "$1/platform"
  fleet_app platform platform platform "" "$(fleet_wave -2)" >"$1/root/a-platform.yaml"
  cat >"$1/platform/all.yaml" <<'Y'
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: edge}
spec: {secretName: edge-tls, dnsNames: [edge.example.com], issuerRef: {kind: ClusterIssuer, name: le}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: le}
spec: {selfSigned: {}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: db}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: vault}
  target: {name: db}
  data: [{secretKey: value, remoteRef: {key: db}}]
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: vault}
spec: {provider: {fake: {data: [{key: db, value: x}]}}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: strip}
spec: {stripPrefix: {prefixes: [/x]}}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, endpoints: [{port: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1
        env: [{name: DB, valueFrom: {secretKeyRef: {name: db, key: value}}}]
        volumeMounts: [{name: tls, mountPath: /tls}]
      volumes: [{name: tls, secret: {secretName: edge-tls}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
Y
}

fleet_hooks() { # NAME: what a tenant with hooks has besides
  cat <<Y
---
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {argocd.argoproj.io/hook: PreSync}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: m, image: "registry.example.com/m:1"}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: done
  annotations: {argocd.argoproj.io/hook: PostSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded}
data: {a: "1"}
Y
}

fleet_tenant() { # DIR NUMBER
  local n=tenant-$2 d=$1/tenants/tenant-$2
  mkdir -p "$d"
  fleet_app "$n" "$n" "tenants/$n" "" "$(fleet_wave 3)" >"$1/root/$n.yaml"
  cat >"$d/all.yaml" <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: api$([[ $fleet_kind == waves ]] && echo ', annotations: {argocd.argoproj.io/sync-wave: "2"}')}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      serviceAccountName: api
      containers:
      - {name: api, image: "registry.example.com/api:$2", envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: keys}}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: api}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: api}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: zz-api}
subjects: [{kind: ServiceAccount, name: api, namespace: $n}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: zz-api}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {tenant: "$2"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {key: "tenant-$2"}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: api}
spec: {minAvailable: 1, selector: {matchLabels: {app: api}}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: defaults}
spec: {limits: [{type: Container, default: {memory: 64Mi}}]}
Y
  if [[ $fleet_kind == hooks ]]; then fleet_hooks "$n" >>"$d/all.yaml"; fi
}

fleet_make() { # DIR URL TENANTS [waves|hooks]
  local i
  fleet_url=$2 fleet_kind=${4:-}
  rm -rf "$1"
  mkdir -p "$1/root"
  fleet_charts "$1"
  fleet_addons "$1"
  fleet_platform "$1"
  for ((i = 1; i <= $3; i++)); do fleet_tenant "$1" "$i"; done
}

# What there is, without what differs from run to run.
fleet_state() {
  kubectl get ns,deploy,svc,sa,role,rolebinding,cm,secret,netpol,pdb,limits,job -A -o json |
    jq -S '[.items[] | select(.metadata.namespace // .metadata.name | test("^tenant-"))
      | {kind, ns: .metadata.namespace, name: .metadata.name, data, spec: (.spec | del(.selector?, .template?.metadata?, .clusterIP?, .clusterIPs?)?)}]
      | map(select(.name | test("^kube-root|^default$") | not)) | sort_by(.kind, .ns, .name)'
}

# Everything of the inventory is there, and everything that carries our mark is in the inventory.
fleet_recorded() {
  local marked recorded
  marked=$(kubectl get deploy,svc,sa,role,rolebinding,cm,secret,netpol,pdb,limits -A -o json |
    jq '[.items[] | select(.metadata.annotations["argocd.argoproj.io/tracking-id"])] | length')
  recorded=$(kubectl get cm -n regrow-system -l regrow.dev/inventory=app -o json |
    jq '[.items[].data.records | split("\n")[1:][] | select(length > 0) | split("\t")
      | select(.[1] != "Namespace" and .[1] != "Job") | select(.[8] | contains("h") | not)] | length')
  [[ $marked == "$recorded" ]] || { echo "marked $marked, recorded $recorded"; return 1; }
}
