// What the pages share: elements, and light and dark. All text is set as text, never as HTML.
export const $ = (id) => document.getElementById(id);

/** make returns an element with attributes and children. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** svg is make for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(e, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") e.addEventListener("click", value);
    else if (value !== undefined && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== "" && c !== false));
  return e;
}

/** list puts commas between what it is given, and leaves out what would be shown twice. */
export function list(elements) {
  const seen = new Set();
  const once = elements.filter((e) => !seen.has(e.textContent) && seen.add(e.textContent));
  return once.flatMap((e, i) => i ? [", ", e] : [e]);
}

/** mark is a sign that something holds (true), does not (false), or has no part in it (undefined). */
export function mark(holds) {
  const [name, sign, text] = holds === undefined ? ["none", "·", "does not apply"] : holds ? ["yes", "✓", "holds"] : ["no", "✗", "does not hold"];
  return make("span", { class: "mark " + name, role: "img", "aria-label": text }, sign);
}

// Light and dark: as the system has it, until the button says otherwise.
const theme = document.documentElement;
if (sessionStorage.theme) theme.dataset.theme = sessionStorage.theme;
$("theme").addEventListener("click", () => {
  const dark = theme.dataset.theme ? theme.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.dataset.theme = sessionStorage.theme = dark ? "light" : "dark";
});
