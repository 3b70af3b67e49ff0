"""E-mail (RFC 822): header lines, the text, then what is attached in readable formats."""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
from email.message import EmailMessage, Message
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Failed, Parsed, has_words, one_line
from ragtune.ingest.parse.decode import decode

MAX_DEPTH = 2  # of attachments inside attachments
MAX_ATTACHMENTS = 50
MAX_ATTACHED = 50 << 20  # bytes
_WRAPPED = 58  # a longer line that goes on below was wrapped
_QUOTE = re.compile(r"(?:> ?)+")
_ITEM = re.compile(r"\(?\w{1,2}[.)] ")
_WORD = re.compile(r"\w{2,}")
_ADDRESS = re.compile(r"<?(?:https?|mailto|cid):\S+|\S+@\S+|\[[^\]\n]{1,60}\]")
_SAYS = 4  # words: fewer make no statement
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def read_eml(data: bytes, name: str, depth: int = 0) -> Parsed:
    """A mail with its readable attachments. Raises DocumentError: encrypted, or not a mail."""
    if data.startswith(b"\xff\xfe") or data.startswith(b"\xfe\xff") or b"\x00" in data[:64]:
        data = decode(data).encode("utf-8")
    message = email.message_from_bytes(data.lstrip(), policy=email.policy.default)
    if not message.keys():
        raise DocumentError("malformed mail: it has no header")
    out = Builder()
    subject = header(message, "Subject")
    write_headers(out, {key: header(message, key) for key in _HEADERS})
    budget = [MAX_ATTACHED, MAX_ATTACHMENTS]
    encrypted = _walk(message, out, depth, budget)
    if encrypted and not any(b.start for b in out.blocks):
        raise DocumentError("encrypted mail: save it decrypted")
    return out.finish(name, "eml", subject)


def header(message: Message[Any, Any], key: str) -> str:
    """A header's text; malformed ones are shown as they stand."""
    try:
        value = message.get(key)
        return one_line(str(value)) if value is not None else ""
    except Exception:  # the parser of structured headers raises many kinds on malformed input
        for raw_key, raw in message.raw_items():
            if raw_key.lower() == key.lower():
                return one_line(str(raw))
        return ""


def write_headers(out: Builder, values: dict[str, str]) -> None:
    """The header lines as the first block."""
    lines = [f"{key}: {value}" for key, value in values.items() if value]
    out.add("\n".join(lines), "paragraph", 0, {"part": "header"})


def write_body(out: Builder, text: str) -> None:
    """Plain text of a mail: paragraphs and items, quoted text as it stands."""
    from ragtune.ingest.parse.text import text_blocks

    lines: list[str] = []
    depth = 0
    for line in text.replace("\r\n", "\n").split("\n"):
        mark = _QUOTE.match(line)
        level = mark[0].count(">") if mark else 0
        line = line[mark.end() :] if mark else line
        if level != depth:
            lines.append("")  # a quotation is a paragraph of its own
            depth = level
        if lines and len(lines[-1]) >= _WRAPPED and line[:1].isalnum() and not _ITEM.match(line):
            lines[-1] += " " + line.rstrip()  # hard-wrapped by the sender's program
        else:
            lines.append(line.rstrip())
    for block in text_blocks(body := "\n".join(lines)):
        out.add(body[block.start : block.end], block.kind, block.level, {"part": "body"})


def write_html_body(out: Builder, html: str) -> None:
    """An HTML mail."""
    from ragtune.ingest.parse.html import shown_page, write_html

    parser = shown_page(html, out)
    write_html(parser.body or parser.root, out, {"part": "body"})


def says_the_same(plain: str, html: str) -> bool:
    """Whether each line of a mail's plain text stands in the HTML that people see.

    Most of its words do, as links and line ends are written in other ways.
    """
    from ragtune.ingest.parse.html import shown_page, write_html

    shown = Builder()
    parser = shown_page(html, shown)
    write_html(parser.body or parser.root, shown)
    if not shown:
        return True  # pictures only
    known = {word.casefold() for word in _WORD.findall(shown.text())}
    for line in _ADDRESS.sub(" ", plain).split("\n"):
        said = _WORD.findall(line)
        if len(said) >= _SAYS and sum(w.casefold() in known for w in said) < 0.7 * len(said):
            return False
    return True


