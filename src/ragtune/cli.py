"""The command line: parse, call one library function, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragtune.cli_browser import browser, preview
from ragtune.cli_compare import compare
from ragtune.cli_demo import demo
from ragtune.cli_examples import examples
from ragtune.cli_export import export
from ragtune.cli_models import models
from ragtune.cli_route import route
from ragtune.cli_serve import mcp, serve
from ragtune.cli_tune import tune
from ragtune.cli_users import access, audit, users
from ragtune.console import (
    common,
    fail,
    filter_of,
    open_workspace,
    out,
    progress,
    questions,
    show_report,
    writers,
)
from ragtune.errors import ConfigError, RagtuneError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.types import Filter
    from ragtune.workspace import Workspace

EPILOG = """\b
Start:
  ragtune demo                         see it work on a sample company
  ragtune init assistant && cd assistant
  ragtune add ~/Documents/handbook     files, folders, or a database URL
  ragtune ask "How do I claim travel costs?"

Everything stays on this machine. Add --json to any command for machines."""

GROUPS = {
    "Documents": ("init", "add", "sync", "watch", "rm", "docs", "show", "status", "verify"),
    "Questions": ("search", "ask", "chat", "calibrate", "route"),
    "Tuning": ("examples", "tune", "models", "export"),
    "Comparing": ("compare",),
    "Serving": ("serve", "mcp", "users", "access", "audit", "preview"),
    "More": ("demo", "weights"),
}


class _Commands(click.Group):
    """Lists commands by what they are for, in the order one meets them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(n, self.commands[n].get_short_help_str(90)) for n in names])


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ragtune")
def cli() -> None:
    """Ask your documents privately, with citations that open at the exact passage."""


export.add_command(browser)
for command in (
    examples,
    tune,
    models,
    export,
    preview,
    route,
    compare,
    serve,
    mcp,
    users,
    access,
    audit,
    demo,
):
    cli.add_command(command)


@cli.command()
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


@cli.command()
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


@cli.command()
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@click.option("--prune-missing", is_flag=True, help="A source that cannot be reached is deleted.")
@common
def sync(dry_run: bool, prune_missing: bool, workspace: str | None, as_json: bool) -> None:
    """Make the index equal to what was added: new, changed, moved, deleted files."""
    with open_workspace(workspace) as opened, progress(as_json) as on_progress:
        report = opened.sync(on_progress, dry_run, prune_missing)
    show_report(report, dry_run, as_json)


@cli.command()
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


@cli.command()
@click.argument("docs", nargs=-1, required=True)
@common
def rm(docs: tuple[str, ...], workspace: str | None, as_json: bool) -> None:
    """Take documents out of the index (the files stay; `add` brings them back)."""
    with open_workspace(workspace) as opened:
        report = opened.remove(docs)
    show_report(report, False, as_json)


@cli.command()
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


@cli.command()
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


@cli.command()
@common
def status(workspace: str | None, as_json: bool) -> None:
    """Show what is in, what failed and why, sizes and versions."""
    from ragtune import render

    with open_workspace(workspace) as opened:
        state = opened.status()
    out(as_json, state, render.status_lines(state))


@cli.command()
@common
def verify(workspace: str | None, as_json: bool) -> None:
    """Prove that index, texts and vectors agree; exit code 1 otherwise."""
    with open_workspace(workspace) as opened:
        report = opened.verify()
    counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in report.counts.items())
    out(as_json, report, [f"problem: {p}" for p in report.problems] or [f"all agree: {counts}"])
    if not report.ok:
        raise SystemExit(1)


