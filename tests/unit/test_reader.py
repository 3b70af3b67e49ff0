"""The reader: pairs as tokens, its graph, its delta, and what evidence makes of readings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune import evidence, support
from ragtune.config import Settings
from ragtune.errors import ConfigError, WeightsError
from ragtune.ingest.parse.markdown import read_markdown
from ragtune.models import minilm
from ragtune.models import reader as serving
from ragtune.models.fakes import HashEmbedder, WordReader
from ragtune.protocols import Reading, System
from ragtune.tune import reader_batches
from ragtune.tune import reader_train as training
from ragtune.tune.reader import answering_words, quoted
from ragtune.tune.reader_batches import Pair, ReaderSettings, Task
from ragtune.types import Document, Hit, Passage, Place

WORDS = [
    "hotel",
    "costs",
    "up",
    "to",
    "115",
    "eur",
    "a",
    "night",
    "how",
    "much",
    "travel",
    "?",
    ">",
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    names = ["[UNK]"] * 1 + [f"[unused{n}]" for n in range(100)] + ["[CLS]", "[SEP]"] + WORDS
    made = Tokenizer(models.WordLevel({w: n for n, w in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    """Random weights of MiniLM's form, with few words and a narrow middle."""
    rng = np.random.default_rng(1)

    def some(*shape: int) -> Any:
        return rng.normal(0, 0.05, shape).astype(np.float32)

    def norm(name: str) -> dict[str, Any]:
        return {f"{name}.weight": 1 + some(384), f"{name}.bias": some(384)}

    made = {
        "embeddings.word_embeddings.weight": some(103 + len(WORDS), 384),
        "embeddings.position_embeddings.weight": some(256, 384),
        "embeddings.token_type_embeddings.weight": some(2, 384),
        **norm("embeddings.LayerNorm"),
    }
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        shapes = {
            **{f"attention.self.{part}": (384, 384) for part in ("query", "key", "value")},
            "attention.output.dense": (384, 384),
            "intermediate.dense": (48, 384),
            "output.dense": (384, 48),
        }
        for name, shape in shapes.items():
            made[f"{at}.{name}.weight"] = some(*shape)
            made[f"{at}.{name}.bias"] = some(shape[0])
        made |= norm(f"{at}.attention.output.LayerNorm") | norm(f"{at}.output.LayerNorm")
    return made


def heads() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    return {
        name: rng.normal(0, 0.1, 1 if name == "support.bias" else 384).astype(np.float32)
        for name in serving.HEADS
    }


TEXT = st.lists(st.sampled_from([*WORDS, "unknown", "é\ud800", "\t"]), max_size=120).map(" ".join)


