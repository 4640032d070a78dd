// SPDX-License-Identifier: Apache-2.0
//
// Shows what /api/v1/applications says, again whenever an event tells that something happened. Text
// only ever becomes text: nothing that comes from outside is taken for markup.
"use strict";

const $ = (id) => document.getElementById(id);
const rows = new Map(); // name -> {row, cells, more}
let apps = [];
let token = "";
let lastId = null;
let wanted = false; // another look is due
let asking = false;
let failures = 0;

const TONES = {
  Synced: "good", OutOfSync: "wait", Healthy: "good", Progressing: "wait", Degraded: "bad",
  Missing: "bad", Suspended: "none", Unknown: "bad",
};
const SIGNS = { good: "✓", wait: "…", bad: "✗", none: "–" };

function make(tag, text, tone) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (tone) e.className = tone;
  return e;
}

// Laid out as blocks on a phone, a table's parts would no longer be told as such.
function part(tag, role, tone) {
  const e = make(tag, undefined, tone);
  e.setAttribute("role", role);
  return e;
}

function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (token) headers.Authorization = `Bearer ${token}`;
  return fetch(path, { ...options, headers, cache: "no-store", redirect: "error" });
}

async function problemOf(answer) {
  try {
    return (await answer.json()).message || answer.statusText;
  } catch {
    return answer.statusText;
  }
}

// ---- one application ----

function state(cell, word) {
  const tone = TONES[word] || "none";
  const text = word ? `${SIGNS[tone]} ${word}` : "";
  if (cell.textContent === text) return;
  cell.replaceChildren(make("span", text, tone));
}

function waits(app) {
  if (app.problem) return app.problem;
  if (app.waitsFor) return `waits for ${app.waitsFor}`;
  return app.operation && app.operation.message ? app.operation.message : "";
}

function objects(app) {
  const parts = [`${app.ready} of ${app.objects} ready`];
  if (app.missing) parts.push(`${app.missing} missing`);
  if (app.differing) parts.push(`${app.differing} differ`);
  if (app.pruning) parts.push(`${app.pruning} to delete`);
  return app.objects === undefined ? "" : parts.join(", ");
}

function about(app) {
  const parts = [];
  if (app.cluster && app.cluster !== "in-cluster") parts.push(app.cluster);
  if (app.project && app.project !== "default") parts.push(app.project);
  if (app.revision) parts.push(app.revision.slice(0, 8));
  if (app.suspended) parts.push("suspended");
  return parts.join(" · ");
}

function fill(r, app) {
  put(r.button, app.name);
  put(r.about, about(app));
  state(r.cells[0], app.sync);
  state(r.cells[1], app.health);
  put(r.cells[2], objects(app));
  put(r.cells[3], waits(app));
}

function addRow(app) {
  const row = part("tr", "row");
  const head = part("th", "rowheader");
  head.scope = "row";
  const button = make("button", app.name);
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  const r = { row, button, about: make("span", "", "soft"), more: null };
  button.addEventListener("click", () => toggle(app.name));
  head.append(button, r.about);
  r.cells = ["state", "state", "number", ""].map((kind) => part("td", "cell", kind));
  row.append(head, ...r.cells);
  rows.set(app.name, r);
  return r;
}

// ---- its details ----

function toggle(name) {
  const r = rows.get(name);
  if (r.more) {
    r.more.remove();
    r.more = null;
  } else {
    r.more = part("tr", "row", "more");
    r.row.after(r.more);
    look(name);
  }
  r.button.setAttribute("aria-expanded", String(Boolean(r.more)));
}

function driftOf(list) {
  const ul = make("ul");
  for (const d of list.slice(0, 50)) {
    const what = [d.kind, [d.namespace, d.name].filter(Boolean).join("/")].join(" ");
    const by = d.manager ? `, by ${d.manager}` : "";
    ul.append(make("li", `${what} ${d.pointer || ""}${by}${d.healed ? ", healed" : ""}`));
  }
  if (list.length > 50) ul.append(make("li", `and ${list.length - 50} more`));
  return ul;
}

function detail(app) {
  const dl = make("dl");
  const add = (word, value) => {
    if (!value) return;
    const dd = make("dd");
    dd.append(value);
    dl.append(make("dt", word), dd);
  };
  add("Revision", app.revision);
  add("Namespace", app.namespace);
  add("Project", app.project);
  add("Last sync", app.operation && [app.operation.phase, app.operation.message].filter(Boolean).join(": "));
  add("Waits for", app.waitsFor);
  add("Problem", app.problem);
  if (app.drift && app.drift.length) add("Drift", driftOf(app.drift));
  return dl;
}

