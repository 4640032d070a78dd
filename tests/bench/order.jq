# SPDX-License-Identifier: Apache-2.0
#
# The file for tests/bench/ordered: objects of "regrow render -o json" (RENDER) with the order of
# "regrow plan -o json" (PLAN) written out.
#
#   jq -n --slurpfile render RENDER --slurpfile plan PLAN --argjson soft true -f order.jq
#
# Definitions come first, small before large; everything else as deep as the plan says. With soft
# false only what must not be otherwise is kept: namespaces, definitions, webhooks, roles, phases.

def id: "\(.apiVersion | if contains("/") then split("/")[0] else "" end)/\(.kind)/\(.metadata.namespace // "")/\(.metadata.name)";
def plan_id: "\(.group)/\(.kind)/\(.namespace // "")/\(.name)";
def shown: "\(.kind) \(if .metadata.namespace then .metadata.namespace + "/" else "" end)\(.metadata.name)";
def barrier: capture("^(?<phase>[A-Za-z]+) wave -?[0-9]+ of (?<app>.*)$");

($plan[0].objects | map({key: plan_id, value: .}) | from_entries) as $planned
| (($render[0].items) | map(. as $o | {o: $o, p: $planned[id]})
  | sort_by(if .o.kind == "CustomResourceDefinition" then [0, (.o | tojson | length)] else [1, .p.depth] end)) as $all
| [$all[].o] as $objects
| (reduce range($objects | length) as $i ({}; .[$objects[$i] | shown] += [$i])) as $by_label
# A barrier waits for all of its application that does not itself wait for a barrier, or for those
# that do, when it is one behind the first.
| (reduce range($all | length) as $i ({};
    ([$all[$i].p.waitsFor[] | .why] | any(. == "phase" or . == "wave")) as $late
    | .["\($all[$i].p.application)/\(if $late then "late" else "early" end)"] += [$i])) as $members
| [$all[].p.waitsFor[] | select(.why == "webhook") | .on | ltrimstr("webhook ")] | unique as $hooks
| {
    objects: $objects,
    after: [range($all | length) as $i | [$all[$i].p.waitsFor[]
      | select(.hard or $soft) | select(.why != "start" and .why != "webhook")
      | . as $w
      | if .why == "phase" or .why == "wave" then
          (.on | barrier) as $b
          | $members["\($b.app)/\(if $b.phase == "Sync" then "early" else "late" end)"][]
          # the first wave of a phase is all that is late, this object left out
          | select($all[.].p.depth < $all[$i].p.depth) | [., "ready"]
        else $by_label[.on][] | [., $w.need] end] | unique],
    gate: [$all[] | [.p.waitsFor[] | select(.why == "webhook") | .on | ltrimstr("webhook ")] | first // null
      | if . == null then null else . as $h | $hooks | index($h) end],
    gates: [$hooks[] as $h
      | [$objects[] | select(.kind | endswith("WebhookConfiguration")) | select(any(.webhooks[]; .name == $h))] as $c
      | {configs: [$c[].metadata.name] | unique,
         services: [$c[].webhooks[] | select(.name == $h) | .clientConfig.service | "\(.namespace)/\(.name)"] | unique}]
  }
