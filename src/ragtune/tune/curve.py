"""The loss curve: a PNG file, and a few lines of text for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

Point = tuple[int, float, float | None]  # step, training loss, held-out loss
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # Braille: [column][row from the top]


def png(
    curve: Sequence[Point],
    path: Path,
    before: float | None = None,
    best_step: int = 0,
    title: str = "",
) -> None:
    """Draws training and held-out loss over steps into `path`.

    `before` is the base's held-out loss (drawn at step 0), `best_step` the step that was kept.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: no state, no window

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    steps = [step for step, _, _ in curve]
    axes.plot(steps, [loss for _, loss, _ in curve], color="0.75", linewidth=1, label="training")
    held = heldout(curve, before)
    if held:
        axes.plot(*zip(*held, strict=True), color="tab:blue", marker="o", label="held out")
        if best_step:
            axes.axvline(best_step, color="tab:green", linestyle=":", label="kept")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a token)")
    axes.set_ylim(bottom=0)
    axes.set_title(title)
    axes.legend()
    made = path.with_name(path.name + ".new")
    FigureCanvasAgg(figure).print_png(made)
    made.replace(path)


def text(
    curve: Sequence[Point], before: float | None = None, width: int = 60, height: int = 8
) -> str:
    """The held-out loss (the training loss where there is none) drawn with Braille dots.

    At most `width` + 8 characters wide and `height` + 1 lines high; empty without two points.
    """
    points = heldout(curve, before) or [(step, loss) for step, loss, _ in curve]
    if len(points) < 2:
        return ""
    first, last = points[0][0], points[-1][0]
    top, bottom = max(y for _, y in points), min(y for _, y in points)
    columns, rows = width * 2, height * 4
    grid = [[0x2800] * width for _ in range(height)]
    for column in range(columns):
        step = first + (last - first) * column / (columns - 1)
        share = (_at(points, step) - bottom) / ((top - bottom) or 1.0)
        row = round((1 - share) * (rows - 1))
        grid[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
    lines = ["".join(map(chr, line)) for line in grid]
    labels = [f"{top:6.3f} ", *[" " * 7] * (height - 2), f"{bottom:6.3f} "]
    axis = f"{'step':>6} {first}{last:>{width - len(str(first))}}"
    return "\n".join([*(a + b for a, b in zip(labels, lines, strict=True)), axis])


def heldout(curve: Sequence[Point], before: float | None) -> list[tuple[int, float]]:
    """(step, held-out loss) of every evaluation, the base's first."""
    start = [] if before is None else [(0, before)]
    return start + [(step, held) for step, _, held in curve if held is not None]


def _at(points: Sequence[tuple[int, float]], step: float) -> float:
    """The curve at `step`, on the straight line between its neighbours."""
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if step <= x1:
            return y0 + (y1 - y0) * (step - x0) / (x1 - x0)
    return points[-1][1]
