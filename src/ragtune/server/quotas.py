"""How much one key (or a person who is signed in) may ask for; beyond it: 429 with Retry-After.

Rate and concurrent requests are counted in memory, questions and written tokens of a day (UTC) in
the database, so that a restart forgives nothing. The owner has no limits.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ragtune.server.database import Database
from ragtune.server.options import Limits
from ragtune.server.problems import Problem
from ragtune.server.users import OWNER_NAME, Principal

KEPT = 10_000  # keys and names that are counted
DAY = 86_400


@dataclass(slots=True)
class _State:
    tokens: float
    at: float
    running: int = 0


class Quotas:
    """What each key has used. All from the event loop's thread."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._states: OrderedDict[str, _State] = OrderedDict()

    def enter(self, principal: Principal) -> Callable[[], None]:
        """Lets a request in; call what comes back when it ends. Raises Problem 429."""
        if principal.name == OWNER_NAME:
            return lambda: None
        given = principal.quota
        rate = _or(given.per_minute, self._limits.per_minute)
        most = _or(given.at_once, self._limits.at_once)
        now = time.monotonic()
        state = self._states.setdefault(_who(principal), _State(float(rate), now))
        self._states.move_to_end(_who(principal))
        if len(self._states) > KEPT:
            self._states.popitem(last=False)
        if most and state.running >= most:
            raise _over(f"at most {most} requests at once", 1)
        if rate:
            state.tokens = min(float(rate), state.tokens + (now - state.at) * rate / 60)
            state.at = now
            if state.tokens < 1:
                raise _over(f"at most {rate} requests a minute", 60 * (1 - state.tokens) / rate)
            state.tokens -= 1
        state.running += 1

        def release() -> None:
            state.running -= 1

        return release

    def question(self, principal: Principal) -> None:
        """Counts a question before it is asked. Raises Problem 429 where the day's are used up."""
        if principal.name == OWNER_NAME:
            return
        now = time.time()
        given = principal.quota
        most = _or(given.questions_a_day, self._limits.questions_a_day)
        tokens = _or(given.tokens_a_day, self._limits.tokens_a_day)
        row = self._database.row(
            "SELECT questions, tokens FROM used WHERE who = ? AND day = ?",
            (_who(principal), _day()),
        )
        questions, written = row or (0, 0)
        if (most and questions >= most) or (tokens and written >= tokens):
            raise _over("what this key may ask in a day is used up", DAY - now % DAY)
        self._add(principal, 1, 0)

    def written(self, principal: Principal, tokens: int) -> None:
        """Counts what a model wrote for `principal`."""
        if tokens and principal.name != OWNER_NAME:
            self._add(principal, 0, tokens)

    def _add(self, principal: Principal, questions: int, tokens: int) -> None:
        self._database.change(
            "INSERT INTO used (who, day, questions, tokens) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (who, day) DO UPDATE SET questions = questions + excluded.questions,"
            " tokens = tokens + excluded.tokens",
            (_who(principal), _day(), questions, tokens),
        )


def _who(principal: Principal) -> str:
    return principal.key or principal.name


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def _day() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _over(detail: str, seconds: float) -> Problem:
    wait = max(1, round(seconds + 0.5))
    return Problem(429, f"{detail}: try again in {wait} s", {"Retry-After": str(wait)})