function acts(app) {
  const box = make("div", undefined, "acts");
  const said = make("span", "", "soft");
  said.setAttribute("role", "status");
  for (const [word, action] of [["Refresh", "refresh"], ["Sync", "sync"],
    app.suspended ? ["Resume", "resume"] : ["Suspend", "suspend"]]) {
    const b = make("button", word);
    b.type = "button";
    b.addEventListener("click", async () => {
      const path = `/api/v1/applications/${encodeURIComponent(app.name)}/${action}`;
      said.textContent = "…";
      try {
        const answer = await ask(path, { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } });
        said.textContent = answer.ok ? `${word} was asked for.` : await problemOf(answer);
      } catch {
        said.textContent = "The server does not answer.";
      }
    });
    box.append(b);
  }
  box.append(said);
  return box;
}

async function look(name) {
  const r = rows.get(name);
  if (!r || !r.more) return;
  const cell = part("td", "cell");
  cell.colSpan = 5;
  try {
    const answer = await ask(`/api/v1/applications/${encodeURIComponent(name)}`);
    if (answer.ok) {
      const app = await answer.json();
      cell.append(detail(app), acts(app));
    } else {
      cell.append(make("p", await problemOf(answer), "bad"));
    }
  } catch {
    cell.append(make("p", "The server does not answer.", "bad"));
  }
  if (r.more) r.more.replaceChildren(cell);
}

// ---- all of them ----

function verdict() {
  const bad = apps.filter((a) => !a.good).length;
  const text = !apps.length ? "There is no application yet."
    : bad ? `${apps.length - bad} of ${apps.length} applications are healthy and in sync`
      : `All ${apps.length} applications are healthy and in sync`;
  put($("verdict"), text);
  document.title = bad ? `(${bad}) regrow` : "regrow";
}

// Rows stay where they are; new ones come where their name belongs.
function show() {
  const body = $("applications").tBodies[0];
  const find = $("find").value.trim().toLowerCase();
  const names = new Set();
  let shown = 0;
  let at = body.firstChild;
  for (const app of apps) {
    const r = rows.get(app.name) || addRow(app);
    names.add(app.name);
    fill(r, app);
    const hide = (find && !app.name.toLowerCase().includes(find)) || ($("only").checked && app.good);
    r.row.hidden = Boolean(hide);
    if (r.more) r.more.hidden = r.row.hidden;
    shown += hide ? 0 : 1;
    if (r.row !== at) body.insertBefore(r.row, at);
    else at = at.nextSibling;
    if (r.more && r.more === at) at = at.nextSibling;
    else if (r.more) r.row.after(r.more);
  }
  for (const [name, r] of rows) {
    if (names.has(name)) continue;
    r.row.remove();
    if (r.more) r.more.remove();
    rows.delete(name);
  }
  put($("count"), shown === apps.length ? "" : `${shown} of ${apps.length} shown`);
  $("none").hidden = shown > 0;
  verdict();
}

function signIn(problem) {
  $("shown").hidden = true;
  $("sign-in").hidden = false;
  put($("verdict"), "Who are you?");
  put($("live"), "");
  put($("token-problem"), problem);
  $("token").focus();
}

// True: it went well, and the events may be followed.
async function load() {
  const answer = await ask("/api/v1/applications");
  if (answer.status === 401 || answer.status === 403) {
    signIn(token ? await problemOf(answer) : "");
    return false;
  }
  if (!answer.ok) throw new Error(await problemOf(answer));
  const doc = await answer.json();
  apps = doc.applications.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  $("sign-in").hidden = true;
  $("shown").hidden = false;
  show();
  for (const [name, r] of rows) if (r.more) look(name);
  return true;
}

// However much happens, one look a second.
function loadSoon() {
  wanted = true;
  if (asking) return;
  asking = true;
  setTimeout(async () => {
    wanted = false;
    try {
      await load();
    } catch {
      wanted = true;
    }
    asking = false;
    if (wanted) loadSoon();
  }, 1000);
}

// ---- events ----

function take(block) {
  let type = "message";
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) lastId = line.slice(4);
    else if (line.startsWith("event: ")) type = line.slice(7);
    else if (line.startsWith("data: ")) loadSoon();
  }
  return type;
}

async function follow() {
  const headers = lastId ? { "Last-Event-ID": lastId } : {};
  const answer = await ask("/api/v1/events", { headers });
  if (!answer.ok) throw new Error(await problemOf(answer));
  if (!(await load())) return;
  put($("live"), "Live");
  failures = 0;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    blocks.forEach(take);
  }
}

async function run() {
  for (;;) {
    try {
      if (!(await load())) return;
      await follow();
    } catch (e) {
      failures++;
      const again = Math.min(30, 2 ** failures);
      put($("live"), `Not live: ${e.name === "TypeError" ? "the server does not answer" : e.message}. Trying again.`);
      if (!apps.length) put($("verdict"), "Nothing is known yet");
      await new Promise((done) => setTimeout(done, again * 1000 * (0.5 + Math.random() / 2)));
    }
    if (!$("sign-in").hidden) return;
  }
}

$("sign-in").addEventListener("submit", (e) => {
  e.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  run();
});
$("find").addEventListener("input", show);
$("only").addEventListener("change", show);
run();
