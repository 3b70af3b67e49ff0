"""From a row of named values to an Example: which columns mean what, and whose turn is whose.

A shape is chosen once for a file, from the names of its columns and the kinds of their values; a
row that does not fit it is left out with a reason, never guessed at.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragtune.errors import TuneError
from ragtune.tune.row_files import Row, Rows
from ragtune.types import Example, Gold, Message

Role = Literal["system", "user", "assistant"]

MAX_CHARACTERS = 200_000  # of a question, an answer, a turn: far more than any window here
MAX_TURNS = 1_000
FIELDS = ("question", "answer", "input", "system", "history", "messages", "evidence", "document",
          "kind", "must_contain", "id", "reviewed")  # fmt: skip

# In the order of preference; names are compared in lower case with "_" for blanks and hyphens.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "dialog", "dialogue", "chat",
                 "turns"),
    "question": ("question", "instruction", "prompt", "query", "user", "human", "request",
                 "input", "inputs", "problem", "user_message", "frage", "questions", "q"),
    "answer": ("answer", "completion", "response", "output", "reply", "chosen", "assistant",
               "answers", "answer_text", "responses", "outputs", "target", "solution", "gpt",
               "antwort", "expected_output", "ground_truth", "a", "text", "label"),
    "input": ("input", "context"),
    "system": ("system", "system_prompt", "system_message"),
    "history": ("history",),
    "evidence": ("evidence", "quote", "quotes"),
    "document": ("document", "uri", "source", "file"),
    "kind": ("kind",),
    "must_contain": ("must_contain",),
    "id": ("id", "_id", "qid", "example_id", "question_id", "uuid"),
    "reviewed": ("reviewed",),
}  # fmt: skip
ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user", "customer": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant",
    "bot": "assistant", "ai": "assistant", "agent": "assistant",
}  # fmt: skip
_TOOLS = frozenset(
    "tool function observation function_call tool_call function_response tool_response ipython "
    "environment".split()
)
_BROKEN = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\ud800-\udfff\ufffd]")


class RowError(ValueError):
    """Why a row is left out."""


class RoleError(RowError):
    """A role that is not known: stops the reading, since turns would be dropped or swapped."""

    def __init__(self, role: object) -> None:
        super().__init__(f"unknown role {str(role)[:40]!r}")
        self.role = str(role)[:40]


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows are understood: the shape's name and which column gives which field.

    `sure` is from 0 to 1: how plainly the names of the columns say it. `ignored` are the columns
    that are not used.
    """

    name: str
    columns: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    sure: float = 1.0


# ---------------------------------------------------------------- choosing


def choose(rows: Rows, given: Mapping[str, str], where: str) -> Shape:
    """The shape of all rows. `given` (field: column) goes before what names suggest."""
    seen: Counter[str] = Counter(str(key) for row in rows.rows[:2000] for key in row)
    have = list(seen)
    for name, column in given.items():
        if name not in FIELDS:
            raise TuneError(f"--column {name}=…: the fields are {', '.join(FIELDS)}")
        if column not in seen:
            raise TuneError(f"{where}: no column {column!r}; there are {_list(have)}")
    by_name: dict[str, str] = {}
    for key in have:
        by_name.setdefault(_plain(key), key)
    taken = set(given.values())

    def find(field: str) -> str | None:
        if field in given:
            return given[field]
        names = (by_name[n] for n in _NAMES[field] if n in by_name)
        return next((c for c in names if c not in taken and _filled(rows.rows, c)), None)

    columns: dict[str, str] = {}

    def take(*fields: str) -> None:
        for field in fields:
            if (column := find(field)) is not None:
                columns[field] = column
                taken.add(column)

    rest = ("system", "history", "evidence", "document", "kind", "must_contain", "id", "reviewed")
    chat = find("messages")
    if chat and ("messages" in given or ("question" not in given and _turns_like(rows.rows, chat))):
        take("messages", "system", "evidence", "document", "kind", "must_contain", "id", "reviewed")
        share_gpt = any("from" in turn for turn in _first_turns(rows.rows, chat))
        name, sure = ("ShareGPT conversations" if share_gpt else "messages"), 1.0
    else:
        take("question", "answer")
        if "question" not in columns or "answer" not in columns:
            lost = "answer" if "question" in columns else "question"
            raise TuneError(
                f"{where}: no column of {lost}s among {_list(have)}: name it with "
                f"--column {lost}=COLUMN"
            )
        question, answer = _plain(columns["question"]), _plain(columns["answer"])
        if "input" in given or question == "instruction":
            take("input")
        name, sure = _named(question, answer, bool(given), have)
        take(*rest)
        if "evidence" not in columns:
            columns.pop("document", None)
    ignored = tuple(c for c in have if c not in set(columns.values()))
    return Shape(name, columns, ignored, sure)


