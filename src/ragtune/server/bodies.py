"""What requests may hold: every field bounded, unknown fields refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ragtune.server.options import Limits
from ragtune.types import Filter

_LIMITS = Limits()
Question = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=_LIMITS.question_characters),
]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Where(Body):
    """Exact restrictions on documents; see `ragtune.types.Filter`."""

    path: list[Short] = Field(default=[], max_length=20, description="globs over the uri")
    type: list[Short] = Field(default=[], max_length=20)
    tag: list[Short] = Field(default=[], max_length=20)
    since: float | None = Field(default=None, description="POSIX seconds, included")
    until: float | None = None

    def filter(self) -> Filter:
        """As the library's value."""
        return Filter(tuple(self.path), tuple(self.type), tuple(self.tag), self.since, self.until)


class Search(Body):
    """A search."""

    query: Question
    k: int = Field(default=10, ge=1, le=100)
    where: Where | None = None


class Ask(Body):
    """A question; `history` holds the earlier questions of the conversation, oldest first."""

    question: Question
    history: list[Question] = Field(default=[], max_length=_LIMITS.history)
    model: Short = "ragtune"
    answer: Literal["quote", "write"] | None = Field(
        default=None, description="overrides the model's way"
    )
    where: Where | None = None
    stream: bool = Field(default=True, description="false: one JSON object, the answer")


class SignIn(Body):
    """The code of a sign-in link, or a token."""

    secret: Annotated[str, StringConstraints(min_length=8, max_length=200)]
