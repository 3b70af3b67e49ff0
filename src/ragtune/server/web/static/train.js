// Train: the examples with their checks, a training with its curve, the registry of models.
import { $, announce, confirmed, count, date, failed, h, icon, number, percent, t, toast } from "./dom.js";
import { api, query } from "./api.js";
import { may } from "./frame.js";
import { curve } from "./curve.js";
import { follow, LIVE } from "./jobs.js";

const PAGE = 10;
let after;
let total = 0;

// ---------------------------------------------------------------- examples

async function load(fresh = true) {
  if (fresh) { after = undefined; $("example-rows").replaceChildren(); }
  const q = $("example-filter").value.trim() || undefined;
  const page = await api(`/api/examples?${query({ limit: PAGE, after, q })}`);
  after = page.next ?? undefined;
  total = page.total;
  $("example-rows").append(...page.examples.map(row));
  $("examples-more").hidden = !page.next;
  $("examples-count").textContent = count("train.examples", total);
  $("examples-none").hidden = total > 0 || q !== undefined;
  $("examples-table").hidden = total === 0;
  $("start").disabled = total === 0 && q === undefined;
  if (q === undefined) $("check").disabled = total === 0;
}

function row(example) {
  const line = h("tr", {}, h("td", {}, example.question), h("td", { class: "clamp" }, h("div", {}, example.answer)),
    h("td", {}, example.reviewed === false ? h("span", { class: "badge warn" }, t("train.unreviewed")) : example.kind ? h("span", { class: "badge" }, example.kind) : ""),
    h("td", {}, h("div", { class: "row nowrap" },
      h("button", { type: "button", class: "quiet", "aria-label": t("train.edit_one", { name: example.question }), onclick: () => edit(example) }, t("do.edit")),
      h("button", { type: "button", class: "icon-button", "aria-label": t("train.delete_one", { name: example.question }), onclick: () => remove(example, line) }, icon("trash")))));
  return line;
}

async function remove(example, line) {
  if (!(await confirmed(t("train.delete_sure"), example.question, t("do.delete")))) return;
  try {
    await api(`/api/examples/${encodeURIComponent(example.id)}`, { method: "DELETE" });
    line.remove();
    announce(t("train.deleted"));
    await load();
  } catch (error) { toast(error.message); }
}

