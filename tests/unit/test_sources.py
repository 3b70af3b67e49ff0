import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtune.config import Settings
from ragtune.errors import DocumentError
from ragtune.ingest.scan import Rules, is_read, merge, scan
from ragtune.ingest.sources import (
    Item,
    Missing,
    Source,
    Trouble,
    below,
    named,
    path_of,
    read_list,
    readable_title,
    uri_of,
)


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def uris(root: Path, spec: str = ".", **settings: object) -> list[str]:
    rules = Rules.of(root, Settings(**settings))  # type: ignore[arg-type]
    source = named(os.path.join(root, spec), str(root))
    return [found.uri for found in scan(source, rules) if isinstance(found, Item)]


def test_hidden_own_and_editors_files_are_not_documents(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.md",
        "b/c.txt",
        ".hidden.md",
        ".git/config",
        "b/CVS/Entries",
        "ragtune.toml",
        "b/ragtune.toml",
        ".ragtune/workspace.db",
        "~$report.docx",
        "a.md~",
        "#a.md#",
        "Thumbs.db",
        "shop.db",
        "shop.db-wal",
        "notes-wal",
        "C#/x~y.md",
    )
    assert uris(tmp_path) == [
        "C#/x~y.md",
        "a.md",
        "b/c.txt",
        "notes-wal",
        "shop.db",
    ]


def test_excluded_patterns(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "a.bak", "d/x.bak", "d/drafts/y.md", "d/e.md", "drafts/z.md", "old/q.md")
    assert uris(tmp_path, exclude=("*.bak", "drafts/*", "old/")) == [
        "a.md",
        "d/drafts/y.md",
        "d/e.md",
    ]
    assert uris(tmp_path, "d", exclude=("*.bak", "drafts")) == ["d/e.md"]
    assert uris(tmp_path, "a.bak", exclude=("*.bak",)) == []
    assert uris(tmp_path, "a.bak") == ["a.bak"]


def test_files_come_in_the_order_of_their_uris(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "a-b", "a.b", "a/c", "aa", "ä", "Z", "a+/x", "b", "a0/é")
    found = uris(tmp_path)
    assert found == sorted(found)
    assert len(found) == 10


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "out/secret.md", "in/a.md", "in/.versions/3.md", "in/sub/b.md")
    (tmp_path / "in/secret.md").symlink_to(tmp_path / "out/secret.md")
    (tmp_path / "in/all").symlink_to(tmp_path / "out")
    (tmp_path / "in/current.md").symlink_to(".versions/3.md")
    (tmp_path / "in/same.md").symlink_to("a.md")
    (tmp_path / "in/sub/loop").symlink_to("..")
    (tmp_path / "in/broken").symlink_to("nowhere")
    assert uris(tmp_path, "in") == ["in/a.md", "in/current.md", "in/sub/b.md"]
    (tmp_path / "out/back").symlink_to(tmp_path / "in")
    (tmp_path / "out/again").symlink_to(tmp_path / "out")
    assert uris(tmp_path, "in", follow_links=True) == [
        "in/a.md",
        "in/all/secret.md",
        "in/current.md",
        "in/secret.md",
        "in/sub/b.md",
    ]


def test_a_link_that_is_named_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "real/a.md", "ws/x")
    (tmp_path / "ws/docs").symlink_to(tmp_path / "real")
    assert uris(tmp_path / "ws", "docs") == ["docs/a.md"]


def test_pipes_and_sockets_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert uris(tmp_path) == []
    with pytest.raises(DocumentError, match="neither a file nor a folder"):
        named(str(tmp_path / "pipe"), str(tmp_path))


