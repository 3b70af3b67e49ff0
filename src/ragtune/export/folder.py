"""One export of ONNX parts: written, loaded, compared with the workspace, and only then there.

OUT/  README.md  parity.json  checks.json  check.py
      embedder/  reader/  router/  generator/
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtune import prompting
from ragtune.errors import ConfigError
from ragtune.export import answers, check, compared, genai, onnx_parts, readme, report, served
from ragtune.export.answers import Questions
from ragtune.export.onnx_parts import Precision
from ragtune.export.report import Exported
from ragtune.models import adapters, generate
from ragtune.tune import chat
from ragtune.tune.whole import absent, whole_folder
from ragtune.types import Message, OnProgress, Progress

if TYPE_CHECKING:
    from ragtune.models.adapters import Listed
    from ragtune.workspace import Workspace

PARTS = ("embedder", "reader", "router", "generator")
_CASES = 3  # prompts for check.py's generator …
_MOST = 32  # … and tokens that it writes


@dataclass(frozen=True, slots=True)
class Plan:
    """What is exported. `what` empty: all that the workspace has, the generator where tuned."""

    out: Path
    model: Listed | None = None
    what: tuple[str, ...] = ()
    precision: Precision = "int8"
    questions: Path | None = None


def export_onnx(
    workspace: Workspace, plan: Plan, on_progress: OnProgress | None = None
) -> Exported:
    """Writes the folder; raises TuneError or ConfigError, and then there is none."""
    data = onnx_parts.data_folder(workspace.root)
    parts, notes = _parts(workspace, plan, data)
    absent(plan.out)  # before minutes of work
    base_gguf = None
    if "generator" in parts:
        genai.require()
        if workspace.settings.generator != "embedded":
            raise ConfigError('the generator\'s export needs its GGUF: set generator = "embedded"')
        base_gguf = generate.base_file(workspace.settings, on_progress)
        if plan.model is not None:
            adapters.same_base(plan.model, base_gguf)
    workspace.refresh()
    questions = answers.own_questions(
        workspace, plan.model, plan.questions, answers.QUESTIONS, on_progress
    )
    with whole_folder(plan.out) as made:
        say = on_progress or (lambda _: None)
        for done, part in enumerate(parts):
            say(Progress("write", done, len(parts), part))
            (made / part).mkdir()
            if part == "embedder":
                onnx_parts.write_embedder(
                    workspace.settings, made / part, plan.precision, on_progress
                )
            elif part == "reader":
                onnx_parts.write_reader(
                    workspace.settings, data, made / part, plan.precision, on_progress
                )
            elif part == "router":
                onnx_parts.write_router(data, made / part)
            else:
                assert base_gguf is not None
                genai.write_generator(
                    base_gguf, plan.model, made / part, plan.precision,
                    workspace.settings.threads, on_progress,
                )  # fmt: skip
        say(Progress("write", len(parts), len(parts)))
        reports, cases = _compared(workspace, plan, parts, made, questions, base_gguf, on_progress)
        turns = cases["generator"][0]["messages"] if "generator" in cases else []
        sample = [Message(turn["role"], turn["content"]) for turn in turns]
        (made / "checks.json").write_text(
            json.dumps(cases, ensure_ascii=False, indent=1) + "\n", "utf-8"
        )
        shutil.copyfile(check.__file__, made / "check.py")
        report.write(made / report.FILE, "onnx", reports, questions, notes)
        text = readme.onnx(made, parts, reports, plan.model, questions, sample)
        (made / "README.md").write_text(text, "utf-8")
        size = report.size(made)
    return Exported(
        str(plan.out), "onnx", plan.precision, size, None, tuple(reports), tuple(notes), questions
    )


def _parts(workspace: Workspace, plan: Plan, data: Path) -> tuple[list[str], list[str]]:
    """The parts to write in their order, and what a person should know of those left out."""
    unknown = [part for part in plan.what if part not in PARTS]
    if unknown:
        raise ConfigError(f"--what {unknown[0]}: parts are {', '.join(PARTS)}")
    there = {
        "embedder": "",
        "reader": "" if workspace.settings.reader != "off" else 'reader = "off"',
        "router": "" if onnx_parts.has_router(data) else "no router: `ragtune route train`",
        "generator": "",
    }
    if plan.what:
        for part in plan.what:
            if there[part]:
                raise ConfigError(f"--what {part}: this workspace has {there[part]}")
        chosen, notes = list(plan.what), []
        if "generator" not in chosen and plan.model is not None:
            raise ConfigError(f"--what leaves out the generator, but {plan.model.name} is named")
    else:
        if plan.model is None:
            there["generator"] = "no tuned model in use: `--what generator` exports the base"
        chosen = [part for part in PARTS if not there[part]]
        notes = [f"without the {part}: {why}" for part, why in there.items() if why]
    if plan.precision == "int4" and set(chosen) - {"generator", "router"}:
        notes.append("embedder and reader are int8: int4 is for generators")
    if "generator" in chosen and plan.precision == "int4":
        notes.append(
            "int4 changes what the generator writes: see parity.json; int8 is twice as large and "
            "hardly differs"
        )
    return [part for part in PARTS if part in chosen], notes


def _compared(
    workspace: Workspace, plan: Plan, parts: Sequence[str], made: Path, questions: Questions,
    base_gguf: Path | None, on_progress: OnProgress | None,
) -> tuple[list[report.Part], dict[str, list[dict[str, Any]]]]:  # fmt: skip
    """Every part against the workspace, and the cases of check.py. TuneError below the limits."""
    reports: list[report.Part] = []
    cases: dict[str, list[dict[str, Any]]] = {}
    threads = workspace.settings.threads
    if set(parts) - {"generator"}:
        comparison = compared.Comparison(workspace, questions, on_progress)
        for part in parts:
            folder = made / part
            if part == "embedder":
                one, its = comparison.embedder(folder, _precision(folder))
            elif part == "reader":
                one, its = comparison.reader(folder, _precision(folder))
            elif part == "router":
                one, its = comparison.router(folder)
            else:
                continue
            reports.append(one)
            cases[part] = its
    if "generator" in parts:
        assert base_gguf is not None
        folder = made / "generator"
        recorded = served.record(workspace, plan.model, base_gguf, questions, on_progress)
        found = served.compare(recorded, genai.GenaiRuntime(folder, threads), on_progress)
        kind = f"onnx {plan.precision}"
        served.gate(found, kind)
        reports.append(report.generator(kind, "generator", report.size(folder), found))
        cases["generator"] = generator_cases(recorded)
    for part, its in cases.items():
        loaded = check.PARTS[part](made / part, threads)
        cases[part] = [{**case, "answer": check.answer(loaded, case)} for case in its]
    return reports, cases


def _precision(folder: Path) -> str:
    return str(json.loads((folder / onnx_parts.ABOUT).read_text("utf-8"))["precision"])


def generator_cases(recorded: served.Recorded) -> list[dict[str, Any]]:
    """Prompts of the workspace as text and tokens, for check.py and for the README."""
    prompts = [list(messages) for messages, _ in recorded.prompts[:_CASES]]
    cases = []
    for messages in prompts or [prompting.closed_book("What is the capital of France?")]:
        ids = chat.encode_prompt(messages, recorded.tokenizer)
        cases.append({
            "messages": [asdict(message) for message in messages],
            "prompt": recorded.tokenizer.decode(list(ids), skip_special_tokens=False),
            "ids": list(ids),
            "most": _MOST,
        })  # fmt: skip
    return cases
