"""The router on BANKING77: accuracy, calibration, what is out of scope, speed; beside two peers.

    python -m benchmarks.router                every table, into benchmarks/results/router.*
    python -m benchmarks.router --setfit DIR   adds SetFit's figures, written by router_setfit.py

Shots are drawn from the training file by seed; nothing was chosen by the test file. Out of scope
without published data: every fifth intent of BANKING77 is left out of training (near), and
questions of SQuAD and PolicyQA stand for another world (far). The peer TF-IDF + logistic
regression is scikit-learn's, words and character n-grams, in the same run.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import machine
from benchmarks.retrieval_data import BENCH
from numpy.typing import NDArray

from ragtune.models.router import OnnxRouter
from ragtune.route import graph, head
from ragtune.route.questions import Question
from ragtune.route.train import _as_words, read, train

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
SHOTS: tuple[int | None, ...] = (5, 10, None)
FAR = 500  # questions of each other data set

Floats = NDArray[np.float32]
Rows = tuple[Floats, Floats]


def banking(split: str) -> list[Question]:
    with (BENCH / "banking77" / f"{split}.csv").open(encoding="utf-8") as stream:
        return [Question(row["text"], row["category"]) for row in csv.DictReader(stream)]


def far() -> dict[str, list[str]]:
    """Questions from other worlds, by data set."""
    rng = np.random.default_rng(0)
    found = {}
    for name, file in (
        ("SQuAD", "squad/dev-v2.0.reconstructed.json"),
        ("PolicyQA", "policyqa/dev.json"),
    ):
        data = json.loads((BENCH / file).read_text("utf-8"))["data"]
        texts = sorted(
            {q["question"].strip() for a in data for p in a["paragraphs"] for q in p["qas"]}
        )
        found[name] = [texts[i] for i in rng.permutation(len(texts))[:FAR]]
    return found


def draw(labels: NDArray[np.int64], shots: int | None, seed: int) -> NDArray[np.int64]:
    """Rows of a training set with `shots` of each intent."""
    if shots is None:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == n))[:shots] for n in range(labels.max() + 1)]
    return np.concatenate(rows)


class Data:
    """BANKING77 read once by a trunk."""

    def __init__(self, variant: graph.Variant, cache: Path | None = None) -> None:
        self.cache = cache
        self.trunk = graph.trunk(variant)
        self.train, self.test = banking("train"), banking("test")
        self.names = sorted({q.intent for q in self.train})
        self.labels = np.array([self.names.index(q.intent) for q in self.train], np.int64)
        self.truth = np.array([self.names.index(q.intent) for q in self.test], np.int64)
        self.read_train = self.read([q.text for q in self.train])
        self.read_test = self.read([q.text for q in self.test])
        self.read_names = self.read([_as_words(name) for name in self.names])
        self.read_far = {name: self.read(texts) for name, texts in far().items()}

    def read(self, texts: list[str]) -> Rows:
        key = "\n".join([self.trunk.name, *texts]).encode()
        name = f"{hashlib.sha256(key).hexdigest()[:16]}.npz"
        if self.cache is not None and (self.cache / name).exists():
            with np.load(self.cache / name) as kept:
                return kept["features"], kept["embeddings"]
        features, embeddings = read(self.trunk, texts, threads=1)
        if self.cache is not None:
            self.cache.mkdir(parents=True, exist_ok=True)
            np.savez(self.cache / name, features=features, embeddings=embeddings)
        return features, embeddings

    def fit(self, rows: NDArray[np.int64], intents: NDArray[np.int64]) -> head.Head:
        """A head from training rows; `intents` are the numbers in use, renumbered from 0."""
        number = {int(n): i for i, n in enumerate(intents)}
        parts = [
            np.concatenate([x[rows], y[intents]])
            for x, y in zip(self.read_train, self.read_names, strict=True)
        ]
        labels = [number[int(n)] for n in self.labels[rows]] + list(range(len(intents)))
        always = np.arange(len(labels)) >= len(rows)
        return head.fit(parts[0], parts[1], np.array(labels, np.int64), always)


def judged(learned: head.Head, rows: Rows) -> tuple[Floats, Floats]:
    """Probabilities and scores."""
    linear = head.log_softmax(np.asarray(rows[0] @ learned.weights + learned.bias, np.float32))
    near = head.nearest(rows[1], learned.examples, learned.intents, len(learned.bias))
    chances = np.exp(head.log_softmax(head.logits(linear, near, learned.mix)))
    return chances, head.scores(linear, near, learned.mix, learned.typical)


def accuracy(data: Data, shots: int | None) -> list[dict[str, float]]:
    found = []
    for seed in SEEDS if shots else SEEDS[:1]:
        started = time.process_time()
        learned = data.fit(draw(data.labels, shots, seed), np.arange(len(data.names)))
        seconds = time.process_time() - started
        chances, scores = judged(learned, data.read_test)
        right = chances.argmax(1) == data.truth
        linear = (data.read_test[0] @ learned.weights + learned.bias).argmax(1) == data.truth
        row = {
            "seed": seed,
            "accuracy": float(right.mean()),
            "linear alone": float(linear.mean()),
            "routed": float((right & (scores >= learned.threshold)).mean()),
            "calibration error": head.calibration_error(chances.max(1), right),
            "head, CPU s": seconds,
        }
        for name, rows in data.read_far.items():
            row[f"{name} caught"] = float((judged(learned, rows)[1] < learned.threshold).mean())
        found.append(row)
    return found


def left_out(data: Data) -> list[dict[str, float]]:
    """A fifth of the intents unknown in turn; 100 training questions an intent at most."""
    found = []
    for part in range(3):
        unknown = np.arange(len(data.names)) % 5 == part
        kept = np.flatnonzero(~unknown)
        rows = draw(data.labels, 100, part)
        learned = data.fit(rows[~unknown[data.labels[rows]]], kept)
        chances, scores = judged(learned, data.read_test)
        inside = ~unknown[data.truth]
        right = kept[chances.argmax(1)] == data.truth
        known = scores >= learned.threshold
        row = {
            "part": part,
            "likeliest right": float(right[inside].mean()),
            "routed right": float((right & known)[inside].mean()),
            "left-out intents caught": float((~known)[~inside].mean()),
        }
        for name, others in data.read_far.items():
            row[f"{name} caught"] = float((judged(learned, others)[1] < learned.threshold).mean())
        found.append(row)
    return found


def tfidf(shots: int | None) -> list[dict[str, float]]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    train_set, test_set = banking("train"), banking("test")
    names = sorted({q.intent for q in train_set})
    labels = np.array([names.index(q.intent) for q in train_set], np.int64)
    truth = np.array([names.index(q.intent) for q in test_set], np.int64)
    found = []
    for seed in SEEDS if shots else SEEDS[:1]:
        rows = draw(labels, shots, seed)
        model = make_pipeline(
            make_union(
                TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
                TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
            ),
            LogisticRegression(C=30, max_iter=100),
        )
        started = time.process_time()
        model.fit([train_set[i].text for i in rows], labels[rows])
        seconds = time.process_time() - started
        chances = model.predict_proba([q.text for q in test_set])
        right = chances.argmax(1) == truth
        error = head.calibration_error(chances.max(1).astype(np.float32), right)
        found.append({"seed": seed, "accuracy": float(right.mean()), "calibration error": error,
                      "head, CPU s": seconds})  # fmt: skip
    return found


def whole(variant: graph.Variant) -> dict[str, float]:
    """Through `train` and the written file: times, size, accuracy on a part of the test file."""
    questions, test = banking("train"), banking("test")
    with tempfile.TemporaryDirectory() as folder:
        cpu = time.process_time()
        made = train(questions, Path(folder), variant, threads=1)
        cpu = time.process_time() - cpu
        started = time.perf_counter()
        router = OnnxRouter(made.folder)
        router.judge("How do I start?")
        load = time.perf_counter() - started
        right, walls, cpus = 0, [], []
        part = test[::3]
        for question in part:
            wall, own = time.perf_counter(), time.thread_time()
            judgement = router.judge(question.text)
            cpus.append(time.thread_time() - own)
            walls.append(time.perf_counter() - wall)
            right += judgement.intents[0][0] == question.intent
        return {
            "training, wall s": made.seconds,
            "training, CPU s": cpu,
            "router.onnx, MB": made.size / 1e6,
            "load, s": load,
            "question p50, ms": float(np.median(walls)) * 1e3,
            "question p50, CPU ms": float(np.median(cpus)) * 1e3,
            "question p95, ms": float(np.quantile(walls, 0.95)) * 1e3,
            "load average": os.getloadavg()[0],
            "accuracy of the file": right / len(part),
        }


def mean(rows: list[dict[str, float]], key: str) -> str:
    values = [row[key] for row in rows if key in row]
    if not values:
        return "–"
    if key.endswith(" s"):
        return f"{np.mean(values):.1f}"
    if key == "calibration error":
        return f"{np.mean(values):.3f}"
    spread = f" ({100 * min(values):.1f}–{100 * max(values):.1f})" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.2f}{spread}"


def table(title: str, rows: dict[str, list[dict[str, float]]], keys: list[str]) -> list[str]:
    text = ["", f"## {title}", "", "| | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    return text + [
        f"| {name} | " + " | ".join(mean(r, k) for k in keys) + " |" for name, r in rows.items()
    ]


def label(shots: int | None) -> str:
    return f"{shots} shots" if shots else "full"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--part", choices=("full", "small", "tfidf", "page"), help="Only this.")
    parser.add_argument("--setfit", type=Path, help="JSON written by benchmarks/router_setfit.py")
    parser.add_argument("--cache", type=Path, help="Folder that keeps what the trunks read.")
    options = parser.parse_args()
    if not (BENCH / "banking77").is_dir():
        raise SystemExit(f"no BANKING77 in {BENCH}: set RAGTUNE_BENCH")
    path = RESULTS / "router.json"
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    shown: dict[str, Any] = results.setdefault("accuracy", {})

    def keep() -> None:
        path.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        (RESULTS / "router.md").write_text(page(results), "utf-8")
        print(
            time.strftime("%H:%M:%S"),
            {k: mean(v, "accuracy") for k, v in shown.items()},
            flush=True,
        )

    variants: tuple[graph.Variant, ...] = ("full", "small")
    for variant in variants:
        if options.part in (None, variant):
            results["about"] = machine.describe("onnx", "scikit-learn")
            data = Data(variant, options.cache)
            for shots in SHOTS:
                shown[f"{variant}, {label(shots)}"] = accuracy(data, shots)
                keep()
            results[f"left out, {variant}"] = left_out(data)
            keep()
            results[f"whole, {variant}"] = whole(variant)
            keep()
    if options.part in (None, "tfidf"):
        for shots in SHOTS:
            shown[f"TF-IDF + LR, {label(shots)}"] = tfidf(shots)
            keep()
    if options.setfit:
        for name, rows in json.loads(options.setfit.read_text("utf-8")).items():
            shown[f"SetFit, {name}"] = rows
    keep()


def page(results: dict[str, Any]) -> str:
    text = [
        "# Router",
        "",
        *(__doc__ or "").strip().splitlines()[4:],
        "",
        machine.markdown(results["about"]),
    ]
    keys = ["accuracy", "linear alone", "routed", "calibration error", "SQuAD caught",
            "PolicyQA caught", "head, CPU s"]  # fmt: skip
    text += table("BANKING77, test", results["accuracy"], keys)
    text += [
        "",
        "Mean over seeds (lowest–highest). `accuracy`: likeliest intent; `routed`: right and",
    ]
    text += ["not sent the safe way; `linear alone`: without the nearest examples."]
    left = {name.split(", ")[1]: rows for name, rows in results.items() if name.startswith("left")}
    keys = [
        "likeliest right",
        "routed right",
        "left-out intents caught",
        "SQuAD caught",
        "PolicyQA caught",
    ]
    text += table("A fifth of the intents unknown (three times)", left, keys)
    files = {name.split(", ")[1]: r for name, r in results.items() if name.startswith("whole")}
    if files:
        text += ["", "## The written file, full training set", ""]
        text += ["| | " + " | ".join(files) + " |", "|---" * (len(files) + 1) + "|"]
        for key in next(iter(files.values())):
            text.append(f"| {key} | " + " | ".join(f"{r[key]:.4g}" for r in files.values()) + " |")
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    main()
