"""Text recognition for scanned pages and pictures: the extra `ocr` (rapidocr, works offline)."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

from ragtune.errors import DocumentError
from ragtune.ingest.parse.base import one_line
from ragtune.ingest.parse.pdf_lines import Fragment

MISSING = "no text layer: install ragtune[ocr]"
_DPI = 200
_MIN_SCORE = 0.5


@functools.cache
def available() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("rapidocr") is not None


@functools.cache
def _engine() -> Any:
    import logging

    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return RapidOCR()


def read_page(page: Any, number: int) -> list[list[Fragment]]:
    """Lines of a rendered PDF page; boxes in PDF points."""
    scale = _DPI / 72
    picture = page.render(scale=scale).to_numpy()
    return _lines(_engine()(picture), number, page.get_height(), scale)


def read_picture(data: bytes) -> tuple[list[list[Fragment]], float]:
    """Lines of a picture and its height; boxes in pixels from the lower left corner."""
    if not available():
        raise DocumentError(MISSING)
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        import io

        with Image.open(io.BytesIO(data)) as opened:
            picture = np.asarray(opened.convert("RGB"))[:, :, ::-1]
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DocumentError(f"damaged picture: {one_line(str(error))[:100]}") from None
    height = float(picture.shape[0])
    return _lines(_engine()(picture), 1, height, 1.0), height


def _lines(result: Any, page: int, height: float, scale: float) -> list[list[Fragment]]:
    found = []
    if result is None or result.boxes is None or result.txts is None:
        return []
    scores = result.scores or [1.0] * len(result.txts)
    for box, text, score in zip(result.boxes, result.txts, scores, strict=False):
        if score < _MIN_SCORE or not text.strip():
            continue
        xs, ys = [float(p[0]) / scale for p in box], [float(p[1]) / scale for p in box]
        bottom, top = height - max(ys), height - min(ys)
        size = (top - bottom) * 0.8
        found.append(
            Fragment(
                one_line(text),
                page,
                min(xs),
                bottom,
                max(xs),
                top,
                bottom + 0.2 * size,
                size,
                False,
            )
        )
    found.sort(key=lambda f: (-f.base, f.left))
    return [[fragment] for fragment in found]
