"""What is embedded and indexed for a passage, and the hash by which its vector is found again."""

from __future__ import annotations

import hashlib
import re

# A Markdown link's target: it says nothing of what the text means and takes many tokens.
_LINK = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*(?:\s\"[^\"]*\")?\)")


def embedded_text(heading: str, text: str) -> str:
    """The heading path, if there is one, on a line in front of the text as it reads."""
    return f"{heading}\n{as_read(text)}" if heading else as_read(text)


def as_read(text: str) -> str:
    """The text without the targets of Markdown links."""
    return _LINK.sub(r"\1", text) if "](" in text else text


def text_hash(heading: str, text: str) -> bytes:
    """16 bytes that name the embedded text."""
    raw = embedded_text(heading, text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, digest_size=16).digest()
