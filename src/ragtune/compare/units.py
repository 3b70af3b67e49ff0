"""Figures as people read them: shares, times, money, intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def percent(value: float | None) -> str:
    """A share as people read it."""
    return "–" if value is None else f"{100 * value:.0f}%"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def seconds(value: float | None) -> str:
    """A time in the unit that one would say it in."""
    if value is None:
        return "–"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if value >= 1.5 * size:
            return f"{value / size:.1f} {unit}"
    return (
        f"{value:.0f} s"
        if value >= 10
        else f"{value:.1f} s"
        if value >= 1
        else (f"{1000 * value:.0f} ms")
    )


def money(value: float | None, currency: str) -> str:
    """An amount; below half a cent it says so."""
    if value is None:
        return "–"
    if 0 < value < 0.005:
        return f"< 0.01 {currency}"
    return f"{value:,.{0 if value >= 100 or not value else 2}f} {currency}"


def span(measured: Mapping[str, Any], as_share: bool = True) -> str:
    """'52–71%'."""
    low, high = measured.get("low"), measured.get("high")
    if low is None or high is None:
        return ""
    if as_share:
        return f"{100 * low:.0f}–{100 * high:.0f}%"
    return f"{number(low)} to {number(high)}"
