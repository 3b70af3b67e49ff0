"""From made-up replies to results and reports: nothing gets out, nothing breaks, all is there."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from ragtune.compare import report, results, score, wording
from ragtune.compare.arms import ARMS, Arm
from ragtune.compare.cost import read_prices
from ragtune.compare.journal import Cited, Reply
from ragtune.compare.questions import Question
from ragtune.compare.updates import Update
from ragtune.types import Gold

EVIL = '<script>alert(1)</script><img src="https://evil.example/x"> |[a](b) \u202e\x1b[31m=1+1'
NAMES = ("base", "rag", "quote", "tuned")


def replies(questions: list[Question], updates: list[Update], chance: dict[str, float],
            seed: int) -> list[Reply]:  # fmt: skip
    """What arms that are right with these chances would have said."""
    random_ = random.Random(seed)
    declined = "The documents do not answer this question."
    made = []
    for name, share in chance.items():
        arm = ARMS[name]
        for q in questions:
            right = random_.random() < share
            cited = (Cited("docs/" + q.evidence[0].document, 0, 20, "the answer is gold", "line 1",
                           True),) if arm.documents and q.evidence else ()  # fmt: skip
            status = "declined" if not q.answerable and right else "cited" if cited else "uncited"
            text = f"the answer is {'gold' if right else 'lead'} {EVIL}"
            text = declined if status == "declined" else text
            made.append(Reply(
                name, 0, q.id, text, text if arm.writes else None, status, "m", random_.random(),
                cited, (("docs/d0.md", 0, 50),), 0.1, 0.2, 0.3))  # fmt: skip
        for u in updates:
            made.append(Reply(name, 0, u.id, u.old_answer, changed="before", total=0.1))
            if arm.documents:
                text = u.new_answer if random_.random() < share else u.old_answer
                made.append(Reply(name, 0, u.id, text, changed="after", total=0.1))
    return made


def made(chance: dict[str, float], n: int = 60, seed: int = 0, **more: Any) -> dict[str, Any]:
    questions = [
        Question(f"q{i}", f"What is {i}? {EVIL}", "the answer is gold", ("gold",),
                 (Gold(f"d{i % 25}.md", "the answer is gold"),), ("fact", "table")[i % 2],
                 source=f"d{i % 25}.md", answerable=i % 6 != 0)
        for i in range(n)
    ]  # fmt: skip
    updates = [Update(f"c{i}", "change", f"d{i}.md", "How much?", f"old {i}", f"new {i}",
                      f"old {i}", f"new {i}") for i in range(16)]  # fmt: skip
    arms = [ARMS[name] if not ARMS[name].needs else Arm(name, "x", needs="answers", adapters=("a",))
            for name in chance]  # fmt: skip
    gold = {q.id: [[(f"docs/{q.evidence[0].document}", 0, 18)]] for q in questions}
    given = replies(questions, updates, chance, seed)
    facts = {"sync c1 after": 0.1, "indexing": {"seconds": 2.0, "cpu_seconds": 3.0},
             "training tuned 0": {"seconds": 600.0, "cpu_seconds": 900.0}}  # fmt: skip
    style = score.Style(lambda texts: [float("gold" in t) for t in texts], EVIL, 0.9)
    table = score.tabulate(arms, questions, updates, given, facts, gold, style)
    settings = {"test_set_sha256": "0" * 64, "questions": n, "documents": 25, "seeds": 1,
                "models": {}, "versions": {}, "settings": {}, "machine": EVIL,
                "finished": "2026-01-01 00:00 UTC", "seconds": 1.0}  # fmt: skip
    run = score.Run(arms, table, given, facts, gold, read_prices(), style, settings,
                      {"hybrid": f"no model {EVIL}"}, [f"a note {EVIL}"], 800)  # fmt: skip
    return results.assemble(run)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return made({"base": 0.1, "rag": 0.5, "quote": 0.95, "tuned": 0.4})


def test_the_better_arm_wins_and_the_reason_is_said(found: dict[str, Any]) -> None:
    v = found["verdict"]
    assert v["winner"] == v["leader"] == "quote"
    assert len(v["decisive"]) == 3
    assert wording.headline(found) == "quote fits best"
    text = wording.paragraph(found)
    assert "quote" in text
    assert all(ours in text for _, ours, _ in wording.decisive(found))
    assert any("ragtune ask" in command for _, command in wording.next_steps(found))
    assert found["arms"]["quote"]["decision"]["low"] > found["arms"]["base"]["decision"]["high"]


def test_equal_arms_have_no_winner_and_it_says_how_many_more() -> None:
    same = made({"rag": 0.6, "base": 0.6}, n=20, seed=4)
    for name in ("rag", "base"):  # as if both had read documents: nothing else to part them
        assert same["arms"][name]["decision"]["n"] == 20
    pair = next(p for p in same["pairs"] if p["measure"] == "decision")
    assert pair["p_holm"] > 0.05
    assert pair["more"] is None or pair["more"] > 0
    few = made({"rag": 1.0, "base": 0.0}, n=16)
    assert few["verdict"]["winner"] is None
    assert few["verdict"]["more"] >= 4
    assert "few questions" in wording.headline(few) + wording.paragraph(few)
    tiny = made({"rag": 1.0, "base": 0.0}, n=4)
    assert tiny["verdict"]["winner"] is None
    assert wording.headline(tiny).startswith("Cannot tell yet")


def test_results_are_json_and_have_what_the_schema_says(found: dict[str, Any]) -> None:
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    assert {"arms", "pairs", "verdict", "questions", "settings", "updates", "kinds", "costs",
            "criteria", "left_out", "notes", "measures", "schema"} <= set(found)  # fmt: skip
    for measures in found["arms"].values():
        for name, m in measures.items():
            assert {"value", "low", "high", "n"} <= set(m), name
            if m["n"] and name not in ("seconds_to_new",):
                assert m["low"] <= m["value"] <= m["high"], name
    assert found["arms"]["base"]["citation_recall"]["why"] == "cannot attribute"
    assert found["arms"]["base"]["citation_recall"]["value"] is None
    assert found["arms"]["quote"]["exact_quotes"]["value"] == 1.0
    for p in found["pairs"]:
        assert p["low"] <= p["value"] <= p["high"]
        assert p["p"] <= p["p_holm"] <= 1


def test_running_it_twice_gives_the_same() -> None:
    chance = {"base": 0.2, "quote": 0.8}
    assert made(chance, n=30) == made(chance, n=30)


class Page(HTMLParser):
    """Tags, and every attribute that could load or link something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.open: list[str] = []
        self.data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "action", "data", "style")
                       or k.startswith("on")]  # fmt: skip
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data.append(data)


