"""What a writing model is shown: the only place that renders prompts, for training and serving.

    Facts:
    [1] Travel policy > Hotels: Hotel costs are reimbursed up to 115 EUR a night …

    Question: how much can my hotel cost per night
    Key words: up to 115 EUR a night

The system messages never change, so their evaluation is cached. Evidence and question are data:
they are put on one line each, so that they cannot pose as another part of the prompt, and what a
chat template would read as a control token is broken up. Whatever a model writes is checked by
`cite.verify` all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ragtune.sentences import sentences
from ragtune.types import Evidence, Example, Message, Sentence

SYSTEM = (
    "Answer the question in one short sentence. Use only the numbered facts, with their exact "
    "words and numbers."
)
CLOSED = "You are a careful assistant. Answer the question."

ENUMERATION = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+")
STEP = re.compile(r"^\s*\d+[.)]\s", re.M)  # a numbered step at the start of a line
# Words before a marked phrase that change what it says: "up to 115 EUR".
_LIMITED = re.compile(
    r"\b(?:(?:(?:no|not) )?(?:more|less|fewer|later|earlier|longer) than"
    r"|at (?:the )?(?:most|least|latest|earliest)|up to|(?:maximum|minimum)(?: of)?|max\.?|min\.?"
    r"|about|around|before|after|until|within|every|above|below|over|under)\s+\Z",
    re.IGNORECASE,
)
# What chat templates of common models read as control tokens: "<|im_end|>", "</s>", "[INST]".
_CONTROL = re.compile(r"<(?=[|｜]|/?s>|(?:start|end)_of_turn>)|\[(?=/?INST\])", re.IGNORECASE)


def facts(evidence: Evidence, count: int) -> tuple[Sentence, ...]:
    """What the prompt numbers: the `count` best sentences.

    Where the best one belongs to a list of numbered steps, the first fact is the whole quote
    around it: a step alone does not say how something is done.
    """
    shown = evidence.sentences[:count]
    if shown and evidence.quotes:
        span = evidence.quotes[0].span
        inside = span.start <= shown[0].start and shown[0].end <= span.end
        if inside and span.document == shown[0].document and len(STEP.findall(span.text)) > 1:
            phrase = (shown[0].phrase_start, shown[0].phrase_end)
            whole = replace(span, phrase_start=phrase[0], phrase_end=phrase[1])
            others = (s for s in shown[1:] if s.document != span.document or s.start >= span.end)
            return (whole, *others)
    return shown


def units(fact: Sentence) -> list[Sentence]:
    """The sentences, items and rows of a fact, as spans of the same document."""
    found: list[Sentence] = []
    position = 0
    for line in fact.text.splitlines(keepends=True):
        item = ENUMERATION.match(line)  # a unit of its own, as in the document's structure
        whole = [(len(line) - len(line.lstrip()), len(line.rstrip()))]
        for start, end in whole if item else sentences(line, 0, len(line), ()):
            low, high = position + start, position + end
            phrase = (fact.phrase_start, fact.phrase_end)
            if not (fact.start + low <= phrase[0] and phrase[1] <= fact.start + high):
                phrase = (0, 0)
            found.append(
                replace(
                    fact,
                    start=fact.start + low,
                    end=fact.start + high,
                    text=fact.text[low:high],
                    phrase_start=phrase[0],
                    phrase_end=phrase[1],
                )
            )
        position += len(line)
    return found


def phrase(sentence: Sentence) -> str:
    """The marked words of a sentence with what limits them ("up to 115 EUR"); "" for none."""
    low, high = sentence.phrase_start - sentence.start, sentence.phrase_end - sentence.start
    if not 0 <= low < high <= len(sentence.text):
        return ""
    if limit := _LIMITED.search(sentence.text[:low]):
        low = limit.start()
    return sentence.text[low:high].strip()


def context(sentence: Sentence) -> str:
    """Title and headings of the place where a sentence stands."""
    return " > ".join(dict.fromkeys((sentence.title, *sentence.place.heading)))


def prompt(question: str, evidence: Evidence, count: int) -> list[Message]:
    """The messages for a model that writes from evidence: `count` facts, then the question.

    The answering words of the first fact, where a reader has marked them, stand behind the
    question: choosing is not the writing model's task.
    """
    shown = facts(evidence, count)
    lines = [
        f"[{n}] {one_line(context(fact))}: {one_line(fact.text)}" for n, fact in enumerate(shown, 1)
    ]
    user = "Facts:\n" + "\n".join(lines) + f"\n\nQuestion: {one_line(question)}"
    if shown and (marked := phrase(shown[0])):
        user += f"\nKey words: {one_line(marked)}"
    return [Message("system", SYSTEM), Message("user", user)]


def closed_book(question: str, history: Sequence[Message] = ()) -> list[Message]:
    """The messages for an answer without documents; `history` are the turns before."""
    turns = [Message(m.role, one_line(m.content)) for m in history if m.role != "system"]
    return [Message("system", CLOSED), *turns, Message("user", one_line(question))]


def few_shot(question: str, examples: Sequence[Example]) -> list[Message]:
    """`closed_book` with examples as turns before the question, for a model that was not tuned."""
    turns = [
        turn
        for example in examples
        for turn in (
            Message("user", one_line(example.question)),
            Message("assistant", _harmless(example.answer)),
        )
    ]
    return [Message("system", CLOSED), *turns, Message("user", one_line(question))]


def one_line(text: str) -> str:
    """`text` as data in a prompt: on one line, without a chat template's control tokens."""
    return _harmless(" ".join(text.split()))


def _harmless(text: str) -> str:
    return _CONTROL.sub(lambda match: f"{match.group()} ", text)
