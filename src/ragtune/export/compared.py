"""Embedder, reader and router as exported, against the workspace's: numbers, and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import TuneError
from ragtune.export import answers, check, report
from ragtune.export.answers import Questions
from ragtune.models import router as routers
from ragtune.protocols import Reading, System
from ragtune.types import Answer, OnProgress, Route

if TYPE_CHECKING:
    from ragtune.config import Settings
    from ragtune.protocols import Embedder
    from ragtune.types import Vectors
    from ragtune.workspace import Workspace

# What each part must reach to be kept. With the session option in model.json int8 gives the
# workspace's very numbers here (without it other operations are fused: cosine 0.9998, 97.5% of the
# phrases); fp32 differs by what int8 costs.
REQUIRED: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("embedder", "int8"): {"cosine_mean": 0.9999, "cosine_least": 0.999, "same_answers": 0.95},
    ("embedder", "fp32"): {"cosine_mean": 0.985, "cosine_least": 0.95, "same_answers": 0.60},
    ("embedder", "as given"): {"cosine_mean": 0.999, "cosine_least": 0.99, "same_answers": 0.90},
    ("reader", "int8"): {"same_phrases": 0.98, "score_drift": 0.05, "same_answers": 0.95},
    ("reader", "fp32"): {"same_phrases": 0.80, "score_drift": 0.60, "same_answers": 0.60},
    ("router", "as trained"): {"same_intents": 0.99, "probability_drift": 0.001},
}
_MOST = ("score_drift", "probability_drift")  # upper limits; all others are lower ones
_COUNTED = {"same_answers": "questions", "same_intents": "questions", "same_phrases": "pairs"}
_TEXTS = 60  # passages that are embedded besides the questions
_CASES = 8  # kept for check.py


class ExportedEmbedder:
    """check.Embedder as the workspace's search calls it."""

    def __init__(self, folder: Path, own: Embedder, threads: int) -> None:
        self.name = f"export/{folder}"  # not the workspace's: its vectors are kept by this name
        self.dimensions = own.dimensions
        self.max_tokens = own.max_tokens
        self._own = own
        self._part = check.Embedder(folder, threads)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return np.stack([self._part.embed(text) for text in texts])

    def count_tokens(self, text: str) -> int:
        """As the workspace's."""
        return self._own.count_tokens(text)


