// From a question to the segments of documents that may answer it; as retrieve.py.

const DENSE = 0.5;
const RERANKED = 50;
const JOINED = 20;
const BYTES_PER_TOKEN = 4;

/** The best segments for `question`, best first. */
export async function search(question, system, settings, k = settings.k) {
  const vector = await system.embedder.embed(question);
  const found = system.store.search(question, vector, settings.candidates);
  const scores = fuse(found, settings.candidates);
  const ids = best(scores, Math.max(JOINED, RERANKED, 5 * k));
  const passages = ids.map((id) => system.store.passages[id]);
  return join(passages, scores, settings.segment_tokens, k).map(hit);
}

/** One score from 0 to 1 a passage: the mean of its BM25 and its cosine, each scaled to 0…1. */
export function fuse(found, candidates) {
  const lexical = scaled(found.lexical, found.lexical.length >= candidates ? null : 0);
  const dense = scaled(found.dense, null);
  const scores = new Map();
  for (const id of new Set([...lexical.keys(), ...dense.keys()])) {
    scores.set(id, (1 - DENSE) * (lexical.get(id) ?? 0) + DENSE * (dense.get(id) ?? 0));
  }
  return scores;
}

function scaled(ranked, floor) {
  if (!ranked.length) return new Map();
  const high = Math.max(...ranked.map(([, score]) => score));
  const low = floor ?? Math.min(...ranked.map(([, score]) => score));
  if (high <= low) return new Map(ranked.map(([id]) => [id, 1]));
  return new Map(ranked.map(([id, score]) => [id, (score - low) / (high - low)]));
}

/** Ids by score, equal ones by id. */
export function best(scores, count) {
  return [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, count).map(([id]) => id);
}

/** The k best segments: passages in order of rank, each taken into a segment near it if it fits. */
export function join(passages, scores, limit, k) {
  const segments = [];
  const of = new Map();
  passages.forEach((passage, rank) => {
    const { document } = passage;
    if (segments.length >= k && (rank >= JOINED || !of.get(document)?.length)) return;
    if (!of.has(document)) of.set(document, []);
    const near = of.get(document);
    const distance = (s) => Math.max(s.start - passage.end, passage.start - s.end);
    near.sort((a, b) => distance(a) - distance(b));
    const reach = rank < JOINED ? limit : 0;
    const segment = near.find((s) => fits(s, passage, document.text, reach));
    if (segment) {
      segment.start = Math.min(segment.start, passage.start);
      segment.end = Math.max(segment.end, passage.end);
      segment.headings.push([passage.start, passage.heading]);
      return;
    }
    if (segments.length >= k) return;
    const { start, end, heading } = passage;
    const made = {
      first: passage, start, end, score: scores.get(passage.id), headings: [[start, heading]],
    };
    segments.push(made);
    near.push(made);
  });
  return segments;
}

function fits(segment, passage, text, limit) {
  const start = Math.min(segment.start, passage.start);
  const end = Math.max(segment.end, passage.end);
  if (start === segment.start && end === segment.end) return true;
  if (end - start > limit * BYTES_PER_TOKEN) return false; // UTF-16 units: no more than bytes
  return new TextEncoder().encode(text.slice(start, end)).length <= limit * BYTES_PER_TOKEN;
}

/** The heading path of a segment's start, without what only holds for a part of it. */
function heading(segment) {
  const headings = [...segment.headings]
    .sort((a, b) => a[0] - b[0] || compare(a[1], b[1])).map(([, text]) => text);
  if (new Set(headings).size === 1) return headings[0];
  const paths = headings.map((text) => text.split('\n', 1)[0].split(' > '));
  let common = paths[0];
  for (const path of paths.slice(1)) {
    let same = 0;
    while (same < Math.min(common.length, path.length) && common[same] === path[same]) same++;
    common = common.slice(0, same);
  }
  return common.join(' > ');
}

function hit(segment) {
  const { first, start, end, score } = segment;
  const { document } = first;
  const whole = start === first.start && end === first.end;
  return {
    id: first.id, document, start, end, score, text: document.text.slice(start, end),
    heading: whole ? first.heading : heading(segment),
  };
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
