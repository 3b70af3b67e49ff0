// Whether the documents answer the question at all; as support.py.

import * as asked from './question.js';
import * as words from './words.js';

const SURE = 6;
const CLOSE = 0.65;
const AROUND = 0.45;
const SHARED = 2;

/** The features by name; see support.py. */
export function features(question, cosines, near, best, terms, hit, readings) {
  const wanted = new Set(words.content(question));
  const names = new Set(words.names(question).map(words.stem));
  const held = names.size ? new Set(words.tokens(hit).map(words.stem)) : new Set();
  const largest = Math.max(...cosines.slice(0, 3));
  const compared = cosines.filter((cosine) => cosine);
  const middle = compared.length ? median(compared) : 0;
  const first = near.slice(0, 4);
  const shared = [...wanted].filter((term) => terms.has(term)).length;
  const found = {
    close: Math.min(largest, CLOSE),
    around: first.length ? Math.min(first.reduce((a, b) => a + b, 0) / first.length, AROUND) : 0,
    ahead: Math.max(0, largest - middle),
    shared: Math.min(shared, SHARED) / SHARED,
    named: names.size ? [...names].filter((name) => held.has(name)).length / names.size : 1,
    agrees: !asked.denies(question) || asked.denial(best) ? 1 : 0,
  };
  if (readings.length) {
    found.reads = share(Math.max(...readings));
    found.picks = share(readings[0]);
  }
  return found;
}

/** The support from 0 to 1 for these features; `fitted` are the exported coefficients. */
export function score(values, fitted) {
  let total = fitted.intercept;
  for (const [name, value] of Object.entries(values)) total += fitted[name] * value;
  return 1 / (1 + Math.exp(-total));
}

function share(logit) {
  return (Math.max(-SURE, Math.min(SURE, logit)) + SURE) / (2 * SURE);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
