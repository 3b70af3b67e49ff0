"""What a principal may see: the only way from a request to the workspace's documents.

Routes and MCP tools never touch `Workspace` or its store for documents; they ask a View. Names of
documents are looked up among those that are stored, never on disk, and what a principal may not
see is answered exactly as what is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from ragtune import retrieve
from ragtune.ask import Event
from ragtune.errors import DocumentError
from ragtune.server.access import Principal
from ragtune.types import Citation, Document, DocumentInfo, Filter, Hit, Passage
from ragtune.visibility import Visibility
from ragtune.workspace import Workspace


class View:
    """The workspace as `principal` sees it; every method blocks, so call it by `Work`."""

    def __init__(
        self, workspace: Workspace, principal: Principal, visible: Visibility | None = None
    ) -> None:
        """`visible` is what `Users.visibility` says of `principal`; None: everything."""
        self._workspace = workspace
        self.principal = principal
        self._visible = visible

    @property
    def whole(self) -> bool:
        """Whether nothing is hidden from the principal."""
        return self._visible is None

    def _within(self, where: Filter | None) -> Filter | None:
        """`where`, and only what the principal may see; the store applies it before it scores."""
        if self._visible is None:
            return where
        return replace(where or Filter(), visible=self._visible)

    def sees(self, uri: str) -> bool:
        """Whether the principal may see a document of this uri, be it there or not."""
        return self._visible is None or self._visible.sees(uri)

    def may_replace(self, uri: str) -> bool:
        """Whether the principal may see the file of this uri and all that can be inside it."""
        return self._visible is None or self._visible.sees_whole(uri)

    # ------------------------------------------------------------ documents

    def documents(self, where: Filter | None = None) -> list[DocumentInfo]:
        """State of each document, sorted by uri."""
        return self._workspace.documents(self._within(where))

    def info(self, uri: str) -> DocumentInfo:
        """State of one document. Raises DocumentError."""
        info = self._workspace.store.info(uri)
        if info is None or not self.sees(uri):
            raise missing(uri)
        return info

    def document(self, uri: str) -> Document:
        """The document of exactly this uri. Raises DocumentError."""
        info = self.info(uri)
        document = self._workspace.store.get(uri)
        if document is None:
            raise DocumentError(f"{uri} could not be read: {info.error}")
        return document

    def passages(self, uri: str) -> list[Passage]:
        """The passages of a document. Raises DocumentError."""
        return self._workspace.passages(self.document(uri))

    def check(self, citation: Citation) -> Literal["current", "moved", "stale"]:
        """Whether a citation still says what it said; "stale" for what the principal cannot see."""
        if not self.sees(citation.uri):
            return "stale"
        return self._workspace.check(citation)

    # ------------------------------------------------------------ questions

    def search(self, query: str, k: int | None, where: Filter | None = None) -> list[Hit]:
        """The k best segments."""
        workspace = self._workspace
        workspace.refresh()
        return retrieve.search(query, workspace.system, workspace.settings, self._within(where), k)

    def ask_stream(
        self,
        question: str,
        where: Filter | None = None,
        history: Sequence[str] = (),
        answer: Literal["quote", "write"] | None = None,
        model: str | None = None,
        documents: bool = True,
    ) -> Iterator[Event]:
        """As `Workspace.ask_stream`."""
        return self._workspace.ask_stream(
            question, self._within(where), history, answer, model, documents
        )

    def writes(
        self, answer: Literal["quote", "write"] | None, model: str | None, documents: bool
    ) -> bool:
        """Whether a model writes the answer to a question asked with these arguments."""
        return self._workspace.mode(answer, model, documents) == "write"


def missing(uri: str) -> DocumentError:
    """The one error for what is not there and what may not be seen."""
    return DocumentError("no such document")
