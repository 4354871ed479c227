// The policies: a list of them, and each with its sidecars, keys, refusals and conditions.
import { make } from "./shared/dom.js";
import { ago, bars, legend, link, meter, number, plural, refusedBy, sidecarStates, sign, tag, to, when, workloadLink } from "./parts.js";
import { fact, findings, th, title } from "./fleet.js";
import { groups } from "./refusals.js";

const counts = (s) => ({ ...s, behind: Math.max(0, s.total - s.current - s.rejecting - s.disconnected - s.missing) });
const mode = (p) => p.mode === "Audit" ? tag("Audit", "audit") : "";

export function policies(state) {
  if (!state.policies.length) return [title("Policies"), make("p", { class: "hint" }, state.loading ? "Asking the cluster." : "There are none.")];
  return [make("div", { class: "heading" }, title("Policies"), make("p", { class: "hint" }, number(state.policies.length))),
    make("section", { class: "pane", "aria-label": "Policies" }, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of policies" }, make("table", { class: "list" },
      make("thead", {}, make("tr", {}, th("Policy"), th("Ready"), th("Sidecars current", "num"), th(""), th("Keys"), th("Refused, 10 min", "num"), th(""))),
      make("tbody", {}, state.policies.map((p) => row(p, state))))))];
}

function row(p, state) {
  const s = p.sidecars ? counts(p.sidecars) : undefined;
  return make("tr", { "data-key": p.namespace + "/" + p.name, class: p.level },
    make("th", { scope: "row" }, make("div", { class: "named" }, sign(p.level), make("div", {}, link(to("policy", p.namespace, p.name), p.name), " ", mode(p), state.namespace ? "" : make("span", { class: "sub" }, p.namespace)))),
    make("td", {}, p.ready === "True" ? (p.reason === "NoWorkload" ? make("span", { class: "sub" }, "selects no pod") : "yes") : p.reason),
    make("td", { class: "num" }, s ? [make("b", {}, number(s.current)), make("span", { class: "of" }, "/" + number(s.total))] : "–"),
    make("td", { class: "meter-cell" }, s?.total ? meter(s, sidecarStates) : ""),
    make("td", {}, keysOf(p)),
    make("td", { class: "num" }, refusedBy(p)),
    make("td", { class: "bars-cell" }, p.refused ? bars(p.minutes) : ""));
}

const keyLevel = { Current: "good", Stale: "warn", Missing: "bad" };

function keysOf(p) {
  const all = p.keys || [];
  if (!all.length) return make("span", { class: "sub" }, "no issuer");
  const wrong = all.filter((k) => k.state !== "Current");
  return make("span", { class: "state" }, sign(wrong.some((k) => k.state === "Missing") ? "bad" : wrong.length ? "warn" : "good"),
    wrong.length ? `${wrong.map((k) => `${k.issuer}: ${(k.state || "unknown").toLowerCase()}`).join(", ")}` : plural(all.length, "source"));
}

export function policy(state, ui, namespace, name) {
  const p = state.policies.find((x) => x.namespace === namespace && x.name === name);
  if (!p) return [title(name), make("p", { class: "hint" }, state.loading ? "Asking the cluster." : `There is no policy ${name} in ${namespace}.`)];
  const found = state.findings.filter((f) => f.kind === "policy" && f.namespace === namespace && f.name === name);
  const s = p.sidecars ? counts(p.sidecars) : undefined;
  return [
    make("div", { class: "heading" }, sign(p.level), title(name), mode(p), make("p", { class: "hint" }, namespace),
      make("a", { class: "button", href: `playground/#policy=${encodeURIComponent(namespace + "/" + name)}` }, "Try it in the playground")),
    make("section", { class: "pane hero", "aria-label": "At a glance" }, make("dl", { class: "facts" },
      fact("Ready", p.ready === "True" ? "yes" : `${p.ready === "False" ? "no" : "not known"}: ${p.reason}`),
      fact("Selects", p.selector ? make("code", {}, p.selector) : "every injected pod of its namespace"),
      fact("Rules", number(p.rules)),
      fact("Generation", p.observed < p.generation ? `${p.generation}, controller at ${p.observed}` : number(p.generation)),
      fact("Workloads", p.workloads.length ? p.workloads.map((w, i) => [i ? ", " : "", workloadLink(namespace, w)]) : "none")),
    s?.total ? [meter(s, sidecarStates), legend(s, sidecarStates, ["current"])] : make("p", { class: "hint" }, "No sidecar has it yet.")),
    found.length ? findings(found, ui, "of-policy") : "",
    keys(p),
    make("section", { class: "pane", "aria-labelledby": "refused-title" },
      make("div", { class: "title" }, make("h2", { id: "refused-title" }, "Refused by it"), make("p", { class: "hint" }, p.heard ? `${number(p.refused)} in the last ${p.minutes.length} minutes` : "not known: none of its sidecars has been asked"), p.refused ? bars(p.minutes) : ""),
      p.heard ? groups(state.refusals.groups.filter((g) => g.policy === `${namespace}/${name}`), { reason: true, workload: true, rule: true }) : ""),
    conditions(p),
  ];
}

