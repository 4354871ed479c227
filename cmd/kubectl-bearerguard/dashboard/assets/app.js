// The dashboard: the state comes from api/state every few seconds, and the view that the address names is drawn of it. What has not
// changed stays as it is on the page, with its focus, its scroll and what is open. All text is set as text, never as HTML.
import { $, make } from "./shared/dom.js";
import { ago, sign } from "./parts.js";
import * as explain from "./explain.js";
import { fleet, workload } from "./fleet.js";
import { policies, policy } from "./policies.js";
import { reason, reasons, refusals } from "./refusals.js";

const every = 4000, atFirst = 400;
let state = { loading: true, troubles: [], findings: [], policies: [], workloads: [], refusals: { minutes: [], reasons: [], groups: [], recent: [] } };
let served = true;
const ui = { filter: "", onlyWrong: false, more: new Set() };

// ---- views

/** view returns what the address names: its part of the menu, its title, its elements. */
async function view() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const path = (n) => rest.slice(n).join("/");
  switch (name) {
    case "": return ["#/", "Fleet", fleet(state, ui)];
    case "policies": return ["#/policies", "Policies", policies(state, ui)];
    case "policy": return ["#/policies", rest[1], policy(state, ui, rest[0], path(1))];
    case "workload": return ["#/", path(1), workload(state, ui, rest[0], path(1))];
    case "refusals": return ["#/refusals", "Refusals", refusals(state, ui)];
    case "reason": return ["#/refusals", rest[0], reason(state, await reasons(), rest[0])];
    case "explain": case "request": return ["#/explain", "Explain"];
  }
  return ["", "Not found", [make("p", { class: "hint" }, "There is no such page.")]];
}

let drawing = 0;
async function draw() {
  const mine = ++drawing, [page, title, elements] = await view();
  if (mine !== drawing) return;
  document.title = `${title} · Bearerguard`;
  for (const a of document.querySelectorAll(".pages a")) a.toggleAttribute("data-current", a.getAttribute("href") === page);
  for (const a of document.querySelectorAll(".pages a")) a.hasAttribute("data-current") ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
  $("explain").hidden = Boolean(elements);
  $("view").hidden = !elements;
  children($("view"), make("div", {}, elements || ""));
  children($("troubles"), make("div", {}, troubles()));
  $("where").textContent = state.context === undefined ? "" : [state.context, state.namespace || "all namespaces"].filter(Boolean).join(" · ");
  explain.offer(state);
  live();
}

function troubles() {
  const all = served ? state.troubles : [{ what: "page", kind: "unreachable", text: "The program that serves this page does not answer.", do: "Start it again, and open the address that it prints." }];
  const names = { forbidden: "You may not read", unauthorized: "You are not logged in", absent: "Bearerguard is not installed in this cluster", unreachable: "The cluster does not answer", failed: "Could not be read" };
  return all.map((t) => make("div", { class: "trouble " + t.kind, "data-key": t.what }, sign(t.kind === "forbidden" || t.what === "sidecars" ? "warn" : "bad"),
    make("div", {}, make("p", { class: "what" }, t.what === "page" ? "Not connected" : t.what === "sidecars" ? (t.kind === "forbidden" ? "You may not ask sidecars" : "Some sidecars could not be asked")
      : names[t.kind] + (["forbidden", "failed"].includes(t.kind) ? (t.kind === "forbidden" ? " " : ": ") + t.what : "")),
    make("p", {}, t.do), make("p", { class: "said" }, t.text), known(t) ? make("p", { class: "hint" }, "What is shown of it is what was known before.") : "")));
}
const known = (t) => t.what === "page" ? !state.loading : t.what === "policies" ? state.policiesKnown : t.what === "pods" ? state.podsKnown : false;

function live() {
  const stale = !served || state.troubles.some((t) => t.what !== "sidecars");
  $("live").className = "live " + (state.loading ? "wait" : stale ? "bad" : "good");
  $("live").textContent = !served ? "not connected" : state.loading ? "loading" : stale ? `tried ${ago(state.at)}` : `as of ${ago(state.at)}`;
}

// ---- drawing only what has changed

const key = (e) => e.nodeType === Node.ELEMENT_NODE ? e.getAttribute("data-key") : null;

/** children makes the children of one element like those of another. Those with data-key keep their elements when they move. */
function children(now, next) {
  const keyed = new Map([...now.children].filter(key).map((e) => [key(e), e]));
  let at = now.firstChild;
  for (const want of [...next.childNodes]) {
    const kept = key(want) && keyed.get(key(want));
    if (kept && kept !== at) now.insertBefore(kept, at);
    const have = kept || at;
    if (have && same(have, want)) {
      become(have, want);
      at = have.nextSibling;
    } else {
      now.insertBefore(want, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);

function become(have, want) {
  if (have.nodeType === Node.TEXT_NODE) {
    if (have.data !== want.data) have.data = want.data;
    return;
  }
  for (const { name } of [...have.attributes]) if (!want.hasAttribute(name) && name !== "open") have.removeAttribute(name);
  for (const { name, value } of want.attributes) if (name !== "open" && have.getAttribute(name) !== value) have.setAttribute(name, value);
  if (have.nodeName !== "SELECT") children(have, want);
}

// ---- what a person does

document.addEventListener("input", (e) => {
  if (e.target.id === "filter") ui.filter = e.target.value;
  else if (e.target.id === "only-wrong") ui.onlyWrong = e.target.checked;
  else return;
  draw();
});

document.addEventListener("click", async (e) => {
  const copy = e.target.closest?.("[data-copy]"), more = e.target.closest?.("[data-more]");
  if (more) {
    ui.more.add(more.dataset.more);
    draw();
  } else if (copy) {
    try {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(copy.previousSibling);
      copy.textContent = "Selected";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  }
});

/** go draws what the address names, and leads the keyboard there. */
async function go() {
  $("view").replaceChildren();
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  await draw();
  if (name === "request") explain.open({ id: rest.join("/") });
  if (name === "explain") explain.open({ namespace: rest[0], workload: rest.slice(1, 3).join("/"), pod: rest[3] });
  ui.filter = "";
  ui.onlyWrong = false;
  scrollTo(0, 0);
}
addEventListener("hashchange", async () => {
  await go();
  ($("view").querySelector("h1") || $("main")).focus({ preventScroll: true });
});

// ---- asking

let timer;
async function ask() {
  clearTimeout(timer);
  if (document.hidden) return; // it goes on when somebody looks
  try {
    const response = await fetch("api/state");
    if (!response.ok) throw new Error(response.statusText);
    state = await response.json();
    served = true;
  } catch {
    served = false;
  }
  await draw();
  timer = setTimeout(ask, state.loading || !state.refusals.asked && state.refusals.sidecars > state.refusals.failed ? atFirst : every);
}
document.addEventListener("visibilitychange", () => document.hidden || ask());
setInterval(live, 1000);
await go();
ask();
