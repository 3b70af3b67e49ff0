"""Every result as it happens, one JSON line each: what a kill leaves behind is all that was done.

The first line says what is compared (a hash of the questions, the arms, the settings that change
answers); a journal of anything else is refused. A last line that was cut is taken off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ragtune.errors import ConfigError

FILE = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation as it was given, with whether the document said so at that moment."""

    uri: str
    start: int
    end: int
    quote: str
    label: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """One arm's answer to one question.

    `written` is the model's raw text (None when nothing wrote), `text` the verified result. Times
    are seconds: to the first token (or the whole answer where nothing streams), to the answer, and
    of the processor. `prompt_characters` is the size of what the model was given. `found` are the
    hits' spans, best first. `error` is set when it failed.
    """

    arm: str
    seed: int
    question: str
    text: str = ""
    written: str | None = None
    status: str = ""
    model: str = ""
    support: float = 0.0
    citations: tuple[Cited, ...] = ()
    found: tuple[tuple[str, int, int], ...] = ()
    first: float = 0.0
    total: float = 0.0
    cpu: float = 0.0
    joules: float | None = None
    prompt_characters: int = 0
    error: str = ""
    changed: str = ""  # what was done to the documents before: "", "masked", or an update's step
    timings: Mapping[str, float] = field(default_factory=dict)


class Journal:
    """The open journal of one comparison."""

    def __init__(self, folder: Path, header: Mapping[str, Any], resume: bool) -> None:
        """Opens or begins it. Raises ConfigError for one that is there and is not to be resumed."""
        self.path = folder / FILE
        self.replies: list[Reply] = []
        self.facts: dict[str, Any] = {}
        known = self.path.exists() and self._read(dict(header), resume)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {self.path}: {error.strerror}") from None
        if not known:
            self._write({"header": dict(header)})

    def _read(self, header: dict[str, Any], resume: bool) -> bool:
        """Takes in what was done; False when not even the header was whole."""
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", "replace").splitlines()
        if not lines:
            self.path.write_bytes(b"")
            return False
        if not resume:
            raise ConfigError(
                f"{self.path} holds a comparison already: go on with --resume, or choose another "
                "--out"
            )
        try:
            rows = [json.loads(line) for line in lines]
            first = rows[0]["header"]
            names = {f.name for f in fields(Reply)}
            for row in rows[1:]:
                if "reply" in row:
                    values = {k: v for k, v in row["reply"].items() if k in names}
                    values["citations"] = tuple(Cited(**c) for c in values["citations"])
                    values["found"] = tuple(tuple(f) for f in values["found"])
                    self.replies.append(Reply(**values))
                elif "fact" in row:
                    self.facts[row["fact"]] = row["value"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.path} is damaged ({error}): choose another --out") from None
        if first != json.loads(json.dumps(header)):
            other = [k for k in {*first, *header} if first.get(k) != header.get(k)]
            raise ConfigError(
                f"{self.path} is of another comparison (different: {', '.join(sorted(other))}): "
                "choose another --out"
            )
        if len(whole) < len(data):  # a line that a kill has cut
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        return True

    def add(self, reply: Reply) -> None:
        """Keeps a reply; on disk when this returns."""
        self.replies.append(reply)
        self._write({"reply": asdict(reply)})

    def note(self, name: str, value: object) -> None:
        """Keeps a fact of the run (seconds of indexing, an adapter's training)."""
        self.facts[name] = value
        self._write({"fact": name, "value": value})

    def done(self) -> set[tuple[str, int, str, str]]:
        """(arm, seed, question, changed) of every reply."""
        return {(r.arm, r.seed, r.question, r.changed) for r in self.replies}

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
