// The router: which intent a question has and where that goes; as models/router.py, with the graphs
// of route/graph.py written out. Both see the same probabilities to a thousandth: activations and
// the question's vector are in two digits of fixed steps (models/quantize.py).

import { pooled, unit } from './models.js';

const CLS = 101;
const SEP = 102;
const ARRAYS = {
  float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int64: BigInt64Array,
};
export const DECLINED = 'This is not a question for me.';

/** The constants of one ONNX file in the shared weights. */
class Constants {
  constructor(weights, network) {
    Object.assign(this, { weights, network });
  }

  array(name) {
    const { offset, length, type } = this.network.tensors[name];
    const { buffer, byteOffset } = this.weights;
    return new ARRAYS[type](buffer.slice(byteOffset + offset, byteOffset + offset + length));
  }

  value(name) {
    return this.network.values[name];
  }

  shape(name) {
    return this.network.tensors[name].shape;
  }
}

/** MiniLM, its weights those of search, and a last layer of the router's own. */
class Full {
  constructor(encoder, constants) {
    Object.assign(this, { encoder });
    this.layers = encoder.stepped(constants.network.values);
    this.own = encoder.add(constants.network, 'own.layer5');
    this.weights = [0, 1, 2].map((n) => constants.value(`pooled${n}.weight`));
    this.half = constants.value('own.half');
  }

  async views(ids) {
    const rows = ids.length;
    const [words, low, hidden, last] = await this.encoder.states(ids, [0, 3, 5, 6], null, this.layers);
    const tuned = pooled(this.encoder.apply(this.own, hidden), rows);
    const embedding = pooled(last, rows);
    const pools = [unit(highest(last, rows)), pooled(words, rows), pooled(low, rows)];
    const weighted = pools.map((pool, n) => pool.map((value) => value * this.weights[n]));
    return {
      features: joined([tuned, embedding, ...weighted]),
      examples: joined([tuned, embedding]).map((value) => value * this.half),
    };
  }
}

/** One stored vector a token, added. */
class Small {
  constructor(constants) {
    this.table = constants.array('table');
    this.scales = constants.array('scales');
    this.width = constants.shape('table')[1];
  }

  async views(ids) {
    const sum = new Float32Array(this.width);
    for (const id of ids) {
      for (let i = 0; i < this.width; i++) sum[i] += this.table[id * this.width + i] * this.scales[id];
    }
    const features = unit(sum);
    return { features, examples: features };
  }
}

/** The learned head: views to {logits, score}. */
class Head {
  constructor(constants) {
    for (const name of ['weights', 'bias', 'examples', 'intents', 'typical']) {
      this[name] = constants.array(`head.${name}`);
    }
    this.steps = constants.array('head.steps');
    for (const name of ['first.step', 'second.step', 'linear', 'near', 'nearness']) {
      this[name] = constants.value(`head.${name}`);
    }
    this.intents = Int32Array.from(this.intents, Number);
  }

  judge({ features, examples }) {
    const { typical } = this;
    const linear = this.#regression(features);
    const near = this.#nearest(examples);
    const logits = Array.from(typical, (_, n) => this.linear * linear[n] + this.near * near[n]);
    const best = logits.indexOf(Math.max(...logits));
    const score = Math.max(...linear.slice(0, typical.length))
      + this.nearness * (near[best] - typical[best]);
    return { logits, score };
  }

  /** log p of each class; one more than there are intents where out of scope was learned. */
  #regression(features) {
    const classes = this.bias.length;
    const raw = Float64Array.from(this.bias);
    for (let i = 0; i < features.length; i++) {
      for (let c = 0; c < classes; c++) raw[c] += features[i] * this.weights[i * classes + c];
    }
    const largest = Math.max(...raw);
    const total = raw.reduce((sum, value) => sum + Math.exp(value - largest), 0);
    return raw.map((value) => value - largest - Math.log(total));
  }

  /** The largest cosine to an example of each intent, from two digits of 8 bits as in Python. */
  #nearest(vector) {
    const count = this.intents.length;
    const sums = new Int32Array(count); // a unit vector's are far from 2 ** 31
    for (let i = 0; i < vector.length; i++) {
      const first = digit(vector[i] / this['first.step']);
      const rest = digit((vector[i] - first * this['first.step']) / this['second.step']);
      const asked = first * 256 + rest;
      const at = i * count;
      for (let n = 0; n < count; n++) sums[n] += asked * this.examples[at + n];
    }
    const near = new Float64Array(this.typical.length).fill(-1);
    for (let n = 0; n < count; n++) {
      const cosine = sums[n] * this.steps[1];
      if (cosine > near[this.intents[n]]) near[this.intents[n]] = cosine;
    }
    return near;
  }
}

export class Router {
  /** The router of `network` in the shared `weights`; `encoder` is that of `embedder`.
   * `passport` holds intents, threshold, max_characters, max_tokens and targets by intent. */
  constructor({ weights, network, encoder, embedder, passport }) {
    const constants = new Constants(weights, network);
    const small = 'table' in network.tensors;
    this.trunk = small ? new Small(constants) : new Full(encoder, constants);
    this.head = new Head(constants);
    this.tokenizer = embedder.tokenizer;
    this.passport = passport;
  }

  /** {intents: [[name, probability], …], score, known, route: {name, documents, reply}} */
  async judge(question) {
    const { intents, threshold, targets, max_characters, max_tokens } = this.passport;
    const text = Array.from(question).slice(0, max_characters).join('');
    const ids = this.tokenizer.tokenize(text).ids.slice(0, max_tokens - 2);
    const { logits, score } = this.head.judge(await this.trunk.views([CLS, ...ids, SEP]));
    const chances = softmax(logits);
    const order = intents.map((name, n) => [name, chances[n]]).sort((a, b) => b[1] - a[1]);
    const known = score >= threshold;
    const name = known ? order[0][0] : 'unsure';
    return { intents: order, score, known, route: asRoute(name, targets[name]) };
  }

  async route(question) {
    return (await this.judge(question)).route;
  }
}

/** The route of a target; "tuned" goes the safe way, since the page answers from documents. */
export function asRoute(name, target = { way: 'documents', reply: null }) {
  const closed = target.way === 'reply' || target.way === 'decline';
  return { name, documents: !closed, reply: closed ? target.reply ?? DECLINED : null };
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

/** The largest value of each column. */
function highest(hidden, rows) {
  const size = hidden.length / rows;
  const most = hidden.slice(0, size);
  for (let i = size; i < hidden.length; i++) {
    if (hidden[i] > most[i % size]) most[i % size] = hidden[i];
  }
  return most;
}

function joined(vectors) {
  const all = new Float32Array(vectors.reduce((sum, vector) => sum + vector.length, 0));
  let at = 0;
  for (const vector of vectors) {
    all.set(vector, at);
    at += vector.length;
  }
  return all;
}

/** The nearest whole number of 8 bits, the even one of two. */
function digit(value) {
  const near = Math.round(value);
  const even = near - value === 0.5 && near % 2 !== 0 ? near - 1 : near;
  return Math.min(127, Math.max(-128, even));
}
