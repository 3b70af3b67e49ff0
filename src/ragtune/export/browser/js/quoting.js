// How much around a key sentence is quoted; as quoting.py.

import { sentences } from './sentences.js';

const LEAD_IN = 3;
const SAME = 2;
const NEXT = 1;
const NONE = 0;
const NEEDED = {
  fact: { item: SAME, row: SAME, header: SAME, code: SAME, paragraph: LEAD_IN },
  explain: { item: NEXT, row: SAME, header: SAME, code: NEXT, paragraph: NEXT },
};
const REACH = 4000;
const POINTS_BACK = new RegExp(
  String.raw`^(?:it|its|this|that|these|those|they|their|them|he|she|his|her|such|here|there|both|either` +
  String.raw`|otherwise|however|instead|also|then|therefore|if so|in (?:this|that|such) cases?)\b`, 'i');
const TABULAR = ['row', 'header'];

/** The span to quote around the span `key`: at most `limit` words, free of all `taken`. */
export function grow(document, key, form, limit, scores, taken = []) {
  const { text } = document;
  const pieces = piecesAround(document, key);
  const at = pieces.findIndex((p) => p.start <= key[0] && key[0] < p.end);
  if (at < 0 || countWords(text.slice(...key)) >= limit) return cut(text, key, limit);
  let low = at;
  let high = at;
  let need = NEEDED[form][pieces[at].kind] ?? NEXT;
  if (text.slice(...key).endsWith(':')) need = Math.min(need, SAME);
  if (pieces[at].kind === 'paragraph' && POINTS_BACK.test(text.slice(key[0], key[0] + 80)) && low > 0) {
    const left = pieces[low - 1];
    if (left.block === pieces[low].block && free([left.start, key[1]], limit, text, taken)) low--;
  }
  if (['item', ...TABULAR].includes(pieces[at].kind)) low = toTop(pieces, at, limit, text, taken);
  for (;;) {
    const options = [];
    if (low > 0) options.push([bond(pieces[low - 1], pieces[low], text), low - 1]);
    if (high + 1 < pieces.length) options.push([bond(pieces[high], pieces[high + 1], text), high + 1]);
    const open = options.filter(([strength, i]) => strength >= need && free(
      [Math.min(pieces[low].start, pieces[i].start), Math.max(pieces[high].end, pieces[i].end)],
      limit, text, taken));
    if (!open.length) return [pieces[low].start, pieces[high].end];
    const rank = ([strength, i]) => [strength, scores.get(`${document.id}:${pieces[i].start}`) ?? 0, i];
    const chosen = open.reduce((a, b) => (larger(rank(b), rank(a)) ? b : a))[1];
    low = Math.min(low, chosen);
    high = Math.max(high, chosen);
  }
}

function larger(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] > b[i];
  return false;
}

/** Words as people count them: between white space. */
export function countWords(text) {
  return text.match(/\S+/g)?.length ?? 0;
}

function piecesAround(document, key) {
  const { blocks, text } = document;
  let low = Math.max(0, key[0] - REACH);
  let high = Math.min(text.length, key[1] + REACH);
  if (blocks.length) {
    const first = Math.max(0, startedBy(blocks, low) - 1);
    if (blocks[first].end > low) low = Math.min(low, blocks[first].start);
    for (const block of blocks.slice(first)) {
      if (block.kind === 'heading' && block.end <= key[0]) low = block.end;
      if (block.start >= key[1] && (block.kind === 'heading' || block.start >= high)) {
        high = block.start;
        break;
      }
    }
  }
  return sentences(document, low, high).filter((u) => /[\p{L}\p{N}]/u.test(text.slice(u.start, u.end)));
}

/** How many blocks start at `position` or before. */
function startedBy(blocks, position) {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (blocks[middle].start <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function bond(left, right, text) {
  const leads = text.slice(left.start, left.end).endsWith(':');
  if (leads && !TABULAR.includes(right.kind)) return LEAD_IN;
  const gap = text.slice(left.end, right.start);
  if (left.block === right.block && (left.block >= 0 || !gap.includes('\n\n'))) return SAME;
  if (left.kind === 'item' && right.kind === 'item') return SAME;
  if (TABULAR.includes(left.kind) && right.kind === 'row') return SAME;
  if (TABULAR.includes(left.kind) || TABULAR.includes(right.kind)) return leads ? LEAD_IN : NONE;
  return NEXT;
}

function toTop(pieces, at, limit, text, taken) {
  let top = at;
  while (top > 0 && bond(pieces[top - 1], pieces[top], text) >= SAME) {
    if (pieces[top].kind === 'paragraph') break;
    top--;
  }
  return free([pieces[top].start, pieces[at].end], limit, text, taken) ? top : at;
}

function free([start, end], limit, text, taken) {
  if (taken.some(([s, e]) => start < e && s < end)) return false;
  return countWords(text.slice(start, end)) <= limit;
}

function cut(text, [start, end], limit) {
  let found = 0;
  for (const match of text.slice(start, end).matchAll(/\S+/g)) {
    if (++found === limit) return [start, start + match.index + match[0].length];
  }
  return [start, end];
}
