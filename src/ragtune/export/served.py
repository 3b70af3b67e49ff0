"""A generator that leaves, against the one in the workspace: tokens, distributions, answers.

    the workspace's prompts ─▶ its own answers ─┬─▶ next-token distributions, teacher-forced ─┐
                                                └─▶ verified answers ──────────────────────┐ │
    the export, in the runtime it is for ──────────── the same, from the exported file ────┴─┴▶ gate

`tune/parity.py` measures; here is what it is measured on, and for which runtimes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ragtune.errors import TuneError
from ragtune.export import answers
from ragtune.export.answers import Questions, Recorder, Same
from ragtune.models import adapters, weights
from ragtune.models.generate import EmbeddedGenerator, load_generator
from ragtune.models.llama import Teacher
from ragtune.protocols import System
from ragtune.tune import base, chat, export, parity
from ragtune.tune.parity import Parity, Reference
from ragtune.types import Adapter, Answer, Generation, Message, OnProgress, Route, Token

if TYPE_CHECKING:
    from ragtune.config import Settings
    from ragtune.models.adapters import Listed
    from ragtune.workspace import Workspace

# Shares of the workspace's questions that must get the very same answer. A single rounded tie
# between two tokens makes another answer, so that these are lower than the agreement of tokens.
SAME = {
    "adapter": 0.90, "f16": 0.85, "q8_0": 0.85, "q4_0": 0.40,
    "onnx fp32": 0.85, "onnx int8": 0.85, "onnx int4": 0.50,
}  # fmt: skip
# The workspace's llama.cpp rounds activations itself (parity.py): what is allowed beyond an
# export's own tolerance where both are compared, in nats.
BOTH_ROUND = 0.010
_SHORT = 12  # tokens of an answer that SAME is for
_PROMPTS = 16  # of the workspace's prompts that are teacher-forced


class Runtime(Protocol):
    """An exported generator in the runtime it is for."""

    name: str

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """Writes greedily, as a Generator does."""
        ...

    def top(self, ids: Sequence[int], count: int) -> Mapping[int, float]:
        """The likeliest next tokens after `ids` with their natural log-probabilities."""
        ...

    def prompt(self, messages: Sequence[Message]) -> Sequence[int] | None:
        """The tokens that this runtime evaluates for `messages`; None where it does not say."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """The workspace with what it takes to ask it once more with another generator."""

    system: System
    settings: Settings
    route: Route
    tokenizer: Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the workspace says itself: questions, answers, and its tokens on its own prompts.

    `prompts` are (messages, what was written); `served` is what its own llama.cpp says of them and
    `trained` the trainer's reference, where there is one; each with how far tuning moved the base
    on it (`…_effect`, nats). `asked` is None where there is no workspace.
    """

    questions: Questions
    answers: tuple[Answer, ...]
    prompts: tuple[tuple[tuple[Message, ...], str], ...]
    trained: Reference | None
    trained_effect: float
    served: Reference | None = None
    served_effect: float = 0.0
    asked: Asked | None = None
    length: float = 0.0  # tokens of an answer, on average

    @property
    def settings(self) -> Settings:
        """The workspace's."""
        assert self.asked is not None
        return self.asked.settings

    @property
    def tokenizer(self) -> Any:
        """The base's."""
        assert self.asked is not None
        return self.asked.tokenizer


@dataclass(frozen=True, slots=True)
class Compared:
    """An exported generator against the trainer (`trained`) and the workspace (the rest).

    `tokenized` counts prompts for which its runtime evaluates the very tokens of training, of
    `prompts`; None where it cannot be asked.
    """

    runtime: str
    trained: Parity | None
    served: Parity | None
    same: Same | None
    prompts: int
    tokenized: int | None
    length: float = 0.0  # tokens of the workspace's answers, on average

    def least_same(self, kind: str) -> float:
        """The least share of same answers: each further dozen tokens is as likely to differ."""
        return float(SAME[kind] ** max(1.0, self.length / _SHORT))


def trainer_only(model: Listed) -> Recorded:
    """Without a workspace: only what the trainer's model said of its held-out examples."""
    passport = model.passport
    effect = float(passport.parity.get("effect", 0.0)) if passport else 0.0
    trained = parity.read_reference(model.folder / export.PARITY)
    return Recorded(Questions((), "none"), (), (), trained, effect)


