// Search and answers, away from the page's own thread.
//
// in   {type: 'ask', id, question}  {type: 'document', id, uri}
// out  {type: 'progress', done, total}  {type: 'ready', about}  {type: 'failed', message}
//      {type: 'answer', id, answer}  {type: 'document', id, document}

import { ask } from './js/ask.js';
import { Encoder, relaxed } from './js/encoder.js';
import { Embedder, Tokenizer } from './js/models.js';
import { Reader } from './js/reader.js';
import { Router } from './js/router.js';
import { Store } from './js/store.js';
import { load } from './load.js';

const base = new URL('./', import.meta.url).href;
const text = (bytes) => JSON.parse(new TextDecoder().decode(bytes));

async function open() {
  const { manifest, parts } = await load(base, (done, total) => (
    postMessage({ type: 'progress', done, total })));
  const index = text(parts['index.json']);
  const tokenizer = new Tokenizer(text(parts['vocabulary.json']));
  const networks = text(parts['networks.json']);
  const code = await WebAssembly.compile(parts[`encoder-${relaxed() ? 'relaxed' : 'plain'}.wasm`]);
  const encoder = (name) => Encoder.create(code, parts['weights.bin'], networks[name]);
  const shared = await encoder('embedder');
  const embedder = new Embedder(shared, tokenizer, index.max_tokens);
  const reader = index.heads && new Reader(await encoder('reader'), tokenizer, index.heads);
  const router = index.router && new Router({
    weights: parts['weights.bin'], network: networks.router, encoder: shared, embedder,
    passport: index.router,
  });
  const store = new Store(index, parts['vectors.bin']);
  const system = { store, embedder, reader, router };
  await ask('?', { ...system, router: null }, index.settings); // the first run is the slowest
  const documents = store.documents.map(({ uri, title, type }) => ({ uri, title, type }));
  const { title, exported, passages, examples, generator } = manifest;
  postMessage({
    type: 'ready', about: { title, exported, passages, examples, generator, documents },
  });
  return { system, settings: index.settings };
}

const opened = open();
opened.catch((error) => postMessage({ type: 'failed', message: String(error?.message ?? error) }));

/** An answer without the whole documents that its hits refer to. */
function plain(answer) {
  const hits = answer.hits.map((hit) => ({
    uri: hit.document.uri, title: hit.document.title, start: hit.start, end: hit.end,
    heading: hit.heading, text: hit.text, score: hit.score,
  }));
  return { ...answer, hits };
}

const handlers = {
  async ask({ question }) {
    const { system, settings } = await opened;
    return { answer: plain(await ask(question, system, settings)) };
  },
  async document({ uri }) {
    const { system } = await opened;
    const found = system.store.documents.find((document) => document.uri === uri);
    return { document: found && { uri, title: found.title, text: found.text, blocks: found.blocks } };
  },
};

let last = opened; // one after another: a session runs one text at a time
addEventListener('message', ({ data }) => {
  const reply = (value) => postMessage({ type: data.type, id: data.id, ...value });
  last = last.catch(() => {}).then(() => handlers[data.type](data))
    .then((value) => reply({ type: data.type === 'ask' ? 'answer' : data.type, ...value }))
    .catch((error) => reply({ type: 'error', message: String(error?.message ?? error) }));
});
