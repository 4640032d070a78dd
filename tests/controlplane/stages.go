// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/yaml"
)

// What a pod can ask of its simulated node, as annotations of its template: another time until
// it is Ready, or never to be.
const (
	delayAnnotation = "pod-ready.stage.kwok.x-k8s.io/delay" // "5s"
	neverAnnotation = "pod-ready.stage.kwok.x-k8s.io/never" // "true"
)

const storageDriver = "simulated.storage.regrow.dev"

// What clouds do: a load balancer gets its address, a claim its volume, a released volume goes.
const cloudStages = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: service-load-balancer}
spec:
  resourceRef: {apiGroup: v1, kind: Service}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .spec.type, operator: In, values: [LoadBalancer]}
    - {key: ".status.loadBalancer.ingress.[].ip", operator: DoesNotExist}
  steps:
  - patch:
      root: status
      subresource: status
      type: merge
      template: |
        loadBalancer: {ingress: [{ip: 10.250.0.1, ipMode: VIP}]}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: claim-provision}
spec:
  resourceRef: {apiGroup: v1, kind: PersistentVolumeClaim}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .spec.volumeName, operator: DoesNotExist}
    - {key: .spec.storageClassName, operator: Exists}
  steps:
  - apply:
      template: |
        apiVersion: v1
        kind: PersistentVolume
        metadata:
          name: pvc-{{ .metadata.uid }}
        spec:
          accessModes:
          {{ YAML .spec.accessModes 2 }}
          capacity:
          {{ YAML .spec.resources.requests 2 }}
          persistentVolumeReclaimPolicy: Delete
          storageClassName: {{ .spec.storageClassName | Quote }}
          volumeMode: {{ or .spec.volumeMode "Filesystem" | Quote }}
          claimRef:
            apiVersion: v1
            kind: PersistentVolumeClaim
            name: {{ .metadata.name | Quote }}
            namespace: {{ .metadata.namespace | Quote }}
            uid: {{ .metadata.uid | Quote }}
          csi:
            driver: ` + storageDriver + `
            volumeHandle: {{ .metadata.uid | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: volume-delete}
spec:
  resourceRef: {apiGroup: v1, kind: PersistentVolume}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .spec.csi.driver, operator: In, values: [` + storageDriver + `]}
    - {key: .status.phase, operator: In, values: [Released]}
  steps:
  - delete: true
`

// kwokStages is kwok's configuration: its own stages, pods becoming Ready after delay, and clouds'.
func kwokStages(delay string) ([]byte, error) {
	d, err := time.ParseDuration(delay)
	if err != nil {
		return nil, err
	}
	var ready map[string]any
	if err := yaml.Unmarshal([]byte(podfast.DefaultPodReady), &ready); err != nil {
		return nil, err
	}
	spec := ready["spec"].(map[string]any)
	spec["delay"] = map[string]any{"durationMilliseconds": d.Milliseconds(),
		"durationFrom": map[string]any{"expressionFrom": annotation(delayAnnotation)}}
	selector := spec["selector"].(map[string]any)
	selector["matchExpressions"] = append(selector["matchExpressions"].([]any),
		map[string]any{"key": annotation(neverAnnotation), "operator": "DoesNotExist"})
	r, err := yaml.Marshal(ready)
	if err != nil {
		return nil, err
	}
	docs := []string{nodefast.DefaultNodeInit, string(r), podfast.DefaultPodComplete,
		podfast.DefaultPodDelete, cloudStages}
	return []byte(strings.Join(docs, "\n---\n")), nil
}

func annotation(name string) string {
	return `.metadata.annotations["` + name + `"]`
}
