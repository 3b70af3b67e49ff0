"""EPUB: its chapters in reading order; the anchor of a text is its chapter."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import Builder, Parsed, one_line
from ragtune.ingest.parse.container import Archive, open_zip, parse_xml
from ragtune.ingest.parse.html import decode_html, shown_page, write_html
from ragtune.types import SourceMap

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CHAPTERS = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(data: bytes, name: str) -> Parsed:
    """Text of a book. Raises DocumentError: damaged, or locked by DRM."""
    with open_zip(data) as archive:
        title, paths = _spine(archive)
        out = Builder()
        missing = 0
        for path in paths:
            if path not in archive.names:
                missing += 1
                continue
            _chapter(out, archive, path)
        if not out and "META-INF/encryption.xml" in archive.names:
            raise DocumentError("encrypted: the book is locked (DRM)")
        return out.finish(name, "epub", title)


def _spine(archive: Archive) -> tuple[str, list[str]]:
    """The book's title and the paths of its chapters."""
    root = parse_xml(archive.read("META-INF/container.xml"), "EPUB")
    found = next(root.iter(_CONTAINER + "rootfile"), None)
    package = found.get("full-path", "") if found is not None else ""
    opf = parse_xml(archive.read(package), "EPUB package")
    folder = posixpath.dirname(package)
    items = {i.get("id"): i for i in opf.iter(_OPF + "item")}
    chosen = [items.get(ref.get("idref")) for ref in opf.iter(_OPF + "itemref")]
    paths = []
    for item in chosen or items.values():
        if item is None or item.get("media-type", _CHAPTERS[0]) not in _CHAPTERS:
            continue
        if "nav" in (item.get("properties") or "").split():
            continue  # the table of contents repeats the headings
        paths.append(posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "")))))
    titles = [one_line(t.text or "") for t in opf.iter(_DC + "title")]
    return next(filter(None, titles), ""), paths


def _chapter(out: Builder, archive: Archive, path: str) -> None:
    made = Builder()
    parser = shown_page(decode_html(archive.read(path)), out)
    write_html(parser.body or parser.root, made)
    if not made:
        return
    head = parser.css_first("title")
    part = made.first_heading or (one_line(head.text()) if head is not None else "")
    part = part or posixpath.basename(path)
    blocks = SourceMap(tuple(made.blocks), tuple(made.anchors))
    out.append(made.text(), blocks, {"part": part[:120]})
    out.first_heading = out.first_heading or made.first_heading
