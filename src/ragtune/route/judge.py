"""Judging a router on labelled questions, and explaining one decision."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ragtune.errors import TuneError, said
from ragtune.models.router import Judgement, OnnxRouter
from ragtune.route.head import calibration_error
from ragtune.route.questions import Question
from ragtune.types import OnProgress, Progress

_SHADES = " ░▒▓█"


@dataclass(frozen=True, slots=True)
class IntentScore:
    """One intent's figures: shares from 0 to 1, None where nothing is there to divide."""

    questions: int
    recall: float | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A router's figures on a file.

    `likeliest` is the share of in-scope questions whose likeliest intent is right; `routed` the
    share that is right and not sent the safe way. `accuracy` is `routed` where the file has
    out-of-scope questions, as published figures on such sets count, and `likeliest` where it has
    none. `calibration_error` is the expected calibration error of the likeliest intent's
    probability over in-scope questions, 15 bins. `trained` counts the file's questions that the
    router was trained on, `new` the others; all else is of those alone, where there are any.
    `confusions` are (intent, taken for, how often), most frequent first; `bins` (mean probability,
    accuracy, questions).
    """

    questions: int
    outside: int
    likeliest: float | None
    routed: float | None
    accuracy: float | None
    out_of_scope_recall: float | None
    calibration_error: float | None
    intents: Mapping[str, IntentScore]
    confusions: tuple[tuple[str, str, int], ...]
    bins: tuple[tuple[float, float, int], ...]
    trained: int
    new: int

    def as_json(self) -> dict[str, object]:
        """What `ragtune route test --json` prints."""
        return {
            "accuracy": self.accuracy,
            "out_of_scope_recall": self.out_of_scope_recall,
            "calibration_error": self.calibration_error,
            "intents": self.intents,
            "trained": self.trained,
        }


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training question near to one that was asked."""

    text: str
    intent: str
    cosine: float


def measure(
    router: OnnxRouter, questions: Sequence[Question], on_progress: OnProgress | None = None
) -> Report:
    """Figures on those of `questions` that the router was not trained on, or on all if it was.

    An intent that the router does not know can only be got wrong.
    """
    new = unseen(router, questions)
    trained = len(questions) - len(new)
    questions = new or questions
    inside: list[tuple[str, Judgement]] = []
    caught, outside = 0, 0
    for number, question in enumerate(questions):
        judgement = router.judge(question.text)
        if question.outside:
            outside += 1
            caught += not judgement.known
        else:
            inside.append((question.intent, judgement))
        if on_progress is not None and number % 100 == 0:
            on_progress(Progress("test", number, len(questions)))
    if on_progress is not None:
        on_progress(Progress("test", len(questions), len(questions)))
    right = np.array([judgement.intents[0][0] == true for true, judgement in inside], np.bool_)
    known = np.array([judgement.known for _, judgement in inside], np.bool_)
    chance = np.array([judgement.intents[0][1] for _, judgement in inside], np.float32)
    likeliest = float(right.mean()) if inside else None
    routed = float((right & known).mean()) if inside else None
    pairs = Counter(
        (true, judgement.intents[0][0])
        for true, judgement in inside
        if judgement.intents[0][0] != true
    )
    return Report(
        questions=len(inside),
        outside=outside,
        likeliest=likeliest,
        routed=routed,
        accuracy=routed if outside else likeliest,
        out_of_scope_recall=caught / outside if outside else None,
        calibration_error=calibration_error(chance, right) if inside else None,
        intents=_by_intent(inside),
        confusions=tuple((a, b, n) for (a, b), n in pairs.most_common()),
        bins=_bins(chance, right),
        trained=trained,
        new=len(new),
    )


def _by_intent(inside: Sequence[tuple[str, Judgement]]) -> dict[str, IntentScore]:
    true = Counter(intent for intent, _ in inside)
    given = Counter(judgement.intents[0][0] for _, judgement in inside)
    hits = Counter(intent for intent, judgement in inside if judgement.intents[0][0] == intent)
    scores = {}
    for intent in sorted(true):
        recall = hits[intent] / true[intent]
        precision = hits[intent] / given[intent] if given[intent] else None
        f1 = 2 * hits[intent] / (true[intent] + given[intent])
        scores[intent] = IntentScore(true[intent], recall, precision, f1)
    return scores


def _bins(chance: Any, right: Any, count: int = 10) -> tuple[tuple[float, float, int], ...]:
    rows = []
    places = np.minimum((chance * count).astype(int), count - 1)
    for number in range(count):
        inside = places == number
        if inside.any():
            rows.append(
                (float(chance[inside].mean()), float(right[inside].mean()), int(inside.sum()))
            )
    return tuple(rows)


def neighbours(router: OnnxRouter, question: str, count: int = 5) -> list[Neighbour]:
    """The nearest training questions, nearest first. Raises TuneError where they are gone."""
    rows = _trained_on(router)
    cosines = router.outputs(question, ("similarities",))[0][0]
    names = router.passport.intents
    order = (n for n in (-cosines).argsort(kind="stable") if rows[n][0])
    return [
        Neighbour(rows[n][0], names[rows[n][1]], float(cosines[n])) for n in islice(order, count)
    ]


