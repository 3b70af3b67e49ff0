"""The grounded adapter: what a small model writes from evidence, raw, verified, and quoted.

    python -m benchmarks.grounded --train          make it: `make grounded-adapter`
    python -m benchmarks.grounded                  the tables, into benchmarks/results/grounded.*

Trained on questions of SQuAD v2's fitting half of articles (`answering_data.halves`), each shown
with the sentence that this project's own retrieval and evidence find for it (the gold sentence
where they miss it) and the phrase that the reader marks in it, right or wrong. What is learned is
to say the answering phrase, and what limits it, and nothing else. Reported on the other half.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import answering_data as data
from benchmarks import machine
from benchmarks.answering import figure, plain, table
from benchmarks.retrieval_data import BENCH, held
from benchmarks.written import f1

import ragtune
from ragtune import cite, evidence, prompting, retrieve
from ragtune.config import Settings
from ragtune.models import adapters, weights
from ragtune.models.generate import EmbeddedGenerator
from ragtune.protocols import System
from ragtune.sentences import sentences
from ragtune.tune import grounded
from ragtune.types import Evidence, Example, Generation, Message, Sentence

RESULTS = Path(__file__).parent / "results"
SHIPPED = Path(ragtune.__file__).parent / "data" / "grounded"
SETTINGS = Settings()
TRAINED, HELD_OUT = 640, 40
LONGEST = 400  # characters of a fact in training
COUNT = 1  # facts in a prompt
RANK = 8
RAW = 60  # questions for the raw model, which writes long


@dataclass(frozen=True, slots=True)
class Row:
    """A question of SQuAD as the writing model gets it."""

    asked: data.Asked
    evidence: Evidence
    messages: tuple[Message, ...]
    answer: str
    retrieved: bool


def rows(questions: Sequence[data.Asked], system: System, gold: bool) -> list[Row]:
    """The questions with their evidence; with `gold`, the gold sentence where it was missed."""
    made: list[Row] = []
    for q in questions:
        if gold and len(made) == TRAINED + HELD_OUT:
            break
        hits = retrieve.search(q.text, system, SETTINGS)
        found = evidence.select(q.text, hits, system, SETTINGS)
        retrieved = any(
            s.uri == q.article and q.paragraph[0] <= s.start < q.paragraph[1]
            for s in found.sentences[:COUNT]
        )
        answer = ""
        if gold:
            span = _gold(q, system)
            if span is None:
                continue
            document = system.store.get(q.article)
            assert document is not None
            example = Example(q.text, document.text[span[0] : span[1]])
            found, _ = grounded.with_gold(
                example, found, [(document, *span)], system, SETTINGS, COUNT
            )
            fact = prompting.facts(found, COUNT)[0]
            answer = _answer(q, fact)
            if not answer or len(fact.text) > LONGEST:
                continue
        messages = cite.prompt(q.text, found, COUNT)
        made.append(Row(q, found, tuple(messages), answer, retrieved))
    return made


def _gold(q: data.Asked, system: System) -> tuple[int, int] | None:
    """The sentence of the gold paragraph that holds an answer."""
    document = system.store.get(q.article)
    if document is None:
        return None
    for start, end in sentences(document.text, *q.paragraph, document.map.blocks):
        if any(a in document.text[start:end] for a in q.answers):
            return start, end
    return None


def _answer(q: data.Asked, fact: Sentence) -> str:
    """The gold phrase as the fact has it, with what limits it: "Up to 115 EUR. [1]"."""
    held = [a for a in q.answers if a in fact.text]
    if not held:
        return ""
    # the answer that most people gave, the shorter of equals
    phrase = max(set(held), key=lambda a: (q.answers.count(a), -len(a)))
    at = fact.start + fact.text.index(phrase)
    said = prompting.phrase(replace(fact, phrase_start=at, phrase_end=at + len(phrase)))
    said = prompting.one_line(said)
    return f"{said[:1].upper()}{said[1:]}".rstrip(".") + ". [1]"


# ---------------------------------------------------------------- the recipe


def make(system: System, questions: Sequence[data.Asked], out: Path, threads: int) -> None:
    """Trains the adapter and puts it, with its passport, into `out`."""
    from ragtune.tune import base as bases
    from ragtune.tune import chat, export
    from ragtune.tune.steps import TuneSettings
    from ragtune.tune.train import train

    made = rows(questions, system, gold=True)
    training, heldout = made[HELD_OUT:], made[:HELD_OUT]
    base = bases.load(bases.locate(SETTINGS))
    encoded = [
        [chat.encode(row.messages, row.answer, base.tokenizer) for row in part]
        for part in (training, heldout)
    ]
    print(f"{len(training)} examples, {sum(len(e.ids) for e in encoded[0])} tokens", flush=True)
    settings = TuneSettings(
        rank=RANK, alpha=2 * RANK, epochs=1, learning_rate=4e-4, threads=threads
    )
    with tempfile.TemporaryDirectory() as folder:
        trained = train(base, encoded[0], encoded[1], settings, Path(folder), on_step=_show)
        parity = export.finish(Path(folder), base.path, base.model, encoded[1], threads)
        for name in ("adapter.gguf", "parity.json"):  # the gate has let them through
            shutil.copy(Path(folder) / name, out / name)
    digest = hashlib.sha256()
    for row in made:
        digest.update(repr((row.messages, row.answer)).encode())
    adapters.write_passport(
        out,
        adapters.Passport(
            name="grounded",
            mode="grounded",
            base=base.name,
            base_sha256=base.sha256,
            data_sha256=digest.hexdigest(),
            template_sha256=chat.template_sha256(base.tokenizer),
            sha256=hashlib.sha256((out / "adapter.gguf").read_bytes()).hexdigest(),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            seed=settings.seed,
            sentences=COUNT,
            settings=asdict(settings),
            versions={k: v for k, v in machine.describe("torch")["versions"].items() if v},
            split={"training": len(training), "held out": len(heldout)},
            curve=trained.curve,
            parity={k: float(v) for k, v in asdict(parity).items()},
            scores={
                "held-out loss before": trained.heldout_before or 0.0,
                "held-out loss": trained.heldout or 0.0,
                "share found by retrieval": sum(r.retrieved for r in made) / len(made),
            },
            notes=("SQuAD v2 dev, fitting half of articles: CC BY-SA 4.0, see LICENCE.md",),
        ),
    )


def _show(step: Any) -> None:
    speed = f"{step.tokens_per_second:.0f} tokens/s, {step.seconds_left or 0:.0f} s left"
    print(f"{step.step}/{step.total} loss {step.loss:.3f}, {speed}", flush=True)


# ---------------------------------------------------------------- figures


def measure(
    cases: Sequence[Row], model: EmbeddedGenerator, adapter: str | None, count: int
) -> dict[str, Any]:
    """What a model writes for the questions: raw, verified, and against the quotes."""
    found: list[dict[str, float]] = []
    for row in cases:
        q, shown = row.asked, row.evidence
        if not shown.sentences:
            continue
        began = time.perf_counter()
        stream = model.stream(cite.prompt(q.text, shown, count), Generation(96, adapter=adapter))
        raw = "".join(token.text for token in stream)
        seconds = time.perf_counter() - began
        verified = cite.verify(raw, shown, count)
        kept = bool(verified.text)
        text = verified.text or cite.quote(shown).text
        gold = [plain(a) for a in q.answers]
        quoted = plain(cite.quote(shown).text)
        values: dict[str, float] = {
            "raw: token F1": f1(_unmarked(raw), q.answers),
            "raw: contains the gold answer": any(g in plain(raw) for g in gold),
            "raw: words": len(_unmarked(raw).split()),
            "something written is supported": kept,
            "all that was written is supported": verified.status == "cited",
            "verified: contains the gold answer": any(g in plain(text) for g in gold),
            "verified: words": len(text.split()),
            "quotes: contain the gold answer": any(g in quoted for g in gold),
            "quotes: words": len(quoted.split()),
            "seconds": seconds,
        }
        if kept:
            values["kept: token F1"] = f1(_unmarked(verified.text), q.answers)
            values["kept: contains the gold answer"] = any(g in plain(text) for g in gold)
            if any(_inside(s, q) for s in shown.sentences[:10]):
                values["kept: cites the gold paragraph, where retrieved"] = all(
                    c.uri == q.article and q.paragraph[0] <= c.start < q.paragraph[1]
                    for c in verified.citations
                )
        marked = prompting.phrase(prompting.facts(shown, 1)[0])
        values["the marked phrase alone: token F1"] = f1(marked, q.answers)
        found.append(values)
    names = dict.fromkeys(name for values in found for name in values)
    return {name: figure(v[name] for v in found if name in v) for name in names}


def against_quotes(model: EmbeddedGenerator) -> dict[str, Any]:
    """Would a user rather have what the adapter writes, or the quotes?

    Two answers to each question, from the same evidence. Points without looking at which is which:
    more of what the gold answer needs wins; with as much of it, the shorter text, if by a quarter.
    """
    documents, pages = data.handbook()
    sets: dict[str, list[tuple[str, Callable[[str], float], Evidence]]] = {}
    company = data.company(SETTINGS)
    sets["sample company"] = [
        (row["question"], partial(_held_terms, row), _evidence(row["question"], company))
        for row in data.sample("heldout")
    ]
    handbook = data.index("handbook", documents, SETTINGS)
    sets["handbook"] = [
        (q.text, partial(_held_facts, q.facts), _evidence(q.text, handbook)) for q in pages
    ]
    results: dict[str, Any] = {}
    for name, asked in sets.items():
        rows: list[dict[str, float]] = []
        for question, score, shown in asked:
            if not shown.sentences:
                continue
            stream = model.stream(
                cite.prompt(question, shown, COUNT), Generation(96, adapter="grounded")
            )
            verified = cite.verify("".join(token.text for token in stream), shown, COUNT)
            quoted = cite.quote(shown).text
            texts = verified.text or quoted, quoted
            scores = score(texts[0]), score(texts[1])
            lengths = len(texts[0].split()), len(texts[1].split())
            rows.append(
                {
                    "written: held of what the gold answer needs": scores[0],
                    "quoted: held of what the gold answer needs": scores[1],
                    "written: words": lengths[0],
                    "quoted: words": lengths[1],
                    "written: something unsupported was taken out": bool(verified.dropped),
                    "written: falls back to the quotes": not verified.text,
                    "written wins": scores[0] > scores[1]
                    or (scores[0] == scores[1] > 0 and lengths[0] < 0.75 * lengths[1]),
                    "quoted wins": scores[1] > scores[0],
                }
            )
        results[name] = {key: figure(row[key] for row in rows) for key in rows[0]}
    return results


def _evidence(question: str, system: System) -> Evidence:
    hits = retrieve.search(question, system, SETTINGS)
    return evidence.select(question, hits, system, SETTINGS)


def _held_terms(row: dict[str, Any], text: str) -> float:
    """Of a gold answer and the terms that a complete one contains, the share that is held."""
    terms = [list(row["answers"]), *([term] for term in row["must_contain"])]
    return sum(any(plain(a) in plain(text) for a in term) for term in terms) / len(terms)


def _held_facts(facts: tuple[tuple[str, ...], ...], text: str) -> float:
    return held(facts, [text])


def _inside(sentence: Sentence, q: data.Asked) -> bool:
    return sentence.uri == q.article and q.paragraph[0] <= sentence.start < q.paragraph[1]


def _unmarked(text: str) -> str:
    return re.sub(r"\s*\[\d+\]", "", text)


def main() -> None:
    parser = argparse.ArgumentParser(description="The grounded adapter.")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not (BENCH / "squad").exists():
        print(f"skipped: no public data in {BENCH} (set RAGTUNE_BENCH)")
        return
    documents, questions = data.squad()
    fitted, reported = data.halves(documents)
    system = data.index("squad", documents, SETTINGS)
    if arguments.train:
        asked = [q for q in questions if q.answers and q.article in fitted]
        make(system, asked[: 2 * (TRAINED + HELD_OUT)], arguments.out, arguments.threads)
        return
    about = machine.describe()
    cases = rows(
        [q for q in questions if q.answers and q.article in reported][: arguments.questions],
        system,
        gold=False,
    )
    base = weights.locate(SETTINGS.model)
    path = next(base.glob("*.gguf")) if base.is_dir() else base
    model = EmbeddedGenerator(
        SETTINGS.model,
        lambda: path,
        2048,
        arguments.threads,
        {"grounded": adapters.adapter(arguments.out)},
    )
    results = {
        "the shipped adapter": measure(cases, model, "grounded", COUNT),
        "the raw model": measure(cases[:RAW], model, None, SETTINGS.evidence_sentences),
        "against the quotes": against_quotes(model),
    }
    lines = ["# The grounded adapter", "", *ABOUT, "", machine.markdown(about), ""]
    for name, values in results.items():
        lines += table(name, values)
    (RESULTS / "grounded.md").write_text("\n".join(lines) + "\n", "utf-8")
    (RESULTS / "grounded.json").write_text(
        json.dumps({"machine": about, **results}, indent=1) + "\n", "utf-8"
    )
    print("\n".join(lines))


ABOUT = [
    "`python -m benchmarks.grounded`: questions of SQuAD v2's reported half of articles, the whole",
    "corpus, this project's retrieval and evidence. Verified text falls back to the quotes where",
    "nothing that was written is supported. In brackets: 95% bootstrap interval, and the",
    "number of questions.",
]


if __name__ == "__main__":
    main()
