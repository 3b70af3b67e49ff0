"""`ragtune route`: train, test and explain the router."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ragtune.console import common, open_workspace, out, progress
from ragtune.errors import ConfigError, TuneError, WeightsError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.models.router import OnnxRouter
    from ragtune.route.questions import Question
    from ragtune.workspace import Workspace

_FILE = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def route() -> None:
    """Decide which way each question goes: train a small router, test it, explain it."""


@route.command()
@click.argument("file", required=False, type=_FILE)
@click.option("--small", is_flag=True, help="Ten times as fast, less right with few questions.")
@click.option(
    "--examples",
    type=_FILE,
    metavar="FILE",
    help="Without FILE: further examples (as for tune) whose evidence names a document.",
)
@common
def train(
    file: Path | None, small: bool, examples: Path | None, workspace: str | None, as_json: bool
) -> None:  # fmt: skip
    """Train on labelled questions (JSONL or CSV: text, intent), or on what the workspace knows.

    Without FILE those are its documents, its reviewed examples, and what people gave thumbs to.
    An intent "oos" holds questions that are out of scope. Where each intent goes is then set in
    routes.toml beside the router.
    """
    from ragtune.config import DATA_FOLDER
    from ragtune.render import safe
    from ragtune.route.questions import read_questions
    from ragtune.route.train import train as fit

    if file is not None and examples is not None:
        raise ConfigError("--examples is for training without a file of labelled questions")
    with open_workspace(workspace) as opened, progress(as_json) as on_progress:
        questions = read_questions(file) if file else _made(opened, examples)
        variant: Literal["full", "small"] = "small" if small else "full"
        made = fit(
            questions, opened.root / DATA_FOLDER, variant, on_progress, opened.settings.threads
        )
    figures = made.passport.figures
    lines = [
        f"Router for {len(made.passport.intents)} intents from {len(questions)} questions "
        f"({made.seconds:.0f} s, {made.size / 1e6:.1f} MB)",
    ]
    if figures:
        lines += [
            f"held out   {figures['accuracy']:.1%} right, calibration error "
            f"{figures['calibration_error']:.3f}; the threshold keeps {figures['kept']:.1%}",
            f"unknown    {figures['left_out_caught']:.0%} caught of questions whose own intent was "
            "left out (the hardest kind)",
        ]
        if (caught := figures.get("outside_caught")) is not None:
            lines.append(f"oos        {caught:.0%} caught of those held out")
    else:
        lines.append("too few questions to hold any out: its threshold is a guess")
    lines += [click.style(f"note       {safe(text)}", fg="yellow") for text in made.warnings]
    lines.append(f"Where intents go: {made.folder / 'routes.toml'}")
    out(as_json, made, lines)


@route.command()
@click.argument("file", type=_FILE)
@click.option("--png", type=_FILE, metavar="FILE", help="Draw the confusion matrix.")
@click.option(
    "--vectors",
    type=_FILE,
    metavar="FILE",
    help="Write what another runtime must get for these questions, as JSON.",
)
@common
def test(
    file: Path, png: Path | None, vectors: Path | None, workspace: str | None, as_json: bool
) -> None:  # fmt: skip
    """Measure the router on labelled questions it was not trained on.

    An intent "oos" means out of scope. With such questions in the file, accuracy counts a question
    that was sent the safe way as wrong; without, it is that of the likeliest intent.
    """
    from ragtune.render import safe
    from ragtune.route import judge
    from ragtune.route.questions import read_questions

    questions = read_questions(file)
    with open_workspace(workspace) as opened, progress(as_json) as on_progress:
        router = _router(opened)
        report = judge.measure(router, questions, on_progress)
        if vectors is not None:
            _write_vectors(vectors, router, questions)
    if png is not None:
        judge.draw(report, png)
    out(as_json, report.as_json(), [safe(line) for line in judge.lines(report)])


@route.command()
@click.argument("question")
@common
def explain(question: str, workspace: str | None, as_json: bool) -> None:
    """Say which way a question goes and why."""
    from dataclasses import asdict

    from ragtune.render import safe
    from ragtune.route import judge

    if not question.strip():
        raise ConfigError("the question is empty")
    with open_workspace(workspace) as opened:
        router = _router(opened)
        judgement = router.judge(question)
        near = judge.neighbours(router, question)
    shown: dict[str, Any] = {**asdict(judgement), "neighbours": near}
    shown["intents"] = dict(judgement.intents[:5])
    shown["reason"] = judge.reason(judgement)
    lines = [judge.reason(judgement), "", "intents"]
    lines += [f"  {chance:6.1%}  {name}" for name, chance in judgement.intents[:5]]
    lines += ["nearest training questions"]
    lines += [f"  {n.cosine:6.2f}  {n.text[:80]}  [{n.intent}]" for n in near]
    if judgement.target.reply:
        lines += ["reply", f"  {judgement.target.reply}"]
    out(as_json, shown, [safe(line) for line in lines])


def _router(opened: Workspace) -> OnnxRouter:
    from ragtune.config import DATA_FOLDER
    from ragtune.models.router import load_router

    router = load_router(opened.root / DATA_FOLDER)
    if router is None:
        raise WeightsError("this workspace has no router: run `ragtune route train`")
    return router


def _made(opened: Workspace, examples: Path | None) -> list[Question]:
    """Questions made from what the workspace knows, and from further examples where given."""
    from ragtune.route import feedback
    from ragtune.route.synthesise import synthesise
    from ragtune.server.examples import Examples
    from ragtune.tune.examples import read_examples

    infos = [info for info in opened.documents() if info.state == "indexed"]
    documents = [found for info in infos if (found := opened.store.get(info.uri)) is not None]
    kept = Examples(opened.root)
    asked = [*feedback.taught(kept.trainable(none=True)), *feedback.places(kept.feedback.all())]
    return synthesise(documents, read_examples(examples).examples if examples else (), asked)


def _write_vectors(path: Path, router: OnnxRouter, questions: list[Question]) -> None:
    import json

    from ragtune.route.judge import vectors

    made = vectors(router, list(dict.fromkeys(question.text for question in questions)))
    try:
        path.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise TuneError(f"cannot write {path}: {error.strerror}") from None
