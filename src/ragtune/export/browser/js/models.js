// The embedder, and what runs MiniLM: the encoder, or ONNX Runtime where that is asked for.

import { Tokenizer } from './tokenizer.js';

export { Tokenizer };

const CLS = 101;
const SEP = 102;
const KEPT = 200; // vectors of the questions asked last

/** ONNX Runtime's tensor of token ids, shape (1, tokens). */
export function idTensor(ort, ids) {
  return new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
}

/** A session of a graph whose weights stand in the file that the models share. */
export function session(ort, graph, weights) {
  return ort.InferenceSession.create(graph, {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'basic',
    externalData: [{ path: 'weights.bin', data: weights }],
  });
}

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

function pooled(hidden, rows) {
  const size = hidden.length / rows;
  const mean = new Float32Array(size);
  for (let i = 0; i < hidden.length; i++) mean[i % size] += hidden[i] / rows;
  const length = Math.hypot(...mean) || 1;
  return mean.map((value) => value / length);
}
