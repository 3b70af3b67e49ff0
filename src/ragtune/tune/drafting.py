"""Questions that a sentence answers: asked by the generator, or turned round by a few rules.

The rules cover only what comes out grammatical: table rows ("What is the weight of Kondor 210?"),
"X may take up to N days …" and "X costs N …". What they do not cover gives no question. Whatever
is drafted is verified afterwards (build.py); nothing here decides what is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragtune import words
from ragtune.protocols import Generator
from ragtune.sentences import sentences
from ragtune.types import BlockKind, Document, Generation, Message

SHORTEST, LONGEST = 5, 40  # words of a sentence that is worth a question
_POINTS_BACK = re.compile(
    r"(?:it|this|that|these|those|they|he|she|such|there|here|then|both|otherwise|also|but|and|or|"
    r"so|see|note|for example|in this case|the (?:same|latter|former|following|above))\b",
    re.I,
)
_BOILERPLATE = re.compile(
    r"\b(?:version|edition|valid from|owner|copyright|all rights reserved|page \d|"
    r"table of contents|subject to change|reserve the right|last (?:updated|changed))\b|"
    r"^\W*\w+:\s*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence, item or table row that a question could be asked about."""

    document: Document
    start: int
    end: int
    kind: BlockKind
    worth: float

    @property
    def text(self) -> str:
        """The span, exactly as in the document."""
        return self.document.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Draft:
    """A question with its short answer; `by` is "rule" or the generator's name."""

    question: str
    answer: str
    by: str
    kind: str = "fact"


# ---------------------------------------------------------------- what is worth a question


def candidates(document: Document) -> list[Candidate]:
    """What a document says plainly enough to be asked about, the most telling first."""
    found = []
    blocks = document.map.blocks
    at = 0
    for start, end in sentences(document.text, 0, len(document.text), blocks):
        while at < len(blocks) and blocks[at].end <= start:
            at += 1
        kind: BlockKind = "paragraph"
        if at < len(blocks) and blocks[at].start <= start:
            kind = blocks[at].kind
        text = document.text[start:end]
        if kind in ("heading", "header", "code") or (value := worth(text, kind)) <= 0:
            continue
        found.append(Candidate(document, start, end, kind, value))
    return sorted(found, key=lambda c: (-c.worth, c.start))


def worth(text: str, kind: BlockKind) -> float:
    """How much a sentence tells: numbers, names, rules; 0 for what stands not on its own."""
    flat = " ".join(text.split())
    count = len(flat.split())
    if kind == "row":
        return 2.0 if len(_cells(flat)) >= 2 else 0.0
    if not SHORTEST <= count <= LONGEST or flat.endswith(("?", ":")) or flat[-1:] not in ".!":
        return 0.0
    if _POINTS_BACK.match(flat) or _BOILERPLATE.search(flat):
        return 0.0
    value = 2.0 * bool(words.numbers(flat)) + 1.0 * bool(words.names(flat))
    value += 1.0 * bool(re.search(r"\b(?:must|may|can|shall|only|within|at least|at most)\b", flat))
    return value


def spread(documents: Sequence[Document]) -> list[Candidate]:
    """Candidates of all documents in turn, the best of each first; what several say is left out."""
    lists = [candidates(document) for document in documents]
    told: dict[str, int] = {}
    for found in lists:
        for text in {" ".join(words.tokens(c.text)) for c in found}:
            told[text] = told.get(text, 0) + 1
    order: list[Candidate] = []
    for rank in range(max(map(len, lists), default=0)):
        order += [f[rank] for f in lists if rank < len(f)]
    return [c for c in order if told[" ".join(words.tokens(c.text))] == 1]


# ---------------------------------------------------------------- rules


def by_rule(candidate: Candidate) -> Iterator[Draft]:
    """Questions that turn the candidate round; none where no rule gives a grammatical one."""
    flat = " ".join(candidate.text.split())
    if candidate.kind == "row":
        yield from _of_row(flat)
        return
    for rule in (_may, _is_amount, _costs, _lasts):
        if (draft := rule(flat)) is not None:
            yield draft
            return


