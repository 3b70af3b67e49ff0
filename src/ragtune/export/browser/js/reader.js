// The reader: does a text answer the question, and with which words; as models/reader.py.

const CLS = 101;
const SEP = 102;
const MAX_TOKENS = 160;
const QUESTION = 48;
const HEADINGS = 20;
const BEFORE = 20;
const PHRASE = 24;

export class Reader {
  /** `network.hidden(ids, types)` gives the last hidden state; `heads` are the exported vectors: first, mean, bias, start, end. */
  constructor(network, tokenizer, heads) {
    Object.assign(this, { network, tokenizer });
    this.heads = {};
    for (const [name, values] of Object.entries(heads)) this.heads[name] = Float32Array.from(values);
  }

  /** One reading a text: {score, start, end}, offsets into the text's last line. */
  async read(question, texts) {
    const readings = [];
    for (const text of texts) {
      const pair = encode(this.tokenizer, question, text);
      const types = pair.ids.map((_, n) => (n < pair.first ? 0 : 1));
      readings.push(reading(await this.network.hidden(pair.ids, types), pair, this.heads));
    }
    return readings;
  }
}

/** The pair's tokens, where those of the text's last line begin, and their spans in it. */
export function encode(tokenizer, question, text) {
  const last = text.lastIndexOf('\n');
  const line = text.slice(last + 1);
  const [headings, ...before] = last < 0 ? [''] : text.slice(0, last).split('\n');
  const ids = (part) => tokenizer.tokenize(part).ids;
  const all = [
    CLS, ...ids(question).slice(-QUESTION), SEP,
    ...ids(headings).slice(-HEADINGS), ...ids(before.join('\n')).slice(-BEFORE), SEP,
  ];
  const read = tokenizer.tokenize(line);
  const room = MAX_TOKENS - all.length - 1;
  const first = all.length;
  return {
    ids: [...all, ...read.ids.slice(0, room), SEP], first,
    starts: read.starts.slice(0, room), ends: read.ends.slice(0, room),
  };
}

/** The heads' answer for one pair; `hidden` has shape (tokens, dimensions), flat. */
export function reading(hidden, pair, heads) {
  const size = heads.first.length;
  const count = pair.ids.length;
  const dot = (row, head) => {
    let total = 0;
    for (let i = 0; i < size; i++) total += hidden[row * size + i] * head[i];
    return total;
  };
  let mean = 0;
  for (let row = 0; row < count; row++) mean += dot(row, heads.mean);
  const score = dot(0, heads.first) + mean / count + heads.bias[0];
  const rows = pair.starts.map((_, n) => pair.first + n);
  const span = bestSpan(rows.map((row) => dot(row, heads.start)), rows.map((row) => dot(row, heads.end)));
  if (span === null) return { score, start: 0, end: 0 };
  return { score, start: pair.starts[span[0]], end: pair.ends[span[1]] };
}

/** First and last token with the largest sum, at most PHRASE tokens; null without tokens. */
export function bestSpan(starts, ends) {
  let best = null;
  let largest = -Infinity;
  for (let low = 0; low < starts.length; low++) {
    for (let high = low; high < Math.min(starts.length, low + PHRASE); high++) {
      if (starts[low] + ends[high] > largest) {
        largest = starts[low] + ends[high];
        best = [low, high];
      }
    }
  }
  return best;
}
