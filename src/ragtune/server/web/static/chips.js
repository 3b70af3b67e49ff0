// Citations as chips, and the quotes they stand under.
import { h, icon, pieces, t, toast } from "./dom.js";

// Comes after the first view, which does without it.
const source = () => import("./source.js");
source().catch(() => {});
const open = (citation, from) => source().then((loaded) => loaded.open(citation, from), () => toast(t("error.unreachable")));

const name = (uri) => decodeURIComponentSafe(uri.split(/[#/]/).filter(Boolean).pop() ?? uri);
function decodeURIComponentSafe(text) { try { return decodeURIComponent(text); } catch { return text; } }

/** A citation's chip: opens the source at its place. */
export function chip(citation, mini = false) {
  const title = citation.title || name(citation.uri);
  const label = citation.place?.label ?? "";
  const said = [citation.marker && t("ask.source_n", { n: citation.marker }), title, label].filter(Boolean).join(", ");
  const made = h("button", {
    type: "button", class: mini ? "chip mini" : "chip", "aria-label": mini ? said : null, "aria-expanded": "false",
    "aria-controls": "source", "data-uri": citation.uri, title: mini ? `${title}, ${label}` : citation.uri,
    onclick: () => open(citation, made),
  },
  citation.marker && !mini ? h("span", { class: "hidden" }, t("ask.source")) : null,
  citation.marker ? h("span", { class: "n" }, String(citation.marker)) : null,
  mini ? null : [title, label ? ` · ${label}` : ""].join(""));
  return made;
}

/** Says on a chip that its source has changed. */
export function markStale(button, state) {
  button.classList.add("stale");
  button.append(icon("warn", "tiny"), h("span", { class: "hidden" }, t(`source.${state}`)));
  button.removeAttribute("aria-label");
}

/** A quote word for word: its key sentence bold, the answering words marked, its chip below. */
export function quote(citation, main = false) {
  const spans = [];
  const whole = [citation.start, citation.end];
  if (citation.key_end > citation.key_start && (citation.key_start > whole[0] || citation.key_end < whole[1])) {
    spans.push([citation.key_start, citation.key_end, "b"]);
  }
  if (citation.phrase_end > citation.phrase_start) spans.push([citation.phrase_start, citation.phrase_end, "mark"]);
  return h("div", { class: main ? "quote main" : "quote" },
    h("blockquote", {}, pieces(citation.quote, citation.start, spans)), chip(citation));
}

/** A quote of an evidence event in the form of a citation. */
export const ofQuote = ({ span, key_start, key_end }, n) =>
  ({ ...span, quote: span.text, key_start, key_end, marker: n + 1 });

/** Text with "[n]" as chips. */
export function cited(text, citations) {
  const byMarker = new Map(citations.map((c) => [String(c.marker), c]));
  return text.split(/(\[\d+\])/).map((part) => {
    const found = byMarker.get(part.slice(1, -1));
    return found && part.startsWith("[") ? chip(found, true) : part;
  });
}
