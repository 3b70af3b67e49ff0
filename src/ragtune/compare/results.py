"""Everything that a comparison found as one object: what `results.json` holds and reports show.

Table (values) ─▶ means and intervals, pairs, kinds ─▶ costs ─▶ criteria ─▶ verdict ─▶ dict
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ragtune.compare import judge, metrics, standings, statistics, verdict
from ragtune.compare.arms import Arm
from ragtune.compare.cost import CRITERIA, Cost, break_even, curve
from ragtune.compare.race import OF_UPDATES
from ragtune.compare.score import ATTRIBUTION, MEASURES, Run, Table
from ragtune.compare.statistics import Draws
from ragtune.compare.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SCHEMA = 1
PAIRED = ("decision", "right", "f1", "hallucination", "citation_recall", "style", "fresh")
ENOUGH = 10  # questions of a kind below which nothing is said about the kind
VOLUMES = tuple(10 ** (k / 4) for k in range(8, 25))  # 100 to 1,000,000 questions a month


def assemble(run: Run) -> dict[str, Any]:
    """The results as an object of plain values; NaN and infinity become null."""
    import numpy as np

    table, names = run.table, run.table.arms
    draws = Draws([q.source or q.id for q in table.questions], run.samples, seed=1)
    of_updates = Draws([u.file for u in table.updates], run.samples, seed=2)
    per_question = [m for m in MEASURES if m not in OF_UPDATES]
    shapes = {False: len(table.questions), True: len(table.updates)}

    def column(arm: str, measure: str) -> Floats:
        size = shapes[measure in OF_UPDATES]
        return table.values[arm].get(measure, np.full(size, np.nan))

    means: dict[tuple[str, str], Floats] = {}
    for group, source in ((per_question, draws), (list(OF_UPDATES), of_updates)):
        keys = [(a, m) for a in names for m in group]
        if keys and source.count:
            drawn = source.means(np.stack([column(*key) for key in keys], axis=1))
            means |= {key: drawn[:, i] for i, key in enumerate(keys)}

    arms: dict[str, dict[str, Any]] = {}
    for arm in run.arms:
        arms[arm.name] = {}
        for measure in MEASURES:
            values = column(arm.name, measure)
            counted = ~np.isnan(values)
            n = int(counted.sum())
            if n == 0:
                arms[arm.name][measure] = _nothing(arm, measure)
                continue
            clusters = _clusters(table, measure, counted)
            if measure in ("first", "total", "seconds_to_new"):
                arms[arm.name][measure] = _quantiles(values[counted])
                continue
            seen = statistics.interval(
                means[arm.name, measure], float(values[counted].mean()), n, clusters
            )
            arms[arm.name][measure] = _share(asdict(seen), measure)

    costs, efforts = standings.costs_of(run, arms)
    pairs = _pairs(run, draws, of_updates, column)
    standing, weights, dropped = standings.standings(run, arms, means, costs)
    n, clusters = len(table.questions), draws.count
    judged = None
    if standing:
        judged = verdict.judge(standing, weights, n, clusters, of_updates.count)
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "arms": arms,
        "about": {
            a.name: {
                "says": a.says, "documents": a.documents, "writes": a.writes,
                "adapters": list(a.adapters), "asked": table.asked[a.name],
                "errors": table.errors[a.name], "right_by_seed": table.by_seed[a.name],
                "effort": asdict(efforts[a.name]), "cost": asdict(costs[a.name]),
                "memory_mb": run.facts.get(f"memory {a.name}"),
                "load_seconds": run.facts.get(f"load {a.name}"),
            }
            for a in run.arms
        },
        "pairs": pairs,
        "kinds": _kinds(run, draws, column),
        "criteria": {s.name: dict(s.values) for s in standing},
        "verdict": _verdict(run, judged, weights, dropped),
        "costs": _cost_curves(run, costs, judged),
        "risk": {a.name: _risk(a, run) for a in run.arms},
        "updates": _updates(run),
        "questions": _questions(run),
        "measures": {name: asdict(m) for name, m in MEASURES.items()},
        "judge": _judge(run),
        "style": {"how": run.style.how, "accuracy": run.style.accuracy},
        "left_out": dict(run.left_out),
        "notes": [*run.notes, *table.notes],
        "facts": {k: v for k, v in run.facts.items() if not k.startswith(("sync ", "judge"))},
        "settings": dict(run.settings),
    }  # fmt: skip
    return {name: _finite(value) for name, value in result.items()}


def _judge(run: Run) -> dict[str, Any] | None:
    """Which model judged, and how often it was right about answers whose label is known."""
    known = judge.agreement(run.facts)
    if known is None:
        return None
    return {"model": run.settings.get("judge", ""), "agreement": known[0], "labelled": known[1]}


def _finite(value: Any) -> Any:
    """NaN and infinity as null: they are not JSON."""
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _nothing(arm: Arm, measure: str) -> dict[str, Any]:
    made: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 0}
    if measure in ATTRIBUTION and not arm.documents:
        made["why"] = "cannot attribute"
    return made


def _share(seen: dict[str, Any], measure: str) -> dict[str, Any]:
    """An interval that stays where its measure lives."""
    low, high = {"share": (0.0, 1.0), "score": (-1.0, 1.0)}.get(
        MEASURES[measure].unit, (-math.inf, math.inf)
    )
    seen["low"], seen["high"] = max(low, seen["low"]), min(high, seen["high"])
    return seen


def _quantiles(values: Floats) -> dict[str, Any]:
    import numpy as np

    middle, most = np.quantile(values, [0.5, 0.95])
    return {"value": float(middle), "low": float(np.min(values)), "high": float(most),
            "p50": float(middle), "p95": float(most), "n": len(values)}  # fmt: skip


def _clusters(table: Table, measure: str, counted: Floats) -> int:
    rows = table.updates if measure in OF_UPDATES else table.questions
    return len({_source(row) for row, c in zip(rows, counted, strict=True) if c})


def _source(row: Any) -> str:
    return str(row.file) if hasattr(row, "file") else str(row.source or row.id)


# ---------------------------------------------------------------- pairs and kinds


def _pairs(run: Run, draws: Draws, of_updates: Draws, column: Any) -> list[dict[str, Any]]:
    """Every two arms on the headline measures; Holm's adjustment over the pairs of a measure."""
    import numpy as np

    found: list[dict[str, Any]] = []
    for measure in PAIRED:
        source = of_updates if measure in OF_UPDATES else draws
        both, keys = [], []
        for a, b in combinations(run.table.arms, 2):
            gap = column(a, measure) - column(b, measure)
            if not np.isnan(gap).all():
                both.append(gap)
                keys.append((a, b))
        if not keys:
            continue
        drawn = source.means(np.stack(both, axis=1))
        rows = []
        for i, (a, b) in enumerate(keys):
            counted = ~np.isnan(both[i])
            seen = statistics.difference(
                drawn[:, i], float(both[i][counted].mean()), int(counted.sum()),
                _clusters(run.table, measure, counted), len(keys),
            )  # fmt: skip
            rows.append({"a": a, "b": b, "measure": measure, **asdict(seen)})
        for row, p in zip(rows, statistics.holm([r["p"] for r in rows]), strict=True):
            row["p_holm"] = p
        found += rows
    return found


