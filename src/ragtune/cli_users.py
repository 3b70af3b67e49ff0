"""`ragtune users`, `ragtune access`, `ragtune audit`: who may use the server and see what."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ragtune import config
from ragtune.console import common, open_workspace, out
from ragtune.errors import ConfigError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.server.database import Database
    from ragtune.server.users import Users

_HELP = {"help_option_names": ["-h", "--help"]}
_ROLE = click.Choice(["reader", "editor", "admin"])
_groups = click.option("--group", "groups", multiple=True, help="A group; may be given often.")


@click.group(context_settings=_HELP)
def users() -> None:
    """Who may use `ragtune serve`: users, passwords, keys."""


@click.group(context_settings=_HELP)
def access() -> None:
    """Which groups see which folders; what no rule covers is for everyone signed in."""


@contextmanager
def _opened(workspace: str | None) -> Iterator[Users]:
    with _database(workspace) as database:
        from ragtune.server.users import Users

        yield Users(database)


@contextmanager
def _database(workspace: str | None) -> Iterator[Database]:
    import importlib.util

    if importlib.util.find_spec("argon2") is None:
        raise ConfigError("users need further packages: pip install 'ragtune[serve]'")
    from ragtune.server.database import Database

    with open_workspace(workspace) as opened:
        database = Database(opened.root / config.DATA_FOLDER)
        try:
            yield database
        finally:
            database.close()


# ---------------------------------------------------------------- users


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@users.command("list")
@common
def list_users(workspace: str | None, as_json: bool) -> None:
    """All users with role, groups, and whether they are disabled."""
    from ragtune import render

    with _opened(workspace) as known:
        found = known.all()
    rows = [
        [render.safe(u.name), u.role, render.safe(", ".join(u.groups)) or "–",
         "disabled" if u.disabled else "",
         f"{_some(u.keys, 'key')}, {_some(u.sessions, 'session')}"]
        for u in found
    ]  # fmt: skip
    lines = render.table(("user", "role", "groups", "", ""), rows) if rows else [
        "No users: only the owner's token and link. Next: ragtune users add NAME"
    ]  # fmt: skip
    out(as_json, {"users": found}, lines)


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLE, default="reader", show_default=True)
@_groups
@common
def add(
    name: str, role: Any, groups: tuple[str, ...], workspace: str | None, as_json: bool
) -> None:
    """Add a user; give them a password or a key next."""
    with _opened(workspace) as known:
        known.add(name, role, groups)
    out(as_json, {"added": name}, [f"Added {name}. Next: ragtune users password {name}"])


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLE)
@_groups
@click.option("--no-groups", is_flag=True, help="Take them out of all groups.")
@click.option("--disable/--enable", "disabled", default=None, help="At once, everywhere.")
@common
def change(
    name: str, role: Any, groups: tuple[str, ...], no_groups: bool, disabled: bool | None,
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Change role or groups, disable or enable; true for the very next request."""
    with _opened(workspace) as known:
        known.change(name, role, groups if groups or no_groups else None, disabled)
    out(as_json, {"changed": name}, [f"Changed {name}."])


@users.command()
@click.argument("name")
@common
def rm(name: str, workspace: str | None, as_json: bool) -> None:
    """Remove a user with keys and sessions."""
    with _opened(workspace) as known:
        known.remove(name)
    out(as_json, {"removed": name}, [f"Removed {name}."])


@users.command()
@click.argument("name")
@click.password_option()
@common
def password(name: str, password: str, workspace: str | None, as_json: bool) -> None:
    """Set a password (asked for); ends the user's sessions."""
    with _opened(workspace) as known:
        known.set_password(name, password)
    out(as_json, {"changed": name}, [f"{name} has a new password."])


