// From hits to evidence: sentences ranked against the question, quotes, a support score; as
// evidence.py.

import { conflicting } from './conflict.js';
import * as asked from './question.js';
import { grow } from './quoting.js';
import { sentences } from './sentences.js';
import * as support from './support.js';
import { headingPath } from './places.js';
import { superseded } from './versions.js';
import * as words from './words.js';

const LEXICAL = 0.4;
const FOUND = 0.3;
const TYPE = 0.05;
const K1 = 0.6;
const B = 0.3;
const NEIGHBOUR = 0.5;
const HEADING = 0.5;
const STEPS = 0.1;
const OUTDATED = 1.5;
const EMBEDDED = 12;
const CLOSE = 0.25;
const CLOSE_READ = 0.45;
const READ = 4;
const READING = 0.8;
const KEPT = 10;
const SHORT = 80;
const ECHO = 4;
const LOOKED = 40;
const LINE_END = /[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]/g;
const EARLIER = new Set('earlier former formerly old older outdated previous previously past'.split(' '));

/** Ranks the sentences of `hits`, picks and grows the quotes, and scores their support. */
export async function select(question, hits, system, settings) {
  const { units, answers } = await ranked(question, hits, system);
  if (!answers.length) {
    return { sentences: [], quotes: [], support: 0, supported: false, hits, conflict: false };
  }
  const scores = new Map(units.map((u) => [`${u.document.id}:${u.start}`, u.score]));
  if (system.reader) await read(question, answers, hits, system.reader);
  const quoted = quotesOf(question, answers, scores, settings);
  const best = answers[0];
  const hit = hits[best.hit];
  const value = support.score(support.features(
    question,
    answers.map((u) => u.cosine),
    answers.filter((u) => u.hit === best.hit).map((u) => u.cosine),
    best.text,
    new Set([...best.terms.keys(), ...best.before.keys(), ...best.context]),
    [hit.document.title, hit.heading, hit.text].join('\n'),
    answers.filter((u) => u.reading).map((u) => u.reading.score),
  ), settings.support);
  const conflict = quoted.length > 1 && conflicting(quoted[0].unit, quoted[1].unit);
  if (conflict && best.echo && !quoted[1].unit.echo) {
    quoted.splice(0, 2, quoted[1], quoted[0]);
    const first = quoted[0].unit;
    answers.sort((a, b) => (b === first) - (a === first));
  }
  return {
    sentences: answers.slice(0, KEPT).map((u) => sentence(u.document, u, u.start, u.end, u.score, phrase(u, u.end))),
    quotes: quoted.map((q) => q.quote),
    support: value, supported: value >= settings.threshold, hits, conflict,
  };
}

/** All units of the hits in reading order, and those that may answer, best first. */
export async function ranked(question, hits, system) {
  const units = unitsOf(hits);
  if (!units.length) return { units, answers: [] };
  await rank(question, units, scaled(hits), system);
  stepLists(question, units);
  outdated(question, units);
  answering(units);
  const answers = units.filter((u) => u.kind !== 'heading' && !u.asks).sort((a, b) => b.score - a.score);
  markEchoes(question, answers);
  return { units, answers };
}

/** What a reader gets of a unit: its headings on the first line, itself on the last. */
export function readingText(unit, hit) {
  const lines = [(hit.heading || hit.document.title).replaceAll('\n', ' ')];
  if (unit.previous >= 0 && unit.end - unit.start < SHORT) {
    const before = unit.document.text.slice(unit.previous, unit.start).split(/\s+/).filter(Boolean);
    lines.push(before.join(' ').slice(-SHORT));
  }
  return [...lines, unit.text.replace(LINE_END, ' ')].join('\n');
}

async function read(question, answers, hits, reader) {
  const chosen = toRead(answers);
  const readings = await reader.read(question, chosen.map((u) => readingText(u, hits[u.hit])));
  chosen.forEach((unit, n) => (unit.reading = readings[n]));
  const least = Math.min(...chosen.map((unit) => gain(unit.reading.score)));
  for (const unit of answers) unit.score += unit.reading ? gain(unit.reading.score) : least;
  answers.sort((a, b) => b.score - a.score);
}

