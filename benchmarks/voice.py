"""A company's voice: what tuning on the sample company's examples changes, and what it costs.

    python -m benchmarks.voice [--seeds 1] [--threads 1]      into benchmarks/results/voice.*

The sample company's training examples, as `ragtune tune --mode grounded` builds them, train an
adapter with default settings; its held-out questions are then answered through `ask` with the
documents, by the base and by the tuned model. Raw and verified text are scored apart. Style
adherence is by `tune/style.py` (its own accuracy beside it) and by the format rules of the
company (`sample/voice.json`). Facts are counted where the facts of the prompt hold one of the gold
answers, since what retrieval misses no voice can say. `--mode answers` does the same closed book.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import answering_data as data
from benchmarks import machine
from benchmarks.answering import figure, table

from ragtune import cite, evidence, prompting, retrieve, words
from ragtune.config import Settings
from ragtune.models.generate import EmbeddedGenerator
from ragtune.protocols import System
from ragtune.tune import base as bases
from ragtune.tune import chat, export, style
from ragtune.tune.grounded import GroundedExamples, fixed_lines, grounded_examples
from ragtune.tune.steps import TuneSettings
from ragtune.tune.train import train
from ragtune.types import Adapter, Evidence, Example, Generation, Gold, Message

RESULTS = Path(__file__).parent / "results"
SETTINGS = Settings()
VOICE = json.loads((data.SAMPLE / "voice.json").read_text("utf-8"))
STYLED = 40  # training questions that the base answers for the style classifier
LONGEST = 96  # tokens of an answer

Conversation = tuple[Sequence[Message], str]


def examples(name: str) -> list[Example]:
    """The sample company's rows as the library's examples."""
    return [
        Example(
            row["question"],
            row["answer"],
            row["id"],
            number,
            evidence=tuple(Gold(g["document"], g["quote"]) for g in row["evidence"]),
            kind=row["kind"],
            must_contain=tuple(row.get("must_contain", ())),
        )
        for number, row in enumerate(data.sample(name), 1)
    ]


def holds(text: str, golds: Sequence[str]) -> bool:
    """Whether a gold answer stands in the text as whole words, whatever their case."""
    return any(re.search(rf"(?<!\w){re.escape(g)}(?!\w)", text, re.IGNORECASE) for g in golds)


# ---------------------------------------------------------------- training


def tuned(
    base: bases.Base,
    rows: Sequence[Conversation],
    heldout: Sequence[Conversation],
    settings: TuneSettings,
    folder: Path,
) -> tuple[dict[str, Any], Path]:
    """Figures of one seed's training, and its adapter; one that was made before is used again."""
    mark = data.digest(repr((list(rows), settings, base.sha256)))
    made = folder / "made.json"
    adapter = folder / "adapter.gguf"
    if made.exists() and (found := json.loads(made.read_text("utf-8")))["mark"] == mark:
        return found["figures"], adapter
    encoded = [[chat.encode(m, a, base.tokenizer) for m, a in part] for part in (rows, heldout)]
    result = train(base, encoded[0], encoded[1], settings, folder)
    export.gguf_adapter(result.peft, base.path, adapter)
    figures: dict[str, Any] = {
        "steps": result.steps,
        "best step": result.best_step,
        "tokens": sum(len(e.ids) for e in encoded[0]) * settings.epochs,
        "tokens a second": result.tokens_per_second,
        "seconds": result.seconds,
        "held-out loss of the base": result.heldout_before,
        "held-out loss of the tuned model": result.heldout,
    }
    made.write_text(json.dumps({"mark": mark, "figures": figures}), "utf-8")
    return figures, adapter


# ---------------------------------------------------------------- answers


class Writer:
    """Answers of one model, remembered."""

    def __init__(self, base: Path, digest: str, adapter: Path | None, threads: int) -> None:
        adapters = {"tuned": Adapter("tuned", str(adapter), "grounded", digest)} if adapter else {}
        self._model = EmbeddedGenerator("m", lambda: base, 2048, threads, adapters)
        self._name = None if adapter is None else "tuned"

    def __call__(self, messages: Sequence[Message]) -> str:
        generation = Generation(LONGEST, adapter=self._name)
        return "".join(token.text for token in self._model.stream(messages, generation))


