// The router: which intent a question has and where that goes; as models/router.py.

import { idTensor } from './models.js';

const CLS = 101;
const SEP = 102;
export const DECLINED = 'This is not a question for me.';

export class Router {
  /** `passport` holds intents, threshold, max_characters, max_tokens and targets by intent. */
  constructor(ort, session, tokenizer, passport) {
    Object.assign(this, { ort, session, tokenizer, passport });
  }

  /** {intents: [[name, probability], …], score, known, route: {name, documents, reply}} */
  async judge(question) {
    const { intents, threshold, targets, max_characters, max_tokens } = this.passport;
    const text = Array.from(question).slice(0, max_characters).join('');
    const ids = this.tokenizer.tokenize(text).ids.slice(0, max_tokens - 2);
    const feeds = { input_ids: idTensor(this.ort, [CLS, ...ids, SEP]) };
    const outputs = await this.session.run(feeds, ['logits', 'score']);
    const chances = softmax(outputs.logits.data);
    const order = intents.map((name, n) => [name, chances[n]]).sort((a, b) => b[1] - a[1]);
    const score = outputs.score.data[0];
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