def _cells(row: str) -> list[tuple[str, str]]:
    """`Header: value | …` as pairs; cells without a value or a name are left out."""
    pairs = [cell.partition(": ") for cell in row.split(" | ")]
    return [(h.strip(), v.strip()) for h, colon, v in pairs if colon and h.strip() and v.strip()]


_EMPTY = frozenset({"-", "–", "—", "no", "yes", "n/a", "none", "?", "x"})


def _of_row(row: str) -> Iterator[Draft]:
    """A value of a row whose first cell names it: "What is the weight of Kondor 210?"."""
    cells = _cells(row)
    if len(cells) < 2 or len(cells) > 12:
        return
    (_, key), *rest = cells
    if len(key.split()) > 6 or not re.search(r"[^\W\d_]", key) or key.casefold() in _EMPTY:
        return
    usable = [
        (head, value) for head, value in rest
        if value.casefold() not in _EMPTY and len(value.split()) <= 12 and len(head.split()) <= 4
    ]  # fmt: skip
    if _PLAIN_KEY.fullmatch(cells[0][0]):  # properties by thing: the columns are the things
        things = [(h, v) for h, v in usable if re.search(r"\d|[a-z][A-Z]| [A-Z]", h)]
        if things and _NOUN.search(key):
            head, value = things[len(row) % len(things)]
            yield Draft(f"What is the {_spoken(key)} of the {head}?", value, "rule", "table")
        return
    nouns = [(h, v) for h, v in usable if _NOUN.search(_spoken(h))]
    if nouns and not _NOUN.fullmatch(key):
        head, value = nouns[len(row) % len(nouns)]  # another column for another row
        person = re.search(r"(?:head|driver|owner)$", head, re.I)
        if person and not re.fullmatch(r"(?:[A-Z][\w.’'-]+ ?){2,4}", value):
            return
        who = "Who" if person else "What"
        yield Draft(f"{who} is the {_spoken(head)} of {key}?", value, "rule", "table")


_PLAIN_KEY = re.compile(
    r"(?:property|parameter|feature|characteristic|attribute|eigenschaft)", re.I
)
# What a thing has, as the last word of a column's name; other names do not make a question.
_NOUN = re.compile(
    r"(?:^|[ _])(?:price|weight|power|priority|meaning|type|capacity|payload|length|width|height|"
    r"depth|size|volume|colour|color|cost|fee|rate|rent|deposit|number|phone|telephone|extension|"
    r"address|status|owner|warranty|temperature|pressure|flow|level|output|input|consumption|fuel|"
    r"voltage|current|supply|range|speed|capital|population|duration|deadline|inspection|driver|"
    r"supplier|manufacturer|location|site|area|budget|salary|discount|model|version|action|"
    r"frequency|interval|limit|minimum|maximum|performance|refrigerant|grade|score|rating|head)$",
    re.I,
)


def _spoken(head: str) -> str:
    """A column's name as it is said: "next_inspection" is "next inspection"."""
    name = " ".join(head.replace("_", " ").split())
    return name if any(c.isupper() for c in name[1:]) else name.lower()


_SUBJECT = r"(?P<subject>(?:The|A|An|Every|Each|All|No)?\s?[A-Z]?[\w’'\-]+(?: [\w’'\-]+){0,5}?)"
_AMOUNT = r"(?P<limit>up to |at most |at least |no more than )?(?P<number>\d[\d.,]*|" + (
    "two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty"
) + r") (?P<unit>(?:working |calendar |full |paid )?[a-z]+s)\b"  # fmt: skip
_UNITS = frozenset(
    """days hours minutes weeks months years crew people units euros kilometres metres quotations
    offers copies persons seats passengers pieces employees members sets keys rooms litres
    characters times nights""".split()
)
# What may follow in the question: "per day", "until 31 March"; a second clause may not.
_REST = (
    r"(?P<rest>(?: (?:per|a|an|each|for|in|at|on|from|without|until|before|after|within|of|to|with|"
    r"during)\b(?:(?! and | or | but )[^,;:.])*)?)\."
)
_MAY = re.compile(
    rf"{_SUBJECT} (?P<aux>may|can|must) (?P<verb>take|use|carry over|carry|claim|work|keep|have|"
    rf"book|spend|bring|hold|store|receive|get|order|hire|request) {_AMOUNT}{_REST}"
)
_BE = re.compile(rf"{_SUBJECT} (?P<verb>has|have|receives?|gets?) {_AMOUNT}{_REST}")
_COST = re.compile(
    rf"{_SUBJECT} (?P<verb>costs?|weighs?|lasts?|takes?) "
    r"(?P<amount>(?:up to |at most |at least |about )?\d[\d.,]*(?: per cent| ?%| ?[A-Za-z€]+))"
    rf"{_REST}"
)
_LASTS = re.compile(
    rf"{_SUBJECT} (?P<verb>is|are) (?P<state>valid|kept|stored|open|closed|held|available) "
    rf"(?P<amount>for {_AMOUNT}){_REST}"
)
_WITHIN = re.compile(
    rf"{_SUBJECT} must be (?P<state>[a-z]+(?:ed|en|t|de|aid)(?: in| back| out)?) "
    rf"(?P<amount>within {_AMOUNT}){_REST}"
)
_CLAUSE = re.compile(r"\b(?:may|can|must|which|that|who|and|or|if|when|is|are|not|to)\b", re.I)


