"""What the base knows before training, and what training made it forget.

Facts that the base does not know are learned slowly, and once learned raise its tendency to invent
(Gekhman et al., 2405.05904): they belong to retrieval. General ability is probed with a small set
of items of our own before and after.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragtune import words
from ragtune.tune import chat
from ragtune.tune.base import Base
from ragtune.tune.probe_items import CHOICES, GENERAL, WRITTEN
from ragtune.types import Example, Message, OnProgress, Progress

PAPER = "Gekhman et al. 2024, arXiv:2405.05904"
_TOKENS = 48  # of a closed-book reply: a fact comes early or not at all


# ---------------------------------------------------------------- known or unknown


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Which of the examples asked hold a fact that the base gives by itself.

    `unknown` are the examples whose fact it does not know, `known` those that it does; examples
    without a checkable fact (style, procedures without figures or names) are in neither.
    """

    known: tuple[Example, ...]
    unknown: tuple[Example, ...]

    @property
    def share_unknown(self) -> float:
        """Of the examples with a fact; 0 where there are none."""
        asked = len(self.known) + len(self.unknown)
        return len(self.unknown) / asked if asked else 0.0

    @property
    def message(self) -> str:
        """One line for a person: what was found and what follows from it."""
        asked = len(self.known) + len(self.unknown)
        if not self.unknown:
            return f"the base knows the facts of all {asked} examples that hold one"
        return (
            f"{len(self.unknown)} of {asked} examples with a fact hold one that the base does not "
            f"know ({self.share_unknown:.0%}). Tuning teaches how to answer; new facts it learns "
            f"slowly, and they make it invent more ({PAPER}). Keep facts in documents (mode "
            "grounded, or ask with documents), or leave these examples out with --facts skip"
        )


def knowledge(
    base: Base, examples: Sequence[Example], on_progress: OnProgress | None = None
) -> Knowledge:
    """Asks the base every question that has a checkable fact, closed book, greedily."""
    asked = [example for example in examples if facts(example)]
    prompts = [_prompt(example.question, base.tokenizer) for example in asked]
    replies = write(base, prompts, _TOKENS, on_progress, "ask the base")
    known: list[Example] = []
    unknown: list[Example] = []
    for example, reply in zip(asked, replies, strict=True):
        (known if knows(example, reply) else unknown).append(example)
    return Knowledge(tuple(known), tuple(unknown))


def facts(example: Example) -> tuple[str, ...]:
    """What a reply must hold to show that the fact of `example` is known.

    `must_contain` where the file gives it; else the numbers and names of the answer that the
    question has not. Numbers and names are taken from the evidence quote as well where there is
    one, so that a company's greeting is no fact. Empty: nothing that can be checked.
    """
    if example.must_contain:
        return example.must_contain
    told = {word.casefold() for word in _salient(example.question)}
    held = [word for word in _salient(example.answer) if word.casefold() not in told]
    if example.evidence:
        quotes = " ".join(gold.quote for gold in example.evidence).casefold()
        stated = set(re.findall(r"\w+(?:[.,]\d+)*", quotes))
        held = [word for word in held if word.casefold() in stated]
    return tuple(dict.fromkeys(held))


def knows(example: Example, reply: str) -> bool:
    """Whether `reply` holds the fact of `example`.

    Terms of `must_contain` all; of the numbers and names found in an answer all numbers and half
    of the names.
    """
    wanted = facts(example)
    text = _plain(reply)
    if example.must_contain:
        return all(_plain(term) in text for term in wanted)
    there = set(re.findall(r"\w+(?:[.,]\d+)*", text))
    numbers = [word for word in wanted if word[0].isdigit()]
    names = [word for word in wanted if not word[0].isdigit()]
    return all(_plain(n) in there for n in numbers) and (
        sum(_plain(n) in there for n in names) * 2 >= len(names)
    )


def _salient(text: str) -> list[str]:
    """Numbers, and words with a capital letter inside a sentence, except function words."""
    found = []
    for match in re.finditer(r"\d+(?:[.,]\d+)*|[^\W\d_][\w-]*", text):
        word = match.group()
        inside = text[: match.start()].rstrip(" \t\"'“”‘’(")
        starts = not inside or inside[-1] in ".!?:;\n–-•*"
        if word[0].isdigit() or (word[0].isupper() and len(word) > 1 and not starts):
            found.append(word)
    return [word for word in found if word[0].isdigit() or word.casefold() not in words.STOP_WORDS]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


# ---------------------------------------------------------------- forgetting


