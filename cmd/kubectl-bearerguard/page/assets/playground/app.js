// The playground: what is typed goes to /decide, and what comes back is drawn.
import { $, make } from "../shared/dom.js";
import { explanation, verdict } from "../shared/report.js";

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
  verdict($("banner"), a.report);
  $("explanation").replaceChildren(...explanation(a, show));
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

// The dashboard leads here with a policy of the cluster.
const [, which] = /^#policy=([^&]+)$/.exec(location.hash) || [];
const given = which && await fetch("../api/question?policy=" + which);
if (given?.ok) {
  const q = await given.json();
  examples.push(q);
  $("example").append(make("option", { value: examples.length - 1 }, q.title));
  $("example").value = examples.length - 1;
  load(q);
} else {
  load(examples[0]);
}