def _named(question: str, answer: str, given: bool, have: Sequence[str]) -> tuple[str, float]:
    """The shape's name and how sure it is."""
    if given:
        return "columns as named", 1.0
    known = {
        ("question", "answer"): "question/answer",
        ("question", "answers"): "question/answers",
        ("instruction", "output"): "instruction/input/output",
        ("instruction", "response"): "instruction/context/response",
        ("prompt", "completion"): "prompt/completion",
        ("prompt", "response"): "prompt/response",
        ("prompt", "chosen"): "preferences (the chosen answers)",
    }
    names = {_plain(name) for name in have}
    rivals = sum(n in names for n in _NAMES["question"][:9]) + sum(
        n in names for n in _NAMES["answer"][:8]
    )
    sure = 1.0 if (question, answer) in known else 0.8
    if rivals > 2 and not {"instruction", "input"} <= names and not {"answer", "answers"} <= names:
        sure = min(sure, 0.6)
    if answer in ("text", "label", "a", "target"):
        sure = min(sure, 0.5)
    return known.get((question, answer), f"{question}/{answer}"), sure


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n[:40]) for n in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "no columns"


def _filled(rows: Sequence[Row], column: str) -> bool:
    return any(row.get(column) not in (None, "", [], {}) for row in rows[:2000])


def _first_turns(rows: Sequence[Row], column: str) -> list[Mapping[str, Any]]:
    for row in rows[:50]:
        turns = _parsed(row.get(column))
        if isinstance(turns, list) and turns and all(isinstance(t, Mapping) for t in turns):
            return turns
    return []


def _turns_like(rows: Sequence[Row], column: str) -> bool:
    return any({"role", "from", "content", "value"} & set(t) for t in _first_turns(rows, column))


# ---------------------------------------------------------------- rows


def example(row: Row, number: int, shape: Shape) -> Example:
    """The example of one row. Raises RowError with the reason why it gives none."""
    columns = shape.columns
    system = _text(row, columns, "system")
    history: tuple[Message, ...] = ()
    if "messages" in columns:
        turns = _turns(row.get(columns["messages"]))
        question, answer, system, history = _conversation(turns, system)
    else:
        asked, said = row.get(columns["question"]), row.get(columns["answer"])
        if _is_turns(asked) or _is_turns(said):  # prompt/completion as lists of messages
            turns = _turns(asked, "user")
            replies = _turns(said, "assistant")
            if len(replies) > len(turns) and replies[: len(turns)] == turns:
                turns = []  # preferences: the chosen list repeats the prompt
            question, answer, system, history = _conversation([*turns, *replies], system)
        else:
            question, answer = _value(asked, "question"), _first(said, columns["answer"])
            if more := _text(row, columns, "input"):
                question = f"{question}\n\n{more}"
            history = _pairs(row.get(columns.get("history", "")))
    if not question:
        raise RowError("the question is empty")
    if not answer:
        raise RowError("the answer is empty")
    return Example(
        question=question,
        answer=answer,
        id=_text(row, columns, "id"),
        row=number,
        system=system,
        history=history,
        evidence=_evidence(row, columns),
        kind=_text(row, columns, "kind"),
        must_contain=_list_of(row.get(columns.get("must_contain", "")), "must_contain"),
    )


def unreviewed(row: Row, shape: Shape) -> bool:
    """Whether a row says that nobody has looked at it yet."""
    value = row.get(shape.columns.get("reviewed", ""))
    return value is False or (isinstance(value, str) and value.strip().lower() in ("false", "no"))


def _value(value: Any, what: str) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowError(f"the {what} is no text but {type(value).__name__}")
    text = str(value) if not isinstance(value, str) else value.strip()
    if len(text) > MAX_CHARACTERS:
        raise RowError(f"the {what} has {len(text):,} characters, more than {MAX_CHARACTERS:,}")
    if match := _BROKEN.search(text):
        raise RowError(f"the {what} holds a damaged or control character (U+{ord(match[0]):04X})")
    return text


def _text(row: Row, columns: Mapping[str, str], field: str) -> str:
    return _value(row.get(columns[field]), field) if field in columns else ""


def _first(value: Any, column: str) -> str:
    """An answer, or the first of a list of answers (also SQuAD's `{"text": […]}`).

    A text that is itself JSON stays as it is (the company may answer in JSON), unless the column
    says that it holds several answers, as "answers" in a CSV file does.
    """
    if _plain(column) in ("answers", "responses", "outputs"):
        value = _parsed(value)
    if isinstance(value, Mapping) and isinstance(value.get("text"), list | str):
        value = value["text"]
    if isinstance(value, list | tuple):
        value = value[0] if value else None
        if isinstance(value, Mapping) and isinstance(value.get("text"), str):
            value = value["text"]
    return _value(value, "answer")


