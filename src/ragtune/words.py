"""Words as ragtune compares them: tokens, stems, stop words, numbers, names, negation.

Shared by evidence ranking and by the check of written answers, so that both mean the same by
"the same word". English stop words and stemmer; other languages pass through unharmed (their
words are compared as lower-case, accent-free forms).
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Protocol

_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*%?(?!\w)|\w+(?:['’]\w+)*")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")

STOP_WORDS = frozenset(
    """a about above after again all also am an and any are as at be because been before being
    below between both but by can could did do does doing down during each few for from further
    get gets got had has have having he her here hers him his how i if in into is it its itself
    just let me more most much my myself nor of off on once only or other our ours out over own
    please same shall she should so some such tell than that the their theirs them then there these
    they this those through to too under until up us very was we were what when where which while
    who whom whose why will with would you your yours does anyone someone something anything
    know""".split()
)
NEGATIONS = frozenset(
    """no not never none nobody nothing neither nor cannot without except unless nicht kein keine
    keinen keiner keines nie ohne non pas jamais sans""".split()
)
# Words that turn a claim into another one: a written sentence may use them only as its source does.
CRITICAL = frozenset(
    """before after until since over under above below more less fewer least most maximum minimum
    max min only always all every each must may mandatory optional required free except unless
    increase increased decrease decreased higher lower earlier later instead exclusive inclusive
    including excluding daily weekly monthly quarterly annually yearly""".split()
)
LIMITS = frozenset("most least maximum minimum max min mindestens höchstens maximal".split())
_RATES = frozenset(
    """second minute hour day night week weekend month quarter year person head employee kilometre
    kilometer km mile piece unit metre meter""".split()
)
_SMALL = {
    word: str(n)
    for n, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen twenty""".split()
    )
}


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802


def tokens(text: str) -> list[str]:
    """The words and numbers of `text` in order, lower-case, without accents."""
    return [fold(match.group()) for match in _TOKEN.finditer(text)]


@lru_cache(maxsize=65_536)
def fold(word: str) -> str:
    """`word` in lower case, without accents, with a plain apostrophe."""
    decomposed = unicodedata.normalize("NFKD", word.casefold().replace("’", "'"))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@lru_cache(maxsize=65_536)
def stem(token: str) -> str:
    """The English Snowball stem of a folded token; possessive 's is taken off."""
    return _stemmer().stemWord(token.removesuffix("'s"))


def content(text: str) -> list[str]:
    """Stems of the words that carry meaning (no stop words), in order, with repeats."""
    return [stem(t) for t in tokens(text) if t not in STOP_WORDS and not _is_negation(t)]


def numbers(text: str) -> list[str]:
    """Numbers in order, in one spelling: '1,000.50' and '1000.5' are equal, 'three' is '3'.

    A comma or point followed by exactly three digits groups thousands when there is only one kind
    of separator; times, dates and versions ('9:30', '1/2') are kept as they are.
    """
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        token = fold(match.group())
        if token in _SMALL:
            found.append(_SMALL[token])
        elif token[0].isdigit():  # "20kg" holds a number; "A1" and "X200" are names
            found += [_plain_number(m) for m in _NUMBER.findall(token)]
    return found


def names(text: str) -> list[str]:
    """Folded words that look like names or codes: capitals or digits inside, not sentence-initial.

    "Ask Maria Lind about the X200" gives maria, lind, x200.
    """
    found: list[str] = []
    at_start = True
    position = 0
    for match in _TOKEN.finditer(text):
        word = match.group()
        if re.search(r"[.!?:\n]\s*[\"'“(\[]*$", text[position : match.start()]):
            at_start = True
        position = match.end()
        has_digit = any(c.isdigit() for c in word)
        code = has_digit and any(c.isalpha() for c in word)
        inner_capital = any(c.isupper() for c in word[1:])
        name = word[0].isupper() and not at_start and fold(word) not in STOP_WORDS and word != "I"
        if code or inner_capital or name:
            found.append(fold(word).removesuffix("'s"))
        at_start = False
    return found


def negated(text: str) -> bool:
    """Whether the text holds a negation ("not", "n't", "without", "except", …)."""
    return any(_is_negation(t) for t in tokens(text))


def critical(text: str) -> set[str]:
    """The words of `text` that limit or order a claim ("at most", "before", "only")."""
    return {t for t in tokens(text) if t in CRITICAL}


def rates(text: str) -> set[str]:
    """What the text counts by or in: "28 EUR a day" by day, "two weeks" in weeks; as stems."""
    return {stem(t) for t in tokens(text) if t.removesuffix("s") in _RATES}


def _is_negation(token: str) -> bool:
    return token in NEGATIONS or token.endswith("n't")


def _plain_number(text: str) -> str:
    if re.search(r"[:/]", text):
        return text
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(\.\d{3})+(,\d+)?", text):
        text = text.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d+", text):
        text = text.replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", text):
        text = text.rstrip("0").rstrip(".")
    return text.lstrip("0") or "0"


_own = threading.local()


def _stemmer() -> _Stemmer:
    """This thread's stemmer: one works on its word in place, so two threads would spoil it."""
    stemmer: _Stemmer | None = getattr(_own, "stemmer", None)
    if stemmer is None:
        import snowballstemmer

        _own.stemmer = stemmer = snowballstemmer.stemmer("english")
    return stemmer
