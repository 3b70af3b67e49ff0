// The English Snowball stemmer (Porter2 as of Snowball 3), by hand from its published definition:
// https://snowballstem.org/algorithms/english/stemmer.html. tests compare it with the one that
// Python uses, word by word.

const VOWEL = 'aeiouy';
const EXCEPTIONS = new Map([
  ['skis', 'ski'], ['skies', 'sky'], ['idly', 'idl'], ['gently', 'gentl'], ['ugly', 'ugli'],
  ['early', 'earli'], ['only', 'onli'], ['singly', 'singl'],
  ...'andes atlas bias cosmos howe news sky'.split(' ').map((word) => [word, word]),
]);
const FIXED_R1 = /^(?:arsen|commun|emerg|gener|inter|later|organ|past|univers)/;
const STEP2 = [
  ['ization', 'ize'], ['ational', 'ate'], ['iveness', 'ive'], ['fulness', 'ful'],
  ['ousness', 'ous'], ['tional', 'tion'], ['biliti', 'ble'], ['lessli', 'less'],
  ['fulli', 'ful'], ['ousli', 'ous'], ['entli', 'ent'], ['aliti', 'al'], ['iviti', 'ive'],
  ['alism', 'al'], ['ation', 'ate'], ['ogist', 'og'], ['abli', 'able'], ['alli', 'al'],
  ['izer', 'ize'], ['ator', 'ate'], ['anci', 'ance'], ['enci', 'ence'], ['bli', 'ble'],
  ['ogi', 'og'], ['li', ''],
];
const STEP3 = [
  ['ational', 'ate'], ['tional', 'tion'], ['icate', 'ic'], ['ative', ''], ['alize', 'al'],
  ['iciti', 'ic'], ['ical', 'ic'], ['ful', ''], ['ness', ''],
];
const STEP4 = [
  'ement', 'ance', 'ence', 'able', 'ible', 'ment', 'ate', 'ive', 'ize', 'iti', 'ism', 'ion', 'ous',
  'ant', 'ent', 'ic', 'al', 'er',
];

const vowel = (c) => c !== undefined && VOWEL.includes(c);
const hasVowel = (text) => /[aeiouy]/.test(text);

const cache = new Map();

/** The stem of a lower-case word. */
export function stem(word) {
  let found = cache.get(word);
  if (found === undefined) {
    if (cache.size > 100000) cache.clear();
    cache.set(word, (found = stemmed(word)));
  }
  return found;
}

function stemmed(word) {
  if (EXCEPTIONS.has(word)) return EXCEPTIONS.get(word);
  if ([...word].length < 3) return word;
  let w = word.startsWith("'") ? word.slice(1) : word;
  // A y that is a consonant is written Y until the end.
  w = w.replace(/^y/, 'Y');
  for (let i = 1; i < w.length; i++) {
    if (w[i] === 'y' && vowel(w[i - 1])) w = `${w.slice(0, i)}Y${w.slice(i + 1)}`;
  }
  const r1 = FIXED_R1.exec(w)?.[0].length ?? region(w, 0);
  const r2 = region(w, r1);
  w = step1a(w);
  w = step1b(w, r1);
  if (/[yY]$/.test(w) && w.length > 2 && !vowel(w[w.length - 2])) w = `${w.slice(0, -1)}i`;
  w = step2(w, r1);
  w = step3(w, r1, r2);
  w = step4(w, r2);
  w = step5(w, r1, r2);
  return w.replaceAll('Y', 'y');
}

/** Where the region after the first vowel and consonant from `at` begins. */
function region(w, at) {
  let i = at;
  while (i < w.length && !vowel(w[i])) i++;
  if (i >= w.length) return w.length;
  i++;
  while (i < w.length && vowel(w[i])) i++;
  return i < w.length ? i + 1 : w.length;
}

function shortSyllable(w) {
  const [a, b, c] = [w[w.length - 3], w[w.length - 2], w[w.length - 1]];
  if (c === undefined || b === undefined) return false;
  if (a !== undefined && !vowel(a) && vowel(b) && !vowel(c) && !'wxY'.includes(c)) return true;
  if (w.length === 2 && vowel(b) && !vowel(c)) return true;
  return w.endsWith('past');
}

function step1a(word) {
  const w = word.replace(/(?:'s'|'s|')$/, '');
  if (w.endsWith('sses')) return w.slice(0, -2);
  if (/ie[ds]$/.test(w)) return w.length > 4 ? w.slice(0, -2) : w.slice(0, -1);
  if (/(?:us|ss)$/.test(w)) return w;
  if (w.endsWith('s') && hasVowel(w.slice(0, -2))) return w.slice(0, -1);
  return w;
}

function step1b(w, r1) {
  const suffix = /(?:eedly|ingly|edly|eed|ing|ed)$/.exec(w)?.[0];
  if (suffix === undefined) return w;
  let base = w.slice(0, -suffix.length);
  if (suffix.startsWith('eed')) {
    return base.length >= r1 && !/^(?:succ|proc|exc)$/.test(base) ? `${base}ee` : w;
  }
  if (suffix === 'ing') {
    if (/^[^aeiouy]y$/.test(base)) return `${base[0]}ie`;
    if (/^(?:even|cann|inn|earr|herr|out)$/.test(base)) return w;
  }
  if (!hasVowel(base)) return w;
  if (/(?:at|bl|iz)$/.test(base)) return `${base}e`;
  if (/(?:bb|dd|ff|gg|mm|nn|pp|rr|tt)$/.test(base)) {
    return /^[aeo]..$/.test(base) ? base : base.slice(0, -1);
  }
  if (base.length === r1 && shortSyllable(base)) base += 'e';
  return base;
}

function step2(w, r1) {
  const rule = STEP2.find(([suffix]) => w.endsWith(suffix));
  if (rule === undefined) return w;
  const base = w.slice(0, -rule[0].length);
  if (base.length < r1) return w;
  if (rule[0] === 'ogi' && !base.endsWith('l')) return w;
  if (rule[0] === 'li' && !/[cdeghkmnrt]$/.test(base)) return w;
  return base + rule[1];
}

function step3(w, r1, r2) {
  const rule = STEP3.find(([suffix]) => w.endsWith(suffix));
  if (rule === undefined) return w;
  const base = w.slice(0, -rule[0].length);
  if (base.length < r1 || (rule[0] === 'ative' && base.length < r2)) return w;
  return base + rule[1];
}

function step4(w, r2) {
  const suffix = STEP4.find((ending) => w.endsWith(ending));
  if (suffix === undefined) return w;
  const base = w.slice(0, -suffix.length);
  if (base.length < r2 || (suffix === 'ion' && !/[st]$/.test(base))) return w;
  return base;
}

function step5(w, r1, r2) {
  const base = w.slice(0, -1);
  if (w.endsWith('e')) {
    if (base.length >= r2 || (base.length >= r1 && !shortSyllable(base))) return base;
  } else if (w.endsWith('ll') && base.length >= r2) return base;
  return w;
}