def _parsed(value: Any) -> Any:
    """`value`, or what its JSON text says, as conversations stand in CSV cells."""
    if isinstance(value, str) and value[:1] in "[{" and len(value) <= 10 * MAX_CHARACTERS:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _list_of(value: Any, what: str) -> tuple[str, ...]:
    value = _parsed(value)
    if isinstance(value, list | tuple):
        return tuple(text for item in value if (text := _value(item, what)))
    text = _value(value, what)
    return (text,) if text else ()


def _evidence(row: Row, columns: Mapping[str, str]) -> tuple[Gold, ...]:
    value = _parsed(row.get(columns.get("evidence", "")))
    document = _text(row, columns, "document")
    found = []
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, Mapping):
            quote = _value(item.get("quote", item.get("text")), "evidence")
            named = _value(item.get("document", item.get("uri")), "evidence") or document
        else:
            quote, named = _value(item, "evidence"), document
        if quote:
            found.append(Gold(named, quote))
    return tuple(found)


# ---------------------------------------------------------------- turns


def _is_turns(value: Any) -> bool:
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], Mapping):
        return False
    return bool({"role", "from"} & set(value[0]))


def _turns(value: Any, default: Role | None = None) -> list[Message]:
    """The turns of a conversation; neighbours of one role become one turn."""
    value = _parsed(value)
    if default and isinstance(value, str):
        return [Message(default, text)] if (text := _value(value, "turn")) else []
    if not isinstance(value, list | tuple):
        raise RowError("no list of turns")
    if len(value) > MAX_TURNS:
        raise RowError(f"{len(value)} turns, more than {MAX_TURNS}")
    turns: list[Message] = []
    for number, turn in enumerate(value, 1):
        if not isinstance(turn, Mapping):
            raise RowError(f"turn {number} is no object with a role and a content")
        said = turn.get("role", turn.get("from", turn.get("speaker")))
        if said is None:
            raise RowError(f"turn {number} has no role")
        role = ROLES.get(str(said).strip().casefold())
        if str(said).strip().casefold() in _TOOLS or turn.get("tool_calls"):
            raise RowError("tool calls: only text is trained")
        if role is None:
            raise RoleError(said)
        content = _content(turn.get("content", turn.get("value", turn.get("text"))))
        if turns and turns[-1].role == role and role != "system":
            content = f"{turns[-1].content}\n\n{content}".strip()
            turns.pop()
        turns.append(Message(role, content))
    return turns


def ends(value: Any) -> tuple[Role, Role] | None:
    """Whose turn is the first and whose the last of a conversation, without system turns."""
    try:
        turns = [turn.role for turn in _turns(value) if turn.role != "system"]
    except RowError:
        return None
    return (turns[0], turns[-1]) if turns else None


def _content(value: Any) -> str:
    """A turn's text; a list of parts must hold texts only."""
    if isinstance(value, list | tuple):
        parts = []
        for part in value:
            if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
                raise RowError("a turn holds more than text (a picture or a file)")
            parts.append(part["text"])
        value = "\n".join(parts)
    return _value(value, "turn")


def _conversation(
    turns: Sequence[Message], system: str
) -> tuple[str, str, str, tuple[Message, ...]]:
    """Question, answer, system message and history: the last assistant turn is the answer.

    Earlier assistant turns stand in the history and are not trained, so that a row is one example
    and a split cannot put half a conversation on each side. Turns after the last answer are left
    out: nobody answered them.
    """
    rest = list(turns)
    while rest and rest[0].role == "system":
        system = f"{system}\n\n{rest.pop(0).content}".strip()
    while rest and rest[-1].role != "assistant":
        rest.pop()
    if not rest:
        raise RowError("no assistant turn")
    if not rest[-1].content:
        raise RowError("the answer is empty")
    if len(rest) < 2 or rest[-2].role != "user":
        raise RowError("no user turn before the answer")
    return rest[-2].content, rest[-1].content, system, tuple(rest[:-2])


def _pairs(value: Any) -> tuple[Message, ...]:
    """A history of `[question, answer]` pairs or of turns."""
    value = _parsed(value)
    if value in (None, "", []) or not isinstance(value, list | tuple):
        return ()
    if _is_turns(value):
        return tuple(_turns(value))
    history: list[Message] = []
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise RowError("the history is no list of [question, answer] pairs")
        history += [Message("user", _value(pair[0], "history")),
                    Message("assistant", _value(pair[1], "history"))]  # fmt: skip
    return tuple(history)
