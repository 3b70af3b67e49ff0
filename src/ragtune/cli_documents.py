"""The commands for documents: take them in, list and show them, prove that the index is right."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ragtune.console import common, open_workspace, out, progress, show_report
from ragtune.errors import ConfigError, RagtuneError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.workspace import Workspace


@click.command()
@click.argument("folder", default=".")
@common
def init(folder: str, workspace: str | None, as_json: bool) -> None:
    """Make a workspace: a commented ragtune.toml and a data folder."""
    from ragtune.workspace import init as make

    with make(workspace or folder) as made:
        out(as_json, {"workspace": str(made.root)}, [
            f"Workspace in {made.root}",
            "Next: ragtune add PATH…   then: ragtune ask \"your question\"",
        ])  # fmt: skip


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@common
def add(paths: tuple[str, ...], dry_run: bool, workspace: str | None, as_json: bool) -> None:
    """Read files, folders or database rows into the index ('-' reads a list of paths)."""
    wanted = [p for p in paths if p != "-"]
    if "-" in paths:
        wanted += [line.strip() for line in sys.stdin if line.strip()]
    with open_workspace(workspace) as opened, progress(as_json) as on_progress:
        report = opened.add(wanted, on_progress, dry_run)
    show_report(report, dry_run, as_json)


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@click.option("--prune-missing", is_flag=True, help="A source that cannot be reached is deleted.")
@common
def sync(dry_run: bool, prune_missing: bool, workspace: str | None, as_json: bool) -> None:
    """Make the index equal to what was added: new, changed, moved, deleted files."""
    with open_workspace(workspace) as opened, progress(as_json) as on_progress:
        report = opened.sync(on_progress, dry_run, prune_missing)
    show_report(report, dry_run, as_json)


@click.command()
@common
def watch(workspace: str | None, as_json: bool) -> None:
    """Keep the index equal to the folders, from file events, until Ctrl-C."""
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with open_workspace(workspace) as opened:
        if not as_json:
            click.echo("Watching; Ctrl-C stops.", err=True)
        opened.watch(stop, lambda report: show_report(report, False, as_json, exit_code=False))


@click.command()
@click.argument("docs", nargs=-1, required=True)
@common
def rm(docs: tuple[str, ...], workspace: str | None, as_json: bool) -> None:
    """Take documents out of the index (the files stay; `add` brings them back)."""
    with open_workspace(workspace) as opened:
        report = opened.remove(docs)
    show_report(report, False, as_json)


@click.command()
@click.option("--errors", is_flag=True, help="Only what could not be read.")
@click.option("--all", "every", is_flag=True, help="Also each database row and archive member.")
@common
def docs(errors: bool, every: bool, workspace: str | None, as_json: bool) -> None:
    """List the documents with their state."""
    from ragtune import render

    with open_workspace(workspace) as opened:
        infos = [i for i in opened.documents() if i.error or not errors]
    lines = render.document_lines(infos, every or errors)
    out(as_json, {"documents": infos}, lines or ["No documents yet: ragtune add PATH…"])


@click.command()
@click.argument("doc")
@common
def show(doc: str, workspace: str | None, as_json: bool) -> None:
    """Show a document's text, or one passage: DOC#3, or a span: DOC#120-260."""
    from ragtune import places, render

    with open_workspace(workspace) as opened:
        document, start, end = _locate(opened, doc)
        place = places.place(document, start, end)
        text = document.text[start:end]
        whole = (start, end) == (0, len(document.text))
        passages = opened.passages(document) if whole else []
    numbered = [
        {"passage": n, "start": p.start, "end": p.end, "heading": p.heading}
        for n, p in enumerate(passages, 1)
    ]
    shown = {
        "uri": document.uri, "title": document.title, "sha256": document.sha256,
        "type": document.type, "start": start, "end": end, "text": text, "place": place,
        "passages": numbered,
    }  # fmt: skip
    lines = [click.style(f"{document.uri}  {place.label if not whole else ''}".rstrip(), bold=True)]
    if whole:
        for n, p in enumerate(passages, 1):
            lines += [click.style(f"#{n} {p.start}-{p.end}  {render.safe(p.heading)}", dim=True),
                      render.safe(p.text), ""]  # fmt: skip
    else:
        lines.append(render.safe(text))
    out(as_json, shown, lines)


@click.command()
@common
def status(workspace: str | None, as_json: bool) -> None:
    """Show what is in, what failed and why, sizes and versions."""
    from ragtune import render

    with open_workspace(workspace) as opened:
        state = opened.status()
    out(as_json, state, render.status_lines(state))


@click.command()
@common
def verify(workspace: str | None, as_json: bool) -> None:
    """Prove that index, texts and vectors agree; exit code 1 otherwise."""
    with open_workspace(workspace) as opened:
        report = opened.verify()
    counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in report.counts.items())
    out(as_json, report, [f"problem: {p}" for p in report.problems] or [f"all agree: {counts}"])
    if not report.ok:
        raise SystemExit(1)


def _locate(opened: Workspace, doc: str) -> tuple[Any, int, int]:
    """The document and span that `DOC`, `DOC#3` or `DOC#120-260` names."""
    import re

    match = re.fullmatch(r"(.+)#(\d+)(?:-(\d+))?", doc)
    try:
        document = opened.document(doc)
        return document, 0, len(document.text)
    except RagtuneError:
        if not match:
            raise
    document = opened.document(match[1])
    if match[3]:
        start, end = int(match[2]), int(match[3])
        if not start < end <= len(document.text):
            raise ConfigError(f"{doc}: START must come before END, up to {len(document.text)}")
        return document, start, end
    passages = opened.passages(document)
    if not 1 <= int(match[2]) <= len(passages):
        raise ConfigError(f"{doc}: {document.uri} has passages 1 to {len(passages)}")
    passage = passages[int(match[2]) - 1]
    return document, passage.start, passage.end
