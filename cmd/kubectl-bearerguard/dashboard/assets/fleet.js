// The fleet: whether all is guarded, what is wrong and what to do about it, the workloads, and what is refused.
import { make } from "./shared/dom.js";
import { bars, command, legend, link, meter, number, plural, podStates, reasonLink, refusedBy, rich, sign, tag, to, workloadLink } from "./parts.js";

const shownFindings = 5, shownWorkloads = 40;

export function fleet(state, ui) {
  if (state.loading) return loading();
  if (!state.policiesKnown) return [title("Fleet", true)];
  const parts = [title("Fleet", true)];
  if (state.policiesKnown && !state.policies.length) parts.push(empty(state));
  else parts.push(overview(state));
  if (state.findings.length) parts.push(findings(state.findings, ui, "findings"));
  if (state.workloads.length) parts.push(workloads(state, ui));
  return parts;
}

export const title = (text, hidden) => make("h1", { class: hidden ? "visually-hidden" : "page-title", tabindex: "-1" }, text);

function loading() {
  return [title("Loading", true), make("div", { class: "loading", "aria-busy": "true" }, make("p", { class: "visually-hidden" }, "Asking the cluster."),
    make("div", { class: "bone hero" }), make("div", { class: "bone" }), make("div", { class: "bone tall" }))];
}

function empty(state) {
  const namespace = state.namespace || "NAMESPACE";
  return make("section", { class: "pane empty-state", "aria-labelledby": "empty" },
    make("h2", { id: "empty" }, state.namespace ? `There are no policies in ${state.namespace} yet` : "There are no policies yet"),
    make("p", {}, "Without one, nothing is guarded. Three steps to the first:"),
    make("ol", { class: "steps" },
      make("li", {}, "Try a policy in the ", link("playground/", "playground"), ", which begins with examples, and save it to a file."),
      make("li", {}, "Let pods of the namespace have a sidecar, and roll them out.",
        command(`kubectl label namespace ${namespace} bearerguard.dev/inject=enabled`), command(`kubectl rollout restart -n ${namespace} deploy/NAME`)),
      make("li", {}, "Apply the policy. This page shows it some seconds later.", command(`kubectl apply -n ${namespace} -f policy.yaml`))),
    make("p", { class: "hint" }, "Elsewhere? Start the dashboard with ", make("code", {}, "-n"), " and another namespace, or with ", make("code", {}, "-A"), " for all."));
}

// ---- at a glance

function overview(state) {
  const p = state.pods, open = p.bare + p.bypassable;
  const level = open ? "bad" : p.unready + p.uncovered + p.audited ? "warn" : p.total ? "good" : "warn";
  const head = !state.podsKnown ? "Pods are not known" : !p.total ? "No pods are selected" : open ? `${plural(open, "pod is", "pods are")} not guarded`
    : p.total === 1 ? "The pod is guarded" : p.guarded === p.total ? `All ${number(p.total)} pods are guarded` : p.audited ? `${plural(p.audited, "pod")} refuse${p.audited === 1 ? "s" : ""} nothing yet` : "Every pod is guarded, some refuse all";
  const about = !p.total ? "The policies select none that lives." : open ? "Whoever reaches them gets in without a token." : p.audited ? "Only Audit policies select them."
    : "Nobody gets past a sidecar, and nothing without a policy is let in.";
  return make("section", { class: "overview", "aria-label": "At a glance" },
    make("div", { class: "pane hero " + level },
      make("div", { class: "answer" }, sign(level), make("div", {}, make("h2", {}, head), make("p", { class: "hint" }, about))),
      p.total ? [meter(p, podStates), legend(p, podStates, ["guarded"])] : ""),
    make("div", { class: "tiles" }, policyTile(state), keyTile(state), refusalTile(state)));
}

function tile(href, name, value, of, note, level, extra) {
  return make("a", { class: "pane tile", href }, make("span", { class: "name" }, name),
    make("span", { class: "value" }, make("b", {}, value), of !== undefined ? make("span", { class: "of" }, " of " + of) : "", extra || ""),
    make("span", { class: "note" }, level ? sign(level) : "", make("span", {}, note)));
}

