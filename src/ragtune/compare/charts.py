"""The report's charts as inline SVG: no script, no font, no image from outside.

Every chart is drawn 360 units wide, so that its text has its true size on a phone. Colours are
classes of the report's style sheet (c0, c1, … by arm), so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from ragtune.compare import wording
from ragtune.compare.units import money, percent, seconds

Results = Mapping[str, Any]

WIDTH = 360
RIGHT = WIDTH - 18  # of a plot
LEFT = 74  # where rows' names end
NAME = 11  # characters of an arm's name that fit there


def colours(results: Results) -> dict[str, str]:
    """The style class of each arm."""
    return {arm: f"c{i % 8}" for i, arm in enumerate(results["arms"])}


def accuracy(results: Results) -> str:
    """Right decisions of each arm with their intervals; hollow: the text as it was written."""
    arms, colour = results["arms"], colours(results)
    height = 26 * len(arms) + 34
    x = _linear(LEFT, WIDTH - 40, 0.0, 1.0)
    body = [_grid([(x(v), percent(v)) for v in (0, 0.25, 0.5, 0.75, 1)], height - 26)]
    for i, (name, measured) in enumerate(arms.items()):
        y = 18 + 26 * i
        m, raw = measured["decision"], measured["raw_decision"]
        body.append(_name(name, y))
        if m["value"] is None:
            continue
        low, high = x(m["low"] or 0.0), x(1.0 if m["high"] is None else m["high"])
        body.append(f'<line class="bar {colour[name]}" x1="{low:.1f}" x2="{high:.1f}" '
                    f'y1="{y}" y2="{y}"/>')  # fmt: skip
        body.append(f'<circle class="dot {colour[name]}" cx="{x(m["value"]):.1f}" cy="{y}" r="5">'
                    f"<title>{escape(name)}: {percent(m['value'])}</title></circle>")  # fmt: skip
        if raw["value"] is not None and results["about"][name]["documents"]:
            body.append(f'<circle class="hollow {colour[name]}" cx="{x(raw["value"]):.1f}" '
                        f'cy="{y}" r="4"><title>as written: {percent(raw["value"])}</title>'
                        "</circle>")  # fmt: skip
        body.append(f'<text x="{WIDTH - 2}" y="{y + 4}" class="end">{percent(m["value"])}</text>')
    return _svg(body, height, "Right decisions of each arm, with 95% intervals")


def updates(results: Results) -> str:
    """When each arm told each new fact: a dot an update, on a logarithmic scale of time."""
    arms, colour = results["arms"], colours(results)
    told = {a: [u["arms"][a].get("seconds_to_new") for u in results["updates"]
                if u["arms"].get(a, {}).get("new_fact") is not None] for a in arms}  # fmt: skip
    if not any(told.values()):
        return ""
    height = 30 * len(arms) + 34
    x = _log(LEFT, WIDTH - 62, 0.05, 86_400.0)
    ticks = [(0.1, "0.1 s"), (1, "1 s"), (10, "10 s"), (600, "10 min"), (3600, "1 h"),
             (86_400, "1 d")]  # fmt: skip
    body = [_grid([(x(v), label) for v, label in ticks], height - 26)]
    for i, name in enumerate(arms):
        y = 20 + 30 * i
        body.append(_name(name, y))
        right = [t for t in told[name] if t is not None]
        for k, t in enumerate(right):
            at = y + (k % 5 - 2) * 3.2
            body.append(f'<circle class="small {colour[name]}" cx="{x(t):.1f}" cy="{at:.1f}" '
                        f'r="3.2"><title>{escape(seconds(t))}</title></circle>')  # fmt: skip
        said = f"{len(right)} of {len(told[name])}" if told[name] else "–"
        said = "not run" if name in wording.not_retrained(results) else said
        body.append(f'<text x="{WIDTH - 2}" y="{y + 4}" class="end">{said}</text>')
    return _svg(body, height, "Time until each arm told each changed fact")


def costs(results: Results) -> str:
    """A month's total by questions a month, both logarithmic; the line marks today's volume."""
    c, colour = results["costs"], colours(results)
    values = [v for line in c["curves"].values() for v in line if v and v > 0]
    if not values:
        return ""
    height = 240
    low, high = min(values), max(values)
    x = _log(44, RIGHT, c["volumes"][0], c["volumes"][-1])
    y = _log(height - 30, 12, low, max(high, low * 1.01))
    body = [_grid([(x(10**k), _compact(10**k)) for k in range(2, 7)], height - 24)]
    for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        body.append(f'<line class="grid" x1="44" x2="{RIGHT}" y1="{y(10.0**k):.1f}" '
                    f'y2="{y(10.0**k):.1f}"/><text x="40" y="{y(10.0**k) + 4:.1f}" class="end">'
                    f"{_compact(10.0**k)}</text>")  # fmt: skip
    now = min(max(c["prices"]["questions_month"], c["volumes"][0]), c["volumes"][-1])
    body.append(f'<line class="now" x1="{x(now):.1f}" x2="{x(now):.1f}" y1="12" y2="{height - 30}">'
                "<title>your questions a month</title></line>")  # fmt: skip
    for name, line in c["curves"].items():
        at = [(v, t) for v, t in zip(c["volumes"], line, strict=True) if t is not None]
        points = " ".join(f"{x(v):.1f},{y(max(t, low)):.1f}" for v, t in at)
        body.append(f'<polyline class="line {colour[name]}" points="{points}">'
                    f"<title>{escape(name)}</title></polyline>")  # fmt: skip
    for even in c["break_even"]:
        if c["volumes"][0] <= even["from"] <= c["volumes"][-1]:
            total = _at(even["from"], c["volumes"], c["curves"][even["cheaper"]])
            label = (f"from {even['from']:,.0f} questions a month {even['cheaper']} is cheaper "
                     f"than {even['than']}")  # fmt: skip
            body.append(f'<circle class="even" cx="{x(even["from"]):.1f}" '
                        f'cy="{y(max(total, low)):.1f}" r="4"><title>{escape(label)}</title>'
                        "</circle>")  # fmt: skip
    title = f"A month's cost in {c['currency']} by questions a month"
    return _svg(body, height, title) + _legend(results)


def risk(results: Results) -> str:
    """Share of questions answered against the share of answers that are wrong."""
    colour = colours(results)
    height = 230
    x, y = _linear(44, RIGHT, 0.0, 1.0), _linear(height - 30, 12, 0.0, 1.0)
    body = [_grid([(x(v), percent(v)) for v in (0, 0.25, 0.5, 0.75, 1)], height - 24)]
    for v in (0, 0.25, 0.5, 0.75, 1):
        at, label = f"{y(v):.1f}", f'y="{y(v) + 4:.1f}" class="end">{percent(v)}'
        body.append(f'<line class="grid" x1="44" x2="{RIGHT}" y1="{at}" y2="{at}"/>'
                    f'<text x="40" {label}</text>')  # fmt: skip
    for name, points in results["risk"].items():
        if not points:
            continue
        if len(points) > 1:
            line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
            body.append(f'<polyline class="line {colour[name]}" points="{line}">'
                        f"<title>{escape(name)}</title></polyline>")  # fmt: skip
        a, b = points[-1]
        body.append(f'<circle class="dot {colour[name]}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4">'
                    f"<title>{escape(name)}: {percent(a)} answered, {percent(b)} of them wrong"
                    "</title></circle>")  # fmt: skip
    return _svg(body, height, "Coverage against error") + _legend(results)


def weights(results: Results) -> str:
    """For each criterion the range of weights in which the same arm leads; the tick is now."""
    found = results["verdict"].get("stability", [])
    height = 24 * len(found) + 30
    x = _linear(LEFT + 12, RIGHT, 0.0, 1.0)
    body = [_grid([(x(v), percent(v)) for v in (0, 0.25, 0.5, 0.75, 1)], height - 24)]
    for i, s in enumerate(found):
        y = 16 + 24 * i
        body.append(f'<text x="{LEFT + 4}" y="{y + 4}" class="end">{escape(s["criterion"])}</text>')
        body.append(f'<line class="range" x1="{x(s["low"]):.1f}" x2="{x(s["high"]):.1f}" y1="{y}" '
                    f'y2="{y}"/><line class="tick" x1="{x(s["weight"]):.1f}" '
                    f'x2="{x(s["weight"]):.1f}" y1="{y - 7}" y2="{y + 7}"/>')  # fmt: skip
    return _svg(body, height, "How far each weight can move before another arm leads")


# ---------------------------------------------------------------- parts


def _svg(body: Sequence[str], height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        + "".join(body)
        + "</svg>"
    )


def _legend(results: Results) -> str:
    colour = colours(results)
    items = "".join(f'<span><i class="{colour[a]}"></i>{escape(a)}</span>' for a in results["arms"])
    return f'<p class="legend">{items}</p>'


def _grid(ticks: Sequence[tuple[float, str]], bottom: float) -> str:
    return "".join(
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom:.1f}"/>'
        f'<text x="{x:.1f}" y="{bottom + 16:.1f}" class="mid">{escape(label)}</text>'
        for x, label in ticks
    )


def _name(name: str, y: float) -> str:
    shown = name if len(name) <= NAME else name[: NAME - 1] + "…"
    return (
        f'<text x="{LEFT - 8}" y="{y + 4}" class="end">{escape(shown)}'
        f"<title>{escape(name)}</title></text>"
    )


def _linear(start: float, stop: float, low: float, high: float) -> Callable[[float], float]:
    return lambda v: start + (stop - start) * (v - low) / (high - low)


def _log(start: float, stop: float, low: float, high: float) -> Callable[[float], float]:
    place = _linear(start, stop, math.log(low), math.log(high))
    return lambda v: place(math.log(min(max(v, low), high)))


def _compact(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _at(volume: float, volumes: Sequence[float], line: Sequence[float]) -> float:
    for (v0, t0), (v1, t1) in zip(
        zip(volumes, line, strict=True), list(zip(volumes, line, strict=True))[1:], strict=False
    ):
        if v0 <= volume <= v1:
            return t0 + (t1 - t0) * (volume - v0) / (v1 - v0)
    return line[-1]


def break_even_lines(results: Results) -> list[str]:
    """The break-even points in words."""
    c = results["costs"]
    return [
        f"from {e['from']:,.0f} questions a month {e['cheaper']} is cheaper than {e['than']} "
        f"({money(_at(e['from'], c['volumes'], c['curves'][e['cheaper']]), c['currency'])} a month)"
        for e in sorted(c["break_even"], key=lambda e: e["from"])
        if c["volumes"][0] <= e["from"] <= c["volumes"][-1]
    ]