/** The READ best; of those that repeat the question at most half, as far as there are others. */
function toRead(answers) {
  const echoing = answers.filter((u) => u.echo).slice(0, READ / 2);
  const others = answers.filter((u) => !u.echo).slice(0, READ - echoing.length);
  if (echoing.length + others.length < READ) return answers.slice(0, READ);
  return [...echoing, ...others].sort((a, b) => b.score - a.score);
}

/** What a reading adds to a rank: 0 to READING. */
function gain(logit) {
  return READING / (1 + Math.exp(-Math.max(-30, Math.min(30, logit))));
}

// ---------------------------------------------------------------- units

function unitsOf(hits) {
  const units = [];
  const seen = new Set();
  hits.forEach((hit, number) => {
    const { document } = hit;
    const context = new Set(words.content(hit.heading || document.title));
    let before = new Map();
    let previous = -1;
    for (const stored of sentences(document, hit.start, hit.end)) {
      stored.terms ??= terms(document.text.slice(stored.start, stored.end));
      const key = `${document.id}:${stored.start}`;
      const text = document.text.slice(stored.start, stored.end);
      if (!seen.has(key) && /[\p{L}\p{N}]/u.test(text)) {
        seen.add(key);
        units.push({
          hit: number, document, stored, start: stored.start, end: stored.end, kind: stored.kind,
          text, terms: stored.terms, context, before, previous,
          asks: /[?？]$/.test(text), cosine: 0, lexical: 0, score: 0, reading: null, echo: false,
        });
      }
      before = stored.terms;
      previous = stored.start;
    }
  });
  return units;
}

/** Marks those that hold the question, or stand right beside it, word for word. */
function markEchoes(question, answers) {
  const asking = words.tokens(question);
  if (asking.length < ECHO) return;
  const said = ` ${asking.join(' ')} `;
  const folded = question.toLowerCase();
  const plain = asking.filter((token) => folded.includes(token));
  const rare = plain.reduce((most, token) => (token.length > most.length ? token : most), '');
  const reach = question.length + SHORT;
  for (const unit of answers.slice(0, LOOKED)) {
    const near = unit.document.text.slice(Math.max(0, unit.start - 2 * reach), unit.end + reach);
    if (!near.toLowerCase().includes(rare)) continue; // most units end here
    unit.echo = ` ${words.tokens(near).join(' ')} `.includes(said);
  }
}