function policyTile(s) {
  const level = worst(s.policies), current = s.policies.filter((p) => p.ready === "True").length;
  const behind = s.policies.reduce((n, p) => n + (p.sidecars ? p.sidecars.total - p.sidecars.current - p.sidecars.missing : 0), 0);
  return tile("#/policies", "Policies ready", number(current), number(s.policies.length),
    current < s.policies.length ? `${number(s.policies.length - current)} not ready` : behind ? `${plural(behind, "sidecar")} behind` : "every sidecar is current", level);
}

const worst = (all) => all.some((x) => x.level === "bad") ? "bad" : all.some((x) => x.level === "warn") ? "warn" : "good";

function keyTile(s) {
  const all = s.policies.flatMap((p) => p.keys || []);
  const count = (state) => all.filter((k) => k.state === state).length;
  const missing = count("Missing"), stale = count("Stale"), good = count("Current");
  return tile("#/policies", "Key sources current", number(good), number(all.length),
    [missing && `${missing} missing`, stale && `${stale} stale`].filter(Boolean).join(", ") || (good === all.length ? "all can be read" : "some are not known yet"),
    missing ? "bad" : stale || good < all.length ? "warn" : "good");
}

function refusalTile(s) {
  const r = s.refusals, known = r.asked > 0;
  return tile("#/refusals", `Refused in ${r.minutes.length} min`, known ? number(r.count) + (r.atLeast ? "+" : "") : "–", undefined,
    !known ? (r.failed ? "no sidecar could be asked" : r.sidecars ? "asking the sidecars" : "no sidecar runs")
      : r.reasons.length ? `mostly ${r.reasons[0].reason}` : "nothing", "", known ? bars(r.minutes) : "");
}

// ---- what is wrong

/** findings lists what is wrong, the worst first. */
export function findings(all, ui, name) {
  const shown = ui.more.has(name) ? all : all.slice(0, shownFindings);
  return make("section", { class: "pane", "aria-labelledby": name + "-title" },
    make("div", { class: "title" }, make("h2", { id: name + "-title" }, "What to do"), make("p", { class: "hint" }, plural(all.length, "finding") + (all.length > 1 ? ", the worst first" : ""))),
    make("ul", { class: "findings" }, shown.map((f) => make("li", { "data-key": [f.title, f.kind, f.namespace, f.name].join(" ") },
      make("details", { open: name !== "findings" && all.length === 1 }, make("summary", {}, sign(f.level), make("span", { class: "what" }, f.title), make("span", { class: "of" }, f.namespace + "/" + f.name), make("span", { class: "text" }, f.text)),
        make("div", { class: "advice" }, f.text ? make("p", { class: "said" }, f.text) : "", make("p", {}, rich(f.do)), (f.try || []).map(command),
          make("p", { class: "hint" }, [name !== "of-" + f.kind && link(to(f.kind, f.namespace, f.name), `Look at ${f.kind === "policy" ? "the policy" : f.name}`),
            f.reason && reasonLink(f.reason)].filter(Boolean).flatMap((e, i) => i ? [" · ", e] : [e]))))))),
    more(name, all.length, shown.length));
}

/** more is the button that shows the rest of a list. */
export const more = (name, all, shown) => all > shown ? make("p", { class: "more" }, make("button", { type: "button", class: "plain", "data-more": name }, `Show all ${number(all)}`)) : "";

// ---- workloads

function workloads(state, ui) {
  const filter = ui.filter.trim().toLowerCase();
  const fits = state.workloads.filter((w) => (!ui.onlyWrong || w.level !== "good") &&
    (!filter || `${w.namespace}/${w.name} ${(w.policies || []).join(" ")} ${w.top || ""}`.toLowerCase().includes(filter)));
  const shown = ui.more.has("workloads") ? fits : fits.slice(0, shownWorkloads);
  const wrong = state.workloads.filter((w) => w.level !== "good").length;
  return make("section", { class: "pane", "aria-labelledby": "workloads-title" },
    make("div", { class: "title" }, make("h2", { id: "workloads-title" }, "Workloads"), make("p", { class: "hint" }, number(state.workloads.length)),
      make("div", { class: "filters" },
        make("label", {}, make("span", { class: "visually-hidden" }, "Filter workloads"), make("input", { id: "filter", type: "search", placeholder: "Name, policy or reason", spellcheck: "false", autocomplete: "off" })),
        make("label", { class: "check" }, make("input", { id: "only-wrong", type: "checkbox" }), ` With findings (${number(wrong)})`))),
    shown.length ? make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of workloads" }, make("table", { class: "list" },
      make("thead", {}, make("tr", {}, th("Workload"), th("Pods guarded", "num"), th(""), th("Policies"), th("Release", "wide"), th("Refused, 10 min", "num"), th(""), th("Mostly"))),
      make("tbody", {}, shown.map((w) => row(w, state))))) : make("p", { class: "hint none" }, "No workload fits."),
    more("workloads", fits.length, shown.length));
}