def _lower(subject: str) -> str:
    """A subject as it stands inside a sentence: articles and plural common nouns in lower case."""
    first, _, rest = subject.partition(" ")
    common = first in ("The", "A", "An", "Every", "Each", "All") or (
        not rest and first.endswith("s") and first.isalpha()
    )
    return first[0].lower() + first[1:] + (f" {rest}" if rest else "") if common else subject


def _simple(match: re.Match[str]) -> bool:
    """Whether the subject is one noun phrase: no second clause, no "No …"."""
    return not _CLAUSE.search(match["subject"]) and not match["subject"].startswith("No ")


def _may(text: str) -> Draft | None:
    match = _MAY.fullmatch(text)
    if not match or match["unit"].split()[-1] not in _UNITS or not _simple(match):
        return None
    subject = _lower(match["subject"])
    question = f"How many {match['unit']} {match['aux']} {subject} {match['verb']}{match['rest']}?"
    return Draft(question, f"{match['limit'] or ''}{match['number']} {match['unit']}", "rule")


def _is_amount(text: str) -> Draft | None:
    match = _BE.fullmatch(text)
    if not match or match["unit"].split()[-1] not in _UNITS or not _simple(match):
        return None
    one = match["verb"].endswith("s")
    verb = {"has": "have"}.get(match["verb"], match["verb"].rstrip("s") if one else match["verb"])
    subject = _lower(match["subject"])
    question = (
        f"How many {match['unit']} {'does' if one else 'do'} {subject} {verb}{match['rest']}?"
    )
    return Draft(question, f"{match['limit'] or ''}{match['number']} {match['unit']}", "rule")


def _costs(text: str) -> Draft | None:
    match = _COST.fullmatch(text)
    if not match or not _simple(match) or match["amount"].endswith((" per", " to")):
        return None
    one = match["verb"].endswith("s")
    verb = match["verb"].removesuffix("s")
    how = "How long" if verb in ("last", "take") else "How much"
    subject = _lower(match["subject"])
    question = f"{how} {'does' if one else 'do'} {subject} {verb}{match['rest']}?"
    return Draft(question, match["amount"], "rule")


def _lasts(text: str) -> Draft | None:
    if (match := _LASTS.fullmatch(text)) and _simple(match):
        question = f"How long {match['verb']} {_lower(match['subject'])} {match['state']}?"
        return Draft(question, match["amount"], "rule")
    if (match := _WITHIN.fullmatch(text)) and _simple(match):
        subject = _lower(match["subject"])
        question = f"Within what time must {subject} be {match['state']}{match['rest']}?"
        return Draft(question, match["amount"], "rule")
    return None


# ---------------------------------------------------------------- the generator