@cli.command()
@click.argument("query")
@click.option("-k", type=click.IntRange(1, 1000), help="How many hits; default: settings.")
@questions
@common
def search(
    query: str, k: int | None, path: tuple[str, ...], types: tuple[str, ...],
    tag: tuple[str, ...], since: str | None, until: str | None, changes: tuple[str, ...],
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Find passages, with scores and where each came from."""
    from ragtune import render

    if not query.strip():
        raise ConfigError("the query is empty")
    with open_workspace(workspace, changes) as opened:
        hits = opened.search(query, k, filter_of(path, types, tag, since, until))
    lines = [line for n, hit in enumerate(hits, 1) for line in render.hit_lines(n, hit)]
    out(as_json, {"query": query, "hits": hits}, lines or ["Nothing found."])


@cli.command()
@click.argument("question")
@click.option("--write/--quote", default=None, help="Let the model write, or quote verbatim.")
@click.option("--stream", is_flag=True, help="With --json: JSON Lines as it happens, answer last.")
@writers
@questions
@common
def ask(
    question: str, write: bool | None, stream: bool, model: str | None, no_docs: bool,
    path: tuple[str, ...], types: tuple[str, ...], tag: tuple[str, ...], since: str | None,
    until: str | None, changes: tuple[str, ...], workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Answer a question with citations, or say that the documents do not."""
    with open_workspace(workspace, changes) as opened:
        where = filter_of(path, types, tag, since, until)
        _ask(opened, question, where, (), write, as_json, stream, model, no_docs)


@cli.command()
@click.option("--write/--quote", default=None, help="Let the model write, or quote verbatim.")
@writers
@questions
@common
def chat(
    write: bool | None, model: str | None, no_docs: bool, path: tuple[str, ...],
    types: tuple[str, ...], tag: tuple[str, ...], since: str | None, until: str | None,
    changes: tuple[str, ...], workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Ask one question after another; follow-ups use the conversation."""
    with open_workspace(workspace, changes) as opened:
        where = filter_of(path, types, tag, since, until)
        history: list[str] = []
        if not as_json and sys.stdin.isatty():
            click.echo("Ask; an empty line or Ctrl-D ends.")
        while True:
            try:
                question = input("> " if sys.stdin.isatty() and not as_json else "").strip()
            except EOFError:
                break
            if not question:
                break
            _ask(opened, question, where, tuple(history), write, as_json, False, model, no_docs)
            history.append(question)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the curve; keep the present threshold.")
@common
def calibrate(file: Path, dry_run: bool, workspace: str | None, as_json: bool) -> None:
    """Fit when to decline, from labelled questions (JSONL: question, answerable)."""
    from ragtune import calibrate as fit

    with open_workspace(workspace) as opened:
        result = opened.calibrate(file, save=not dry_run)
    out(as_json, result, fit.lines(result))


@cli.command()
@common
def weights(workspace: str | None, as_json: bool) -> None:
    """Obtain and check the model weights now (otherwise at first use)."""
    from ragtune.models import embed, reader
    from ragtune.models import weights as catalogue

    with progress(as_json) as on_progress:
        folders = {name: catalogue.obtain(name, on_progress) for name in catalogue.CATALOGUE}
        embed.built("int8", on_progress)
        reader.built(reader.shipped(), on_progress)
    out(as_json, {"weights": folders}, [f"{n}: {p}" for n, p in folders.items()])


def main() -> None:
    """Runs the command line; errors become one line and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
        raise SystemExit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        fail("interrupted: what was finished is kept; run the command again to go on", 130)
    except KeyboardInterrupt:
        fail("interrupted: what was finished is kept; run the command again to go on", 130)
    except click.ClickException as error:
        fail(error.format_message(), 2)
    except ConfigError as error:
        fail(str(error), 2)
    except RagtuneError as error:
        fail(str(error), 1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has gone: nothing to tell it
        raise SystemExit(141) from None


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


def _ask(
    opened: Workspace, question: str, where: Filter | None, history: tuple[str, ...],
    write: bool | None, as_json: bool, stream: bool, model: str | None, no_docs: bool,
) -> None:  # fmt: skip
    from ragtune import render
    from ragtune.types import Answer, Evidence, Token

    mode: Any = None if write is None else "write" if write else "quote"
    if not question.strip():
        raise ConfigError("the question is empty")
    if no_docs and write is False:
        raise ConfigError("--quote needs documents: leave --no-docs away")
    writes = opened.mode(mode, model, not no_docs) == "write"
    streamed = False
    for event in opened.ask_stream(question, where, history, mode, model, not no_docs):
        if as_json:
            if isinstance(event, Answer):
                click.echo(render.to_json(event))
            elif stream:
                kind = "evidence" if isinstance(event, Evidence) else "token"
                click.echo(render.to_json({"event": kind, **render.jsonable(event)}))
        elif isinstance(event, Evidence) and writes and event.supported:
            click.echo("\n".join(render.evidence_lines(event)) + "\n")
        elif isinstance(event, Token):
            streamed = True
            click.echo(click.style(render.safe(event.text), dim=True), nl=False)
        elif isinstance(event, Answer):
            click.echo("\n\n" if streamed else "", nl=False)
            click.echo("\n".join(render.answer_lines(event)))


if __name__ == "__main__":
    main()
