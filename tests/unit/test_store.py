"""What the store promises, piece by piece."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragtune.errors import WorkspaceError
from ragtune.store import EmbeddedStore, FileStat, schema, text_hash
from ragtune.store.fake import document, vector
from ragtune.store.rows import pack_map, unpack_map
from ragtune.store.schema import MIGRATIONS
from ragtune.types import Anchor, Block, Filter, SourceMap


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "data")


def test_an_empty_store_answers(store: EmbeddedStore) -> None:
    assert store.search("anything", vector("anything"), 5).lexical == ()
    assert store.documents() == []
    assert store.get("nothing") is None
    assert store.passages([1, 2]) == []
    assert store.delete(["nothing"]) == 0
    assert store.counts().passages == 0
    assert store.verify().ok


def test_a_document_comes_back_as_it_was(store: EmbeddedStore) -> None:
    found, passages, vectors = document("ü/a.pdf", ["Grüße 👋", "two\x00"], heading="H > I")
    map = SourceMap(
        (Block(0, 3, "heading", 1), Block(4, 7, "row")),
        (Anchor(0, 3, page=1, box=(0.5, 1.0, 2.0, 3.0)), Anchor(3, 5, sheet="S", cells="A1:B2")),
    )
    found = replace(found, map=map, tags=("b", "a"), modified=12.5, type="pdf")
    number = store.replace(found, passages, vectors, FileStat(10, 11, 12, 13))
    assert store.get("ü/a.pdf") == replace(found, id=number) == store.get(number)
    info = store.info("ü/a.pdf")
    assert info is not None
    assert (info.size, info.passages, info.tags, info.state) == (10, 2, ("b", "a"), "indexed")
    assert store.known()["ü/a.pdf"].stat == FileStat(10, 11, 12, 13)
    ids = [p.id for p in store.passages_of("ü/a.pdf")]
    assert [p.text for p in store.passages([ids[1], 999, ids[0]])] == ["two\x00", "Grüße 👋"]
    assert store.uris([number, 999]) == {number: "ü/a.pdf"}
    assert unpack_map(pack_map(map)) == map


def test_an_edit_keeps_the_ids_of_what_stayed(store: EmbeddedStore) -> None:
    number = store.replace(*document("a", ["one", "two", "three"]))
    one, two, three = (p.id for p in store.passages_of("a"))
    assert store.replace(*document("a", ["one", "owt", "three", "four"])) == number
    after = [p.id for p in store.passages_of("a")]
    assert after[0] == one
    assert after[2] == three
    assert min(after[1], after[3]) > max(one, two, three)


def test_a_document_that_is_kept_is_the_one_that_is_there(store: EmbeddedStore) -> None:
    number = store.replace(*document("a", ["one"], modified=1.0))
    found = store.get(number)
    assert found is not None
    assert store.get(number) is found  # kept
    store.touch({"a": FileStat(3, 7_000_000_000, 1, 1)})
    assert store.get("a") == store.get(number) == replace(found, modified=7.0)
    with store.writing():
        store.replace(*document("a", ["two"], modified=7.0))
        uncommitted = store.get(number)
        assert uncommitted is not None
        assert uncommitted.text == "two"
    store.rename("a", "b")
    moved = store.get(number)
    assert moved is not None
    assert (moved.uri, moved.text) == ("b", "two")
    assert store.get("a") is None
    store.delete(["b"])
    assert store.get(number) is None


def test_an_id_is_never_used_again(store: EmbeddedStore) -> None:
    first = store.replace(*document("a", ["one", "two"]))
    store.delete(["a"])
    assert store.replace(*document("a", ["one", "two"])) > first
    assert [p.id for p in store.passages_of("a")] == [3, 4]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "?!",
        '"unclosed AND (',
        "title:zorp^3 OR -x~2 [a TO b]",
        "a:b:c",
        "\x00\ud800",
        "zorp " * 5000,
        "' OR 1=1 --",
        "*",
        "日本語 Ünïcödé",
    ],
)
def test_any_text_is_a_query(store: EmbeddedStore, query: str) -> None:
    store.replace(*document("a", ["zorp something else"]))
    assert len(store.search(query, None, 5).lexical) == int("zorp" in query)


def test_words_are_found_by_stem_case_and_accent(store: EmbeddedStore) -> None:
    store.replace(*document("a", ["Die Grüße der Mitarbeiter", "reimbursed travelling EXPENSES"]))
    store.replace(*document("b", ["nothing of it"], heading="Travel policy > Meals"))
    grusse, expenses = (p.id for p in store.passages_of("a"))
    for query, expected in (
        ("grusse", grusse),
        ("GRÜSSE", grusse),
        ("expense", expenses),
        ("reimbursement", expenses),
        ("meal", store.passages_of("b")[0].id),
    ):
        found = [n for n, _ in store.search(query, None, 5).lexical]
        assert found == ([expected] if expected else []), query


def test_filters_are_exact_and_only_values(store: EmbeddedStore) -> None:
    for n in range(30):
        store.replace(*document(f"dir{n % 3}/{n}.txt", ["zorp"], modified=float(n)))
    where = Filter(path=("dir1/*",), since=4.0, until=20.0)
    expected = {f"dir1/{n}.txt" for n in range(30) if n % 3 == 1 and 4 <= n <= 20}
    assert {d.uri for d in store.documents(where)} == expected
    found = store.search("zorp", vector("zorp"), 50, where)
    for hits in (found.lexical, found.dense):
        of = store.uris({p.document for p in store.passages([n for n, _ in hits])})
        assert set(of.values()) == expected
    for bad in ("' OR 1=1 --", '"; DROP TABLE documents', "[", "dir1/\\*", "\x00"):
        for where in (Filter(path=(bad,)), Filter(type=(bad,)), Filter(tag=(bad,))):
            assert store.search("zorp", vector("zorp"), 5, where).dense == ()
            assert store.documents(where) == []
    assert len(store.documents()) == 30


def test_equal_scores_are_ordered_by_id(store: EmbeddedStore) -> None:
    for n in (3, 1, 2, 0):
        store.replace(*document(f"doc{n}", ["zorp same"] * 60))
    found = store.search("zorp", vector("zorp same"), 100)
    assert [n for n, _ in found.lexical] == [n for n, _ in found.dense] == list(range(1, 101))


def test_wrong_vectors_are_refused(store: EmbeddedStore) -> None:
    found, passages, vectors = document("a", ["one", "two"])
    for wrong in (vectors[:1], vectors * np.nan, vectors[0]):
        with pytest.raises(ValueError, match="vectors"):
            store.replace(found, passages, wrong)
    with pytest.raises(ValueError, match="is not its text"):
        store.replace(found, [replace(passages[0], text="other"), passages[1]], vectors)
    store.replace(found, passages, vectors)
    with pytest.raises(WorkspaceError, match="another embedder"):
        store.replace(*document("b", ["x"], dimensions=8))
    with pytest.raises(WorkspaceError, match="another embedder"):
        store.search("x", vector("x", 8), 5)
    assert [d.uri for d in store.documents()] == ["a"]


def test_vectors_are_used_again(store: EmbeddedStore) -> None:
    store.replace(*document("a", ["one", "two"], heading="H"))
    known = store.vectors_for([text_hash("H", "one"), text_hash("", "one")])
    assert list(known) == [text_hash("H", "one")]
    assert np.array_equal(known[text_hash("H", "one")], vector("H\none"))


def test_another_embedder(store: EmbeddedStore) -> None:
    store.set_embedder("small", 32)
    store.replace(*document("a", ["one", "two"]))
    ids = [p.id for p in store.passages_of("a")]
    assert not store.set_embedder("small", 32)
    assert store.needs_reembedding("large", 8)
    assert store.set_embedder("large", 8)
    assert store.embedder() == ("large", 8)
    assert store.unembedded() == ["a"]
    assert store.search("one", vector("one", 8), 5).dense == ()
    assert not store.verify().ok
    store.replace(*document("a", ["one", "two"], dimensions=8))
    assert [p.id for p in store.passages_of("a")] == ids
    assert store.search("one", vector("one", 8), 1).dense[0][0] == ids[0]
    assert store.unembedded() == []
    assert store.verify().ok


def test_quarantine(store: EmbeddedStore) -> None:
    store.replace(*document("a.pdf", ["zorp"]))
    store.quarantine("a.pdf", "encrypted", "ff", FileStat(5, 6, 7, 8))
    store.quarantine("b.pdf", "empty", "ee", FileStat(0, 1, 1, 1))
    assert [(d.uri, d.state, d.error) for d in store.documents()] == [
        ("a.pdf", "quarantined", "encrypted"),
        ("b.pdf", "quarantined", "empty"),
    ]
    assert store.search("zorp", vector("zorp"), 5).dense == ()
    assert store.known()["a.pdf"].stat.size == 5
    assert store.verify().ok
    store.replace(*document("a.pdf", ["zorp"]))
    info = store.info("a.pdf")
    assert info is not None
    assert info.error is None


def test_catalogue(store: EmbeddedStore) -> None:
    store.replace(*document("a", ["zorp"]))
    store.touch({"a": FileStat(1, 2_500_000_000, 3, 4)})
    info = store.info("a")
    assert info is not None
    assert (info.size, info.modified) == (1, 2.5)
    store.add_source("folder", "folder")
    store.add_source("folder", "folder")
    assert [(s.uri, s.kind) for s in store.sources()] == [("folder", "folder")]
    assert store.remove_source("folder")
    assert not store.remove_source("folder")
    store.exclude(["x", "y", "x"])
    store.include(["y"])
    assert store.excluded() == {"x"}
    store.set_meta("key", "value")
    assert store.meta("key") == "value"
    store.set_meta("key", None)
    assert store.meta("key") is None
    assert not store.rename("unknown", "b")
    assert store.rename("a", "b", "Title")
    assert [(d.uri, d.title) for d in store.documents()] == [("b", "Title")]


def test_inside_writing_one_sees_what_one_wrote(store: EmbeddedStore) -> None:
    with store.writing():
        store.replace(*document("a", ["zorp"]))
        assert store.info("a") is not None
        assert len(store.search("zorp", None, 5).lexical) == 1
        store.delete(["a"])
        assert store.get("a") is None


def test_a_change_that_fails_leaves_nothing(store: EmbeddedStore) -> None:
    def fail() -> None:
        with store.writing():
            store.replace(*document("a", ["zorp"]))
            found, passages, vectors = document("b", ["quux"])
            store.replace(replace(found, tags=(None,)), passages, vectors)  # type: ignore[arg-type]

    with pytest.raises(WorkspaceError):
        fail()
    assert [d.uri for d in store.documents()] == ["a"]
    assert store.verify().ok


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "workspace.db") as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(WorkspaceError, match="newer ragtune"):
        EmbeddedStore(tmp_path)


def test_a_file_of_the_first_version_is_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS[:1])
    EmbeddedStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "workspace.db") as db:
        db.execute(
            "INSERT INTO documents (uri, title, type, sha256, modified, state)"
            " VALUES ('a', 'A', 'txt', 'x', 0, 'quarantined')"
        )
    db.close()
    monkeypatch.undo()
    with EmbeddedStore(tmp_path) as store:
        assert [(d.uri, d.left_out) for d in store.documents()] == [("a", ())]
        assert store.known()["a"].stat.reader == 0
        found, passages, vectors = document("a", ["zorp"])
        store.replace(replace(found, left_out=("white text on page 2",)), passages, vectors)
        again = store.get("a")
        assert again is not None
        assert again.left_out == ("white text on page 2",)
        assert store.documents()[0].left_out == again.left_out
        store.quarantine("a", "damaged", "y", FileStat())
        assert store.documents()[0].left_out == ()


@pytest.mark.parametrize("count", [0, 1, 2047, 2048, 2049, 5000])
def test_dense_search_is_exact(tmp_path: Path, count: int) -> None:
    chance = np.random.default_rng(count)
    rows = chance.standard_normal((count, 32), dtype=np.float32)
    rows[: count // 3] = rows[0] if count else 0  # many nearly equal
    rows += chance.standard_normal(rows.shape, dtype=np.float32) * np.float32(1e-4)
    with EmbeddedStore(tmp_path) as store:
        text = "\n\n".join(["x"] * count)
        found, passages, _ = document("a", ["x"] * count)
        store.replace(replace(found, text=text), passages, rows)
        for k in (1, 10, 300):
            point = chance.standard_normal(32, dtype=np.float32)
            if count and k == 10:
                point = rows[0] + point * np.float32(0.01)
            exact = rows.astype(np.float64) @ (point / np.linalg.norm(point)).astype(np.float64)
            exact /= np.linalg.norm(rows.astype(np.float64), axis=1)
            hits = store.search("", point, k).dense
            assert [n - 1 for n, _ in hits] == np.argsort(-exact)[:k].tolist()
            assert np.allclose([s for _, s in hits], np.sort(-exact)[:k] * -1, atol=1e-6)
