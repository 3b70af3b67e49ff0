"""`ragtune tune`: train a model on a company's examples, and show what came of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragtune import config
from ragtune.console import column_names, common, open_workspace, out, progress, tell
from ragtune.errors import ConfigError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.tune.run import TuneReport
    from ragtune.tune.steps import Step
    from ragtune.workspace import Workspace

_SHOWN = 3  # held-out questions that are printed before and after
_QUIET = 10.0  # seconds between two lines where there is no terminal


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", help="What the model is called; default: as the file.")
@click.option(
    "--mode",
    type=click.Choice(["answers", "grounded", "reader"]),
    help="answers: closed book. grounded: with the evidence that this workspace finds. reader: "
    "the reader that picks and marks evidence. Default: grounded where the examples name evidence.",
)
@click.option(
    "--heldout",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Examples to measure on; default: some documents' examples are held out.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="What a column is, where its name does not say: --column answer=reply.",
)
@click.option(
    "--facts",
    type=click.Choice(["keep", "skip"]),
    default="keep",
    help="skip: leave out facts that the base does not know (mode answers).",
)
@click.option("--epochs", type=click.IntRange(1, 100), help="Times through the examples.")
@click.option("--rank", type=click.IntRange(1, 256), help="Rank of the adapter.")
@click.option("--learning-rate", type=click.FloatRange(0, 1, min_open=True))
@click.option("--batch", type=click.IntRange(1, 1024), help="Examples a step.")
@click.option(
    "--max-tokens", type=click.IntRange(16, 1 << 17), help="Longer examples are left out."
)
@click.option("--kl", type=click.FloatRange(0, 10), help="Weight against forgetting; 0: none.")
@click.option(
    "--minutes",
    type=click.FloatRange(0),
    help="Train as many steps as fit in this long, keeping the best.",
)
@click.option("--seed", type=click.IntRange(0), help="Same seed and data: the same model.")
@click.option(
    "--samples",
    type=click.IntRange(0, 1000),
    default=16,
    show_default=True,
    help="Held-out questions answered before and after.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--restart", is_flag=True, help="Delete an interrupted run of this name and begin.")
@common
def tune(
    file: Path, name: str, mode: str | None, heldout: Path | None, columns: tuple[str, ...],
    facts: Any, epochs: int | None, rank: int | None, learning_rate: float | None,
    batch: int | None, max_tokens: int | None, kl: float | None, minutes: float | None,
    seed: int | None, samples: int, resume: bool, restart: bool,
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Teach a small model a company's voice from its own examples (LoRA).

    FILE holds questions with the answers that the company wants: see `ragtune examples check`.
    """
    given: dict[str, Any] = {
        "epochs": epochs, "rank": rank, "learning_rate": learning_rate, "batch": batch,
        "max_tokens": max_tokens, "kl": kl, "minutes": minutes, "seed": seed,
    }  # fmt: skip
    changes = {key: value for key, value in given.items() if value is not None}
    if rank is not None:
        changes["alpha"] = 2.0 * rank
    with open_workspace(workspace) as opened:
        from ragtune.tune import extra

        extra.require()
        from ragtune.tune.run import Plan
        from ragtune.tune.run import tune as run
        from ragtune.tune.steps import TuneSettings

        if mode == "reader":
            _only_for_models({**changes, "name": name, "heldout": heldout, "resume": resume})
            _reader(opened, file, columns, seed or 0, as_json)
            return
        plan = Plan(
            file, name, mode, heldout, column_names(columns), facts,  # type: ignore[arg-type]
            TuneSettings(**{"threads": opened.settings.threads, **changes}),
            samples=samples, resume=resume, restart=restart,
        )  # fmt: skip
        with progress(as_json) as on_progress:
            report = run(plan, opened, on_progress, _Steps(as_json), _note)
    out(as_json, report, _lines(report))


