"""Teaches the reader a workspace's own kind of question (`--mode reader`).

    examples with evidence ─▶ tasks: what retrieval finds for each, labelled ─▶ a fifth held out
    ─▶ training from the present reader on ─▶ kept only where it is not worse on the held-out part

The result is a delta of a few MB in the workspace (`.ragtune/reader/`), which `ask` then uses in
place of the shipped one.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragtune import evidence, retrieve, units, words
from ragtune.config import Settings
from ragtune.errors import TuneError
from ragtune.models import reader as serving
from ragtune.places import place
from ragtune.protocols import Reader, System
from ragtune.sentences import sentences
from ragtune.tune.reader_batches import Pair, ReaderSettings, Task
from ragtune.tune.reader_train import ReaderStep, train_reader
from ragtune.types import Document, Example, Hit, OnProgress, Passage, Place, Progress

SENTENCES = 10  # ranked sentences kept of a question
LONGEST = 10  # words of a phrase that is taken from an answer
NEEDED = 20  # examples with evidence that stands in the documents
HELD = 5  # one in HELD examples is held out
OWN = ReaderSettings(rate=5e-5, epochs=3.0, negatives=4)

Gold = Sequence[tuple[Document, list[tuple[int, int]]]]


@dataclass(frozen=True, slots=True)
class ReaderReport:
    """What a tuning of the reader did. Shares are of the `heldout` questions.

    `before` and `after`: the first sentence, as ranked with the reader, holds the evidence.
    `missing` are examples whose evidence was not found in the documents (or that name none).
    """

    trained: int
    heldout: int
    missing: int
    before: float
    after: float
    kept: bool
    path: Path | None  # of the delta; None where it was not kept
    seconds: float


def tune_reader(
    examples: Sequence[Example],
    system: System,
    settings: Settings,
    folder: Path,
    on_progress: OnProgress | None = None,
    seed: int = 0,
    stop: threading.Event | None = None,
) -> ReaderReport:
    """Continues from the reader in use with `examples`, and keeps the result in `folder`.

    Examples of the kind "unanswerable" (and without evidence) teach declining. Raises TuneError
    where there is no reader to continue from or too little to learn from.
    """
    import time

    from safetensors.numpy import load_file

    from ragtune.models import runtime, weights

    started = time.perf_counter()
    reader = system.reader
    if not isinstance(reader, serving.OnnxReader):
        raise TuneError("the setting `reader` is off: there is no reader to train")
    tasks, missing = tasks_of(examples, system, settings, on_progress)
    if len(tasks) < NEEDED:
        raise TuneError(
            f"{len(tasks)} examples have evidence that stands in the documents; the reader needs "
            f'at least {NEEDED}: give "evidence" (document and quote), or add the documents first'
        )
    held = [task for task in tasks if _bucket(task.question) == 0]
    rest = [task for task in tasks if _bucket(task.question) != 0]
    if not held:
        held, rest = rest[:1], rest[1:]
    source = weights.obtain(weights.MINILM.name, on_progress)
    base = load_file(source / "model.safetensors")
    packed = serving.load_delta(reader.delta)

    def show(step: ReaderStep) -> None:
        if on_progress is not None:
            losses = f"loss {step.support + step.choice + step.span:.3f}"
            on_progress(Progress("train", step.step, step.steps, losses))

    now, heads = train_reader(
        serving.apply(base, packed),
        rest,
        runtime.tokenizer(source / "tokenizer.json"),
        _seeded(seed),
        show,
        {name: packed[name] for name in serving.HEADS},
        stop,
    )
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / "new.safetensors"
    serving.save_delta(fresh, serving.pack(base, now, heads))
    before = first_right(held, reader)
    after = first_right(held, serving.OnnxReader(fresh, settings.threads, on_progress))
    kept = after >= before
    path = None
    if kept:
        path = folder / serving.DELTA
        fresh.replace(path)
    else:
        fresh.unlink()
    seconds = time.perf_counter() - started
    return ReaderReport(len(rest), len(held), missing, before, after, kept, path, seconds)


def _seeded(seed: int) -> ReaderSettings:
    from dataclasses import replace

    return replace(OWN, seed=seed)


def _bucket(question: str) -> int:
    return hashlib.sha256(question.encode("utf-8", "replace")).digest()[0] % HELD


def first_right(tasks: Iterable[Task], reader: Reader) -> float:
    """Of the tasks that have an answer, the share whose first sentence, once read, holds it."""
    right = []
    for task in tasks:
        found = [pair for pair in task.pairs if pair.rank >= 0][: evidence.READ]
        if not found or not any(pair.label == 1 for pair in task.pairs):
            continue
        readings = reader.read(task.question, [pair.text for pair in found])
        ranks = [p.score + evidence.gain(r.score) for p, r in zip(found, readings, strict=True)]
        right.append(found[ranks.index(max(ranks))].label == 1)
    return sum(right) / len(right) if right else 0.0


# ---------------------------------------------------------------- examples as tasks


def tasks_of(
    examples: Sequence[Example],
    system: System,
    settings: Settings,
    on_progress: OnProgress | None = None,
) -> tuple[list[Task], int]:
    """The examples that can be learnt from, each with what retrieval finds, and how many cannot."""
    tasks: list[Task] = []
    for number, example in enumerate(examples, 1):
        gold = [
            found
            for item in example.evidence
            if (found := _locate(item.document, item.quote, system, settings)) is not None
        ]
        if gold or (example.kind == "unanswerable" and not example.evidence):
            tasks.append(task_of(example.question, gold, system, settings, "own", example.answer))
        if on_progress is not None:
            on_progress(Progress("search", number, len(examples)))
    return tasks, len(examples) - len(tasks)


def _locate(
    uri: str, quote: str, system: System, settings: Settings
) -> tuple[Document, list[tuple[int, int]]] | None:
    """The document that holds `quote`: by its uri, or by the end of the uri among the hits."""
    stored = system.store.get(uri)
    if stored is None:
        for hit in retrieve.search(quote, system, settings):
            if hit.uri.endswith(f"/{uri}"):
                stored = system.store.get(hit.uri)
                break
    span = stored and quoted(quote, stored.text)
    return (stored, [span]) if stored and span else None


def quoted(quote: str, text: str) -> tuple[int, int] | None:
    """Where `quote` stands in `text`, whatever the white space between its words."""
    pattern = r"\s+".join(re.escape(word) for word in quote.split())
    match = re.search(pattern, text, re.IGNORECASE) if pattern else None
    return match.span() if match else None


def task_of(
    question: str,
    gold: Gold,
    system: System,
    settings: Settings,
    kind: str,
    answer: str = "",
) -> Task:
    """The sentences that are found for `question`, labelled by the spans in `gold`.

    A gold sentence that was not found is added. With `answer`, the answering phrase is what it
    shares with the gold sentence; without, it is the gold span itself.
    """
    hits = retrieve.search(question, system, settings)
    hits, _, answers = evidence.ranked(question, hits, system)
    places = {document.id: (document, spans) for document, spans in gold}
    pairs: list[Pair] = []
    held: set[tuple[int, int]] = set()
    for rank, unit in enumerate(answers[:SENTENCES]):
        spans = places[unit.document.id][1] if unit.document.id in places else []
        label, phrase = _label(unit, spans, list(places.values()), answer, question)
        held |= {(unit.document.id, s) for s, e in spans if unit.start <= s < unit.end}
        text = units.reading_text(unit, hits[unit.hit])
        pairs.append(Pair(text, label, *phrase, rank=rank, score=round(unit.score, 4)))
    for document, spans in gold:
        for start, end in spans[:1]:
            if (document.id, start) in held:
                continue
            unit, hit = _unit_at(document, start)
            label, phrase = _label(unit, [(start, end)], [], answer, question)
            pairs.append(Pair(units.reading_text(unit, hit), 1, *phrase))
    return Task(question, kind, tuple(pairs))


def _label(
    unit: units.Unit,
    spans: Sequence[tuple[int, int]],
    places: Gold,
    answer: str,
    question: str,
) -> tuple[int, tuple[int, int]]:
    """1: it holds (most of) a gold span; -1: unclear, it says the same words; 0: it does not."""
    for start, end in spans:
        low, high = max(start, unit.start), min(end, unit.end)
        inside = len(unit.document.text[low:high].split()) if low < high else 0
        if inside and (
            2 * inside >= len(unit.document.text[start:end].split())
            or 2 * inside >= len(unit.text.split())
        ):
            phrase = (low - unit.start, high - unit.start)
            if answer:
                phrase = answering_words(unit.text, answer, question)
            return 1, phrase
        if inside:
            return -1, (0, 0)
    folded = " ".join(unit.text.split()).casefold()
    for document, some in places:
        for start, end in some:
            said = " ".join(document.text[start:end].split()).casefold()
            if said and re.search(rf"(?<!\w){re.escape(said)}(?!\w)", folded):
                return -1, (0, 0)
    return 0, (0, 0)


def _unit_at(document: Document, at: int) -> tuple[units.Unit, Hit]:
    """The sentence around `at` as it would be found: with the headings above it."""
    spans = sentences(document.text, 0, len(document.text), document.map.blocks)
    index = max(i for i, (start, _) in enumerate(spans) if start <= at)
    start, end = spans[index]
    heading = " > ".join(dict.fromkeys((document.title, *place(document, start, end).heading)))
    passage = Passage(0, document.id, start, end, heading, document.text[start:end])
    previous = spans[index - 1][0] if index else -1
    unit = units.Unit(
        0, document, start, end, "paragraph", units.terms(""), frozenset(), {}, previous
    )
    return unit, Hit(passage, document.uri, document.title, Place(""), 0.0)


def answering_words(text: str, answer: str, question: str) -> tuple[int, int]:
    """The longest run of words that `text` shares with `answer`, offsets into `text`; 0, 0: none.

    What the question says already does not count, so the run is what the answer adds; a number
    counts twice.
    """
    own, said = _spans(text), [word for word, _, _ in _spans(answer)]
    known = {words.stem(t) for t in words.tokens(question)} | words.STOP_WORDS

    def worth(word: str) -> int:
        number = any(map(str.isdigit, word))
        return number + (words.stem(word) not in known and (len(word) > 2 or number))

    best, most = (0, 0), 0
    for i in range(len(own)):
        for j in range(len(said)):
            n = 0
            while i + n < len(own) and j + n < len(said) and own[i + n][0] == said[j + n]:
                n += 1
            value = sum(worth(word) for word, _, _ in own[i : i + n])
            if n <= LONGEST and value > most:
                best, most = (own[i][1], own[i + n - 1][2]), value
    return best


def _spans(text: str) -> list[tuple[str, int, int]]:
    found = re.finditer(r"\d+(?:[.,:]\d+)*|\w+", text)
    return [(match.group().casefold(), *match.span()) for match in found]
