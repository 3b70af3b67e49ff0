"""What is kept of documents stays within its bound."""

from __future__ import annotations

from pathlib import Path

from ragtune.store import EmbeddedStore
from ragtune.store.fake import document
from ragtune.store.kept import Kept


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    ids = [store.replace(*document(f"{n}", ["x" * 1000])) for n in range(4)]
    with store._reading() as db:
        kept = Kept(most=3000)
        first = [kept.get(db, "id", n) for n in ids[:2]]
        assert [kept.get(db, "id", n) is f for n, f in zip(ids, first, strict=False)] == [True] * 2
        kept.get(db, "id", ids[2])
        kept.get(db, "id", ids[3])
        assert kept.get(db, "id", ids[0]) is not first[0]
        assert kept._size <= 3000 + 200
