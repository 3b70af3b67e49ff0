"""The shipped reader on the sample company, and a company's own made from its examples."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from ragtune import workspace
from ragtune.calibrate import read_jsonl
from ragtune.models import reader as serving
from ragtune.models import runtime, weights
from ragtune.tune import reader as tuning
from ragtune.tune import reader_batches
from ragtune.tune import reader_train as training
from ragtune.tune.reader_batches import Pair, ReaderSettings, Task
from ragtune.types import Example, Gold
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration
SAMPLE = Path(str(files("ragtune"))) / "sample"

PAIRS = [
    (
        "Who approves an order of 20,000 EUR?",
        "Orders above 15,000 EUR are approved by the head.",
        1,
    ),
    ("Who approves an order of 20,000 EUR?", "Price counts for 50 per cent of the choice.", 0),
    ("What did Ada Lovelace publish?", "Ada Lovelace published the first algorithm in 1843.", 1),
    ("What did Ada Lovelace publish?", "The engine was designed by Charles Babbage.", 0),
    (
        "when does the shop open on saturday",
        "Saturdays: 9:00 to 13:00, closed on public holidays.",
        1,
    ),
    ("when does the shop open on saturday", "The shop was founded in 1987 by two sisters.", 0),
    ("How tall is the tower?", "At 310 metres, the tower is the tallest building of the city.", 1),
    ("How tall is the tower?", "The tower was painted red when it was first opened.", 0),
]


@pytest.fixture(scope="module")
def reader() -> serving.OnnxReader:
    return serving.OnnxReader(serving.shipped())


def test_what_answers_scores_higher(reader: serving.OnnxReader) -> None:
    for (question, yes, _), (_, no, _) in zip(PAIRS[::2], PAIRS[1::2], strict=True):
        better, worse = reader.read(question, [f"Page\n{yes}", f"Page\n{no}"])
        assert better.score > worse.score + 1, question
        assert 0 <= better.start < better.end <= len(yes)


def test_phrases_answer(reader: serving.OnnxReader) -> None:
    for (question, text, _), phrase in zip(
        PAIRS[::2], ("head", "algorithm", "9:00", "310 metres"), strict=True
    ):
        found = reader.read(question, [f"Page\n{text}"])[0]
        assert phrase in text[found.start : found.end], question


def test_a_reading_depends_on_its_pair_only(reader: serving.OnnxReader) -> None:
    question = PAIRS[0][0]
    texts = [f"Page\n{text}" for _, text, _ in PAIRS]
    together = reader.read(question, texts)
    assert list(together) == [reader.read(question, [text])[0] for text in texts]


def test_int8_is_near_what_was_trained(reader: serving.OnnxReader) -> None:
    import torch
    from safetensors.numpy import load_file

    source = weights.obtain(weights.MINILM.name)
    tokenizer = runtime.tokenizer(source / "tokenizer.json")
    packed = serving.load_delta(serving.shipped())
    whole = serving.apply(load_file(source / "model.safetensors"), packed)
    trained = {n: torch.tensor(v) for n, v in whole.items() if not n.endswith("position_ids")}
    heads = {n: torch.tensor(packed[n]) for n in serving.HEADS}
    tasks = [Task(q, "t", (Pair(f"Page\n{t}", y),)) for q, t, y in PAIRS]
    mine, ours = [], []
    for task in tasks:
        chosen = ReaderSettings(epochs=1, colloquial=0, off_topic=0)
        (batch,) = reader_batches.batches([task], tokenizer, chosen, random.Random(0))
        flat = reader_batches.arrays(batch)
        mine.append(float(training.scores(training.forward(trained, flat), heads, flat)))
        ours.append(reader.read(task.question, [task.pairs[0].text])[0].score)
    assert np.abs(np.array(mine) - np.array(ours)).mean() < 0.5
    assert np.corrcoef(mine, ours)[0, 1] > 0.98


def test_answers_of_the_company_are_marked(company: Workspace) -> None:
    marked = right = 0
    for row in read_jsonl(SAMPLE / "heldout.jsonl")[::4]:
        answer = company.ask(row["question"])
        for citation in answer.citations:
            low, high = citation.phrase_start - citation.start, citation.phrase_end - citation.start
            if high <= low:
                continue
            marked += 1
            assert citation.key_start <= citation.phrase_start
            assert citation.phrase_end <= citation.key_end
            document = company.document(citation.uri)
            phrase = document.text[citation.phrase_start : citation.phrase_end]
            assert citation.quote[low:high] == phrase
        right += any(
            c.quote[c.phrase_start - c.start : c.phrase_end - c.start] for c in answer.citations
        )
    assert marked
    assert right


def test_without_it_the_path_is_the_same_as_before(company: Workspace) -> None:
    with workspace.open(company.root, {"reader": "off"}) as plain:
        assert plain.system.reader is None
        answer = plain.ask("What does a hotel night cost at most?")
        assert all(c.phrase_end == 0 for c in answer.citations)


def test_a_company_teaches_its_own(own_company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [json.loads(x) for x in (SAMPLE / "train.jsonl").read_text("utf-8").splitlines()]
    examples = [
        Example(
            row["question"],
            row["answer"],
            evidence=tuple(Gold(e["document"], e["quote"]) for e in row["evidence"]),
        )
        for row in rows[:30]
    ]
    monkeypatch.setattr(tuning, "OWN", replace(tuning.OWN, epochs=0.5))
    folder = own_company.root / ".ragtune" / "reader"
    report = tuning.tune_reader(examples, own_company.system, own_company.settings, folder)
    assert report.trained + report.heldout + report.missing == 30
    assert report.kept == (report.after >= report.before)
    assert (folder / serving.DELTA).exists() == report.kept
    assert not list(folder.glob("new*"))
    if report.kept:
        own_company.close()
        assert own_company.system.reader is not None
        assert own_company.system.reader.name != serving.OnnxReader(serving.shipped()).name
        assert own_company.ask(rows[0]["question"]).citations
