// What a writing model is shown, and the check of what it wrote; as prompting.py and, without its
// repairs of a company's form, cite.verify.

import { agrees, coverage, polarity, supports } from './claims.js';
import * as words from './words.js';

const SYSTEM = 'Answer the question in one short sentence. Use only the numbered facts, with their '
  + 'exact words and numbers.';
const STEP = /^\s*\d+[.)]\s/gm;
const ENUMERATION = /^\s*(?:\d+[.)]|[-*•])\s+/;
const MARKER = /\s*[[(](?:source|evidence|doc|document)?\s*\d+(?:\s*[,;]\s*\d+)*[\])]/gi;
const LIMITED = new RegExp(
  String.raw`\b(?:(?:(?:no|not) )?(?:more|less|fewer|later|earlier|longer) than` +
  String.raw`|at (?:the )?(?:most|least|latest|earliest)|up to|(?:maximum|minimum)(?: of)?|max\.?|min\.?` +
  String.raw`|about|around|before|after|until|within|every|above|below|over|under)\s+$`, 'i');
const CONTROL = /<(?=[|｜]|\/?s>|(?:start|end)_of_turn>)|\[(?=\/?INST\])/gi;

/** What the prompt numbers: the `count` best sentences; a numbered list is one fact, whole. */
export function facts(answer, count) {
  const shown = answer.sentences.slice(0, count);
  const [first, ...rest] = shown;
  const span = answer.citations[0];
  if (first && span && span.uri === first.uri && span.start <= first.start && first.end <= span.end
    && (span.quote.match(STEP) ?? []).length > 1) {
    const whole = { ...first, start: span.start, end: span.end, text: span.quote };
    return [whole, ...rest.filter((s) => s.uri !== span.uri || s.start >= span.end)];
  }
  return shown;
}

/** The messages for a model that writes from evidence. */
export function prompt(question, answer, count) {
  const shown = facts(answer, count);
  const lines = shown.map((fact, n) => `[${n + 1}] ${oneLine(context(fact))}: ${oneLine(fact.text)}`);
  let user = `Facts:\n${lines.join('\n')}\n\nQuestion: ${oneLine(question)}`;
  const marked = shown.length ? phrase(shown[0]) : '';
  if (marked) user += `\nKey words: ${oneLine(marked)}`;
  return [{ role: 'system', content: SYSTEM }, { role: 'user', content: user }];
}

/** Title and headings of the place where a sentence stands. */
export function context(sentence) {
  return [...new Set([sentence.title, ...sentence.headings])].join(' > ');
}

/** The marked words of a sentence with what limits them; '' for none. */
export function phrase(sentence) {
  const { text, start } = sentence;
  let low = sentence.phrase_start - start;
  const high = sentence.phrase_end - start;
  if (!(low >= 0 && low < high && high <= text.length)) return '';
  const limit = LIMITED.exec(text.slice(0, low));
  if (limit) low = limit.index;
  return text.slice(low, high).trim();
}

/** `text` on one line, without a chat template's control tokens. */
export function oneLine(text) {
  return text.split(/\s+/).filter(Boolean).join(' ').replace(CONTROL, (found) => `${found} `);
}

/** The sentences of `written` that a fact supports, each with its fact: [{text, source}, …].
 *
 * `fixed` are the lines of a company's form that claim nothing; they pass, with source null.
 */
export function verify(written, answer, count, fixed = []) {
  const sources = facts(answer, count).flatMap(units);
  const kept = [];
  for (const raw of written.split('\n')) {
    const form = fixed.find((line) => line && same(line, raw));
    if (form) {
      kept.push({ text: form, source: null });
      continue;
    }
    const line = raw.replace(MARKER, '').replace(ENUMERATION, '');
    for (const { segment } of new Intl.Segmenter('en', { granularity: 'sentence' }).segment(line)) {
      const claim = segment.trim();
      const [said, rest] = polarity(claim);
      const passing = sources.filter((s) => supports(rest, s.text, context(s), phrase(s)));
      if (!passing.length) continue;
      const source = passing.reduce((a, b) => (coverage(rest, b.text) > coverage(rest, a.text) ? b : a));
      const whole = !said || agrees(said, rest, source.text);
      kept.push({ text: whole ? claim : rest[0].toUpperCase() + rest.slice(1), source });
    }
  }
  return kept.some((one) => one.source) ? kept : [];
}

function same(a, b) {
  return words.tokens(a).join(' ') === words.tokens(b).join(' ') && words.tokens(b).length > 0;
}

/** The lines of a list that is one fact, each for itself; another fact is its own unit. */
function units(fact) {
  if ((fact.text.match(STEP) ?? []).length < 2) return [fact];
  let at = fact.start;
  return fact.text.split('\n').map((text) => {
    const made = { ...fact, text, start: at, end: at + text.length };
    at = made.end + 1;
    return made;
  }).filter((unit) => unit.text.trim());
}
