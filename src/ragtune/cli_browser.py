"""The commands for documents inside a web page: export them, and look at the result."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from ragtune.console import common, filter_of, open_workspace, out, progress, questions


@click.command()
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--title", help="The page's title; default: the workspace's folder.")
@click.option("--example", "examples", multiple=True, metavar="QUESTION",
              help="A question that the page offers; several times.")  # fmt: skip
@click.option("--generator", is_flag=True,
              help="Also the language model, behind a button that says its size.")  # fmt: skip
@questions
@common
def browser(
    target: Path, title: str | None, examples: tuple[str, ...], generator: bool,
    path: tuple[str, ...], types: tuple[str, ...], tag: tuple[str, ...], since: str | None,
    until: str | None, changes: tuple[str, ...], workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write DIR: a page that searches and answers by itself, without a server."""
    from ragtune import render
    from ragtune.export.browser import write
    from ragtune.ingest.plan import stored_sources
    from ragtune.ingest.scan import Rules, is_read

    with open_workspace(workspace, changes) as opened, progress(as_json) as on_progress:
        opened.refresh()
        made = write.export(
            opened.system, opened.settings, target,
            store=opened.store, title=title or opened.root.name,
            where=filter_of(path, types, tag, since, until), examples=examples,
            with_generator=generator, adapter=opened.adapter, on_progress=on_progress,
        )  # fmt: skip
        read = is_read(str(made.path), stored_sources(opened.store),
                       Rules.of(opened.root, opened.settings))  # fmt: skip
    lines = [
        f"{target}: {made.documents} documents, {made.passages} passages",
        f"a first visit downloads {render.size(made.download)}:",
        *(f"  {render.size(count):>10}  {name}" for name, count in made.parts.items()),
    ]
    if read:
        note = "note: this folder was added, so the page will be read as documents: name another"
        lines.append(click.style(note, fg="yellow"))
    if made.generator:
        lines.append(f"and, where its button is pressed, {render.size(made.generator)} more")
    out(as_json, made, [*lines, f"Next: ragtune preview {quote(str(target))}"])


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8750, show_default=True,
              help="0 takes a free one.")  # fmt: skip
@common
def preview(folder: Path, host: str, port: int, workspace: str | None, as_json: bool) -> None:
    """Serve an exported page on this machine, until Ctrl-C."""
    import signal

    from ragtune.export.browser.preview import server

    with server(folder, host, port) as running:
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{running.server_address[1]}/"
        out(as_json, {"url": url, "folder": folder}, [f"{url}  (Ctrl-C stops)"])

        def stop(*_: object) -> None:
            raise SystemExit(0)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        running.serve_forever()
