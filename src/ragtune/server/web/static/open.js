// A citation's own address, as programs show it: /open?uri=…&start=…&end=…&sha256=…
import { $, h, t } from "./dom.js";
import { api, query } from "./api.js";
import "./frame.js";
import { open } from "./source.js";

const asked = new URLSearchParams(location.search);
const uri = asked.get("uri") ?? "";
const [start, end] = [Number(asked.get("start") ?? 0), Number(asked.get("end") ?? 0)];
try {
  const found = await api(`/api/document?${query({ uri, start, end })}`);
  const changed = asked.get("sha256") && asked.get("sha256") !== found.sha256;
  $("open-state").textContent = changed ? t("source.changed") : end ? `“${found.text}”` : found.title;
  open(end ? { ...found, quote: found.text } : { uri, title: found.title });
} catch (error) {
  $("open-state").replaceChildren(h("span", { class: "bad" }, error.status === 404 ? t("source.gone") : error.message));
}
