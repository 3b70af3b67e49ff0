"""`ragtune demo`."""

from __future__ import annotations

from pathlib import Path

import click

from ragtune.console import common, out, progress


@click.command()
@click.option("--keep", metavar="DIR", help="Make the demo's workspace there and keep it.")
@click.option(
    "--compare/--no-compare",
    default=True,
    help="End with a small comparison of the approaches (some minutes).",
)
@common
def demo(keep: str | None, compare: bool, workspace: str | None, as_json: bool) -> None:
    """See it work: a sample company, real questions, an edit, a delete, a comparison."""
    from ragtune.demo import run

    said: list[str] = []
    say = said.append if as_json else click.echo
    run(Path(keep) if keep else None, lambda: progress(as_json), say, compare)
    if as_json:
        out(True, {"lines": [click.unstyle(line) for line in said]}, [])
