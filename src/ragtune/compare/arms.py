"""The approaches as values: which model writes, from what, with which prompt.

    base      the model alone                few-shot  … with the company's examples in the prompt
    rag       writes from evidence           hybrid    tuned on evidence, writes from evidence
    tuned     tuned, without documents       quote     the documents, without a language model
    routed    the workspace as it answers: its router decides for each question

An arm only sets what `ask` takes: the route's two switches, the answer mode, the generator. What
is compared is therefore what users run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from ragtune import config
from ragtune.ask import Event, ask_stream
from ragtune.config import Settings
from ragtune.errors import ConfigError
from ragtune.protocols import Generator, System
from ragtune.types import Example, Generation, Message, Route, Token

SHOTS = 4
SHOT_WORDS = 120  # a longer example would crowd the others out of a small model's window
Mode = Literal["answers", "grounded"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One approach.

    `needs` is the kind of adapter it writes with; `adapters` are their names, one for each seed.
    `shots` is how many examples stand in its prompt. `changes` are settings of its own (another
    model or endpoint). `routed` leaves the way to the workspace's router, and quoting or writing
    to its settings. Arms with nothing random in them run once for all seeds.
    """

    name: str
    says: str
    documents: bool = False
    writes: bool = True
    shots: int = 0
    needs: Mode | None = None
    adapters: tuple[str, ...] = ()
    changes: Mapping[str, str] = field(default_factory=dict)
    routed: bool = False

    def seeds(self, wanted: int, temperature: float = 0.0) -> int:
        """How many seeds can differ: training and examples do, greedy decoding does not."""
        if self.needs:
            return min(wanted, len(self.adapters))
        return wanted if self.shots or (self.writes and temperature > 0) else 1


ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("base", "the model alone, closed book"),
        Arm("few-shot", f"the model with {SHOTS} of your examples in its prompt", shots=SHOTS),
        Arm("rag", "the model writes from what your documents say", documents=True),
        Arm("tuned", "the model tuned on your examples, closed book", needs="answers"),
        Arm("hybrid", "the tuned model writes from what your documents say", documents=True,
            needs="grounded"),
        Arm("quote", "your documents verbatim, without a language model", documents=True,
            writes=False),
        Arm("routed", "this workspace as it answers, its router choosing the way", documents=True,
            routed=True),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Training:
    """What training one adapter took, wall-clock and processor seconds, peak MiB."""

    adapter: str
    seconds: float
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    examples: int = 0


class Trainer(Protocol):
    """Trains an adapter on examples and registers it with the workspace."""

    def __call__(
        self, mode: Mode, seed: int, examples: Sequence[Example], name: str, minutes: float
    ) -> Training:
        """Trains for at most `minutes` (0: as long as it takes), keeping the best.

        Raises RagtuneError where it cannot; the arm is then left out with that reason.
        """
        ...


def choose(
    names: Sequence[str], models: Sequence[str], adapters: Mapping[str, Mode], router: bool = False
) -> list[Arm]:
    """The arms of these names and models. Raises ConfigError for a name that is none.

    `router` says whether the workspace has one; without it there is no routed arm.

    A model is a tuned adapter ("crew-2": with documents or without, as it was trained), a GGUF
    file, or an endpoint "openai:MODEL@URL"; the last two make two arms each, with documents and
    without.
    """
    arms = []
    for name in names or [arm.name for arm in ARMS.values() if router or not arm.routed]:
        if name not in ARMS:
            raise ConfigError(f"no arm {name!r}: there are {', '.join(ARMS)}")
        if ARMS[name].routed and not router:
            raise ConfigError(f"arm {name!r} needs a router: run `ragtune route train`")
        arms.append(ARMS[name])
    for model in models:
        arms += _arms_of(model, adapters)
    twice = sorted({a.name for a in arms if [b.name for b in arms].count(a.name) > 1})
    if twice:
        raise ConfigError(f"arm {twice[0]!r} is named twice")
    return arms


def _arms_of(model: str, adapters: Mapping[str, Mode]) -> list[Arm]:
    if model in adapters:
        grounded = adapters[model] == "grounded"
        says = f"the adapter {model}" + (" with documents" if grounded else ", closed book")
        return [Arm(model, says, grounded, needs=adapters[model], adapters=(model,))]
    name, changes = model_of(model)
    return [
        Arm(f"{name}", f"{name} alone, closed book", changes=changes),
        Arm(f"{name}+docs", f"{name} writes from what your documents say", True, changes=changes),
    ]


