// Why: a request is explained by a pod's sidecar or, with claims, by the policies that select the pod; and what became of one by its id.
import { $, make } from "./shared/dom.js";
import { explanation, verdict } from "./shared/report.js";
import { ago, link, reasonLink, rich, tag, to, when, workloadLink } from "./parts.js";

// ---- tabs: arrow keys move between them, as the ARIA pattern says

const tabs = [$("tab-request"), $("tab-id")];
function choose(tab, focus) {
  for (const t of tabs) {
    t.setAttribute("aria-selected", t === tab);
    t.tabIndex = t === tab ? 0 : -1;
    $(t.getAttribute("aria-controls")).hidden = t !== tab;
  }
  if (focus) tab.focus();
}
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (e) => {
    const next = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[e.key];
    if (next === undefined) return;
    e.preventDefault();
    choose(tabs[(next + tabs.length) % tabs.length], true);
  });
});

// ---- whom to ask

let state = { workloads: [] }, offered = "", wanted = {};

/** offer lists the workloads and pods that can be asked, and keeps what is chosen. */
export function offer(latest) {
  state = latest;
  const shape = state.workloads.map((w) => w.namespace + " " + w.name + " " + w.list.map((p) => p.name + p.running)).join();
  if (shape === offered) return;
  offered = shape;
  const chosen = $("workload").value;
  const namespaces = [...new Set(state.workloads.map((w) => w.namespace))].sort();
  $("workload").replaceChildren(...namespaces.map((n) => make("optgroup", { label: n }, state.workloads.filter((w) => w.namespace === n)
    .sort((a, b) => a.name < b.name ? -1 : 1).map((w) => make("option", { value: n + " " + w.name }, w.name)))));
  if (chosen) $("workload").value = chosen;
  aim();
  pods();
}

function pods() {
  const w = state.workloads.find((x) => x.namespace + " " + x.name === $("workload").value);
  const chosen = $("pod").value, all = [...(w?.list || [])].sort((a, b) => (b.state === "guarded") - (a.state === "guarded"));
  $("pod").replaceChildren(...all.map((p) => make("option", { value: p.name }, p.name + (p.running ? "" : " (no sidecar)"))));
  if (all.some((p) => p.name === chosen)) $("pod").value = chosen;
  if (all.some((p) => p.name === wanted.pod)) [$("pod").value, wanted.pod] = [wanted.pod, undefined];
}
$("workload").addEventListener("change", pods);

function aim() {
  const w = wanted.workload;
  if (!w || ![...$("workload").options].some((o) => o.value === w)) return;
  $("workload").value = w;
  wanted.workload = undefined;
}

/** open shows the forms as an address has them. */
export function open({ namespace, workload, pod, id }) {
  if (id !== undefined) {
    choose($("tab-id"));
    $("id").value = id;
    if (id) find();
    return;
  }
  if (!namespace) return;
  choose($("tab-request"));
  wanted = { workload: namespace + " " + workload, pod };
  aim();
  pods();
}

const who = () => document.querySelector("input[name=who]:checked").value;
for (const radio of document.querySelectorAll("input[name=who]")) {
  radio.addEventListener("change", () => {
    $("with-token").hidden = who() !== "token";
    $("with-claims").hidden = who() !== "claims";
  });
}

// ---- the questions

let turn = 0;
/** asking runs a question, and shows what comes of the last one asked. */
async function asking(text, ask, show) {
  const mine = ++turn;
  banner("wait", make("p", { class: "pulse" }, text));
  $("explanation").replaceChildren();
  let answer, problem;
  try {
    const response = await ask();
    if (response.ok) answer = await response.json();
    else problem = (await response.text()).trim();
  } catch {
    problem = "The program that serves this page does not answer: start it again.";
  }
  if (mine !== turn) return;
  if (problem) banner("wait", make("div", { class: "word" }, "No answer"), make("p", { class: "why" }, problem));
  else show(answer);
}

function banner(kind, ...content) {
  $("banner").className = "banner " + kind;
  $("banner").replaceChildren(...content);
}

