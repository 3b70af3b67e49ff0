"""What is embedded and indexed for a passage, and the hash by which its vector is found again."""

from __future__ import annotations

import hashlib


def embedded_text(heading: str, text: str) -> str:
    """The heading path, if there is one, on a line in front of the text."""
    return f"{heading}\n{text}" if heading else text


def text_hash(heading: str, text: str) -> bytes:
    """16 bytes that name the embedded text."""
    raw = embedded_text(heading, text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, digest_size=16).digest()
