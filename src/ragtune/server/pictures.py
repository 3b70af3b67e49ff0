"""Pages that were drawn a moment ago, so that turning back and forth draws nothing twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as PNG. `top` is where its first box begins, as a share of the height; 0 for none."""

    png: bytes
    pages: int  # of the document
    top: float = 0.0


_BYTES = 32 << 20


class Pictures:
    """The pictures used last; safe among threads."""

    def __init__(self, most: int = _BYTES) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Picture | None:
        """The picture of this key, if it is still there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, picture: Picture) -> None:
        """Keeps a picture; the oldest go."""
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = picture
            self._size += len(picture.png)
            while self._size > self._most and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1].png)
