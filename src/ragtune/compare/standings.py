"""What each arm costs and what it is worth on the six criteria of the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragtune.compare import verdict
from ragtune.compare.arms import SHOTS
from ragtune.compare.cost import Cost, Effort, cost
from ragtune.compare.score import Run
from ragtune.compare.verdict import Standing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def costs_of(
    run: Run, arms: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Cost], dict[str, Effort]]:
    """Each arm's cost and the measured effort that it comes from."""
    costs, efforts = {}, {}
    syncs = [float(v) for k, v in run.facts.items()
             if k.startswith("sync ") and k.endswith(" after")]  # fmt: skip
    indexing = run.facts.get("indexing") or {}
    for arm in run.arms:
        mine = [r for r in run.replies if r.arm == arm.name and not r.changed and not r.error]
        training = run.facts.get(f"training {arm.name} 0") or {}
        again = run.facts.get(f"retraining {arm.name}") or training
        measured = arms[arm.name]
        joules = [r.joules for r in mine if r.joules is not None]
        effort = Effort(
            indexing=float(indexing.get("cpu_seconds", 0.0)) if arm.documents else 0.0,
            training=_cpu(training),
            examples=int(training.get("examples", 0)) if arm.needs else SHOTS if arm.shots else 0,
            change=sorted(syncs)[len(syncs) // 2] if syncs and arm.documents else 0.0,
            retraining=_cpu(again) if arm.needs and not arm.documents else 0.0,
            question=sum(r.cpu for r in mine) / len(mine) if mine else 0.0,
            joules=sum(joules) / len(joules) if joules else None,
            tokens_in=_mean([r.prompt_characters / 4 for r in mine]) if arm.changes else 0.0,
            tokens_out=_mean([len(r.written or "") / 4 for r in mine]) if arm.changes else 0.0,
            right=measured["decision"]["value"] or 0.0,
            wrong=measured["wrong"]["value"] or 0.0,
            declined=_declined(measured, run),
        )
        efforts[arm.name] = effort
        costs[arm.name] = cost(effort, run.prices)
    return costs, efforts


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _cpu(training: Mapping[str, Any]) -> float:
    return float(training.get("cpu_seconds") or training.get("seconds") or 0.0)


def _declined(measured: Mapping[str, Any], run: Run) -> float:
    """The share of all questions that were answerable and declined."""
    answerable = sum(q.answerable for q in run.table.questions)
    value = measured["wrongly_declined"]["value"] or 0.0
    return float(value) * answerable / max(1, len(run.table.questions))


def standings(
    run: Run,
    arms: Mapping[str, Mapping[str, Any]],
    means: Mapping[tuple[str, str], Floats],
    costs: Mapping[str, Cost],
) -> tuple[list[Standing], dict[str, float], list[str]]:
    """The arms' criteria; the weights without what was not measured, and why."""
    import numpy as np

    weights = dict(run.prices.weights)
    dropped = []
    measured = {
        "style": any(arms[a]["style"]["n"] for a in arms),
        "freshness": any(arms[a]["fresh"]["n"] for a in arms),
        "attribution": any(arms[a]["citation_recall"]["n"] for a in arms),
    }
    why = {
        "style": "no examples and no format rules to tell the company's voice by",
        "freshness": "no file of updates, or none was run",
        "attribution": "no question has gold evidence",
    }
    for criterion, there in measured.items():
        if not there and weights.get(criterion):
            weights[criterion] = 0.0
            dropped.append(f"{criterion} was not measured: {why[criterion]}")
    if not any(weights.values()):
        return [], weights, dropped
    months = {a: _months(run, costs[a], means, a) for a in arms}
    cheapest = np.min(np.stack(list(months.values())), axis=0)
    least = min(c.month for c in costs.values())
    found = []
    for arm in run.arms:
        m = arms[arm.name]
        own = {k: means.get((arm.name, k)) for k in (
            "decision", "citation_precision", "citation_recall", "style", "fresh")}  # fmt: skip
        values = {
            "accuracy": m["decision"]["value"] or 0.0,
            "attribution": verdict.attribution(
                m["citation_precision"]["value"] or 0.0, m["citation_recall"]["value"] or 0.0
            ),
            "style": m["style"]["value"] or 0.0,
            "freshness": m["fresh"]["value"] or 0.0,
            "cost": least / costs[arm.name].month if costs[arm.name].month > 0 else 1.0,
            "speed": verdict.speed(m["total"]["value"] or 0.0),
        }
        drawn: dict[str, Floats] = {}
        for criterion, name in (("accuracy", "decision"), ("style", "style"),
                                ("freshness", "fresh")):  # fmt: skip
            d = own[name]
            if d is not None:
                drawn[criterion] = np.where(np.isnan(d), values[criterion], d)
        p, r = own["citation_precision"], own["citation_recall"]
        if p is not None and r is not None:
            p, r = np.nan_to_num(p), np.nan_to_num(r)
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn["attribution"] = np.nan_to_num(2 * p * r / (p + r))
        month = months[arm.name]
        drawn["cost"] = np.divide(cheapest, month, out=np.ones_like(month), where=month > 0)
        found.append(Standing(arm.name, values, drawn))
    return found, weights, dropped


def _months(run: Run, cost: Cost, means: Mapping[tuple[str, str], Floats], arm: str) -> Floats:
    """A month's total in each resample: the shares of wrong and declined answers vary."""
    import numpy as np

    answerable = sum(q.answerable for q in run.table.questions) / max(1, len(run.table.questions))
    wrong = np.nan_to_num(means[arm, "wrong"])
    declined = np.nan_to_num(means[arm, "wrongly_declined"]) * answerable
    mistakes = wrong * run.prices.wrong_answer + declined * run.prices.declined_answer
    rest = cost.month - cost.mistakes * run.prices.questions_month
    return np.asarray(rest + mistakes * run.prices.questions_month)
