"""`ragtune demo`: the main job on a sample company, with nothing prepared in advance."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import click

from ragtune import render
from ragtune.status import readable
from ragtune.types import Answer, Evidence, OnProgress, Token
from ragtune.workspace import Workspace, init

SAMPLE = Path(__file__).parent / "sample" / "company"
QUESTIONS = (
    "What may a hotel cost per night on a trip abroad?",
    "My Kondor shows K09, what should I do?",
    "How do I book a business trip?",
)
UNANSWERED = "Does the company pay for my gym membership?"
WRITTEN = "How many working days may I work from another EU country?"
TUNED = "grounded"
VOICE = "Your own voice, in minutes:  ragtune tune examples.jsonl --name crew"
COMPARING = "A few minutes; Ctrl-C ends it. The whole of it: ragtune compare --help"
EDITED = "policies/remote-work.md"
EDIT = ("up to two days a week", "up to three days a week")
EDIT_QUESTION = "How many days a week may I work from home?"
DELETED = "policies/company-cars.txt"
DELETE_QUESTION = "May my wife drive my company car?"


Bar = Callable[[], AbstractContextManager[OnProgress | None]]


def run(keep: Path | None, bar: Bar, say: Callable[[str], None], compare: bool = True) -> None:
    """Indexes the sample company in a workspace of its own, asks, edits, deletes, asks again.

    It ends with a small comparison of the approaches unless `compare` is false. `keep` names a new
    folder for the workspace; otherwise it is temporary. `bar` shows progress, `say` gets the lines.
    """
    with tempfile.TemporaryDirectory(prefix="ragtune-demo-") as temporary:
        root = keep or Path(temporary)
        company = root / "company"
        if company.exists():
            shutil.rmtree(company)
        shutil.copytree(SAMPLE, company)
        with init(root) as workspace:
            _show(workspace, company, bar, say)
            if compare:
                from ragtune import demo_compare

                say(_title("6. Which approach fits? Measured on held-out questions"))
                say(click.style(COMPARING, dim=True))
                demo_compare.run(workspace, (EDITED, DELETED), bar, say)
        say(_next(root if keep else None))


def _show(workspace: Workspace, company: Path, bar: Bar, say: Callable[[str], None]) -> None:
    say(_title("1. Read a company's files"))
    with bar() as on_progress:
        report = workspace.add([company], on_progress)
    read = readable(workspace.documents())
    formats = sorted({info.type for info in read})
    say(f"{len(read)} documents ({', '.join(formats)}) in {report.seconds:.1f} s.")

    say(_title("2. Ask: what the documents say, verbatim, each quote opens at its place"))
    for question in QUESTIONS:
        _ask(workspace, question, say)

    say(_title("3. Ask what nobody wrote down"))
    _ask(workspace, UNANSWERED, say)

    say(_title("4. Let a small model write: as it comes, then tuned; every sentence is checked"))
    _ask(workspace, WRITTEN, say, "base")
    if TUNED in workspace.system.adapters:
        say(click.style(f"\nThe same model with the shipped adapter “{TUNED}”:", dim=True))
        _ask(workspace, WRITTEN, say, TUNED)
    say(click.style(VOICE, dim=True))

    say(_title("5. Change one file, delete another: true for the very next question"))
    _ask(workspace, EDIT_QUESTION, say)
    _ask(workspace, DELETE_QUESTION, say)
    edited = company / EDITED
    text = edited.read_text("utf-8")
    edited.write_text(text.replace(*EDIT), "utf-8")
    (company / DELETED).unlink()
    say(click.style(f"\n$ edit {EDITED}: “{EDIT[0]}” → “{EDIT[1]}”", fg="cyan"))
    say(click.style(f"$ rm {DELETED}", fg="cyan"))
    for question in (EDIT_QUESTION, DELETE_QUESTION):
        seconds = _ask(workspace, question, say)
        say(click.style(f"({seconds:.2f} s, with taking in what changed)", dim=True))


def _ask(
    workspace: Workspace, question: str, say: Callable[[str], None], model: str | None = None
) -> float:
    say(click.style(f"\n? {question}", fg="cyan", bold=True))
    started = time.perf_counter()
    answer: Literal["quote", "write"] = "write" if model else "quote"
    for event in workspace.ask_stream(question, answer=answer, model=model):
        if isinstance(event, Evidence) and model == "base":
            say("\n".join(render.evidence_lines(event)))
        elif isinstance(event, Answer):
            seconds = time.perf_counter() - started
            if event.written is not None:
                say(click.style("Written by the model (unchecked)", dim=True))
                say(click.style(f"  {render.safe(event.written.strip())}", dim=True))
                verdict = (
                    "not supported: the quotes are the answer"
                    if event.model == "quote"
                    else "checked: every sentence below is supported"
                )
                say(click.style(f"Verified ({verdict})", dim=True))
            say("\n".join(render.answer_lines(event)).rstrip())
            return seconds
        else:
            assert isinstance(event, Evidence | Token)
    raise AssertionError("ask_stream ends with an Answer")


def _title(text: str) -> str:
    return "\n" + click.style(f"── {text} ".ljust(render.WIDTH, "─"), bold=True)


def _next(kept: Path | None) -> str:
    lines = [_title("Now with your own files")]
    if kept:
        lines.append(f'  cd {kept} && ragtune ask "Which dryer is quiet enough for a bedroom?"')
    lines += [
        "  ragtune init assistant && cd assistant",
        "  ragtune add ~/Documents/handbook      # files, folders, or a database URL",
        '  ragtune ask "How do I claim travel costs?"',
        "  ragtune watch                         # keeps the index equal to the folders",
    ]
    return "\n".join(lines)