def test_the_page_is_whole_reaches_nothing_and_runs_nothing(found: dict[str, Any]) -> None:
    text = report.html(found)
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    assert not page.links
    assert not page.tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base"}
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src &#x27;none&#x27;" in text
    assert "\x1b" not in text
    shown = "".join(page.data)
    assert EVIL.replace("\x1b", "�").replace("\u202e", "�") in shown
    for must in ("quote fits best", "Side by side", "cannot attribute", "★", "hybrid",
                 "Information update speed", "Implementation cost", "Source attribution",
                 "Accuracy", "Hallucination", "Style", "Speed", *found["arms"]):  # fmt: skip
        assert must in shown, must
    assert sum(q["id"] + ", " in shown for q in found["questions"]) == len(found["questions"])
    assert text.count("<svg") >= 4


def test_markdown_cannot_be_broken_out_of(found: dict[str, Any]) -> None:
    text = report.markdown(found)
    lines = text.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert "<script>" not in text
    assert "](b)" not in text.replace("\\[a](b)", "")
    assert lines[0] == "# quote fits best"


def test_the_csv_calculates_nothing(found: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(report.table(found))))
    assert len(rows) == len(found["questions"]) * len(found["arms"])
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=cmd"):
        assert report._harmless(text).startswith("'"), text
    assert report._harmless("a=1") == "a=1"
    for row in rows:
        for name in ("question", "answer", "written", "expected", "citations"):
            assert not row[name].lstrip().startswith(("=", "+", "-", "@"))


def test_an_arm_that_was_cut_or_failed_does_not_break_the_report() -> None:
    one = made({"quote": 0.9}, n=12)
    assert one["verdict"]["winner"] is None
    assert "measured alone" in wording.paragraph(one)
    assert report.html(one)
    assert report.markdown(one)
