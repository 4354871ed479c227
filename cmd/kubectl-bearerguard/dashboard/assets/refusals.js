// What is refused now, and why.
import { make } from "./shared/dom.js";
import { ago, axis, bars, command, link, number, plural, reasonLink, rich, tag, to, when, workloadLink } from "./parts.js";
import { th, title } from "./fleet.js";

export function refusals(state, ui) {
  const r = state.refusals;
  const head = make("div", { class: "heading" }, title("Refusals"), make("p", { class: "hint" }, `the last ${r.minutes.length} minutes`));
  if (!r.asked) {
    return [head, make("section", { class: "pane" }, make("p", { class: "hint" }, state.loading ? "Asking the cluster." : r.failed ? "No sidecar could be asked."
      : r.sidecars ? "Asking the sidecars." : "No sidecar runs here, so nothing is refused."))];
  }
  return [head, summary(r), r.reasons.length ? byReason(r, ui) : "", r.recent.length ? recent(r) : ""];
}

function summary(r) {
  const heard = r.asked === r.sidecars ? `All ${plural(r.sidecars, "sidecar")} asked` : `${number(r.asked)} of ${plural(r.sidecars, "sidecar")} asked so far`;
  return make("section", { class: "pane refused", "aria-label": "How many" },
    make("div", { class: "count" }, make("b", {}, number(r.count) + (r.atLeast ? "+" : "")), make("span", { class: "hint" }, r.count ? "refused" : "Nothing was refused.")),
    r.count ? make("div", { class: "chart" }, bars(r.minutes, "large"), axis(r.minutes)) : "",
    make("p", { class: "hint" }, heard, r.failed ? `, ${number(r.failed)} could not be asked` : "", r.oldest ? `; the oldest answer came ${ago(r.oldest)}` : "", ".",
      r.atLeast ? " Some have refused more than they were asked for." : ""));
}

function byReason(r) {
  const most = r.reasons[0].count;
  return make("section", { class: "pane", "aria-labelledby": "reasons-title" },
    make("div", { class: "title" }, make("h2", { id: "reasons-title" }, "By reason"), make("p", { class: "hint" }, plural(r.reasons.length, "reason"))),
    make("ul", { class: "reasons" }, r.reasons.map((x) => make("li", { "data-key": x.reason }, make("details", {},
      make("summary", {}, make("span", { class: "what" }, x.reason), tag(String(x.status), "status"), share(x.count / most), make("span", { class: "num" }, number(x.count)), bars(x.minutes),
        make("span", { class: "text" }, x.workloads.map((w) => w.name).join(", ") + (x.more ? ` and ${x.more} more` : ""))),
      make("div", { class: "advice" }, make("p", {}, make("b", {}, "What to do: "), rich(x.do), " ", link(to("reason", x.reason), `All about ${x.reason}`)),
        groups(r.groups.filter((g) => g.reason === x.reason), { workload: true, policy: true, rule: true }, ": " + x.reason)))))));
}

function share(part) {
  const NS = "http://www.w3.org/2000/svg", e = document.createElementNS(NS, "svg"), rect = document.createElementNS(NS, "rect");
  e.setAttribute("class", "share");
  e.setAttribute("aria-hidden", "true");
  rect.setAttribute("width", Math.max(1, part * 100) + "%");
  rect.setAttribute("height", "100%");
  rect.setAttribute("rx", "3");
  e.append(rect);
  return e;
}

/** groups is a table of refusals alike, with the columns that tell them apart. */
export function groups(all, { reason, workload, policy, rule }, of = "") {
  if (!all.length) return make("p", { class: "hint none" }, "None.");
  const shown = all.slice(0, 12);
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Refusals alike" + of }, make("table", { class: "list groups" },
    make("thead", {}, make("tr", {}, th("Count", "num"), reason ? th("Reason") : "", workload ? th("Workload") : "", policy ? th("Policy") : "", rule ? th("Rule") : "", th("Because"), th("Last"))),
    make("tbody", {}, shown.map((g) => make("tr", { "data-key": [g.namespace, g.workload, g.reason, g.policy, g.rule, g.cause, g.failed].join(" ") },
      make("td", { class: "num" }, number(g.count)), reason ? make("td", {}, reasonLink(g.reason)) : "", workload ? make("td", {}, workloadLink(g.namespace, g.workload)) : "",
      policy ? make("td", {}, g.policy ? link(to("policy", g.policy), g.policy) : make("span", { class: "sub" }, "–")) : "",
      rule ? make("td", {}, g.rule ? [g.nearest ? make("span", { class: "sub" }, "nearest: ") : "", g.rule] : make("span", { class: "sub" }, "–")) : "",
      make("td", { class: "because" }, [g.cause, g.failed].filter(Boolean).join("; ") || make("span", { class: "sub" }, "the reason says it all")),
      make("td", { class: "nowrap" }, g.example ? link(to("request", g.example), when(g.last)) : when(g.last)))))),
  all.length > shown.length ? make("p", { class: "hint" }, `and ${plural(all.length - shown.length, "more kind")}`) : "");
}

function recent(r) {
  return make("section", { class: "pane", "aria-labelledby": "recent-title" },
    make("div", { class: "title" }, make("h2", { id: "recent-title" }, "The last ones"), make("p", { class: "hint" }, "an id leads to all that is known of a request")),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of the last refusals" }, make("table", { class: "list" },
      make("thead", {}, make("tr", {}, th("When"), th("Request"), th("Reason"), th("Workload"), th("Id"))),
      make("tbody", {}, r.recent.slice(0, 25).map((q) => make("tr", { "data-key": q.id || q.time + q.pod }, make("td", { class: "nowrap" }, when(q.time)),
        make("td", { class: "mono request" }, `${q.method || ""} ${q.path || ""}`), make("td", { class: "nowrap" }, reasonLink(q.reason), " ", make("span", { class: "sub" }, String(q.status))),
        make("td", {}, workloadLink(q.namespace, q.workload)), make("td", { class: "mono" }, q.id ? link(to("request", q.id), q.id.slice(0, 8)) : "")))))));
}

// ---- the page of a reason, from the same source as docs/reasons.md

let known;
export async function reasons() {
  known ||= await (await fetch("reasons.json")).json();
  return known;
}

export function reason(state, all, name) {
  const r = all.find((x) => x.name === name);
  if (!r) return [title(name), make("p", { class: "hint" }, "There is no such reason.")];
  const now = state.refusals.reasons.find((x) => x.reason === name);
  return [
    make("div", { class: "heading" }, title(name), make("p", { class: "hint" }, r.group)),
    make("section", { class: "pane reason", "aria-label": "About it" },
      make("p", { class: "means" }, rich(r.means)),
      make("h2", {}, "What to do"), make("p", {}, rich(r.do)), (r.try || []).map(command),
      r.sees ? [make("h2", {}, "The client sees"), make("p", {}, rich(r.sees))] : "",
      r.causes?.length ? [make("h2", {}, "Causes"), make("ul", { class: "causes" }, r.causes.map((c) => make("li", {}, c)))] : ""),
    make("section", { class: "pane", "aria-labelledby": "now-title" },
      make("div", { class: "title" }, make("h2", { id: "now-title" }, "Now"), make("p", { class: "hint" }, now ? `${number(now.count)} in the last ${now.minutes.length} minutes` : "none in the last minutes"), now ? bars(now.minutes) : ""),
      groups(state.refusals.groups.filter((g) => g.reason === name), { workload: true, policy: true, rule: true })),
  ];
}
