// What a question asks for, read from its form alone; the same rules as question.py.

import * as words from './words.js';

const NUMBER = new RegExp(
  String.raw`\bhow (?:many|much|long|old|far|high|tall|large|big|wide|deep|heavy|fast|soon|often|late` +
  String.raw`|early)\b|\bwhat (?:percentage|percent|number|amount|share|price|fee|rate|size|age)\b` +
  String.raw`|\b(?:cost|price|costs) (?:of|for)\b|\bphone number\b`, 'i');
const TIME = new RegExp(
  String.raw`\bwhen\b|\b(?:what|which) (?:year|date|day|month|time|century|decade|week|quarter|deadline)\b` +
  String.raw`|\b(?:since|until|by) when\b`, 'i');
const NAME = new RegExp(
  String.raw`\bwho(?:m|se)?\b|\bwhere\b|\b(?:what|which) (?:\w+ )?(?:city|country|state|person|company` +
  String.raw`|place|team|department|office|address)\b`, 'i');
const FACT = new RegExp(
  String.raw`^\W*(?:and |so |but |in |on |at |by |for |from |to |of |with |under )*` +
  String.raw`(?:who|whom|whose|when|where|which|what(?:'s|’s| is| was| are| were| does \w+ stand)?\b)`, 'i');
const EXPLAIN = new RegExp(
  String.raw`\bhow (?:do|does|did|can|could|should|would|to|is|are|am|will|must)\b|\bwhy\b|\bsteps?\b` +
  String.raw`|\bprocess\b|\bprocedure\b|\bexplain\b|\bdescribe\b|\bsummari[sz]e\b|\btell me\b|\blist\b` +
  String.raw`|\bwhat (?:should|shall|must|can|could|do|does|did|happens?|if|kinds?|types?|sorts?|about` +
  String.raw`|are (?:the|our|my|your|their))\b|\bwhich (?:\w+ ){0,2}(?:are|do|can|types?|kinds?)\b` +
  String.raw`|\bdifferen(?:ce|t)\b|\bcompare\b`, 'i');
const MONTH = new RegExp(
  String.raw`\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?` +
  String.raw`|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|(?:mon|tues|wednes|thurs|fri|satur` +
  String.raw`|sun)days?|(?:to|yester)day|tomorrow|noon|midnight|century|quarter|daily|weekly|monthly` +
  String.raw`|annually|yearly)\b`, 'i');
const PROCEDURE = new RegExp(
  String.raw`\bhow (?:do|can|could|should|would|must|to|does|am|is (?:it|this|that)|are)\b|\bsteps?\b` +
  String.raw`|\bprocedure\b|\bwalk me through\b|\bwhat (?:should|must|shall|do|can) (?:i|we|you|one)\b` +
  String.raw`|\bwhat(?: to do)? (?:now|next|first)\b|\binstructions?\b|\bhow does it work\b`, 'i');
const ASKING = /\b(?:who|whom|whose|which|what|where|when|how)\b/i;
const ASKER = /\b(?:i|my|me|mine|we|us|our)\b/i;
const DENIAL = new RegExp(
  String.raw`exclu|\bexcept|exempt|refus|prohibit|forbid|forbad|\black|\bfail|reject|oppos|\bden(?:y|ie)` +
  String.raw`|prevent|\bavoid|absen|missing|stopped|ceased|illegal|impossible|\bunable|\bunlike\b|instead` +
  String.raw`|rather than|\bno longer\b`, 'i');

/** "fact" where one sentence can be the whole answer, otherwise "explain". */
export function form(question) {
  if (NUMBER.test(question) || TIME.test(question)) return 'fact';
  if (EXPLAIN.test(question)) return 'explain';
  return FACT.test(question) ? 'fact' : 'explain';
}

/** Whether the question asks how something is done, step by step. */
export function procedure(question) {
  return PROCEDURE.test(question);
}

/** The type of answer that the question's words ask for. */
export function expected(question) {
  if (NUMBER.test(question)) return 'number';
  if (TIME.test(question)) return 'time';
  return NAME.test(question) ? 'name' : 'any';
}

/** Whether the question asks for what is *not* so: "Which costs are not paid?". */
export function denies(question) {
  return question.split(/[.;!?\n]/).filter((clause) => ASKING.test(clause))
    .some((clause) => words.negated(clause) && !ASKER.test(clause));
}

/** Whether `text` says that something is not so, in whatever words. */
export function denial(text) {
  return words.negated(text) || DENIAL.test(text);
}

/** A test of texts for the type of answer asked for: true, false, or null where any will do. */
export function wanted(question) {
  const kind = expected(question);
  const said = new Set([...words.numbers(question), ...words.tokens(question)]);
  const isNew = (found) => found.some((word) => !said.has(word));
  return (text) => {
    if (kind === 'any') return null;
    if (kind === 'name') return isNew(words.names(text));
    if (kind === 'time' && MONTH.test(text)) return true;
    return isNew(words.numbers(text));
  };
}
