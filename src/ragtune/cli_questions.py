"""The commands that ask: search, ask, chat, and fitting when to decline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragtune.console import common, filter_of, open_workspace, out, questions, writers
from ragtune.errors import ConfigError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.types import Filter
    from ragtune.workspace import Workspace


@click.command()
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


@click.command()
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


@click.command()
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


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the curve; keep the present threshold.")
@common
def calibrate(file: Path, dry_run: bool, workspace: str | None, as_json: bool) -> None:
    """Fit when to decline, from labelled questions (JSONL: question, answerable)."""
    from ragtune import calibrate as fit

    with open_workspace(workspace) as opened:
        result = opened.calibrate(file, save=not dry_run)
    out(as_json, result, fit.lines(result))


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
