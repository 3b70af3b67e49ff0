"""Outlook mail (.msg)."""

from __future__ import annotations

import io
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, has_words, one_line
from ragtune.ingest.parse.decode import decode
from ragtune.ingest.parse.mail import (
    MAX_ATTACHED,
    MAX_ATTACHMENTS,
    says_the_same,
    write_attachment,
    write_body,
    write_headers,
    write_html_body,
)

_LOCKED = (".pgp-encrypted", "smime.p7m", "encrypted.asc")


def read_msg(data: bytes, name: str) -> Parsed:
    """A mail with its readable attachments. Raises DocumentError: damaged or encrypted."""
    from oxmsg import Message

    message = Message.load(io.BytesIO(data))
    if "smime" in _get(lambda: message.message_class).lower() and not has_words(
        _get(lambda: message.body)
    ):
        raise DocumentError("encrypted mail: save it decrypted")
    headers = _get_headers(message)
    subject = _get(lambda: message.subject) or headers.get("Subject", "")
    out = Builder()
    sent = _get(lambda: message.sent_date.isoformat(" ", "minutes") if message.sent_date else "")
    write_headers(
        out,
        {
            "From": _get(lambda: message.sender) or headers.get("From", ""),
            "To": headers.get("To", "") or _recipients(message),
            "Cc": headers.get("Cc", ""),
            "Date": headers.get("Date", "") or sent,
            "Subject": subject,
        },
    )
    body, html = _get(lambda: message.body), _html(message)
    if has_words(body) and (not html or says_the_same(body, html)):
        write_body(out, body)
    elif html:
        if has_words(body):
            out.left_out.add("plain text that the mail does not show")
        write_html_body(out, html)
    attached = _attachments(message)[:MAX_ATTACHMENTS]
    names = [(_get(lambda a=a: a.file_name)).lower() for a in attached]
    if not has_words(body) and any(n.endswith(_LOCKED) for n in names):
        raise DocumentError("encrypted mail: save it decrypted")
    budget = MAX_ATTACHED
    for item in attached:
        content = item.file_bytes or b""
        budget -= len(content)
        file_name = one_line(item.file_name or "file")
        write_attachment(out, content if budget >= 0 else b"", file_name, 0)
    return out.finish(name, "msg", subject)


def _get(read: Any) -> str:
    """A property that may be missing or damaged."""
    try:
        value = read()
    except Exception:  # oxmsg raises many kinds on damaged properties
        return ""
    return value if isinstance(value, str) else ""


def _get_headers(message: Any) -> dict[str, str]:
    try:
        return {k: one_line(v) for k, v in message.message_headers.items()}
    except Exception:  # as above
        return {}


def _recipients(message: Any) -> str:
    try:
        return ", ".join(f"{r.name} <{r.email_address}>" for r in message.recipients)
    except Exception:  # as above
        return ""


def _html(message: Any) -> str:
    try:
        html = message.html_body
    except Exception:  # as above
        return ""
    return decode(html) if isinstance(html, bytes) else html or ""


def _attachments(message: Any) -> list[Any]:
    try:
        return [a for a in message.attachments if a.attached_by_value]
    except Exception:  # as above
        return []
