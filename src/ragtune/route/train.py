"""Training the router: labelled questions in, a folder with one ONNX file out, whole or not at all.

    questions ─▶ trunk ─▶ own layer (tune) ─▶ head.fit ─▶ graph.attach ─▶ checked ─▶ swapped in

The layer is trained twice or more: on all questions but a fold, to fit the mix and the threshold to
what it has not seen, and on all. Seeds are fixed: the same questions give the same router.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragtune.errors import TuneError, said
from ragtune.models import runtime
from ragtune.models.router import (
    BEFORE,
    FOLDER,
    ROUTES,
    UNSURE,
    OnnxRouter,
    Passport,
    Target,
    encode,
    read_routes,
    routes_text,
)
from ragtune.route import graph, head, tune
from ragtune.route.questions import Question
from ragtune.types import OnProgress, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MOST_EXAMPLES = 20_000  # questions kept for nearness: 8 MB, 0.5 ms
_FORGOTTEN = 86_400.0  # seconds after which nobody works in a temporary folder any more
_RANGES = 24  # questions that the own layer's quantization takes its ranges from
_AGREE = 1e-2  # largest difference of a probability between training and the written file


@dataclass(frozen=True, slots=True)
class Trained:
    """A router that was made; `warnings` are for the person who wrote the questions."""

    folder: Path
    passport: Passport
    seconds: float
    size: int  # bytes of router.onnx
    warnings: tuple[str, ...]


def train(
    questions: Sequence[Question],
    data_folder: Path,
    variant: graph.Variant = "full",
    on_progress: OnProgress | None = None,
    threads: int = 0,
    trunk: Path | None = None,
) -> Trained:
    """Trains on `questions` and puts the router into `data_folder`/router.

    An older router is replaced; its routes.toml is kept for the intents that are still there.
    `trunk` is a folder with trunk.onnx and tokenizer.json in place of the built one. Raises
    TuneError where the questions cannot be learned from.
    """
    started = time.perf_counter()
    inside, outside, warnings = _checked(questions)
    names = tuple(sorted({question.intent for question in inside}))
    number = {name: n for n, name in enumerate(names)}
    trunk = trunk or graph.trunk(variant, on_progress)
    labels = [(_as_words(name), number[name]) for name in names if _as_words(name)]
    texts = [q.text for q in inside] + [text for text, _ in labels] + [q.text for q in outside]
    known = [number[q.intent] for q in inside] + [n for _, n in labels]
    intents = np.array(known + [head.OUTSIDE] * len(outside), np.int64)
    always = (np.arange(len(texts)) >= len(inside)) & (intents != head.OUTSIDE)
    folder = data_folder / FOLDER
    with _workplace(data_folder) as place:  # first: what cannot be written is not trained either
        own = place / "layer.onnx"
        learned = learn(trunk, texts, intents, always, own, on_progress, threads)
        kept = _spread(learned.intents, MOST_EXAMPLES)
        learned = head.with_examples(learned, kept)
        rest = sorted(set(np.flatnonzero(~always).tolist()).difference(kept))
        asked = [("" if always[n] else texts[n], int(intents[n])) for n in [*kept, *rest]]
        layer = own if own.exists() else None
        passport = _write(learned, trunk, layer, place, folder, names, asked, variant)
    _report(on_progress, 1, 1)
    size = (folder / "router.onnx").stat().st_size
    return Trained(folder, passport, time.perf_counter() - started, size, tuple(warnings))


def learn(
    trunk: Path,
    texts: Sequence[str],
    intents: NDArray[np.int64],
    always: NDArray[np.bool_],
    own: Path,
    on_progress: OnProgress | None = None,
    threads: int = 0,
) -> head.Head:
    """The head for texts of these intents (see `head.fit`).

    Where the trunk gives `hidden`, a layer of the router's own is trained first and written to
    `own` as an ONNX file.
    """
    seen = read(trunk, texts, on_progress, threads)

    def tell(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(Progress("train", done, total))

    if not seen.hidden:
        view = head.View(seen.features, seen.embeddings)
        return head.fit(lambda _: view, intents, always, on_fold=tell)
    start = graph.last_layer()
    count = head.folds_needed(int((~always & (intents != head.OUTSIDE)).sum()))
    trainings = 0

    def tuned(rows: NDArray[np.int64]) -> head.View:
        nonlocal trainings

        def on_step(done: int, total: int) -> None:
            tell(trainings * total + done, (count + 1) * total)

        hidden = [seen.hidden[n] for n in rows]
        layer = tune.tune(start, hidden, intents[rows], on_step)
        trainings += 1
        graph.write_layer(layer, hidden[:: max(1, len(hidden) // _RANGES)], own)
        return beside(own, seen, threads)

    return head.fit(tuned, intents, always, count)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a trunk makes of texts: features (n, F), unit embeddings (n, D).

    `hidden` holds each text's token vectors below the last layer, (tokens, D), in half precision;
    nothing where the trunk gives none.
    """

    features: Floats
    embeddings: Floats
    hidden: list[NDArray[np.float16]]