function keys(p) {
  const all = p.keys || [];
  if (!all.length) return "";
  return make("section", { class: "pane", "aria-labelledby": "keys-title" },
    make("div", { class: "title" }, make("h2", { id: "keys-title" }, "Keys"), make("p", { class: "hint" }, plural(all.length, "issuer"))),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of keys" }, make("table", { class: "list keys" },
      make("thead", {}, make("tr", {}, th("Issuer"), th("State"), th("Keys", "num"), th("Read"), th("From"), th("Pods without", "num"))),
      make("tbody", {}, all.map((k) => [
        make("tr", { "data-key": k.issuer, class: keyLevel[k.state] || "warn" }, make("th", { scope: "row" }, k.issuer, k.url ? make("span", { class: "sub break" }, k.url) : ""),
          make("td", {}, make("span", { class: "state" }, sign(keyLevel[k.state] || "warn"), k.state || "unknown")),
          make("td", { class: "num" }, number(k.keys)), make("td", {}, k.lastFetched ? when(k.lastFetched) : make("span", { class: "sub" }, "–")),
          make("td", { class: "break" }, k.source), make("td", { class: "num" }, k.podsWithout ? number(k.podsWithout) : make("span", { class: "sub" }, "0"))),
        k.message ? make("tr", { class: "under", "data-key": k.issuer + " message" }, make("td", { colspan: "6" }, k.message)) : "",
        ...held(k)])))));
}

/** held are the keys that a sidecar has in force, where that is known. */
function held(k) {
  if (!k.held?.length) return [];
  return [make("tr", { class: "under", "data-key": k.issuer + " held" }, make("td", { colspan: "6" }, make("ul", { class: "held" }, k.held.map((h) =>
    make("li", {}, make("span", { class: "mono" }, h.kid || "no kid"), " ", make("span", { class: "sub" }, [h.alg, h.kty, h.crv || h.bits, h.use].filter(Boolean).join(" ")), " ",
      h.thumbprint ? make("span", { class: "mono sub break" }, h.thumbprint) : ""))),
  make("p", { class: "hint" }, `In force in pod ${k.heldBy}`, k.heldMore ? `, and ${k.heldMore} more` : "", k.fetch?.next ? `; read again ${soon(k.fetch.next)}` : "")))];
}

function soon(time) {
  const s = Math.round((new Date(time) - Date.now()) / 1000);
  return s < 1 ? "now" : s < 120 ? `in ${s} s` : `in ${Math.round(s / 60)} min`;
}

function conditions(p) {
  return make("section", { class: "pane", "aria-labelledby": "conditions-title" }, make("div", { class: "title" }, make("h2", { id: "conditions-title" }, "Conditions")),
    p.conditions.length ? make("ul", { class: "conditions" }, p.conditions.map((c) => make("li", { "data-key": c.type }, sign(c.level),
      make("span", { class: "what" }, c.type), make("span", { class: "sub" }, `${c.reason}, since ${ago(c.since).replace(" ago", "")}`), make("span", { class: "text" }, c.message))))
      : make("p", { class: "hint" }, "The controller has written none yet."));
}
