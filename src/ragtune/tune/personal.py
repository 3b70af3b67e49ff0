"""Personal data that can be told by form: addresses, numbers with check digits, masked for show.

Names, postal addresses and dates of birth are not attempted: by form alone they cannot be told
from products, places and deadlines, and a list full of false alarms is not read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

NOT_LOOKED_FOR = "names, postal addresses, dates of birth"


@dataclass(frozen=True, slots=True)
class Personal:
    """A piece of personal data: its kind, where it stands, and how it may be shown."""

    kind: str
    start: int
    end: int
    masked: str


def find(text: str) -> Iterator[Personal]:
    """The personal data in a text, in order of kind; no character is reported twice."""
    if "@" not in text and not _DIGITS.search(text):
        return  # most texts: one quick look
    taken: list[tuple[int, int]] = []
    for kind, pattern, check in _KINDS:
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(start < e and s < end for s, e in taken) or not check(match):
                continue
            taken.append((start, end))
            yield Personal(kind, start, end, _masked(kind, match.group()))


_DIGITS = re.compile(r"\d(?:.?\d){6}|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d|[\da-fA-F]{0,4}::")


def _masked(kind: str, found: str) -> str:
    if kind == "e-mail":
        name, _, host = found.partition("@")
        return f"{name[:1]}…@{host[:1]}….{host.rpartition('.')[2]}"
    letters = [c for c in found if c.isalnum()]
    return f"{''.join(letters[:2])}…{''.join(letters[-2:])}"


def _digits(text: str) -> list[int]:
    return [int(c) for c in text if c.isdecimal()]


def _luhn(match: re.Match[str]) -> bool:
    """The check sum of payment cards (ISO/IEC 7812-1), 13 to 19 digits of a known issuer."""
    digits = _digits(match.group())
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2 or digits[0] not in (2, 3, 4, 5, 6):
        return False
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d)
               for i, d in enumerate(reversed(digits))]  # fmt: skip
    return sum(doubled) % 10 == 0


def _iban(match: re.Match[str]) -> bool:
    """The check sum of ISO 13616: the number modulo 97 is 1."""
    plain = re.sub(r"\s", "", match.group())
    if not 15 <= len(plain) <= 34:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _german_tax_id(match: re.Match[str]) -> bool:
    """The Steuer-Identifikationsnummer: 11 digits, not 0 first, ISO 7064 MOD 11,10; of the first
    ten digits exactly one stands twice or three times.
    """
    digits = _digits(match.group())
    if len(digits) != 11 or digits[0] == 0:
        return False
    times = sorted((digits[:10].count(d) for d in set(digits[:10])), reverse=True)
    if times[0] not in (2, 3) or (len(times) > 1 and times[1] > 1):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits[10]


def _ssn(match: re.Match[str]) -> bool:
    """A US social security number that the text calls so; no group is 0, the first no 666, 9xx."""
    before = match.string[max(0, match.start() - 40) : match.start()]
    if not re.search(r"\bSSN\b|social security|tax", before, re.I):
        return False  # part numbers look the same
    area, group, serial = match.group().split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def _phone(match: re.Match[str]) -> bool:
    count = len(_digits(match.group()))
    if not 7 <= count <= 15:
        return False
    before = match.string[max(0, match.start() - 24) : match.start()].casefold()
    if re.search(r"(?:tel|phone|fon|call|mobile|mobil|fax|whatsapp|dial|ring)\w*[\s.:]*(?:\w+\s)?$",
                 before):  # fmt: skip
        return True
    found = match.group()
    if found.startswith(("+", "00", "(")):
        return True
    # without a word before it: a national number is 0 and parted, or the US form; no dates or ids
    return bool(
        re.fullmatch(r"0\d{1,5}[ /\-]\d[\d \-]{4,}\d", found)
        or re.fullmatch(r"\d{3}[-. ]\d{3}[-. ]\d{4}", found)
    ) and not re.fullmatch(r"0?\d{1,2}-\d{1,2}-\d{2,4}", found)


def _ip(match: re.Match[str]) -> bool:
    """A public or private address, but no loopback, no example range, no version number."""
    if re.search(r"(?:\bv|version|release|section|§|chapter)\s*$",
                 match.string[max(0, match.start() - 12) : match.start()], re.I):  # fmt: skip
        return False
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return False
    text = match.group()
    examples = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8")
    return not (address.is_loopback or address.is_unspecified or address.is_multicast
                or text.lower().startswith(examples) or int(address) < 1 << 24)  # fmt: skip


def _always(match: re.Match[str]) -> bool:
    return True


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    ("e-mail",
     re.compile(r"(?<![\w.+\-])[\w.+\-]{1,64}@(?:[\w\-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"), _always),
    ("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z\d]{2,4}){3,8}\b"), _iban),
    ("payment card", re.compile(r"(?<![\d.,])\d(?:[ \-]?\d){12,18}(?![\d.,]\d|\d)"), _luhn),
    ("US social security number", re.compile(r"(?<![\d\-])\d{3}-\d{2}-\d{4}(?![\d\-])"), _ssn),
    ("German tax id", re.compile(r"(?<![\d.,])\d{2}\s?\d{3}\s?\d{3}\s?\d{3}(?![\d.,]\d|\d)"),
     _german_tax_id),
    ("IP address",
     re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[\da-fA-F]{0,4}:){2,7}[\da-fA-F]{1,4})"
                r"(?![\w:]|\.\d)"), _ip),
    ("telephone number",
     re.compile(r"(?<![\w.,/\-])(?:\+|00)?\(?\d[\d ()/\-]{5,18}\d(?![\w]|[.,/\-]\d)"), _phone),
)  # fmt: skip
