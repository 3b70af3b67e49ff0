// The loss curve as SVG: grey while training, the accent on what was held out.
import { h, number, s, t } from "./dom.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [640, 240, 46, 26];

/** `points` are [step, training loss, held-out loss or null]; `total` steps are to come in all. */
export function curve(points, total = 0) {
  const losses = points.flatMap(([, a, b]) => [a, b]).filter((v) => Number.isFinite(v));
  const [low, high] = losses.length ? [Math.min(...losses), Math.max(...losses)] : [0, 1];
  const pad = Math.max((high - low) * 0.08, 0.01);
  const last = Math.max(total, ...points.map(([step]) => step), 1);
  const x = (step) => LEFT + ((WIDTH - LEFT - 10) * step) / last;
  const y = (loss) => 10 + ((HEIGHT - BOTTOM - 10) * (high + pad - loss)) / (high - low + 2 * pad);
  const line = (n) => points.filter((p) => Number.isFinite(p[n])).map((p) => `${x(p[0]).toFixed(1)},${y(p[n]).toFixed(1)}`).join(" ");
  const held = points.filter((p) => Number.isFinite(p[2]));
  const said = held.length
    ? t("train.curve_says", { first: number(held[0][2], 3), last: number(held.at(-1)[2], 3), step: held.at(-1)[0] })
    : t("train.curve_empty");
  const ticks = [0, 0.5, 1].map((share) => low + (high - low) * share);
  return h("figure", {}, s("svg", { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said },
    ticks.map((v) => [s("line", { class: "axis", x1: LEFT, x2: WIDTH - 10, y1: y(v), y2: y(v) }), s("text", { class: "end", x: LEFT - 6, y: y(v) + 4 }, losses.length ? number(v, 2) : "")]),
    s("text", { x: LEFT, y: HEIGHT - 6 }, "0"), s("text", { class: "end", x: WIDTH - 10, y: HEIGHT - 6 }, t("train.steps", { n: number(last) })),
    s("polyline", { class: "train", points: line(1) }), s("polyline", { class: "held", points: line(2) }),
    held.map((p) => s("circle", { cx: x(p[0]), cy: y(p[2]), r: 3 }, s("title", {}, `${p[0]}: ${number(p[2], 3)}`)))),
  h("figcaption", { class: "legend" }, h("span", {}, h("i", {}), t("train.curve_train")), h("span", {}, h("i", { class: "held" }), t("train.curve_held"))));
}
