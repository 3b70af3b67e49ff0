"""`ragtune compare`: which approach fits, measured on one's own questions and documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ragtune.console import common, open_workspace, out, progress
from ragtune.errors import ConfigError

SHOWN = ("schema", "verdict", "arms", "about", "criteria", "kinds", "pairs", "costs", "style",
         "judge", "left_out", "notes", "settings")  # fmt: skip


@click.command()
@click.argument("questions", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--updates",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Changes of files (JSONL: file, old, new, question, old_answer, new_answer): the "
    "update race, run in a copy.",
)
@click.option(
    "--examples",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your examples: for few-shot, tuning and style; without QUESTIONS a part of them "
    "is held out.",
)
@click.option(
    "--arms",
    metavar="A,B,…",
    default="",
    help="Of base, few-shot, rag, tuned, hybrid, quote; default: all.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A further arm: a tuned model, a .gguf file, or openai:MODEL@URL.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 20),
    default=3,
    show_default=True,
    help="Trainings and example prompts of each arm.",
)
@click.option("--budget", metavar="TIME", help="Stop after about so long, as 20m or 2h.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("comparison"),
    show_default=True,
    metavar="DIR",
    help="Where the report and the journal go.",
)
@click.option("--resume", is_flag=True, help="Go on with the comparison in DIR.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your prices, volumes and weights (TOML); see docs/compare.md.",
)
@click.option(
    "--voice",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Format rules of your voice: {"format": {"full": "REGEX"}}.',
)
@click.option(
    "--judge",
    metavar="MODEL",
    default="",
    help="A .gguf file or openai:MODEL@URL that also says which answers are right; told apart, "
    "with how often it agrees with known labels.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of ragtune.toml for this call.",
)
@common
def compare(
    questions: tuple[Path, ...], updates: Path | None, examples: Path | None, arms: str,
    models: tuple[str, ...], seeds: int, budget: str | None, folder: Path, resume: bool,
    prices: Path | None, voice: Path | None, judge: str, changes: tuple[str, ...],
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Find which approach fits: base, few-shot, RAG, tuned, both, or plain quotes.

    QUESTIONS are JSONL or CSV files with question, answers and evidence. Every arm answers all of
    them; a report says which one fits and how sure that is, or what it would take to tell.
    """
    from ragtune.compare import report
    from ragtune.compare.run import Wanted
    from ragtune.compare.run import compare as run
    from ragtune.compare.training import trainer_of
    from ragtune.tune.examples import read_examples

    names = tuple(a.strip() for a in arms.split(",") if a.strip())
    given = read_examples(examples).examples if examples else ()
    wanted = Wanted(
        out=folder, questions=questions, examples=given, updates=updates, arms=names,
        models=models, seeds=seeds, budget=seconds_of(budget), resume=resume, prices=prices,
        voice=voice, judge=judge,
    )  # fmt: skip
    with open_workspace(workspace, changes) as opened, progress(as_json) as on_progress:
        results = run(opened, wanted, trainer_of(opened, on_progress), on_progress)
        files = report.write(results, folder)
    files["results.json"] = folder / "results.json"
    printed = {name: results[name] for name in SHOWN}
    printed["files"] = {name: str(path.resolve()) for name, path in files.items()}
    out(as_json, printed, shown(results, files["report.html"]))


def seconds_of(budget: str | None) -> float | None:
    """'20m' as seconds. Raises ConfigError."""
    if budget is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", budget.strip())
    if not match or float(match[1]) <= 0:
        raise ConfigError(f"--budget {budget!r}: write it as 90s, 20m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def shown(results: Mapping[str, Any], path: Path) -> list[str]:
    """The verdict, the table, and where the report is."""
    import textwrap

    from ragtune import render
    from ragtune.compare import wording

    marks = {"winner": " ★", "leads": " ☆", "": ""}
    table = [[row.name, *(c.text + marks[c.best] for c in row.cells)]
             for row in wording.rows(results)]  # fmt: skip
    lines = [
        click.style(render.safe(wording.headline(results)), bold=True),
        *textwrap.wrap(render.safe(wording.paragraph(results)), render.WIDTH),
        "",
        *render.table(("", *results["arms"]), table),
        click.style("★ told from every other, ☆ leads or plainly measured", dim=True),
    ]
    if results["left_out"]:
        lines += [click.style(f"not compared: {render.safe(f'{arm}: {why}')}", fg="yellow")
                  for arm, why in results["left_out"].items()]  # fmt: skip
    lines += [click.style(render.safe(note), dim=True) for note in results["notes"][:5]]
    steps = wording.next_steps(results)
    if steps:
        lines += ["", "Next:", *(f"  {what}: {command}" for what, command in steps)]
    return [*lines, "", f"Report: {path.resolve()}"]