@dataclass(frozen=True, slots=True)
class Ability:
    """General ability: which of the built-in items came out right, in their order."""

    right: tuple[bool, ...]

    @property
    def score(self) -> float:
        """Share of the items that came out right."""
        return self.right.count(True) / len(self.right)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Ability before and after training, and whether the drop is beyond chance."""

    before: Ability
    after: Ability

    @property
    def lost(self) -> int:
        """Items that were right before and are not any more."""
        pairs = zip(self.before.right, self.after.right, strict=True)
        return sum(b and not a for b, a in pairs)

    @property
    def won(self) -> int:
        """Items that were wrong before and are right now."""
        pairs = zip(self.before.right, self.after.right, strict=True)
        return sum(a and not b for b, a in pairs)

    @property
    def chance(self) -> float:
        """How likely so many more losses than wins are by chance (exact one-sided sign test)."""
        changed = self.lost + self.won
        return sum(math.comb(changed, k) for k in range(self.lost, changed + 1)) / (1 << changed)

    @property
    def dropped(self) -> bool:
        """Whether ability fell beyond the probe's noise (p < .05)."""
        return self.lost > self.won and self.chance < 0.05

    @property
    def message(self) -> str:
        """One line for a person."""
        score = f"general ability {self.before.score:.0%} before, {self.after.score:.0%} after"
        counts = f"{len(self.before.right)} items, {self.lost} lost, {self.won} won"
        if not self.dropped:
            return f"{score} ({counts}: no more than chance)"
        return (
            f"{score} ({counts}; p = {self.chance:.3f}): tuning made it forget; train fewer "
            "epochs, at a lower learning_rate, or with kl = 0.1"
        )


def ability(base: Base, on_progress: OnProgress | None = None) -> Ability:
    """Every built-in item once, as `base.model` is now.

    An item with choices is right when the right one has the highest log-likelihood a token; a
    written one when the greedy reply has what it must have.
    """
    right = []
    total = len(CHOICES)
    for number, (question, good, wrong) in enumerate(CHOICES, start=1):
        scores = _likelihoods(base, question, (good, *wrong))
        right.append(max(range(len(scores)), key=scores.__getitem__) == 0)
        if on_progress is not None:
            on_progress(Progress("probe", number, total))
    prompts = [_prompt(question, base.tokenizer) for question, _ in WRITTEN]
    for reply, (_, pattern) in zip(write(base, prompts, 24), WRITTEN, strict=True):
        right.append(re.search(pattern, reply, re.IGNORECASE) is not None)
    return Ability(tuple(right))


def general(tokenizer: Any) -> list[chat.Encoded]:
    """The built-in general conversations for `TuneSettings.kl`; none is an item of the probe."""
    return [
        chat.encode((Message("user", question),), answer, tokenizer) for question, answer in GENERAL
    ]


def _likelihoods(base: Base, question: str, answers: Sequence[str]) -> list[float]:
    """Mean log-likelihood a token of each answer, all in one pack."""
    import torch

    from ragtune.tune import network, pack

    messages = (Message("user", question),)
    made = [chat.encode(messages, answer, base.tokenizer) for answer in answers]
    packed = pack.make(made)
    with torch.inference_mode():
        scores = torch.log_softmax(network.logits(base.model, packed).float(), dim=-1)
    each = scores.gather(1, torch.tensor(packed.targets, device=scores.device)[:, None])[:, 0]
    sizes = [len(example.answer) for example in made]
    return [float(part.mean()) for part in each.split(sizes)]


# ---------------------------------------------------------------- writing


def write(
    base: Base,
    prompts: Sequence[Sequence[int]],
    most: int,
    on_progress: OnProgress | None = None,
    what: str = "write",
    batch: int = 16,
) -> list[str]:
    """Greedy replies of `base.model` as it is now to prompts of token ids, in their order.

    Prompts of like length run together, padded on the left, `batch` at a time.
    """
    import torch

    from ragtune.tune import network

    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    replies = [""] * len(prompts)
    end = chat.end_of_turn(base.tokenizer)
    pad = base.tokenizer.pad_token_id
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            rows = [prompts[index] for index in chosen]
            ids = network.greedy(base.model, rows, most, end, end if pad is None else pad)
            for index, reply in zip(chosen, ids, strict=True):
                replies[index] = base.tokenizer.decode(reply, skip_special_tokens=True).strip()
            if on_progress is not None:
                on_progress(Progress(what, start + len(chosen), len(order)))
    return replies


def _prompt(question: str, tokenizer: Any) -> tuple[int, ...]:
    return chat.encode_prompt((Message("user", question),), tokenizer)