/** How often each stem of a content word stands in `text`. */
function terms(text) {
  const counts = new Map();
  for (const term of words.content(text)) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/** What follows a question in a FAQ answers that question. */
function answering(units) {
  let asking = null;
  for (const unit of units) {
    if (asking && unit.document === asking.document && unit.kind !== 'heading') {
      if (!unit.asks) {
        unit.score = Math.max(unit.score, asking.score);
        unit.cosine = Math.max(unit.cosine, asking.cosine);
        asking = null;
      }
      continue;
    }
    asking = unit.asks ? unit : null;
  }
}

// ---------------------------------------------------------------- ranking

async function rank(question, units, found, system) {
  const weights = idf([...new Set(words.content(question))], units);
  const total = (unit) => sum(unit.terms.values());
  const mean = sum(units.map(total)) / units.length || 1;
  for (const unit of units) unit.lexical = bm25(unit, weights, mean, total(unit));
  const largest = units.reduce((most, u) => Math.max(most, u.lexical), 0) || 1;
  for (const unit of units) {
    unit.lexical /= largest;
    unit.score = LEXICAL * unit.lexical + FOUND * found[unit.hit];
  }
  const best = [...units].sort((a, b) => b.score - a.score).slice(0, EMBEDDED);
  const wanted = asked.wanted(question);
  const vector = await system.embedder.embed(question);
  for (const unit of best) {
    unit.cosine = await cosine(unit, vector, system);
    const held = wanted(unit.text);
    unit.score += unit.cosine + (held === null ? 0 : held ? TYPE : -TYPE);
  }
}

async function cosine(unit, vector, system) {
  if (unit.stored.row >= 0) return system.store.cosine(vector, system.store.rowOf(unit.stored));
  const own = await system.embedder.embed(unit.text); // a part of a unit: not in the export
  return own.reduce((total, value, i) => total + value * vector[i], 0);
}

function stepLists(question, units) {
  if (!asked.procedure(question)) return;
  units.forEach((unit, n) => {
    const leads = units[n + 1]?.kind === 'item' && unit.kind !== 'item';
    if (unit.kind === 'item' || (leads && unit.text.endsWith(':'))) unit.score += STEPS;
  });
}

function outdated(question, units) {
  const documents = [...new Set(units.map((u) => u.document))];
  const old = superseded(documents, today());
  const said = new Set(words.tokens(question));
  if (!old.size || [...said].some((token) => EARLIER.has(token))) return;
  const current = new Set(documents.filter((d) => !old.has(d.id)).flatMap((d) => words.tokens(d.title)));
  for (const unit of units) {
    const own = words.tokens(unit.document.title).filter((token) => !current.has(token));
    if (old.has(unit.document.id) && !own.some((token) => said.has(token))) unit.score -= OUTDATED;
  }
}

function today() {
  const now = new Date();
  const two = (n) => `${n}`.padStart(2, '0');
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

function scaled(hits) {
  const scores = hits.map((hit) => hit.score);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  return scores.map((score) => (high > low ? (score - low) / (high - low) : 1));
}

function idf(wanted, units) {
  const n = new Set(units.map((u) => u.hit)).size;
  const weights = new Map();
  for (const term of wanted) {
    const holders = new Set();
    for (const unit of units) {
      if (unit.terms.has(term) || unit.context.has(term)) holders.add(unit.hit);
    }
    weights.set(term, Math.log(1 + (n - holders.size + 0.5) / (holders.size + 0.5)));
  }
  return weights;
}

function bm25(unit, weights, mean, length) {
  const norm = K1 * (1 - B + (B * length) / mean);
  let total = 0;
  for (const [term, weight] of weights) {
    const count = unit.terms.get(term) ?? 0;
    const own = count ? (count * (K1 + 1)) / (count + norm) : 0;
    const near = Math.max(HEADING * unit.context.has(term), NEIGHBOUR * unit.before.has(term));
    total += weight * Math.max(own, near);
  }
  return total;
}

function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

// ---------------------------------------------------------------- quotes

function quotesOf(question, answers, scores, settings) {
  const form = asked.form(question);
  const close = answers[0].reading ? CLOSE_READ : CLOSE;
  const quotes = [];
  const taken = [];
  const said = new Set();
  for (const unit of answers) {
    if (quotes.length === settings.quotes) break;
    if (answers[0].echo && quotes.length) {
      if (unit.echo) continue; // what was planted to be found should not be the only one heard
    } else if (unit.score < answers[0].score - close) break;
    const { document } = unit;
    const folded = words.tokens(unit.text).join(' ');
    const mine = taken.filter((t) => t.id === document.id).map((t) => t.span);
    if (said.has(folded) || mine.some(([s, e]) => unit.start < e && s < unit.end)) continue;
    const span = grow(document, [unit.start, unit.end], form, settings.quote_words, scores, mine);
    taken.push({ id: document.id, span });
    said.add(folded);
    quotes.push({
      unit,
      quote: {
        span: sentence(document, unit, span[0], span[1], unit.score, phrase(unit, span[1])),
        key_start: unit.start, key_end: Math.min(unit.end, span[1]),
      },
    });
  }
  return quotes;
}

/** The answering words that the reader found, up to `end`; [0, 0]: none. */
function phrase(unit, end) {
  if (!unit.reading || unit.reading.end <= unit.reading.start) return [0, 0];
  const low = unit.start + unit.reading.start;
  const high = Math.min(unit.start + unit.reading.end, end);
  return low < high ? [low, high] : [0, 0];
}

/** A span as evidence; its place is that of the unit that it was found by. */
function sentence(document, unit, start, end, score, [phrase_start, phrase_end]) {
  return {
    uri: document.uri, title: document.title, sha256: document.sha256, start, end,
    text: document.text.slice(start, end), score, place: unit.stored.place, phrase_start,
    phrase_end, headings: headingPath(document, start),
  };
}
