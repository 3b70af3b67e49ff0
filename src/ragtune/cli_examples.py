"""`ragtune examples`: check a company's examples before training, draft more from its documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragtune.console import coloured, column_names, common, open_workspace, out, progress
from ragtune.errors import RagtuneError, TuneError, WorkspaceError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.config import Settings
    from ragtune.tune.chat import Encoded
    from ragtune.tune.check import CheckReport
    from ragtune.tune.examples import ExampleSet
    from ragtune.tune.preview import View
    from ragtune.types import Example

_COLOURS = {"stop": "red", "warning": "yellow", "note": "cyan"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def examples() -> None:
    """Check examples for fine-tuning, or draft them from the documents."""


@examples.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--heldout",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Examples that are kept for measuring: what do the two share?",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="What a column is, where its name does not say: --column answer=reply.",
)
@click.option("--split", default="", help="Of a dataset folder; default: train.")
@click.option(
    "--show",
    default=2,
    type=click.IntRange(0, 1000),
    metavar="N",
    help="How many examples to show as the model will see them; default: 2.",
)
@common
def check(
    file: Path, heldout: Path | None, columns: tuple[str, ...], split: str, show: int,
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Say what a file of examples holds, what is wrong, and how a model will see it.

    Reads JSON Lines, JSON, CSV, Parquet or a Hugging Face dataset folder in the usual shapes. Exit
    code 1 when a training would stop.
    """
    from ragtune.tune import check as checking
    from ragtune.tune.examples import read_examples

    given = column_names(columns)
    found = read_examples(file, given, split)
    held = read_examples(heldout, given) if heldout else None
    encoded, views, window, why_not = _encoded(found, show, workspace, as_json)
    report = checking.check(found, held, encoded, window)
    shown = [
        {
            "row": v.row,
            "prompt_tokens": v.prompt_tokens,
            "trained_tokens": v.trained_tokens,
            "pieces": [{"text": p.text, "trained": p.trained} for p in v.pieces],
        }
        for v in views
    ]
    value = {
        "file": str(file),
        "ok": report.ok,
        "understood": found.understood,
        "report": report,
        "left_out": [{"row": row, "reason": reason} for row, reason in found.left_out],
        "preview": shown,
        "note": why_not,
    }
    out(as_json, value, _lines(file, found, report, views, why_not))
    if not report.ok:
        raise SystemExit(1)


@examples.command()
@click.argument("file", type=click.Path(path_type=Path), default="drafts.jsonl")
@click.option("--from-docs", is_flag=True, help="From the indexed documents (the default).")
@click.option(
    "--count",
    default=100,
    type=click.IntRange(1, 100_000),
    help="How many drafts the file shall hold; default: 100.",
)
@click.option(
    "--ask-model/--rules-only",
    "ask_model",
    default=None,
    help="Let the generator ask too; default: unless it is the shipped 135M.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of ragtune.toml for this call, as generator=openai.",
)
@common
def build(
    file: Path, from_docs: bool, count: int, ask_model: bool | None, changes: tuple[str, ...],
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Draft questions with answers and evidence from the documents, for a person to review.

    A draft is kept only if its evidence stands in the document, supports the answer, and is what
    the question finds. A run that was stopped goes on where it stopped.
    """
    from ragtune import render
    from ragtune.tune.build import build as draft

    with open_workspace(workspace, changes) as opened, progress(as_json) as on_progress:
        opened.refresh()
        found = (opened.store.get(i.uri) for i in opened.documents() if i.state == "indexed")
        documents = [document for document in found if document is not None]
        report = draft(
            documents, opened.system, opened.settings, file, count, on_progress, ask_model
        )
    misses = report.kinds.get("unanswerable", 0)
    facts = report.kept - misses
    share = facts / report.tried if report.tried else 0.0
    lines = [
        f"{facts:,} drafts kept of {report.tried:,} sentences tried ({share:.0%}) and {misses:,} "
        f"questions without an answer, in {report.seconds:.0f} s",
        f"{render.safe(report.file)} holds {report.already + report.kept:,} drafts. Left out:",
        *(f"  {why}: {n:,}" for why, n in report.rejected.items()),
        'Read them, correct them, set "reviewed": true or delete the row; then:',
        f"  ragtune examples check {render.safe(report.file)}",
    ]
    out(as_json, report, lines)


def _settings(workspace: str | None) -> Settings:
    """The workspace's settings; without a workspace the defaults, for a file can be anywhere."""
    from ragtune import config

    try:
        return config.load(config.find_workspace(Path(workspace or ".")))
    except WorkspaceError:
        if workspace:
            raise
        return config.Settings()


def _encoded(
    found: ExampleSet, show: int, workspace: str | None, as_json: bool
) -> tuple[list[Encoded | None] | None, list[View], int, str]:
    """Examples as the base sees them, some to show, the window, and why not where it cannot be."""
    from importlib.util import find_spec

    settings = _settings(workspace)
    if any(find_spec(name) is None for name in ("transformers", "torch", "gguf")):
        return None, [], 0, "token lengths and the view of tokens: pip install 'ragtune[tune]'"
    from ragtune.tune import base, chat, preview
    from ragtune.tune.steps import TuneSettings
    from ragtune.types import Progress

    encoded: list[Encoded | None] = []
    with progress(as_json) as on_progress:
        try:
            tokenizer = base.load_tokenizer(base.locate(settings, on_progress))
            chat.end_of_turn(tokenizer)  # raises where the template cannot be trained with
        except RagtuneError as error:  # the checks of the texts need no base
            return None, [], 0, f"no token lengths: {error}"

        def encode(example: Example) -> Encoded:
            try:
                return chat.encode(_messages(example), example.answer, tokenizer)
            except TuneError as error:
                raise TuneError(f"{found.understood.unit} {example.row}: {error}") from None

        for done, example in enumerate(found.examples, 1):
            encoded.append(encode(example))
            if on_progress is not None:
                on_progress(Progress("tokens", done, len(found.examples)))

    def decode(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), skip_special_tokens=False,
                                    clean_up_tokenization_spaces=False))  # fmt: skip

    views = preview.preview(found.examples, encode, decode, show)
    return encoded, views, TuneSettings().max_tokens, ""