function edit(example = null) {
  const question = h("input", { id: "e-question", maxlength: "4000", required: true, value: example?.question ?? "" });
  const answer = h("textarea", { id: "e-answer", rows: "7", maxlength: "20000", required: true }, example?.answer ?? "");
  const state = h("p", { class: "bad small", role: "alert" });
  const dialog = h("dialog", { class: "wide", "aria-labelledby": "e-title" }, h("form", { method: "dialog", onsubmit: async (event) => {
    if (event.submitter?.value === "no") return;
    event.preventDefault();
    const { id, reviewed, ...rest } = example ?? {};
    const known = ["evidence", "kind", "must_contain"].filter((k) => rest[k]).map((k) => [k, rest[k]]);
    const json = { ...Object.fromEntries(known), question: question.value, answer: answer.value };
    try {
      await (id ? api(`/api/examples/${encodeURIComponent(id)}`, { method: "PUT", json }) : api("/api/examples", { method: "POST", json }));
      dialog.close();
      await load();
      announce(t("train.saved"));
    } catch (error) { state.textContent = error.message; }
  } }, h("h2", { id: "e-title" }, t(example ? "train.edit" : "train.add")),
  h("div", { class: "field" }, h("label", { for: "e-question" }, t("train.question")), question),
  h("div", { class: "field" }, h("label", { for: "e-answer" }, t("train.answer")), answer), state,
  h("div", { class: "row end" }, h("button", { value: "no", type: "submit", formnovalidate: true }, t("do.cancel")), h("button", { value: "yes", type: "submit", class: "primary" }, t("do.save")))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  question.focus();
}

async function take(file) {
  if (!file) return;
  try {
    const found = await api(`/api/examples/import?${query({ name: file.name })}`, { method: "POST", body: file, type: "application/octet-stream" });
    toast(t("train.imported", { added: number(found.added), known: number(found.known), left: number(found.left_out.length) }));
    await load();
  } catch (error) { toast(error.message); }
  $("import-file").value = "";
}

const SEVERITY = { stop: "bad", warning: "warn", note: "" };

async function check() {
  const into = $("checks");
  $("check").disabled = true;
  into.replaceChildren(h("p", { class: "soft" }, t("train.checking")), h("span", { class: "bone" }), h("span", { class: "bone short" }));
  try {
    const found = await api("/api/examples/check", { method: "POST", json: { show: 2 } });
    const findings = found.report.findings;
    into.replaceChildren(h("div", { class: "stack" },
      h("p", { class: `banner ${found.ok ? "good" : "bad"}` }, h("strong", {}, t(found.ok ? "train.ok" : "train.stops")), " ", t("train.checked", { n: number(found.report.examples) })),
      findings.length ? h("ul", { class: "findings" }, findings.map((f) => h("li", {}, h("span", { class: `badge ${SEVERITY[f.severity]}` }, t(`train.${f.severity}`)),
        h("div", {}, h("p", {}, f.message), h("p", { class: "soft small" }, f.advice))))) : null,
      found.preview.length ? h("div", { class: "stack" }, h("h3", {}, t("train.tokens")), h("p", { class: "soft small" }, t("train.tokens_says")),
        found.preview.map((view) => h("div", {}, h("p", { class: "soft small" }, t("train.tokens_count", { prompt: number(view.prompt_tokens), trained: number(view.trained_tokens) })),
          h("div", { class: "tokens", tabindex: "0", role: "region", "aria-label": t("train.tokens") }, view.pieces.map((p) => (p.trained ? h("span", { class: "trained" }, p.text) : p.text)))))) : null,
      found.note ? h("p", { class: "soft small" }, found.note) : null));
    announce(t(found.ok ? "train.ok" : "train.stops"));
  } catch (error) { into.replaceChildren(failed(error, check)); }
  $("check").disabled = false;
}

// ---------------------------------------------------------------- training

function run(job, { old = false } = {}) {
  const points = [];
  let steps = 0;
  const drawing = h("div", {}, curve([]));
  const card = follow(job, t("train.job", { name: job.asked.name ?? "" }), {
    onStep: (step) => {
      steps = step.total;
      const previous = points.at(-1)?.[3];
      points.push([step.step, step.loss, step.heldout !== previous ? step.heldout : null, step.heldout]);
      drawing.replaceChildren(curve(points, steps));
    },
    onEnd: (done) => {
      if (done.state !== "done") { if (!points.length) drawing.remove(); return; }
      drawing.replaceChildren(curve(done.result.passport?.curve ?? points));
      card.extra.append(outcome(done.result));
      if (!old) models().catch(() => {});
    },
  });
  card.extra.append(drawing);
  return card.element;
}

const SCORES = [["loss", "heldout_loss_before", "heldout_loss", (v) => number(v, 3)], ["style", "style_before", "style", percent],
  ["facts", "facts_before", "facts", percent], ["ability", "general_ability_before", "general_ability", percent]];

function scores(found) {
  const rows = SCORES.filter(([, before, after]) => found?.[before] !== undefined && found?.[after] !== undefined);
  return rows.length ? h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("train.heldout")), h("th", { scope: "col", class: "number" }, t("train.before")), h("th", { scope: "col", class: "number" }, t("train.after")))),
    h("tbody", {}, rows.map(([name, before, after, form]) => h("tr", {}, h("th", { scope: "row" }, t(`train.score_${name}`)), h("td", { class: "number" }, form(found[before])), h("td", { class: "number" }, form(found[after]))))))) : null;
}

function outcome(result) {
  const shown = (result.samples ?? []).slice(0, 4);
  return h("div", { class: "stack" }, scores(result.passport?.scores), shown.length ? h("h3", {}, t("train.before_after")) : null,
    shown.map((sample) => h("div", { class: "stack tight" }, h("p", {}, h("strong", {}, sample.question)), h("div", { class: "before-after" },
      h("div", {}, h("h4", {}, t("train.before")), sample.base.trim()), h("div", {}, h("h4", {}, t("train.after")), sample.tuned.trim())))));
}

$("train-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const value = (id) => $(id).value.trim() || undefined;
  const json = { name: value("t-name") ?? "tuned", mode: value("t-mode"), minutes: value("t-minutes") && Number(value("t-minutes")), epochs: value("t-epochs") && Number(value("t-epochs")), restart: true };
  for (const key of Object.keys(json)) if (json[key] === undefined) delete json[key];
  if (json.mode === "reader") delete json.restart;
  $("train-state").textContent = "";
  $("start").disabled = true;
  try {
    const job = await api("/api/tunes", { method: "POST", json });
    $("runs").prepend(run(job));
    announce(t("train.started"));
  } catch (error) { $("train-state").textContent = error.message; }
  $("start").disabled = false;
});

