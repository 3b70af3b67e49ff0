"""Does an export answer as the workspace does? The same questions, asked twice, compared.

The questions are those of the examples held out when the model was tuned, or of a file, or, where
there are none, questions that the documents give (the drafts of `ragtune examples build`).
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragtune import ask
from ragtune.errors import TuneError
from ragtune.protocols import System
from ragtune.tune import build, examples
from ragtune.types import Answer, OnProgress, Progress, Route

if TYPE_CHECKING:
    from ragtune.config import Settings
    from ragtune.models.adapters import Listed
    from ragtune.protocols import Generator
    from ragtune.types import Generation, Message, Token
    from ragtune.workspace import Workspace

QUESTIONS = 32  # asked, at most
_LEAST = 8  # held-out questions; fewer are joined by some that the documents give
_SHOWN = 5  # differences that a report keeps


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked, and where it is from, for the report."""

    texts: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Same:
    """How many of `asked` got the same answer: text, state and cited places.

    `differing` are some questions that did not, with the workspace's answer and the export's.
    """

    asked: int
    same: int
    differing: tuple[tuple[str, str, str], ...] = ()

    @property
    def share(self) -> float:
        """Same answers of all, 0 to 1."""
        return self.same / self.asked


def own_questions(
    workspace: Workspace,
    model: Listed | None,
    file: Path | None = None,
    count: int = QUESTIONS,
    on_progress: OnProgress | None = None,
) -> Questions:
    """The workspace's own questions; none where it has neither examples nor documents.

    Raises TuneError for a file that is none.
    """
    if file is not None:
        found = [e.question for e in examples.read_examples(file).examples]
        return Questions(_spread(found, count), file.name)
    held = _held_out(model)
    if len(held) >= _LEAST:
        return Questions(_spread(held, count), "examples held out in tuning")
    found = [*held, *_from_documents(workspace, count - len(held), on_progress)]
    source = "examples held out in tuning, and the documents" if held else "the documents"
    return Questions(tuple(dict.fromkeys(found)), source if found else "none")


def _held_out(model: Listed | None) -> list[str]:
    if model is None:
        return []
    try:
        rows = json.loads((model.folder / "samples.json").read_text("utf-8"))
        return [str(row["question"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # a model that was tuned without: the documents give some


def _from_documents(workspace: Workspace, count: int, on_progress: OnProgress | None) -> list[str]:
    system, settings = workspace.system, workspace.settings
    infos = [i for i in workspace.documents() if i.state == "indexed"]
    documents = [d for d in (workspace.store.get(i.uri) for i in infos) if d is not None]
    if not documents:
        return []
    with tempfile.TemporaryDirectory(prefix="ragtune-") as folder:
        file = Path(folder) / "drafts.jsonl"
        try:
            build.build(documents, system, settings, file, count, on_progress, use_model=False)
        except TuneError:  # documents without a sentence to ask about
            return []
        return [json.loads(line)["question"] for line in file.read_text("utf-8").splitlines()]


def _spread(found: Sequence[str], count: int) -> tuple[str, ...]:
    unique = list(dict.fromkeys(found))
    return tuple(unique[:: max(1, -(-len(unique) // count))][:count])


def enough(right: float, asked: float, share: float) -> bool:
    """Whether `right` of `asked` is not significantly less than `share` (one-sided, 95%).

    Few questions say little: of 8, one answer is twelve points.
    """
    spare = 1.645 * math.sqrt(asked * share * (1.0 - share))
    return right >= share * asked - spare


# ---------------------------------------------------------------- asked twice


class Recorder:
    """A generator that keeps what it was asked and what it wrote."""

    def __init__(self, inner: Generator) -> None:
        self.name = inner.name
        self.kept: list[tuple[tuple[Message, ...], str]] = []
        self._inner = inner

    def stream(self, messages: Sequence[Message], generation: Generation) -> Iterator[Token]:
        """As the generator inside."""
        written = []
        for token in self._inner.stream(messages, generation):
            written.append(token.text)
            yield token
        self.kept.append((tuple(messages), "".join(written)))


def answers(
    questions: Sequence[str],
    system: System,
    settings: Settings,
    route: Route,
    what: str,
    on_progress: OnProgress | None = None,
) -> list[Answer]:
    """What `system` answers, the way `route` says, greedily."""
    settings = replace(settings, temperature=0.0)
    made = []
    for done, text in enumerate(questions):
        if on_progress is not None:
            on_progress(Progress(what, done, len(questions), text))
        made.append(ask.ask(text, system, settings, route=route))
    if on_progress is not None:
        on_progress(Progress(what, len(questions), len(questions)))
    return made


def compare(
    questions: Sequence[str], ours: Sequence[Answer], theirs: Sequence[Answer]
) -> Same | None:
    """How many answers are the same; None where nothing was asked."""
    if not questions:
        return None
    both = list(zip(questions, ours, theirs, strict=True))
    differing = [(q, _shown(a), _shown(b)) for q, a, b in both if _identity(a) != _identity(b)]
    return Same(len(both), len(both) - len(differing), tuple(differing[:_SHOWN]))


def _identity(answer: Answer) -> tuple[object, ...]:
    places = [(c.uri, c.start, c.end, c.phrase_start, c.phrase_end) for c in answer.citations]
    return answer.status, answer.text, places


def _shown(answer: Answer) -> str:
    return " ".join(answer.text.split())[:200]
