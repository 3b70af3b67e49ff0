"""The models that a client may name: the workspace's own setting, and each approach.

    ragtune                the workspace's setting
    ragtune/quote          the documents verbatim, without a language model
    ragtune/rag            the base writes from what the documents say
    ragtune/base           the base alone, without documents
    ragtune/hybrid         a tuned model writes from what the documents say: the one in use where it
                           is grounded, otherwise the one that ships with ragtune
    ragtune/tuned:NAME     the tuned model NAME, with documents or without, as it was trained

A name only chooses among these; it is never a path, an address or an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ragtune import config
from ragtune.models import adapters
from ragtune.server.problems import Problem
from ragtune.workspace import Workspace

OWN = "ragtune"
TUNED = "ragtune/tuned:"


@dataclass(frozen=True, slots=True)
class Choice:
    """What `ask_stream` is called with."""

    name: str
    says: str
    answer: Literal["quote", "write"] | None = None
    model: str | None = None
    documents: bool = True


def choices(workspace: Workspace) -> dict[str, Choice]:
    """All models by name, in the order that clients show them."""
    made = [
        Choice(OWN, "as the workspace is set"),
        Choice("ragtune/quote", "your documents verbatim, without a language model", "quote"),
        Choice("ragtune/rag", "the model writes from what your documents say", "write", "base"),
        Choice("ragtune/base", "the model alone, without documents", "write", "base", False),
    ]
    tuned = [
        listed
        for listed in adapters.list_adapters(workspace.root / config.DATA_FOLDER)
        if listed.passport is not None and not listed.problem
    ]
    grounded = [t for t in tuned if t.passport and t.passport.mode == "grounded"]
    for listed in sorted(grounded, key=lambda t: (not t.active, not t.built_in))[:1]:
        says = "a tuned model writes from what your documents say"
        made.append(Choice("ragtune/hybrid", says, "write", listed.name))
    for listed in tuned:
        says = f"the tuned model {listed.name}" + (" with documents" if listed in grounded else "")
        made.append(Choice(TUNED + listed.name, says, "write", listed.name, listed in grounded))
    return {choice.name: choice for choice in made}


def choose(workspace: Workspace, name: str) -> Choice:
    """The model of this name. Raises Problem 404."""
    found = choices(workspace).get(name)
    if found is None:
        detail = "no such model: GET /v1/models lists what there is"
        raise Problem(404, detail, code="model_not_found", param="model")
    return found