def _kinds(run: Run, draws: Draws, column: Any) -> list[dict[str, Any]]:
    """For each kind of question the arm that leads, and whether it can be told from the next."""
    import numpy as np

    found = []
    for kind in dict.fromkeys(q.kind for q in run.table.questions):
        mask = np.array([q.kind == kind for q in run.table.questions])
        columns = {a: np.where(mask, column(a, "decision"), np.nan) for a in run.table.arms}
        shares = {a: float(np.nanmean(c)) for a, c in columns.items() if not np.isnan(c).all()}
        if not shares:
            continue
        order = sorted(shares, key=lambda a: (-shares[a], a))
        row: dict[str, Any] = {
            "kind": kind, "n": int(mask.sum()), "leader": order[0], "shares": shares,
            "winner": None, "more": None,
        }  # fmt: skip
        rest = order[1:]
        if rest:
            gaps = [columns[order[0]] - columns[other] for other in rest]
            drawn = draws.means(np.stack(gaps, axis=1))
            clusters = len({q.source or q.id for q in run.table.questions if q.kind == kind})
            seen = [
                statistics.difference(drawn[:, i], shares[order[0]] - shares[other],
                                      row["n"], clusters, len(rest))
                for i, other in enumerate(rest)
            ]  # fmt: skip
            adjusted = statistics.holm([d.p for d in seen])
            ahead = [p < statistics.LEVEL for p in adjusted]
            row["runner_up"], row["gap"] = rest[0], shares[order[0]] - shares[rest[0]]
            row["low"], row["high"] = seen[0].low, seen[0].high
            row["detectable"], row["more"] = seen[0].detectable, seen[0].more
            row["winner"] = order[0] if all(ahead) and row["n"] >= ENOUGH else None
            row["beaten"] = [other for other, a in zip(rest, ahead, strict=True) if a]
        found.append(row)
    return found


