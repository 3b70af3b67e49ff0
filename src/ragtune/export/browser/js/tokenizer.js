// MiniLM's tokenizer (BERT, uncased) with offsets, from its vocabulary. The npm package of Hugging
// Face gives no offsets, and the reader's answer is a span of tokens.

const SPECIAL = /\[(?:PAD|UNK|CLS|SEP|MASK)\]/g;
const LONGEST = 100; // characters of a word; a longer one is unknown
const KEPT = 50000; // words whose pieces are remembered
const ASCII_PUNCTUATION = /[!-/:-@[-`{-~]/;

export class Tokenizer {
  /** `vocabulary` maps pieces to ids, as in tokenizer.json's model.vocab. */
  constructor(vocabulary) {
    this.vocabulary = new Map(Object.entries(vocabulary));
    this.words = new Map();
  }

  /** Ids without special tokens, and each one's span in `text`: {ids, starts, ends}. */
  tokenize(text) {
    const found = { ids: [], starts: [], ends: [] };
    let at = 0;
    for (const match of text.matchAll(SPECIAL)) {
      this.#plain(text, at, match.index, found);
      at = match.index + match[0].length;
      push(found, this.vocabulary.get(match[0]), match.index, at);
    }
    this.#plain(text, at, text.length, found);
    return found;
  }

  #plain(text, from, to, found) {
    let word = '';
    let origins = []; // of each character of `word`: where it starts and ends in `text`
    const finish = () => {
      if (word) this.#word(word, origins, found);
      word = '';
      origins = [];
    };
    for (let at = from; at < to; ) {
      const code = text.codePointAt(at);
      const raw = String.fromCodePoint(code);
      const end = at + raw.length;
      if (code < 128) {
        // most of all text: no table needed
        if (code === 32 || code === 9 || code === 10 || code === 13) finish();
        else if (code > 32 && code !== 127) {
          if (ASCII_PUNCTUATION.test(raw)) {
            finish();
            this.#word(raw, [[at, end]], found);
          } else {
            word += code >= 65 && code <= 90 ? String.fromCharCode(code + 32) : raw;
            origins.push([at, end]);
          }
        }
      } else if (!isControl(raw)) {
        if (/\s/u.test(raw) || raw === '\x85') finish();
        else {
          const chinese = isChinese(code);
          if (chinese) finish();
          for (const c of raw.normalize('NFD').replace(/\p{Mn}/gu, '').toLowerCase()) {
            if (/\p{P}/u.test(c)) {
              finish();
              this.#word(c, [[at, end]], found);
            } else {
              word += c;
              for (let i = 0; i < c.length; i++) origins.push([at, end]);
            }
          }
          if (chinese) finish();
        }
      }
      at = end;
    }
    finish();
  }

  /** The pieces of a normalised word: the longest that is known, again and again. */
  #word(word, origins, found) {
    let pieces = this.words.get(word);
    if (pieces === undefined) {
      pieces = this.#pieces(word);
      if (this.words.size > KEPT) this.words.clear();
      this.words.set(word, pieces);
    }
    for (const [id, start, end] of pieces) push(found, id, origins[start][0], origins[end - 1][1]);
  }

  #pieces(word) {
    const unknown = [[this.vocabulary.get('[UNK]'), 0, word.length]];
    if ([...word].length > LONGEST) return unknown;
    const pieces = [];
    for (let start = 0; start < word.length; ) {
      let end = word.length;
      let id;
      for (; end > start; end--) {
        id = this.vocabulary.get((start ? '##' : '') + word.slice(start, end));
        if (id !== undefined) break;
      }
      if (id === undefined) return unknown;
      pieces.push([id, start, end]);
      start = end;
    }
    return pieces;
  }
}

function push(found, id, start, end) {
  found.ids.push(id);
  found.starts.push(start);
  found.ends.push(end);
}

function isControl(c) {
  return c === '\ufffd' || (c !== '\x85' && /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]/u.test(c));
}

function isChinese(code) {
  return (
    (code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) ||
    (code >= 0x20000 && code <= 0x2a6df) || (code >= 0x2a700 && code <= 0x2b73f) ||
    (code >= 0x2b740 && code <= 0x2b81f) || (code >= 0x2b820 && code <= 0x2ceaf) ||
    (code >= 0xf900 && code <= 0xfaff) || (code >= 0x2f800 && code <= 0x2fa1f)
  );
}
