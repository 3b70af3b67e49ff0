"""Who sees which document, and that what they may not see changes nothing they get."""

import random
from pathlib import Path

import numpy as np
import pytest

from ragtune.store import fake
from ragtune.store.embedded import EmbeddedStore
from ragtune.types import Filter
from ragtune.visibility import Visibility, rules_of


def may(groups: str, rules: dict[str, str], everyone: bool = True) -> Visibility:
    return Visibility(
        frozenset(groups.split()),
        rules_of((folder, names.split()) for folder, names in rules.items()),
        everyone,
    )


@pytest.mark.parametrize(
    ("uri", "groups", "seen"),
    [
        ("open/a.md", "", True),
        ("hr/a.md", "", False),
        ("hr/a.md", "hr", True),
        ("hr", "", False),  # a rule for one file
        ("hr-news/a.md", "", True),  # another folder that begins the same
        ("HR/Ünï.md", "", False),  # case and form of letters hide nothing
        ("hr/pay/a.md", "hr", False),  # the nearest rule decides, alone
        ("hr/pay/a.md", "pay", True),
        ("hr/pay/open/a.md", "", False),
        ("hr/pay/public/deep/a.md", "all", True),
        ("hr/box.zip!/inner/a.md", "", False),
        ("hr/box.zip!/pay/a.md", "hr", True),  # not the folder hr/pay
        ("sub/hr/a.md", "", True),  # rules are whole paths, not names
        ("closed/a.md", "hr pay all", False),  # a rule without groups
        ("/srv/files/a.md", "", False),
        ("/srv/files/a.md", "ops", True),
        ("postgresql://db/shop#orders/id=1", "", False),
        ("postgresql://db/shop#orders/id=1", "shop", True),
        ("postgresql://db/shop#public/id=1", "all", True),
        ("", "", True),
    ],
)
def test_the_nearest_rule_decides(uri: str, groups: str, seen: bool) -> None:
    rules = {
        "hr": "hr", "hr/pay/": "pay", "hr/pay/public": "all", "closed": "", "/srv": "ops",
        "postgresql://db/shop": "shop", "postgresql://db/shop#public": "all",
    }  # fmt: skip
    assert may(groups, rules).sees(uri) is seen


def test_a_file_is_seen_whole_only_with_all_that_can_be_inside() -> None:
    rules = rules_of([("up/a.zip!/hr", ["hr"]), ("up/b", ["hr"])])
    sales, both = (Visibility(frozenset(g), rules) for g in (["sales"], ["sales", "hr"]))
    assert sales.sees("up/a.zip")
    assert not sales.sees_whole("up/A.zip")
    assert both.sees_whole("up/a.zip")
    assert sales.sees_whole("up/a.zip.txt")
    assert not sales.sees_whole("up/b/x.zip")
    assert not sales.sees_whole("up")


def test_without_a_rule_the_default_decides() -> None:
    assert may("", {}).sees("a.md")
    assert not may("any", {}, everyone=False).sees("a.md")
    assert may("any", {"open": "any"}, everyone=False).sees("open/a.md")


def test_two_spellings_of_a_folder_are_one_rule_that_both_must_allow() -> None:
    rules = {"Caf\u00e9": "a b", "cafe\u0301": "b c"}
    assert [may(g, rules).sees("CAFÉ/x.md") for g in "abc"] == [False, True, False]


WORDS = "leave pay car tax sick trip desk bike".split()


@pytest.mark.parametrize("seed", range(4))
def test_what_may_not_be_seen_changes_nothing(seed: int, tmp_path: Path) -> None:
    """Also no score: how rare a word is, is counted among the documents that may be seen."""
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=4)) for _ in range(15)]
    open_texts, secret_texts, query = texts[:6], texts[6:14], texts[14]
    with EmbeddedStore(tmp_path) as store:
        filler = ["some other words here"] * 60
        for n, text in enumerate([*open_texts, *filler]):
            store.replace(*fake.document(f"open/{n}.md", [text]))
        where = Filter(visible=may("", {"secret": "board"}))
        before = store.search(query, fake.vector(query), 10, where)
        listed = store.documents(where)
        for n, text in enumerate(secret_texts):
            store.replace(*fake.document(f"secret/{n}.md", [text]))
        after = store.search(query, fake.vector(query), 10, where)
        assert store.documents(where) == listed
        assert [i for i, _ in after.dense] == [i for i, _ in before.dense]
        assert [i for i, _ in after.lexical] == [i for i, _ in before.lexical]
        # the mean length of a passage stays that of all; word counts alone would change them by 20%
        np.testing.assert_allclose(
            [s for _, s in after.lexical], [s for _, s in before.lexical], rtol=0.06
        )
        board = Filter(visible=may("board", {"secret": "board"}))
        everything = store.search(query, fake.vector(query), 90, board)
        assert len(everything.dense) == 60 + len(open_texts) + len(secret_texts)


def test_a_moved_document_is_seen_by_whom_its_new_folder_allows(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store, EmbeddedStore(tmp_path) as other:
        store.replace(*fake.document("open/a.md", ["the canary sings"]))
        where = Filter(visible=may("", {"secret": "board"}))
        for opened in (store, other):
            assert opened.search("canary", None, 5, where).lexical
        store.rename("open/a.md", "secret/a.md")
        for opened in (store, other):
            found = opened.search("canary", fake.vector("canary"), 5, where)
            assert not found.lexical
            assert not found.dense
            assert opened.search("canary", None, 5).lexical


def test_other_filters_narrow_what_may_be_seen(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        for uri in ("open/a.md", "open/b.md", "secret/c.md"):
            store.replace(*fake.document(uri, ["the canary sings"]))
        visible = may("", {"secret": "board"})
        for path, count in (("*", 2), ("open/a.md", 1), ("secret/*", 0)):
            where = Filter((path,), visible=visible)
            found = store.search("canary", fake.vector("canary"), 5, where)
            assert len(found.lexical) == len(found.dense) == count
