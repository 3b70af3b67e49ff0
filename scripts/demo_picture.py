"""Makes docs/demo.svg, the README's picture, from a real run of `ragtune demo`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from ragtune import demo
from ragtune.console import progress

TARGET = Path(__file__).parent.parent / "docs" / "demo.svg"
SECTIONS = ("1.", "2.", "3.", "5.")  # the whole demo is too long for a picture


def main() -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        click.echo(line)

    demo.run(None, lambda: progress(False), say, compare=False)
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=100, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi("$ ragtune demo"))
        for line in _picked("\n".join(said)):
            console.print(Text.from_ansi(line))
        svg = console.export_svg(title="ragtune demo", theme=MONOKAI)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)  # nothing is loaded from outside
    TARGET.write_text(svg, "utf-8")
    sys.stderr.write(f"{TARGET}: {len(svg) // 1024} KiB\n")


def _picked(text: str) -> list[str]:
    """The chosen sections, the second one with its first question only."""
    lines: list[str] = []
    for section in re.split(r"\n(?=\x1b\[1m── )", text):
        plain = click.unstyle(section)
        if not plain.strip().removeprefix("── ").startswith(SECTIONS):
            continue
        questions = re.split(r"\n(?=\n?\x1b\[36m\x1b\[1m\? )", section)
        lines += "\n".join(questions[:2]).split("\n") if "2. Ask" in plain else section.split("\n")
        lines.append("")
    return lines


if __name__ == "__main__":
    main()
