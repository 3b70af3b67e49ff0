"""The declining threshold, fitted to a workspace's own questions.

    rows of a JSON Lines file ─▶ support of each ─▶ curve over thresholds ─▶ the threshold

The support score itself stays as it is: any monotone recalibration would decide the same, so only
the point from which on a question is answered is fitted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ragtune.errors import ConfigError, said

KEEP = 0.9  # share of the answerable questions that the fitted threshold still answers
NEEDED = 20  # of each kind: below that, one question moves the threshold by 5 points and more
_UNANSWERABLE = frozenset({"unanswerable", "near-miss", "out-of-scope", "out-of-corpus"})

AskSupport = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold does to the questions of the file; shares from 0 to 1."""

    threshold: float
    coverage: float  # of all questions, those answered
    kept: float  # of the answerable ones, those answered
    declined: float  # of the unanswerable ones, those declined
    error: float  # of the answered ones, those that have no answer


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted threshold with the curve it was read from.

    `threshold` is None where the file holds too few questions: `missing_answerable` and
    `missing_unanswerable` say how many more are needed, and the shipped threshold stays.
    """

    threshold: float | None
    answerable: int
    unanswerable: int
    missing_answerable: int
    missing_unanswerable: int
    points: tuple[Point, ...]


def calibrate(
    rows: Sequence[Mapping[str, Any]], ask_support: AskSupport, keep: float = KEEP
) -> Calibration:
    """Fits the threshold to labelled questions. Raises ConfigError for a row without a question.

    A row is unanswerable when it says so: `answerable` false, `kind` "unanswerable" (or
    "near-miss", "out-of-scope", "out-of-corpus"), or an empty list of `answers`. `ask_support`
    gives the support in [0, 1] that the documents have for a question. Of the thresholds that keep
    at least the share `keep` of the answerable, the one with the largest sum of the shares kept
    and declined is taken.
    """
    yes: list[float] = []
    no: list[float] = []
    for number, row in enumerate(rows, 1):
        question = row.get("question")
        if not isinstance(question, str) or not question.strip():
            raise ConfigError(f'line {number}: no "question"')
        (yes if answerable(row) else no).append(ask_support(question))
    points = curve(yes, no)
    missing = max(0, NEEDED - len(yes)), max(0, NEEDED - len(no))
    threshold = None
    if not any(missing):
        allowed = [point for point in points if point.kept >= keep]
        best = max(allowed, key=lambda point: (point.kept + point.declined, -point.threshold))
        threshold = best.threshold
    return Calibration(threshold, len(yes), len(no), *missing, points)


def answerable(row: Mapping[str, Any]) -> bool:
    """Whether a row says that the documents answer its question."""
    if "answerable" in row:
        return bool(row["answerable"])
    return row.get("kind") not in _UNANSWERABLE and row.get("answers") != []


def curve(yes: Sequence[float], no: Sequence[float]) -> tuple[Point, ...]:
    """Points from "answer all" to "decline all", at thresholds midway between scores.

    `yes` and `no` are the supports of answerable and of unanswerable questions.
    """
    scores = sorted({*yes, *no})
    cuts = [0.0, *((a + b) / 2 for a, b in pairwise(scores)), 1.0]
    points = []
    for cut in cuts:
        kept = sum(score >= cut for score in yes)
        wrong = sum(score >= cut for score in no)
        points.append(
            Point(
                threshold=cut,
                coverage=_share(kept + wrong, len(yes) + len(no)),
                kept=_share(kept, len(yes)),
                declined=_share(len(no) - wrong, len(no)),
                error=_share(wrong, kept + wrong),
            )
        )
    return tuple(points)


def lines(result: Calibration, rows: int = 10) -> list[str]:
    """The result for people: a table of about `rows` thresholds and what was decided."""
    text = [
        f"{result.answerable} answerable and {result.unanswerable} unanswerable questions",
        "threshold  answered  of answerable  declined of unanswerable  error of answered",
    ]
    step = max(1, len(result.points) // rows)
    shown = {i: point for i, point in enumerate(result.points) if i % step == 0}
    shown |= {i: p for i, p in enumerate(result.points) if p.threshold == result.threshold}
    for _, p in sorted(shown.items()):
        mark = "  <- chosen" if p.threshold == result.threshold else ""
        text.append(
            f"{p.threshold:9.3f}  {p.coverage:8.0%}  {p.kept:13.0%}  {p.declined:24.0%}"
            f"  {p.error:17.0%}{mark}"
        )
    if result.threshold is None:
        more = [
            f"{count} more {kind}"
            for count, kind in (
                (result.missing_answerable, "answerable"),
                (result.missing_unanswerable, "unanswerable"),
            )
            if count
        ]
        text.append(f"Too few to fit a threshold: {' and '.join(more)} questions are needed.")
    return text


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file. Raises ConfigError with the line that is wrong."""
    rows: list[dict[str, Any]] = []
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {said(error)}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}, line {number}: not JSON: {error.msg}") from None
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, line {number}: must be a JSON object")
        rows.append(row)
    return rows
