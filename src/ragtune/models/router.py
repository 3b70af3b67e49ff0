"""The router as `ask` uses it: one ONNX file that names a question's intent, and where that goes.

    .ragtune/router/
      router.onnx        token ids ─▶ embedding, logits, score, similarities
      tokenizer.json
      router.json        intents, threshold, figures; written last
      questions.json     the training questions: [text, number of the intent or -1 for out of
                         scope], first those of `similarities` in their order; the text is "" where
                         a similarity is that to an intent's name
      routes.toml        intent ─▶ documents | tuned | both | decline | a reply; yours to edit

softmax(logits) are calibrated probabilities; a question is known when its score reaches the
threshold, and otherwise goes the safe way. The text of a question is only ever turned into
numbers: nothing in it can name an intent, a route or a reply (compare CVE-2026-5002).
"""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune.errors import ConfigError, WeightsError
from ragtune.models import adapters, runtime
from ragtune.types import Route

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = "router"  # in the workspace's data folder
BEFORE = ".router-before"  # there only while a new router takes the place of an old one
ROUTES = "routes.toml"
FORMAT = 1
OUTSIDE = "oos"  # the intent that means: out of scope
UNSURE = "unsure"  # the key of routes.toml for what the router does not know
MAX_CHARACTERS = 2000  # of a question; the rest is not read
MAX_TOKENS = 256
TARGETS = ("documents", "tuned", "both", "decline")
DECLINED = "This is not a question for me."


@dataclass(frozen=True, slots=True)
class Target:
    """Where an intent goes: one of TARGETS, or "reply" with its text."""

    way: str = "documents"
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Passport:
    """What router.json holds. `figures` are those on held-out folds of the training questions.

    `questions` counts them, each once.
    """

    intents: tuple[str, ...]
    threshold: float
    variant: str
    questions: int
    created: str  # ISO 8601, UTC
    sha256: str  # of router.onnx
    figures: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT
    max_characters: int = MAX_CHARACTERS
    max_tokens: int = MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the router makes of a question.

    `intents` are all intents with their probabilities, likeliest first; `known` is whether `score`
    reaches `threshold`; `target` is where the question goes, as a Route in `route`.
    """

    intents: tuple[tuple[str, float], ...]
    score: float
    threshold: float
    known: bool
    target: Target
    route: Route


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: tuple[int, int]  # of router.json and routes.toml
    passport: Passport
    targets: Mapping[str, Target]
    session: Any
    tokenizer: Any


class OnnxRouter:
    """The router in a folder; loads at its first question, and again when its files change.

    `adapter` gives the tuned model in use, or None. Thread-safe. Every question may raise
    WeightsError for a damaged router and ConfigError for a wrong routes.toml.
    """

    def __init__(self, folder: Path, adapter: Callable[[], str | None] = lambda: None) -> None:
        self.folder = folder
        self._adapter = adapter
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def passport(self) -> Passport:
        """What router.json holds."""
        return self._ready().passport

    def route(self, question: str) -> Route:
        """The route for `question`; the safe way where the router is not sure."""
        return self.judge(question).route

    def judge(self, question: str) -> Judgement:
        """Intents, probabilities, and which way and why."""
        loaded = self._ready()
        logits, score = _run(loaded, question, ("logits", "score"))
        chances = _softmax(logits[0])
        order = (-chances).argsort(kind="stable")
        intents = tuple((loaded.passport.intents[i], float(chances[i])) for i in order)
        threshold = loaded.passport.threshold
        known = float(score[0]) >= threshold
        name = intents[0][0] if known else UNSURE
        target = loaded.targets.get(name, Target())
        route = as_route(name, target, self._adapter())
        return Judgement(intents, float(score[0]), threshold, known, target, route)

    def outputs(self, question: str, names: Sequence[str]) -> list[NDArray[np.float32]]:
        """The graph's outputs of these names for one question."""
        return _run(self._ready(), question, names)

    def _ready(self) -> _Loaded:
        stamp = _changed(self.folder / "router.json"), _changed(self.folder / ROUTES)
        loaded = self._loaded
        if loaded is not None and (loaded.stamp == stamp or not stamp[0]):
            return loaded  # also while a new router is being put in the old one's place
        with self._lock:
            loaded = self._loaded
            if loaded is None or loaded.stamp != stamp:
                self._loaded = loaded = _load(self.folder, stamp, loaded)
            return loaded


def load_router(data_folder: Path) -> OnnxRouter | None:
    """The workspace's router with the tuned model in use, or None where none was trained."""
    for folder in (data_folder / FOLDER, data_folder / BEFORE):
        if (folder / "router.json").exists():
            return OnnxRouter(folder, lambda: adapters.active(data_folder))
    return None