export const th = (text, kind) => text ? make("th", { scope: "col", class: kind }, text) : make("td", { class: "head" });

function row(w, state) {
  const s = w.states;
  return make("tr", { "data-key": w.namespace + "/" + w.name, class: w.level },
    make("th", { scope: "row" }, make("div", { class: "named" }, sign(w.level), make("div", {}, workloadLink(w.namespace, w.name), state.namespace ? "" : make("span", { class: "sub" }, w.namespace)))),
    make("td", { class: "num" }, make("b", {}, number(s.guarded)), make("span", { class: "of" }, "/" + number(s.total))),
    make("td", { class: "meter-cell" }, meter(s, podStates)),
    make("td", {}, w.policies?.length ? w.policies.map((p, i) => [i ? ", " : "", link(to("policy", w.namespace, p), p)]) : make("span", { class: "sub" }, "none")),
    make("td", { class: "wide sub" }, (w.releases || []).join(", ") || "–"),
    make("td", { class: "num" }, refusedBy(w)),
    make("td", { class: "bars-cell" }, w.refused ? bars(w.minutes) : ""),
    make("td", {}, w.top ? reasonLink(w.top) : ""));
}

/** workload is the view of one. */
export function workload(state, ui, namespace, name) {
  const w = state.workloads.find((x) => x.namespace === namespace && x.name === name);
  if (!w) return state.loading ? loading() : [title(name), make("p", { class: "hint" }, `No policy selects ${name} in ${namespace}, and it has no sidecar; or it is gone.`)];
  const found = state.findings.filter((f) => f.kind === "workload" && f.namespace === namespace && f.name === name ||
    f.kind === "policy" && f.namespace === namespace && (w.policies || []).includes(f.name));
  return [
    make("div", { class: "heading" }, sign(w.level), title(name), make("p", { class: "hint" }, namespace),
      make("a", { class: "button", href: to("explain", namespace, name) }, "Explain a request")),
    make("section", { class: "pane hero", "aria-label": "At a glance" }, make("dl", { class: "facts" },
      fact("Policies", w.policies?.length ? w.policies.map((p, i) => [i ? ", " : "", link(to("policy", namespace, p), p)]) : "none"),
      fact("Sidecars", (w.releases || []).join(", ") || "none"), fact("Refused in 10 min", refusedBy(w))),
    meter(w.states, podStates), legend(w.states, podStates, ["guarded"])),
    found.length ? findings(found, ui, "of-workload") : "",
    make("section", { class: "pane", "aria-labelledby": "pods-title" },
      make("div", { class: "title" }, make("h2", { id: "pods-title" }, "Pods"), make("p", { class: "hint" }, number(w.pods))),
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of pods" }, make("table", { class: "list" },
        make("thead", {}, make("tr", {}, th("Pod"), th("State"), th("Release"), th("Refused, 10 min", "num"), th(""))),
        make("tbody", {}, w.list.map((p) => pod(w, p))))),
      w.more ? make("p", { class: "hint more" }, `and ${number(w.more)} more`) : ""),
  ];
}

export const fact = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));

function pod(w, p) {
  const [level, name] = podStates[p.state] || ["good", "not selected"];
  return make("tr", { "data-key": p.name, class: level }, make("th", { scope: "row", class: "mono" }, p.name),
    make("td", {}, make("span", { class: "state" }, sign(level, name), name)), make("td", { class: "sub" }, p.release || "–"),
    make("td", { class: "num" }, refusedBy(p)),
    make("td", { class: "sub" }, p.trouble ? p.trouble : p.running ? link(to("explain", w.namespace, w.name, p.name), "explain") : ""));
}