def _only_for_models(given: dict[str, Any]) -> None:
    """Raises ConfigError for options that the reader's training would ignore."""
    wrong = [name for name, value in given.items() if value and name != "seed"]
    if wrong:
        option = wrong[0].replace("_", "-")
        raise ConfigError(f"--mode reader does not take --{option}: leave it away")


def _reader(
    opened: Workspace, file: Path, columns: tuple[str, ...], seed: int, as_json: bool
) -> None:
    from ragtune.models.reader import FOLDER
    from ragtune.tune.examples import read_examples
    from ragtune.tune.reader import tune_reader

    found = read_examples(file, column_names(columns))
    opened.refresh()
    folder = opened.root / config.DATA_FOLDER / FOLDER
    with progress(as_json) as on_progress:
        report = tune_reader(
            found.examples, opened.system, opened.settings, folder, on_progress, seed
        )
    verdict = (
        f"kept: `ask` uses it from now on; without {folder} it uses the shipped one again"
        if report.kept
        else "not kept: it is no better than before"
    )
    out(as_json, report, [
        f"reader: {report.trained} examples, {report.missing} without a place in the documents",
        f"the best sentence is the right one in {report.heldout} held-out questions: "
        f"{report.before:.0%} before, {report.after:.0%} after",
        verdict,
    ])  # fmt: skip


def _note(line: str) -> None:
    from ragtune import render

    if config.progress_as_json():
        tell("note", line)
        return
    click.echo(click.style(f"note: {render.safe(line)}", fg="yellow"), err=True)


class _Steps:
    """Prints where training stands now and then, where no progress bar can."""

    def __init__(self, as_json: bool) -> None:
        self.silent = as_json or sys.stderr.isatty()
        self.last = 0.0

    def __call__(self, step: Step) -> None:
        from ragtune.tune.steps import detail

        if config.progress_as_json():
            tell("step", step)
        elif not self.silent and time.monotonic() - self.last > _QUIET:
            self.last = time.monotonic()
            click.echo(f"step {step.step}/{step.total}: {detail(step)}", err=True)


def _lines(report: TuneReport) -> list[str]:
    from ragtune import render
    from ragtune.tune import curve

    passport = report.passport
    scores = passport.scores
    lines = [
        click.style(f"{report.name}: trained on {passport.split['train']} examples, ", bold=True)
        + f"{report.stopped} after {report.seconds / 60:.1f} minutes, "
        f"{report.tokens_per_second:.0f} tokens/s, {render.size(report.peak_bytes)} at most",
    ]
    drawn = curve.text(passport.curve, scores.get("heldout_loss_before"))
    if drawn:
        lines += ["", "Held-out loss:", *drawn.splitlines()]
    lines += ["", *render.table(("held out", "before", "after"), _rows(scores))]
    for sample in report.samples[:_SHOWN]:
        lines += ["", click.style(f"Q: {render.safe(sample.question)}", bold=True)]
        for label, text in (("before", sample.base), ("after", sample.tuned)):
            said = render.safe(text).strip().splitlines() or [""]
            lines += [f"  {label if n == 0 else '':8}{line}" for n, line in enumerate(said)]
    lines += [
        "",
        f"Registered in {report.folder}. Next:",
        f'  ragtune ask --model {report.name} "…"',
        f"  ragtune models use {report.name}      ragtune models use --previous takes it back",
    ]
    return lines


def _rows(scores: Any) -> list[tuple[str, ...]]:
    """Each score that was taken before and after, as text."""
    shown = (
        ("loss (nats a token)", "heldout_loss_before", "heldout_loss", "{:.3f}"),
        ("in the company's voice", "style_before", "style", "{:.0%}"),
        ("facts held", "facts_before", "facts", "{:.0%}"),
        ("general ability", "general_ability_before", "general_ability", "{:.0%}"),
    )
    return [
        (label, form.format(scores[before]), form.format(scores[after]))
        for label, before, after, form in shown
        if before in scores and after in scores
    ]
