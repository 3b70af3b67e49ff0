"""The router on the real MiniLM: it learns from few words, and sees what the embedder sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ragtune.cite import DECLINED
from ragtune.cli import cli
from ragtune.config import DATA_FOLDER, Settings
from ragtune.models.embed import load_embedder
from ragtune.models.router import OnnxRouter, load_router
from ragtune.route.judge import neighbours
from ragtune.route.questions import Question
from ragtune.route.synthesise import synthesise
from ragtune.route.train import train
from ragtune.server.examples import Examples
from ragtune.types import Document, SourceMap
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration

ASKED = {
    "returns": "Can I send it back?|How do I return an item?|I want my money back|What is the "
    "return window?|The shoes do not fit, can I swap them?|Refund for a damaged lamp",
    "delivery": "Where is my parcel?|When will it arrive?|Do you ship to Norway?|My order is "
    "late|Can I change the delivery address?|How much is shipping?",
    "account": "I forgot my password|How do I close my account?|Change my e-mail address|I cannot "
    "log in|Is my profile private?|Two-factor sign-in does not work",
    "jobs": "Are you hiring?|How do I apply for a position?|Do you offer internships?|Where can I "
    "send my CV?|Open roles in Berlin|Who do I ask about my application?",
}


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> OnnxRouter:
    folder = tmp_path_factory.mktemp("router")
    rows = [Question(text, name) for name, texts in ASKED.items() for text in texts.split("|")]
    train(rows, folder, threads=1)
    loaded = load_router(folder)
    assert loaded is not None
    return loaded


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("the jacket is too small, how can I give it back", "returns"),
        ("my package has not come yet", "delivery"),
        ("password reset mail never arrives", "account"),
        ("is there a vacancy for an engineer", "jobs"),
    ],
)
def test_paraphrases(router: OnnxRouter, question: str, intent: str) -> None:
    judgement = router.judge(question)
    assert judgement.intents[0][0] == intent
    assert neighbours(router, question)[0].intent == intent


def test_another_world_scores_lower(router: OnnxRouter) -> None:
    inside = min(router.judge(texts.split("|")[0]).score for texts in ASKED.values())
    for question in ("Who won the world cup in 1998?", "photosynthesis in algae", "tell me a joke"):
        assert router.judge(question).score < inside


def test_its_vector_is_nearly_the_embedders(router: OnnxRouter) -> None:
    texts = ["Where is my parcel?", "How do I return an item bought in a shop in another country?"]
    expected = load_embedder(Settings()).embed(texts)
    for text, row in zip(texts, expected, strict=True):
        assert float(np.dot(router.outputs(text, ("embedding",))[0][0], row)) > 0.99


def test_without_labels_documents_are_the_intents(tmp_path: Path) -> None:
    texts = {
        "Travel": "Take the train for journeys under five hours. Book hotels through the portal. "
        "Taxis are paid when no bus runs. Claim costs within a month.",
        "Leave": "You have thirty days of holiday a year. Sick leave needs a note from day four. "
        "Parental leave is asked for seven weeks ahead. Unused days expire in March.",
        "Security": "Lock your screen when you leave the desk. Report a lost badge at once. "
        "Passwords are kept in the vault. Visitors are met at the door.",
    }
    documents = [
        Document(n, f"{title}.md", title, text, "0" * 64, SourceMap())
        for n, (title, text) in enumerate(texts.items(), 1)
    ]
    made = train(synthesise(documents), tmp_path, threads=1)
    assert made.passport.intents == ("Leave", "Security", "Travel")
    loaded = load_router(tmp_path)
    assert loaded is not None
    assert loaded.judge("how many days of holiday do I get").intents[0][0] == "Leave"
    assert not loaded.judge("how tall is mount everest").known


def test_feedback_moves_the_router(own_company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that no document holds is learned from people's thumbs, and a refusal too."""
    monkeypatch.chdir(own_company.root)
    uri = next(info.uri for info in own_company.documents() if "travel" in info.uri)
    kept = Examples(own_company.root)

    def train_again() -> OnnxRouter:
        done = CliRunner().invoke(cli, ["route", "train", "--json"])
        assert done.exit_code == 0, done.output
        loaded = load_router(own_company.root / DATA_FOLDER)
        assert loaded is not None
        return loaded

    asked, refused = "Does Brunhilde cover my frobnication?", "May I keep a llama in the lift?"
    before = train_again()
    score = before.judge(asked).score
    cited = [{"document": uri, "quote": "…"}]
    body: dict[str, Any] = {"thumb": "up", "evidence": cited, "answer": "It does."}
    kept.feedback.set({"id": "1", "question": asked, **body})
    kept.feedback.set({"id": "2", "question": refused, "thumb": "up", "answer": DECLINED})
    kept.rows.add([
        {"id": "3", "question": "What of zorbing?", "answer": "No.", "evidence": cited},
        {"id": "4", "question": "What of yodelling?", "answer": "No.", "evidence": cited,
         "reviewed": False},
    ])  # fmt: skip
    after = train_again()
    texts = dict(json.loads((after.folder / "questions.json").read_text("utf-8")))
    names = after.passport.intents
    title = own_company.store.get(uri)
    assert title is not None
    assert names[texts[asked]] == names[texts["What of zorbing?"]] == title.title
    assert "What of yodelling?" not in texts
    assert after.judge(asked).intents[0][0] == title.title
    assert after.judge(asked).score > score
