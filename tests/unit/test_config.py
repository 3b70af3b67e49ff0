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
    special: dict[str, object] = {
        "fresh": "never", "answer": "write", "generator": "openai", "context_tokens": 600,
        "parse_memory_mb": 300, "threshold": 0.5, "temperature": 0.5, "exclude": ("a",),
    }  # fmt: skip
    for item in fields(Settings):
        default = item.default
        value = special.get(item.name)
        if value is None:
            value = not default if isinstance(default, bool) else 17
            value = default + "x" if isinstance(default, str) else value
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
