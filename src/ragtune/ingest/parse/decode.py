"""Bytes to text: byte order marks, UTF-8, UTF-16/32 without a mark, then legacy encodings."""

from __future__ import annotations

import codecs
import re

from ragtune.errors import DocumentError

_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 64 * 1024
# Marks that show nothing and serve to hide or reorder text (Boucher et al. 2021, "Trojan Source"):
# zero-width spaces, marks and overrides of direction, invisible operators, fillers, tag characters
# and the selectors of variants in which bytes can be written. Joiners stay, and selectors that
# stand alone: Persian, Hindi and emoji need them.
UNSEEN = (
    "\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef"
)
_UNSEEN = re.compile(f"[{UNSEEN}]")
_SELECTORS = re.compile("([\ufe00-\ufe0f])[\ufe00-\ufe0f]+")
_WESTERN = frozenset(
    "äöüßÄÖÜéèêëàâáãåæçñóòôõøœíìîïúùûýÿÉÈÊÀÂÁÃÅÆÇÑÓÒÔÕØŒÍÚÛ€§°£«»“”„‘’‚–—…¿¡©®™·²³½¼ªº\xa0"
)


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of `data`, without byte order mark and unseen marks, and with `\\n` line ends.

    `declared` is an encoding named by the source itself (HTML, XML, mail); it counts after a mark
    and after valid UTF-8. Raises DocumentError when the bytes are no text.
    """
    text = _decode(data, declared)
    sample = text[:_SAMPLE]
    odd = len(_CONTROL.findall(sample)) + sample.count("\ufffd")
    if odd > 2 and odd > len(sample) * 0.02:
        raise DocumentError("not a readable text file: it holds binary data")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = without_unseen(text)
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def without_unseen(text: str) -> str:
    """`text` without the marks of `UNSEEN`, and one selector where several follow each other."""
    return text if text.isascii() else _SELECTORS.sub(r"\1", _UNSEEN.sub("", text))


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if wide := _without_mark(data[:_SAMPLE]):
        return data.decode(wide, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = error
    # UTF-8 with a few damaged bytes is still UTF-8: many good multi-byte characters say so
    if problem.end >= len(data) - 3 and len(data) > 64:
        return data.decode("utf-8", "replace")
    lax = data[:_SAMPLE].decode("utf-8", "replace")
    if sum(c > "\x7f" and c != "\ufffd" for c in lax) > 8 * lax.count("\ufffd"):
        return data.decode("utf-8", "replace")
    if declared:
        try:
            return data.decode(declared)
        except (LookupError, UnicodeDecodeError, ValueError):
            pass
    return data.decode(_legacy(data), "replace")


def _without_mark(sample: bytes) -> str | None:
    """UTF-16/32 by where the zero bytes of ASCII letters stand."""
    if len(sample) < 4 or 0 not in sample:
        return None
    zeros = [sample[i::4].count(0) / max(1, len(sample[i::4])) for i in range(4)]
    full = [z > 0.7 for z in zeros]
    if full == [False, True, True, True]:
        return "utf-32-le"
    if full == [True, True, True, False]:
        return "utf-32-be"
    if full == [False, True, False, True]:
        return "utf-16-le"
    if full == [True, False, True, False]:
        return "utf-16-be"
    return None


def _legacy(data: bytes) -> str:
    """The most probable 8-bit or East Asian encoding; cp1252 when nothing is clear."""
    if data[:_SAMPLE].count(0) > len(data[:_SAMPLE]) * 0.01:
        raise DocumentError("not a readable text file: it holds binary data")
    high = sum(b > 0x7F for b in data[:_SAMPLE])
    if high < 12:  # too little to judge by statistics; Western European is the usual case
        return "cp1252"
    sample = data[:_SAMPLE]
    # Latin alphabets are often mistaken for one another by statistics: where ASCII letters are the
    # most and nearly all others are Western European, it is cp1252.
    western = sample.decode("cp1252", "replace")
    if sum(c in _WESTERN for c in western if c > "\x7f") >= 0.9 * high and (
        sum(c.isalpha() for c in western if c <= "\x7f") > 1.5 * high
    ):
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, preemptive_behaviour=False).best()
    return best.encoding if best is not None else "cp1252"
