// Side by side: one question, every approach at once.
import { $, announce, h, icon, number, seconds, t, toast } from "./dom.js";
import { api } from "./api.js";
import { arm } from "./frame.js";
import { place, said } from "./answer.js";

const AT_ONCE = 5; // a browser opens six connections; one stays free for sources
const note = $("cost-note").dataset;
let models = [];
let stops = [];

function column(model, question) {
  const answer = place(true);
  const [time, cost, cites] = ["–", "–", "–"].map((text) => h("dd", {}, text));
  const better = h("button", { type: "button", disabled: true }, icon("check"), t("side.better"));
  const element = h("article", { class: "column", "aria-label": arm(model.name) },
    h("div", {}, h("h2", {}, arm(model.name)), h("p", { class: "soft small" }, says(model.name))),
    h("div", { class: "body", tabindex: "0", role: "region", "aria-label": t("side.answer", { name: arm(model.name) }) }, answer.element),
    h("dl", { class: "figures" }, [["time", time], ["cost", cost], ["citations", cites]].map(([key, value]) => h("div", {}, h("dt", {}, t(`side.${key}`)), value))),
    better);
  async function run() {
    const found = await answer.run({ question, model: model.name });
    if (!found) return;
    time.textContent = seconds(found.timings.total);
    cost.textContent = money(found);
    cites.textContent = number(found.citations.length);
    if (found.status === "declined") return;
    better.disabled = false;
    better.addEventListener("click", () => choose(element, better, question, found));
  }
  return { element, run, stop: answer.stop };
}

const says = (name) => (name.startsWith("ragtune/tuned:") ? t("side.tuned_says") : t(`side.${name.replace("ragtune/", "")}_says`));

/** At most: the time that it took, on all threads that it may use. */
function money(answer) {
  const total = (answer.timings.total * Number(note.threads) * Number(note.hour)) / 3600;
  return `${new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency: note.currency, maximumSignificantDigits: 2 }).format(1000 * total)}`;
}

async function choose(element, button, question, answer) {
  try {
    await api("/api/feedback", { method: "POST", json: { ...said(question, answer, "up"), keep: true } });
    for (const other of document.querySelectorAll(".column")) other.classList.remove("best");
    element.classList.add("best");
    for (const other of document.querySelectorAll(".column > button")) other.disabled = true;
    button.replaceChildren(icon("check"), t("side.chosen"));
    announce(t("side.kept"));
    toast(t("side.kept"));
  } catch (error) { toast(error.message); }
}

async function ask(question) {
  for (const stop of stops) stop();
  const chosen = models.filter((m) => $("arms").querySelector(`[value="${CSS.escape(m.name)}"]`).checked);
  if (!chosen.length) { toast(t("side.none")); return; }
  $("empty").hidden = true;
  const columns = chosen.map((model) => column(model, question));
  stops = columns.map((c) => c.stop);
  $("columns").replaceChildren(...columns.map((c) => c.element));
  announce(t("side.asking", { n: columns.length }));
  const left = [...columns];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (left.length) await left.shift().run(); }));
  if ($("columns").firstChild === columns[0].element) announce(t("side.done"));
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (question) ask(question); else $("question").focus();
});
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("composer").requestSubmit(); }
});
models = (await api("/api/models")).models.filter((m) => m.name !== "ragtune");
$("arms").append(...models.map((model) => h("label", {}, h("input", { type: "checkbox", value: model.name, checked: true }), arm(model.name))));
