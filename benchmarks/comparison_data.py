"""Folders, questions, examples and updates of `benchmarks/comparison.py`, from public data.

Everything is made under a temporary folder; nothing of the data sets is kept in the repository.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.retrieval_data import BENCH, SEED
from benchmarks.retrieval_data import handbook as handbook_data

from ragtune.sentences import sentences

KNOWN, NEW = 12, 6  # articles that are trained on, and that are only asked about
TRAINED, ASKED, NOBODY, CHANGED = 240, 50, 24, 15


@dataclass(frozen=True, slots=True)
class Made:
    """Files of one comparison: a folder of documents and what `ragtune compare` takes.

    `names` are which arms, `models` further ones, `router` what to train a router on (none: no
    router); `writes`: the workspace's own answers are written.
    """

    documents: Path
    questions: Path
    examples: Path | None = None
    updates: Path | None = None
    names: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    router: Path | None = None
    writes: bool = False


def _jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


# ---------------------------------------------------------------- SQuAD, split by article


def squad(folder: Path) -> Made:
    """Eighteen articles as a company's documents; examples are about twelve of them.

    Asked are other questions about those twelve (kind "trained on", at most one of a paragraph's
    questions is asked and none of its wording was trained), questions about the other six ("new")
    and questions that look answerable and are not. Updates change a number in a sentence.
    """
    articles = json.loads((BENCH / "squad" / "dev-v2.0.reconstructed.json").read_text("utf-8"))
    rng = random.Random(SEED)
    chosen = rng.sample(articles["data"], KNOWN + NEW)
    documents = folder / "articles"
    documents.mkdir(parents=True, exist_ok=True)
    rows: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    nobody: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for number, article in enumerate(chosen):
        name = f"{article['title']}.md"
        title = article["title"].replace("_", " ")
        paragraphs = [p["context"] for p in article["paragraphs"]]
        texts[name] = f"# {title}\n\n" + "\n\n".join(paragraphs) + "\n"
        (documents / name).write_text(texts[name], "utf-8")
        for row in _rows(article, name):
            if row["kind"] == "unanswerable":
                nobody.append(row)
            else:
                known = number < KNOWN
                rows[known].append({**row, "kind": "trained on" if known else "new"})
    for part in (rows[True], rows[False], nobody):
        rng.shuffle(part)
    asked = rows[True][:ASKED] + rows[False][:ASKED]
    paragraphs_asked = {r["id"] for r in asked}
    training = [r for r in rows[True] if r["id"] not in paragraphs_asked][:TRAINED]
    unseen = asked + rows[True][ASKED + TRAINED :] + rows[False][ASKED:]
    updates = list(_updates(unseen, texts))[:CHANGED]
    keys = ("id", "question", "answer", "evidence")
    return Made(
        documents,
        _jsonl(folder / "questions.jsonl", asked + nobody[:NOBODY]),
        _jsonl(folder / "examples.jsonl", [{k: r[k] for k in keys} for r in training]),
        _jsonl(folder / "updates.jsonl", updates),
    )


def _rows(article: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    for paragraph in article["paragraphs"]:
        context = paragraph["context"]
        for qa in paragraph["qas"]:
            row = {"id": qa["id"], "question": qa["question"].strip(), "source": name}
            if qa["is_impossible"]:
                yield {**row, "kind": "unanswerable"}
                continue
            answers = [a["text"] for a in qa["answers"]]
            start = qa["answers"][0]["answer_start"]
            spans = [s for s in sentences(context, 0, len(context), ()) if s[0] <= start < s[1]]
            if spans:
                quote = context[spans[0][0] : spans[0][1]].strip()
                yield {
                    **row, "kind": "", "answers": sorted(set(answers)),
                    "answer": max(set(answers), key=lambda a: (answers.count(a), -len(a))),
                    "evidence": [{"document": name, "quote": quote}],
                }  # fmt: skip


def _updates(
    rows: Sequence[Mapping[str, Any]], texts: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Numbers of answers, made seven larger where they stand in one sentence only."""
    seen: set[str] = set()
    for row in rows:
        quote, name = row["evidence"][0]["quote"], row["source"]
        found = re.fullmatch(r"\D*?(\d{2,4})\D*", row["answer"])
        if not found or quote in seen or texts[name].count(quote) != 1:
            continue
        old, new = found[1], str(int(found[1]) + 7)
        if len(re.findall(rf"(?<!\d){old}(?!\d)", quote)) != 1 or new in quote:
            continue
        seen.add(quote)
        yield {
            "id": f"u-{row['id']}", "file": name, "old": quote, "question": row["question"],
            "new": re.sub(rf"(?<!\d){old}(?!\d)", new, quote),
            "old_answer": old, "new_answer": new,
        }  # fmt: skip


# ---------------------------------------------------------------- PolicyQA, split by site


def policyqa(folder: Path) -> Made:
    """Twenty privacy policies; examples about ten of them, questions about the other ten.

    The same wordings recur across sites, so each question names its site.
    """
    entries = json.loads((BENCH / "policyqa" / "dev.json").read_text("utf-8"))["data"]
    rng = random.Random(SEED)
    rng.shuffle(entries)
    documents = folder / "policies"
    documents.mkdir(parents=True, exist_ok=True)
    parts: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for number, entry in enumerate(entries):
        title = entry["title"]
        name = re.sub(r"\W+", "-", title).strip("-") + ".md"
        paragraphs = [p["context"].strip() for p in entry["paragraphs"]]
        (documents / name).write_text(f"# {title}\n\n" + "\n\n".join(paragraphs) + "\n", "utf-8")
        mine = []
        for paragraph in entry["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = sorted({a["text"].strip() for a in qa["answers"]}, key=len)
                if answers and 2 <= len(answers[0].split()) <= 40:
                    mine.append({
                        "id": str(qa["id"]), "question": f"{title}: {qa['question'].strip()}",
                        "answer": answers[0], "source": name, "kind": "policy",
                        "evidence": [{"document": name, "quote": answers[0]}],
                    })  # fmt: skip
        rng.shuffle(mine)
        parts[number < len(entries) // 2] += mine[:24]
    for part in parts.values():
        rng.shuffle(part)
    return Made(
        documents,
        _jsonl(folder / "questions.jsonl", parts[False][: 2 * ASKED]),
        _jsonl(folder / "examples.jsonl", parts[True][:TRAINED]),
    )


# ---------------------------------------------------------------- a company's handbook


def handbook(folder: Path) -> Made:
    """883 pages and ten questions, each right where it holds all facts of its gold answer.

    There are no examples, so nothing is tuned for it: the shipped grounded adapter takes part.
    """
    _, asked = handbook_data()
    rows = [
        {"id": f"k{n:02}", "question": q.text, "kind": "handbook",
         "must_contain": [fact[0] for fact in q.facts]}
        for n, q in enumerate(asked, 1)
    ]  # fmt: skip
    root = BENCH / "sourcegraph_kite" / "handbook" / "content"
    return Made(
        root,
        _jsonl(folder / "questions.jsonl", rows),
        names=("base", "rag", "quote"),
        models=("grounded",),
    )


SETS = {"squad": squad, "policyqa": policyqa, "handbook": handbook}
