"""What a question asks for, read from its form alone: a fact or an explanation, and of which type.

Rules, not a model: they hold for any collection of documents, and a person can check them.
English; a question in another language has the form "explain" and no expected type, which costs
nothing but a longer quote.
"""

from __future__ import annotations

import re
from typing import Literal

from ragtune import words

Form = Literal["fact", "explain"]
Expected = Literal["number", "time", "name", "any"]

_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|far|high|tall|large|big|wide|deep|heavy|fast|soon|often|late"
    r"|early)\b|\bwhat (?:percentage|percent|number|amount|share|price|fee|rate|size|age)\b"
    r"|\b(?:cost|price|costs) (?:of|for)\b|\bphone number\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|time|century|decade|week|quarter|deadline)\b"
    r"|\b(?:since|until|by) when\b",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\bwho(?:m|se)?\b|\bwhere\b|\b(?:what|which) (?:\w+ )?(?:city|country|state|person|company"
    r"|place|team|department|office|address)\b",
    re.IGNORECASE,
)
_FACT = re.compile(
    r"^\W*(?:and |so |but |in |on |at |by |for |from |to |of |with |under )*"
    r"(?:who|whom|whose|when|where|which|what(?:'s|’s| is| was| are| were| does \w+ stand)?\b)",
    re.IGNORECASE,
)
# These want what stands around the sentence, too: steps, conditions, several things.
_EXPLAIN = re.compile(
    r"\bhow (?:do|does|did|can|could|should|would|to|is|are|am|will|must)\b|\bwhy\b|\bsteps?\b"
    r"|\bprocess\b|\bprocedure\b|\bexplain\b|\bdescribe\b|\bsummari[sz]e\b|\btell me\b|\blist\b"
    r"|\bwhat (?:should|shall|must|can|could|do|does|did|happens?|if|kinds?|types?|sorts?|about"
    r"|are (?:the|our|my|your|their))\b|\bwhich (?:\w+ ){0,2}(?:are|do|can|types?|kinds?)\b"
    r"|\bdifferen(?:ce|t)\b|\bcompare\b",
    re.IGNORECASE,
)
_MONTH = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|(?:mon|tues|wednes|thurs|fri|satur"
    r"|sun)days?|(?:to|yester)day|tomorrow|noon|midnight|century|quarter|daily|weekly|monthly"
    r"|annually|yearly)\b",
    re.IGNORECASE,
)


def form(question: str) -> Form:
    """ "fact" where one sentence can be the whole answer, otherwise "explain"."""
    if _NUMBER.search(question) or _TIME.search(question):
        return "fact"
    if _EXPLAIN.search(question):
        return "explain"
    return "fact" if _FACT.search(question) else "explain"


_PROCEDURE = re.compile(
    r"\bhow (?:do|can|could|should|would|must|to|does|am|is (?:it|this|that)|are)\b|\bsteps?\b"
    r"|\bprocedure\b|\bwalk me through\b|\bwhat (?:should|must|shall|do|can) (?:i|we|you|one)\b"
    r"|\bwhat(?: to do)? (?:now|next|first)\b|\binstructions?\b|\bhow does it work\b",
    re.IGNORECASE,
)


def procedure(question: str) -> bool:
    """Whether the question asks how something is done, step by step."""
    return _PROCEDURE.search(question) is not None


def expected(question: str) -> Expected:
    """The type of answer that the question's words ask for."""
    if _NUMBER.search(question):
        return "number"
    if _TIME.search(question):
        return "time"
    return "name" if _NAME.search(question) else "any"


# A wh-question without the asker in it: "Which costs are not paid?", not "Why can't I log in?".
_ASKING = re.compile(r"\b(?:who|whom|whose|which|what|where|when|how)\b", re.IGNORECASE)
_ASKER = re.compile(r"\b(?:i|my|me|mine|we|us|our)\b", re.IGNORECASE)
_DENIAL = re.compile(
    r"exclu|\bexcept|exempt|refus|prohibit|forbid|forbad|\black|\bfail|reject|oppos|\bden(?:y|ie)"
    r"|prevent|\bavoid|absen|missing|stopped|ceased|illegal|impossible|\bunable|\bunlike\b|instead"
    r"|rather than|\bno longer\b",
    re.IGNORECASE,
)


def denies(question: str) -> bool:
    """Whether the question asks for what is *not* so: "Which costs are not paid?"."""
    clauses = [c for c in re.split(r"[.;!?\n]", question) if _ASKING.search(c)]
    return any(words.negated(c) and not _ASKER.search(c) for c in clauses)


def denial(text: str) -> bool:
    """Whether `text` says that something is not so, in whatever words."""
    return words.negated(text) or _DENIAL.search(text) is not None


class Wanted:
    """Tests texts for the type of answer that a question asks for."""

    def __init__(self, question: str) -> None:
        self.kind = expected(question)
        self._said = {*words.numbers(question), *words.tokens(question)}

    def __call__(self, text: str) -> bool | None:
        """Whether `text` holds something of the type that the question does not say itself.

        None where any type will do.
        """
        if self.kind == "any":
            return None
        if self.kind == "name":
            return not self._said.issuperset(words.names(text))
        if self.kind == "time" and _MONTH.search(text):
            return True
        return not self._said.issuperset(words.numbers(text))
