"""A language model as a judge: optional, never in the verdict, and judged itself first.

It is asked of every answer whether it says what the gold answer says. How far that can be believed
is measured on answers whose label is known: each question's gold answer (right) and that of
another question (wrong), which it has to tell apart (compare Zheng et al. 2023, "Judging
LLM-as-a-Judge", arXiv 2306.05685). What an answer says is data: only the judge's first word counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ragtune.compare import metrics
from ragtune.compare.journal import Reply
from ragtune.compare.questions import Question
from ragtune.compare.runner import Contest
from ragtune.errors import RagtuneError
from ragtune.protocols import Generator
from ragtune.types import Generation, Message

LABELLED = 40  # answers with a known label that the judge is tested on
LONGEST = 2000  # characters of a text that it is shown
_FACT, _LABEL = "judged", "judge label"


def run_judge(contest: Contest, judge: Generator, questions: Sequence[Question]) -> bool:
    """Asks the judge about labelled answers and about every arm's; True when all was asked."""
    asked = {q.id: q for q in questions if q.answerable and _gold(q)}
    labelled = list(_labelled(list(asked.values())))
    replies = [r for r in contest.journal.replies
               if not r.changed and not r.error and r.seed == 0 and r.question in asked
               and r.status != "declined"]  # fmt: skip
    turns = [(f"{_LABEL} {id} {label}", asked[id], text) for id, text, label in labelled]
    turns += [(key(r), asked[r.question], metrics.plain(r.text)) for r in replies]
    for number, (fact, question, text) in enumerate(turns):
        contest.tell("judge", number, len(turns), judge.name)
        if fact in contest.journal.facts:
            continue
        if contest.over():
            return False
        try:
            contest.journal.note(fact, says_yes(judge, question, text))
        except RagtuneError as error:
            contest.failed.setdefault("judge", str(error))
            return True
    return True


def key(reply: Reply) -> str:
    """The fact under which the journal has what the judge said of a reply."""
    return f"{_FACT} {reply.arm} {reply.question}"


def agreement(facts: Mapping[str, Any]) -> tuple[float, int] | None:
    """(share of the labelled answers that the judge labelled so, how many); None: no judge."""
    right = [said == name.endswith(" True")
             for name, said in facts.items() if name.startswith(_LABEL + " ")]  # fmt: skip
    return (sum(right) / len(right), len(right)) if right else None


def says_yes(judge: Generator, question: Question, text: str) -> bool:
    """Whether the judge's first word on an answer is yes. Raises GenerationError."""
    messages = [
        Message("system", "You grade answers. You reply with one word: yes or no."),
        Message(
            "user",
            f"Question: {question.question[:LONGEST]}\nCorrect answer: {_gold(question)[:LONGEST]}"
            f"\nGiven answer: {text[:LONGEST]}\n\nDoes the given answer say what the correct "
            "answer says, without contradicting it? Reply yes or no.",
        ),
    ]
    said = "".join(t.text for t in judge.stream(messages, Generation(max_tokens=8)))
    word = re.search(r"[a-z]+", said.lower())
    return word is not None and word[0] == "yes"


def _gold(question: Question) -> str:
    return question.answer or " / ".join(question.answers) or "; ".join(question.must)


def _labelled(questions: Sequence[Question]) -> list[tuple[str, str, bool]]:
    """(question, answer, label): gold answers, and those of the question half the list away."""
    step = max(1, len(questions) // (LABELLED // 2))
    found = []
    for at in range(0, len(questions), step):
        question, other = questions[at], questions[(at + len(questions) // 2) % len(questions)]
        if _gold(other) != _gold(question):
            found += [(question.id, _gold(question), True), (question.id, _gold(other), False)]
    return found[:LABELLED]
