// Elements, texts and numbers. Strings always become text nodes: nothing here parses HTML.
const language = document.documentElement.lang;
const texts = (await import(`./texts.${language}.js`)).default;

export const $ = (id) => document.getElementById(id);

/** The text of a key with its {values} put in. */
export function t(key, values = {}) {
  let said = texts[key];
  if (said === undefined) throw new Error(`no text ${key}`);
  for (const [name, value] of Object.entries(values)) said = said.replaceAll(`{${name}}`, value);
  return said;
}

/** The text of `key_one` or `key_many`, with {n}. */
export const count = (key, n) => t(n === 1 ? `${key}_one` : `${key}_many`, { n: number(n) });

/** The text of a key where there is one, otherwise `fallback`. */
export const told = (key, fallback) => texts[key] ?? fallback;

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** An element; children are nodes or strings. */
export const h = (tag, properties, ...children) =>
  fill(document.createElement(tag), properties, children);

/** An SVG element. */
export const s = (tag, properties, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

/**
 * Pieces of `text`, which begins at offset `base`, with <mark> or <b> around the spans. Offsets are
 * code points, as in the API: JavaScript counts UTF-16, so the text is taken apart.
 */
export function pieces(text, base, spans) {
  const points = Array.isArray(text) ? text : [...text];
  const inside = spans.map(([low, high, tag]) => [Math.max(low - base, 0), Math.min(high - base, points.length), tag])
    .filter(([low, high]) => high > low);
  const cuts = [...new Set([0, points.length, ...inside.flatMap(([low, high]) => [low, high])])].sort((a, b) => a - b);
  return cuts.slice(0, -1).map((low, i) => {
    const high = cuts[i + 1];
    let node = document.createTextNode(points.slice(low, high).join(""));
    for (const [from, to, tag] of inside) {
      if (from <= low && high <= to) {
        const around = document.createElement(tag);
        around.append(node);
        node = around;
      }
    }
    return node;
  });
}

export const icon = (name, extra = "") =>
  s("svg", { class: `icon ${extra}`, "aria-hidden": "true" }, s("use", { href: `#i-${name}` }));

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
export const percent = (value) =>
  new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }).format(value);

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${number(1000 * value)} ms`;
  if (value < 90) return `${number(value, value < 10 ? 2 : 0)} s`;
  if (value < 5400) return `${number(value / 60)} min`;
  return `${number(value / 3600, 1)} h`;
}

export function bytes(value) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000 || unit === "GB") return `${number(value, value < 10 && unit !== "B" ? 1 : 0)} ${unit}`;
    value /= 1000;
  }
}

/** A date from POSIX seconds or ISO 8601. */
export function date(value) {
  const at = new Date(typeof value === "number" ? 1000 * value : value);
  return Number.isNaN(at.valueOf()) ? "" :
    new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(at);
}

/** Tells a screen reader, without moving anything. */
export function announce(text) {
  $("live").textContent = "";
  requestAnimationFrame(() => ($("live").textContent = text));
}

/** Shows a message for some seconds. */
export function toast(text) {
  const shown = h("p", { class: "toast" }, text);
  $("toasts").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

/** What went wrong and what to do, where it happened. */
export const failed = (error, again) =>
  h("div", { class: "banner bad" }, h("p", {}, h("strong", {}, t("error.title")), " ", error.message),
    again && h("p", {}, h("button", { type: "button", class: "link", onclick: again }, t("error.again"))));

/** Asks before something that cannot be taken back; true where it was confirmed. */
export function confirmed(title, says, does) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "confirm-title" },
      h("form", { method: "dialog" }, h("h2", { id: "confirm-title" }, title), h("p", {}, says),
        h("div", { class: "row end" },
          h("button", { value: "no", type: "submit", autofocus: true }, t("do.cancel")),
          h("button", { value: "yes", type: "submit", class: "danger" }, does))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
