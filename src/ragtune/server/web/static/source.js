// The source beside the answer, at the exact place: the page as a picture with the passage boxed,
// the rows, the heading, the mail. Says where the document has changed since.
import { $, announce, failed, h, icon, pieces, t } from "./dom.js";
import { api, query } from "./api.js";

const AROUND = 1500;
let opener = null;
let turn = 0;

/** Opens a citation (or a hit, or a whole document); `from` gets the focus back. */
export async function open(citation, from = null) {
  const mine = ++turn;
  opener?.setAttribute("aria-expanded", "false");
  opener = from;
  from?.setAttribute("aria-expanded", "true");
  const body = $("source-body");
  $("source-title").textContent = citation.title || citation.uri;
  $("source-place").textContent = [citation.uri, citation.place?.label].filter(Boolean).join(" · ");
  body.replaceChildren(h("div", { "aria-hidden": "true" }, ["", "", "short", "", "", "short"].map((c) => h("span", { class: `bone ${c}` }))));
  $("source").hidden = false;
  document.body.classList.add("reading");
  $("source-title").focus({ preventScroll: true });
  try {
    const state = await check(citation);
    const found = state?.open ?? (await load(citation));
    if (mine !== turn) return;
    show(citation, state, found);
  } catch (error) {
    if (mine !== turn) return;
    const gone = error.status === 404;
    body.replaceChildren(gone
      ? h("div", { class: "banner warn" }, h("p", {}, h("strong", {}, t("source.gone"))), citation.quote && h("p", {}, `“${citation.quote}”`))
      : failed(error, () => open(citation, from)));
    if (gone) announce(t("source.gone"));
  }
}

/** Whether the citation still says what it said; null for what is no citation. */
export async function check({ uri, start, end, quote, sha256 }) {
  if (!quote || !sha256) return null;
  return api("/api/citation", { method: "POST", json: { uri, start, end, quote, sha256, around: AROUND } });
}

const load = ({ uri, start = 0, end = 0 }) =>
  api(`/api/document?${query({ uri, start, end, around: end ? AROUND : 0 })}`).catch((error) => {
    if (error.status !== 400) throw error; // the document has become shorter: show its beginning
    return api(`/api/document?${query({ uri })}`);
  });

function show(citation, state, found) {
  const changed = state && state.state !== "current";
  const stale = state?.state === "stale";
  const span = stale || !citation.end ? null : [found.start, found.end];
  const phrase = span && !changed && citation.phrase_end > citation.phrase_start ? [citation.phrase_start, citation.phrase_end] : null;
  const body = $("source-body");
  body.replaceChildren();
  const place = changed ? found.place : (citation.place ?? found.place);
  $("source-place").textContent = [found.uri, span && place?.label].filter(Boolean).join(" · ");
  if (changed) {
    body.append(h("div", { class: "banner warn" },
      h("p", {}, icon("warn", "tiny"), " ", h("strong", {}, t(`source.${state.state}`)), " ", t(`source.${state.state}_says`)),
      stale && h("p", {}, t("source.was"), " “", citation.quote, "”")));
    announce(t(`source.${state.state}`));
    opener?.classList.add("stale");
  }
  const page = found.type === "pdf" && found.pages ? (span && found.place?.page) || 1 : null;
  if (page) body.append(picture(found, page, span));
  const text = h("div", { class: "doc" });
  body.append(page ? h("details", { class: "more" }, h("summary", {}, t("source.text")), text) : text);
  fillText(text, found, span, phrase);
  requestAnimationFrame(() => {
    if (page) return;
    body.querySelector(".key")?.scrollIntoView({ block: "nearest", inline: "nearest" }); // of a wide table, the column
    const here = body.querySelector("mark, .here");
    if (here) body.scrollTop += here.getBoundingClientRect().top - body.getBoundingClientRect().top - body.clientHeight / 3;
  });
}

function fillText(into, found, span, phrase) {
  const parts = [];
  if (found.text_start > 0) parts.push(more(t("source.earlier"), into, span, phrase, () => extended(found, true)));
  parts.push(...structure(found, span, phrase));
  if (found.text_end < found.length) parts.push(more(t("source.later"), into, span, phrase, () => extended(found, false)));
  into.replaceChildren(...parts);
}

const more = (label, into, span, phrase, get) =>
  h("p", {}, h("button", { type: "button", class: "quiet", onclick: async (event) => {
    event.currentTarget.disabled = true;
    fillText(into, await get(), span, phrase);
  } }, label));

async function extended(found, before) {
  const from = before ? Math.max(0, found.text_start - 3000) : found.text_end;
  const to = before ? found.text_start : Math.min(found.length, found.text_end + 3000);
  const next = await api(`/api/document?${query({ uri: found.uri, start: from, end: to })}`);
  const [first, second] = before ? [next, found] : [found, next];
  const blocks = [...first.blocks];
  for (const block of second.blocks) if (!blocks.some((b) => b.start === block.start)) blocks.push(block);
  return { ...found, text: first.text + second.text, text_start: first.text_start, text_end: second.text_end, blocks };
}

// ---------------------------------------------------------------- the page as a picture

