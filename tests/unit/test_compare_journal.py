"""A journal loses nothing that was acknowledged, wherever it is cut, and mixes nothing up."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragtune.compare.journal import FILE, Cited, Journal, Reply
from ragtune.errors import ConfigError

HEADER = {"test_set": "abc", "arms": ["quote"], "seeds": 1}
REPLIES = [
    Reply("quote", 0, f"q{i}", text="Größe\n[1]", written=None, status="cited", total=0.5,
          citations=(Cited("a.md", 0, 5, "Größe", "line 1", True),), found=(("a.md", 0, 9),))
    for i in range(3)
]  # fmt: skip


def test_a_cut_anywhere_keeps_all_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "whole", HEADER, resume=False)
    for reply in REPLIES:
        journal.add(reply)
    journal.note("sync c1 after", 0.25)
    journal.close()
    data = journal.path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for cut in {0, 1, 30, *ends, *(e - 1 for e in ends), *(e + 7 for e in ends), len(data)}:
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / FILE).write_bytes(data[:cut])
        again = Journal(folder, HEADER, resume=True)
        whole = max(0, data[:cut].count(b"\n") - 1)  # without the header
        assert again.replies == REPLIES[: min(whole, 3)]
        assert again.facts == ({"sync c1 after": 0.25} if whole > 3 else {})
        again.add(Reply("quote", 0, "new"))
        again.close()
        last = Journal(folder, HEADER, resume=True)
        assert last.replies[-1].question == "new"
        assert len(last.replies) == min(whole, 3) + 1
        last.close()


def test_another_comparison_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path, HEADER, resume=False).close()
    with pytest.raises(ConfigError, match="--resume"):
        Journal(tmp_path, HEADER, resume=False)
    with pytest.raises(ConfigError, match=r"another comparison.*seeds"):
        Journal(tmp_path, {**HEADER, "seeds": 2}, resume=True)


def test_a_damaged_journal_is_said(tmp_path: Path) -> None:
    Journal(tmp_path, HEADER, resume=False).close()
    path = tmp_path / FILE
    path.write_text(path.read_text() + '{"reply": {"arm": 1}}\n')
    with pytest.raises(ConfigError, match="damaged"):
        Journal(tmp_path, HEADER, resume=True)
