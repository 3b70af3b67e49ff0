// Documents: add by dragging, see the state of each, read, delete. The list follows the folders.
import { $, announce, bytes, confirmed, count, failed, h, icon, number, t, toast } from "./dom.js";
import { api, query, upload } from "./api.js";
import { may, status } from "./frame.js";
import { open } from "./source.js";

const PAGE = 500;
const SHOWN = 100;
const AGAIN = 4000; // milliseconds between two looks at what the watcher has done
let all = [];
let shown = SHOWN;
let errorsOnly = false;
let last = "";

/** What only holds documents, as in status.py: it has no text and counts for none. */
const holds = (info) => !info.error && ["zip", "database"].includes(info.type);

async function load() {
  const found = [];
  let after;
  do {
    const page = await api(`/api/documents?${query({ limit: PAGE, after })}`);
    found.push(...page.documents);
    after = page.next;
  } while (after);
  const mark = JSON.stringify(found);
  if (mark === last) return;
  last = mark;
  all = found;
  draw();
}

function draw() {
  const wanted = $("filter").value.trim().toLowerCase();
  const errors = all.filter((d) => d.error);
  const list = (errorsOnly ? errors : all).filter((d) => !wanted || `${d.uri} ${d.title}`.toLowerCase().includes(wanted));
  $("count-all").textContent = number(all.filter((d) => !holds(d)).length);
  $("count-errors").textContent = number(errors.length);
  const focused = document.activeElement?.dataset?.key;
  $("rows").replaceChildren(...list.slice(0, shown).map(row));
  if (focused) $("rows").querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  $("table").setAttribute("aria-busy", "false");
  $("table").hidden = !list.length;
  $("more").hidden = list.length <= shown;
  $("none").hidden = all.length > 0 || errorsOnly || wanted !== "";
  if (!list.length && $("none").hidden) { $("table").hidden = false; $("rows").replaceChildren(h("tr", {}, h("td", { colspan: "6", class: "soft" }, errorsOnly && !wanted ? t("documents.no_errors") : t("documents.no_match")))); }
}

function row(info) {
  const read = h("button", { type: "button", class: "link", "data-key": `o:${info.uri}`, onclick: () => open({ uri: info.uri, title: info.title }, read) }, info.title || info.uri);
  const name = info.error || holds(info) ? h("span", {}, info.title || info.uri) : read;
  const state = info.error
    ? [h("span", { class: "badge bad" }, t("documents.quarantined")), h("span", { class: "reason small bad" }, info.error)]
    : [h("span", { class: "badge good" }, t("documents.indexed")), info.left_out.length > 0 && h("span", { class: "reason small soft" }, t("documents.left_out", { what: info.left_out.join("; ") }))];
  return h("tr", {}, h("td", {}, h("div", { class: "name" }, name, h("span", { class: "soft small" }, info.uri))),
    h("td", { class: "type soft" }, info.type), h("td", { class: "number" }, number(info.passages)),
    h("td", { class: "number" }, bytes(info.size)), h("td", { class: info.error ? "failed" : null }, state),
    h("td", {}, may("editor") && h("button", { type: "button", class: "icon-button", "data-key": `d:${info.uri}`, "aria-label": t("documents.delete_one", { name: info.uri }), title: t("documents.delete"), onclick: () => remove(info) }, icon("trash"))));
}

async function remove(info) {
  if (!(await confirmed(t("documents.delete_sure"), t("documents.delete_says", { name: info.uri }), t("documents.delete")))) return;
  try {
    await api(`/api/documents?${query({ uri: info.uri })}`, { method: "DELETE" });
    announce(t("documents.deleted", { name: info.uri }));
    toast(t("documents.deleted", { name: info.uri }));
    await load();
    $("filter").focus({ preventScroll: true });
  } catch (error) { toast(error.message); }
}

// ---------------------------------------------------------------- adding

async function send(files) {
  if (!files.length) return;
  $("uploads").hidden = false;
  const waiting = files.map(({ path, file }) => {
    const bar = h("progress", { max: "1", value: "0", "aria-label": path });
    const line = h("li", {}, h("span", {}, path, h("span", { class: "soft small" }, ` · ${bytes(file.size)}`)), bar);
    $("upload-list").append(line);
    return { path, file, bar, line };
  });
  announce(count("documents.sending", files.length));
  let good = 0;
  const left = [...waiting];
  await Promise.all([1, 2].map(async () => {
    while (left.length) {
      const { path, file, bar, line } = left.shift();
      const end = (text, kind) => bar.replaceWith(h("span", { class: `badge ${kind}` }, text));
      try {
        const target = `/api/files/${path.split("/").map(encodeURIComponent).join("/")}`;
        const found = await upload(target, file, (share) => { if (share < 1) bar.value = share; else bar.removeAttribute("value"); });
        if (found.error) end(found.error, "bad");
        else { good++; end(t("documents.indexed"), "good"); }
      } catch (error) { end(error.message, "bad"); }
    }
  }));
  announce(t("documents.sent", { good, all: files.length }));
  await load().catch(() => {});
}

/** Files with their paths from what was dropped, folders walked through. */
async function dropped(transfer) {
  const found = [];
  async function walk(entry, prefix) {
    if (entry.isFile) {
      const file = await new Promise((yes, no) => entry.file(yes, no));
      found.push({ path: prefix + entry.name, file });
    } else if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((yes, no) => reader.readEntries(yes, no));
        if (!some.length) break;
        for (const one of some) await walk(one, `${prefix}${entry.name}/`);
      }
    }
  }
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  for (const entry of entries) await walk(entry, "");
  return found.length ? found : [...transfer.files].map((file) => ({ path: file.name, file }));
}

const visible = ({ path }) => !path.split("/").some((part) => part.startsWith("."));
const drop = $("drop");
drop.hidden = !may("editor");
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over-it"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over-it"); });
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over-it");
  send((await dropped(event.dataTransfer)).filter(visible));
});
for (const id of ["files", "folder"]) {
  $(`pick-${id}`).addEventListener("click", () => $(id).click());
  $(id).addEventListener("change", () => {
    send([...$(id).files].map((file) => ({ path: file.webkitRelativePath || file.name, file })).filter(visible));
    $(id).value = "";
  });
}

// ---------------------------------------------------------------- the list

$("filter").addEventListener("input", () => { shown = SHOWN; draw(); });
$("more").addEventListener("click", () => { shown += 400; draw(); });
for (const [id, only] of [["show-all", false], ["show-errors", true]]) {
  $(id).addEventListener("click", () => {
    errorsOnly = only;
    $("show-all").setAttribute("aria-pressed", String(!only));
    $("show-errors").setAttribute("aria-pressed", String(only));
    draw();
  });
}
status.then((found) => {
  const watching = found.watching;
  $("watch").replaceChildren(h("span", { class: watching ? "dot good" : "dot" }), t(watching ? "documents.watching" : "documents.not_watching"));
}).catch(() => {});

async function follow() {
  try {
    if (!document.hidden) await load();
  } catch (error) {
    if (!all.length) { $("table").hidden = true; $("more").parentElement.replaceChildren(failed(error, () => location.reload())); return; }
  }
  setTimeout(follow, AGAIN);
}
follow();
