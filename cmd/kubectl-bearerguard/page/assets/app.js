// The playground: what is typed goes to /decide, and what comes back is drawn. All text is set as text, never as HTML.
const $ = (id) => document.getElementById(id);

/** make returns an element with attributes and children. */
function make(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") e.addEventListener("click", value);
    else if (value !== undefined && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null && c !== ""));
  return e;
}

// ---- light and dark

const theme = document.documentElement;
$("theme").addEventListener("click", () => {
  const dark = theme.dataset.theme ? theme.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.dataset.theme = dark ? "light" : "dark";
});

// ---- the editor of the policy: a textarea over its own text in colours

const policy = $("policy"), paint = document.querySelector(".paint"), gutter = document.querySelector(".gutter");
const lineHeight = 20;
let errorLine = 0, shownLine = 0;

const word = /^(\s*(?:- )*)(?:("[^"]*"|'[^']*'|[^\s#:{}[\],"']+)(:)(?=\s|$))?(.*)$/;
const part = /("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|(#.*$)|([A-Za-z_][\w.$/-]*)(?=:\s)|(\b\d+(?:\.\d+)?[a-z]*\b|\b(?:true|false|null)\b)/g;

function paintLine(line) {
  if (/^\s*#/.test(line)) return [make("span", { class: "c" }, line)];
  const [, lead, key, colon, rest] = word.exec(line);
  const out = [lead];
  if (key) out.push(make("span", { class: "k" }, key), colon);
  let at = 0;
  for (const m of rest.matchAll(part)) {
    if (m[2] && m.index > 0 && !/\s/.test(rest[m.index - 1])) continue;
    out.push(rest.slice(at, m.index), make("span", { class: m[1] ? "s" : m[2] ? "c" : m[3] ? "k" : "n" }, m[0]));
    at = m.index + m[0].length;
  }
  out.push(rest.slice(at));
  return out;
}

function draw() {
  const lines = policy.value.split("\n");
  paint.replaceChildren(...lines.flatMap((line) => [...paintLine(line), "\n"]));
  gutter.replaceChildren(...lines.map((_, i) =>
    make("div", { class: i + 1 === errorLine ? "error" : i + 1 === shownLine ? "shown" : "" }, String(i + 1))));
  scroll();
}

function scroll() {
  paint.scrollTop = gutter.scrollTop = policy.scrollTop;
  paint.scrollLeft = policy.scrollLeft;
}
policy.addEventListener("scroll", scroll);
policy.addEventListener("input", () => { shownLine = 0; draw(); });

/** show marks a line of the policy and brings it into view. */
function show(line) {
  shownLine = line;
  policy.scrollTop = Math.max(0, (line - 6) * lineHeight);
  draw();
}

// ---- tabs: arrow keys move between them, as the ARIA pattern says

const tabs = [...document.querySelectorAll("[role=tab]")];
function choose(tab, focus) {
  for (const t of tabs) {
    const on = t === tab;
    t.setAttribute("aria-selected", on);
    t.tabIndex = on ? 0 : -1;
    $(t.getAttribute("aria-controls")).hidden = !on;
  }
  if (focus) tab.focus();
  ask();
}
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (e) => {
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    choose(tabs[(to + tabs.length) % tabs.length], true);
  });
});
const chosen = () => tabs.find((t) => t.getAttribute("aria-selected") === "true").id.slice("tab-".length);

// ---- the question

const fields = ["policy", "method", "target", "headers", "body", "remote", "at", "labels"];
function question() {
  const q = Object.fromEntries(fields.map((f) => [f, $(f).value]));
  q.port = Number($("port").value) || 0;
  if (chosen() === "claims") q.claims = $("claims").value;
  if (chosen() === "token") { q.token = $("token").value; q.keys = $("keys").value; }
  return q;
}

