"""The test set: read from a file or held out of the examples, cleaned, frozen and hashed.

file, or examples held out by document ─▶ near-duplicates of training taken out ─▶ TestSet
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune import calibrate, words
from ragtune.errors import ConfigError, said
from ragtune.tune import near
from ragtune.types import Example, Gold

if TYPE_CHECKING:
    from ragtune.protocols import Embedder

HELD_OUT = 0.25  # share of the examples that become the test set where none is given
NEAR_COSINE = 0.95  # of two questions' embeddings, from which on they ask the same
LARGEST = 64 << 20  # bytes of a question file
_UNANSWERABLE = frozenset(("unanswerable", "near-miss", "out-of-scope", "out-of-corpus"))


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what a right answer holds.

    `answers` are short golds (any of them), `must` and `must_not` terms (all, none), `answer` the
    company's whole answer. `source` is the document it was asked about: questions of one source
    count as one cluster. A question that nothing answers has `answerable` false.
    """

    id: str
    question: str
    answer: str = ""
    answers: tuple[str, ...] = ()
    evidence: tuple[Gold, ...] = ()
    kind: str = "fact"
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    source: str = ""
    answerable: bool = True


@dataclass(frozen=True, slots=True)
class TestSet:
    """Frozen questions; `sha256` changes whenever a question or a gold does.

    `left_out` are (id, why) of questions that were taken out, `notes` what a reader should know.
    """

    __test__ = False  # not a test, whatever pytest makes of the name

    questions: tuple[Question, ...]
    sha256: str
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def freeze(
    questions: Sequence[Question],
    left_out: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
) -> TestSet:
    """The test set of these questions. Raises ConfigError where none is left."""
    if not questions:
        raise ConfigError(
            "no question is left to compare with: give a file of held-out questions; from about "
            "60 on they tell approaches apart"
        )
    text = json.dumps([asdict(q) for q in questions], sort_keys=True, ensure_ascii=False)
    return TestSet(
        tuple(questions), hashlib.sha256(text.encode()).hexdigest(), tuple(left_out), tuple(notes)
    )


def read_questions(paths: Sequence[Path]) -> list[Question]:
    """The questions of JSON Lines or CSV files. Raises ConfigError with the row that is wrong.

    Fields: `question`; `answer` (one text) and/or `answers` (short golds); optionally `id`,
    `evidence` (list of {document, quote}), `kind`, `must_contain`, `must_not_contain`,
    `answerable`, `source`. In CSV a list is written with "|" between its items, and evidence as
    the columns `document` and `quote`.
    """
    questions: list[Question] = []
    seen: set[str] = set()
    for path in paths:
        for number, row in _rows(path):
            question = _question(row, f"{path}, row {number}", len(questions) + 1)
            if question.id in seen:
                raise ConfigError(f"{path}, row {number}: id {question.id!r} is not unique")
            seen.add(question.id)
            questions.append(question)
    return questions


def _rows(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path} is larger than {LARGEST >> 20} MiB: not a question file")
        if path.suffix.lower() not in (".csv", ".tsv"):
            return list(enumerate(calibrate.read_jsonl(path), 1))
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {said(error)}") from None
    try:
        first = text.partition("\n")[0]
        delimiter = max("\t;,", key=first.count)
        found = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return [(n, {k: v for k, v in row.items() if k}) for n, row in enumerate(found, 2)]
    except csv.Error as error:
        raise ConfigError(f"{path}: not CSV: {error}") from None


def _question(row: Mapping[str, Any], where: str, number: int) -> Question:
    text = row.get("question")
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f'{where}: no "question"')
    kind = str(row.get("kind") or "fact").strip()
    answers = _texts(row, "answers", where)
    answer = row.get("answer") or ""
    if isinstance(answer, list):
        answers, answer = answers or _texts(row, "answer", where), ""
    if not isinstance(answer, str):
        raise ConfigError(f'{where}: "answer" must be a text')
    must = _texts(row, "must_contain", where)
    said = row.get("answerable")
    answerable = kind not in _UNANSWERABLE and row.get("answers") != []
    if said not in (None, ""):
        answerable = str(said).strip().lower() not in ("false", "0", "no")
    if answerable and not (answers or answer.strip() or must):
        raise ConfigError(
            f'{where}: no "answer", "answers" or "must_contain" to judge by (a question that '
            'nothing answers has kind "unanswerable")'
        )
    evidence = _evidence(row, where)
    id = str(row.get("id") or f"q{number:04}")
    return Question(
        id=id,
        question=text.strip(),
        answer=answer.strip(),
        answers=answers,
        evidence=evidence,
        kind=kind,
        must=must,
        must_not=_texts(row, "must_not_contain", where),
        source=str(row.get("source") or source_of(evidence) or id),
        answerable=answerable,
    )


