// The embedder: a unit vector a text.

import { Tokenizer } from './tokenizer.js';

export { Tokenizer };

const CLS = 101;
const SEP = 102;
const KEPT = 200; // vectors of the questions asked last

export class Embedder {
  /** `network.hidden(ids)` gives the last hidden state, flat. */
  constructor(network, tokenizer, maxTokens) {
    Object.assign(this, { network, tokenizer, maxTokens, recent: new Map() });
  }

  /** The unit vector of a text: the mean of its token vectors, Float32Array. */
  async embed(text) {
    let vector = this.recent.get(text);
    if (vector === undefined) {
      const { ids } = this.tokenizer.tokenize(text);
      const whole = [CLS, ...ids.slice(0, this.maxTokens - 2), SEP];
      vector = pooled(await this.network.hidden(whole), whole.length);
      if (this.recent.size >= KEPT) this.recent.delete(this.recent.keys().next().value);
      this.recent.set(text, vector);
    }
    return vector;
  }
}

/** The mean of the rows, at unit length. */
export function pooled(hidden, rows) {
  const size = hidden.length / rows;
  const mean = new Float32Array(size);
  for (let i = 0; i < hidden.length; i++) mean[i % size] += hidden[i] / rows;
  return unit(mean);
}

/** The vector at unit length. */
export function unit(vector) {
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}
