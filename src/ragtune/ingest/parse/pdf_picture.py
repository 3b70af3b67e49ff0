"""A PDF page drawn in shades of grey, to see what a reader of it sees."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

Box = tuple[float, float, float, float]  # left, bottom, right, top
_PIXELS = 4_000_000
_SCALE = 1.0  # pixels a point: what a word covers is enough


@dataclass(frozen=True, slots=True)
class Picture:
    """A page in shades of grey; no data where drawing it took too long."""

    page: Any
    width: int
    height: int
    stride: int
    data: bytes
    seconds: float

    @classmethod
    def draw(cls, page: Any, seconds: float) -> Picture:
        """Draws a page, for at most about so many seconds."""
        begun = time.perf_counter()
        size = page.get_width(), page.get_height()
        scale = min(_SCALE, (_PIXELS / max(1.0, size[0] * size[1])) ** 0.5)
        width, height = (max(1, round(scale * s)) for s in size)

        def late(_: Any) -> int:
            return time.perf_counter() - begun > seconds

        pause = raw.IFSDK_PAUSE(version=1)
        pause.NeedToPauseNow = type(pause.NeedToPauseNow)(late)
        data, stride = b"", 0
        if seconds > 0 and width * height <= 2 * _PIXELS:
            bitmap = pdfium.PdfBitmap.new_native(width, height, raw.FPDFBitmap_Gray)
            try:
                bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
                state = raw.FPDF_RenderPageBitmap_Start(
                    bitmap.raw, page.raw, 0, 0, width, height, 0, raw.FPDF_GRAYSCALE, pause
                )
                if state == raw.FPDF_RENDER_DONE:
                    data, stride = bytes(bitmap.buffer), bitmap.stride
                raw.FPDF_RenderPage_Close(page.raw)
            finally:
                bitmap.close()
        return cls(page, width, height, stride, data, time.perf_counter() - begun)

    def around(self, box: Box, margin: float) -> bytes:
        """The pixels of a box in page coordinates with a margin; none when it lies outside."""
        left, bottom, right, top = box
        x, y = ctypes.c_int(), ctypes.c_int()
        corners = []
        for across, up in ((left - margin, bottom - margin), (right + margin, top + margin)):
            raw.FPDF_PageToDevice(
                self.page.raw, 0, 0, self.width, self.height, 0, across, up,
                ctypes.byref(x), ctypes.byref(y),
            )  # fmt: skip
            corners.append((x.value, y.value))
        (x0, x1), (y0, y1) = (sorted((corners[0][i], corners[1][i])) for i in (0, 1))
        x0, x1 = max(0, x0), min(self.width, x1 + 1)
        rows = range(max(0, y0), min(self.height, y1 + 1))
        if x1 <= x0:
            return b""
        return b"".join(self.data[r * self.stride + x0 : r * self.stride + x1] for r in rows)
