// Downloads what the manifest names, checks it, and keeps it in the browser's cache.

const CACHE = 'ragtune-data';

/** {manifest, parts}: the unpacked files of data/ by name. `report(done, total)` counts bytes. */
export async function load(base, report) {
  const answer = await fetch(new URL('manifest.json', base), { cache: 'no-cache' });
  if (!answer.ok) throw new Error(`manifest.json: ${answer.status}`);
  const manifest = await answer.json();
  // Only in a secure context (https, localhost); elsewhere each visit downloads again.
  const cache = globalThis.caches ? await caches.open(CACHE).catch(() => null) : null;
  const total = manifest.data.reduce((sum, file) => sum + file.bytes, 0);
  let done = 0;
  const add = (bytes) => report((done += bytes), total);
  const entries = await Promise.all(manifest.data.map(async (file) => (
    [file.name, await part(file, new URL(file.path, base).href, cache, add)])));
  if (cache) await forget(cache, base, manifest);
  return { manifest, parts: Object.fromEntries(entries) };
}

async function part(file, url, cache, add) {
  const kept = await cache?.match(url);
  if (kept) {
    const bytes = await kept.arrayBuffer();
    if (bytes.byteLength === file.bytes) {
      add(file.bytes);
      return unpacked(bytes);
    }
  }
  const bytes = await download(url, file, add);
  await cache?.put(url, new Response(bytes)).catch(() => {}); // a full disk: work without
  return unpacked(bytes);
}

async function download(url, file, add) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${file.path}: ${answer.status}`);
  const bytes = new Uint8Array(file.bytes);
  let at = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length > file.bytes) throw new Error(`${file.path} is not the exported file`);
    bytes.set(value, at);
    at += value.length;
    add(value.length);
  }
  if (at !== file.bytes || !(await sound(bytes, file.sha256))) {
    throw new Error(`${file.path} is not the exported file`);
  }
  return bytes;
}

async function sound(bytes, sha256) {
  if (!globalThis.crypto?.subtle) return true; // not a secure context
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('') === sha256;
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** One more file that the manifest names, checked and kept like the others; unpacked if `packed`. */
export async function fetched(file, base, report) {
  const cache = globalThis.caches ? await caches.open(CACHE).catch(() => null) : null;
  const url = new URL(file.path, base).href;
  const kept = await cache?.match(url);
  let bytes = kept && new Uint8Array(await kept.arrayBuffer());
  if (bytes?.length !== file.bytes) {
    let done = 0;
    bytes = await download(url, file, (count) => report((done += count), file.bytes));
    await cache?.put(url, new Response(bytes)).catch(() => {});
  }
  return file.packed ? unpacked(bytes) : bytes;
}

/** Deletes kept files of this folder that the manifest no longer names: what was withdrawn. */
async function forget(cache, base, manifest) {
  const extra = manifest.generator ? [manifest.generator, manifest.generator.wasm] : [];
  const named = new Set([...manifest.data, ...extra].map((file) => new URL(file.path, base).href));
  for (const request of await cache.keys()) {
    if (request.url.startsWith(base) && !named.has(request.url)) await cache.delete(request);
  }
}