def unseen(router: OnnxRouter, questions: Sequence[Question]) -> list[Question]:
    """The questions that the router was not trained on, however they are cased and spaced.

    Raises TuneError where the training questions are gone.
    """
    seen = {_plain(text) for text, _ in _trained_on(router)}
    return [question for question in questions if _plain(question.text) not in seen]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _trained_on(router: OnnxRouter) -> list[tuple[str, int]]:
    """The rows of questions.json; see models/router.py."""
    path = router.folder / "questions.json"
    try:
        rows = [(str(text), int(intent)) for text, intent in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise TuneError(
            f"{path} is damaged ({error}): `ragtune route train` makes it again"
        ) from None
    passport = router.passport
    if sum(bool(text) for text, _ in rows) != passport.questions or any(
        intent >= len(passport.intents) for _, intent in rows
    ):
        raise TuneError(f"{path} is of another router: `ragtune route train` makes it again")
    return rows


def vectors(router: OnnxRouter, texts: Sequence[str]) -> dict[str, object]:
    """Shared test vectors: what another runtime must get from the same file.

    For each text its likeliest intent, all probabilities in the order of `intents`, and whether it
    is known. Labels must be equal, probabilities within 1e-3.
    """
    rows = []
    for text in texts:
        judgement = router.judge(text)
        chances = dict(judgement.intents)
        rows.append(
            {
                "text": text,
                "intent": judgement.intents[0][0],
                "known": judgement.known,
                "score": round(judgement.score, 6),
                "probabilities": [round(chances[name], 6) for name in router.passport.intents],
            }
        )
    passport = router.passport
    return {"sha256": passport.sha256, "intents": passport.intents, "vectors": rows}


# ---------------------------------------------------------------- for people


def lines(report: Report, worst: int = 12) -> list[str]:
    """The report as text: figures, the intents that are hardest, the confusions, calibration."""
    text = []
    if report.trained:
        text.append(
            f"left out: {report.trained} questions that the router was trained on"
            if report.new
            else f"the router was trained on all {report.trained} of these questions: the figures "
            "say nothing about others"
        )
    if report.likeliest is not None and report.routed is not None:
        text += [
            f"{report.questions} questions in scope: likeliest intent right "
            f"{report.likeliest:.1%}; right and not sent the safe way {report.routed:.1%}"
        ]
    if report.out_of_scope_recall is not None:
        text.append(
            f"{report.outside} questions out of scope: caught {report.out_of_scope_recall:.1%}"
        )
    if report.calibration_error is not None:
        text.append(f"calibration error {report.calibration_error:.3f}")
        text += ["", "said    right   questions"]
        text += [f"{said:5.0%}   {right:5.0%}   {n}" for said, right, n in report.bins]
    hardest = sorted(report.intents.items(), key=lambda item: item[1].f1 or 0.0)[:worst]
    if hardest:
        text += ["", f"{'hardest intents':44s} questions  recall  precision  F1"]
    for name, score in hardest:
        precision = "   –" if score.precision is None else f"{score.precision:4.0%}"
        text.append(
            f"{name[:44]:44s} {score.questions:9d}  {score.recall or 0:6.0%}  {precision:>9s}  "
            f"{score.f1 or 0:.2f}"
        )
    if report.confusions:
        text += ["", "most often confused"]
        text += [f"{n:4d}  {a[:40]} taken for {b[:40]}" for a, b, n in report.confusions[:worst]]
        text += ["", *picture(report)]
    return text


def picture(report: Report, size: int = 16) -> list[str]:
    """The confusions among the intents that are confused most, shaded; rows are the truth."""
    weight: Counter[str] = Counter()
    for true, given, count in report.confusions:
        weight[true] += count
        weight[given] += count
    shown = [name for name, _ in weight.most_common(size)]
    counts = {(true, given): n for true, given, n in report.confusions}
    for name in shown:
        score = report.intents.get(name)
        counts[name, name] = round((score.recall or 0) * score.questions) if score else 0
    rows = ["true \\ taken for  " + " ".join(f"{n + 1:2d}" for n in range(len(shown)))]
    for number, true in enumerate(shown, 1):
        total = max(1, report.intents[true].questions if true in report.intents else 1)
        cells = []
        for given in shown:
            share = counts.get((true, given), 0) / total
            level = 0 if not share else 1 + min(3, int(share * 4))
            cells.append(_SHADES[level] * 2)
        rows.append(f"{number:2d} {true[:14]:14s} " + " ".join(cells))
    return rows


def draw(report: Report, path: Path) -> None:
    """The confusion matrix of all intents as a PNG. Raises TuneError without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        raise TuneError("the picture needs matplotlib: pip install 'ragtune[tune]'") from None
    names = sorted(report.intents)
    place = {name: n for n, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)))
    for name, score in report.intents.items():
        matrix[place[name], place[name]] = score.recall or 0.0
    for true, given, count in report.confusions:
        if given in place:
            matrix[place[true], place[given]] = count / report.intents[true].questions
    side = max(4.0, 0.16 * len(names) + 2)
    figure, axes = pyplot.subplots(figsize=(side, side))
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    plain = [name.replace("$", r"\$") for name in names]  # "$" would start a formula
    axes.set_xticks(range(len(names)), plain, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), plain, fontsize=6)
    axes.set_xlabel("taken for")
    axes.set_ylabel("intent")
    try:
        figure.savefig(path, dpi=120, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise TuneError(f"cannot write {path}: {said(error)}") from None
    finally:
        pyplot.close(figure)


def reason(judgement: Judgement) -> str:
    """Why a question goes where it goes, in one line."""
    name, chance = judgement.intents[0]
    if judgement.known:
        return (
            f"known as {name} ({chance:.0%}): score {judgement.score:.2f} reaches the threshold "
            f"{judgement.threshold:.2f}, so it goes to {judgement.target.way}"
        )
    return (
        f"not known: score {judgement.score:.2f} is below the threshold "
        f"{judgement.threshold:.2f}, so it goes the safe way, to {judgement.target.way}"
    )
