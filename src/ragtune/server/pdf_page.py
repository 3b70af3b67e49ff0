"""A page of a PDF as a picture with the cited passage boxed, drawn in a process of its own.

    python -P -m ragtune.server.pdf_page MEMORY_MB SECONDS < request and file > picture

PDFs come from outside and pdfium is native code: what it does with a hostile file ends that
process only. The request is one line of JSON (`page`, `boxes`, `width`, `member`), then the file's
bytes; an archive is opened in there too.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ragtune.config import Settings
from ragtune.errors import DocumentError
from ragtune.server.pictures import Picture

Box = tuple[float, float, float, float]  # PDF points: left, bottom, right, top

_WIDTHS = (200, 2400)
_HEIGHT = 6000  # pixels; a page that is a mile long is drawn smaller
_GRACE = 3.0
_FILL, _EDGE = (255, 214, 10, 70), (190, 120, 0, 255)
_MARGIN = 1.5  # PDF points around the text


def draw(
    data: bytes, page: int, boxes: Sequence[Box], width: int, settings: Settings, member: str = ""
) -> Picture:
    """The page (from 1) of the PDF, or of the PDF `member` of a ZIP. Raises DocumentError."""
    request = json.dumps({"page": page, "boxes": boxes, "width": width, "member": member})
    seconds = min(settings.parse_seconds, 20.0)
    command = [sys.executable, "-P", "-m", __name__, str(settings.parse_memory_mb), str(seconds)]
    try:
        done = subprocess.run(  # noqa: S603 - ours
            command, input=request.encode() + b"\n" + data, capture_output=True,
            timeout=seconds + _GRACE, start_new_session=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DocumentError("the page took too long to draw") from None
    head, _, picture = done.stdout.partition(b"\n")
    try:
        said = json.loads(head)
        if "error" in said:
            raise DocumentError(str(said["error"]))
        return Picture(picture, int(said["pages"]), float(said["top"]))
    except (ValueError, KeyError):
        raise DocumentError("the page cannot be drawn") from None


def main() -> None:
    """Reads a request, writes the picture."""
    from ragtune.ingest.parse.worker import limit

    limit(int(sys.argv[1]))
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]))  # SIGALRM ends the process
    request = json.loads(sys.stdin.buffer.readline())
    out = sys.stdout.buffer
    try:
        drawn = _draw(sys.stdin.buffer.read(), request)
    except DocumentError as error:
        out.write(json.dumps({"error": str(error)}).encode() + b"\n")
        return
    out.write(json.dumps({"pages": drawn.pages, "top": drawn.top}).encode() + b"\n" + drawn.png)


def _draw(data: bytes, request: dict[str, Any]) -> Picture:
    import io

    import pypdfium2 as pdfium
    from PIL import Image, ImageDraw

    from ragtune.ingest.parse import zips

    if request["member"]:
        data = zips.member(data, request["member"])
    try:
        document = pdfium.PdfDocument(data)
        pages = len(document)
        if not 1 <= request["page"] <= pages:
            raise DocumentError(f"this document has {pages} pages")
        page = document[request["page"] - 1]
        across, up = page.get_size()
        width = min(max(request["width"], _WIDTHS[0]), _WIDTHS[1])
        scale = min(width / max(across, 1.0), _HEIGHT / max(up, 1.0))
        drawn = page.render(scale=scale, may_draw_forms=False)
        picture = drawn.to_pil().convert("RGB")
    except pdfium.PdfiumError:
        raise DocumentError("the page cannot be drawn") from None
    tops = []
    if request["boxes"]:
        layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
        pen = ImageDraw.Draw(layer)
        for left, bottom, right, top in request["boxes"]:
            corners = [_pixel(page, picture.size, x, y)
                       for x, y in ((left - _MARGIN, bottom - _MARGIN),
                                    (right + _MARGIN, top + _MARGIN))]  # fmt: skip
            (x0, x1), (y0, y1) = (sorted(values) for values in zip(*corners, strict=True))
            tops.append(y0 / picture.height)
            pen.rectangle((x0, y0, x1, y1), fill=_FILL, outline=_EDGE, width=max(1, width // 600))
        picture = Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")
    made = io.BytesIO()
    picture.save(made, "PNG", compress_level=3)
    return Picture(made.getvalue(), pages, min(max(min(tops, default=0.0), 0.0), 1.0))


def _pixel(page: Any, size: tuple[int, int], x: float, y: float) -> tuple[int, int]:
    """Where a point of the page is in the picture, also where the page is turned or cropped."""
    import ctypes

    import pypdfium2.raw as raw

    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, ctypes.byref(across), ctypes.byref(down))
    return across.value, down.value


if __name__ == "__main__":
    main()
