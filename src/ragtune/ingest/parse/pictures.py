"""Pictures of pages (PNG, JPEG, TIFF): only with the extra `ocr`."""

from __future__ import annotations

from ragtune.errors import DocumentError
from ragtune.ingest.parse import ocr
from ragtune.ingest.parse.base import Parsed
from ragtune.ingest.parse.pdf import write_pages
from ragtune.ingest.parse.pdf_layout import Page


def read_picture(data: bytes, name: str, kind: str) -> Parsed:
    """The text in a picture, boxes in pixels from the lower left. Raises DocumentError."""
    lines, height = ocr.read_picture(data)
    if not lines:
        raise DocumentError("no text found in the picture")
    return write_pages([Page(1, height, lines)], name, kind, "")
