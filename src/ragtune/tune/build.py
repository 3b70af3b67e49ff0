"""Drafts of grounded examples from the indexed documents, for a person to review.

    documents ─▶ telling sentences, evenly ─▶ question and short answer ─▶ verified ─▶ appended

A draft is kept only if its evidence stands in the document word for word, supports the answer
(`claims.supports`), and is what this workspace's own search and evidence give first for the
question: if another sentence answers it better, or none is found, it goes. Every kept draft is
written at once; a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ragtune import cite, claims, evidence, retrieve, words
from ragtune import question as asked_for
from ragtune.config import Settings
from ragtune.errors import TuneError
from ragtune.places import place
from ragtune.protocols import System
from ragtune.tune import drafting, near
from ragtune.tune.drafting import Candidate, Draft
from ragtune.types import Document, OnProgress, Progress
from ragtune.versions import superseded

TRIES = 12  # candidates looked at for each draft that is wanted, at most
NEAR_MISSES = 0.1  # share of the drafts that no document answers
LONGEST_ANSWER = 25  # words


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a run did. `rejected` counts candidates by the reason why they gave no draft.

    `by` counts the kept drafts by what wrote them; `already` stood in the file before.
    """

    file: str
    already: int
    tried: int
    kept: int
    rejected: Mapping[str, int]
    by: Mapping[str, int]
    kinds: Mapping[str, int]
    seconds: float


# Stems that a question brings along: "how long does it take", "what is the maximum amount".
_GENERIC = frozenset(words.stem(w) for w in (
    "long much many often far high take last cost time date day amount number maximum minimum "
    "happen need person").split())  # fmt: skip


class _Rejected(Exception):  # noqa: N818 - a reason, not an error
    """Why a candidate gives no draft."""


def build(
    documents: Sequence[Document],
    system: System,
    settings: Settings,
    file: Path,
    count: int,
    on_progress: OnProgress | None = None,
    use_model: bool | None = None,
) -> BuildReport:
    """Appends drafts to `file` (JSON Lines) until it holds `count`, or nothing more is found.

    Each row has `id`, `question`, `answer`, `evidence`, `kind`, `by` and `reviewed: false`. Which
    candidates were tried stands beside it in `.NAME.tried`, so that a later run goes on and drafts
    that a person has deleted do not come back. `use_model` False takes the rules alone; the
    default (None) asks any generator but the shipped 135M, whose questions were hardly ever right.
    Raises TuneError where the file cannot be written, GenerationError where the generator fails.
    """
    started = time.perf_counter()
    if use_model is None:
        use_model = (settings.generator, settings.model) != ("embedded", Settings().model)
    rows = _kept(file)
    seen = file.with_name(f".{file.name}.tried")
    tried = _tried(seen)
    old = superseded(list(documents), date.today())
    order = drafting.spread([d for d in documents if d.id not in old])
    rules = "" if use_model else ":rules"  # the generator may still be asked in a later run
    todo = [c for c in order if _key(c) not in tried and _key(c) + rules not in tried]
    if not order:
        raise TuneError("no document has a sentence to ask about: ragtune add PATH… first")
    wanted = count - len(rows)
    asked = [str(row.get("question", "")) for row in rows]
    rejected: Counter[str] = Counter()
    by: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    looked = 0
    try:
        with file.open("a", encoding="utf-8") as out, seen.open("a", encoding="utf-8") as log:

            def keep(draft: Draft, gold: Mapping[str, str] | None) -> None:
                asked.append(draft.question)
                out.write(json.dumps(_row(draft, gold), ensure_ascii=False) + "\n")
                _flush(out)
                by[draft.by] += 1
                kinds[draft.kind] += 1

            def report() -> None:
                if on_progress is not None:
                    last = asked[-1] if asked else ""
                    on_progress(Progress("drafts", by.total(), max(0, wanted), last))

            misses = round(NEAR_MISSES * count) - sum(r.get("kind") == "unanswerable" for r in rows)
            facts = wanted - max(0, misses)
            for candidate in todo:
                if by.total() >= facts or (use_model and looked >= TRIES * facts):
                    break
                looked += 1
                try:
                    draft = _draft(candidate, asked, system, settings, use_model)
                except _Rejected as reason:
                    rejected[str(reason)] += 1
                    done = _key(candidate) + rules
                else:
                    done = _key(candidate)
                    keep(draft, {"document": candidate.document.uri, "quote": candidate.text})
                log.write(done + "\n")
                _flush(log)
                report()
            for draft in _near_misses(order, asked, system, settings):
                if misses <= 0 or by.total() >= wanted:
                    break
                keep(draft, None)
                misses -= 1
                report()
    except OSError as error:
        raise TuneError(f"{file}: cannot be written: {error.strerror or error}") from None
    return BuildReport(
        str(file), len(rows), looked, by.total(), dict(rejected.most_common()), dict(by),
        dict(kinds), time.perf_counter() - started,
    )  # fmt: skip