def write_attachment(out: Builder, data: bytes, name: str, depth: int) -> None:
    """Appends what an attachment says; what cannot be read is only named."""
    from ragtune.ingest.parse import parse

    part = {"part": f"attachment {name}"}
    results: list[Parsed | Failed] = []
    if depth < MAX_DEPTH and data:
        try:
            results = (
                [read_eml(data, name, depth + 1)] if name.endswith(".eml") else parse(data, name)
            )
        except DocumentError:
            results = []
    read = [r for r in results if isinstance(r, Parsed)]
    out.add(f"Attachment: {name}", "heading" if read else "paragraph", 1 if read else 0, part)
    for parsed in read:
        inner = part if len(read) == 1 else {"part": f"attachment {name}!/{parsed.name}"}
        out.append(parsed.text, parsed.map, inner, deeper=1)
        out.left_out.take(parsed.left_out, "an attachment")


def _walk(message: Message[Any, Any], out: Builder, depth: int, budget: list[int]) -> bool:
    """Adds the parts of a message; True when one of them is encrypted."""
    kind = message.get_content_type()
    if kind in _ENCRYPTED and message.get_param("smime-type") != "signed-data":
        return True
    if kind == "multipart/alternative":
        return _alternative(message, out, depth, budget)
    if message.is_multipart():
        parts = message.get_payload()
        if kind == "message/rfc822" or not isinstance(parts, list):
            return _attached_message(message, out, depth, budget)
        encrypted = [_walk(p, out, depth, budget) for p in parts if isinstance(p, Message)]
        return any(encrypted)  # after all of them were read
    name = _file_name(message)
    inline = message.get_content_disposition() != "attachment" and not name
    if inline and kind in ("text/plain", "text/html"):
        _write_text(message, out)
    elif not kind.startswith("image/") or name:
        _attach(message, out, name or kind.replace("/", "."), depth, budget)
    return False


def _alternative(message: Message[Any, Any], out: Builder, depth: int, budget: list[int]) -> bool:
    """Plain text when it says what the HTML shows, else that; calendar and others are left out."""
    parts = [p for p in message.get_payload() if isinstance(p, Message)]
    pages = [text_of(p) for part in parts for p in part.walk()
             if p.get_content_type() == "text/html"
             and p.get_content_disposition() != "attachment"]  # fmt: skip
    for part in parts:
        if part.get_content_type() == "text/plain" and has_words(text_of(part)):
            if not all(says_the_same(text_of(part), page) for page in pages):
                out.left_out.add("plain text that the mail does not show")
                continue
            _write_text(part, out)
            break
    else:
        for part in parts:
            if part.get_content_type() != "text/plain":
                _walk(part, out, depth, budget)
                break
    rest = [p for p in parts if p.get_content_maintype() == "multipart"]
    for part in rest:  # attachments that a sender put beside the alternatives
        for leaf in part.walk():
            if leaf.get_content_disposition() == "attachment" and not leaf.is_multipart():
                _attach(leaf, out, _file_name(leaf) or "file", depth, budget)
    return False


def _attached_message(
    message: Message[Any, Any], out: Builder, depth: int, budget: list[int]
) -> bool:
    payload = message.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if isinstance(inner, Message):
        name = (_file_name(message) or header(inner, "Subject") or "message").removesuffix(".eml")
        _attach_bytes(inner.as_bytes(), out, f"{name}.eml", depth, budget)
    return False


def _attach(
    message: Message[Any, Any], out: Builder, name: str, depth: int, budget: list[int]
) -> None:
    try:
        data = message.get_payload(decode=True)
    except (ValueError, LookupError):
        data = b""
    _attach_bytes(data if isinstance(data, bytes) else b"", out, name, depth, budget)


def _attach_bytes(data: bytes, out: Builder, name: str, depth: int, budget: list[int]) -> None:
    budget[0] -= len(data)
    budget[1] -= 1
    if budget[1] >= 0:
        write_attachment(out, data if budget[0] >= 0 else b"", name, depth)


def _file_name(message: Message[Any, Any]) -> str:
    try:
        name = message.get_filename() or ""
    except Exception:  # malformed parameters
        return ""
    return one_line(name).replace("\\", "/").rpartition("/")[2][:200]


def text_of(part: Message[Any, Any]) -> str:
    """The decoded text of a part, whatever charset it claims."""
    try:
        if isinstance(part, EmailMessage):
            return str(part.get_content())
    except (LookupError, ValueError, KeyError, AssertionError, AttributeError):
        pass
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return str(part.get_payload())
    try:
        return decode(data, part.get_content_charset())
    except DocumentError:
        return ""


def _write_text(part: Message[Any, Any], out: Builder) -> None:
    text = text_of(part)
    charset = (part.get_content_charset() or "").lower()
    if "\ufffd" in text and charset:  # a wrong charset: decide by the bytes
        data = part.get_payload(decode=True)
        if isinstance(data, bytes):
            with contextlib.suppress(DocumentError):
                text = decode(data)
    if part.get_content_type() == "text/html":
        write_html_body(out, text)
    else:
        write_body(out, text)