def _messages(example: Example) -> list[Any]:
    """The messages that serving renders for this question without documents."""
    from ragtune import prompting

    return prompting.closed_book(example.question, example.history)


# ---------------------------------------------------------------- lines for people


def _lines(
    file: Path, found: ExampleSet, report: CheckReport, views: Sequence[View], why_not: str
) -> list[str]:
    from ragtune import render

    known = found.understood
    pairs = ", ".join(f"{f} = {c}" if f != c else f for f, c in known.columns.items())
    lines = [
        click.style(f"{render.safe(str(file))}: {known.format}, {known.shape}", bold=True)
        + f" (sure: {known.sure:.0%})",
        f"columns     {render.safe(pairs)}",
    ]
    if known.ignored:
        lines.append(f"not used    {render.safe(', '.join(known.ignored[:12]))}")
    counts = f"{report.examples:,} of {known.rows:,} rows"
    counts += f"; held out: {report.heldout:,}" if report.heldout else ""
    lines.append(f"examples    {counts}")
    if set(report.kinds) != {"(none)"}:
        lines.append("kinds       " + render.safe(_counts(report.kinds)))
    lines.append("languages   " + _counts(report.languages))
    if report.fixed:
        said = " | ".join(render.safe(" ".join(s.split())) for s in report.fixed[:4])
        lines.append(f"fixed form  {said}")
    lines += [f"note        {render.safe(note)}" for note in known.notes]
    lines += ["", *_lengths(report)]
    lines += [why_not] if why_not else []
    lines.append("")
    lines += [line for finding in report.findings for line in _finding(finding, known.unit)]
    lines.append(
        click.style("A training would stop.", fg="red") if not report.ok
        else click.style("Nothing stops a training.", fg="green")
    )  # fmt: skip
    lines.append(click.style(f"Not looked for: {report.not_looked_for}.", dim=True))
    if views:
        lines += ["", *_views(views, known.unit)]
    return lines


def _counts(counts: Any) -> str:
    shown = [f"{name} {n:,}" for name, n in list(counts.items())[:8]]
    return ", ".join(shown) + (f", {len(counts) - 8} more" if len(counts) > 8 else "")


def _lengths(report: CheckReport) -> list[str]:
    from ragtune import render

    rows = [(length.part, length.unit, length.minimum, length.median, length.p95, length.maximum)
            for length in report.lengths]  # fmt: skip
    lines = render.table(("length of", "in", "min", "median", "p95", "max"), rows)
    over = max((length.over for length in report.lengths), default=0)
    return lines + ([f"{over:,} longer than a training takes"] if over else [])


def _finding(finding: Any, unit: str) -> list[str]:
    from ragtune import render

    mark = click.style(f"{finding.severity:8}", fg=_COLOURS[finding.severity])
    lines = [f"{mark} {render.safe(finding.message)}"]
    if finding.rows:
        rows = ", ".join(map(str, finding.rows[:8]))
        more = f" and {len(finding.rows) - 8:,} more" if len(finding.rows) > 8 else ""
        lines.append(click.style(f"         {unit} {rows}{more}", dim=True))
    lines += [
        click.style(f"         · {render.safe(' '.join(sample.split()))}", dim=True)
        for sample in finding.samples
    ]
    return [*lines, f"         → {render.safe(finding.advice)}"]


def _views(views: Sequence[View], unit: str) -> list[str]:
    """The tokens as the model sees them: trained ones in colour, or between ⟦ and ⟧."""
    from ragtune import render
    from ragtune.tune import preview

    colour = coloured()
    legend = (
        click.style("trained", fg="green", bold=True) + " and " + click.style("masked", dim=True)
        if colour else "⟦trained⟧ and masked"
    )  # fmt: skip
    lines = [f"As the model sees them, {legend}:"]
    for view in views:
        lines += ["", f"{unit} {view.row}: {view.prompt_tokens} tokens of prompt, "
                      f"{view.trained_tokens} trained"]  # fmt: skip
        text = ""
        for run, trained in preview.marked(view):
            safe = render.safe(run)
            if not colour:
                text += f"⟦{safe}⟧" if trained else safe
            else:
                style: dict[str, Any] = {"fg": "green", "bold": True} if trained else {"dim": True}
                text += "\n".join(click.style(part, **style) for part in safe.split("\n"))
        lines += text.split("\n")
    return lines