def without_tuning(asked: Sequence[Example], write: Writer, kept: Path) -> dict[str, str]:
    """The base's closed-book answers by question; those in the file `kept` are not made again."""
    known: dict[str, str] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    for number, example in enumerate(asked):
        if example.question not in known:
            known[example.question] = write(cite.closed_book(example.question))
            if number % 10 == 9 or example is asked[-1]:
                kept.write_text(json.dumps(known), "utf-8")
    return known


def found(question: str, system: System) -> Evidence:
    """The evidence that `ask` has for a question."""
    hits = retrieve.search(question, system, SETTINGS)
    return evidence.select(question, hits, system, SETTINGS)


def with_documents(
    asked: Sequence[tuple[dict[str, Any], Evidence]], write: Writer, fixed: Sequence[str]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Figures, raw and verified texts of a model that is given one fact a question."""
    scores: list[dict[str, float]] = []
    raws, texts = [], []
    for row, shown in asked:
        raw = write(cite.prompt(row["question"], shown, 1))
        verified = cite.verify(raw, shown, 1, fixed)
        text = verified.text or cite.quote(shown).text
        raws.append(raw)
        texts.append(text)
        fact = prompting.facts(shown, 1)[0]
        gold = {g["document"] for g in row["evidence"]}
        held = holds(fact.text, row["answers"])
        known = {*words.numbers(f"{prompting.context(fact)} {fact.text}"), *map(str, range(1, 8))}
        marked = prompting.phrase(fact)
        score: dict[str, float] = {
            "raw: a number that the fact does not hold": not known.issuperset(words.numbers(raw)),
            "raw: says the marked words": bool(marked) and cite.holds(raw, marked),
            "the fact shown holds the gold answer": held,
            "raw: the company's format": bool(re.search(VOICE["format"]["full"], raw)),
            "verified: the company's format": bool(re.search(VOICE["format"]["full"], text)),
            "all that was written is supported": verified.status == "cited",
            "a claim was taken out": bool(verified.dropped),
            "the quote took its place": verified.quoted > 0 or not verified.text,
            "words, verified": len(text.split()),
        }
        if held:
            score["raw: gold answer in it, where shown"] = holds(raw, row["answers"])
            score["verified: gold answer in it, where shown"] = holds(text, row["answers"])
            kept = verified.quoted == 0 and bool(verified.text)
            if kept:
                score["not replaced: gold answer in it, where shown"] = holds(text, row["answers"])
            cited = verified.citations
            if cited:
                score["citations of a gold document, where shown"] = all(
                    any(c.uri == d or c.uri.endswith(f"/{d}") for d in gold) for c in cited
                )
        scores.append(score)
    names = dict.fromkeys(name for score in scores for name in score)
    return (
        {name: figure(s[name] for s in scores if name in s) for name in names},
        raws,
        texts,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What tuning on a company's examples changes.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=TuneSettings().epochs)
    parser.add_argument("--batch", type=int, default=TuneSettings().batch)
    parser.add_argument("--mode", choices=("grounded", "answers"), default="grounded")
    arguments = parser.parse_args()
    work = data.WORK / "voice"
    work.mkdir(parents=True, exist_ok=True)
    about = machine.describe("torch", "transformers", "peft")
    system = data.company(SETTINGS)
    training, heldout = examples("train"), examples("heldout")
    base = bases.load(bases.locate(SETTINGS))
    conversations, held_out, fixed, counts = prepared(arguments.mode, training, heldout, system)
    asked = [(row, found(row["question"], system)) for row in data.sample("heldout")]

    plain = Writer(base.path, base.sha256, None, arguments.threads)
    by_base = without_tuning([*training[:STYLED], *heldout], plain, work / "base.json")
    classifier = style.train(
        [e.answer for e in training[:STYLED]], [by_base[e.question] for e in training[:STYLED]]
    )
    unseen = [e.answer for e in heldout], [by_base[e.question] for e in heldout]
    right = classifier.adherence(unseen[0]), 1 - classifier.adherence(unseen[1])
    results: dict[str, Any] = {
        "examples": counts,
        "style classifier": {
            "accuracy on held-out answers of company and base": sum(right) / 2,
            "accuracy within the training questions": classifier.accuracy,
        },
        "base, no documents": {
            "style adherence": classifier.adherence([by_base[e.question] for e in heldout]),
            "the company's format": formatted([by_base[e.question] for e in heldout]),
        },
    }
    if arguments.mode == "grounded":
        figures, raws, texts = with_documents(asked[:STYLED], plain, ())
        figures["raw: style adherence"] = classifier.adherence(raws)
        figures["verified: style adherence"] = classifier.adherence(texts)
        results["base, documents"] = figures
    for seed in range(arguments.seeds):
        settings = TuneSettings(
            seed=seed, threads=arguments.threads, epochs=arguments.epochs, batch=arguments.batch
        )
        folder = work / f"{arguments.mode}-{seed}"
        values, adapter = tuned(base, conversations, held_out, settings, folder)
        write = Writer(base.path, base.sha256, adapter, arguments.threads)
        if arguments.mode == "answers":
            without = [write(cite.closed_book(e.question)) for e in heldout]
            values["no documents: style adherence"] = classifier.adherence(without)
            values["no documents: the company's format"] = formatted(without)
        else:
            figures, raws, texts = with_documents(asked, write, fixed)
            values |= figures
            values["raw: style adherence"] = classifier.adherence(raws)
            values["verified: style adherence"] = classifier.adherence(texts)
            (folder / "answers.json").write_text(
                json.dumps(
                    [
                        {"question": row["question"], "raw": raw, "text": text, "gold": row}
                        for (row, _), raw, text in zip(asked, raws, texts, strict=True)
                    ],
                    indent=1,
                    ensure_ascii=False,
                ),
                "utf-8",
            )
        results[f"tuned, seed {seed}"] = values
        report(about, results, arguments.mode)


def prepared(
    mode: str, training: Sequence[Example], heldout: Sequence[Example], system: System
) -> tuple[list[Conversation], list[Conversation], tuple[str, ...], dict[str, Any]]:
    """What is trained on, what the loss is measured on, the form, and how many were left out."""
    if mode == "answers":
        return (
            closed(training),
            closed(heldout),
            fixed_lines(training),
            {"trained on": len(training)},
        )
    built: GroundedExamples = grounded_examples(training, system, SETTINGS)
    test = grounded_examples(heldout, system, SETTINGS, fixed=built.fixed)
    counts: dict[str, Any] = {
        "trained on": len(built.rows),
        "found by the workspace's own retrieval": built.retrieved,
        "all that the company says is supported by the fact shown": sum(
            cite.verify(r.example.answer, r.evidence, 1, built.fixed).dropped == ()
            for r in built.rows
        ),
        "some of it is": sum(
            cite.verify(r.example.answer, r.evidence, 1, built.fixed).quoted == 0
            for r in built.rows
        ),
        **{f"left out: {name}": n for name, n in built.left_out.items()},
    }
    return (
        [(row.messages, row.answer) for row in built.rows],
        [(row.messages, row.answer) for row in test.rows],
        built.fixed,
        counts,
    )


def closed(part: Sequence[Example]) -> list[Conversation]:
    """The examples without documents."""
    return [(cite.closed_book(e.question), e.answer) for e in part]


def formatted(texts: Sequence[str]) -> float:
    """The share of texts in the company's format."""
    return sum(bool(re.search(VOICE["format"]["full"], text)) for text in texts) / len(texts)


def report(about: dict[str, Any], results: dict[str, Any], mode: str) -> None:
    """Both result files of a mode."""
    name = "voice" if mode == "grounded" else "voice-answers"
    lines = [f"# The company's voice ({mode})", "", f"`python -m benchmarks.voice --mode {mode}`."]
    lines += ["", machine.markdown(about), ""]
    for part, values in results.items():
        lines += table(part, values)
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n", "utf-8")
    document = json.dumps({"machine": about, **results}, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(document, "utf-8")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
