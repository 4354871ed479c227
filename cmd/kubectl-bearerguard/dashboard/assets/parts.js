// Small parts of the views: signs, numbers, times, bars.
import { make, svg } from "./shared/dom.js";

export const number = (n) => n.toLocaleString("en");
export const plural = (n, one, many = one + "s") => `${number(n)} ${n === 1 ? one : many}`;

/** ago tells how long ago something was, as short as it can be. */
export function ago(time, now = Date.now()) {
  const s = Math.max(0, Math.round((now - new Date(time)) / 1000));
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (s >= size) return `${Math.floor(s / size)} ${unit} ago`;
  }
  return s < 2 ? "now" : `${s} s ago`;
}
export const when = (time) => make("time", { datetime: time, title: new Date(time).toLocaleString() }, ago(time));

const shapes = { // each level has a form of its own, so that its colour is not needed
  good: ["M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z", "m5 8.3 2.1 2.1L11 6.2", "as it should be"],
  warn: ["M8 1.2 15.4 14.3H.6z", "M8 6v3.6M8 11.6v.5", "to be looked at"],
  bad: ["M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z", "M8 4.3v4.4M8 11v.5", "wrong"],
};

/** sign is the icon of a level. */
export function sign(level, text) {
  const [form, mark, name] = shapes[level];
  return svg("svg", { class: "sign " + level, viewBox: "0 0 16 16", role: "img", "aria-label": text || name },
    svg("path", { class: "form", d: form }), svg("path", { class: "stroke", d: mark }));
}

export const tag = (text, kind = "") => make("span", { class: "tag " + kind }, text);

/** rich turns `code` of plain text into elements. */
export const rich = (text) => (text || "").split("`").map((part, i) => i % 2 ? make("code", {}, part) : part);

/** command is a line for the shell, with a button that copies it. */
export const command = (text) => make("div", { class: "command" }, make("code", {}, text),
  make("button", { type: "button", "data-copy": text, "aria-label": "Copy: " + text }, "Copy"));

/** axis says which minutes large bars are of. */
export const axis = (minutes) => make("div", { class: "axis", "aria-hidden": "true" }, make("span", {}, `${minutes.length} min ago`), make("span", {}, "now"));

/** bars shows counts a minute, the present one last. */
export function bars(minutes, size = "small") {
  const [step, height] = size === "large" ? [30, 64] : [9, 22];
  const most = Math.max(...minutes, 1), width = step * minutes.length;
  const gap = size === "large" ? 4 : 2;
  return svg("svg", { class: "bars " + size, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Each minute, the oldest first: " + minutes.join(", ") },
    minutes.map((n, i) => {
      const h = n ? Math.max(2.5, n / most * (height - 1)) : 1;
      return svg("rect", { class: n ? "" : "none", x: i * step + gap / 2, y: height - h, width: step - gap, height: h, rx: Math.min(1.5, h / 2) });
    }));
}

export const podStates = {
  bypassable: ["bad", "bypassable", "The app’s port is open past the sidecar"],
  bare: ["bad", "without a sidecar", "A policy selects them, and nothing guards them"],
  unready: ["warn", "not ready", "The sidecar starts, or has no rules or keys"],
  uncovered: ["warn", "without a policy", "Every request is refused"],
  audited: ["warn", "audit only", "Only Audit policies select them, so everything is let through"],
  guarded: ["good", "guarded", "A policy selects them, and the sidecar is ready"],
};

export const sidecarStates = {
  rejecting: ["bad", "cannot use it", ""],
  missing: ["bad", "without a sidecar", ""],
  disconnected: ["warn", "out of touch", ""],
  behind: ["warn", "behind", ""],
  current: ["good", "current", ""],
};

/** meter is a bar of parts of a whole. What it shows is beside it in words. */
export function meter(counts, states) {
  const parts = Object.keys(states).reverse().filter((s) => counts[s] > 0);
  const all = parts.reduce((sum, s) => sum + counts[s], 0) || 1;
  let x = 0;
  return svg("svg", { class: "meter", "aria-hidden": "true" }, svg("rect", { class: "none", width: "100%", height: "100%" }), parts.map((s) => {
    const width = counts[s] / all * 100;
    const part = svg("rect", { class: s, x: x + "%", width: width + "%", height: "100%" });
    x += width;
    return part;
  }));
}

/** legend says in words what a meter shows. */
export const legend = (counts, states, all) => make("ul", { class: "legend" }, Object.entries(states).reverse()
  .filter(([s]) => counts[s] > 0 || all?.includes(s))
  .map(([s, [level, name, title]]) => make("li", { class: counts[s] ? "" : "zero", title }, make("span", { class: "swatch " + s }), make("b", {}, number(counts[s] || 0)), " ", name)));

/** refusedBy is how often something refused, or that it is not known. */
export const refusedBy = (x) => x.heard ? (x.refused ? number(x.refused) : make("span", { class: "sub" }, "0")) : make("span", { class: "sub", title: "No sidecar has been asked" }, "–");

/** path of a view. */
export const to = (...parts) => "#/" + parts.map((p) => String(p).split("/").map(encodeURIComponent).join("/")).join("/");

export const link = (href, ...text) => make("a", { href }, ...text);
export const reasonLink = (name) => link(to("reason", name), name);
export const workloadLink = (namespace, name) => link(to("workload", namespace, name), name);
