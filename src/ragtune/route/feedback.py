"""Questions that people asked, with the document that answers them: from feedback and examples.

A thumb up on an answer with citations says that the question belongs to the document cited first;
a thumb up on "the documents do not answer this question" says that it is out of scope. A thumb
down takes a thumb up back, one for one. What nobody was content with teaches nothing by itself:
where its right answer stands is known once an editor has let the correction through, and then it
is an example.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ragtune.cite import DECLINED

Asked = tuple[str, str]  # a question, and a document's uri; "" means out of scope


def places(rows: Iterable[Mapping[str, Any]]) -> list[Asked]:
    """What most people's word is on each question that they gave a thumb to.

    Rows have `question`, `answer`, `thumb` ("up", "down") and `evidence`, as `POST /api/feedback`
    takes them. Answers from nowhere (a model's own words, a fixed reply) say nothing. A citation
    that people like counts more than a refusal that they like.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        document = _document(row)
        declined = not document and str(row.get("answer", "")).strip() == DECLINED
        if (document or declined) and row.get("thumb") in ("up", "down"):
            votes[_question(row)][document] += 1 if row["thumb"] == "up" else -1
    found = []
    for question, counts in votes.items():
        liked = [(count, document) for document, count in counts.items() if count > 0]
        cited = [(count, document) for count, document in liked if document]
        if question and liked:
            found.append((question, max(cited or liked)[1]))
    return found


def taught(rows: Iterable[Mapping[str, Any]]) -> list[Asked]:
    """The questions of reviewed examples whose evidence names a document."""
    pairs = [(_question(row), _document(row)) for row in rows]
    return [(question, document) for question, document in pairs if question and document]


def _question(row: Mapping[str, Any]) -> str:
    return " ".join(str(row.get("question", "")).split())


def _document(row: Mapping[str, Any]) -> str:
    """The uri that is cited first, or ""."""
    evidence = row.get("evidence")
    first = evidence[0] if isinstance(evidence, list) and evidence else {}
    return str(first.get("document", "")) if isinstance(first, dict) else ""
