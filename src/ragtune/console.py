"""What the commands share: their options, opening a workspace, progress and printing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragtune import config
from ragtune.errors import ConfigError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune import types
    from ragtune.ingest.sync import SyncReport
    from ragtune.types import Filter, OnProgress
    from ragtune.workspace import Workspace

_QUIET_SECONDS = 15.0  # between two lines about long work, where there is no terminal
_EVERY = 0.25  # seconds between two lines of progress
F = TypeVar("F", bound=Callable[..., Any])


def common(command: F) -> F:
    """The options that every command has."""
    command = click.option(
        "--json", "as_json", is_flag=True, help="One JSON object on standard output."
    )(command)
    return click.option(
        "-w", "--workspace", metavar="DIR", help="The workspace; default: here or above."
    )(command)


def questions(command: F) -> F:
    """The options of commands that search: exact filters and settings for this call."""
    for option in (
        click.option("--set", "changes", multiple=True, metavar="KEY=VALUE",
                     help="A setting of ragtune.toml for this call."),
        click.option("--until", metavar="DATE", help="Only documents modified on or before DATE."),
        click.option("--since", metavar="DATE", help="Only documents modified on or after DATE."),
        click.option("--tag", multiple=True, help="Only documents with this tag."),
        click.option("--type", "types", multiple=True, help="Only this type: pdf, docx, md, …"),
        click.option("--path", multiple=True, metavar="GLOB", help='Only paths, as "policies/*".'),
    ):  # fmt: skip
        command = option(command)
    return command


def writers(command: F) -> F:
    """Who writes, and from what: base or tuned, with documents or without."""
    command = click.option(
        "--no-docs", is_flag=True, help="Answer from what the model knows, without documents."
    )(command)
    return click.option(
        "--model", metavar="NAME", help='A tuned model writes (see `models`), or "base".'
    )(command)


def column_names(pairs: Sequence[str]) -> dict[str, str]:
    """The pairs of `--column FIELD=COLUMN`. Raises ConfigError."""
    given: dict[str, str] = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or not field or not column:
            raise ConfigError(f"--column {pair!r}: write it as FIELD=COLUMN, as answer=reply")
        given[field.strip()] = column
    return given


def fail(message: str, code: int) -> None:
    """Ends with one line on standard error (and an error object with --json)."""
    from ragtune import render

    if "--json" in sys.argv:
        click.echo(render.to_json({"error": message}))
    click.echo(f"ragtune: {render.safe(message)}", err=True)
    raise SystemExit(code)


def open_workspace(workspace: str | None, changes: tuple[str, ...] = ()) -> Workspace:
    """The workspace of `--workspace`, or here or above, with `--set` changes."""
    import tomllib

    from ragtune import workspace as library

    values: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        name = key.strip().rsplit(".", 1)[-1]  # "answer.quotes" as in the file, or "quotes"
        if not equals:
            raise ConfigError(f"--set {change!r}: write it as KEY=VALUE")
        try:
            values[name] = tomllib.loads(f"v = {value}")["v"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return library.open(
        workspace or ".", values, lambda line: click.echo(f"ragtune: {line}", err=True)
    )


def filter_of(
    path: tuple[str, ...], types: tuple[str, ...], tag: tuple[str, ...],
    since: str | None, until: str | None,
) -> Filter | None:  # fmt: skip
    """The filter that the options describe, or None."""
    from ragtune.ingest.sources import typed
    from ragtune.types import Filter

    if not (path or types or tag or since or until):
        return None
    path, tag = tuple(map(typed, path)), tuple(map(typed, tag))
    types = tuple(typed(t).lower().removeprefix(".") for t in types)
    return Filter(path, types, tag, _seconds(since, False), _seconds(until, True))


def _seconds(date: str | None, whole_day: bool) -> float | None:
    if date is None:
        return None
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise ConfigError(f"{date!r} is not a date: write it as 2026-01-31") from None
    return moment.timestamp() + (86_399.999 if whole_day and len(date) == 10 else 0.0)


def coloured() -> bool:
    """Whether standard output shows colours: a terminal, and nobody asked for none."""
    return sys.stdout.isatty() and not config.no_colour()


def out(as_json: bool, value: object, lines: list[str]) -> None:
    """Prints one JSON object or the lines."""
    from ragtune import render

    click.echo(render.to_json(value) if as_json else "\n".join(lines))


def show_report(report: SyncReport, dry_run: bool, as_json: bool, exit_code: bool = True) -> None:
    """Prints what `add`, `sync` or `rm` did; exit code 1 when nothing at all could be read."""
    from ragtune import render

    would = "would be " if dry_run else ""
    counts = [
        f"{len(items)} {would}{name}"
        for name, items in (("added", report.added), ("changed", report.changed),
                            ("moved", report.moved), ("deleted", report.deleted))
        if items
    ]  # fmt: skip
    counts += [f"{report.unchanged} unchanged"] if report.unchanged else []
    lines = [(", ".join(counts) or "nothing to do") + f" ({report.seconds:.1f} s)"]
    lines += [click.style(f"not read: {render.safe(u)}: {render.safe(why)}", fg="yellow")
              for u, why in report.failed]  # fmt: skip
    lines += [click.style(render.safe(w), fg="yellow") for w in report.warnings]
    lines += [click.style(f"hidden, not read: {line}", fg="yellow")
              for line in render.left_out_lines(report.left_out)]  # fmt: skip
    out(as_json, report, lines)
    good = report.added or report.changed or report.moved or report.deleted or report.unchanged
    if exit_code and report.failed and not good:
        raise SystemExit(1)


def tell(name: str, value: object) -> None:
    """A line of JSON on standard error for the program that runs this one."""
    from ragtune import render

    click.echo(render.to_json({name: value}), err=True)


class _Pace:
    """Says which steps of long work are told: those at least `seconds` apart."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def due(self, always: bool = False) -> bool:
        """Whether to tell now."""
        now = time.monotonic()
        if not always and now - self._last < self._seconds:
            return False
        self._last = now
        return True


