# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a report of a restore or a drill has to say. After env.sh and tap.sh.
#
#   report_times DOCUMENT PHASES   the phases are those (where nothing could be written for a while
#                                  that is a phase of its own, between two of "apply"), follow one another
#                                  and are the RTO; every application and the critical path are within
#   report_page FILE TEXT...       HTML that a strict reader takes, with those texts, nothing secret in
#                                  it, and nothing that is loaded or run

report_times() {
  is "$(jq -r '[.phases[].name] | join(" ") | gsub("apply( waiting( apply)?)+"; "apply")' <<<"$1")" "$2" 'its phases'
  is "$(jq '[.phases | map(select(.counted != false)) | range(1; length) as $i | .[$i].from_ms - .[$i - 1].from_ms - .[$i - 1].ms]
    | unique' -c <<<"$1")" '[0]' 'one after the other'
  is "$(jq '(.phases | map(select(.counted != false).ms) | add) - .rto_ms' <<<"$1")" 0 'the RTO is all of them'
  is "$(jq '.applications | length' <<<"$1")" "$(jq .result.applications.total <<<"$1")" 'every application is in the report'
  is "$(jq '.rto_ms as $all | [.applications[], .critical_path[] | select(.from_ms < 0 or .ms < 0 or .from_ms + .ms > $all)] | length' <<<"$1")" 0 \
    'within the time'
  is "$(jq '[.critical_path | length > 0, (map(.from_ms) | . == sort)]' -c <<<"$1")" '[true,true]' 'with a critical path, in its order'
  is "$(jq '(.began | fromdate) - (.snapshot.taken | fromdate) - .rpo_seconds' <<<"$1")" 0 'and the RPO: how old the snapshot was'
}

report_page() {
  local file=$1 text
  shift
  check "$file is a page" python3 - "$file" <<'P'
import sys
from html.parser import HTMLParser
class Page(HTMLParser):
    open = []
    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe", "object"), tag
        assert not [a for a, _ in attrs if a.startswith("on") or a in ("src", "href", "style")], attrs
        if tag != "meta":
            self.open.append(tag)
    def handle_startendtag(self, tag, attrs):
        pass
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
page.close()
assert not page.open, page.open
P
  for text in "$@"; do
    check "it says $text" grep -qF -- "$text" "$file"
  done
  refuse 'nothing secret is in it' 1 grep -qE "hunter2|aHVudGVyMg|AGE-SECRET|PRIVATE KEY" "$file"
}