function picture(found, page, span) {
  const at = page;
  const shown = async () => {
    image.dataset.loaded = "";
    const top = await fetch(image.src).then((same) => Number(same.headers.get("X-Box-Top"))).catch(() => 0); // kept: not drawn again
    const body = $("source-body");
    if (top) body.scrollTop += image.getBoundingClientRect().top + top * image.clientHeight - body.getBoundingClientRect().top - body.clientHeight / 3;
  };
  const image = h("img", { alt: "", onload: shown,
    onerror: () => figure.replaceChildren(h("p", { class: "banner warn" }, t("source.no_page"))) });
  const figure = h("figure", { class: "page", tabindex: "0", "aria-label": t("source.page", { n: page, title: found.title }) }, image);
  const label = h("span", { class: "soft small", "aria-live": "polite" });
  const go = (to) => {
    page = to;
    const boxed = span && page >= at;
    const [start, end] = boxed ? span : [undefined, undefined];
    image.src = `/api/page.png?${query({ uri: found.uri, page, start, end, width: 1200 })}`;
    image.alt = t(boxed && page === at ? "source.page_boxed" : "source.page", { n: page, title: found.title });
    label.textContent = t("source.page_n", { n: page, all: found.pages });
    previous.disabled = page <= 1;
    next.disabled = page >= found.pages;
  };
  const button = (name, text, does) => h("button", { type: "button", class: "icon-button", "aria-label": text, onclick: does }, icon(name));
  const previous = button("left", t("source.previous"), () => go(page - 1));
  const next = button("right", t("source.next"), () => go(page + 1));
  const zoom = button("zoom", t("source.zoom"), () => {
    zoom.setAttribute("aria-pressed", String(figure.classList.toggle("zoomed")));
  });
  zoom.setAttribute("aria-pressed", "false");
  go(at);
  return h("div", { class: "stack" }, h("div", { class: "row" }, previous, label, next, zoom), figure);
}

// ---------------------------------------------------------------- the text with its structure

function structure(found, span, phrase) {
  const points = [...found.text];
  const inside = (found.blocks ?? []).filter((b) => b.end > found.text_start && b.start < found.text_end);
  const blocks = inside.length ? inside : [{ start: found.text_start, end: found.text_end, kind: "paragraph", level: 0 }];
  const cut = ({ start, end }) => points.slice(Math.max(0, start - found.text_start), end - found.text_start);
  const spans = span ? [[...span, "mark"], ...(phrase ? [[...phrase, "b"]] : [])] : [];
  const content = (block) => pieces(cut(block), Math.max(block.start, found.text_start), spans);
  const inSpan = (block, [low, high]) => block.start < high && low < block.end;
  const touches = (block) => span && inSpan(block, span);
  const row = (block) => touches(block) && (!phrase || inSpan(block, phrase)); // of some rows, the one that answers
  const said = phrase ? points.slice(phrase[0] - found.text_start, phrase[1] - found.text_start).join("") : "";
  const made = [];
  for (let i = 0; i < blocks.length; i++) {
    const block = blocks[i];
    if (block.kind === "heading") made.push(h(block.level <= 2 ? "h3" : "h4", {}, content(block)));
    else if (block.kind === "code") made.push(h("pre", {}, content(block)));
    else if (block.kind === "item") {
      const items = [];
      for (; i < blocks.length && blocks[i].kind === "item"; i++) items.push(h("li", {}, content(blocks[i])));
      i--;
      made.push(h("ul", {}, items));
    } else if (block.kind === "row" || block.kind === "header") {
      const rows = [];
      for (; i < blocks.length && (blocks[i].kind === "row" || (blocks[i].kind === "header" && (blocks[i] === block || !rows.length))); i++) {
        if (blocks[i].kind === "row") rows.push({ at: blocks[i].at, here: row(blocks[i]), cells: cells(cut(blocks[i]).join("")) });
      }
      i--;
      made.push(rows.length ? alike(rows).map((some) => rowsTable(some, said)) : h("p", {}, content(block)));
    } else if (block.at === "header" && found.type === "eml") made.push(mailHead(cut(block).join(""), touches(block)));
    else made.push(h("p", { class: touches(block) ? "passage" : null }, content(block)));
  }
  return made.flat();
}

/** "Header: value | Header: value" as [header, value] pairs. */
function cells(text) {
  const found = [];
  for (const part of text.split(" | ")) {
    const at = part.indexOf(": ");
    if (at > 0) found.push([part.slice(0, at), part.slice(at + 2)]);
    else if (found.length) found[found.length - 1][1] += ` | ${part}`;
    else found.push(["", part]);
  }
  return found;
}

/** Rows apart by their columns: two tables may stand under each other without a header between. */
function alike(rows) {
  const tables = [];
  let names = new Set();
  for (const row of rows) {
    const own = row.cells.map(([name]) => name);
    if (!own.some((name) => names.has(name))) { tables.push([]); names = new Set(); }
    own.forEach((name) => names.add(name));
    tables.at(-1).push(row);
  }
  return tables;
}

/** Rows as a table; of the one that answers, the cell that holds what was `said` is the key. */
function rowsTable(rows, said) {
  const names = [...new Set(rows.flatMap((row) => row.cells.map(([name]) => name)))];
  const places = rows.some((row) => row.at);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("source.rows") }, h("table", {},
    h("thead", {}, h("tr", {}, places && h("th", { scope: "col" }, h("span", { class: "hidden" }, t("source.place"))), names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.here ? "here" : null },
      places && h("th", { scope: "row", class: "mono" }, row.at ?? ""),
      names.map((name) => {
        const text = row.cells.filter(([n]) => n === name).map(([, value]) => value).join(" | ");
        return h("td", { class: row.here && said && text.includes(said) ? "key" : null }, text);
      }))))));
}

function mailHead(text, here) {
  return h("dl", { class: here ? "mail passage" : "mail" }, text.split("\n").map((line) => {
    const at = line.indexOf(": ");
    return at > 0 ? [h("dt", {}, line.slice(0, at)), h("dd", {}, line.slice(at + 2))] : h("dd", {}, line);
  }));
}

// ---------------------------------------------------------------- closing

export function close() {
  if ($("source").hidden) return;
  turn++;
  $("source").hidden = true;
  document.body.classList.remove("reading");
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus({ preventScroll: true });
  opener = null;
}
$("source-close").addEventListener("click", close);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) close();
});
