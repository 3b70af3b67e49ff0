// Requests to this server: JSON, server-sent events, and errors that say what to do.
import { t } from "./dom.js";

/** An answer that is an error; `message` is the server's own line. */
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * The printed link, /start#token=CODE: the code is sent once and forgotten, while the screen is
 * there already. Where it is not taken, the sign-in page tries it again and says why.
 */
async function signIn() {
  const code = new URLSearchParams(location.hash.slice(1)).get("token");
  history.replaceState(null, "", "/");
  const answer = await fetch("/api/session", {
    method: "POST", headers: { "X-Ragtune": "1", "Content-Type": "application/json" }, body: JSON.stringify({ secret: code ?? "" }),
  }).catch(() => null);
  if (answer?.ok && (await answer.json()).role === document.body.dataset.role) return;
  if (code && !answer?.ok) history.replaceState(null, "", `/#token=${encodeURIComponent(code)}`);
  location.reload();
  await new Promise(() => {}); // nothing else is asked in the meantime
}
const signedIn = location.pathname === "/start" ? signIn() : null;

async function request(path, { method = "GET", body, json, signal, type } = {}) {
  const headers = { "X-Ragtune": "1" };
  if (json !== undefined) { body = JSON.stringify(json); type = "application/json"; }
  if (type) headers["Content-Type"] = type;
  await signedIn;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, t("error.unreachable"));
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    location.reload(); // the session has ended: the server answers with the sign-in page
  }
  let detail = t("error.status", { status: answer.status });
  try { detail = (await answer.json()).detail || detail; } catch { /* not a problem of ours */ }
  throw new ApiError(answer.status, detail);
}

/** The JSON that `path` answers with; null where it answers with nothing. */
export async function api(path, options) {
  const answer = await request(path, options);
  return answer.status === 204 ? null : answer.json();
}

export const query = (values) =>
  new URLSearchParams(Object.entries(values).filter(([, v]) => v !== undefined && v !== null)).toString();

/** Yields [event, data, id] of a stream of server-sent events. */
export async function* events(path, options) {
  const answer = await request(path, options);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      left += value;
      const blocks = left.split("\n\n");
      left = blocks.pop();
      for (const block of blocks) {
        let name = "message";
        let data = "";
        let id = "";
        for (const line of block.split("\n")) {
          if (line.startsWith("event: ")) name = line.slice(7);
          else if (line.startsWith("id: ")) id = line.slice(4);
          else if (line.startsWith("data: ")) data += line.slice(6);
        }
        if (!data) continue;
        if (name === "error") {
          const problem = JSON.parse(data);
          throw new ApiError(problem.status, problem.detail);
        }
        yield [name, JSON.parse(data), id];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Sends a file; `onProgress` gets the share that is sent. fetch cannot tell that. */
export function upload(path, file, onProgress) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", path);
    sending.setRequestHeader("X-Ragtune", "1");
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.upload.onprogress = (e) => e.lengthComputable && onProgress(e.loaded / e.total);
    sending.onerror = () => reject(new ApiError(0, t("error.unreachable")));
    sending.onload = () => {
      let answer = {};
      try { answer = JSON.parse(sending.responseText); } catch { /* says nothing */ }
      if (sending.status < 300) resolve(answer);
      else reject(new ApiError(sending.status, answer.detail || t("error.status", { status: sending.status })));
    };
    sending.send(file);
  });
}
