"""From hits to evidence: sentences ranked against the question, quotes, and a support score.

    hits ─▶ units (sentences, items, rows) ─▶ rank ─▶ read the best ─▶ quotes ─▶ support

A unit's rank is the cosine of question and unit, plus its BM25 share, plus two hints: how well
the search ranked its passage, and whether it holds the type of answer that is asked for. A reader
(`models/reader.py`) then reads the best together with the question, reorders them, and marks the
answering words. The weights were chosen on the fitting half of SQuAD v2's articles and the sample
company's training questions, and measured on the other half and on documents unlike both
(benchmarks/answering.py).
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from ragtune import question as asked
from ragtune import support, words
from ragtune.config import Settings
from ragtune.conflict import conflicting
from ragtune.protocols import Reader, System
from ragtune.quoting import grow
from ragtune.types import Document, Evidence, Hit, Quote, Sentence
from ragtune.units import Unit, mark_echoes, reading_text, units_of
from ragtune.versions import superseded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LEXICAL = 0.4  # weight of BM25 / its maximum, beside a cosine
FOUND = 0.3  # weight of how the search ranked the hit, scaled to 0…1 over the hits
TYPE = 0.05  # added where the expected type of answer is held, taken off where it is not
K1, B = 0.6, 0.3  # BM25: a sentence's length says little, a repeated word less than in passages
NEIGHBOUR = 0.5  # a question's word in the sentence before counts this much: "It costs …"
HEADING = 0.5  # … and so does one in the heading path
STEPS = 0.1  # added to a list of steps where the question asks how to do something
OUTDATED = 1.5  # taken off where a newer version was found: more than a CLOSE and a reading
EMBEDDED = 12  # units embedded for a question; 20 and 40 found no more answers and took longer
CLOSE = 0.25  # a second quote's rank may be this much below the first's …
CLOSE_READ = 0.45  # … and this much once read, which sets ranks further apart
READ = 4  # units that the reader reads; 6, 8 and 10 chose no better
READING = 0.8  # weight of a reading, beside a cosine
KEPT = 10  # evidence sentences that are returned

_EARLIER = frozenset("earlier former formerly old older outdated previous previously past".split())


def select(question: str, hits: Sequence[Hit], system: System, settings: Settings) -> Evidence:
    """Ranks the sentences of `hits`, picks and grows the quotes, and scores their support.

    Hits whose document has changed or gone since the search are left out: what is quoted is always
    what the document says now.
    """
    hits, units, answers = ranked(question, hits, system)
    if not answers:
        return Evidence(hits=tuple(hits))
    scores = {(u.document.id, u.start): u.score for u in units}
    if system.reader is not None:
        _read(question, answers, hits, system.reader)
    quoted = _quotes(question, answers, scores, settings)
    best = answers[0]
    hit = hits[best.hit]
    score = support.score(
        support.features(
            question,
            [unit.cosine for unit in answers],
            [unit.cosine for unit in answers if unit.hit == best.hit],
            best.text,
            {*best.terms, *best.before, *best.context},
            "\n".join((hit.title, hit.passage.heading, hit.text)),
            [unit.reading.score for unit in answers if unit.reading is not None],
        )
    )
    threshold = settings.threshold
    if threshold < 0:
        read = system.reader is not None
        threshold = system.calibration.get("threshold", support.threshold(read))
    conflict = len(quoted) > 1 and conflicting(quoted[0][0], quoted[1][0])
    if conflict and best.echo and not quoted[1][0].echo:
        quoted[:2] = quoted[1::-1]
        answers.sort(key=lambda unit: unit is not quoted[0][0])
    return Evidence(
        sentences=tuple(_marked(unit) for unit in answers[:KEPT]),
        quotes=tuple(quote for _, quote in quoted),
        support=score,
        supported=score >= threshold,
        hits=tuple(hits),
        conflict=conflict,
    )


def ranked(
    question: str, hits: Sequence[Hit], system: System
) -> tuple[list[Hit], list[Unit], list[Unit]]:
    """The hits that still hold, all their units in reading order, and those that may answer.

    The latter are neither headings nor questions, best first.
    """
    hits, units = units_of(hits, system)
    if not units:
        return hits, [], []
    _rank(question, units, _scaled(hits), system)
    _step_lists(question, units)
    _outdated(question, units)
    answers = sorted(
        (unit for unit in _answering(units) if unit.kind != "heading" and not unit.asks),
        key=lambda unit: -unit.score,
    )
    mark_echoes(question, answers)
    return hits, units, answers


def _read(question: str, answers: list[Unit], hits: Sequence[Hit], reader: Reader) -> None:
    """Reads the best of `answers`, reorders all of them in place and keeps the readings.

    What was not read counts as the worst that was.
    """
    read = _to_read(answers)
    texts = [reading_text(unit, hits[unit.hit]) for unit in read]
    for unit, reading in zip(read, reader.read(question, texts), strict=True):
        unit.reading = reading
    least = min(gain(unit.reading.score) for unit in read if unit.reading is not None)
    for unit in answers:
        unit.score += least if unit.reading is None else gain(unit.reading.score)
    answers.sort(key=lambda unit: -unit.score)


def _to_read(answers: Sequence[Unit]) -> list[Unit]:
    """The READ best; of those that repeat the question at most half, as far as there are others."""
    echoing = [unit for unit in answers if unit.echo][: READ // 2]
    others = [unit for unit in answers if not unit.echo][: READ - len(echoing)]
    if len(echoing) + len(others) < READ:
        return list(answers[:READ])
    return sorted([*echoing, *others], key=lambda unit: -unit.score)


def gain(logit: float) -> float:
    """What a reading adds to a rank: 0 to READING, growing with the chance of an answer."""
    return READING / (1 + math.exp(-max(-30.0, min(30.0, logit))))


def _answering(units: Sequence[Unit]) -> list[Unit]:
    """Units with their final score: what follows a question in a FAQ answers that question."""
    asking: Unit | None = None
    for unit in units:
        if asking is not None and unit.document is asking.document and unit.kind != "heading":
            if not unit.asks:
                unit.score = max(unit.score, asking.score)
                unit.cosine = max(unit.cosine, asking.cosine)
                asking = None
            continue
        asking = unit if unit.asks else None
    return list(units)


# ---------------------------------------------------------------- ranking


def _rank(question: str, units: Sequence[Unit], found: Sequence[float], system: System) -> None:
    """Sets `lexical`, `cosine` and `score` of every unit; `found` is `_scaled` of the hits."""
    terms = list(dict.fromkeys(words.content(question)))
    weights = idf(terms, units)
    mean = sum(u.terms.total() for u in units) / len(units) or 1.0
    for unit in units:
        unit.lexical = _bm25(unit, weights, mean)
    largest = max(u.lexical for u in units) or 1.0
    for unit in units:
        unit.lexical /= largest
        unit.score = LEXICAL * unit.lexical + FOUND * found[unit.hit]
    best = sorted(units, key=lambda u: -u.score)[:EMBEDDED]
    wanted = asked.Wanted(question)
    vectors = _embed([question, *(u.text for u in best)], system)
    cosines = vectors[1:] @ vectors[0]
    for unit, cosine in zip(best, cosines.tolist(), strict=True):
        unit.cosine = cosine
        held = wanted(unit.text)
        unit.score += cosine + (0.0 if held is None else TYPE if held else -TYPE)


def _step_lists(question: str, units: Sequence[Unit]) -> None:
    """For "how do I …": what leads into a list of steps, and the steps, are likelier answers."""
    if not asked.procedure(question):
        return
    for unit, following in zip(units, [*units[1:], None], strict=True):
        leads = following is not None and following.kind == "item" and unit.kind != "item"
        if unit.kind == "item" or (leads and unit.text.endswith(":")):
            unit.score += STEPS


def _outdated(question: str, units: Sequence[Unit]) -> None:
    """Puts what a newer version of the same document replaces behind all that is in force.

    Unless the question asks for it: by a word of its title that the newer one lacks ("2023"), or
    by saying that it means an earlier version.
    """
    documents = {unit.document.id: unit.document for unit in units}
    old = superseded(list(documents.values()), date.today())
    said = set(words.tokens(question))
    if not old or said & _EARLIER:
        return
    current = {t for d in documents.values() if d.id not in old for t in words.tokens(d.title)}
    for unit in units:
        own = set(words.tokens(unit.document.title)) - current
        if unit.document.id in old and not said & own:
            unit.score -= OUTDATED


def _scaled(hits: Sequence[Hit]) -> list[float]:
    """The hits' scores from 0 (worst hit) to 1: those of a reranker have no fixed range."""
    low, high = min(hit.score for hit in hits), max(hit.score for hit in hits)
    return [(hit.score - low) / (high - low) if high > low else 1.0 for hit in hits]


