"""Files to canonical text with a map back to the source: one module a family of formats.

`parse` decides by content, never by name alone; parsers are imported when first needed.
"""

from __future__ import annotations

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Failed, Parsed, has_words, one_line

__all__ = ["VERSION", "Failed", "Parsed", "parse", "quick_text"]

VERSION = 1  # raise it when files would be read differently: all of them are then read again

MAX_TEXT = 200_000_000  # characters of canonical text


def parse(data: bytes, name: str) -> list[Parsed | Failed]:
    """Reads a file: exactly one `Parsed`, or for a ZIP file one entry for each member.

    Raises DocumentError with one line saying what is wrong: malformed, encrypted, empty, of no
    readable format, larger unpacked than allowed. Memory and time are bounded by `sandbox.Readers`.
    """
    from ragtune.ingest.parse.detect import binary_type

    if not data.strip(b"\x00 \t\r\n"):
        raise DocumentError("empty: the file holds nothing" if not data else "empty: no text in it")
    try:
        kind = binary_type(data)
        if kind == "zip":
            from ragtune.ingest.parse.zips import read_zip

            return read_zip(data)
        return [_checked(_read(data, name, kind))]
    except (DocumentError, MemoryError):
        raise
    except RecursionError:
        raise DocumentError("malformed: nested too deeply") from None
    except Exception as error:  # parsers fail on damaged files in ways of their own
        reason = one_line(f"{type(error).__name__}: {error}")[:150]
        raise DocumentError(f"damaged or unsupported: {reason}") from error


def quick_text(data: bytes, name: str) -> Parsed | None:
    """Reads plain UTF-8 text or Markdown with code that is safe in any process; else None."""
    from ragtune.ingest.parse.decode import without_unseen
    from ragtune.ingest.parse.detect import is_plain, text_type

    if not is_plain(data):
        return None
    text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = without_unseen(text)
    kind = text_type(text, name)
    if kind not in ("md", "txt") or not has_words(text):
        return None
    if kind == "md":
        from ragtune.ingest.parse.markdown import read_markdown

        return read_markdown(text, name)
    from ragtune.ingest.parse.text import read_text

    return read_text(text, name)


def _checked(parsed: Parsed) -> Parsed:
    """Zero words from a file with bytes is an error, never silent emptiness."""
    if not has_words(parsed.text):
        raise DocumentError("no text in it")
    if len(parsed.text) > MAX_TEXT:
        raise DocumentError(f"more than {MAX_TEXT:,} characters of text: split it")
    return parsed


def _read(data: bytes, name: str, kind: str | None) -> Parsed:
    if kind is None:
        return _read_text_kind(data, name)
    if kind == "pdf":
        from ragtune.ingest.parse.pdf import read_pdf

        return read_pdf(data, name)
    if kind == "docx":
        from ragtune.ingest.parse.word import read_docx

        return read_docx(data, name)
    if kind == "pptx":
        from ragtune.ingest.parse.slides import read_pptx

        return read_pptx(data, name)
    if kind in ("xlsx", "xls", "ods"):
        from ragtune.ingest.parse.sheets import read_sheets

        return read_sheets(data, name, kind)
    if kind in ("odt", "odp"):
        from ragtune.ingest.parse.odf import read_odf

        return read_odf(data, name, kind)
    if kind == "epub":
        from ragtune.ingest.parse.epub import read_epub

        return read_epub(data, name)
    if kind == "rtf":
        from ragtune.ingest.parse.rtf import read_rtf

        return read_rtf(data, name)
    if kind == "msg":
        from ragtune.ingest.parse.msg import read_msg

        return read_msg(data, name)
    from ragtune.ingest.parse.pictures import read_picture

    return read_picture(data, name, kind)


def _read_text_kind(data: bytes, name: str) -> Parsed:
    from ragtune.ingest.parse.decode import decode
    from ragtune.ingest.parse.detect import text_type

    # mail may hold 8-bit parts in other encodings: its header alone decides
    text = decode(data)
    kind = text_type(text, name)
    if kind == "md":
        from ragtune.ingest.parse.markdown import read_markdown

        return read_markdown(text, name)
    if kind in ("csv", "tsv"):
        from ragtune.ingest.parse.sheets import read_csv

        return read_csv(data, name, kind)
    if kind == "html":
        from ragtune.ingest.parse.html import read_html

        return read_html(data, name)
    if kind == "eml":
        from ragtune.ingest.parse.mail import read_eml

        return read_eml(data, name)
    if kind in ("json", "jsonl"):
        from ragtune.ingest.parse.records import read_json, read_jsonl

        return read_json(text, name) if kind == "json" else read_jsonl(text, name)
    if kind == "xml":
        from ragtune.ingest.parse.xml import read_xml

        return read_xml(data, name)
    from ragtune.ingest.parse.text import read_text

    return read_text(text, name)
