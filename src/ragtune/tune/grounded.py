"""Examples as a grounded model sees them: with the evidence that this workspace gives for them.

Each question is searched and its evidence selected by the very functions that serve it (RAFT,
Zhang et al. 2024, arXiv 2403.10131: train with what the retriever finds); where that misses the
place of the known answer, the place is put first, as if it had been found. The answer to learn is
what serving would let stand of the company's answer: its form, the claims that the shown facts
support, and where none does, the answering words alone. So a model learns no fact by heart and
writes nothing that verification would take out again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ragtune import cite, evidence, prompting, question, quoting, retrieve, words
from ragtune.claims import COVERAGE, coverage
from ragtune.config import Settings
from ragtune.protocols import System
from ragtune.sentences import sentences
from ragtune.types import (
    Document,
    Evidence,
    Example,
    Filter,
    Gold,
    Message,
    OnProgress,
    Progress,
    Quote,
    Sentence,
)

FIXED = 0.2  # share of the answers in which a line of the company's form stands, at least
ALWAYS = 0.6  # … and from which on it belongs to every answer
LONGEST_PHRASE = 12  # words
LONGEST_UNIT = 30  # words of a sentence that may be an answer as it is

_TABULAR = re.compile(r"\s\|\s|^\w+: \S")  # "Header: value | …" as rows are rendered


@dataclass(frozen=True, slots=True)
class Grounded:
    """An example as it is trained: messages as `cite.prompt` renders them, and the answer."""

    example: Example
    evidence: Evidence
    messages: tuple[Message, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class GroundedExamples:
    """`rows` to train on; `left_out` counts the other examples by reason."""

    rows: tuple[Grounded, ...]
    left_out: Mapping[str, int]
    fixed: tuple[str, ...]  # the company's form, for `Adapter.fixed`
    retrieved: int  # rows whose own retrieval had the place among the shown facts


def fixed_lines(examples: Sequence[Example]) -> tuple[str, ...]:
    """The lines of the company's form: equal in many answers, and without a claim.

    First those of most answers that stand before what is answered, "", those after it, "", and
    those that many have. A line whose end names the documents of the evidence counts by its
    beginning ("On the shelf:"). A line with a number is never part of the form: a fact that many
    answers share is a claim. Empty where there is no form.
    """
    counts: Counter[str] = Counter()
    places: Counter[str] = Counter()  # in the first half of their answers
    naming: set[str] = set()
    for example in examples:
        lines = [line.strip() for line in example.answer.splitlines() if line.strip()]
        found: dict[str, bool] = {}
        for number, line in enumerate(lines):
            form = _naming(line, [gold.document for gold in example.evidence])
            naming |= {form} if form else set()
            if len(lines) > 1 and (form or not words.numbers(line)):
                found.setdefault(form or line, 2 * number < len(lines) - 1)
        counts.update(list(found))
        places.update([line for line, early in found.items() if early])
    many = [line for line, n in counts.items() if n >= max(3, FIXED * len(examples))]
    most = [line for line in many if counts[line] > ALWAYS * len(examples)]
    before = [line for line in most if 2 * places[line] > counts[line] and line not in naming]
    after = [line for line in most if line not in before]
    some = [line for line in many if line not in most]
    return (*before, "", *after, "", *some) if many else ()


def grounded_examples(
    examples: Sequence[Example],
    system: System,
    settings: Settings,
    count: int = 1,
    fixed: Sequence[str] | None = None,
    on_progress: OnProgress | None = None,
) -> GroundedExamples:
    """Every example with `count` facts and the answer that they support.

    Left out, and counted: examples that name no evidence, whose evidence is not in the documents,
    and whose answer says nothing that the evidence holds. `fixed` is taken from the examples'
    answers where it is not given (a held-out part takes that of the training part).
    """
    form = tuple(fixed_lines(examples) if fixed is None else fixed)
    rows: list[Grounded] = []
    left_out: Counter[str] = Counter()
    retrieved = 0
    for done, example in enumerate(examples):
        if on_progress:
            on_progress(Progress("evidence for examples", done, len(examples)))
        if not example.evidence:
            left_out["without evidence"] += 1
            continue
        golds = [g for gold in example.evidence if (g := locate(gold, system)) is not None]
        if not golds:
            left_out["evidence not in the documents"] += 1
            continue
        if _names_none(example, form):
            left_out["names no document as its source"] += 1
            continue
        hits = retrieve.search(example.question, system, settings)
        found = evidence.select(example.question, hits, system, settings)
        shown, own = with_gold(example, found, golds, system, settings, count)
        answer = target(example.answer, shown, count, form)
        if not answer:
            left_out["answer not held by the evidence"] += 1
            continue
        retrieved += own
        messages = cite.prompt(example.question, shown, count)
        rows.append(Grounded(example, shown, tuple(messages), answer))
    return GroundedExamples(tuple(rows), dict(left_out), form, retrieved)


# ---------------------------------------------------------------- evidence


def locate(gold: Gold, system: System) -> tuple[Document, int, int] | None:
    """The document of `gold` and the span of its quote, whatever the white space in it."""
    document = system.store.get(gold.document)
    if document is None:  # named relative to a folder that was added
        escaped = re.sub(r"([*?\[])", r"[\1]", gold.document)
        found = system.store.search(gold.quote, None, 20, Filter(path=(f"*/{escaped}",)))
        passages = system.store.passages([id for id, _ in found.lexical])
        documents = {p.document: system.store.get(p.document) for p in passages}
        named = [d for d in documents.values() if d and d.uri.endswith(f"/{gold.document}")]
        document = named[0] if named else None
    if document is None or not gold.quote.strip():
        return None
    match = re.search(r"\s+".join(map(re.escape, gold.quote.split())), document.text)
    return (document, *match.span()) if match else None


def with_gold(
    example: Example,
    found: Evidence,
    golds: Sequence[tuple[Document, int, int]],
    system: System,
    settings: Settings,
    count: int,
) -> tuple[Evidence, bool]:
    """The evidence with a place of the known answer among the first `count` sentences.

    And whether it was there. Where it was not, the place that holds most of the answer goes first,
    and what was found follows as near-misses.
    """

    def inside(span: Sentence) -> bool:
        return any(
            d.id == span.document and span.start < end and start < span.end
            for d, start, end in golds
        )

    if any(inside(s) for s in found.sentences[:count]):
        return found, True
    document, start, end = max(
        ((d, *_unit(d, a, b)) for d, a, b in golds),
        key=lambda g: coverage(example.answer, g[0].text[g[1] : g[2]]),
    )
    key = next((s for s in found.sentences if s.document == document.id and s.start == start), None)
    key = _marked(example.question, key or evidence.sentence(document, start, end, 0.0), system)
    form = question.form(example.question)
    low, high = quoting.grow(document, (start, end), form, settings.quote_words, {})
    span = replace(
        evidence.sentence(document, low, high, 0.0),
        phrase_start=key.phrase_start,
        phrase_end=key.phrase_end,
    )
    others = [s for s in found.sentences if (s.document, s.start) != (key.document, key.start)]
    quotes = (Quote(span, start, end), *found.quotes)
    return replace(found, sentences=(key, *others), quotes=quotes), False


def _unit(document: Document, start: int, end: int) -> tuple[int, int]:
    """The sentence, item or row that the span begins in."""
    blocks = document.map.blocks
    low, high = max(0, start - 2000), min(len(document.text), end + 2000)
    for block in blocks:
        if block.start <= start < block.end:
            low, high = block.start, block.end
            break
    for unit in sentences(document.text, low, high, blocks):
        if unit[0] <= start < unit[1]:
            return unit
    return start, end


def _marked(asked: str, sentence: Sentence, system: System) -> Sentence:
    """`sentence` with the phrase that the system's reader marks in it, if there is a reader.

    It reads headings on the first line and the text on the last, as in `evidence.select`.
    """
    if system.reader is None or sentence.phrase_end:
        return sentence
    headings = prompting.one_line(prompting.context(sentence))
    line = re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", " ", sentence.text)
    reading = system.reader.read(asked, [f"{headings}\n{line}"])[0]
    if reading.start >= reading.end:
        return sentence
    return replace(
        sentence,
        phrase_start=sentence.start + reading.start,
        phrase_end=sentence.start + reading.end,
    )


# ---------------------------------------------------------------- the answer to learn


@dataclass(slots=True)
class _Part:
    """A line of the answer to learn: a line of the form, or what is kept of its claims."""

    form: str = ""
    step: bool = False
    claims: tuple[str, ...] = ()


def target(answer: str, shown: Evidence, count: int, fixed: Sequence[str]) -> str:
    """What of `answer` the first `count` facts of `shown` bear out, in the company's form.

    "" where nothing is: then the example would teach what serving takes out.
    """
    facts = prompting.facts(shown, count)
    sources = [unit for fact in facts for unit in prompting.units(fact)]
    parts: list[_Part] = []
    direct = ""  # the first claim: what the company answers
    for raw in answer.splitlines():
        line = raw.strip()
        form = next((f for f in fixed if f and (line == f or _names(line, f))), "")
        if form:
            parts.append(_Part(form if line == form else f"{form} [1]"))
            continue
        step = bool(prompting.STEP.match(raw))
        text = prompting.ENUMERATION.sub("", raw)
        claims = [text[a:b] for a, b in sentences(text, 0, len(text), ())]
        direct = direct or "".join(claims[:1])
        kept = [c for c in claims if cite.supporting(c, sources)]
        if step and not kept:
            kept = _nearest(text, sources)
        if not step or (kept and not _said(parts, kept[0])):
            parts.append(_Part(step=step, claims=tuple(kept)))
    marked = prompting.phrase(facts[0]) if facts else ""
    if not cite.holds(direct, marked):
        marked = ""  # the reader means something else than the company
    if not any(part.claims for part in parts) or (marked and not _said(parts, marked)):
        opening = _as_answer(marked or _shared(direct, facts), sources)
        at = next((part for part in parts if not part.form), None)
        if not opening or at is None:
            return ""
        for part in parts:  # nothing is said twice
            part.claims = tuple(c for c in part.claims if coverage(c, opening) < COVERAGE)
        at.claims, at.step = (opening, *at.claims), False
    return _as_text(parts)


def _said(parts: Sequence[_Part], phrase: str) -> bool:
    return any(cite.holds(claim, phrase) for part in parts for claim in part.claims)


def _as_text(parts: Sequence[_Part]) -> str:
    """The parts that say something, a line each, their steps counted anew."""
    lines: list[str] = []
    step = 0
    for part in parts:
        if part.form:
            lines.append(part.form)
        elif part.claims:
            step += part.step
            lines.append((f"{step}. " if part.step else "") + " ".join(part.claims))
    return "\n".join(lines)


def _nearest(text: str, sources: Sequence[Sentence]) -> list[str]:
    """The step of the source that a step of the answer retells, verbatim."""
    best = max(sources, key=lambda s: coverage(text, s.text), default=None)
    if best is None or coverage(text, best.text) < 0.3:
        return []
    said = prompting.ENUMERATION.sub("", prompting.one_line(best.text))
    return [said] if quoting.count_words(said) <= LONGEST_UNIT else []


def _shared(claim: str, facts: Sequence[Sentence]) -> str:
    """The words of the first fact that `claim` has in common with it: a run of them.

    One with a number before others, then the one that the claim says first, then the longest.
    """
    if not facts:
        return ""
    said = " ".join(words.tokens(claim))
    text = facts[0].text
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    best: tuple[tuple[bool, int, int], str] | None = None
    for i, (start, _) in enumerate(spans):
        for _, end in spans[i : i + LONGEST_PHRASE]:
            run = text[start:end].strip(" .,;:!?()|*\"'")
            if not cite.holds(claim, run):
                break
            at = said.find(" ".join(words.tokens(run)))
            rank = (bool(words.numbers(run)), -at, len(run))
            if (words.content(run) or words.numbers(run)) and (best is None or rank > best[0]):
                best = (rank, run)
    return best[1] if best else ""


def _as_answer(phrase: str, sources: Sequence[Sentence]) -> str:
    """The sentence around the phrase where it is short prose; of a table's row, the phrase."""
    if not phrase:
        return ""
    holding = next((s for s in sources if cite.holds(s.text, phrase)), None)
    if holding is None:
        return ""
    text = prompting.ENUMERATION.sub("", prompting.one_line(holding.text))
    if not _TABULAR.search(text):
        return text if quoting.count_words(text) <= LONGEST_UNIT else ""
    said = f"{phrase[:1].upper()}{phrase[1:]}".rstrip(".") + "."
    return said if cite.supporting(said, [_with_phrase(holding, phrase)]) else ""


def _with_phrase(source: Sentence, phrase: str) -> Sentence:
    at = source.text.find(phrase)
    if at < 0:
        return source
    return replace(
        source, phrase_start=source.start + at, phrase_end=source.start + at + len(phrase)
    )


def _names_none(example: Example, fixed: Sequence[str]) -> bool:
    """Whether the line for documents names none of the evidence's: a refusal, as "nothing yet"."""
    lines = [
        line
        for line in map(str.strip, example.answer.splitlines())
        if any(_names(line, form) for form in fixed)
    ]
    named = any(gold.document in line for line in lines for gold in example.evidence)
    return bool(lines) and not named


def _names(line: str, form: str) -> bool:
    """Whether `line` is the one for documents that begins as `form`."""
    return form.endswith(":") and line.startswith(form)


def _naming(line: str, documents: Sequence[str]) -> str:
    """The beginning of a line that ends in the names of documents, up to its colon; or ""."""
    form, colon, names = line.strip().partition(":")
    if not colon or not any(document in names for document in documents):
        return ""
    return f"{form}:"
