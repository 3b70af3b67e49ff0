"""The public data sets of `benchmarks/retrieval.py` as documents with questions.

Read from `$RAGTUNE_BENCH` (default `../shared/bench`); what each folder holds and its licence is
in its ORIGIN.md. Nothing of it is copied into the repository.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtune.ingest.parse.markdown import read_markdown
from ragtune.types import Block, Document, SourceMap

BENCH = Path(os.environ.get("RAGTUNE_BENCH", Path(__file__).parents[2] / "shared" / "bench"))
SEED = 13


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a document's text."""

    uri: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """`answers`: any of these spans answers it. `paragraph` is where the annotators found it."""

    text: str
    answers: tuple[Span, ...] = ()
    paragraph: Span | None = None
    facts: tuple[tuple[str, ...], ...] = ()  # each fact: any of these phrases
    id: str = ""


def document(uri: str, title: str, text: str, map: SourceMap) -> Document:
    return Document(0, uri, title, text, "", map)


def _json(path: str) -> Any:
    return json.loads((BENCH / path).read_text("utf-8"))


def _lines(path: str) -> Iterator[dict[str, Any]]:
    with (BENCH / path).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


# ---------------------------------------------------------------- SciFact (BEIR form)


def scifact() -> list[Document]:
    """One document an abstract, with its title; uri is the BEIR id."""
    return [
        document(row["_id"], row["title"], row["text"], SourceMap())
        for row in _lines("scifact/corpus.jsonl")
    ]


def scifact_queries(part: str) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Queries and relevance judgements of "train" or "test"."""
    queries = {row["_id"]: row["text"] for row in _lines(f"scifact/queries.{part}.jsonl")}
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (BENCH / f"scifact/qrels/{part}.tsv").read_text("utf-8").splitlines()[1:]:
        query, doc, relevance = line.split()
        qrels[query][doc] = int(relevance)
    return {query: queries[query] for query in qrels}, dict(qrels)


# ---------------------------------------------------------------- SQuAD form


def _articles(path: str, article: str) -> Iterator[tuple[Document, list[Question]]]:
    """One Markdown document an article: its title as heading, its paragraphs as blocks."""
    for entry in _json(path)["data"]:
        title = entry["title"].replace("_", " ")
        uri = f"{article}/{entry['title']}.md"
        text = f"# {title}\n\n"
        blocks = [Block(0, len(text) - 2, "heading", 1)]
        questions = []
        for paragraph in entry["paragraphs"]:
            context, start = paragraph["context"], len(text)
            text += context + "\n\n"
            blocks.append(Block(start, start + len(context), "paragraph"))
            for row in paragraph["qas"]:
                if row.get("is_impossible") or not row["answers"]:
                    continue
                spans = {
                    Span(uri, start + a["answer_start"], start + a["answer_start"] + len(a["text"]))
                    for a in row["answers"]
                }
                whole = Span(uri, start, start + len(context))
                ordered = tuple(sorted(spans, key=lambda s: (s.start, s.end)))
                questions.append(Question(row["question"], ordered, whole, id=str(row["id"])))
        yield document(uri, title, text, SourceMap(tuple(blocks))), questions


def squad(count: int = 1000) -> tuple[list[Document], list[Question]]:
    """All articles of SQuAD v2 dev and a sample of its answerable questions."""
    pairs = list(_articles("squad/dev-v2.0.reconstructed.json", "squad"))
    questions = [question for _, some in pairs for question in some]
    return [doc for doc, _ in pairs], random.Random(SEED).sample(questions, count)


def policyqa(count: int = 50) -> list[tuple[Document, list[Question]]]:
    """Each site's privacy policy with at most `count` of its questions."""
    pairs = _articles("policyqa/dev.json", "policy")
    rng = random.Random(SEED)
    return [(doc, rng.sample(some, min(count, len(some)))) for doc, some in pairs]


# ---------------------------------------------------------------- a company's handbook

# Facts of the gold answers (queries/sourcegraph.json) in the words of this copy of the handbook.
_FACTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "mission": (
        ("make it so everyone codes",),
        ("it's too damn hard to build software", "speeding up technological progress"),
    ),
    "Cody": (
        ("AI coding assistant that lives in your editor", "AI coding assistant that can find"),
        ("large enterprises don't want to send their whole codebase",),
        ("Multi-repo context fetching",),
        ("remove the dependency on a third party for embeddings",),
        ("Bring your own model",),
        ("Prove out IDE extension usage",),
        ("Add Cody into Sourcegraph",),
        ("Cody can use App as a backend",),
        ("More editors",),
    ),
    "first day": (
        ("Upload a photo of yourself to your Bamboo profile",),
        ("Complete your background check",),
        ("Place an order for your Sourcegraph computer",),
        ("Make your welcome video", "welcome video"),
        ("swag pack", "new hire swag", "swag"),
    ),
    "legal team": (
        ("Processes are set up to enable company to meet revenue targets",),
        ("storage practices for Cloud and other products earn customer trust",),
        ("Equity compensation is legally compliant",),
        ("Each legal team member has grown",),
    ),
    "launch tiers": (
        ("Large launches are extremely significant product launches",),
        ("Medium launches are significant moments",),
        ("Small launches are small moments",),
    ),
    "move a page": (
        ("within one pull request",),
        ("Rename the file to indicate its new location",),
        ("any existing links to that page will break", "Broken Links"),
    ),
    "weekends": (
        (
            "expectation that people will be responsive over the",
            "no expectation that people will be responsive",
        ),
        ("on-call duty",),
    ),
    "remote work": (
        ("is an all-remote company",),
        ("All teammates are encouraged to work remotely",),
    ),
    "core values": (
        ("Dev love:",),
        ("High agency:",),
        ("Win together:",),
        ("Direct & transparent:",),
    ),
    "async work": (
        ("We are respectful of people's time and responsibilities",),
        ("We are inclusive",),
        ("We value context",),
        ("We encourage thoughtful decision-making",),
        ("We care about mental health",),
        ("We value high agency",),
        ("We need to.",),
    ),
}
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def handbook() -> tuple[list[Document], list[Question]]:
    """883 Markdown pages and ten questions with the facts that their answers need."""
    root = BENCH / "sourcegraph_kite" / "handbook" / "content"
    documents = []
    for path in sorted(root.rglob("*.md*")):
        parsed = read_markdown(path.read_text("utf-8"), path.name)
        uri = path.relative_to(root).as_posix()
        documents.append(document(uri, parsed.title, parsed.text, parsed.map))
    questions = []
    for row in _json("sourcegraph_kite/queries/sourcegraph.json"):
        facts = next(facts for key, facts in _FACTS.items() if key in row["query"])
        questions.append(Question(row["query"], facts=facts, id=row["query"][:30]))
    return documents, questions


def held(facts: tuple[tuple[str, ...], ...], texts: list[str]) -> float:
    """The share of the facts that are stated in one of `texts`."""
    plain = [" ".join(_plain(text).split()).casefold() for text in texts]
    found = [any(p.casefold() in text for p in fact for text in plain) for fact in facts]
    return sum(found) / len(found)


def _plain(text: str) -> str:
    """Markdown without link targets and emphasis, with plain apostrophes."""
    return _LINK.sub(r"\1", text).replace("**", "").replace("_", "").replace("’", "'")
