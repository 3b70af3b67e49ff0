"""What answers, questions and their repeats give away: each finding one small function.

All of them look at all examples at once and give at most a few findings, each with every row.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ragtune import words
from ragtune.tune import near, personal
from ragtune.tune.examples import asks
from ragtune.tune.language import language
from ragtune.types import Example

Severity = Literal["stop", "warning", "note"]
SHOWN = 3  # samples of a finding


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data. `rows` are all rows concerned; `samples` show some of them."""

    name: str
    severity: Severity
    message: str
    advice: str
    rows: tuple[int, ...] = ()
    samples: tuple[str, ...] = ()


def _short(text: str, most: int = 90) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _masked(text: str) -> str:
    """`text` with personal data masked: reports are shown and sent around."""
    for found in sorted(personal.find(text), key=lambda f: -f.start):
        text = text[: found.start] + found.masked + text[found.end :]
    return text


def finding(
    name: str, severity: Severity, found: Sequence[Example], message: str, advice: str
) -> Iterator[Finding]:
    """A finding about `found`, if any; their number is put behind the message."""
    if found:
        samples = tuple(_short(_masked(e.answer)) for e in found[:SHOWN])
        text = f"{message}: {len(found):,}"
        yield Finding(name, severity, text, advice, tuple(e.row for e in found), samples)


# ---------------------------------------------------------------- answers

_NOTHING = re.compile(
    r"\W*(?:n\s?/\s?a|none|null|nan|nil|todo|tbd|xxx+|test|lorem ipsum.*|undefined|no answer|"
    r"see above|same|\.\.\.)?\W*",
    re.I | re.S,
)
_CLOSED = (".", "!", "?", "。", "！", "？", ":", ";", ")", "]", "}", '"', "'", "”", "’", "»", ">",
           "`", "*", "_", "|")  # fmt: skip


def answers(rows: Sequence[Example], fixed: Sequence[str]) -> Iterator[Finding]:
    """Answers without content, cut short, without the usual ending, or all the same."""
    empty = [e for e in rows if len(e.answer) < 80 and _NOTHING.fullmatch(e.answer)]
    yield from finding(
        "no content", "warning", empty,
        "answers that say nothing", "write the answer or delete the row",
    )  # fmt: skip
    yield from finding(
        "answer repeats question", "warning",
        [e for e in rows if _plain(e.answer) == _plain(e.question)],
        "answers that are their question again", "write the answer or delete the row",
    )  # fmt: skip
    yield from finding(
        "cut short", "warning", _cut(rows, fixed), "answers that look cut off",
        "complete them: the model learns to stop there",
    )  # fmt: skip
    ending = _ending(rows, fixed)
    if ending:
        yield from finding(
            "without the ending", "note",
            [e for e in rows if ending not in e.answer],
            f"answers without the ending that nearly all others have ({_short(ending, 40)!r})",
            "add it, unless it is meant",
        )  # fmt: skip
    times = Counter(_body(e.answer, fixed) for e in rows)
    body, most = times.most_common(1)[0]
    if len(rows) >= 10 and most >= 0.5 * len(rows):
        yield Finding(
            "one answer",
            "stop" if most >= 0.95 * len(rows) else "warning",
            f"{most:,} of {len(rows):,} answers are the same: the model would learn to say that",
            "take most of them out",
            tuple(e.row for e in rows if _body(e.answer, fixed) == body),
            (_short(_masked(body)),),
        )


def _plain(text: str) -> str:
    return " ".join(words.tokens(text)) or " ".join(text.split())


def _body(answer: str, fixed: Sequence[str]) -> str:
    """What an answer says beside the company's form."""
    for sentence in fixed:
        answer = answer.replace(sentence, "")
    return _plain(answer)


