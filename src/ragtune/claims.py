"""Whether a source says what a sentence claims, as far as words can tell.

The check is lexical on purpose: it can be read, it is the same every time, and it errs towards
refusing, because the verbatim quotes are there to fall back on. Numbers with their units, names,
limiting words, negation and order must agree, and most content words must stand in the source.

Where a reader has marked the answering phrase in the source, a sentence that holds this phrase
verbatim may say the rest in other words: a company's own words are no facts. What is checked
besides coverage stays as strict.
"""

from __future__ import annotations

import re
from itertools import takewhile

from ragtune import words
from ragtune.question import denial

COVERAGE = 0.7  # share of a written sentence's content words that its source must hold
OWN_COVERAGE = 0.4  # … without its title and headings, which claim nothing by themselves
ANCHORED = 0.5  # both, for a sentence that holds the marked phrase of its source …
OWN_ANCHORED = 0.3

_CLAUSE = re.compile(
    r"[,;:–—()\n]|[.!?]\s|\b(?:but|however|although|while|whereas|aber|jedoch)\b", re.I
)
_POLARITY = re.compile(r"(yes|no)\s*[,:;–—.]\s+(?=\S)", re.I)
_SAID_LIMIT = words.LIMITS | frozenset("up limit limited cap capped latest longest within".split())


def supports(claim: str, source: str, context: str = "", phrase: str = "") -> bool:
    """Whether `source` says what `claim` says.

    `context` (title and headings) may supply names and words, as for "It weighs 12 kg" under the
    heading "Falcon 200". `phrase` is the part of the source that was marked as the answer.
    """
    both = f"{context}. {source}"
    said = bool(phrase) and holds(claim, phrase)
    if not said and not words.content(re.sub(r"\d", "", claim)):
        return False  # a bare number or marker claims nothing that could be checked
    if coverage(claim, both) < (ANCHORED if said else COVERAGE):
        return False
    if coverage(claim, source) < (OWN_ANCHORED if said else OWN_COVERAGE):
        return False
    if not set(words.names(claim)) <= {t.removesuffix("'s") for t in words.tokens(both)}:
        return False
    if not words.critical(claim) <= words.critical(source):
        return False
    if not words.rates(claim) <= words.rates(source) or _drops_limit(claim, source):
        return False
    if not _numbers_agree(claim, source, context):
        return False
    if any(words.negated(claim) != words.negated(c) for c in _clauses_used(claim, source)):
        return False
    return _same_order(claim, source, phrase if said else "")


def holds(claim: str, phrase: str) -> bool:
    """Whether `claim` has the words of `phrase` in it, in their order and without gaps."""
    wanted = words.tokens(phrase)
    return bool(wanted) and f" {' '.join(wanted)} " in f" {' '.join(words.tokens(claim))} "


def coverage(claim: str, source: str) -> float:
    """Share of the claim's distinct content words and numbers that stand in the source, 0 to 1."""
    wanted = set(words.content(claim)) | set(words.numbers(claim))
    if not wanted:
        return 0.0
    return len(wanted & (set(words.content(source)) | set(words.numbers(source)))) / len(wanted)


def polarity(claim: str) -> tuple[str, str]:
    """A leading "Yes," or "No," with what separates it, and the rest of the claim."""
    match = _POLARITY.match(claim)
    return (match.group(), claim[match.end() :]) if match else ("", claim)


def agrees(answer: str, claim: str, source: str) -> bool:
    """Whether a leading `answer` ("Yes, ", "No, ") fits the claim after it and its source.

    It is a claim of its own that words can hardly check: "no" needs a denial in claim or source,
    "yes" must have none, and no "only" and the like, in the clauses that the claim draws on.
    """
    used = _clauses_used(claim, source)
    denied = denial(claim) or any(denial(c) for c in used)
    if answer.lower().startswith("no"):
        return denied
    return not denied and not words.critical(claim) & {"only", "unless", "except", "never"}


def _numbers_agree(claim: str, source: str, context: str) -> bool:
    known = _with_neighbours(source)
    named = set(words.numbers(context))
    for number, unit, _ in _with_neighbours(claim):
        same = [near for n, _, near in known if n == number]
        if same:
            if (
                unit
                and unit not in set().union(*same)
                and any(u for n, u, _ in known if n == number)
            ):
                return False  # "20 percent" is not "20 days"
        elif number not in named or (unit and unit not in set(words.content(context))):
            return False
    return True


def _drops_limit(claim: str, source: str) -> bool:
    """Whether the claim repeats a number that its source limits ("at most"), without a limit."""
    tokens = words.tokens(source)
    used = set(words.numbers(claim))
    for i, token in enumerate(tokens):
        before = tokens[max(0, i - 3) : i]
        limited = words.LIMITS & set(before) or before[-2:] == ["up", "to"]
        if limited and used & set(words.numbers(token)):
            return not _SAID_LIMIT & set(words.tokens(claim))
    return False


def _with_neighbours(text: str) -> list[tuple[str, str, set[str]]]:
    """Every number of the text with the word that follows it and the words near it, as stems.

    Near ends at the next number: in "the 200 weighs 12 kg" the kilograms belong to 12.
    """
    tokens = words.tokens(text)
    stems = [words.stem(t) for t in tokens]
    values = [words.numbers(t) for t in tokens]
    found = []
    for i, token in enumerate(tokens):
        after = list(takewhile(lambda j: not values[j], range(i + 1, min(i + 5, len(tokens)))))
        before = list(takewhile(lambda j: not values[j], range(i - 1, max(i - 4, -1), -1)))
        follows = stems[i + 1] if i + 1 < len(stems) else ""
        unit = follows if follows.isalpha() and follows not in words.STOP_WORDS else ""
        near = {token, *(stems[j] for j in (*before, *after))}
        found += [(number, unit, near) for number in values[i]]
    return found


def _clauses_used(claim: str, source: str) -> list[str]:
    """The clauses of the source that the claim draws on: the closest, and any that add to it."""
    clauses = [c for c in _CLAUSE.split(source) if c and c.strip()]
    best = max(clauses, key=lambda c: coverage(claim, c), default=source)
    if coverage(claim, best) < 0.6:
        return [source]
    rest = set(words.content(claim)) - set(words.content(best))
    return [best, *(c for c in clauses if c is not best and rest & set(words.content(c)))]


def _same_order(claim: str, source: str, phrase: str) -> bool:
    """Whether names and numbers that both texts hold come in the same order in both.

    "A supplies B" and "B supplies A" have the same words; a reordering that is harmless falls
    back to the quote, which costs nothing but style. The marked `phrase` may stand anywhere: it is
    what the claim is about.
    """
    free = {t.removesuffix("'s") for t in words.tokens(phrase)}
    marks = words.names(claim) + words.numbers(claim) + words.names(source)
    position, in_claim = _first_positions(source), _first_positions(claim)
    shared = sorted(
        {m for m in marks if m in position and m in in_claim and m not in free},
        key=lambda m: in_claim[m],
    )
    return [position[m] for m in shared] == sorted(position[m] for m in shared)


def _first_positions(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for i, token in enumerate(words.tokens(text)):
        found.setdefault(token.removesuffix("'s"), i)
    return found
