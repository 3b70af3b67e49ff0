// Compare: begin, watch, read the report; earlier runs stay.
import { $, announce, confirmed, date, failed, h, icon, percent, seconds, t, toast } from "./dom.js";
import { api } from "./api.js";
import { may } from "./frame.js";
import { badge, follow, LIVE } from "./jobs.js";

const title = (job) => t("compare.job", { date: date(job.created) });

$("compare-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const arms = [...$("compare-arms").querySelectorAll(":checked")].map((box) => box.value);
  $("compare-state").textContent = "";
  if (!arms.length) { $("compare-state").textContent = t("side.none"); return; }
  $("begin").disabled = true;
  try {
    const json = { arms, seeds: Number($("c-seeds").value), budget: `${$("c-minutes").value}m` };
    const questions = await asked();
    if (questions) json.questions = questions;
    const job = await api("/api/compares", { method: "POST", json });
    $("live-runs").prepend(watch(job));
    announce(t("compare.started"));
  } catch (error) { $("compare-state").textContent = error.message; }
  $("begin").disabled = false;
});

/** The questions of a JSON Lines file, where one was chosen. */
async function asked() {
  const file = $("c-file").files[0];
  if (!file) return null;
  const rows = (await file.text()).split("\n").filter((line) => line.trim());
  return rows.map((line, n) => {
    let row;
    try { row = JSON.parse(line); } catch { throw new Error(t("compare.bad_line", { n: n + 1 })); }
    const answers = row.answers?.length ? row.answers : row.answer ? [row.answer] : null;
    if (!row.question || !answers) throw new Error(t("compare.bad_line", { n: n + 1 }));
    return { question: row.question, answers, evidence: row.evidence ?? [] };
  });
}

const watch = (job) => follow(job, title(job), { onEnd: () => runs().catch(() => {}) }).element;

async function runs() {
  const { jobs } = await api("/api/jobs?kind=compare&limit=50");
  const done = jobs.filter((job) => !LIVE.includes(job.state));
  const results = await Promise.all(done.slice(0, 20).map((job) => (job.state === "done" ? api(`/api/jobs/${job.id}`) : job)));
  $("run-none").hidden = done.length > 0;
  $("run-table").hidden = done.length === 0;
  $("run-rows").replaceChildren(...results.map(row));
  return jobs;
}

function row(job) {
  const verdict = job.result?.verdict;
  const best = verdict?.leader && job.result.arms[verdict.leader]?.decision?.value;
  const line = h("tr", {},
    h("th", { scope: "row" }, job.state === "done" ? h("a", { href: `/compare/${job.id}` }, date(job.created)) : date(job.created)),
    h("td", {}, verdict ? (verdict.winner ? h("span", { class: "badge good" }, t("compare.winner", { name: verdict.winner })) : verdict.leader ? t("compare.leads", { name: verdict.leader }) : t("compare.nothing")) : badge(job.state), job.error && h("p", { class: "small bad" }, job.error)),
    h("td", { class: "number" }, best === null || best === undefined ? "–" : percent(best)),
    h("td", { class: "number" }, job.ended && job.started ? seconds(job.ended - job.started) : "–"),
    h("td", {}, h("div", { class: "row nowrap" },
      job.state !== "done" && h("button", { type: "button", class: "quiet", onclick: () => again(job) }, t("job.resume")),
      h("button", { type: "button", class: "icon-button", "aria-label": t("compare.delete_one", { name: date(job.created) }), onclick: () => remove(job, line) }, icon("trash")))));
  return line;
}

async function again(job) {
  try { $("live-runs").prepend(watch(await api(`/api/jobs/${job.id}/resume`, { method: "POST" }))); await runs(); } catch (error) { toast(error.message); }
}
async function remove(job, line) {
  if (!(await confirmed(t("compare.delete_sure"), t("compare.delete_says"), t("do.delete")))) return;
  try { await api(`/api/jobs/${job.id}`, { method: "DELETE" }); line.remove(); await runs(); } catch (error) { toast(error.message); }
}

if (may("editor")) {
  runs().then((jobs) => $("live-runs").append(...jobs.filter((job) => LIVE.includes(job.state)).map(watch)))
    .catch((error) => $("live-runs").replaceChildren(failed(error, () => location.reload())));
} else $("compare-body").replaceChildren(h("p", { class: "banner" }, t("error.editor")));