let timer, turn = 0;
function ask() {
  clearTimeout(timer);
  timer = setTimeout(send, 120);
}
async function send() {
  const mine = ++turn;
  $("explanation").classList.add("stale");
  let answer;
  try {
    const response = await fetch("decide", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question()) });
    answer = response.ok ? await response.json() : { problem: await response.text() };
  } catch {
    answer = { problem: "the program that serves this page does not answer: start it again" };
  }
  if (mine !== turn) return;
  $("explanation").classList.remove("stale");
  tell(answer);
}
for (const id of [...fields, "port", "claims", "token", "keys"]) $(id).addEventListener("input", ask);

// ---- the answer

function tell(a) {
  errorLine = a.problem && a.field === "policy" ? a.line || 0 : 0;
  draw();
  for (const id of [...fields, "port", "claims", "token", "keys"]) $(id).toggleAttribute("data-wrong", id === a.field);
  $("problem").hidden = !(a.problem && a.field === "policy");
  $("problem").textContent = $("problem").hidden ? "" : a.problem;
  if (a.problem) {
    $("banner").className = "banner wait";
    $("banner").replaceChildren(make("div", { class: "word" }, "Not decided"),
      make("p", { class: "why" }, a.field === "policy" ? "The policy has a mistake" + (a.line ? ` in line ${a.line}.` : ".") : a.problem));
    $("explanation").replaceChildren();
    return;
  }
  tellVerdict(a.report);
  $("explanation").replaceChildren(...[
    notes(a.report), outcome(a.report), rules(a), token(a.token, a.report.claims), issuers(a.report)].flat());
}

function tellVerdict(r) {
  const kind = r.answered ? "wait" : r.allowed ? "good" : "bad";
  const words = { wait: "Answered", good: "Allowed", bad: "Refused" };
  $("banner").className = "banner " + kind;
  $("banner").replaceChildren(
    make("div", { class: "word" }, words[kind], make("small", {}, [r.status, r.reason !== words[kind] && r.reason].filter(Boolean).join(" "))),
    r.rule || r.policy ? make("p", { class: "why" }, r.rule ? `Rule ${r.rule} of ${r.policy}` : `Policy ${r.policy}`) : "",
    r.cause ? make("p", { class: "why" }, r.cause) : "",
    !r.allowed && r.failed ? make("p", { class: "why" }, `Nearest: rule ${r.nearestRule || r.rule}, ${r.failed}`) : "");
}

const section = (title, ...content) => [make("h3", {}, title), ...content];

function notes(r) {
  const all = [...(r.warnings || []), ...(r.notes || [])];
  return all.length ? [make("ul", { class: "notes" }, ...all.map((n) => make("li", {}, n)))] : [];
}

/** outcome is what the app or the client gets. */
function outcome(r) {
  const line = (text) => {
    const colon = text.indexOf(": ");
    return [make("span", { class: "k" }, text.slice(0, colon)), text.slice(colon), "\n"];
  };
  if (r.allowed) {
    const lines = make("pre", { class: "lines" }, r.target, "\n", ...(r.headers || []).flatMap(line),
      ...(r.leftOut || []).map((l) => `left out: ${l.header}: ${l.cause}\n`));
    return section("The app gets", lines);
  }
  return section("The client gets", make("pre", { class: "lines" }, `${r.status} ${r.detail || ""}\n`, ...(r.answer || []).flatMap(line), r.body || ""));
}

function rules(a) {
  if (!a.policies?.length) return [];
  return section("Rules", make("ul", { class: "tree" }, ...a.policies.map((p) =>
    make("li", {}, make("div", { class: "policy" }, p.id, p.audit ? make("span", { class: "tag" }, "Audit") : ""),
      ...p.rules.map((r) => rule(r, a.report))))));
}

