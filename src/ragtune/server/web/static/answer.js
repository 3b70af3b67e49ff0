// One question with what comes back: evidence at once, the text as it is written, then the answer
// that was checked. The three stand in places of their own, so that nothing moves.
import { announce, failed, h, icon, percent, seconds, t, toast } from "./dom.js";
import { api, events } from "./api.js";
import { cited, ofQuote, quote } from "./chips.js";

const bones = () => h("div", { class: "waiting", "aria-hidden": "true" }, ["", "", "short"].map((c) => h("span", { class: `bone ${c}` })));

/** Places for a question's answer: `run` asks and fills them; resolves with the answer or null. */
export function place(compact = false) {
  const state = h("p", { class: "over" });
  const evidence = h("div", { class: compact ? "quotes compact" : "quotes" }, bones());
  const text = h("div", { class: "text" });
  const element = h("div", { class: "stack" }, state, evidence, text);
  const control = new AbortController();

  async function run(body, onEvent = () => {}) {
    const say = (words, aloud = true) => { state.textContent = words; if (aloud && !compact) announce(words); };
    say(t("ask.searching"));
    let writing = null;
    try {
      for await (const [name, data] of events("/api/ask", { method: "POST", json: body, signal: control.signal })) {
        onEvent(name, data);
        if (name === "evidence") {
          evidence.replaceChildren(...data.quotes.map((q, n) => quote(ofQuote(q, n), n === 0)));
          say(data.supported ? t("ask.found") : t("ask.thinking"));
        } else if (name === "queued") say(t("ask.queued", { n: data.position }));
        else if (name === "token") {
          if (!writing) {
            say(t("ask.writing"));
            evidence.classList.add("compact");
            writing = h("p", { class: "written provisional" });
            text.replaceChildren(writing);
          }
          writing.append(data.text);
        } else if (name === "answer") {
          render(data);
          return data;
        }
      }
      throw new Error(t("error.unreachable"));
    } catch (error) {
      evidence.querySelector(".waiting")?.remove();
      if (error.name === "AbortError") { say(t("ask.stopped")); writing?.classList.remove("provisional"); return null; }
      state.textContent = "";
      text.replaceChildren(failed(error, () => { text.replaceChildren(); run(body, onEvent); }));
      return null;
    }
  }

  /** Shows a finished answer. */
  function render(answer) {
    const quoted = answer.model === "quote" && answer.citations.length > 0;
    state.textContent = headline(answer);
    if (answer.status === "declined") {
      evidence.replaceChildren(declined(answer));
      text.replaceChildren();
    } else if (quoted) {
      evidence.classList.toggle("compact", compact);
      evidence.replaceChildren(...differ(answer), ...answer.citations.map((c, n) => quote(c, n === 0)));
      text.replaceChildren(...(answer.written ? [unsupported(answer)] : []));
    } else {
      if (!answer.citations.length) evidence.replaceChildren();
      else {
        evidence.classList.add("compact");
        evidence.replaceChildren(...differ(answer), ...answer.citations.map((c) => quote(c)));
      }
      text.replaceChildren(h("p", { class: "written" }, cited(answer.text, answer.citations)), ...warnings(answer));
    }
    if (!compact) announce([headline(answer), ...(answer.conflict ? [t("ask.conflict")] : []), answer.text].join(". "));
  }
  return { element, run, render, stop: () => control.abort() };
}

function headline(answer) {
  if (answer.status === "declined") return t("ask.declined");
  if (answer.model === "quote") return t("ask.quoted");
  if (answer.model === "reply") return t("ask.replied");
  return answer.citations.length ? t("ask.checked") : t("ask.recalled");
}

const declined = (answer) => h("div", { class: "stack" }, h("div", { class: "banner" }, h("p", {}, t("ask.declined_says"))),
  answer.nearest.length ? [h("p", { class: "soft small" }, t("ask.nearest")), h("div", { class: "quotes compact" }, answer.nearest.map((c) => quote(c)))] : null);

