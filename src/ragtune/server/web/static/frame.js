// What every screen has: the line about the workspace, and signing out.
import { $, count, t } from "./dom.js";
import { api } from "./api.js";

/** The workspace's state, once for the screen. */
export const status = api("/api/status");

status.then((found) => { $("status").textContent = count("nav.documents", found.documents); },
            (error) => { $("status").textContent = error.message; });

$("sign-out").addEventListener("click", async () => {
  sessionStorage.clear();
  await api("/api/session", { method: "DELETE" });
  location.assign("/");
});

/** Whether this person has the role. */
export const may = (role) => {
  const roles = ["reader", "editor", "admin"];
  return roles.indexOf(document.body.dataset.role) >= roles.indexOf(role);
};

/** The name of an approach for people. */
export function arm(name) {
  const tuned = name.match(/^ragtune\/tuned:(.*)$/);
  if (tuned) return tuned[1];
  const key = name === "ragtune" ? "ragtune" : name.replace("ragtune/", "");
  return ["ragtune", "quote", "rag", "base", "hybrid"].includes(key) ? t(`arm.${key}`) : name;
}
