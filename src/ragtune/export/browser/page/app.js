// The page: the question, the answers, the documents. Search runs in worker.js.

import { LANGUAGES, textsOf } from './texts.js';
import { element, fill, places, quotation } from './view.js';

const KEPT = 20; // answers on the page
const FEW = 8; // documents that are listed at once
const MORE = 5; // further passages below an answer
const get = (id) => document.getElementById(id);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

const remembered = {
  get: (name) => { try { return localStorage.getItem(`ragtune-${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`ragtune-${name}`, value); } catch { /* none */ } },
};

let about = null;
let language = remembered.get('language') ?? navigator.language.slice(0, 2);
if (!LANGUAGES.includes(language)) language = 'en';
let texts = textsOf(language);
let state = '';

// ---------------------------------------------------------------- the worker

const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
const waiting = new Map();
let asked = 0;

function request(message) {
  return new Promise((resolve, reject) => {
    waiting.set(++asked, { resolve, reject });
    worker.postMessage({ ...message, id: asked });
  });
}

worker.addEventListener('message', ({ data }) => {
  if (data.type === 'progress') progress(data.done, data.total);
  else if (data.type === 'ready') ready(data.about);
  else if (data.type === 'failed') failed(data.message);
  else {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.type === 'error') reject(new Error(data.message));
    else resolve(data);
  }
});
worker.addEventListener('error', (event) => failed(event.message || 'worker.js'));

function progress(done, total) {
  get('bar').max = total;
  get('bar').value = done;
  get('bytes').textContent = done < total
    ? texts.bytes(megabytes(done), megabytes(total)) : texts.starting;
}

function failed(why) {
  get('loading').replaceChildren(element('p', { className: 'problem', role: 'alert' }, texts.failed(why)));
}

function ready(made) {
  about = made;
  get('loading').hidden = true;
  document.documentElement.dataset.ready = '';
  speak();
  const { q } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (q) put(q);
  kept();
}

/** Says that the page works offline, once it does. */
async function kept() {
  state = 'online';
  speak();
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.ready;
  state = 'offline';
  speak();
}

// ---------------------------------------------------------------- questions

get('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  const question = get('question').value.trim();
  if (question) put(question);
});

async function put(question) {
  get('question').value = question;
  get('examples').hidden = true;
  const box = element('article', { className: 'answer', 'aria-busy': 'true' },
    element('h2', {}, question), element('p', { className: 'quiet waiting' }, texts.searching));
  get('answers').prepend(box);
  while (get('answers').children.length > KEPT) get('answers').lastChild.remove();
  try {
    const { answer } = await request({ type: 'ask', question });
    show(box, question, answer);
  } catch (error) {
    box.replaceChildren(element('h2', {}, question),
      element('p', { className: 'problem' }, texts.error(error.message)));
  }
  box.removeAttribute('aria-busy');
}

function show(box, question, answer) {
  const parts = [element('h2', {}, question)];
  const open = (citation) => view(citation);
  let rest = answer.sentences;
  if (answer.status === 'cited') {
    parts.push(element('p', { className: 'verdict' }, texts.quoted(answer.citations.length)));
    if (answer.conflict) parts.push(element('p', { className: 'verdict none' }, texts.conflict));
    parts.push(...answer.citations.map((c) => quotation(c, texts, open, c.marker)));
    rest = rest.filter((s) => !answer.citations.some((c) => (
      c.uri === s.uri && s.start < c.end && c.start < s.end)));
  } else if (answer.status === 'declined') {
    parts.push(element('p', { className: 'verdict none' }, texts.declined));
  } else {
    const own = answer.text === 'This is not a question for me.' ? texts.refused : answer.text;
    parts.push(element('p', { className: 'verdict' }, texts.reply), element('p', { className: 'reply' }, own));
  }
  if (rest.length) {
    const title = answer.status === 'declined' ? texts.closest : texts.more;
    parts.push(element('details', { className: 'more' },
      element('summary', {}, title), places(rest.slice(0, MORE), texts, open)));
  }
  if (about.generator && answer.status === 'cited') parts.push(writing(question, answer));
  parts.push(element('p', { className: 'quiet took' }, texts.took(Math.round(answer.timings.total))));
  box.replaceChildren(...parts);
}

/** The button that lets the language model write, and what becomes of it. */
function writing(question, answer) {
  const box = element('div', { className: 'writing' });
  const size = Math.round((about.generator.bytes + about.generator.wasm.bytes) / 1e6);
  const start = async () => {
    const note = element('p', { className: 'quiet', role: 'status' }, texts.writing);
    const draft = element('p', { className: 'reply draft', 'aria-hidden': 'true' });
    box.replaceChildren(note, draft);
    try {
      const { write } = await import('./writer.js');
      const base = new URL('./', import.meta.url).href;
      const kept = await write(question, answer, about.generator, base,
        (done, total) => (note.textContent = done < total
          ? texts.fetching(Math.floor((100 * done) / total)) : texts.writing),
        (text) => (draft.textContent = text));
      const text = kept.map((one) => one.text).join('\n');
      box.replaceChildren(element('p', { className: 'reply' }, text),
        element('p', { className: 'quiet' }, text ? texts.written : texts.unwritten));
    } catch (error) {
      box.replaceChildren(element('p', { className: 'problem', role: 'alert' }, texts.error(error.message)));
    }
  };
  box.append(element('button', { type: 'button', className: 'chip', onclick: start }, texts.write(size)));
  return box;
}

// ---------------------------------------------------------------- a document, at a place

async function view(citation) {
  const { document: shown } = await request({ type: 'document', uri: citation.uri });
  if (!shown) return;
  get('viewer-title').textContent = shown.title || shown.uri;
  get('viewer-place').textContent = citation.place ? texts.place(citation.place) : shown.uri;
  const spot = fill(get('viewer-text'), shown, citation.start === undefined ? null : citation);
  get('viewer').showModal();
  get('viewer-text').scrollTop = 0;
  spot?.scrollIntoView({ block: 'center' });
  get('viewer-text').focus({ preventScroll: true });
}

get('close').addEventListener('click', () => get('viewer').close());
get('viewer').addEventListener('click', (event) => {
  if (event.target === get('viewer')) get('viewer').close(); // beside the sheet
});

// ---------------------------------------------------------------- language and appearance

function speak() {
  texts = textsOf(language);
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = texts[node.dataset.text];
  for (const node of document.querySelectorAll('[data-label]')) {
    node.setAttribute('aria-label', texts[node.dataset.label]);
  }
  get('question').placeholder = texts.placeholder;
  get('language').textContent = texts.language;
  get('language').lang = language === 'en' ? 'de' : 'en';
  get('state').textContent = state ? texts[state] : '';
  dress(remembered.get('theme') ?? 'auto');
  if (!about) return;
  const date = new Date(`${about.exported}T12:00:00`)
    .toLocaleDateString(language, { year: 'numeric', month: 'long', day: 'numeric' });
  get('scope').textContent = texts.scope(about.documents.length, date);
  if (get('documents').hidden) get('documents').open = about.documents.length <= FEW;
  get('documents').hidden = false;
  get('count').textContent = about.documents.length;
  get('documents').querySelector('ul').replaceChildren(...about.documents.map((one) => (
    element('li', {}, element('button', { type: 'button', onclick: () => view({ uri: one.uri }) },
      element('span', { className: 'name' }, one.title || one.uri),
      element('span', { className: 'place' }, one.uri))))));
  if (about.examples.length && !get('answers').children.length) {
    get('examples').hidden = false;
    get('examples').replaceChildren(element('span', { className: 'quiet' }, texts.try),
      ...about.examples.map((question) => element('button', {
        type: 'button', className: 'chip', onclick: () => { get('question').focus(); put(question); },
      }, question)));
  }
}

get('language').addEventListener('click', () => {
  language = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
  remembered.set('language', language);
  speak();
});

const THEMES = ['auto', 'light', 'dark'];

function dress(theme) {
  document.documentElement.dataset.theme = theme;
  get('theme').textContent = texts[theme];
  get('theme').setAttribute('aria-label', texts.theme(texts[theme]));
}

get('theme').addEventListener('click', () => {
  const next = THEMES[(THEMES.indexOf(remembered.get('theme') ?? 'auto') + 1) % THEMES.length];
  remembered.set('theme', next);
  dress(next);
});

speak();
navigator.serviceWorker?.register(new URL('./sw.js', import.meta.url)).catch(() => {});
get('question').focus();
