// An explained decision, as package page answers it.
import { list, make, mark } from "./dom.js";

/** verdict fills a banner. */
export function verdict(banner, r) {
  const kind = r.answered ? "wait" : r.allowed ? "good" : "bad";
  const words = { wait: "Answered", good: "Allowed", bad: "Refused" };
  banner.className = "banner " + kind;
  banner.replaceChildren(
    make("div", { class: "word" }, words[kind], make("small", {}, [r.status, r.reason !== words[kind] && r.reason].filter(Boolean).join(" "))),
    r.rule || r.policy ? make("p", { class: "why" }, r.rule ? `Rule ${r.rule} of ${r.policy}` : `Policy ${r.policy}`) : "",
    r.cause ? make("p", { class: "why" }, r.cause) : "",
    !r.allowed && r.failed ? make("p", { class: "why" }, `Nearest: rule ${r.nearestRule || r.rule}, ${r.failed}`) : "");
}

/** explanation is everything below the banner. onLine is called with the line of a field that somebody wants to see. */
export function explanation(a, onLine) {
  return [notes(a.report), outcome(a.report), rules(a, onLine), token(a.token, a.report.claims), issuers(a.report)].flat();
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

function rules(a, onLine) {
  if (!a.policies?.length) return [];
  return section("Rules", make("ul", { class: "tree" }, ...a.policies.map((p) =>
    make("li", {}, make("div", { class: "policy" }, p.id, p.audit ? make("span", { class: "tag" }, "Audit") : ""),
      ...p.rules.map((r) => rule(r, a.report, onLine))))));
}

function rule(r, report, onLine) {
  const decided = report.rule === r.rule && report.policy === r.policy && (report.allowed || r.fits);
  const near = !report.allowed && !decided && (report.nearestRule || report.rule) === r.rule && (report.nearestPolicy || report.policy) === r.policy;
  const effect = r.effect.toLowerCase();
  const state = decided ? "decided" : near ? "nearest" : r.fits ? "fits" : r.matches ? "conditions do not hold" : "";
  const conditions = r.matches && r.conditions || [];
  return make("div", { class: ["rule", effect, decided ? "decided" : near ? "near" : "", r.matches ? "" : "off"].join(" ") },
    make("div", { class: "head" },
      mark(r.fits ? effect === "allow" : r.matches ? effect === "deny" : undefined),
      make("span", { class: "name" }, r.rule), effect === "deny" ? make("span", { class: "tag deny" }, "Deny") : "",
      make("span", { class: "state" }, ...(r.matches ? [] : ["other ", ...list((r.mismatches || []).map((f) => field(f, onLine)))]), near && !r.matches ? " · " : "", state)),
    conditions.length ? make("ul", {}, ...conditions.map((c) => condition(c, onLine))) : "");
}

/** field is the name of a field that leads to its line. */
function field(f, onLine) {
  const short = f.field.replace(/^spec\.rules\[\d+\]\./, "").replace(/^match\[\d+\]\./, "");
  return f.line ? make("button", { type: "button", title: `Show line ${f.line}`, onclick: () => onLine(f.line) }, short) : make("code", {}, short);
}

function condition(c, onLine) {
  return make("li", {}, mark(c.holds), field(c, onLine), make("span", { class: "problem-text" }, c.problem || ""));
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
