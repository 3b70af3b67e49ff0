"""Every setting and command is in the docs; the docs name nothing that does not exist."""

import re
from dataclasses import fields
from pathlib import Path

import click

from ragtune.cli import GROUPS, cli
from ragtune.config import Settings, settings_table

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_command_is_grouped_and_documented() -> None:
    grouped = {name for names in GROUPS.values() for name in names}
    assert grouped == set(cli.commands)
    page = (DOCS / "json.md").read_text("utf-8")
    for name in grouped:
        assert f"`{name}`" in page, name
    nested = [c for c in cli.commands.values() if isinstance(c, click.Group)]
    single = [c for c in cli.commands.values() if c not in nested]
    for group in nested:
        assert group.help
        single += group.commands.values()
        for name in group.commands:
            assert f"`{group.name} {name}`" in page, name
    for command in single:
        assert command.help
        options = {o for p in command.params for o in p.opts}
        assert {"--json", "--workspace"} <= options, command.name


def test_the_page_of_settings_is_the_settings() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    assert settings_table() in page, "run: python -m ragtune.config > docs/settings.md"
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == {f.name for f in fields(Settings)}
