"""What one answer is worth: the measures of the reading-comprehension literature, and plain ones.

Every function takes texts and gives a share from 0 to 1; none knows an arm.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from ragtune.types import Citation

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
_MARK = re.compile(r"\s?\[\d+\]")
_DECLINES = re.compile(
    r"\b(?:do(?:es)?(?: not|n['’]?t) (?:answer this|know|say\b|mention|specify|state\b|contain"
    r"|provide (?:any |enough )?information|have (?:any |enough |that |this )?information)"
    r"|(?:i|we) (?:can ?not|can['’]t|could not|am unable to|are unable to|am not able to)"
    r" (?:answer|find|determine|provide|say)"
    r"|no (?:such )?information (?:is |was )?(?:about|available|given|provided|on|found)"
    r"|(?:is|are|was) not (?:mentioned|specified|stated|given|provided|documented|available)"
    r"|not on (?:our|the) shelf|unanswerable|not a question for me"
    r"|weiß ich nicht|weiss ich nicht|keine (?:angabe|information)"
    r"|nicht (?:angegeben|beantworten))\b",
    re.I,
)


def plain(answer: str) -> str:
    """An answer without its citation marks."""
    return _MARK.sub("", answer).strip()


def normalize(text: str) -> str:
    """Lower case, without punctuation, articles and doubled blanks: SQuAD's evaluate-v1.1."""
    text = "".join(c for c in text.lower() if c not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1.0 where the normalized answer is one of the golds."""
    return float(any(normalize(answer) == normalize(gold) for gold in golds))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """The largest F1 of shared tokens over the golds (SQuAD)."""
    return max((_f1(normalize(answer).split(), normalize(gold).split()) for gold in golds),
               default=0.0)  # fmt: skip


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    same = (Counter(answer) & Counter(gold)).total()
    if not same:
        return 0.0
    precision, recall = same / len(answer), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def rouge_l(answer: str, golds: Sequence[str]) -> float:
    """The largest ROUGE-L F-measure over the golds, tokens as in google-research/rouge.

    Written out because the package brings NLTK along for a stemmer that is not used here; the
    tests hold it to the package's own figures.
    """
    tokens = _rouge_tokens(answer)
    return max((_rouge(tokens, _rouge_tokens(gold)) for gold in golds), default=0.0)


def _rouge_tokens(text: str) -> list[str]:
    return [t for t in re.sub(r"[^a-z0-9]+", " ", text.lower()).split(" ") if t]


def _rouge(answer: Sequence[str], gold: Sequence[str]) -> float:
    if not answer or not gold:
        return 0.0
    length = _common_subsequence(answer, gold)
    precision, recall = length / len(answer), length / len(gold)
    return 2 * precision * recall / (precision + recall) if length else 0.0


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bit vectors (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for i, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << i
    every = (1 << len(one)) - 1
    row = every
    for token in other:
        match = row & places.get(token, 0)
        row = ((row + match) | (row - match)) & every
    return len(one) - row.bit_count()


def folded(text: str) -> str:
    """As terms are compared: compatibility forms, lower case, single blanks, plain dashes."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.replace("–", "-").replace("’", "'").split())


def contains(text: str, term: str) -> bool:
    """Whether `term` stands in `text` as whole words or a whole number, whatever the case."""
    wanted = folded(term)
    if not wanted:
        return False
    pattern = rf"(?<!\w)(?<!\d[.,:/]){re.escape(wanted)}(?!\w)(?![.,:/]\d)"
    return re.search(pattern, folded(text)) is not None


def right(
    answer: str,
    golds: Sequence[str],
    must: Sequence[str] = (),
    must_not: Sequence[str] = (),
    reference: str = "",
) -> float:
    """1.0 where an answer holds one of the short golds and every must, and no must-not.

    A question that has neither golds nor musts is right at a token F1 of 0.5 with its reference
    answer.
    """
    if any(contains(answer, term) for term in must_not):
        return 0.0
    if not golds and not must:
        return float(token_f1(answer, [reference]) >= 0.5) if reference else 0.0
    found = not golds or any(contains(answer, gold) for gold in golds)
    return float(found and all(contains(answer, term) for term in must))


def share_of_terms(answer: str, terms: Sequence[str]) -> float:
    """The share of `terms` that the answer holds."""
    return sum(contains(answer, term) for term in terms) / len(terms) if terms else 1.0


def declines(answer: str, patterns: Sequence[str] = ()) -> bool:
    """Whether a written text says that it does not know; `patterns` are the company's own ways.

    A text that goes on to answer in more than 40 words has answered.
    """
    text = plain(answer)
    if not text:
        return True
    if any(re.search(pattern, answer) for pattern in patterns):
        return True
    return _DECLINES.search(text) is not None and len(text.split()) <= 40


# ---------------------------------------------------------------- sources

Span = tuple[str, int, int]  # uri, start, end


def overlap(one: Span, other: Span) -> bool:
    """Whether two spans share at least half of the shorter one."""
    if one[0] != other[0]:
        return False
    shared = min(one[2], other[2]) - max(one[1], other[1])
    return shared > 0 and 2 * shared >= min(one[2] - one[1], other[2] - other[1])


def citation_precision(cited: Sequence[Span], gold: Sequence[Sequence[Span]]) -> float:
    """The share of citations that stand on a gold span. `gold` has the places of each piece."""
    if not cited:
        return 0.0
    return sum(any(overlap(c, g) for places in gold for g in places) for c in cited) / len(cited)


def citation_recall(cited: Sequence[Span], gold: Sequence[Sequence[Span]]) -> float:
    """The share of gold pieces that a citation stands on."""
    if not gold:
        return 0.0
    return sum(any(overlap(c, g) for g in places for c in cited) for places in gold) / len(gold)


def reciprocal_rank(found: Sequence[Span], gold: Sequence[Sequence[Span]]) -> float:
    """1 / rank of the first hit that holds a gold span, 0 where none does."""
    for rank, hit in enumerate(found, 1):
        if any(overlap(hit, g) for places in gold for g in places):
            return 1.0 / rank
    return 0.0


def places_of(quote: str, uri: str, text: str) -> list[Span]:
    """Where `quote` stands in a document's text; white space may differ."""
    pieces = [re.escape(word) for word in quote.split()]
    if not pieces:
        return []
    return [(uri, m.start(), m.end()) for m in re.finditer(r"\s+".join(pieces), text)]


def is_exact(citation: Citation, text: str) -> bool:
    """Whether the document says the quoted words, byte for byte, at the cited place."""
    return text[citation.start : citation.end] == citation.quote