def _cost_curves(run: Run, costs: Mapping[str, Cost], judged: Verdict | None) -> dict[str, Any]:
    cheapest = min(costs, key=lambda a: costs[a].month) if costs else None
    even = []
    for a, b in combinations(costs, 2):
        for one, other in ((a, b), (b, a)):
            volume = break_even(costs[one], costs[other], run.prices)
            if volume is not None:
                even.append({"cheaper": one, "than": other, "from": volume})
    return {
        "currency": run.prices.currency, "prices": asdict(run.prices), "cheapest": cheapest,
        "volumes": list(VOLUMES), "curves": curve(costs, run.prices, VOLUMES), "break_even": even,
    }  # fmt: skip


def _verdict(
    run: Run, judged: Verdict | None, weights: Mapping[str, float], dropped: Sequence[str]
) -> dict[str, Any]:
    if judged is None:
        return {"winner": None, "why": "nothing was measured that has a weight", "weights": {}}
    return {
        **{k: v for k, v in asdict(judged).items() if k not in ("rivals", "stability")},
        "rivals": [{"name": r.name, **asdict(r.difference)} for r in judged.rivals],
        "stability": [asdict(s) for s in judged.stability],
        "weights": verdict.normalised(weights),
        "not_measured": list(dropped),
        "criteria": list(CRITERIA),
    }


# ---------------------------------------------------------------- one by one


def _risk(arm: Arm, run: Run) -> list[list[float]]:
    """(share of questions answered, share of the answers that are wrong), surest answers first.

    Supports exist for arms that read documents; of the others only the last point is known.
    """
    place = {q.id: i for i, q in enumerate(run.table.questions)}
    wrong = run.table.values[arm.name].get("wrong")
    mine = [r for r in run.replies if r.arm == arm.name and r.seed == 0 and not r.changed
            and not r.error and r.question in place and r.status != "declined"]  # fmt: skip
    mine.sort(key=lambda r: (-r.support, r.question))
    total = max(1, run.table.asked[arm.name])
    points, errors = [], 0.0
    for k, reply in enumerate(mine, 1):
        errors += float(wrong[place[reply.question]]) if wrong is not None else 0.0
        points.append([k / total, errors / k])
    return points if arm.documents else points[-1:]


def _updates(run: Run) -> list[dict[str, Any]]:
    found = []
    for i, update in enumerate(run.table.updates):
        row: dict[str, Any] = {
            **asdict(update),
            "skipped": run.facts.get(f"skipped {update.id}"),
            "arms": {},
        }
        for arm in run.arms:
            values = run.table.values[arm.name]
            row["arms"][arm.name] = {m: float(values[m][i]) for m in OF_UPDATES if m in values}
            row["arms"][arm.name]["answers"] = {
                r.changed: r.text for r in run.replies
                if r.arm == arm.name and r.question == update.id and r.changed and not r.error
            }  # fmt: skip
        found.append(row)
    return found


def _questions(run: Run) -> list[dict[str, Any]]:
    first = {(r.arm, r.question): r for r in run.replies if r.seed == 0 and not r.changed}
    found = []
    for i, question in enumerate(run.table.questions):
        gold = run.gold.get(question.id, ())
        row: dict[str, Any] = {**asdict(question), "arms": {}}
        for arm in run.arms:
            reply = first.get((arm.name, question.id))
            if reply is None:
                continue
            values = run.table.values[arm.name]
            marks = {m: float(v[i]) for m, v in values.items()
                     if m not in OF_UPDATES and m not in ("first", "total")}  # fmt: skip
            row["arms"][arm.name] = {
                "text": reply.text, "written": reply.written, "status": reply.status,
                "model": reply.model, "support": reply.support, "error": reply.error,
                "first": reply.first, "total": reply.total, "marks": marks,
                "citations": [
                    {**asdict(c), "gold": any(
                        metrics.overlap((c.uri, c.start, c.end), g) for p in gold for g in p)}
                    for c in reply.citations
                ],
            }  # fmt: skip
        found.append(row)
    return found
