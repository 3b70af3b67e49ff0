// Whether two documents give different answers to one question; as conflict.py.

import * as words from './words.js';

const SURE = -1;

/** Whether the answering words of two read units of different documents exclude each other. */
export function conflicting(one, other) {
  if (one.document.id === other.document.id) return false;
  if ([one, other].some((unit) => !unit.reading || unit.reading.score < SURE)) return false;
  const [first, second] = [one, other].map(({ text, reading }) => {
    const phrase = text.slice(reading.start, reading.end);
    const tokens = words.tokens(phrase); // a name is told from a first word by what is around
    return { phrase, text, numbers: words.numbers(phrase), names: words.names(text).filter((n) => tokens.includes(n)) };
  });
  return !agrees(first, second) && !agrees(second, first);
}

/** Whether what `one` answers stands in the other's text, too, or it answers nothing. */
function agrees(one, other) {
  const every = (some, all) => some.every((word) => all.includes(word));
  if (one.numbers.length && other.numbers.length) return every(one.numbers, words.numbers(other.text));
  if (one.names.length && other.names.length) return every(one.names, words.tokens(other.text));
  const said = words.content(one.phrase);
  const all = words.content(other.text);
  return !said.length || said.some((word) => all.includes(word));
}
