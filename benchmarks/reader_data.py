"""Questions with labelled sentences for training and fitting the reader (`benchmarks/reader.py`).

Every question is asked of a store that does not hold what is reported elsewhere: its sentences
are those that `retrieve.search` and `evidence.ranked` give, labelled by where the gold answer
stands. What is never read here: the reported half of SQuAD v2's articles (`answering_data.halves`),
the reported sites of policyqa, the sample company's held-out and unanswerable questions.

    part    train: the reader is trained on it   fit: weights and thresholds are fitted on it
    squad   v1.1 articles that are not in v2 dev, and four in five of the fitting half (train)
    policyqa  by site: every second is reported, the others train, every fifth of those fits
    company   four in five of its training questions train, the rest fits
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import answering_data as data
from benchmarks.retrieval_data import BENCH, Span, _articles

from ragtune.config import Settings
from ragtune.protocols import System
from ragtune.tune.reader import quoted, task_of
from ragtune.tune.reader_batches import Pair, Task
from ragtune.types import Document

SETTINGS = Settings(reader="off")


# ---------------------------------------------------------------- parts


def squad_parts() -> dict[str, frozenset[str]]:
    """Article names (no folder, no ending) of "train", "fit" and "report"."""
    documents, _ = data.squad()
    fitted, reported = data.halves(documents)
    second = {d.uri for d in documents}
    first = {f"{e['title']}.md" for e in _read("squad/dev-v1.1.reconstructed.json")}
    order = sorted(fitted, key=data.digest)
    return {
        "train": frozenset(set(order[5:]) | (first - second)),
        "fit": frozenset(order[:5]),
        "report": reported,
    }


def policy_parts() -> dict[str, frozenset[str]]:
    """Sites of "train", "fit" and "report"."""
    sites = sorted((d.title for d, _ in data.policyqa(1)), key=data.digest)
    rest = sites[1::2]
    return {
        "train": frozenset(rest[2:]),
        "fit": frozenset(rest[:2]),
        "report": frozenset(sites[0::2]),
    }


def _read(path: str) -> Any:
    return json.loads((BENCH / path).read_text("utf-8"))["data"]


# ---------------------------------------------------------------- questions with their sentences


def tasks(part: str, limit: int | None = None) -> Iterator[Task]:
    """All questions of "train" or "fit" with their sentences; `limit` of each source, for tries."""
    for source in (company, policies, squad, foreign):
        for n, task in enumerate(source(part)):
            if limit is not None and n >= limit:
                break
            yield task


def squad(part: str) -> Iterator[Task]:
    """Answerable questions of v1.1 and unanswerable ones of v2, on the articles of `part`."""
    names = squad_parts()[part]
    pairs = [
        (d, q)
        for d, q in _articles("squad/dev-v1.1.reconstructed.json", "squad")
        if Path(d.uri).name in names
    ]
    system = data.index(f"reader-squad-{part}", [d for d, _ in pairs], SETTINGS)
    documents = {Path(d.uri).name: d for d, _ in pairs}
    asked: list[tuple[str, str, tuple[Span, ...]]] = [
        (q.text, Path(d.uri).name, q.answers) for d, some in pairs for q in some
    ]
    _, second = data.squad()
    asked += [(q.text, q.article, ()) for q in second if q.article in names and not q.answers]
    random.Random(data.SEED).shuffle(asked)
    for text, name, answers in asked:
        spans = [(a.start, a.end) for a in answers]
        kind = "answerable" if spans else "near-miss"
        gold = _gold(system, documents[name], spans)
        yield task_of(text, gold, system, SETTINGS, f"squad {kind}")


def policies(part: str) -> Iterator[Task]:
    """Questions on privacy policies, each on its site's own store."""
    names = policy_parts()[part]
    for document, questions in data.policyqa(10_000):
        if document.title not in names:
            continue
        system = data.index(f"policy-{document.title}", [document], SETTINGS)
        seen: dict[str, set[tuple[int, int]]] = {}
        for q in questions:  # the same wording stands at many paragraphs: all of them answer
            seen.setdefault(q.text, set()).update((a.start, a.end) for a in q.answers)
        for text, spans in seen.items():
            gold = _gold(system, document, sorted(spans))
            yield task_of(text, gold, system, SETTINGS, "policy")


