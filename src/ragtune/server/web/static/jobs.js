// Long work: what it is doing, how long it will still take, stop, go on. The work itself runs in
// a process of its own: leaving the page ends nothing.
import { announce, confirmed, h, number, seconds, t, toast, told } from "./dom.js";
import { api, events } from "./api.js";

export const LIVE = ["queued", "running"];
const KINDS = { done: "good", failed: "bad", cancelled: "", interrupted: "warn", running: "accent", queued: "" };

export const badge = (state) => h("span", { class: `badge ${KINDS[state] ?? ""}` }, t(`job.${state}`));

/** A card that follows a job to its end; `onStep` gets steps, `onEnd` the job with its result. */
export function follow(job, title, { onStep = () => {}, onEnd = () => {} } = {}) {
  const state = h("span", {}, badge(job.state));
  const what = h("p", { class: "small", "aria-live": "off" }, t("job.waiting"));
  const bar = h("progress", { "aria-label": title });
  const left = h("span", { class: "soft small" }, " ");
  const extra = h("div");
  const stop = h("button", { type: "button", onclick: async () => {
    if (!(await confirmed(t("job.stop_sure"), t("job.stop_says"), t("job.stop")))) return;
    await api(`/api/jobs/${job.id}`, { method: "DELETE" }).catch((error) => toast(error.message));
  } }, t("job.stop"));
  const element = h("section", { class: "card stack", "aria-label": title },
    h("div", { class: "row" }, h("h3", {}, title), state), bar, h("div", { class: "row" }, what, left), extra, h("div", { class: "row" }, stop));
  let begun = null;

  function progress({ what: name, done, total, detail }) {
    if (begun?.what !== name || done < begun.done) begun = { what: name, done, at: Date.now() };
    what.textContent = [told(`work.${name.replaceAll(" ", "_")}`, name), total ? `${number(done)} / ${number(total)}` : "", detail].filter(Boolean).join(" · ");
    if (!total) { bar.removeAttribute("value"); left.textContent = ""; return; }
    bar.max = total;
    bar.value = done;
    const took = (Date.now() - begun.at) / 1000;
    const moved = done - begun.done;
    eta(moved > 0 && took > 1 ? (took / moved) * (total - done) : null);
  }
  const eta = (value) => { left.textContent = value === null || value < 1 ? "" : t("job.left", { time: seconds(value) }); };

  async function watch() {
    let ended = false;
    let after = 0; // how far it was read: after a broken connection it goes on from there
    for (;;) {
      try {
        for await (const [name, data, id] of events(`/api/jobs/${job.id}/events?after=${after}`)) {
          after = id || after;
          if (name === "job") state.replaceChildren(badge(data.state));
          else if (name === "progress") progress(data);
          else if (name === "step") {
            onStep(data);
            bar.max = data.total;
            bar.value = data.step;
            eta(data.seconds_left);
          } else if (name === "end") ended = true;
        }
      } catch (error) {
        if (error.status === 404) { element.remove(); return; }
      }
      if (ended) break;
      await new Promise((r) => setTimeout(r, 1500)); // the server went: it comes back
    }
    const done = await api(`/api/jobs/${job.id}`);
    bar.remove();
    stop.remove();
    left.textContent = "";
    what.textContent = done.error ?? t(`job.${done.state}_says`);
    what.className = done.state === "failed" ? "bad" : "small";
    announce(`${title}: ${t(`job.${done.state}`)}`);
    if (["interrupted", "failed", "cancelled"].includes(done.state)) extra.append(h("button", { type: "button", onclick: async () => {
      try { await api(`/api/jobs/${job.id}/resume`, { method: "POST" }); location.reload(); } catch (error) { toast(error.message); }
    } }, t("job.resume")));
    onEnd(done);
  }
  watch();
  return { element, extra };
}