async function runs() {
  const { jobs } = await api("/api/jobs?kind=tune&limit=5");
  const live = jobs.filter((job) => LIVE.includes(job.state) || job.state === "interrupted");
  const last = jobs.find((job) => job.state === "done" || job.state === "failed");
  $("runs").replaceChildren(...[...live, ...(last ? [last] : [])].map((job) => run(job, { old: true })));
}

// ---------------------------------------------------------------- the registry

async function models() {
  const { active, adapters } = await api("/api/adapters");
  $("models").replaceChildren(h("li", { class: "card stack" }, modelHead(t("train.base"), active === null, t("train.base_says")),
    active !== null && may("editor") && h("div", { class: "row" }, h("button", { type: "button", onclick: () => use("base") }, t("train.use")))),
  ...adapters.map((one) => model(one, active)));
  $("rollback").hidden = !may("editor");
}

const modelHead = (name, active, says) => h("div", { class: "stack tight" }, h("div", { class: "row" }, h("h3", {}, name), active && h("span", { class: "badge good" }, icon("check", "tiny"), t("train.in_use"))), h("p", { class: "soft small" }, says));

function model(one, active) {
  const passport = one.passport;
  const says = one.problem ? one.problem : [t(`train.mode_${passport.mode}`), one.built_in ? t("train.built_in") : date(passport.created), count("train.examples", Object.values(passport.split ?? {}).reduce((a, b) => a + b, 0))].filter(Boolean).join(" · ");
  return h("li", { class: "card stack" }, modelHead(one.name, one.name === active, says), passport && scores(passport.scores),
    passport && h("details", { class: "more" }, h("summary", {}, t("train.passport")), passport.curve?.length > 1 ? curve(passport.curve) : null, facts(passport)),
    h("div", { class: "row" }, one.name !== active && !one.problem && may("editor") && h("button", { type: "button", onclick: () => use(one.name) }, t("train.use")),
      one.name !== active && !one.built_in && may("editor") && h("button", { type: "button", class: "quiet", onclick: () => drop(one.name) }, icon("trash"), t("do.delete"))));
}

function facts(passport) {
  const shown = { base: passport.base, mode: passport.mode, seed: passport.seed, created: date(passport.created), sha256: passport.sha256, base_sha256: passport.base_sha256, data_sha256: passport.data_sha256,
    ...Object.fromEntries(Object.entries(passport.settings ?? {}).map(([k, v]) => [k, String(v)])), ...(passport.parity ? { parity: percent(passport.parity.agreement) } : {}) };
  return h("dl", { class: "facts" }, Object.entries(shown).filter(([, v]) => v !== null && v !== "" && v !== undefined).map(([k, v]) => [h("dt", {}, k.replaceAll("_", " ")), h("dd", { class: "mono" }, String(v))]));
}

async function use(name) {
  try { await api("/api/adapters/use", { method: "POST", json: { name } }); await models(); announce(t("train.now", { name })); toast(t("train.now", { name })); } catch (error) { toast(error.message); }
}
async function drop(name) {
  if (!(await confirmed(t("train.drop_sure"), t("train.drop_says", { name }), t("do.delete")))) return;
  try { await api(`/api/adapters/${encodeURIComponent(name)}`, { method: "DELETE" }); await models(); } catch (error) { toast(error.message); }
}
$("rollback").addEventListener("click", async () => {
  try {
    const found = await api("/api/adapters/rollback", { method: "POST" });
    await models();
    toast(t("train.now", { name: found.active ?? t("train.base") }));
  } catch (error) { toast(error.message); }
});

$("add").addEventListener("click", () => edit());
$("check").addEventListener("click", check);
$("import").addEventListener("click", () => $("import-file").click());
$("import-file").addEventListener("change", () => take($("import-file").files[0]));
$("examples-more").addEventListener("click", () => load(false));
$("example-filter").addEventListener("input", () => load().catch((error) => toast(error.message)));
if (may("editor")) {
  load().catch((error) => $("checks").replaceChildren(failed(error, load)));
  runs().catch((error) => $("runs").replaceChildren(failed(error, runs)));
} else $("editors").replaceChildren(h("p", { class: "banner" }, t("error.editor")));
models().catch((error) => $("models").replaceChildren(h("li", {}, failed(error, models))));
