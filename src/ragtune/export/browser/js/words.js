// Words as ragtune compares them; the same as words.py, function by function.

import { stem as snowball } from './stem.js';

const TOKEN = /\p{Nd}+(?:[.,:/]\p{Nd}+)*%?(?![\p{L}\p{N}_])|[\p{L}\p{N}_]+(?:['’][\p{L}\p{N}_]+)*/gu;
const NUMBER = /\p{Nd}+(?:[.,:/]\p{Nd}+)*/gu;
// What Python calls a digit: also superscripts, subscripts and numbers in circles.
const DIGIT = /[\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨⑴-⑼⒈-⒐⓪❶-❾➀-➈➊-➒]/u;
const list = (text) => new Set(text.trim().split(/\s+/));

export const STOP_WORDS = list(`a about above after again all also am an and any are as at be because
  been before being below between both but by can could did do does doing down during each few for
  from further get gets got had has have having he her here hers him his how i if in into is it its
  itself just let me more most much my myself nor of off on once only or other our ours out over own
  please same shall she should so some such tell than that the their theirs them then there these
  they this those through to too under until up us very was we were what when where which while who
  whom whose why will with would you your yours does anyone someone something anything know`);
const NEGATIONS = list(`no not never none nobody nothing neither nor cannot without except unless nicht
  kein keine keinen keiner keines nie ohne non pas jamais sans`);
const CRITICAL = list(`before after until since over under above below more less fewer least most
  maximum minimum max min only always all every each must may mandatory optional required free except
  unless increase increased decrease decreased higher lower earlier later instead exclusive inclusive
  including excluding daily weekly monthly quarterly annually yearly`);
export const LIMITS = list('most least maximum minimum max min mindestens höchstens maximal');
const RATES = list(`second minute hour day night week weekend month quarter year person head employee
  kilometre kilometer km mile piece unit metre meter`);
const SMALL = new Map(`zero one two three four five six seven eight nine ten eleven twelve thirteen
  fourteen fifteen sixteen seventeen eighteen nineteen twenty`.split(/\s+/).map((w, n) => [w, `${n}`]));

/** The words and numbers of `text` in order, lower-case, without accents. */
export function tokens(text) {
  return Array.from(text.matchAll(TOKEN), (match) => fold(match[0]));
}

const folded = new Map();

/** `word` in lower case, without accents, with a plain apostrophe. */
export function fold(word) {
  let found = folded.get(word);
  if (found === undefined) {
    if (folded.size > 100000) folded.clear();
    found = word.replaceAll('’', "'").toLowerCase();
    if (/[^\x00-\x7f]/.test(found)) {
      found = found.replaceAll('ß', 'ss').replaceAll('ς', 'σ').normalize('NFKD').replace(/\p{M}/gu, '');
    }
    folded.set(word, found);
  }
  return found;
}

/** The stem of a folded token; possessive 's is taken off. */
export function stem(token) {
  return snowball(token.endsWith("'s") ? token.slice(0, -2) : token);
}

/** Stems of the words that carry meaning (no stop words), in order, with repeats. */
export function content(text) {
  return tokens(text).filter((t) => !STOP_WORDS.has(t) && !isNegation(t)).map(stem);
}

/** Numbers in order, in one spelling: '1,000.50' and '1000.5' are equal, 'three' is '3'. */
export function numbers(text) {
  const found = [];
  for (const token of tokens(text)) {
    if (SMALL.has(token)) found.push(SMALL.get(token));
    else if (/^\p{Nd}/u.test(token)) {
      for (const match of token.matchAll(NUMBER)) found.push(plainNumber(match[0]));
    }
  }
  return found;
}

/** Folded words that look like names or codes: capitals or digits inside, not sentence-initial. */
export function names(text) {
  const found = [];
  let atStart = true;
  let position = 0;
  for (const match of text.matchAll(TOKEN)) {
    const word = match[0];
    if (/[.!?:\n]\s*["'“([]*$/.test(text.slice(position, match.index))) atStart = true;
    position = match.index + word.length;
    const code = DIGIT.test(word) && /\p{L}/u.test(word);
    const innerCapital = /^.+\p{Lu}/u.test(word);
    const name = /^\p{Lu}/u.test(word) && !atStart && !STOP_WORDS.has(fold(word)) && word !== 'I';
    if (code || innerCapital || name) found.push(fold(word).replace(/'s$/, ''));
    atStart = false;
  }
  return found;
}

/** Whether the text holds a negation ("not", "n't", "without", "except", …). */
export function negated(text) {
  return tokens(text).some(isNegation);
}

/** The words of `text` that limit or order a claim ("at most", "before", "only"). */
export function critical(text) {
  return new Set(tokens(text).filter((t) => CRITICAL.has(t)));
}

/** What the text counts by or in: "28 EUR a day" by day; as stems. */
export function rates(text) {
  return new Set(tokens(text).filter((t) => RATES.has(t.replace(/s$/, ''))).map(stem));
}

function isNegation(token) {
  return NEGATIONS.has(token) || token.endsWith("n't");
}

function plainNumber(number) {
  let text = number;
  if (/[:/]/.test(text)) return text;
  if (/^\d{1,3}(,\d{3})+(\.\d+)?$/.test(text)) text = text.replaceAll(',', '');
  else if (/^\d{1,3}(\.\d{3})+(,\d+)?$/.test(text)) {
    text = text.replaceAll('.', '').replaceAll(',', '.');
  } else if (/^\d+,\d+$/.test(text)) text = text.replaceAll(',', '.');
  if (/^\d+\.\d+$/.test(text)) text = text.replace(/0+$/, '').replace(/\.$/, '');
  return text.replace(/^0+/, '') || '0';
}