def _load(folder: Path, stamp: tuple[int, int], before: _Loaded | None) -> _Loaded:
    passport = read_passport(folder)
    targets = read_routes(folder / ROUTES, passport.intents)
    if before is not None and before.stamp[0] == stamp[0]:
        return _Loaded(stamp, passport, targets, before.session, before.tokenizer)
    try:
        session = runtime.session(folder / "router.onnx")
        tokenizer = runtime.tokenizer(folder / "tokenizer.json")
    except WeightsError as error:
        raise WeightsError(f"{error}: `ragtune route train` makes it again") from None
    widths = {value.name: value.shape[-1] for value in session.get_outputs()}
    if widths.get("logits") != len(passport.intents) or "score" not in widths:
        raise WeightsError(f"{folder}: its files do not fit: `ragtune route train` makes it again")
    return _Loaded(stamp, passport, targets, session, tokenizer)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _run(loaded: _Loaded, question: str, names: Sequence[str]) -> list[NDArray[np.float32]]:
    import numpy as np

    ids = np.array([encode(loaded.tokenizer, question)], np.int64)
    results: list[NDArray[np.float32]] = loaded.session.run(list(names), {"input_ids": ids})
    return results


def encode(tokenizer: Any, question: str) -> list[int]:
    """Token ids with special tokens: at most MAX_CHARACTERS read, at most MAX_TOKENS given."""
    text = question[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    encoding = tokenizer.encode(text, add_special_tokens=False)
    encoding.truncate(MAX_TOKENS - tokenizer.num_special_tokens_to_add(False))
    ids: list[int] = tokenizer.post_process(encoding).ids
    return ids


def as_route(name: str, target: Target, adapter: str | None) -> Route:
    """The Route of a target; "tuned" without a tuned model in use goes the safe way."""
    if target.way in ("reply", "decline"):
        return Route(name, False, None, target.reply or DECLINED)
    return Route(name, not (target.way == "tuned" and adapter), adapter)


def read_passport(folder: Path) -> Passport:
    """Raises WeightsError where there is no router or its description is damaged."""
    path = folder / "router.json"
    again = "`ragtune route train` makes it again"
    try:
        values = json.loads(path.read_text("utf-8"))
        values["intents"] = tuple(str(name) for name in values["intents"])
        passport = Passport(**values)
        float(passport.threshold)
    except OSError:
        raise WeightsError(f"no router in {folder}: run `ragtune route train`") from None
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{path} is damaged ({error}): {again}") from None
    if passport.format != FORMAT:
        raise WeightsError(f"{path} is of another version of ragtune: {again}")
    return passport


# ---------------------------------------------------------------- routes.toml


def read_routes(path: Path, intents: Sequence[str]) -> dict[str, Target]:
    """Where each intent goes; those that the file leaves out go to the documents.

    Raises ConfigError for a file, an intent or a way that is not understood.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    unknown = set(table) - {"routes", UNSURE}
    if unknown:
        raise ConfigError(
            f"{path}: unknown key {sorted(unknown)[0]!r}; keys are [routes], {UNSURE}"
        )
    routes = table.get("routes", {})
    if not isinstance(routes, dict):
        raise ConfigError(f"{path}: [routes] must be a table of intents")
    for intent in routes:
        if intent not in intents:
            raise ConfigError(f"{path}: the router knows no intent {intent!r}: see `ragtune route`")
    targets = {intent: _target(value, f"{path}: {intent}") for intent, value in routes.items()}
    targets[UNSURE] = _target(table.get(UNSURE, "documents"), f"{path}: {UNSURE}")
    return targets


def _target(value: Any, where: str) -> Target:
    if isinstance(value, str) and value in TARGETS:
        return Target(value)
    if isinstance(value, dict) and set(value) == {"reply"}:
        reply = value["reply"]
        if isinstance(reply, str) and reply.strip():
            return Target("reply", reply)
    ways = ", ".join(f'"{way}"' for way in TARGETS)
    raise ConfigError(f'{where}: must be one of {ways}, or {{ reply = "text" }}')


def routes_text(intents: Sequence[str], kept: Mapping[str, Target]) -> str:
    """The text of a routes.toml for `intents`, with the targets in `kept`."""
    lines = [
        "# Where each intent goes; the change is in force at the next question.",
        '#   "documents"           searched and quoted, as without a router',
        '#   "tuned"               the tuned model in use, without documents',
        '#   "both"                documents, said by the tuned model in use',
        '#   "decline"             not for me',
        '#   { reply = "text" }    this reply, word for word',
        "",
        "# What the router does not know with enough certainty goes this way:",
        f"{UNSURE} = {_toml(kept.get(UNSURE, Target()))}",
        "",
        "[routes]",
    ]
    lines += [f"{_quoted(name)} = {_toml(kept.get(name, Target()))}" for name in intents]
    return "\n".join(lines) + "\n"


def _toml(target: Target) -> str:
    if target.way == "reply":
        return f"{{ reply = {_quoted(target.reply or '')} }}"
    return _quoted(target.way)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    import numpy as np

    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    chances: NDArray[np.float64] = shifted / shifted.sum()
    return chances