def read(
    trunk: Path, texts: Sequence[str], on_progress: OnProgress | None = None, threads: int = 0
) -> Seen:
    """What the trunk makes of texts, each run alone as when serving."""
    session = runtime.session(trunk / "trunk.onnx")
    tokenizer = runtime.tokenizer(trunk / "tokenizer.json")
    deep = "hidden" in {output.name for output in session.get_outputs()}
    names = ["features", "embedding", *(["hidden"] if deep else [])]

    def one(text: str) -> list[Any]:
        ids = np.array([encode(tokenizer, text)], np.int64)
        row = [output[0] for output in session.run(names, {"input_ids": ids})]
        return [*row[:2], *(part.astype(np.float16) for part in row[2:])]

    rows = []
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for done, row in enumerate(pool.map(one, texts)):
            rows.append(row)
            if on_progress is not None and done % 100 == 0:
                on_progress(Progress("read questions", done, len(texts)))
    return Seen(
        np.stack([row[0] for row in rows]),
        np.stack([row[1] for row in rows]),
        [row[2] for row in rows] if deep else [],
    )


def beside(layer: Path, seen: Seen, threads: int = 0) -> head.View:
    """The views that `graph.attach` makes: the own layer's vectors beside the trunk's."""
    session = runtime.session(layer)

    def one(hidden: NDArray[np.float16]) -> Floats:
        found: Floats = session.run(["tuned"], {"hidden": hidden[None].astype(np.float32)})[0][0]
        return found

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        own = np.stack(list(pool.map(one, seen.hidden)))
    return head.View(
        np.concatenate([own, seen.features], axis=1),
        np.concatenate([own, seen.embeddings], axis=1) * np.float32(graph.HALF),
    )


def _checked(questions: Sequence[Question]) -> tuple[list[Question], list[Question], list[str]]:
    """Questions in scope and out of scope, each once, and what is odd about them."""
    unique = list(dict.fromkeys(questions))
    warnings = []
    if len(unique) < len(questions):
        warnings.append(f"{len(questions) - len(unique)} repeated questions count once")
    by_text = Counter(question.text.casefold() for question in unique)
    torn = [text for text, times in by_text.items() if times > 1]
    if torn:
        warnings.append(f"{len(torn)} questions have several intents, as {torn[0][:60]!r}")
    inside = [question for question in unique if not question.outside]
    sizes = Counter(question.intent for question in inside)
    if len(sizes) < 2:
        raise TuneError(
            f"{len(sizes)} intent in {len(questions)} questions: a router needs at least two"
        )
    if UNSURE in sizes:
        raise TuneError(
            f"{UNSURE!r} is what a router calls the unknown: name this intent otherwise"
        )
    small = [name for name, size in sizes.items() if size < 5]
    if small:
        warnings.append(f"{len(small)} intents have fewer than 5 questions, as {small[0]!r}")
    return inside, [question for question in unique if question.outside], warnings


