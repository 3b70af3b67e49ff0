// Keeps the page itself for offline use; the data is kept by load.js. Version {{version}}.
//
// Asked over the network first, so that a new export shows at once; from the cache without one.
// Adds the headers that isolate the page, so that threads work on servers that do not send them.

const CACHE = 'ragtune-page';
const SCOPE = self.registration.scope;

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

async function install() {
  const fresh = (url) => fetch(new URL(url, SCOPE), { cache: 'no-cache' });
  const manifest = await (await fresh('manifest.json')).json();
  const cache = await caches.open(CACHE);
  const wanted = ['manifest.json', ...manifest.shell];
  await Promise.all(wanted.map(async (url) => {
    const answer = await fresh(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    await cache.put(new URL(url, SCOPE), answer);
  }));
  await self.skipWaiting();
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const inside = request.url.startsWith(SCOPE) && request.method === 'GET';
  const path = request.url.slice(SCOPE.length);
  if (inside && !/^(?:data|generator)\//.test(path)) event.respondWith(answered(request));
});

async function answered(request) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request.url.split(/[?#]/)[0], answer.clone());
    return isolated(answer);
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return isolated(kept);
    throw error;
  }
}

function isolated(answer) {
  if (answer.type === 'opaqueredirect' || answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
