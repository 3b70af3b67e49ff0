// Signs the browser in: the printed link holds a code behind '#', which is sent once and forgotten.
import { $, t } from "./dom.js";

async function signIn(given) {
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Ragtune": "1" },
    body: JSON.stringify(given),
  }).catch(() => null);
  if (answer?.ok) { location.reload(); return; }
  let detail = t("error.unreachable");
  if (answer) detail = answer.status === 401 || answer.status === 422 ? t("signin.wrong") : (await answer.json()).detail;
  $("state").textContent = detail;
  $("secret").focus();
}

const code = new URLSearchParams(location.hash.slice(1)).get("token");
if (code) {
  history.replaceState(null, "", location.pathname + location.search);
  await signIn({ secret: code });
} else {
  $("secret").focus();
}
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("state").textContent = "";
  const name = $("name").value.trim();
  const secret = $("secret").value.trim();
  signIn(name ? { name, password: secret } : { secret });
});