def _as_words(intent: str) -> str:
    """An intent's name as words ("card_arrival": "card arrival"); empty when it says nothing."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\W]+", " ", intent).strip()
    return words if re.search(r"[^\W\d]{3}", words) else ""


def _spread(intents: NDArray[np.int64], most: int) -> list[int]:
    """The rows to keep as examples: all, or the first of each intent in turn up to `most`."""
    if len(intents) <= most:
        return list(range(len(intents)))
    turn = np.zeros(len(intents), np.int64)
    for intent in np.unique(intents):
        members = np.flatnonzero(intents == intent)
        turn[members] = np.arange(len(members))
    return sorted(int(n) for n in np.argsort(turn, kind="stable")[:most])


def _write(
    learned: head.Head,
    trunk: Path,
    layer: Path | None,
    place: Path,
    folder: Path,
    names: tuple[str, ...],
    asked: Sequence[tuple[str, int]],
    variant: str,
) -> Passport:
    if not folder.exists() and (folder.parent / BEFORE).exists():
        (folder.parent / BEFORE).rename(folder)  # an earlier training was killed in the last step
    kept: dict[str, Target] = {}
    if (folder / ROUTES).exists():
        kept = read_routes(folder / ROUTES, _known(folder, names))
    made = place / "new"
    made.mkdir()
    graph.attach(trunk / "trunk.onnx", learned, made / "router.onnx", layer)
    shutil.copyfile(trunk / "tokenizer.json", made / "tokenizer.json")
    text = json.dumps(asked, ensure_ascii=False)
    (made / "questions.json").write_text(text, "utf-8")
    texts = [text for text, _ in asked if text]
    (made / ROUTES).write_text(routes_text(names, kept), "utf-8")
    passport = Passport(
        intents=names,
        threshold=learned.threshold,
        variant=variant,
        questions=len(texts),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sha256=hashlib.sha256((made / "router.onnx").read_bytes()).hexdigest(),
        figures={name: round(value, 6) for name, value in learned.held_out.items()},
        versions={name: version(name) for name in ("ragtune", "onnxruntime", "onnx")},
    )
    text = json.dumps(asdict(passport), indent=1, ensure_ascii=False) + "\n"
    (made / "router.json").write_text(text, "utf-8")
    _prove(made, learned, trunk, layer, texts)
    for path in made.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    _swap(made, folder)
    return passport


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A folder for what is made, on the disk where it will stay. Raises TuneError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(".router-*"):  # of a training that was killed
            if old.name != BEFORE and time.time() - old.stat().st_mtime > _FORGOTTEN:
                shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".router-", dir=folder) as temporary:
            yield Path(temporary)
    except OSError as error:
        raise TuneError(f"cannot write the router in {folder}: {said(error)}") from None


def _swap(made: Path, folder: Path) -> None:
    """Puts `made` in the place of `folder`; killed anywhere, one of the two is found again."""
    before = folder.parent / BEFORE
    try:
        if folder.exists():
            shutil.rmtree(before, ignore_errors=True)
            folder.rename(before)
        made.rename(folder)
    except OSError as error:
        raise TuneError(
            f"cannot write {folder} ({error.strerror}): is another training running?"
        ) from None
    shutil.rmtree(before, ignore_errors=True)


def _known(folder: Path, names: Sequence[str]) -> list[str]:
    """The intents that an older routes.toml may name."""
    try:
        older = json.loads((folder / "router.json").read_text("utf-8"))["intents"]
        return [*names, *older]
    except (OSError, ValueError, KeyError, TypeError):
        return list(names)


def _prove(
    made: Path, learned: head.Head, trunk: Path, layer: Path | None, texts: Sequence[str]
) -> None:
    """Loads the written file and compares it with what was learned. Raises TuneError."""
    sample = list(texts[:: max(1, len(texts) // 24)])
    seen = read(trunk, sample, threads=1)
    view = beside(layer, seen, 1) if layer else head.View(seen.features, seen.embeddings)
    count = len(learned.typical)
    linear = head.log_chances(view.features, learned.weights, learned.bias, count)
    near = head.nearest(view.embeddings, learned.examples, learned.intents, count)
    expected = np.exp(head.log_softmax(head.logits(linear, near, learned.mix)))
    router = OnnxRouter(made)
    for text, row in zip(sample, expected, strict=True):
        chances = dict(router.judge(text).intents)
        got = np.array([chances[name] for name in router.passport.intents])
        if float(np.abs(got - row).max()) > _AGREE:
            raise TuneError("the written router does not decide as it was trained: nothing changed")


def _report(on_progress: Callable[[Progress], None] | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(Progress("write", done, total))