function rule(r, report) {
  const decided = report.rule === r.rule && report.policy === r.policy && (report.allowed || r.fits);
  const near = !report.allowed && !decided && (report.nearestRule || report.rule) === r.rule && (report.nearestPolicy || report.policy) === r.policy;
  const effect = r.effect.toLowerCase();
  const state = decided ? "decided" : near ? "nearest" : r.fits ? "fits" : r.matches ? "conditions do not hold" : "";
  const conditions = r.matches && r.conditions || [];
  return make("div", { class: ["rule", effect, decided ? "decided" : near ? "near" : "", r.matches ? "" : "off"].join(" ") },
    make("div", { class: "head" },
      mark(r.fits ? effect === "allow" : r.matches ? effect === "deny" : undefined),
      make("span", { class: "name" }, r.rule), effect === "deny" ? make("span", { class: "tag deny" }, "Deny") : "",
      make("span", { class: "state" }, ...(r.matches ? [] : ["other ", ...list((r.mismatches || []).map(field))]), near && !r.matches ? " · " : "", state)),
    conditions.length ? make("ul", {}, ...conditions.map(condition)) : "");
}

/** field is the name of a field that leads to its line. */
function field(f) {
  const short = f.field.replace(/^spec\.rules\[\d+\]\./, "").replace(/^match\[\d+\]\./, "");
  return f.line ? make("button", { type: "button", title: `Show line ${f.line}`, onclick: () => show(f.line) }, short) : make("code", {}, short);
}

/** list puts commas between what it is given, and leaves out what would be shown twice. */
function list(elements) {
  const seen = new Set();
  const once = elements.filter((e) => !seen.has(e.textContent) && seen.add(e.textContent));
  return once.flatMap((e, i) => i ? [", ", e] : [e]);
}

function mark(holds) {
  const [name, sign, text] = holds === undefined ? ["none", "·", "does not apply"] : holds ? ["yes", "✓", "holds"] : ["no", "✗", "does not hold"];
  return make("span", { class: "mark " + name, role: "img", "aria-label": text }, sign);
}

function condition(c) {
  return make("li", {}, mark(c.holds), field(c), make("span", { class: "problem-text" }, c.problem || ""));
}

function token(t, assumed) {
  if (!t) return [];
  const head = t.header ? section("Token header", make("pre", { class: "lines" }, t.header)) : [];
  if (!t.claims?.length) return [...head, ...section("Token", make("p", { class: "hint" }, t.note))];
  const rows = t.claims.map((c) => make("tr", {}, make("td", {}, c.name), make("td", {}, c.value),
    make("td", { class: "note" }, c.verdict ? make("span", { class: c.verdict }, c.verdict === "bad" ? "✗ " : "✓ ") : "", c.note || "")));
  return [...section("Claims", make("table", {}, make("thead", {}, make("tr", {}, ...["Claim", "Value", "What it means here"].map((h) => make("th", { scope: "col" }, h)))),
    make("tbody", {}, ...rows)),
    assumed?.filled ? make("p", { class: "hint filled" }, `Filled in as the issuer's tokens have them: ${assumed.filled.join(", ")}.`) : ""), ...head];
}

function issuers(r) {
  if (!r.issuers?.length) return [];
  return section("Issuers", make("ul", { class: "tree" }, make("li", { class: "rule" }, make("ul", {}, ...r.issuers.map((i) =>
    make("li", {}, mark(!i.reason), make("code", {}, `${i.issuer} of ${i.policy}`),
      make("span", { class: "problem-text" }, i.reason ? [i.reason, i.cause].filter(Boolean).join(": ") : "takes the token")))))));
}

// ---- examples

const examples = await (await fetch("examples.json")).json();
$("example").append(...examples.map((e, i) => make("option", { value: i }, e.title)));
function load(e) {
  for (const id of [...fields, "token", "keys", "claims"]) {
    if (e[id] !== undefined) $(id).value = e[id];
  }
  $("headers").value = e.headers || "";
  $("body").value = e.body || "";
  shownLine = 0;
  policy.scrollTop = 0;
  choose($("tab-" + (e.token ? "token" : e.claims ? "claims" : "nobody")));
  draw();
}
$("example").addEventListener("change", () => load(examples[$("example").value]));
load(examples[0]);
