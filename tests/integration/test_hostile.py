"""Hostile documents, the short form of `python -m benchmarks.hostile`."""

import sys
from pathlib import Path
from typing import ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
pytest.importorskip("fastapi")
pytest.importorskip("docx")
pytest.importorskip("reportlab")
pytest.importorskip("openpyxl")

from benchmarks import hostile, hostile_documents

from ragtune.types import Answer, Evidence

pytestmark = pytest.mark.integration


def test_nothing_is_forged_fetched_or_told(tmp_path: Path) -> None:
    """Every answer, in every format and attack: the assertions are in `hostile.attacks`."""
    found = hostile.attacks(tmp_path, each=1, write=True)
    assert found["documents"] == 5 * len(hostile_documents.FORMATS)
    assert not found["not readable"]
    read = {what: indexed for what, (indexed, _) in found["hidden"].items()}
    assert len(read) > 10
    assert not any(read.values())


def test_a_lie_is_cited_as_its_own_document(tmp_path: Path) -> None:
    asked = hostile.questions(3)
    tally = hostile.poisoned(tmp_path, 1, asked, written=0)["quote"]
    assert tally["asked"] == 3
    assert tally["lie named by its document"] == tally["lie shown"]


def test_the_check_sees_a_forged_citation_and_a_secret() -> None:
    """The assertions can fail."""
    with pytest.raises(AssertionError):
        hostile.check(_NoDocuments(), _answer("x [1]", "cited"))  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="another group"):
        hostile.check(_NoDocuments(), _answer(hostile.SECRET, "uncited"))  # type: ignore[arg-type]


class _NoDocuments:
    store: ClassVar[dict[str, object]] = {}


def _answer(text: str, status: str) -> Answer:
    from ragtune.types import Route

    return Answer(text, (), Evidence().hits, status, Route(), {}, "quote")  # type: ignore[arg-type]