def company(part: str) -> Iterator[Task]:
    """The sample company's training questions."""
    system = data.company(SETTINGS)
    for row in _company_rows(part):
        yield from company_task(row["question"], row["answer"], row["evidence"], system)


def _company_rows(part: str) -> list[dict[str, Any]]:
    rows = sorted(data.sample("train"), key=lambda row: data.digest(row["id"]))
    fifth = len(rows) // 5
    return rows[:fifth] if part == "fit" else rows[fifth:]


def company_questions(part: str) -> list[str]:
    """The company's own training questions of a part."""
    return [row["question"] for row in _company_rows(part) if row["kind"] != "style"]


def strangers(part: str) -> list[str]:
    """Questions on other subjects than a company's: SQuAD's of this part, and a bank's."""
    names = squad_parts()[part]
    asked = [
        q.text
        for d, some in _articles("squad/dev-v1.1.reconstructed.json", "squad")
        if Path(d.uri).name in names
        for q in some
    ]
    rng = random.Random(data.SEED)
    return rng.sample(asked, 75) + rng.sample(_bank_questions(), 75)


def company_task(
    question: str, answer: str, gold: Sequence[dict[str, str]], system: System
) -> Iterator[Task]:
    """A question of a company whose evidence quotes stand in `system`."""
    found: dict[str, tuple[Document, list[tuple[int, int]]]] = {}
    for item in gold:
        uri = f"company/{item['document']}"
        document = system.store.get(uri)
        assert document is not None, uri
        span = quoted(item["quote"], document.text)
        if span is not None:
            found.setdefault(uri, (document, []))[1].append(span)
    if found:
        yield task_of(question, list(found.values()), system, SETTINGS, "company", answer)


def _gold(
    system: System, document: Document, spans: list[tuple[int, int]]
) -> list[tuple[Document, list[tuple[int, int]]]]:
    stored = system.store.get(document.uri)
    assert stored is not None
    assert stored.text == document.text
    return [(stored, spans)] if spans else []


def foreign(part: str) -> Iterator[Task]:
    """Questions that have nothing to do with the store that they are asked of."""
    rng = random.Random(data.SEED)
    count = 500 if part == "train" else 150
    squads = squad_parts()[part]
    articles = [
        (d, q)
        for d, q in _articles("squad/dev-v1.1.reconstructed.json", "squad")
        if Path(d.uri).name in squads
    ]
    questions = [q.text for _, some in articles for q in some]
    bank = _bank_questions()
    own = [row["question"] for row in data.sample("train")]
    at = data.company(SETTINGS)
    of_squad = data.index(f"reader-squad-{part}", [d for d, _ in articles], SETTINGS)
    for text in rng.sample(questions, count) + rng.sample(bank, count // 2):
        yield task_of(text, [], at, SETTINGS, "foreign")
    for text in rng.sample(own, min(len(own), count // 2)) + rng.sample(bank, count // 2):
        yield task_of(text, [], of_squad, SETTINGS, "foreign")
    sites = policy_parts()[part]
    for document, _ in data.policyqa(1):
        if document.title in sites:
            system = data.index(f"policy-{document.title}", [document], SETTINGS)
            for text in rng.sample(questions, count // 20) + rng.sample(own, count // 20):
                yield task_of(text, [], system, SETTINGS, "foreign")


def _bank_questions() -> list[str]:
    import csv

    with (BENCH / "banking77" / "train.csv").open(encoding="utf-8", newline="") as lines:
        return [row["text"] for row in csv.DictReader(lines)]


# ---------------------------------------------------------------- kept between runs


def stored(part: str, limit: int | None = None) -> list[Task]:
    """`tasks(part)`, read from the work folder where a run before has left them."""
    path = data.WORK / f"reader-{part}{'' if limit is None else f'-{limit}'}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        with temporary.open("w", encoding="utf-8") as out:
            for task in tasks(part, limit):
                out.write(json.dumps(asdict(task), ensure_ascii=False) + "\n")
                out.flush()
        temporary.rename(path)
    return load(path)


def load(path: Path) -> list[Task]:
    """The tasks of a file that `stored` wrote; a line that is cut off ends it."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break
        found.append(Task(row["question"], row["kind"], tuple(Pair(**p) for p in row["pairs"])))
    return found
