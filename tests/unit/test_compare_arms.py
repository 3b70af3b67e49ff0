"""Which arms there are, and that the routed one answers as the workspace does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ragtune.ask import ask
from ragtune.compare.arms import ARMS, Asker, choose
from ragtune.compare.journal import Reply
from ragtune.compare.questions import Question
from ragtune.compare.score import Style, score
from ragtune.config import Settings
from ragtune.errors import ConfigError
from ragtune.models.fakes import HashEmbedder, ScriptedGenerator
from ragtune.models.router import DECLINED
from ragtune.protocols import System
from ragtune.store.embedded import EmbeddedStore
from ragtune.types import Answer, Route


def test_the_routed_arm_is_there_with_a_router_only() -> None:
    without = [arm.name for arm in choose((), (), {})]
    assert "routed" not in without
    assert [arm.name for arm in choose((), (), {}, router=True)] == [*without, "routed"]
    with pytest.raises(ConfigError, match="route train"):
        choose(("routed",), (), {})


@dataclass(frozen=True)
class FirstWord:
    """A router that has three ways."""

    def route(self, question: str) -> Route:
        first = question.split()[0]
        ways = {
            "hours": Route("hours", False, None, "From 9 to 5."),
            "chat": Route("chat", False),
        }
        return ways.get(first, Route("unsure"))


def test_the_routed_arm_answers_as_the_workspace_does(tmp_path: Path) -> None:
    def system() -> System:
        return System(
            store=EmbeddedStore(tmp_path / "store"),
            embedder=HashEmbedder(),
            generator=ScriptedGenerator(["Good morning."]),
            router=FirstWord(),
        )

    for question in ("hours please", "chat with me", "what is the notice period"):
        expected = ask(question, system(), Settings())
        asker = Asker(ARMS["routed"], 0, system(), Settings(), ())
        asker.warm()
        events = [event for event in asker(question) if isinstance(event, Answer)]
        assert [(a.text, a.route, a.status) for a in events] == [
            (expected.text, expected.route, expected.status)
        ]


def test_a_router_that_sends_a_question_away_has_refused_it() -> None:
    nobody = Question("1", "Who won?", answerable=False)
    fact = Question("2", "Who founded us?", answers=("Sena",))
    away = Reply("routed", 0, "1", text=DECLINED, status="uncited", model="reply")
    assert score(nobody, away, ARMS["routed"], (), Style())["decision"] == 1.0
    assert score(fact, away, ARMS["routed"], (), Style())["wrongly_declined"] == 1.0
    fixed = replace(away, text="From 9 to 5.")
    assert score(nobody, fixed, ARMS["routed"], (), Style())["decision"] == 0.0
