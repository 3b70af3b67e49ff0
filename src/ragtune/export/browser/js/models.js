// The embedder and what reader and router share: sessions of ONNX Runtime, one text at a time.

import { Tokenizer } from './tokenizer.js';

const CLS = 101;
const SEP = 102;
const KEPT = 200; // vectors of the questions asked last

/** ONNX Runtime's tensor of token ids, shape (1, tokens). */
export function idTensor(ort, ids) {
  return new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
}

/** A session of a graph whose weights stand in a file that the models share. */
export async function session(ort, graph, weights) {
  return ort.InferenceSession.create(graph, {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'disabled', // the files are optimised already
    externalData: [{ path: 'weights.bin', data: weights }],
  });
}

export { Tokenizer };

export class Embedder {
  constructor(ort, session, tokenizer, maxTokens) {
    Object.assign(this, { ort, session, tokenizer, maxTokens, recent: new Map() });
  }

  /** The unit vector of a text, Float32Array. */
  async embed(text) {
    let vector = this.recent.get(text);
    if (vector === undefined) {
      const { ids } = this.tokenizer.tokenize(text);
      const whole = [CLS, ...ids.slice(0, this.maxTokens - 2), SEP];
      const feeds = { input_ids: idTensor(this.ort, whole) };
      vector = (await this.session.run(feeds, ['embedding'])).embedding.data;
      if (this.recent.size >= KEPT) this.recent.delete(this.recent.keys().next().value);
      this.recent.set(text, vector);
    }
    return vector;
  }
}