def idf(terms: Sequence[str], units: Sequence[Unit]) -> dict[str, float]:
    """Weight of each term: rare among the hits weighs more, and in none of them most.

    Counted over the hits and not over the whole index: the hits share the question's topic, so
    this finds the words that tell them apart, and does not depend on the size of the index.
    """
    holders: dict[str, set[int]] = {term: set() for term in terms}
    for unit in units:
        for term in terms:
            if term in unit.terms or term in unit.context:
                holders[term].add(unit.hit)
    n = len({unit.hit for unit in units})
    return {t: math.log(1 + (n - len(h) + 0.5) / (len(h) + 0.5)) for t, h in holders.items()}


def _bm25(unit: Unit, weights: Mapping[str, float], mean: float) -> float:
    """BM25 of one unit; words of its heading path and of the unit before count in part."""
    norm = K1 * (1 - B + B * unit.terms.total() / mean)
    total = 0.0
    for term, weight in weights.items():
        count = unit.terms.get(term, 0)
        own = count * (K1 + 1) / (count + norm) if count else 0.0
        near = max(HEADING * (term in unit.context), NEIGHBOUR * (term in unit.before))
        total += weight * max(own, near)
    return total


# Vectors of texts that were embedded lately: the same sentences come up again for questions on
# the same subject. 16 MB at most with 384 dimensions.
_RECENT = 10_000
_recent: OrderedDict[tuple[str, str], Floats] = OrderedDict()
_lock = threading.Lock()


