import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from ragtune import config
from ragtune.config import Settings
from ragtune.errors import ConfigError, WorkspaceError


def workspace(folder: Path, text: str) -> Path:
    (folder / config.FILE_NAME).write_text(text, "utf-8")
    return folder


def test_the_template_is_valid_and_lists_every_setting(tmp_path: Path) -> None:
    text = config.template()
    assert config.load(workspace(tmp_path, text)) == Settings()
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line and not line.endswith(".") else line
        for line in text.splitlines()
    )
    table = tomllib.loads(uncommented)
    assert {k for section in table.values() for k in section} == {f.name for f in fields(Settings)}
    assert config.load(workspace(tmp_path, uncommented)) == Settings()


def test_every_setting_arrives(tmp_path: Path) -> None:
    other = {bool: lambda v: not v, str: lambda v: v + "x", tuple: lambda v: ("a",)}
    literal = {"fresh": "never", "answer": "write", "generator": "openai"}
    for item in fields(Settings):
        default = item.default
        value = literal.get(item.name)
        if value is None:
            change = other.get(type(default))
            value = change(default) if change else 1000.0 if default == 256 else 0.5
            if isinstance(default, int) and not isinstance(default, bool):
                value = {"context_tokens": 600, "parse_memory_mb": 300}.get(item.name, 17)
        shown = config._toml(value)
        text = f"[{item.metadata['section']}]\n{item.name} = {shown}\n"
        loaded = config.load(workspace(tmp_path, text))
        assert getattr(loaded, item.name) == value, item.name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[answer]\nanswr = 1", "unknown key 'answr'"),
        ("[nope]\nx = 1", "unknown section"),
        ("answer = 1", "unknown section"),
        ("[answer]\nanswer = 'sing'", "must be one of quote, write"),
        ("[answer]\nquotes = 'two'", "must be of type int"),
        ("[answer]\nquotes = true", "must be of type int"),
        ("[answer]\nquotes = 0", "between 1 and 20"),
        ("[index]\nexclude = 'x'", "list of texts"),
        ("[answer", "not valid TOML"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config.load(workspace(tmp_path, text))


def test_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="ragtune init"):
        config.find_workspace(tmp_path)
