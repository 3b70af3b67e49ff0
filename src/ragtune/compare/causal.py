"""Does an answer come from what it cites? Take the cited words away and ask again.

Up to 57% of citations of large models were found to be put on afterwards (Wallat et al. 2024,
"Correctness is not Faithfulness in RAG Attributions", arXiv 2412.18004): the text would have been
the same without them. Nothing is changed on disk: the store is seen through a mask that shows
blanks where the cited spans stand and finds no passage that holds one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragtune.compare.journal import Reply
from ragtune.compare.questions import Question
from ragtune.compare.runner import Contest, answer
from ragtune.protocols import Store
from ragtune.types import Document, Filter, Found, Passage

if TYPE_CHECKING:
    from ragtune.types import Vectors

CHECKED = 20  # answers of each arm that are asked again


class MaskedStore:
    """A store in which some spans, by uri, say nothing. Only reading works."""

    def __init__(self, store: Store, spans: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        self._store = store
        self._spans = dict(spans)
        self._ids: dict[int, Sequence[tuple[int, int]]] = {}
        for uri, masked in self._spans.items():
            document = store.get(uri)
            if document is not None:
                self._ids[document.id] = masked

    def get(self, document: str | int) -> Document | None:
        """The document with blanks where it is masked, offsets unchanged."""
        found = self._store.get(document)
        if found is None or found.id not in self._ids:
            return found
        return replace(found, text=blanked(found.text, self._ids[found.id]))

    def passages(self, ids: Sequence[int]) -> Sequence[Passage]:
        """The passages that hold nothing masked."""
        return [p for p in self._store.passages(ids) if not self._hides(p)]

    def search(
        self, query: str, vector: Vectors | None, k: int, where: Filter | None = None
    ) -> Found:
        """What is found, without passages that hold something masked."""
        found = self._store.search(query, vector, k, where)
        ids = [id for id, _ in (*found.lexical, *found.dense)]
        kept = {p.id for p in self.passages(list(dict.fromkeys(ids)))}
        return Found(
            tuple(pair for pair in found.lexical if pair[0] in kept),
            tuple(pair for pair in found.dense if pair[0] in kept),
        )

    def replace(self, document: Document, passages: Sequence[Passage], vectors: Vectors) -> int:
        """Refused: a mask changes nothing."""
        raise NotImplementedError

    def delete(self, uris: Sequence[str]) -> int:
        """Refused: a mask changes nothing."""
        raise NotImplementedError

    def _hides(self, passage: Passage) -> bool:
        masked = self._ids.get(passage.document, ())
        return any(passage.start < end and start < passage.end for start, end in masked)


def blanked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """`text` with blanks in the spans; line ends stay, so that its structure does."""
    for start, end in spans:
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
    return text


def run_causal(
    contest: Contest, questions: Sequence[Question], right: Mapping[tuple[str, str], bool]
) -> bool:
    """Asks again, without the cited words, what an arm had answered rightly; True when all was.

    `right` says of (arm, question) whether the first reply was right.
    """
    wanted = {q.id: q for q in questions}
    done = contest.journal.done()
    turns: list[tuple[str, Reply]] = []
    for arm in contest.running:
        if arm.documents:
            mine = [
                r for r in contest.journal.replies
                if r.arm == arm.name and r.seed == 0 and not r.changed and r.citations
                and r.question in wanted and right.get((arm.name, r.question))
            ]  # fmt: skip
            turns += [(arm.name, r) for r in mine[:CHECKED]]
    arms = {arm.name: arm for arm in contest.arms}
    turns.sort(key=lambda turn: turn[1].question)
    for number, (name, reply) in enumerate(turns):
        contest.tell("asked again without the cited words", number, len(turns), name)
        if (name, 0, reply.question, "masked") in done:
            continue
        if contest.over():
            return False
        spans: dict[str, list[tuple[int, int]]] = {}
        for cited in reply.citations:
            spans.setdefault(cited.uri, []).append((cited.start, cited.end))
        store = MaskedStore(contest.system.store, spans)
        ask = contest.ask(arms[name], 0, store)
        question = wanted[reply.question].question
        contest.journal.add(answer(arms[name], 0, reply.question, question, ask, store, "masked"))
    return True