def _texts(row: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = row.get(name)
    if value in (None, ""):
        return ()
    items = value.split("|") if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(v, str | int | float) for v in items):
        raise ConfigError(f"{where}: {name!r} must be a list of texts")
    return tuple(t for v in items if (t := str(v).strip()))


def _evidence(row: Mapping[str, Any], where: str) -> tuple[Gold, ...]:
    value = row.get("evidence") or []
    if row.get("document") and row.get("quote"):
        value = [{"document": row["document"], "quote": row["quote"]}]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ConfigError(f'{where}: "evidence" is not JSON') from None
    if not isinstance(value, list):
        value = [value]
    found = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("document"), str):
            raise ConfigError(f'{where}: "evidence" must be a list of {{"document", "quote"}}')
        found.append(Gold(item["document"], str(item.get("quote") or "")))
    return tuple(found)


def source_of(evidence: Sequence[Gold]) -> str:
    """The file that a question was asked about: of an archive or database, the whole file."""
    return min((g.document.partition("!/")[0].partition("#")[0] for g in evidence), default="")


def from_example(example: Example, number: int) -> Question:
    """An example as a test question: its answer is the reference to be near to."""
    id = example.id or f"e{example.row or number:04}"
    return Question(
        id, example.question, example.answer, (), example.evidence, example.kind or "fact",
        example.must_contain, (), source_of(example.evidence) or id,
        example.kind not in _UNANSWERABLE,
    )  # fmt: skip


def hold_out(
    examples: Sequence[Example], share: float = HELD_OUT, seed: int = 0
) -> tuple[list[Example], list[Example], tuple[str, ...]]:
    """(training, test, notes): whole documents are held out until `share` of the examples are.

    An example about documents of both sides is in neither, so that nothing that is asked was
    trained. Examples without evidence are split one by one.
    """
    documents = sorted({d for e in examples for d in _documents(e)})
    random.Random(seed).shuffle(documents)  # noqa: S311 - a split, not a secret
    held: set[str] = set()
    for document in documents:
        now = sum(bool(_documents(e)) and _documents(e) <= held for e in examples)
        if now >= share * sum(bool(_documents(e)) for e in examples):
            break
        held.add(document)
    train, test, mixed = [], [], 0
    for number, example in enumerate(examples):
        about = _documents(example)
        if about and about <= held:
            test.append(example)
        elif about & held:
            mixed += 1
        elif not about and _turn(example, number, seed) < share:
            test.append(example)
        else:
            train.append(example)
    notes = [
        f"no question file: {len(test)} of {len(examples)} examples, those about {len(held)} of "
        f"{len(documents)} documents, were held out and are not trained on"
    ]
    if mixed:
        notes.append(f"{mixed} examples about documents of both sides were left out")
    return train, test, tuple(notes)


def _documents(example: Example) -> set[str]:
    return {g.document.partition("!/")[0].partition("#")[0] for g in example.evidence}


def _turn(example: Example, number: int, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {number} {example.question}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def near_duplicates(
    questions: Sequence[Question], training: Sequence[str], embedder: Embedder | None = None
) -> dict[str, str]:
    """The questions (id: the training question) that training has seen in other words.

    The same when they share most of their characters in order (`tune.near`), or when their
    embeddings are as good as equal. Numbers must agree: "Kondor 200" is not "Kondor 210".
    """
    found: dict[str, str] = {}
    for at, seen, _ in near.pairs([q.question for q in questions], training):
        found.setdefault(questions[at].id, training[seen])
    rest = [q for q in questions if q.id not in found]
    if embedder is not None and rest and training:
        cosines = embedder.embed([q.question for q in rest]) @ embedder.embed(list(training)).T
        for question, row in zip(rest, cosines, strict=True):
            best = int(row.argmax())
            numbers = [set(words.numbers(t)) for t in (question.question, training[best])]
            if row[best] >= NEAR_COSINE and numbers[0] == numbers[1]:
                found[question.id] = training[best]
    return found


def without_duplicates(
    questions: Sequence[Question], training: Sequence[str], embedder: Embedder | None = None
) -> tuple[list[Question], list[tuple[str, str]]]:
    """The questions that training has not seen, and (id, why) of those that it has."""
    found = near_duplicates(questions, training, embedder)
    kept = [q for q in questions if q.id not in found]
    return kept, [(id, f"asks the same as the training question “{t}”") for id, t in found.items()]