def _embed(texts: Sequence[str], system: System) -> Floats:
    """Unit vectors of `texts`, shape (len(texts), dimensions)."""
    import numpy as np

    name = system.embedder.name
    with _lock:
        found = {text: _recent.get((name, text)) for text in texts}
    missing = [text for text, vector in found.items() if vector is None]
    if missing:
        made = system.embedder.embed(missing)
        with _lock:
            for text, vector in zip(missing, made, strict=True):
                found[text] = _recent[name, text] = vector
            while len(_recent) > _RECENT:
                _recent.popitem(last=False)
    return np.stack([vector for text in texts if (vector := found[text]) is not None])


# ---------------------------------------------------------------- quotes


def _quotes(
    question: str,
    answers: Sequence[Unit],
    scores: Mapping[tuple[int, int], float],
    settings: Settings,
) -> list[tuple[Unit, Quote]]:
    """The best unit and those that come close, each grown; none overlaps another.

    Where the best repeats the question word for word, the next is the best of those that do not,
    however far behind: a text that was planted to be found should not be the only one heard.

    `scores` are the units' ranks before reading, by document and start: they lead growth.
    """
    form = asked.form(question)
    close = CLOSE if answers[0].reading is None else CLOSE_READ
    quotes: list[tuple[Unit, Quote]] = []
    taken: list[tuple[int, int, int]] = []
    said: list[str] = []
    for unit in answers:
        if len(quotes) == settings.quotes:
            break
        if answers[0].echo and quotes:
            if unit.echo:
                continue
        elif unit.score < answers[0].score - close:
            break
        document = unit.document
        folded = " ".join(words.tokens(unit.text))
        if folded in said or any(
            d == document.id and unit.start < e and s < unit.end for d, s, e in taken
        ):
            continue
        bounds = [(s, e) for d, s, e in taken if d == document.id]
        start, end = grow(
            document, (unit.start, unit.end), form, settings.quote_words, scores, bounds
        )
        taken.append((document.id, start, end))
        said.append(folded)
        span = sentence(document, start, end, unit.score, _phrase(unit, end))
        at = sentence(document, unit.start, unit.end, unit.score).place  # opens at the key
        span = replace(span, place=replace(at, boxes=span.place.boxes))
        quotes.append((unit, Quote(span, unit.start, min(unit.end, end))))
    return quotes


def _marked(unit: Unit) -> Sentence:
    """The unit as an evidence sentence, with its answering words."""
    return sentence(unit.document, unit.start, unit.end, unit.score, _phrase(unit, unit.end))


def _phrase(unit: Unit, end: int) -> tuple[int, int]:
    """The answering words that the reader found, document offsets up to `end`; 0, 0: none."""
    if unit.reading is None or unit.reading.end <= unit.reading.start:
        return 0, 0
    low, high = unit.start + unit.reading.start, min(unit.start + unit.reading.end, end)
    return (low, high) if low < high else (0, 0)


def sentence(
    document: Document, start: int, end: int, score: float, phrase: tuple[int, int] = (0, 0)
) -> Sentence:
    """A span of `document` as evidence, with its place; `phrase` in document offsets."""
    from ragtune.places import place

    return Sentence(
        document.id,
        document.uri,
        document.title,
        document.sha256,
        start,
        end,
        document.text[start:end],
        score,
        place(document, start, end),
        *phrase,
    )
