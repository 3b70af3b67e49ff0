// The exported index in memory: documents, passages, BM25 and exact cosine. In place of store/.
//
// All offsets are JavaScript's (UTF-16); the export has converted them from code points.

import { stem } from './stem.js';

const K1 = 1.2; // BM25 as tantivy computes it
const B = 0.75;
const LONGEST_WORD = 64; // bytes of UTF-8
const MOST_TERMS = 512;
const LETTERS = new Map(Object.entries({
  ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ı: 'i', ħ: 'h', ŋ: 'n',
}));
const KINDS = ['paragraph', 'heading', 'item', 'header', 'row', 'code'];

/** One document: its text, blocks, units and where they stand. */
export class Document {
  constructor(stored, firstRow) {
    Object.assign(this, {
      id: stored.id, uri: stored.uri, title: stored.title, sha256: stored.sha256,
      type: stored.type, text: stored.text, version: stored.version,
    });
    this.blocks = triples(stored.blocks).map(([start, end, kind]) => (
      { start, end, kind: KINDS[kind % 8], level: kind >> 3 }));
    this.units = triples(stored.units).map(([start, end, block], n) => ({
      start, end, block, row: firstRow + n, place: stored.labels[n],
      kind: block < 0 ? 'paragraph' : this.blocks[block].kind,
    }));
  }
}

export class Store {
  /** `index` is the parsed index.json, `vectors` the bytes of vectors.bin. */
  constructor(index, vectors) {
    let row = 0;
    this.documents = index.documents.map((stored) => {
      const labels = stored.labels.map((n) => index.labels[n]);
      const made = new Document({ ...stored, labels }, row);
      row += made.units.length;
      return made;
    });
    this.passages = triples(index.passages.spans).map(([document, start, end], id) => ({
      id, document: this.documents[document], start, end,
      heading: index.headings[index.passages.headings[id]],
    }));
    this.terms = new Map(Object.entries(index.terms));
    this.lengths = index.lengths;
    this.count = index.count;
    const average = Math.fround(index.total / Math.max(1, index.count));
    this.norms = this.lengths.map((length) => K1 * (1 - B + (B * length) / (average || 1)));
    const n = this.passages.length;
    const d = (this.dimensions = index.dimensions);
    this.scales = new Float32Array(vectors.buffer, vectors.byteOffset, n + row);
    this.rows = new Int8Array(vectors.buffer, vectors.byteOffset + 4 * (n + row), (n + row) * d);
    this.firstUnit = n;
  }

  /** The k best passages by BM25 and by cosine: lists of [passage id, score]. */
  search(query, vector, k) {
    return { lexical: this.lexical(query, k), dense: this.dense(vector, k) };
  }

  lexical(query, k) {
    const scores = new Map();
    for (const term of [...new Set(analyze(query))].slice(0, MOST_TERMS)) {
      const postings = this.terms.get(term);
      if (postings === undefined) continue;
      const holders = postings.length / 2;
      const idf = Math.log(1 + (this.count - holders + 0.5) / (holders + 0.5));
      let id = 0;
      for (let i = 0; i < postings.length; i += 2) {
        id += postings[i]; // each is stored as the step from the one before
        const frequency = postings[i + 1];
        const gain = (idf * (K1 + 1) * frequency) / (frequency + this.norms[id]);
        scores.set(id, (scores.get(id) ?? 0) + gain);
      }
    }
    return ranked([...scores], k);
  }

  dense(vector, k) {
    return ranked(this.passages.map((_, id) => [id, this.cosine(vector, id)]), k);
  }

  /** The cosine of a unit vector and a stored row. */
  cosine(vector, row) {
    const { rows, dimensions } = this;
    const at = row * dimensions;
    let total = 0;
    for (let i = 0; i < dimensions; i++) total += vector[i] * rows[at + i];
    return total * this.scales[row];
  }

  /** The row of a unit's vector. */
  rowOf(unit) {
    return this.firstUnit + unit.row;
  }
}

/** Text to terms, as lexical.analyzer: words, lower case, accents folded, stems. */
export function analyze(text) {
  const found = [];
  for (const [word] of text.matchAll(/[\p{Alphabetic}\p{N}]+/gu)) {
    if (/[^\x00-\x7f]/.test(word)) {
      if (new TextEncoder().encode(word).length >= LONGEST_WORD) continue;
      found.push(stem(Array.from(word, (c) => folded(c.toLowerCase())).join('')));
    } else if (word.length < LONGEST_WORD) found.push(stem(word.toLowerCase()));
  }
  return found;
}

/** A character in ASCII where it is a Latin letter or a digit, else as it is. */
function folded(c) {
  const plain = LETTERS.get(c) ?? c.normalize('NFKD').replace(/\p{Mn}/gu, '');
  return /^[\x00-\x7f]*$/.test(plain) ? plain : c;
}

function ranked(pairs, k) {
  return pairs.sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, k);
}

function triples(flat) {
  return Array.from({ length: flat.length / 3 }, (_, n) => flat.slice(3 * n, 3 * n + 3));
}
