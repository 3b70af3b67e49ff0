"""The format of a file by its content; its name only decides between kinds of text."""

from __future__ import annotations

import io
import json
import re

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import extension

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
)
_UNREADABLE = (
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"GIF8", "a GIF picture"),
    (b"\x00\x00\x00\x18ftyp", "a video"),
    (b"\x00\x00\x00\x1cftyp", "a video"),
    (b"\x00\x00\x00\x20ftyp", "a video"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio file"),
    (b"fLaC", "an audio file"),
    (b"SQLite format 3\x00", "a SQLite database: add it as sqlite:///PATH?query=SELECT…"),
)
_OPC = (("word/document", "docx"), ("ppt/presentation", "pptx"), ("xl/workbook", "xlsx"))
_ODF = {
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.text-template": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/epub+zip": "epub",
}
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f]")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body|meta|title)\b", re.I)
_TAG = re.compile(r"</?(?:p|div|span|table|br|h[1-6]|ul|ol|a|td|tr)\b[^>]*>", re.I)
_MAIL_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,40}):(?:[ \t]|$)")
_MAIL_SURE = {"received", "message-id", "mime-version", "return-path", "delivered-to"}
_MAIL_ANY = _MAIL_SURE | {"from", "to", "subject", "date", "content-type", "cc", "reply-to"}


def binary_type(data: bytes) -> str | None:
    """The format of `data` when its bytes say so, None for some kind of text.

    Raises DocumentError for formats that are recognised and cannot be read.
    """
    if data.startswith(b"PK\x03\x04") or data.startswith(b"PK\x05\x06"):
        return _zip_type(data)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_type(data)
    if b"%PDF-" in data[:1024]:  # after the containers, which may hold a PDF near their start
        return "pdf"
    if data.lstrip()[:5] == b"{\\rtf":
        return "rtf"
    for magic, kind in _IMAGES:
        if data.startswith(magic):
            return kind
    for magic, what in _UNREADABLE:
        if data.startswith(magic):
            raise DocumentError(f"not a document: it is {what}")
    return None


def is_plain(data: bytes) -> bool:
    """Whether `data` is UTF-8 without control characters or the mark of any other format."""
    if any(data.startswith(m) for m in (b"PK", b"\xd0\xcf", b"{\\rtf")) or b"%PDF-" in data[:1024]:
        return False
    try:
        return not _CONTROLS.search(data.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _zip_type(data: bytes) -> str:
    from ragtune.ingest.parse.container import open_zip

    with open_zip(data) as archive:
        names = archive.names
        if "mimetype" in names:
            kind = archive.read("mimetype", 256).decode("ascii", "replace").strip()
            if kind in _ODF:
                return _ODF[kind]
        if "[Content_Types].xml" in names:
            for prefix, kind in _OPC:
                if any(name.startswith(prefix) for name in names):
                    return kind
        if "META-INF/container.xml" in names:
            return "epub"
    return "zip"


def _ole_type(data: bytes) -> str:
    import olefile  # type: ignore[import-untyped]

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            streams = {"/".join(path) for path in ole.listdir(streams=True, storages=True)}
    except Exception as error:
        raise DocumentError(f"damaged Office file: {str(error)[:100]}") from None
    if "EncryptedPackage" in streams:
        raise DocumentError("encrypted: save it without a password")
    if "__properties_version1.0" in streams:
        return "msg"
    if "Workbook" in streams or "Book" in streams:
        return "xls"
    if "WordDocument" in streams:
        raise DocumentError("old Word format (.doc): save it as .docx")
    if "PowerPoint Document" in streams:
        raise DocumentError("old PowerPoint format (.ppt): save it as .pptx")
    raise DocumentError("an Office file of an unknown kind: save it in a current format")


def text_type(text: str, name: str) -> str:
    """The kind of text: json, jsonl, html, xml, eml, csv, tsv, md or txt."""
    ext = extension(name)
    head = text[:4096].lstrip()
    if ext in ("jsonl", "ndjson"):
        return "jsonl"
    if ext == "json" or (head[:1] in "{[" and ext in ("", "txt", "log")):
        kind = _json_type(text)
        if kind or ext == "json":
            return kind or "json"
    if ext in ("md", "markdown", "mdx"):
        return "md"
    if head.startswith("<"):
        if _HTML.search(head) or ext in ("html", "htm", "xhtml"):
            return "html"
        if head.startswith("<?xml") or ext == "xml":
            return "xml"
        if len(_TAG.findall(head)) >= 3 and ext in ("", "txt"):
            return "html"
    elif ext in ("html", "htm", "xhtml") and _TAG.search(text[:65536]):
        return "html"
    if _is_mail(text, ext):
        return "eml"
    if ext in ("csv", "tsv"):
        return ext
    return "txt"


def _json_type(text: str) -> str | None:
    try:
        json.loads(text)
        return "json"
    except RecursionError:
        return "json"
    except ValueError:
        pass
    lines = [line for line in text.split("\n", 4)[:4] if line.strip()]
    try:
        if len(lines) > 1 and all(isinstance(json.loads(line), dict | list) for line in lines[:3]):
            return "jsonl"
    except (ValueError, RecursionError):
        pass
    return None


def _is_mail(text: str, ext: str) -> bool:
    """Whether `text` begins with the header of a mail."""
    seen: set[str] = set()
    for line in text[:8192].lstrip("\n").split("\n"):
        if line[:1] in (" ", "\t"):
            continue
        if line.startswith("From ") and not seen:
            continue  # mbox separator
        if not (match := _MAIL_HEADER.match(line)):
            break
        seen.add(match[1].lower())
    known = seen & _MAIL_ANY
    if ext in ("eml", "mht", "mhtml"):
        return bool(seen)
    return len(known) >= 3 and bool(known & _MAIL_SURE)
