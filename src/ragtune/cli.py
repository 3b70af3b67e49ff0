"""The command line: parse, call one library function, print."""

from __future__ import annotations

import sys

import click

from ragtune.cli_browser import browser, preview
from ragtune.cli_compare import compare
from ragtune.cli_demo import demo
from ragtune.cli_documents import add, docs, init, rm, show, status, sync, verify, watch
from ragtune.cli_examples import examples
from ragtune.cli_export import export
from ragtune.cli_models import models
from ragtune.cli_questions import ask, calibrate, chat, search
from ragtune.cli_route import route
from ragtune.cli_serve import mcp, serve
from ragtune.cli_tune import tune
from ragtune.cli_users import access, audit, users
from ragtune.console import common, fail, out, progress
from ragtune.errors import ConfigError, RagtuneError, said

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
    init, add, sync, watch, rm, docs, show, status, verify,
    search, ask, chat, calibrate, route,
    examples, tune, models, export,
    compare,
    serve, mcp, users, access, audit, preview,
    demo,
):  # fmt: skip
    cli.add_command(command)


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
    except OSError as error:  # as a full disk, where nobody nearer knows better
        fail(": ".join([*([str(error.filename)] if error.filename else []), said(error)]), 1)


if __name__ == "__main__":
    main()