@users.command()
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option("--role", type=_ROLE, help="At most this role, whatever the user has.")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Ends after so long.")
@click.option("--per-minute", type=click.IntRange(1), help="Requests a minute.")
@click.option("--questions-a-day", type=click.IntRange(1))
@common
def key(
    name: str, label: str, role: Any, days: float | None, per_minute: int | None,
    questions_a_day: int | None, workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make an API key for a user; it is shown once."""
    with _opened(workspace) as known:
        from ragtune.server.users import Quota

        made = known.add_key(
            name, label, role, days, Quota(per_minute, None, questions_a_day, None)
        )
    out(as_json, {"key": made}, [made, click.style("Shown once: only its hash is kept.", dim=True)])


@users.command()
@click.argument("name", required=False)
@common
def keys(name: str | None, workspace: str | None, as_json: bool) -> None:
    """Keys without their secrets."""
    from ragtune import render

    with _opened(workspace) as known:
        found = known.keys(name)
    rows = [
        [k.id, render.safe(k.user), k.role, render.safe(k.label), "disabled" if k.disabled else ""]
        for k in found
    ]
    lines = render.table(("key", "user", "at most", "label", ""), rows) if rows else ["No keys."]
    out(as_json, {"keys": found}, lines)


@users.command("disable-key")
@click.argument("id")
@common
def disable_key(id: str, workspace: str | None, as_json: bool) -> None:
    """A key stops with the next request."""
    with _opened(workspace) as known:
        known.disable_key(id)
    out(as_json, {"disabled": id}, [f"Key {id} is disabled."])


# ---------------------------------------------------------------- access


@access.command("list")
@common
def list_rules(workspace: str | None, as_json: bool) -> None:
    """The rules, and who sees what no rule covers."""
    from ragtune import render

    with _opened(workspace) as known:
        rules, everyone = known.rules(), known.everyone()
    lines = [f"{folder}: {', '.join(groups) or 'nobody'}" for folder, groups in rules]
    lines.append("everything else: " + ("everyone signed in" if everyone else "nobody"))
    found = {"rules": [{"folder": f, "groups": g} for f, g in rules], "everyone": everyone}
    out(as_json, found, [render.safe(line) for line in lines])


@access.command()
@click.argument("folder")
@_groups
@common
def only(folder: str, groups: tuple[str, ...], workspace: str | None, as_json: bool) -> None:
    """Only these groups see what is in FOLDER (or below this uri); without --group, nobody."""
    from ragtune.ingest.sources import below
    from ragtune.server.users import plain_folder
    from ragtune.visibility import folder_key

    with _opened(workspace) as known:
        known.set_rule(folder, groups)
    with open_workspace(workspace) as opened:
        there = any(below(folder_key(i.uri), plain_folder(folder)) for i in opened.documents())
    lines = [f"{folder}: {', '.join(groups) or 'nobody'}, true for the very next question"]
    if not there:  # a misspelt rule hides nothing
        lines.append(click.style("no document is in it now: see `ragtune docs`", fg="yellow"))
    out(as_json, {"folder": folder, "groups": groups}, lines)


@access.command()
@click.argument("folder")
@common
def free(folder: str, workspace: str | None, as_json: bool) -> None:
    """Take the rule of FOLDER away."""
    with _opened(workspace) as known:
        known.remove_rule(folder)
    out(as_json, {"folder": folder}, [f"No rule of its own: {folder}"])


@access.command()
@click.argument("who", type=click.Choice(["everyone", "nobody"]))
@common
def rest(who: str, workspace: str | None, as_json: bool) -> None:
    """Who sees documents that no rule covers."""
    with _opened(workspace) as known:
        known.set_everyone(who == "everyone")
    out(as_json, {"rest": who}, [f"What no rule covers is for {who}."])


@click.command()
@click.option("-n", "last", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option("--user", "who", help="Only this one's lines.")
@common
def audit(last: int, who: str | None, workspace: str | None, as_json: bool) -> None:
    """Who asked and changed what on the server; questions themselves are not kept."""
    from ragtune import render

    with _database(workspace) as database:
        from ragtune.server.audit import Audit

        found = Audit(database).read(last, who)
    lines = [
        f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(e.at))}  {e.who}  {e.action}  "
        f"{e.status}" for e in found
    ]  # fmt: skip
    out(as_json, {"entries": found}, [render.safe(line) for line in lines] or ["Nothing yet."])