def model_of(model: str, option: str = "--model") -> tuple[str, dict[str, str]]:
    """(name, settings) of a GGUF file or an endpoint "openai:MODEL@URL". Raises ConfigError."""
    if model.startswith("openai:"):
        name, at, url = model.removeprefix("openai:").rpartition("@")
        if not at or not name or not url.startswith(("http://", "https://")):
            raise ConfigError(
                f"{option} {model!r}: write an endpoint as openai:MODEL@http://HOST/v1"
            )
        return name, {"generator": "openai", "model": name, "base_url": url}
    if Path(model).suffix == ".gguf":
        if not Path(model).is_file():
            raise ConfigError(f"{option} {model}: no such file")
        return Path(model).stem, {"generator": "embedded", "model": model}
    known = "a tuned model of this workspace (see `ragtune models`), " * (option == "--model")
    raise ConfigError(f"{option} {model!r}: not {known}a .gguf file or openai:MODEL@URL")


class Asker:
    """How an arm answers: `ask_stream` with the arm's switches set. Call it with a question.

    `characters` is the size of the last prompt that its model was given.
    """

    def __init__(
        self, arm: Arm, seed: int, system: System, settings: Settings, examples: Sequence[Example]
    ) -> None:
        if arm.changes:
            settings = config.change(settings, dict(arm.changes))
        mode: Literal["quote", "write"] = "write" if arm.writes else "quote"
        self._settings = replace(
            settings, answer=settings.answer if arm.routed else mode, seed=seed
        )
        prompt = shots(examples, arm.shots, seed) if arm.shots else ()
        self._prompted = Prompted(system.generator, prompt)
        self._system = replace(system, generator=self._prompted)
        own = Route(arm.name, arm.documents, arm.adapters[seed] if arm.needs else None)
        self._route = None if arm.routed else own

    def __call__(self, question: str) -> Iterator[Event]:
        """The events of `ask_stream`."""
        self._prompted.characters = 0
        return ask_stream(question, self._system, self._settings, route=self._route)

    def warm(self) -> None:
        """Loads the model and its adapter, by one token; the router, where it decides."""
        if self._route is None:
            if self._system.router is not None:
                self._system.router.route("Hello")
            if self._settings.answer == "quote":
                return  # the model may never be needed
        adapter = self._route.adapter if self._route else self._system.adapter
        generation = Generation(1, 0.0, 0, adapter)
        for _ in self._prompted.stream([Message("user", "Hello")], generation):
            break

    @property
    def characters(self) -> int:
        """The size of the last prompt."""
        return self._prompted.characters


def shots(examples: Sequence[Example], count: int, seed: int) -> tuple[Message, ...]:
    """`count` examples as turns of a conversation, drawn by the seed, as unlike as kinds allow."""
    fitting = [e for e in examples if len(e.answer.split()) <= SHOT_WORDS] or list(examples)
    if not fitting:
        raise ConfigError("few-shot needs examples: give --examples FILE, or leave the arm out")
    drawn = random.Random(seed).sample(fitting, len(fitting))  # noqa: S311 - reproducible
    chosen: list[Example] = []
    for kind_once in (True, False):
        for example in drawn:
            new = example.kind not in {c.kind for c in chosen}
            if len(chosen) < count and example not in chosen and (new or not kind_once):
                chosen.append(example)
    return tuple(
        message
        for example in chosen
        for message in (Message("user", example.question), Message("assistant", example.answer))
    )


class Prompted:
    """A generator that puts examples between its system message and the question, and measures."""

    def __init__(self, generator: Generator, examples: Sequence[Message]) -> None:
        self.name = generator.name
        self.characters = 0
        self._generator = generator
        self._examples = list(examples)

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """The reply to `messages` with the examples put in before the conversation."""
        first = [m for m in messages if m.role == "system"]
        rest = [m for m in messages if m.role != "system"]
        whole = [*first, *self._examples, *rest]
        self.characters = sum(len(m.content) for m in whole)
        return self._generator.stream(whole, generation)