def record(
    workspace: Workspace,
    model: Listed | None,
    base_gguf: Path,
    questions: Questions,
    on_progress: OnProgress | None = None,
) -> Recorded:
    """Asks the workspace and keeps what it wrote. `model` None is the base, with documents."""
    grounded = model is None or (model.passport is not None and model.passport.mode == "grounded")
    name = model.name if model else None
    route = Route("asked", grounded, name)
    settings = replace(workspace.settings, answer="write")
    fewer = replace(settings, threads=parity.half(settings.threads))
    recorder = Recorder(load_generator(fewer, None, workspace.system.adapters))
    system = replace(workspace.system, generator=recorder, adapter=name)
    said = answers.answers(
        questions.texts, system, settings, route, "ask the workspace", on_progress
    )
    tokenizer = base.load_tokenizer(base_gguf)
    encoded = [chat.encode(m, t, tokenizer) for m, t in recorder.kept if t.strip()][:_PROMPTS]
    file = model.folder / adapters.FILE if model else None
    served, effect = None, 0.0
    if encoded:
        longest = max(len(e.ids) for e in encoded)
        teacher = Teacher(base_gguf, file, longest + 8, parity.half(settings.threads))
        served = parity.reference_by(teacher.top, encoded)
        if file is not None:
            plain = parity.measure_by(served, lambda ids, n: teacher.top(ids, n, adapt=False), 0)
            effect = plain.divergence
    kept = model.folder / export.PARITY if model else None
    trained = parity.read_reference(kept) if kept is not None else None
    passport = model.passport if model else None
    trained_effect = float(passport.parity.get("effect", 0.0)) if passport else 0.0
    asked = Asked(workspace.system, settings, route, tokenizer)
    length = sum(len(e.answer) for e in encoded) / max(1, len(encoded))
    return Recorded(
        questions, tuple(said), tuple(recorder.kept), trained, trained_effect, served, effect,
        asked, length,
    )  # fmt: skip


def compare(
    recorded: Recorded, runtime: Runtime, on_progress: OnProgress | None = None
) -> Compared:
    """Runs the export on everything that was recorded. Raises GenerationError."""
    trained, served = (
        parity.measure_by(made, runtime.top, effect) if made is not None else None
        for made, effect in (
            (recorded.trained, recorded.trained_effect),
            (recorded.served, recorded.served_effect),
        )
    )
    if recorded.asked is None:
        return Compared(runtime.name, trained, served, None, 0, None)
    asked = recorded.asked
    system = replace(asked.system, generator=runtime, adapter=asked.route.adapter)
    texts = recorded.questions.texts
    said = answers.answers(
        texts, system, asked.settings, asked.route, "ask the export", on_progress
    )
    same = answers.compare(texts, recorded.answers, said)
    tokens = [(runtime.prompt(m), chat.encode_prompt(m, asked.tokenizer))
              for m, _ in recorded.prompts]  # fmt: skip
    known = [tuple(theirs) == ours for theirs, ours in tokens if theirs is not None]
    right = sum(known) if known else None
    return Compared(runtime.name, trained, served, same, len(tokens), right, recorded.length)


def gate(found: Compared, kind: str) -> None:
    """Raises TuneError where an export is beyond what is allowed for its kind."""
    if found.trained is not None:
        parity.gate(found.trained, kind)
    if found.served is not None:
        parity.gate(found.served, kind, BOTH_ROUND)
    if found.tokenized is not None and found.tokenized < found.prompts:
        raise TuneError(
            f"{found.runtime} makes other tokens of {found.prompts - found.tokenized} of "
            f"{found.prompts} prompts than were trained: it was not kept; report this base's "
            "tokenizer"
        )
    same = found.same
    least = found.least_same(kind) if same is not None else 0.0
    if same is not None and not answers.enough(same.same, same.asked, least):
        raise TuneError(
            f"the exported {kind} gives the workspace's answer to {same.same} of "
            f"{same.asked} of its questions (at least {least:.0%}): it was not kept"
        )


# ---------------------------------------------------------------- llama.cpp


class LlamaRuntime:
    """A GGUF file (with an adapter beside it where given) in llama.cpp."""

    def __init__(
        self, model: Path, adapter: Path | None, settings: Settings, context: int = 4096
    ) -> None:
        import xllamacpp

        version = getattr(xllamacpp, "__version__", "")
        self.name = f"llama.cpp (xllamacpp {version})".replace(" )", ")")
        threads = parity.half(settings.threads)
        own = {}
        if adapter is not None:
            own["exported"] = Adapter("exported", str(adapter), "answers", weights.sha256(model))
        self._adapter = "exported" if own else None
        self._generator = EmbeddedGenerator(
            model.stem, lambda: model, settings.context_tokens, threads, own
        )
        self._teacher = Teacher(model, adapter, context, threads)

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """Writes with the exported file, whatever adapter the workspace names."""
        return self._generator.stream(messages, replace(generation, adapter=self._adapter))

    def top(self, ids: Sequence[int], count: int) -> Mapping[int, float]:
        """Next tokens after `ids`."""
        return self._teacher.top(ids, count)

    def prompt(self, messages: Sequence[Message]) -> None:
        """llama.cpp renders the template in the file: shown equal by a test of ragtune's."""
        return None
