"""From replies to figures: what each reply is worth on each measure, NaN where it does not apply.

The verified result (`text`) and what the model wrote (`written`) are scored apart, so that the
checks do not hide the writer: measures of the latter begin with "raw_".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ragtune.compare import judge, metrics, race, statistics
from ragtune.compare.arms import Arm
from ragtune.compare.cost import Prices
from ragtune.compare.journal import Reply
from ragtune.compare.metrics import Span
from ragtune.compare.questions import Question
from ragtune.compare.updates import Update

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragtune.protocols import Embedder, Store

    Floats = NDArray[np.float64]

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the table: its name for people and which end is better (0: neither)."""

    label: str
    better: int = 1
    unit: str = "share"  # share, seconds, score, words
    note: str = ""


MEASURES: Mapping[str, Measure] = {
    "decision": Measure(
        "right decision", note="answered rightly, or declined what nobody wrote down"
    ),
    "right": Measure("right answer", note="holds a gold answer and every required term"),
    "exact": Measure("exact match", note="SQuAD normalisation, against the short answers"),
    "f1": Measure("token F1", note="SQuAD, against the short answers"),
    "must": Measure("required terms", note="share of must_contain that stands in the answer"),
    "rouge_l": Measure("ROUGE-L", note="against the whole gold answer"),
    "similarity": Measure("similarity", note="cosine of embeddings, to the whole gold answer"),
    "judged": Measure("right, to the judge", note="a model's opinion; never in the verdict"),
    "hallucination": Measure(
        "right +1, declined 0, wrong −1", unit="score", note="mean over all questions"
    ),
    "wrong": Measure("wrong answers", -1, note="of all questions"),
    "wrong_unanswerable": Measure("answers what nobody wrote", -1, note="of the unanswerable"),
    "wrongly_declined": Measure("wrongly declined", -1, note="of the answerable"),
    "citation_precision": Measure("citations on gold", note="of the citations given"),
    "citation_recall": Measure("gold cited", note="gold spans that are cited"),
    "cited": Measure("answers with a source", note="of the answers given"),
    "exact_quotes": Measure("quotes byte-exact", note="of the citations given"),
    "found": Measure("gold found by search", note="in the hits, before anything is written"),
    "rank": Measure("reciprocal rank", note="of the first hit with a gold span"),
    "style": Measure("in the company's voice", note="of the answers given"),
    "words": Measure("words", 0, "words"),
    "first": Measure("first token", -1, "seconds"),
    "total": Measure("whole answer", -1, "seconds"),
    "raw_decision": Measure(
        "right decision, as written", note="the model's text before it is checked"
    ),
    "raw_right": Measure("right, as written", note="the model's text before it is checked"),
    "raw_f1": Measure("token F1, as written"),
    "raw_rouge_l": Measure("ROUGE-L, as written"),
    "raw_hallucination": Measure("right +1, declined 0, wrong −1, as written", unit="score"),
    "raw_style": Measure("in the company's voice, as written"),
    "raw_kept": Measure("written text that passed", note="of the texts written from evidence"),
    "causal": Measure(
        "answer depends on its source", note="changed or declined without the cited words"
    ),
    "from_memory": Measure(
        "still written without its source", -1, note="the gold answer, with the source masked"
    ),
    "fresh": Measure("freshness", note="new fact told × 2^(−hours until it was)"),
    "new_fact": Measure("tells the new fact", note="of the updates, as soon as the arm can"),
    "old_stopped": Measure("stopped telling the old one", note="of the updates"),
    "leak": Measure("still tells what was deleted", -1, note="of the deleted facts"),
    "added": Measure("tells what was added", note="of the added facts"),
    "seconds_to_new": Measure("seconds to the new fact", -1, "seconds"),
}
ATTRIBUTION = ("citation_precision", "citation_recall", "cited", "exact_quotes", "found", "rank",
               "causal", "from_memory", "raw_kept")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How the company's voice is told: by its format rules, or by a classifier.

    `judge` gives 1.0 or 0.0 for each text; `accuracy` is the judge's own, on held-out answers.
    `declines` are the company's ways of saying that it does not know.
    """

    judge: Callable[[Sequence[str]], Sequence[float]] | None = None
    how: str = ""
    accuracy: float | None = None
    declines: tuple[str, ...] = ()


@dataclass(slots=True)
class Table:
    """Values of every arm and measure, one a question (or one an update), NaN: does not apply."""

    arms: list[str]
    questions: list[Question]
    updates: list[Update]
    values: dict[str, dict[str, Floats]] = field(default_factory=dict)
    by_seed: dict[str, list[float]] = field(default_factory=dict)  # "right" of each seed
    asked: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """What was compared and how: everything that goes into a report beside the values."""

    arms: Sequence[Arm]
    table: Table
    replies: Sequence[Reply]
    facts: Mapping[str, Any]
    gold: Mapping[str, Sequence[Sequence[Span]]]
    prices: Prices
    style: Style
    settings: Mapping[str, Any]  # hashes, versions, seeds, machine: to run it again
    left_out: Mapping[str, str]  # arm: why
    notes: Sequence[str]
    samples: int = statistics.SAMPLES


def golds(questions: Sequence[Question], store: Store, uris: Sequence[str]) -> tuple[
    dict[str, list[list[Span]]], list[str]
]:  # fmt: skip
    """Each question's gold pieces as spans of the present documents, and notes on what is missing.

    A document is meant by its uri or by the end of it. A quote that does not stand in the text as
    written (a table's cells) counts wherever the document is cited.
    """
    found: dict[str, list[list[Span]]] = {}
    loose = missing = 0
    for question in questions:
        pieces = []
        for gold in question.evidence:
            named = [u for u in uris if u == gold.document or u.endswith("/" + gold.document)]
            named = named or [u for u in uris if _row(u) and _row(u) == _row(gold.document)]
            document = store.get(named[0]) if named else None
            if document is None:
                missing += 1
                continue
            places = metrics.places_of(gold.quote, document.uri, document.text)
            loose += not places
            pieces.append(places or [(document.uri, 0, max(1, len(document.text)))])
        if pieces:
            found[question.id] = pieces
    notes = []
    if loose:
        notes.append(f"{loose} gold quotes do not stand in the text as written: any citation of "
                     "their document counts")  # fmt: skip
    if missing:
        notes.append(f"{missing} gold documents are not in this workspace: not counted")
    return found, notes


def _row(uri: str) -> str:
    """A database row's file, table and key, however it is written."""
    file, _, row = uri.partition("#")
    return f"{file.rsplit('/', 1)[-1]}#{re.sub(r'(/)id=', r'/', row)}" if row else ""


def score(
    question: Question, reply: Reply, arm: Arm, gold: Sequence[Sequence[Span]], style: Style
) -> dict[str, float]:
    """The measures of one reply that need nothing but it."""
    text = metrics.plain(reply.text)
    declined = reply.status == "declined" or (
        (not arm.documents or reply.model == "reply") and metrics.declines(text, style.declines)
    )
    values = _judged(question, text, declined, "")
    values["words"] = float(len(text.split()))
    values["first"], values["total"] = reply.first, reply.total
    if arm.writes:  # where nothing was written (declined before), that is what there is
        raw = text if reply.written is None else metrics.plain(reply.written)
        silent = declined if reply.written is None else metrics.declines(raw, style.declines)
        judged = _judged(question, raw, silent, "raw_")
        values |= {k: judged[k] for k in (
            "raw_decision", "raw_right", "raw_f1", "raw_rouge_l", "raw_hallucination")}  # fmt: skip
    if arm.documents:
        if reply.written is not None:
            values["raw_kept"] = float(reply.model != "quote")
        values |= _attribution(reply, declined, gold)
    return values


def _judged(question: Question, text: str, declined: bool, prefix: str) -> dict[str, float]:
    q = question
    if not q.answerable:
        made = {
            "decision": float(declined), "right": NAN, "f1": NAN, "rouge_l": NAN,
            "hallucination": 0.0 if declined else -1.0, "wrong": float(not declined),
            "wrong_unanswerable": float(not declined),
        }  # fmt: skip
        return {prefix + k: v for k, v in made.items()}
    right = 0.0 if declined else metrics.right(text, q.answers, q.must, q.must_not, q.answer)
    short = q.answers or ((q.answer,) if q.answer else ())
    whole = (q.answer,) if q.answer else q.answers
    made = {
        "decision": right,
        "right": right,
        "exact": metrics.exact_match(text, short) if short else NAN,
        "f1": 0.0 if declined else metrics.token_f1(text, short) if short else NAN,
        "must": NAN if not q.must else
        0.0 if declined else metrics.share_of_terms(text, q.must),
        "rouge_l": (0.0 if declined else metrics.rouge_l(text, whole)) if whole else NAN,
        "hallucination": 1.0 if right else 0.0 if declined else -1.0,
        "wrong": float(not right and not declined),
        "wrongly_declined": float(declined),
    }  # fmt: skip
    return {prefix + k: v for k, v in made.items()}


def _attribution(reply: Reply, declined: bool, gold: Sequence[Sequence[Span]]) -> dict[str, float]:
    spans: list[Span] = [(c.uri, c.start, c.end) for c in reply.citations]
    values = {}
    if not declined:
        values["cited"] = float(bool(spans))
    if spans:
        values["exact_quotes"] = sum(c.exact for c in reply.citations) / len(spans)
    if gold:
        if spans:
            values["citation_precision"] = metrics.citation_precision(spans, gold)
        values["citation_recall"] = metrics.citation_recall(spans, gold)
        values["found"] = metrics.citation_recall(reply.found, gold)
        values["rank"] = metrics.reciprocal_rank(reply.found, gold)
    return values


def tabulate(
    arms: Sequence[Arm],
    questions: Sequence[Question],
    updates: Sequence[Update],
    replies: Sequence[Reply],
    facts: Mapping[str, Any],
    gold: Mapping[str, Sequence[Sequence[Span]]],
    style: Style,
    embedder: Embedder | None = None,
) -> Table:
    """All values. A question that an arm was asked with several seeds has their mean.

    Replies that failed do not count (they are told apart); the last reply to a question does.
    """
    import numpy as np

    table = Table([a.name for a in arms], list(questions), list(updates))
    place = {q.id: i for i, q in enumerate(questions)}
    judged = judge.agreement(facts) is not None
    latest = {(r.arm, r.seed, r.question, r.changed): r for r in replies}
    for arm in arms:
        mine = [r for r in latest.values() if r.arm == arm.name]
        first = [r for r in mine if not r.changed and r.question in place]
        table.errors[arm.name] = sum(bool(r.error) for r in first)
        first = [r for r in first if not r.error]
        table.asked[arm.name] = len({r.question for r in first})
        sums: dict[str, Floats] = {}
        counts: dict[str, Floats] = {}
        seeds: dict[int, list[float]] = {}
        extra = _texts(questions, first, place, style, embedder)
        for reply in first:
            at = place[reply.question]
            values = score(questions[at], reply, arm, gold.get(reply.question, ()), style)
            values |= extra[reply.seed, reply.question]
            said = facts.get(judge.key(reply)) if reply.seed == 0 else None
            if said is not None:
                values["judged"] = float(said)
            elif judged and values.get("wrongly_declined"):
                values["judged"] = 0.0
            if values.get("right", NAN) == values.get("right", NAN):
                seeds.setdefault(reply.seed, []).append(values["right"])
            for name, value in values.items():
                if value == value:
                    sums.setdefault(name, np.zeros(len(questions)))[at] += value
                    counts.setdefault(name, np.zeros(len(questions)))[at] += 1
        with np.errstate(invalid="ignore"):
            columns = {name: sums[name] / counts[name] for name in sums}
        table.by_seed[arm.name] = [sum(v) / len(v) for _, v in sorted(seeds.items())]
        columns |= _causal(questions, mine, place)
        columns |= race.scored(arm, updates, mine, facts)
        table.values[arm.name] = columns
    return table


def _texts(
    questions: Sequence[Question],
    replies: Sequence[Reply],
    place: Mapping[str, int],
    style: Style,
    embedder: Embedder | None,
) -> dict[tuple[int, str], dict[str, float]]:
    """The measures that are cheaper for many texts at once: style and similarity."""
    found: dict[tuple[int, str], dict[str, float]] = {(r.seed, r.question): {} for r in replies}
    given = [r for r in replies if r.status != "declined"]
    if style.judge is not None:
        for name, texts in (
            ("style", [(r, metrics.plain(r.text)) for r in given]),
            ("raw_style", [(r, _named(r.written)) for r in given if r.written is not None]),
        ):
            judged = style.judge([text for _, text in texts])
            for (reply, _), value in zip(texts, judged, strict=True):
                found[reply.seed, reply.question][name] = float(value)
    if embedder is not None:
        whole = [(r, questions[place[r.question]]) for r in replies]
        pairs = [(r, q.answer or q.answers[0]) for r, q in whole
                 if q.answerable and (q.answer or q.answers)]  # fmt: skip
        if pairs:
            ours = embedder.embed([metrics.plain(r.text) or "-" for r, _ in pairs])
            theirs = embedder.embed([text for _, text in pairs])
            for (reply, _), one, other in zip(pairs, ours, theirs, strict=True):
                value = 0.0 if reply.status == "declined" else float(one @ other)
                found[reply.seed, reply.question]["similarity"] = value
    return found


def _named(written: str) -> str:
    """What a model wrote, with a name where it left a slot for its source ("Source: [1]")."""
    return metrics.plain(re.sub(r"(?<=: )\[\d+\](?: and \[\d+\])*", "source", written))


def _causal(
    questions: Sequence[Question], replies: Sequence[Reply], place: Mapping[str, int]
) -> dict[str, Floats]:
    import numpy as np

    causal, memory = np.full(len(questions), NAN), np.full(len(questions), NAN)
    before = {r.question: r for r in replies if not r.changed and r.seed == 0}
    for reply in replies:
        if reply.changed != "masked" or reply.error or reply.question not in place:
            continue
        at = place[reply.question]
        q, old = questions[at], before[reply.question]
        same = metrics.plain(reply.text) == metrics.plain(old.text)
        causal[at] = float(reply.status == "declined" or not same)
        if reply.written is not None:
            raw = metrics.plain(reply.written)
            cited = " ".join(c.quote for c in reply.citations)
            right = metrics.right(raw, q.answers, q.must, q.must_not, q.answer)
            elsewhere = metrics.right(cited, q.answers, q.must, q.must_not, q.answer)
            memory[at] = float(right and not elsewhere)
    return {k: v for k, v in (("causal", causal), ("from_memory", memory)) if not np.isnan(v).all()}
