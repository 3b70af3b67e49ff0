// Whether a source says what a written sentence claims, as far as words can tell; as claims.py.

import { denial } from './question.js';
import * as words from './words.js';

const COVERAGE = 0.7;
const OWN_COVERAGE = 0.4;
const ANCHORED = 0.5;
const OWN_ANCHORED = 0.3;
const CLAUSE = /[,;:–—()\n]|[.!?]\s|\b(?:but|however|although|while|whereas|aber|jedoch)\b/i;
const POLARITY = /^(yes|no)\s*[,:;–—.]\s+(?=\S)/i;
const SAID_LIMIT = new Set([...words.LIMITS, ...'up limit limited cap capped latest longest within'.split(' ')]);
const bare = (token) => token.replace(/'s$/, '');
const subset = (part, whole) => [...part].every((one) => whole.has(one));

/** Whether `source` says what `claim` says; `context` is title and headings, `phrase` the answer. */
export function supports(claim, source, context = '', phrase = '') {
  const both = `${context}. ${source}`;
  const said = Boolean(phrase) && holds(claim, phrase);
  if (!said && !words.content(claim.replace(/\d/g, '')).length) return false;
  if (coverage(claim, both) < (said ? ANCHORED : COVERAGE)) return false;
  if (coverage(claim, source) < (said ? OWN_ANCHORED : OWN_COVERAGE)) return false;
  if (!subset(words.names(claim), new Set(words.tokens(both).map(bare)))) return false;
  if (!subset(words.critical(claim), words.critical(source))) return false;
  if (!subset(words.rates(claim), words.rates(source)) || dropsLimit(claim, source)) return false;
  if (!numbersAgree(claim, source, context)) return false;
  if (clausesUsed(claim, source).some((c) => words.negated(claim) !== words.negated(c))) return false;
  return sameOrder(claim, source, said ? phrase : '');
}

/** Whether `claim` has the words of `phrase` in it, in their order and without gaps. */
export function holds(claim, phrase) {
  const wanted = words.tokens(phrase);
  return wanted.length > 0 && ` ${words.tokens(claim).join(' ')} `.includes(` ${wanted.join(' ')} `);
}

/** Share of the claim's distinct content words and numbers that stand in the source, 0 to 1. */
export function coverage(claim, source) {
  const wanted = new Set([...words.content(claim), ...words.numbers(claim)]);
  const held = new Set([...words.content(source), ...words.numbers(source)]);
  return wanted.size ? [...wanted].filter((word) => held.has(word)).length / wanted.size : 0;
}

/** A leading "Yes," or "No," with what separates it, and the rest of the claim. */
export function polarity(claim) {
  const match = POLARITY.exec(claim);
  return match ? [match[0], claim.slice(match[0].length)] : ['', claim];
}

/** Whether a leading `answer` ("Yes, ", "No, ") fits the claim after it and its source. */
export function agrees(answer, claim, source) {
  const denied = denial(claim) || clausesUsed(claim, source).some(denial);
  if (/^no/i.test(answer)) return denied;
  return !denied && !['only', 'unless', 'except', 'never'].some((w) => words.critical(claim).has(w));
}

function numbersAgree(claim, source, context) {
  const known = withNeighbours(source);
  const named = new Set(words.numbers(context));
  for (const [number, unit] of withNeighbours(claim)) {
    const same = known.filter(([n]) => n === number);
    if (same.length) {
      if (unit && !same.some(([, , near]) => near.has(unit)) && same.some(([, u]) => u)) return false;
    } else if (!named.has(number) || (unit && !words.content(context).includes(unit))) return false;
  }
  return true;
}

function dropsLimit(claim, source) {
  const tokens = words.tokens(source);
  const used = new Set(words.numbers(claim));
  for (let i = 0; i < tokens.length; i++) {
    const before = tokens.slice(Math.max(0, i - 3), i);
    const limited = before.some((t) => words.LIMITS.has(t)) || before.slice(-2).join(' ') === 'up to';
    if (limited && words.numbers(tokens[i]).some((n) => used.has(n))) {
      return !words.tokens(claim).some((t) => SAID_LIMIT.has(t));
    }
  }
  return false;
}

function withNeighbours(text) {
  const tokens = words.tokens(text);
  const stems = tokens.map(words.stem);
  const values = tokens.map(words.numbers);
  const found = [];
  tokens.forEach((token, i) => {
    const near = new Set([token]);
    for (let j = i + 1; j < Math.min(i + 5, tokens.length) && !values[j].length; j++) near.add(stems[j]);
    for (let j = i - 1; j > i - 4 && j >= 0 && !values[j].length; j--) near.add(stems[j]);
    const follows = stems[i + 1] ?? '';
    const unit = /^\p{L}+$/u.test(follows) && !words.STOP_WORDS.has(follows) ? follows : '';
    for (const number of values[i]) found.push([number, unit, near]);
  });
  return found;
}

function clausesUsed(claim, source) {
  const clauses = source.split(CLAUSE).filter((c) => c && c.trim());
  if (!clauses.length) return [source];
  const best = clauses.reduce((a, b) => (coverage(claim, b) > coverage(claim, a) ? b : a));
  if (coverage(claim, best) < 0.6) return [source];
  const held = new Set(words.content(best));
  const rest = new Set(words.content(claim).filter((w) => !held.has(w)));
  return [best, ...clauses.filter((c) => c !== best && words.content(c).some((w) => rest.has(w)))];
}

function sameOrder(claim, source, phrase) {
  const free = new Set(words.tokens(phrase).map(bare));
  const position = firstPositions(source);
  const inClaim = firstPositions(claim);
  const marks = new Set([...words.names(claim), ...words.numbers(claim), ...words.names(source)]);
  const shared = [...marks].filter((m) => position.has(m) && inClaim.has(m) && !free.has(m))
    .sort((a, b) => inClaim.get(a) - inClaim.get(b)).map((m) => position.get(m));
  return shared.every((at, n) => n === 0 || shared[n - 1] <= at);
}

function firstPositions(text) {
  const found = new Map();
  words.tokens(text).forEach((token, i) => {
    if (!found.has(bare(token))) found.set(bare(token), i);
  });
  return found;
}
