// The Ask screen: a conversation that survives a reload in this tab.
import { $, announce, h, t } from "./dom.js";
import { api } from "./api.js";
import { arm, may } from "./frame.js";
import { markStale } from "./chips.js";
import { place, tools } from "./answer.js";

const KEPT = "ragtune.conversation";
const form = $("composer");
const field = $("question");
let turns = [];
let running = null;

function keep() {
  try { sessionStorage.setItem(KEPT, JSON.stringify(turns.slice(-20))); } catch { /* full: a reload forgets it */ }
}

function show(question) {
  $("empty").hidden = true;
  $("fresh").disabled = false;
  const answer = place();
  const id = `q${document.querySelectorAll(".turn").length + 1}`;
  const article = h("article", { class: "turn", "aria-labelledby": id }, h("h2", { id }, question), answer.element);
  $("thread").append(article);
  return { article, answer };
}

async function ask(question) {
  const { article, answer } = show(question);
  article.scrollIntoView({ block: "start" });
  running = answer;
  busy(true);
  const history = turns.map((turn) => turn.question).slice(-50);
  const found = await answer.run({ question, history, model: $("model").value });
  running = null;
  busy(false);
  if (!found) return;
  article.append(tools(question, found));
  turns.push({ question, answer: found });
  keep();
}

function busy(is) {
  const name = is ? "stop" : "send";
  $("send").querySelector("use").setAttribute("href", `#i-${name}`);
  $("send").setAttribute("aria-label", t(`ask.${name}`));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) { running.stop(); return; }
  const question = field.value.trim();
  if (!question) { field.focus(); return; }
  field.value = "";
  ask(question);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!running) form.requestSubmit();
  }
});
$("fresh").addEventListener("click", () => {
  running?.stop();
  import("./source.js").then(({ close }) => close(), () => {});
  turns = [];
  keep();
  for (const turn of document.querySelectorAll(".turn")) turn.remove();
  $("empty").hidden = false;
  $("fresh").disabled = true;
  announce(t("ask.fresh_done"));
  field.focus();
});

/** Earlier answers of this tab; a chip whose document has changed meanwhile says so. */
function restore() {
  try { turns = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"); } catch { turns = []; }
  for (const { question, answer: found } of turns) {
    const { article, answer } = show(question);
    answer.render(found);
    article.append(tools(question, found));
    found.citations.forEach(async (citation) => {
      const state = await import("./source.js").then(({ check }) => check(citation)).catch(() => null);
      if (!state || state.state === "current") return;
      for (const button of article.querySelectorAll(".chip")) {
        if (button.dataset.uri === citation.uri) markStale(button, state.state);
      }
    });
  }
  if (turns.length) $("thread").lastElementChild.scrollIntoView({ block: "start" });
}

async function offer() {
  const { models } = await api("/api/models");
  for (const model of models.slice(1)) $("model").append(h("option", { value: model.name }, arm(model.name)));
  if (!may("editor")) return;
  const { examples } = await api("/api/examples?limit=3").catch(() => ({ examples: [] }));
  $("suggestions").append(...examples.slice(0, 3).map((example) => h("li", {},
    h("button", { type: "button", onclick: () => ask(example.question) }, example.question))));
}

restore();
offer().catch(() => {});
// A question that was typed and sent before this script was there is not lost.
$("send").disabled = false;
if (field.value.endsWith("\n")) form.requestSubmit();