def _for_a_program() -> OnProgress:
    """A line of JSON a step, with the first and last of each kind."""
    pace = _Pace(_EVERY)
    what = ""

    def show_step(step: types.Progress) -> None:
        nonlocal what
        if pace.due(step.what != what or step.done == step.total):
            tell("progress", step)
        what = step.what

    return show_step


@contextmanager
def progress(as_json: bool) -> Iterator[OnProgress | None]:
    """A progress bar with an ETA on a terminal; a line now and then elsewhere.

    With `RAGTUNE_PROGRESS=json`, as the server runs it: a line of JSON a step, four a second.
    """
    if config.progress_as_json():
        yield _for_a_program()
        return
    if as_json or not sys.stderr.isatty():
        yield None if as_json else _now_and_then()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[detail]}"))  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show_step(step: types.Progress) -> None:
            if step.what not in tasks:
                tasks[step.what] = bar.add_task(step.what, detail="")
            bar.update(tasks[step.what], completed=step.done, total=step.total or None,
                       detail=step.detail[-40:])  # fmt: skip

        yield show_step


def _now_and_then() -> OnProgress:
    """Writes to standard error what long work is at, with the time it will take from its pace."""

    began: dict[str, tuple[float, int]] = {}
    pace = _Pace(_QUIET_SECONDS)

    def show_step(step: types.Progress) -> None:
        now = time.monotonic()
        start, first = began.setdefault(step.what, (now, step.done))
        if not pace.due():
            return
        left = ""
        if step.total and step.done > first:
            seconds = round((now - start) / (step.done - first) * (step.total - step.done))
            left = f", about {seconds // 60}:{seconds % 60:02d} left"
        of = f" {step.done}/{step.total}" if step.total else ""
        click.echo(f"{step.what}{of}{left} {step.detail[:60]}".rstrip(), err=True)

    return show_step
