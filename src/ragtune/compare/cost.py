"""What an arm costs: measured seconds times a price file, once, per change and per question."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragtune.errors import ConfigError, said

DEFAULT = Path(__file__).parent / "prices.toml"
CRITERIA = ("accuracy", "freshness", "cost", "attribution", "style", "speed")


@dataclass(frozen=True, slots=True)
class Prices:
    """The price file. Money in `currency`; see prices.toml for what each means."""

    currency: str
    cpu_hour: float
    gpu_hour: float
    kilowatt_hour: float
    input_tokens_million: float
    output_tokens_million: float
    labelling_hour: float
    minutes_per_example: float
    wrong_answer: float
    declined_answer: float
    questions_month: float
    changes_month: float
    changes_per_training: float
    months: float
    weights: Mapping[str, float] = field(default_factory=dict)


def read_prices(path: Path | None = None) -> Prices:
    """The prices of a file, over the defaults. Raises ConfigError for an unknown or wrong entry."""
    base = tomllib.loads(DEFAULT.read_text("utf-8"))
    if path is not None:
        try:
            given = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read {path}: {said(error)}") from None
        for name, value in given.items():
            if name not in base or isinstance(value, dict) != isinstance(base[name], dict):
                raise ConfigError(f"{path}: unknown entry {name!r}")
            if isinstance(value, dict):
                _merge(base[name], value, f"{path}: [{name}]")
            else:
                base[name] = str(value)[:8]
    weights = base["weights"]
    if sum(weights.values()) <= 0:
        raise ConfigError(f"{path}: [weights]: at least one must be above 0")
    values = {**base["compute"], **base["people"], **base["volume"]}
    if min(values["months"], values["changes_per_training"], values["questions_month"]) <= 0:
        raise ConfigError(
            f"{path}: months, questions_month and changes_per_training must be above 0"
        )
    return Prices(currency=base["currency"], weights=weights, **values)


def _merge(base: dict[str, float], given: Mapping[str, Any], where: str) -> None:
    for name, value in given.items():
        if name not in base:
            raise ConfigError(f"{where}: unknown entry {name!r}; there are {', '.join(base)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ConfigError(f"{where}: {name} must be a number from 0 upwards")
        base[name] = float(value)


@dataclass(frozen=True, slots=True)
class Effort:
    """What was measured of an arm. Seconds are of the processor, one core."""

    indexing: float = 0.0
    training: float = 0.0  # once
    examples: int = 0  # that somebody had to write
    change: float = 0.0  # taking one change into the index
    retraining: float = 0.0  # training again after changes
    question: float = 0.0
    joules: float | None = None  # a question
    tokens_in: float = 0.0  # a question, at an endpoint
    tokens_out: float = 0.0
    right: float = 0.0  # shares of questions
    wrong: float = 0.0
    declined: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """An arm's cost in money: `month` is everything, `correct` that of one right answer."""

    fixed: float
    change: float
    question: float
    mistakes: float  # a question, of wrong and declined answers
    month: float
    correct: float

    def at(self, questions: float, prices: Prices) -> float:
        """A month's total at another number of questions."""
        rest = self.fixed / prices.months + self.change * prices.changes_month
        return rest + (self.question + self.mistakes) * questions


def cost(effort: Effort, prices: Prices) -> Cost:
    """What this effort costs at these prices.

    A change of a fact costs taking it into the index or its share of training again, with the
    example that somebody has to write for it.
    """
    core = prices.cpu_hour / 3600
    label = prices.labelling_hour / 60 * prices.minutes_per_example
    fixed = (effort.indexing + effort.training) * core + effort.examples * label
    change = effort.change * core
    if effort.retraining:
        change += effort.retraining * core / prices.changes_per_training + label
    question = effort.question * core
    question += (effort.joules or 0.0) / 3.6e6 * prices.kilowatt_hour
    question += effort.tokens_in / 1e6 * prices.input_tokens_million
    question += effort.tokens_out / 1e6 * prices.output_tokens_million
    mistakes = effort.wrong * prices.wrong_answer + effort.declined * prices.declined_answer
    month = fixed / prices.months + change * prices.changes_month
    month += (question + mistakes) * prices.questions_month
    correct = month / (effort.right * prices.questions_month) if effort.right else math.inf
    return Cost(fixed, change, question, mistakes, month, correct)


def break_even(one: Cost, other: Cost, prices: Prices) -> float | None:
    """Questions a month from which `one` is cheaper than `other`; None: never, or always."""
    per = (one.question + one.mistakes) - (other.question + other.mistakes)
    if per >= 0:
        return None
    volume = (one.at(0, prices) - other.at(0, prices)) / -per
    return volume if volume > 0 else None


def curve(
    costs: Mapping[str, Cost], prices: Prices, volumes: Sequence[float]
) -> dict[str, list[float]]:
    """A month's total of each arm at these numbers of questions."""
    return {name: [c.at(v, prices) for v in volumes] for name, c in costs.items()}