@given(TEXT, TEXT, TEXT, TEXT)
@settings(max_examples=60, deadline=None)
def test_a_pair_fits_and_its_spans_are_the_text(
    tokenizer: Any, question: str, heading: str, before: str, line: str
) -> None:
    pair = serving.encode(tokenizer, question, f"{heading}\n{before}\n{line}")
    assert len(pair.ids) == len(pair.types) <= serving.MAX_TOKENS
    assert pair.first + len(pair.spans) + 1 == len(pair.ids)
    assert pair.types == (0,) * pair.first + (1,) * (len(pair.spans) + 1)
    words = [line[start:end] for start, end in pair.spans]
    assert words == line.split()[: len(words)] or "?" in line or ">" in line or "\ud800" in line
    assert all(0 <= start < end <= len(line) for start, end in pair.spans)


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_the_best_span_is_the_best(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts, ends = rng.normal(size=(2, count)).astype(np.float32)
    best = serving.best_span(starts, ends)
    if best is None:
        assert count == 0
        return
    spans = [(i, j) for i in range(count) for j in range(i, min(i + serving.PHRASE, count))]
    assert best in spans
    assert starts[best[0]] + ends[best[1]] == max(starts[i] + ends[j] for i, j in spans)


def test_graph_and_training_see_the_same(base: dict[str, Any], tokenizer: Any) -> None:
    import onnxruntime
    import torch

    tasks = [
        Task(
            "how much a night ?",
            "own",
            (
                Pair("travel\nhotel costs up to 115 eur a night", 1, 17, 24, 0),
                Pair("travel > hotel\nto", 0),
            ),
        )
    ]
    rng = random.Random(0)
    batch = reader_batches.batches(tasks, tokenizer, ReaderSettings(colloquial=0), rng)[0]
    arrays = reader_batches.arrays(batch)
    made = heads()
    weights = {n: torch.tensor(v) for n, v in base.items()}
    hidden = training.forward(weights, arrays)
    scores = training.scores(hidden, {n: torch.tensor(v) for n, v in made.items()}, arrays)
    model = minilm.graph_of(base, pairs=True).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = [serving.encode(tokenizer, tasks[0].question, pair.text) for pair in tasks[0].pairs]
    expected.sort(key=lambda pair: len(pair.ids))
    at = 0
    for number, pair in enumerate(expected):
        out = session.run(["tokens"], serving.feeds(pair))[0][0]
        mine = hidden[at : at + len(pair.ids)].numpy()
        np.testing.assert_allclose(out, mine, atol=2e-4)
        assert serving.reading(out, pair, made).score == pytest.approx(
            float(scores[number]), abs=1e-3
        )
        at += len(pair.ids)


def test_training_learns_and_repeats_itself(base: dict[str, Any], tokenizer: Any) -> None:
    yes = Pair("travel\nhotel costs up to 115 eur a night", 1, 17, 24, 0)
    no = Pair("travel\nto a night up", 0, rank=1)
    tasks = [Task("how much ?", "own", (yes, no))] * 12
    chosen = ReaderSettings(rate=1e-3, epochs=2, batch_tokens=120, off_topic=0, seed=3)
    steps: list[training.ReaderStep] = []
    now, learnt = training.train_reader(base, tasks, tokenizer, chosen, steps.append)
    again, same = training.train_reader(base, tasks, tokenizer, chosen)
    assert all(np.array_equal(now[name], again[name]) for name in now)
    assert all(np.array_equal(learnt[name], same[name]) for name in learnt)
    assert steps[-1].step == steps[-1].steps
    changed = {name for name in base if not np.array_equal(now[name], base[name])}
    assert changed
    assert all(int(name.split(".")[2]) >= chosen.frozen for name in changed)

    packed = serving.pack(base, now, learnt)
    whole = serving.apply(base, packed)
    for name in changed:
        step = np.abs(now[name] - base[name]).max()
        assert np.abs(whole[name] - now[name]).max() <= step / 127 + 1e-7, name


def test_a_delta_that_does_not_fit_is_refused(base: dict[str, Any], tmp_path: Path) -> None:
    packed = serving.pack(base, base, heads())
    assert set(packed) == set(serving.HEADS)  # nothing trained, nothing stored
    with pytest.raises(WeightsError, match="does not fit"):
        serving.apply(base, {**packed, "encoder.layer.9.output.dense.weight": np.ones((2, 2))})
    path = tmp_path / serving.DELTA
    path.write_bytes(b"not a delta")
    with pytest.raises(WeightsError, match="not a reader's delta"):
        serving.load_delta(path)
    serving.save_delta(path, {"start": heads()["start"]})
    with pytest.raises(WeightsError, match="is missing"):
        serving.load_delta(path)


def test_the_setting(tmp_path: Path) -> None:
    assert serving.load_reader(Settings(reader="off")) is None
    with pytest.raises(ConfigError, match="on, off, or a folder"):
        serving.load_reader(Settings(reader=str(tmp_path)))
    shipped = serving.load_reader(Settings(), tmp_path)
    serving.save_delta(tmp_path / serving.DELTA, serving.pack({}, {}, heads()))
    own = serving.load_reader(Settings(), tmp_path)
    named = serving.load_reader(Settings(reader=str(tmp_path)))
    assert shipped is not None
    assert own is not None
    assert named is not None
    assert shipped.delta == serving.shipped()
    assert own.name == named.name != shipped.name


# ---------------------------------------------------------------- evidence


class OneStore:
    def __init__(self, document: Document) -> None:
        self.document = document

    def get(self, uri: str) -> Document | None:
        return self.document if uri == self.document.uri else None


def select(question: str, text: str, reader: Any) -> tuple[Document, Any]:
    parsed = read_markdown(text, "a.md")
    document = Document(1, "a.md", parsed.title, parsed.text, "sha", parsed.map)
    passage = Passage(1, 1, 0, len(document.text), "A > B", document.text)
    hits = [Hit(passage, "a.md", document.title, Place(""), 1.0)]
    system: Any = System(OneStore(document), HashEmbedder(), None, reader=reader)  # type: ignore[arg-type]
    return document, evidence.select(question, hits, system, Settings())


MANUAL = """# Travel

Meals are paid by the company. Hotels are paid up to 115 EUR. The night train is free.

- Taxi: ask first.
- Bus: no need to ask.
"""


class Wants:
    """Answers with the sentence that holds a word, and marks that word."""

    name = "wants"

    def __init__(self, word: str) -> None:
        self.word = word
        self.texts: list[str] = []

    def read(self, question: str, texts: Sequence[str]) -> Sequence[Reading]:
        self.texts += texts
        found = []
        for text in texts:
            at = text.rpartition("\n")[2].find(self.word)
            found.append(Reading(5.0, at, at + len(self.word)) if at >= 0 else Reading(-5.0))
        return found


@pytest.mark.parametrize("word", ["Meals", "115 EUR", "night train", "no need"])
def test_the_reader_chooses_and_marks(word: str) -> None:
    reader = Wants(word)
    document, found = select("What is said of travel?", MANUAL, reader)
    key = found.sentences[0]
    assert document.text[key.phrase_start : key.phrase_end] == word
    span = found.quotes[0].span
    assert (span.phrase_start, span.phrase_end) == (key.phrase_start, key.phrase_end)
    assert all(s.phrase_end == 0 for s in found.sentences[1:])
    assert all(text.startswith("A > B\n") for text in reader.texts)
    assert any("\n- Taxi: ask first.\n- Bus: no" in t for t in reader.texts)


def test_support_grows_with_the_reading() -> None:
    _, sure = select("What is said of travel?", MANUAL, Wants("115"))
    _, unsure = select("What is said of travel?", MANUAL, Wants("nowhere"))
    assert sure.support > unsure.support


@pytest.mark.parametrize("name", [*support.NAMES, *support.READ])
def test_a_better_value_never_lowers_the_score(name: str) -> None:
    low = dict.fromkeys((*support.NAMES, *support.READ), 0.5)
    assert support.score({**low, name: 0.9}) >= support.score(low)


UNITS = st.lists(st.text("ab1 .?:-\nÄ\u2028", min_size=1, max_size=60), min_size=1, max_size=8)


@given(UNITS, st.text("ab1 ?", min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_phrases_lie_in_their_sentence(parts: list[str], question: str) -> None:
    document, found = select(question, "\n\n".join(parts), WordReader())
    spans = [*found.sentences, *(quote.span for quote in found.quotes)]
    for sentence in spans:
        assert document.text[sentence.start : sentence.end] == sentence.text
        if sentence.phrase_end:
            assert sentence.start <= sentence.phrase_start < sentence.phrase_end <= sentence.end
            inside = sentence.text[sentence.phrase_start - sentence.start :]
            assert inside.startswith(document.text[sentence.phrase_start : sentence.phrase_end])
    for quote in found.quotes:
        if quote.span.phrase_end:
            assert quote.key_start <= quote.span.phrase_start < quote.span.phrase_end
            assert quote.span.phrase_end <= quote.key_end


# ---------------------------------------------------------------- examples


@pytest.mark.parametrize(
    ("text", "answer", "question", "phrase"),
    [
        (
            "up to 115 EUR a night within the country and up to 145 EUR abroad",
            "Hello!\n115 EUR a night is the limit inside the country.",
            "how much can my hotel cost per night",
            "115 EUR",
        ),
        ("Claims older than 90 days lapse.", "After 90 days they lapse.", "when", "90 days"),
        ("Nothing in common.", "Hello!", "who", ""),
    ],
)
def test_the_words_that_an_answer_takes(text: str, answer: str, question: str, phrase: str) -> None:
    low, high = answering_words(text, answer, question)
    assert text[low:high].startswith(phrase)
    assert bool(text[low:high]) == bool(phrase)


def test_quotes_are_found_across_line_ends() -> None:
    assert quoted("two  words", "here: Two\nwords.") == (6, 15)
    assert quoted("no", "nothing") == (0, 2)
    assert quoted("absent", "nothing") is None


def test_said_otherwise_keeps_words_of_content() -> None:
    rng = random.Random(0)
    for _ in range(40):
        said = reader_batches.said_otherwise("How much does the night train cost?", rng)
        assert {"night", "train", "cost"} <= set(said.replace("?", "").split())


def test_off_topic_texts_are_never_answers(tokenizer: Any) -> None:
    pair = Pair("travel\nhotel costs", 1, 0, 5, 0)
    tasks = [Task(f"how {n}", "own", (pair,)) for n in range(20)]
    chosen = replace(ReaderSettings(), off_topic=1.0, epochs=1)
    for batch in reader_batches.batches(tasks, tokenizer, chosen, random.Random(0)):
        for group in batch:
            assert group[0].label == 1
            assert sum(item.label for item in group) == 1
