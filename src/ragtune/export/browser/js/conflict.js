// Whether two documents give different answers to one question; as conflict.py.

import * as words from './words.js';

const SURE = -1;

/** Whether the answering words of two read units of different documents exclude each other. */
export function conflicting(one, other) {
  if (one.document.id === other.document.id) return false;
  if ([one, other].some((unit) => !unit.reading || unit.reading.score < SURE)) return false;
  const [first, second] = [one, other].map((u) => u.text.slice(u.reading.start, u.reading.end));
  return !shares(first, other.text, second) && !shares(second, one.text, first);
}

/** Whether a part of what `phrase` answers stands in `text`, too, or it answers nothing. */
function shares(phrase, text, answer) {
  const numbers = words.numbers(phrase);
  const meets = (some, all) => some.some((word) => all.includes(word));
  if (numbers.length && words.numbers(answer).length) return meets(numbers, words.numbers(text));
  const said = words.content(phrase);
  return !said.length || meets(said, words.content(text));
}
