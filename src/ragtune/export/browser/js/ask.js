// The path of one question, as ask.py: route ─▶ search ─▶ evidence ─▶ quotes.

import * as cite from './cite.js';
import * as evidence from './evidence.js';
import * as retrieve from './retrieve.js';

/** The answer: {text, citations, status, route, support, conflict, hits, timings (ms)}. */
export async function ask(question, system, settings) {
  const started = performance.now();
  const timings = {};
  let last = started;
  const lap = (name) => {
    const now = performance.now();
    timings[name] = now - last;
    last = now;
  };
  const answer = (made, found = { support: 0, supported: false, conflict: false, hits: [], sentences: [] }) => ({
    ...made, route, support: found.support, hits: found.hits, sentences: found.sentences,
    conflict: found.supported && found.conflict,
    timings: { ...timings, total: performance.now() - started },
  });
  const route = system.router
    ? await system.router.route(question) : { name: 'documents', documents: true, reply: null };
  if (system.router) lap('route');
  if (!route.documents) return answer({ text: route.reply, citations: [], status: 'uncited' });
  const hits = await retrieve.search(question, system, settings);
  lap('search');
  const found = await evidence.select(question, hits, system, settings);
  lap('evidence');
  if (!found.supported) return answer({ text: '', citations: [], status: 'declined' }, found);
  return answer(cite.quote(found), found);
}