def test_odd_names_have_uris_that_lead_back(tmp_path: Path) -> None:
    names = [b"caf\xe9.md", b"new\nline.md", b"100%.md", b"%41.md", "ü".encode() * 100, b"a!"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("x")
    os.mkdir(tmp_path / "zip!")
    make(tmp_path, "zip!/m.md")
    found = uris(tmp_path)
    assert {"caf%E9.md", "new%0Aline.md", "100%.md", "%2541.md", "zip%21/m.md"} <= set(found)
    assert {os.fsencode(path_of(uri, str(tmp_path))) for uri in found} == {
        os.path.join(os.fsencode(tmp_path), name) for name in [*names, b"zip!/m.md"]
    }
    for uri in found:
        uri.encode()


@given(st.binary(min_size=1, max_size=20).filter(lambda b: b"\0" not in b and b"//" not in b))
def test_uris_are_reversible(name: bytes) -> None:
    path = "/ws/" + os.fsdecode(name).strip("/")
    if path in ("/ws/", "/ws/."):  # not the path of a file
        return
    uri = uri_of(path, "/ws")
    assert path_of(uri, "/ws") == path
    assert uri.isprintable() or not any(c < " " for c in uri)
    assert "!/" not in uri


def test_absolute_outside_the_workspace(tmp_path: Path) -> None:
    make(tmp_path, "ws/a.md", "ws-other/b.md")
    assert uris(tmp_path / "ws", "../ws-other") == [f"{tmp_path}/ws-other/b.md"]
    assert named("a.md", str(tmp_path / "ws"), str(tmp_path / "ws")).spec == "a.md"


def test_globs_stay_alive(tmp_path: Path) -> None:
    make(tmp_path, "d/a.md", "d/b.txt", "d/e/f.md", "d/e/g/h.md", "x.md", "d/[1].md")
    assert uris(tmp_path, "d/*.md") == ["d/[1].md", "d/a.md"]
    assert uris(tmp_path, "d/**/*.md") == ["d/[1].md", "d/a.md", "d/e/f.md", "d/e/g/h.md"]
    assert uris(tmp_path, "**/[ah].m?") == ["d/a.md", "d/e/g/h.md"]
    assert uris(tmp_path, "d/e/**") == ["d/e/f.md", "d/e/g/h.md"]
    assert uris(tmp_path, "d/[!a].*") == ["d/b.txt"]
    assert uris(tmp_path, "d/[1].md") == ["d/[1].md"]  # it exists: no glob


def test_what_is_missing(tmp_path: Path) -> None:
    make(tmp_path, "ws/docs/a.md")
    root = str(tmp_path / "ws")
    rules = Rules(root)
    source = named("docs", root, root)
    os.remove(tmp_path / "ws/docs/a.md")
    assert list(scan(source, rules)) == []  # truly empty
    elsewhere = Source("path", "docs", -1)
    (missing,) = scan(elsewhere, rules)
    assert isinstance(missing, Missing)
    assert not missing.gone
    os.rmdir(tmp_path / "ws/docs")
    (missing,) = scan(source, rules)
    assert isinstance(missing, Missing)
    assert missing.gone
    (missing,) = scan(elsewhere, rules)
    assert isinstance(missing, Missing)
    assert not missing.gone
    (missing,) = scan(Source("path", "/nowhere/at/all", source.device), rules)
    assert isinstance(missing, Missing)
    assert not missing.gone
    with pytest.raises(DocumentError, match="no such file or folder"):
        named("docs", root, root)
    with pytest.raises(DocumentError, match="own data"):
        named(".ragtune/x", root, root)


def test_an_unreadable_folder_is_reported_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a/x.md", "b/y.md")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(scan(Source("path", "."), Rules(str(tmp_path))))
    assert found[0] == Trouble("a", "permission denied")
    assert [item.uri for item in found[1:]] == ["b/y.md"]


def test_overlapping_sources_give_each_file_once(tmp_path: Path) -> None:
    make(tmp_path, "a/x.md", "a/b/y.md", "c.md", "a/.env.md")
    sources = [Source("path", s) for s in (".", "a", "a/b/y.md", "c.md", "a/.env.md")]
    sources.append(Source("glob", "a/**/*.md"))
    found = [item.uri for item in merge(sources, Rules(str(tmp_path)))]
    assert found == ["a/.env.md", "a/b/y.md", "a/x.md", "c.md"]


def test_lists_and_titles(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"a b.md\n\ncaf\xe9\r\n")
    with path.open("rb") as stream:
        assert read_list(stream) == ["a b.md", "caf\udce9"]
    path.write_bytes(b"a\nb.md\0c.md\0")
    with path.open("rb") as stream:
        assert read_list(stream) == ["a\nb.md", "c.md"]
    assert readable_title("x/travel-policy_v2.final.md") == "travel policy v2.final"
    assert readable_title("x/.env") == ".env"
    assert readable_title("___") == "___"


def test_below() -> None:
    assert below("a/b.md", "a")
    assert below("a.zip!/b", "a.zip")
    assert below("s.db#t/id=1", "s.db")
    assert below("a/b", ".")
    assert not below("/a/b", ".")
    assert not below("ab", "a")
    assert not below("sqlite:///s.db#t/id=1", ".")


def test_what_is_written_into_an_added_folder_would_be_read(tmp_path: Path) -> None:
    rules = Rules.of(tmp_path, Settings(exclude=("out*",)))
    inside = [Source("path", "docs"), Source("path", "one.md"), Source("glob", "*.md")]
    assert is_read(str(tmp_path / "docs/page"), inside, rules)
    assert not is_read(str(tmp_path / "page"), inside, rules)
    assert not is_read(str(tmp_path / "docs/out/page"), inside, rules)
    assert not is_read(str(tmp_path / "docs/.page"), inside, rules)
    whole = [Source("path", ".")]
    assert is_read(str(tmp_path / "page"), whole, rules)
    assert not is_read(str(tmp_path.parent / "page"), whole, rules)
