"""The documents that someone may see, in one snapshot of the store.

Worked out once for each change and each set of rules and groups, then an array of ids. The
snapshot's stamp is part of the key, so a document that was moved or whose folder's rule changed is
never judged by what was true before.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtune.store.schema import Stamp
from ragtune.visibility import Visibility

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEPT = 256  # sets of rules and groups


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """Ids of the indexed documents that may be seen, sorted, and how many passages they have."""

    ids: NDArray[np.int64]
    known: frozenset[int]  # the same
    passages: int


class Visible:
    """Allowed documents by stamp and visibility. Safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: tuple[Stamp, list[tuple[int, str, int]]] = ((0, 0), [])
        self._known: OrderedDict[tuple[Stamp, Visibility], Allowed] = OrderedDict()

    def of(self, db: sqlite3.Connection, now: Stamp, visibility: Visibility) -> Allowed:
        """What may be seen in the snapshot of `db`, whose stamp is `now`."""
        import numpy as np

        key = (now, visibility)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
            stamp, rows = self._rows
        if stamp != now:
            rows = db.execute(
                "SELECT d.id, d.uri, count(p.id) FROM documents d LEFT JOIN passages p"
                " ON p.document = d.id WHERE d.state = 'indexed' GROUP BY d.id ORDER BY d.id"
            ).fetchall()
        seen = [(id, passages) for id, uri, passages in rows if visibility.sees(uri)]
        ids = [id for id, _ in seen]
        found = Allowed(np.array(ids, np.int64), frozenset(ids), sum(n for _, n in seen))
        with self._lock:
            self._rows = (now, rows)
            self._known[key] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found