class ExportedReader:
    """check.Reader as `evidence.select` calls it."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.name = f"export/{folder}"
        self._part = check.Reader(folder, threads)

    def read(self, question: str, texts: Sequence[str]) -> Sequence[Reading]:
        """One reading a text."""
        return [Reading(*self._part.read(question, text)) for text in texts]


class Watched:
    """A reader that keeps the pairs that it was given, for the comparison and for check.py."""

    def __init__(self, inner: Any) -> None:
        self.name = inner.name
        self.pairs: list[tuple[str, str, Reading]] = []
        self._inner = inner

    def read(self, question: str, texts: Sequence[str]) -> Sequence[Reading]:
        """As the reader inside."""
        readings: Sequence[Reading] = self._inner.read(question, texts)
        self.pairs += [(question, t, r) for t, r in zip(texts, readings, strict=True)]
        return readings


class Comparison:
    """The workspace's quoted answers to its own questions, and every part compared with them."""

    def __init__(
        self, workspace: Workspace, questions: Questions, on_progress: OnProgress | None = None
    ) -> None:
        self._workspace = workspace
        self._questions = questions
        self._on_progress = on_progress
        self._settings: Settings = replace(workspace.settings, answer="quote")
        self._threads = workspace.settings.threads
        system = workspace.system
        self.watched = Watched(system.reader) if system.reader else None
        self._system: System = replace(system, reader=self.watched, adapter=None)
        self._ours = self._ask(self._system, "ask the workspace")

    def _ask(self, system: System, what: str) -> list[Answer]:
        route = Route("asked", True, None)
        return answers.answers(
            self._questions.texts, system, self._settings, route, what, self._on_progress
        )

    def embedder(self, folder: Path, precision: str) -> tuple[report.Part, list[dict[str, Any]]]:
        """Vectors of questions and passages, and the quotes found with the exported embedder."""
        own = self._workspace.system.embedder
        theirs = ExportedEmbedder(folder, own, self._threads)
        if theirs._part.about["dimensions"] != own.dimensions:
            raise TuneError("the exported embedder has other dimensions: it was not kept")
        texts = [*self._questions.texts, *self._passages()] or list(_TEXTS_WITHOUT_DOCUMENTS)
        cosines = (own.embed(texts) * theirs.embed(texts)).sum(axis=1)
        figures = {
            "texts": float(len(texts)),
            "cosine_mean": float(cosines.mean()),
            "cosine_least": float(cosines.min()),
        }
        line = (
            f"cosine to the workspace's vectors {figures['cosine_mean']:.4f} on average, at least "
            f"{figures['cosine_least']:.4f}, over {len(texts)} texts"
        )
        cases = [{"text": text} for text in texts[:_CASES]]
        system = replace(self._system, embedder=theirs)
        return self._part("embedder", precision, folder, figures, line, system), cases

    def reader(self, folder: Path, precision: str) -> tuple[report.Part, list[dict[str, Any]]]:
        """Scores and marked words on the pairs that the workspace read, and the quotes."""
        theirs = ExportedReader(folder, self._threads)
        own = self._workspace.system.reader
        assert own is not None  # write_reader raises otherwise
        assert self.watched is not None
        pairs = self.watched.pairs[:200]
        if not pairs:
            text = _TEXTS_WITHOUT_DOCUMENTS
            pairs = [(text[0], t, own.read(text[0], [t])[0]) for t in text]
        found = [(ours, theirs.read(question, [text])[0]) for question, text, ours in pairs]
        drift = sum(abs(a.score - b.score) for a, b in found) / len(found)
        same = sum((a.start, a.end) == (b.start, b.end) for a, b in found) / len(found)
        figures = {"pairs": float(len(found)), "score_drift": drift, "same_phrases": same}
        line = f"the same words marked in {same:.1%} of {len(found)} texts, scores {drift:.3f} off"
        cases = [{"question": q, "text": t} for q, t, _ in pairs[:: max(1, len(pairs) // _CASES)]]
        system = replace(self._system, reader=theirs)
        return self._part("reader", precision, folder, figures, line, system), cases[:_CASES]

    def router(self, folder: Path) -> tuple[report.Part, list[dict[str, Any]]]:
        """Intents and probabilities of the questions."""
        own = self._workspace.system.router
        assert isinstance(own, routers.OnnxRouter)
        part = check.Router(folder, self._threads)
        texts = list(self._questions.texts) or list(_TEXTS_WITHOUT_DOCUMENTS)
        same, worst = 0, 0.0
        for text in texts:
            ours, theirs = own.judge(text), part.route(text)
            same += ours.intents[0][0] == theirs["intent"] and ours.known == theirs["known"]
            mine = dict(ours.intents)
            names = part.about["intents"]
            off = [abs(mine[n] - p) for n, p in zip(names, theirs["probabilities"], strict=True)]
            worst = max(worst, *off)
        figures = {"questions": float(len(texts)), "same_intents": same / len(texts),
                   "probability_drift": worst}  # fmt: skip
        line = (
            f"the same intent and decision for {same} of {len(texts)} questions, probabilities at "
            f"most {worst:.4f} off"
        )
        cases = [{"question": text} for text in texts[:_CASES]]
        return self._part("router", "as trained", folder, figures, line, None), cases

    def _passages(self) -> list[str]:
        """Some passages, evenly over what was found for the questions."""
        hits = [hit for answer in self._ours for hit in answer.hits]
        texts = list(dict.fromkeys(hit.text for hit in hits))
        return texts[:: max(1, len(texts) // _TEXTS)][:_TEXTS]

    def _part(
        self, part: str, precision: str, folder: Path, figures: dict[str, float], line: str,
        system: System | None,
    ) -> report.Part:  # fmt: skip
        """The report with the answers, if the part is within what is required. TuneError."""
        required = dict(REQUIRED[part, precision])
        said = [line]
        differing: tuple[tuple[str, str, str], ...] = ()
        if system is not None:
            theirs = self._ask(system, f"ask with the {part}")
            same = answers.compare(self._questions.texts, self._ours, theirs)
            said += report.same_line(same, figures)
            differing = same.differing if same else ()
            if same is None:
                del required["same_answers"]
        for name, limit in required.items():
            asked = figures.get(_COUNTED.get(name, ""))
            if name in _MOST:
                right = figures[name] <= limit
            elif asked is not None:
                right = answers.enough(figures[name] * asked, asked, limit)
            else:
                right = figures[name] >= limit
            if not right:
                raise TuneError(
                    f"the exported {part} ({precision}) is not the workspace's: "
                    f"{name.replace('_', ' ')} {figures[name]:.3f}, "
                    f"{'at most' if name in _MOST else 'at least'} {limit:g}: it was not kept"
                )
        import onnxruntime

        runtime = f"onnxruntime {onnxruntime.__version__}"
        whole = f"{part}: " + "; ".join(said)
        return report.Part(part, precision, runtime, report.size(folder), whole, figures, required,
                           differing)  # fmt: skip


# A workspace without documents has no questions of its own: kinds of text, not knowledge.
_TEXTS_WITHOUT_DOCUMENTS = (
    "How many days of annual leave do I get?",
    "Annual leave\nEvery employee gets 28 days of annual leave a year.",
    "Who approves travel above 500 EUR?",
    "Travel\nTravel above 500 EUR is approved by the line manager before it is booked.",
    "error 0x80070057 when installing the driver",
    "The kettle switches itself off after ten minutes.",
)