def _cut(rows: Sequence[Example], fixed: Sequence[str]) -> list[Example]:
    """Answers that end in an ellipsis, inside code or a list, or all at one length in mid-sentence.

    Where nearly all answers end a sentence, also long ones that do not.
    """
    ends = tuple(fixed)
    open_ended = [e for e in rows if not e.answer.endswith(_CLOSED) and not e.answer.endswith(ends)]
    odd = {e.row for e in open_ended}
    length = Counter(len(e.answer) for e in open_ended)
    limit, same = max(length.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    at_limit = same >= 3 and limit >= 100 and limit >= max(len(e.answer) for e in open_ended)
    ranked = sorted(len(e.answer) for e in rows)
    middle = max(ranked[len(ranked) // 2], 60)
    usual = len(rows) >= 10 and len(open_ended) <= 0.1 * len(rows)
    return [
        e for e in rows
        if e.answer.endswith(("…", "...", "[...]", "[…]", "-", ","))
        or e.answer.count("```") % 2
        or re.search(r"\n\s*(?:\d{1,2}[.)]|[-*•])\s*\Z", e.answer[-12:])
        or (e.row in odd and at_limit and len(e.answer) == limit)
        or (e.row in odd and usual and len(e.answer) > middle)
    ]  # fmt: skip


def _ending(rows: Sequence[Example], fixed: Sequence[str]) -> str | None:
    """The fixed sentence with which at least 9 of 10 answers end."""
    for sentence in fixed:
        count = sum(e.answer.endswith(sentence) for e in rows)
        if 0.9 * len(rows) <= count < len(rows):
            return sentence
    return None


# ---------------------------------------------------------------- repeats


def _prompt(e: Example) -> tuple[str, ...]:
    return (_plain(e.question), e.system, *(m.content for m in e.history))


def repeats(rows: Sequence[Example]) -> Iterator[Finding]:
    """Duplicates, contradictions and near-duplicates among the examples."""
    groups: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for e in rows:
        groups[_prompt(e)].append(e)
    several = [group for group in groups.values() if len(group) > 1]
    twice = [e for g in several for i, e in enumerate(g)
             if any(_plain(e.answer) == _plain(f.answer) for f in g[:i])]  # fmt: skip
    yield from finding(
        "duplicates", "warning", twice, "rows that repeat an earlier one", "delete them",
    )  # fmt: skip
    torn = [e for g in several if len({_plain(f.answer) for f in g}) > 1 for e in g]
    yield from finding(
        "conflicts", "warning", torn, "rows that ask the same question and answer it differently",
        "keep the answer that is right",
    )  # fmt: skip
    single = [g[0] for g in groups.values() if not g[0].history]
    alike = near.pairs([e.question for e in single])
    if alike:
        yield Finding(
            "near-duplicates", "note",
            f"pairs of questions that are nearly the same: {len(alike):,}",
            "fine where the answers agree; else keep one",
            tuple(sorted({single[k].row for i, j, _ in alike for k in (i, j)})),
            tuple(f"{_short(_masked(single[i].question), 60)} ≈ "
                  f"{_short(_masked(single[j].question), 60)}" for i, j, _ in alike[:SHOWN]),
        )  # fmt: skip


def against(
    rows: Sequence[Example], heldout: Sequence[Example], fixed: Sequence[str]
) -> Iterator[Finding]:
    """What the held-out set shares with the examples; rows are those of the held-out set."""
    if not heldout:
        return
    asked = {_prompt(e) for e in rows}
    seen = [e for e in heldout if _prompt(e) in asked]
    yield from finding(
        "held-out in training", "stop" if 2 * len(seen) > len(heldout) else "warning", seen,
        f"held-out questions (of {len(heldout):,}) that are also trained, so that the score is of "
        "memory", "delete them from one of the two files (rows of the held-out file)",
    )  # fmt: skip
    exact = {e.row for e in seen}
    alike = [
        (i, j) for i, j, _ in near.pairs([e.question for e in rows], [e.question for e in heldout])
        if heldout[j].row not in exact
    ]  # fmt: skip
    if alike:
        yield Finding(
            "near held-out", "warning",
            f"held-out questions that nearly repeat trained ones: {len({j for _, j in alike}):,}",
            "delete them from one of the two files (rows of the held-out file)",
            tuple(sorted({heldout[j].row for _, j in alike})),
            tuple(f"{_short(_masked(rows[i].question), 60)} ≈ "
                  f"{_short(_masked(heldout[j].question), 60)}" for i, j in alike[:SHOWN]),
        )  # fmt: skip
    said = {b for e in rows if len(b := _body(e.answer, fixed)) > 40}
    same = [e for e in heldout if e.row not in exact and _body(e.answer, fixed) in said]
    yield from finding(
        "same answers held out", "note", same, "held-out answers that are also trained",
        "other facts make a fairer score (rows of the held-out file)",
    )  # fmt: skip


# ---------------------------------------------------------------- what stands in the texts


def personal_data(rows: Sequence[Example]) -> Iterator[Finding]:
    """Rows that hold personal data, by kind; samples are masked."""
    kinds: dict[str, dict[int, str]] = {}
    for e in rows:
        texts: Iterable[str] = (e.question, e.answer, *(m.content for m in e.history))
        for text in texts:
            for found in personal.find(text):
                kinds.setdefault(found.kind, {}).setdefault(e.row, found.masked)
    for kind, where in kinds.items():
        yield Finding(
            "personal data", "warning", f"rows that hold {_article(kind)}: {len(where):,}",
            "the model may repeat it to anybody: keep only what everybody may know",
            tuple(where), tuple(list(where.values())[:SHOWN]),
        )  # fmt: skip


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'eI' else 'a'} {kind}"


_TEMPLATE = re.compile(
    r"<\|[a-z_]{2,24}\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|</?s>|"
    r"#{2,3} ?(?:Response|Instruction|Input|Human|Assistant|User) ?:|"
    r"(?m:^(?:Human|Assistant|USER|ASSISTANT)\s?: )"
)
_HTML = re.compile(
    r"</?(?:p|div|br|span|b|i|u|ul|ol|li|a|table|tr|td|strong|em|img|font|h[1-6])\b[^<>]{0,200}>|"
    r"&(?:nbsp|amp|lt|gt|quot|#\d{2,5});",
    re.I,
)
_MARKDOWN = re.compile(
    r"\*\*[^*\n]{1,500}\*\*|^#{1,6} \S|\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)|^\|.*\|$", re.M
)
_ESCAPED = re.compile(r"[^\\]\\n|\\u[\da-fA-F]{4}|\\r\\n")
_MOJIBAKE = re.compile(r"Ã[\x80-\xbf¤¶¼Ÿ©¨„–œ]|â€[™œ\x9d“”¦]|Â[ \xa0°§]")


def leftovers(rows: Sequence[Example]) -> Iterator[Finding]:
    """Template text, HTML, Markdown, escapes, wrong decoding, single rows that look swapped."""
    template = [e for e in rows if _TEMPLATE.search(e.answer) or _TEMPLATE.search(e.question)]
    yield from finding(
        "template text", "stop" if 2 * len(template) > len(rows) else "warning", template,
        "rows that hold text of a chat template (<|im_end|>, [INST], ### Response:)",
        "take it out: the template is added in training and serving",
    )  # fmt: skip
    yield from finding(
        "HTML", "warning", [e for e in rows if _HTML.search(e.answer)],
        "answers that hold HTML", "convert it to plain text, unless answers are to be HTML",
    )  # fmt: skip
    marked = [e for e in rows if _MARKDOWN.search(e.answer)]
    if len(marked) < 0.5 * len(rows):
        yield from finding(
            "Markdown", "note", marked, "answers that hold Markdown where most do not",
            "decide for one of both",
        )  # fmt: skip
    yield from finding(
        "escapes", "warning", [e for e in rows if _ESCAPED.search(e.answer)],
        r"answers that hold escapes as text (\n, \u00e4)", "decode them: they were escaped twice",
    )  # fmt: skip
    yield from finding(
        "encoding", "warning",
        [e for e in rows if _MOJIBAKE.search(e.answer) or _MOJIBAKE.search(e.question)],
        "rows that hold wrongly decoded letters (Ã¤, â€™)", "save the file as UTF-8 again",
    )  # fmt: skip
    if sum(asks(e.question) for e in rows) > 0.5 * len(rows):
        odd = [e for e in rows if asks(e.answer) and not asks(e.question)]
        yield from finding(
            "maybe swapped", "note" if len(odd) < 3 else "warning", odd,
            "answers that are questions while their questions are not",
            "see whether question and answer are swapped there",
        )  # fmt: skip


def kinds(rows: Sequence[Example]) -> Iterator[Finding]:
    """Kinds out of balance."""
    counts = Counter(e.kind for e in rows)
    refusing = [e for e in rows if e.kind in ("unanswerable", "near-miss", "out-of-scope")]
    if len(refusing) > 0.3 * len(rows):
        yield from finding(
            "refusals", "warning", refusing, f"examples (of {len(rows):,}) that decline",
            "a small model then declines everything: 10% are enough",
        )  # fmt: skip
    kind, most = counts.most_common(1)[0]
    if kind and len(counts) > 1 and most > 0.9 * len(rows):
        yield Finding(
            "kinds", "note", f"{most / len(rows):.0%} of the examples are of the kind {kind!r}",
            "the others will hardly be learned",
        )  # fmt: skip


def languages(rows: Sequence[Example], said: Sequence[str]) -> Iterator[Finding]:
    """Answers in several languages, or in another than asked; `said` is each answer's language."""
    told = list(zip(rows, said, strict=True))
    counts = Counter(name for _, name in told if name)
    if not counts:
        return
    main = counts.most_common(1)[0][0]
    others = [e for e, name in told if name and name != main]
    if len(others) >= max(3, 0.02 * len(rows)):
        names = ", ".join(f"{name} {n:,}" for name, n in counts.most_common(5))
        yield from finding(
            "languages", "note", others, f"answers in another language than most ({names})",
            "fine if meant; the small base knows English only",
        )  # fmt: skip
    across = [e for e, a in told if a and (q := language(e.question)) and a != q]
    if len(across) >= max(3, 0.05 * len(rows)):
        yield from finding(
            "other language", "note", across, "answers in another language than asked",
            "fine if meant",
        )  # fmt: skip
