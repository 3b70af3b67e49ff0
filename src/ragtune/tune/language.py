"""Which language a text is in, from its commonest words and its script: enough to see a mix.

No model and no dependency; short texts without a common word are in no language ("").
"""

from __future__ import annotations

import re
from functools import lru_cache

_COMMON = {
    "en": "the and is of to in that it for you are with on be this what how can not have your do",
    "de": "der die das und ist ich sie nicht ein eine zu mit für auf im den von wie was kann wir",
    "fr": "le la les et est des une un pour dans que pas vous je avec sur du au comment quel nous",
    "es": "el los las y es que del por una para con no se su como qué cómo está más puede",
    "it": "il gli e è che di per una con non si della sono come cosa può nel questo più mi",
    "nl": "de het een en is van ik niet dat op met voor zijn wat hoe kan er aan je we",
    "pt": "os as e é que do da em para com não uma se mais como você está pelo seu por",
    "pl": "i w nie na się jest do to że z jak co po czy dla od są czym ma być",
}
_OF: dict[str, tuple[str, ...]] = {}
for _name, _words in _COMMON.items():
    for _word in (w for w in _words.split() if len(w) > 1):
        _OF[_word] = (*_OF.get(_word, ()), _name)
_SCRIPTS = (
    ("ru", re.compile("[а-яА-Я]")), ("el", re.compile("[α-ωΑ-Ω]")), ("ar", re.compile("[ء-ي]")),
    ("he", re.compile("[א-ת]")), ("hi", re.compile("[ऀ-ॿ]")), ("ko", re.compile("[가-힣]")),
    ("ja", re.compile("[ぁ-んァ-ン]")), ("zh", re.compile("[一-鿿]")), ("th", re.compile("[ก-๛]")),
)  # fmt: skip
_OTHER = re.compile("[\u0370-\u1fff\u3040-\ud7ff]")  # a letter that is not Latin
_WORD = re.compile(r"[^\W\d_]+")
LOOKED_AT = 400  # characters


def language(text: str) -> str:
    """The ISO 639-1 code of the text's language, or "" when nothing tells it.

    A language needs two of its common words more than any other, or a script of its own.
    """
    head = text[:LOOKED_AT]
    if not head.isascii() and _OTHER.search(head):
        letters = sum(c.isalpha() for c in head)
        for name, pattern in _SCRIPTS:
            if letters and len(pattern.findall(head)) > 0.3 * letters:
                return name
    return _by_words(frozenset(_WORD.findall(head.lower())))


@lru_cache(maxsize=4096)
def _by_words(found: frozenset[str]) -> str:
    counts: dict[str, int] = {}
    for word in found:
        for name in _OF.get(word, ()):
            counts[name] = counts.get(name, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < 2 or (len(ranked) > 1 and ranked[0][1] - ranked[1][1] < 2):
        return ""
    return ranked[0][0]