$("ask").addEventListener("submit", (e) => {
  e.preventDefault();
  const [namespace] = $("workload").value.split(" ");
  const question = { namespace, pod: $("pod").value, method: $("method").value, target: $("target").value, headers: $("headers").value, body: $("body").value, token: "", claims: "" };
  if (who() === "token") question.token = $("token").value;
  if (who() === "claims") question.claims = $("claims").value.trim() || "{}";
  asking(who() === "claims" ? "Judging…" : `Asking the sidecar of ${question.pod}…`,
    () => fetch("api/explain", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question) }), explained);
});

function explained(a) {
  for (const id of ["method", "target", "headers", "token", "claims", "pod"]) $(id).toggleAttribute("data-wrong", Boolean(a.problem) && id === a.field);
  if (a.problem) {
    banner("wait", make("div", { class: "word" }, "No answer"), make("p", { class: "why" }, a.problem), a.do ? make("p", { class: "why" }, rich(a.do)) : "");
    return;
  }
  verdict($("banner"), a.report);
  $("explanation").replaceChildren(...[
    make("p", { class: "hint by" }, a.by === "sidecar" ? `By the sidecar, rules ${(a.snapshot || "").slice(0, 12)}` + (a.built ? `, loaded ${ago(a.built)}.` : ".") : "By the policies that select the pod, as the cluster has them."),
    a.do ? make("p", { class: "do" }, make("b", {}, "What to do: "), rich(a.do), " ", reasonLink(a.report.reason)) : "",
    ...explanation(a, () => {}),
  ].filter(Boolean));
}

$("seek").addEventListener("submit", (e) => {
  e.preventDefault();
  const to = "#/request/" + encodeURIComponent($("id").value.trim());
  if (location.hash === to) find();
  else location.hash = to;
});

function find() {
  asking("Asking the sidecars…", () => fetch("api/requests?id=" + encodeURIComponent($("id").value.trim())), found);
}

function found(f) {
  const asked = `${f.asked} sidecar${f.asked === 1 ? "" : "s"} asked` + (f.failed ? `, ${f.failed} could not be` : "") + (f.left ? `, ${f.left} were not for want of time` : "") + ".";
  if (!f.requests.length) {
    banner("wait", make("div", { class: "word" }, "Not found"),
      make("p", { class: "why" }, "No sidecar that was asked remembers it. It may be older than their memory, or they have been restarted since; the decision log may have a line: ", make("code", {}, "kubectl bearerguard logs --request-id ID")),
      make("p", { class: "why" }, asked), f.trouble ? make("p", { class: "why" }, `${f.trouble.text} ${f.trouble.do}`) : "");
    return;
  }
  const r = f.requests[0], refused = r.decision === "deny";
  banner(refused ? "bad" : "good", make("div", { class: "word" }, refused ? "Refused" : "Let through", make("small", {}, reasonLink(r.reason))),
    r.cause ? make("p", { class: "why" }, r.cause) : "", r.failed ? make("p", { class: "why" }, `Nearest: rule ${r.nearestRule || r.rule}, ${r.failed}`) : "");
  $("explanation").replaceChildren(...f.requests.flatMap(remembered), make("p", { class: "hint" }, asked));
}

function remembered(r) {
  const rule = r.rule || r.nearestRule, policy = r.policy || r.nearestPolicy;
  const facts = [["Request", make("code", {}, `${r.method || ""} ${r.path || ""}`)], ["Host", r.host], ["When", make("span", {}, when(r.time), `, ${new Date(r.time).toLocaleString()}`)],
    ["Workload", make("span", {}, workloadLink(r.namespace, r.workload), ` of ${r.namespace}, pod ${r.pod}`)], ["Policy", policy ? link(to("policy", policy), policy) : ""], ["Rule", rule],
    ["Because", r.cause], ["It failed for", r.failed], ["Issuer", r.issuerEntry], ["Audiences", (r.audiences || []).join(", ")], ["Key id", r.keyID], ["From", r.remote], ["Id", r.requestID]];
  return [
    r.do ? make("p", { class: "do" }, make("b", {}, "What to do: "), rich(r.do), " ", reasonLink(r.reason)) : "",
    make("dl", { class: "facts rows" }, facts.filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    ...(r.audit || []).map((a) => make("p", { class: "hint" }, tag("Audit", "audit"), ` ${a.policy} would have said ${a.reason}${a.rule ? `, by rule ${a.rule}` : ""}`)),
  ].filter(Boolean);
}
