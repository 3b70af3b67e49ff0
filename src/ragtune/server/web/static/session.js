// Signs the browser in: the printed link holds a code behind '#', which is sent once and forgotten.
const code = new URLSearchParams(location.hash.slice(1)).get("token");
const state = document.getElementById("state");

if (code) {
  history.replaceState(null, "", location.pathname);
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Ragtune": "1" },
    body: JSON.stringify({ secret: code }),
  });
  if (!answer.ok) state.textContent = (await answer.json()).detail;
}
const who = await fetch("/api/session");
if (who.ok) state.textContent = `Signed in as ${(await who.json()).name}.`;
else if (!code) state.textContent = "Open the link that ragtune serve has printed.";
