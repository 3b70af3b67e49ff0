// Signs the browser in, also with a code or token behind '#', which is sent once and forgotten.
const $ = (id) => document.getElementById(id);

function waiting(is) {
  $("doing").hidden = !is;
  $("form").hidden = is;
}

async function signIn(given) {
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Ragtune": "1" },
    body: JSON.stringify(given),
  }).catch(() => null);
  if (answer?.ok) { location.reload(); return; }
  const { wrong, unreachable } = $("state").dataset;
  let detail = unreachable;
  if (answer) detail = answer.status === 401 || answer.status === 422 ? wrong : (await answer.json()).detail;
  waiting(false);
  $("state").textContent = detail;
  $("secret").focus();
}

const code = new URLSearchParams(location.hash.slice(1)).get("token");
if (code) {
  history.replaceState(null, "", location.pathname + location.search);
  waiting(true);
  signIn({ secret: code });
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