/** What stands before an answer whose sources do not agree. */
const differ = (answer) => (answer.conflict ? [h("p", { class: "banner warn" }, t("ask.conflict"))] : []);

function warnings(answer) {
  if (answer.status === "partly_cited") return [h("p", { class: "banner" }, t("ask.partly"))];
  if (answer.status === "uncited" && answer.model !== "reply") return [h("p", { class: "banner warn" }, t("ask.uncited"))];
  return [];
}

const unsupported = (answer) => h("details", { class: "more" }, h("summary", {}, t("ask.unsupported")), h("p", { class: "soft written" }, answer.written));

/** The line below an answer: copy, thumbs, and how it came about. */
export function tools(question, answer) {
  const thumb = (way) => h("button", { type: "button", class: "quiet", "aria-pressed": "false", "aria-label": t(`ask.thumb_${way}`), title: t(`ask.thumb_${way}`), onclick: () => rate(way) }, icon(way));
  const up = thumb("up");
  const down = thumb("down");
  const form = correction(question, answer, (sent) => { form.hidden = true; if (!sent) down.setAttribute("aria-pressed", "false"); down.focus(); });
  form.hidden = true;
  async function rate(way) {
    try {
      up.setAttribute("aria-pressed", String(way === "up"));
      down.setAttribute("aria-pressed", String(way === "down"));
      if (way === "down") { form.hidden = false; form.querySelector("textarea").focus({ preventScroll: true }); form.scrollIntoView({ block: "nearest" }); return; }
      form.hidden = true;
      await api("/api/feedback", { method: "POST", json: said(question, answer, way) });
      announce(t("ask.thanks"));
    } catch (error) { toast(error.message); }
  }
  const meta = [seconds(answer.timings.total), answer.citations.length ? t("ask.support", { share: percent(answer.support) }) : null].filter(Boolean).join(" · ");
  return h("div", { class: "stack" }, h("div", { class: "tools" },
    h("button", { type: "button", class: "quiet", onclick: () => copy(answer) }, icon("copy"), t("ask.copy")), up, down,
    h("span", { class: "meta small" }, meta)), form);
}

/** What is sent about an answer. */
export const said = (question, answer, thumb) => ({ question, answer: plain(answer.text), thumb, model: answer.model,
  evidence: answer.citations.slice(0, 10).map((c) => ({ document: c.uri, quote: c.quote })) });

/** The text without its markers: what a model would learn to say. */
const plain = (text) => text.replace(/\s*\[\d+\]/g, "").trim();

function correction(question, answer, done) {
  const text = h("textarea", { rows: "4", maxlength: "8000", id: `c${crypto.getRandomValues(new Uint32Array(1))[0]}` });
  const state = h("p", { class: "bad small", role: "alert" });
  return h("form", { class: "card correct", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const body = said(question, answer, "down");
      if (text.value.trim()) body.correction = text.value.trim();
      await api("/api/feedback", { method: "POST", json: body });
      toast(body.correction ? t("ask.kept") : t("ask.thanks"));
      done(true);
    } catch (error) { state.textContent = error.message; }
  } }, h("label", { for: text.id }, t("ask.correct")), h("p", { class: "soft small" }, t("ask.correct_says")), text, state,
  h("div", { class: "row end" }, h("button", { type: "button", class: "quiet", onclick: () => done(false) }, t("do.cancel")), h("button", { type: "submit", class: "primary" }, t("ask.correct_send"))));
}

/** Puts the answer with its sources on the clipboard, as text. */
export async function copy(answer) {
  const lines = answer.citations.map((c) => `[${c.marker}] ${c.uri}${c.place?.label ? `, ${c.place.label}` : ""} — “${c.quote}”`);
  const whole = [answer.text, ...(lines.length ? ["", ...lines] : [])].join("\n");
  try {
    await navigator.clipboard.writeText(whole);
    toast(t("ask.copied"));
  } catch { toast(t("ask.not_copied")); }
}