_SYSTEM = (
    "You write the question that a colleague would ask and that the given sentence answers with "
    "exactly the given answer. Use the words of the sentence."
)
_SHOWN = (
    ("Parking > Visitors: Visitors may park free of charge for three hours behind hall 2.",
     "three hours", "How long may visitors park free of charge behind hall 2?"),
    ("Invoices: Supplier invoices are sent as a PDF to Petra Holm in accounting.",
     "Petra Holm", "To whom are supplier invoices sent as a PDF?"),
    ("Pump P4 > Care: The seal of the pump must be greased after every 200 hours of operation.",
     "200 hours", "After how many hours of operation must the seal of the pump be greased?"),
)  # fmt: skip
_TARGET = re.compile(
    r"(?:(?:up to|at least|at most|no more than|more than|within|after|before|every) )?"
    r"(?:\d{1,2}(?:st|nd|rd|th)? (?:of )?(?:January|February|March|April|May|June|July|August|"
    r"September|October|November|December)(?: \d{4})?|\d{1,2}:\d{2}|"
    r"(?:EUR|€|\$) ?\d[\d.,]*\d|\d[\d.,]*(?:st|nd|rd|th)?(?: per cent| ?%| ?°C| [A-Za-z³²/]+)?|"
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty) [a-z]+)"
)
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w’-]+(?: [A-Z][\w’-]+){0,2}")


def target(text: str) -> str | None:
    """The words of a sentence that a question could ask for: an amount, a date, else a name."""
    flat = " ".join(text.split())
    found = [
        m.group().strip(" .,") for m in _TARGET.finditer(flat)
        if not re.search(r"(?:\bbetween|\band|\bto|\bor|[-–/]) ?$", flat[: m.start()])
        and not re.match(r" ?(?:and|to|or|[-–/]) ?\d", flat[m.end() :])  # half of a range
    ]  # fmt: skip
    amounts = [
        t for t in found
        if (not t[-1].isdigit() or ":" in t or len(t.split()) > 1)
        and t.split()[-1].lower() not in words.STOP_WORDS
    ]  # fmt: skip
    names = [] if amounts else [m.group() for m in _NAME.finditer(flat)]
    return next((t for t in (*amounts, *names) if flat.count(t) == 1), None)


def by_model(candidate: Candidate, context: str, generator: Generator) -> Draft | None:
    """What the generator asks about the candidate, or None where it does not ask.

    The answer is chosen first, out of the candidate's own words, and the generator is asked for
    the question alone: a small model then cannot garble a fact. `context` is the document's title
    and the headings above. Raises GenerationError.
    """
    flat = " ".join(candidate.text.split())
    if candidate.kind == "row" or (answer := target(flat)) is None:
        return None
    messages = [Message("system", _SYSTEM)]
    for sentence, wanted, question in _SHOWN:
        messages += [Message("user", f"Sentence: {sentence}\nAnswer: {wanted}"),
                     Message("assistant", question)]  # fmt: skip
    messages.append(Message("user", f"Sentence: {context}: {flat}\nAnswer: {answer}"))
    written = ""
    for token in generator.stream(messages, Generation(max_tokens=64)):
        written += token.text
        if "?" in token.text:
            break
    match = re.match(r"\s*(?:Question:\s*)?([^\n?]{8,300}\?)", written)
    return Draft(" ".join(match[1].split()), answer, generator.name) if match else None


# ---------------------------------------------------------------- near-misses


def near_misses(rows: Sequence[Candidate]) -> Iterator[tuple[str, str, str]]:
    """Questions on the documents' own subjects that no row answers: (question, thing, property).

    A thing of one table is asked for a property that only another table has.
    """
    by_table: dict[str, tuple[list[str], list[str]]] = {}
    for row in rows:
        cells = _cells(" ".join(row.text.split()))
        if len(cells) < 2 or _PLAIN_KEY.fullmatch(cells[0][0]):
            continue
        heads, keys = by_table.setdefault(f"{row.document.uri} {cells[0][0]}", ([], []))
        heads += [h for h, _ in cells[1:] if h not in heads and _NOUN.search(_spoken(h))]
        if re.search(r"[^\W_]", cells[0][1]) and len(cells[0][1].split()) <= 5:
            keys.append(cells[0][1])
    tables = [table for table in by_table.values() if table[0] and table[1]]
    for (_, keys), (heads, _) in pairwise([*tables, *tables[:1]] if len(tables) > 1 else []):
        for key, head in zip(keys, heads, strict=False):
            name = _spoken(head)
            who = "Who" if re.search(r"(?:head|driver|owner)$", name) else "What"
            yield f"{who} is the {name} of {key}?", key, name
