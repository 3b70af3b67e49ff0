"""What requests may hold: every field bounded, unknown fields refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

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
    """The code of a sign-in link or a token (`secret`), or `name` and `password`."""

    secret: Annotated[str, StringConstraints(min_length=8, max_length=200)] | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SignIn:
        if (self.secret is None) == (self.name is None or self.password is None):
            raise ValueError("send secret, or name and password")
        return self


# ---------------------------------------------------------------- documents


class Cited(Body):
    """A citation that was given earlier."""

    uri: Uri
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    quote: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    sha256: Annotated[str, StringConstraints(max_length=80)]
    around: int = Field(default=0, ge=0, le=2000, description="characters before and after")


# ---------------------------------------------------------------- examples and feedback

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class Source(Body):
    """Where an answer stands: a verbatim quote of a document."""

    document: Uri
    quote: Text


class Example(Body):
    """A question with the answer that a model shall learn."""

    question: Question
    answer: Text
    evidence: list[Source] = Field(default=[], max_length=10)
    kind: Annotated[str, StringConstraints(max_length=40)] = ""
    must_contain: list[Short] = Field(default=[], max_length=20)
    reviewed: bool = True

    def row(self, id: str) -> dict[str, object]:
        """As a row of the file."""
        made = self.model_dump()
        if self.reviewed:
            del made["reviewed"]
        return {"id": id, **{k: v for k, v in made.items() if v not in ("", [])}}


class CheckExamples(Body):
    """Which examples to check; all by default."""

    ids: list[Short] = Field(default=[], max_length=200)
    show: int = Field(default=2, ge=0, le=50, description="shown as the model sees them")


class Feedback(Body):
    """What a person says about an answer. `keep` makes the answer itself an example."""

    question: Question
    answer: Text
    thumb: Literal["up", "down"]
    correction: Text | None = None
    comment: Annotated[str, StringConstraints(max_length=4000)] = ""
    model: Annotated[str, StringConstraints(max_length=200)] = ""
    evidence: list[Source] = Field(default=[], max_length=10)
    keep: bool = False


# ---------------------------------------------------------------- long work

Name = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,54}[A-Za-z0-9_-])?$")
]


class Tune(Body):
    """A tuning of the workspace's examples; what is left out is as `ragtune tune` has it."""

    name: Name = "tuned"
    mode: Literal["answers", "grounded", "reader"] | None = None
    facts: Literal["keep", "skip"] | None = None
    epochs: int | None = Field(default=None, ge=1, le=100)
    rank: int | None = Field(default=None, ge=1, le=256)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    batch: int | None = Field(default=None, ge=1, le=256)
    minutes: float | None = Field(default=None, gt=0, le=10_000)
    seed: int | None = Field(default=None, ge=0, le=1 << 31)
    samples: int | None = Field(default=None, ge=0, le=1000)
    restart: bool = Field(default=False, description="gives an interrupted run of this name up")


class TestQuestion(Body):
    """A question of a comparison with its answers, and where they stand."""

    question: Question
    answers: list[Text] = Field(min_length=1, max_length=20)
    evidence: list[Source] = Field(default=[], max_length=10)


class Compare(Body):
    """A comparison; without `questions` a part of the examples is held out and asked."""

    questions: list[TestQuestion] = Field(default=[], max_length=2000)
    arms: list[Literal["base", "few-shot", "rag", "tuned", "hybrid", "quote"]] = Field(
        default=[], max_length=6
    )
    seeds: int = Field(default=1, ge=1, le=20)
    budget: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}[smh]$")] | None = "20m"


class Use(Body):
    """A tuned model, or "base"."""

    name: Name