def _flush(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _row(draft: Draft, gold: Mapping[str, str] | None) -> dict[str, Any]:
    name = hashlib.sha256(draft.question.encode()).hexdigest()[:10]
    return {
        "id": f"draft-{name}",
        "question": draft.question,
        "answer": draft.answer,
        "evidence": [dict(gold)] if gold else [],
        "kind": draft.kind,
        "by": draft.by,
        "reviewed": False,
    }


def _key(candidate: Candidate) -> str:
    text = f"{candidate.document.uri}\0{candidate.text}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _kept(file: Path) -> list[dict[str, Any]]:
    """The rows that the file holds; a last line that a killed run left unfinished is taken off."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TuneError(f"{file}: cannot be read: {error.strerror or error}") from None
    rows = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError
        except (ValueError, RecursionError):
            if number == len(lines):  # no line end: torn while it was written
                with file.open("r+b") as torn:
                    torn.truncate(len(data) - len(line))
                break
            raise TuneError(f"{file}, line {number}: no draft: take another file") from None
        rows.append(row)
    else:
        if data and not data.endswith(b"\n"):
            with file.open("ab") as out:
                out.write(b"\n")
    return rows


def _tried(seen: Path) -> set[str]:
    try:
        return set(seen.read_text("utf-8", "replace").split())
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise TuneError(f"{seen}: cannot be read: {error.strerror or error}") from None


# ---------------------------------------------------------------- verified


def _draft(
    candidate: Candidate, asked: Sequence[str], system: System, settings: Settings, use_model: bool
) -> Draft:
    """The draft of a candidate: the rules' where they give one, the generator's otherwise."""
    reason = "no rule turns it into a question"
    for draft in _drafts(candidate, system, use_model):
        if draft is None:
            reason = "nothing in it to ask for, or no question written"
            continue
        problem = fault(draft, candidate, asked) or _found(draft, candidate, system, settings)
        if problem is None:
            return draft
        reason = problem
    raise _Rejected(reason)


def _drafts(candidate: Candidate, system: System, use_model: bool) -> Iterator[Draft | None]:
    yield from drafting.by_rule(candidate)
    if use_model:
        yield drafting.by_model(candidate, context(candidate), system.generator)


def context(candidate: Candidate) -> str:
    """Title and headings above a candidate: "Leave policy > Annual leave"."""
    where = place(candidate.document, candidate.start, candidate.end)
    return " > ".join(dict.fromkeys((candidate.document.title, *where.heading)))


def fault(draft: Draft, candidate: Candidate, asked: Sequence[str]) -> str | None:
    """What is wrong with a draft by itself, or None; its evidence is the candidate's span."""
    document, text = candidate.document, candidate.text
    if document.text[candidate.start : candidate.end] != text or not text.strip():
        return "the evidence is not in the document"
    about = context(candidate)
    said, known = set(words.content(draft.question)), set(words.content(f"{about} {text}"))
    if len(said) < 2 or not draft.question.endswith("?"):
        return "no real question"
    if not set(words.numbers(draft.question)) <= set(words.numbers(f"{about} {text}")):
        return "the question holds a number that the evidence does not"
    source = set(words.content(text))
    least: float = 2
    if draft.by != "rule":  # a rule changes no meaning; a small model asks about half a sentence
        source -= set(words.content(draft.answer))
        least = max(2, 0.4 * len(source))
    asking = said - _GENERIC
    if len(asking & known) < 0.75 * len(asking) or len(said & source) < min(least, len(source)):
        return "the question asks about something else"
    length = len(draft.answer.split())
    if not 1 <= length <= LONGEST_ANSWER or not any(map(str.isalnum, draft.answer)):
        return "the answer is empty or too long"
    answer = set(words.content(draft.answer)) | set(words.numbers(draft.answer))
    if answer and answer <= said | set(words.numbers(draft.question)):
        return "the question gives the answer away"
    flat = " ".join(words.tokens(text))
    verbatim = f" {' '.join(words.tokens(draft.answer))} " in f" {flat} "
    if not verbatim and not claims.supports(draft.answer, text, about):
        return "the evidence does not support the answer"
    if asked_for.Wanted(draft.question)(f"it is {draft.answer}") is False:
        return "the answer is not of the kind that is asked for"
    if not _measures(draft):
        return "the answer does not measure what is asked for"
    plain = " ".join(words.tokens(draft.question))
    if any(" ".join(words.tokens(q)) == plain for q in asked) or near.pairs(
        [draft.question], asked[-500:]
    ):
        return "asked already"
    return None


_TIMES = frozenset(
    words.stem(w)
    for w in "second minute hour day night week weekend month quarter year shift date".split()
)


def _measures(draft: Draft) -> bool:
    """Whether an amount that is asked for comes with its number and its unit."""
    match = re.match(r"how (many|much|long|often|far|old|high)\b ?(?:more |other )?(\w*)",
                     draft.question, re.I)  # fmt: skip
    if match is None:
        return True
    said = set(words.content(draft.answer))
    timed = bool(said & _TIMES)
    if match[1].lower() == "many" and draft.by != "rule":
        return words.stem(words.fold(match[2])) in said
    if match[1].lower() == "long" and not timed and draft.by != "rule":
        return False
    return bool(words.numbers(draft.answer)) or bool(
        re.search(r"\b(?:one|once|twice|every|half)\b", draft.answer)
    )


def _found(draft: Draft, candidate: Candidate, system: System, settings: Settings) -> str | None:
    """Whether the question leads back to its evidence: searched as a user's question is."""
    hits = retrieve.search(draft.question, system, settings)
    found = evidence.select(draft.question, hits, system, settings)
    if not found.sentences:
        return "the search finds nothing for the question"
    best = found.sentences[0]
    if best.document == candidate.document.id and (
        best.start < candidate.end and candidate.start < best.end
    ):
        return None if found.supported else "the question is too vague to be answered"
    return "another sentence answers the question better"


def _near_misses(
    order: Sequence[Candidate], asked: Sequence[str], system: System, settings: Settings
) -> Iterator[Draft]:
    """Drafts on the documents' subjects that nothing found answers: no sentence holds both the
    thing and the property that are asked for.
    """
    rows = [candidate for candidate in order if candidate.kind == "row"]
    for question, thing, name in drafting.near_misses(rows):
        if question in asked:
            continue
        hits = retrieve.search(question, system, settings)
        named, wanted = set(words.tokens(thing)), set(words.content(name))
        if not any(
            named <= set(words.tokens(h.text)) and wanted & set(words.content(h.text)) for h in hits
        ):
            yield Draft(question, cite.DECLINED, "rule", "unanswerable")
