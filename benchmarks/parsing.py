"""Reading PDFs: pages a second against other libraries, and what is read of the parser corpus.

    python benchmarks/parsing.py [--write]

Libraries that are not installed are skipped (pypdf, pdfplumber, markitdown). Pages a second of
processor time, the best of three runs, so that a busy machine weighs less. `--write` puts the
result into benchmarks/results/parsing.md.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ragtune.errors import DocumentError
from ragtune.ingest.parse import Parsed, parse

ROOT = Path(__file__).parents[1]
BENCH = Path(os.environ.get("RAGTUNE_BENCH", ROOT / "../shared/bench"))
CORPUS = BENCH / "parser_corpus"
BOOKS = ("unstructured/pdf/DA-619p.pdf", "unstructured/pdf/failure-after-repair.pdf",
         "unstructured/language-docs/fr_olap.pdf")  # fmt: skip
SLOW_PAGES = 60  # slow libraries read only this many pages


def read_ours(data: bytes) -> str:
    """ragtune: paragraphs, headings, tables and a box for each line."""
    (found,) = parse(data, "a.pdf")
    assert isinstance(found, Parsed)
    return found.text


def read_pdfium(data: bytes) -> str:
    """pypdfium2 alone: bare text without structure, the floor for what is built on it."""
    import pypdfium2

    with pypdfium2.PdfDocument(data) as pdf:
        return "\n".join(page.get_textpage().get_text_range() for page in pdf)


def read_pypdf(data: bytes) -> str:
    """pypdf: bare text."""
    pdf = importlib.import_module("pypdf").PdfReader(io.BytesIO(data))
    return "\n".join(page.extract_text() for page in pdf.pages)


def read_pdfplumber(data: bytes) -> str:
    """pdfplumber: text with positions."""
    with importlib.import_module("pdfplumber").open(io.BytesIO(data)) as pdf:
        return "\n".join(page.extract_text() or "" for page in pdf.pages)


def read_markitdown(data: bytes) -> str:
    """markitdown: Markdown without positions."""
    converter = importlib.import_module("markitdown").MarkItDown()
    return str(converter.convert_stream(io.BytesIO(data), file_extension=".pdf").text_content)


READERS: dict[str, tuple[str, Callable[[bytes], str], bool]] = {
    "ragtune (structure, boxes)": ("pypdfium2", read_ours, False),
    "pypdfium2 (bare text)": ("pypdfium2", read_pdfium, False),
    "pypdf (bare text)": ("pypdf", read_pypdf, True),
    "pdfplumber (text, positions)": ("pdfplumber", read_pdfplumber, True),
    "markitdown (Markdown)": ("markitdown", read_markitdown, True),
}


def first_pages(data: bytes, count: int) -> tuple[bytes, int]:
    """The first pages of a PDF as a file of their own, and how many they are."""
    import pypdfium2

    with pypdfium2.PdfDocument(data) as pdf, pypdfium2.PdfDocument.new() as cut:
        count = min(count, len(pdf))
        cut.import_pages(pdf, list(range(count)))
        buffer = io.BytesIO()
        cut.save(buffer)
    return buffer.getvalue(), count


def speed() -> list[str]:
    """The table of pages a second."""
    lines = ["| library | " + " | ".join(Path(b).stem for b in BOOKS) + " |",
             "|---|" + "---|" * len(BOOKS)]  # fmt: skip
    for name, (package, read, slow) in READERS.items():
        if importlib.util.find_spec(package) is None:
            print(f"skipped: {package} is not installed", file=sys.stderr)
            continue
        cells = []
        for book in BOOKS:
            data = (CORPUS / book).read_bytes()
            whole, pages = first_pages(data, SLOW_PAGES if slow else 100_000)
            data = whole if slow else data
            best = min(timed(read, data) for _ in range(1 if slow else 3))
            cells.append(f"{pages / best:.0f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr)
    return lines


def timed(read: Callable[[bytes], str], data: bytes) -> float:
    """Processor seconds of one run: on a shared machine they tell more than the clock."""
    began = time.process_time()
    read(data)
    return time.process_time() - began


def coverage() -> list[str]:
    """The table of what was read and what was refused, by extension."""
    read: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    reasons: list[str] = []
    for path in sorted(p for p in CORPUS.rglob("*") if p.is_file()):
        kind = path.suffix.lower() or "(none)"
        try:
            parse(path.read_bytes(), path.name)
            read[kind] += 1
        except DocumentError as error:
            refused[kind] += 1
            reasons.append(f"| {path.relative_to(CORPUS)} | {error} |")
    lines = ["| extension | read | refused with a reason |", "|---|---|---|"]
    for kind in sorted(read | refused):
        lines.append(f"| {kind} | {read[kind]} | {refused[kind] or ''} |")
    lines.append(f"| all | {read.total()} | {refused.total()} |")
    return [*lines, "", "| refused | reason |", "|---|---|", *reasons]


def main() -> None:
    """Prints both tables."""
    if not CORPUS.is_dir():
        print(f"skipped: no parser corpus in {CORPUS}: set RAGTUNE_BENCH")
        return
    text = "\n".join(
        [
            "# Reading files",
            "",
            "Made by `python benchmarks/parsing.py --write`.",
            "",
            f"## Pages a second of processor time (slow libraries: the first {SLOW_PAGES} pages)",
            "",
            *speed(),
            "",
            "## The parser corpus",
            "",
            *coverage(),
            "",
        ]
    )
    print(text)
    if "--write" in sys.argv:
        (ROOT / "benchmarks/results/parsing.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
