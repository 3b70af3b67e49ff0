"""One tuning, from a file of examples to a model that `ask --model` serves.

    read ─▶ prepare ─▶ what does the base know? ─▶ train ─▶ GGUF ─▶ parity gate ─▶ before and after
                                                                        └▶ passport ─▶ registered

Everything happens in a folder of its own beside the registered models; nothing serves it before
the last rename. A run that was interrupted or killed goes on with `resume`.
"""

from __future__ import annotations

import gc
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from ragtune import config
from ragtune.errors import TuneError
from ragtune.models import adapters
from ragtune.models.adapters import Passport
from ragtune.tune import (
    base,
    chat,
    claim,
    curve,
    export,
    prepare,
    probe,
    samples,
)
from ragtune.tune.prepare import Mode
from ragtune.tune.probe import Forgetting, Knowledge
from ragtune.tune.samples import Sample
from ragtune.tune.steps import Step, Trained, TuneSettings
from ragtune.tune.train import CHECKPOINT, train
from ragtune.types import Adapter, OnProgress
from ragtune.workspace import Workspace

PACKAGES = ("ragtune", "torch", "transformers", "peft", "gguf", "xllamacpp")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. `mode` None: "grounded" where the examples have evidence, else "answers".

    `samples` is how many held-out questions the base and the tuned model answer at the end.
    `probes` false leaves out what only informs: which facts the base knows, what it has forgotten.
    """

    file: Path
    name: str = ""
    mode: Mode | None = None
    heldout: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    facts: Literal["keep", "skip"] = "keep"
    settings: TuneSettings = field(default_factory=TuneSettings)
    _: KW_ONLY  # switches beside each other, which would change places unseen
    samples: int = 16
    probes: bool = True
    resume: bool = False
    restart: bool = False  # deletes an interrupted run of this name


@dataclass(frozen=True, slots=True)
class TuneReport:
    """A tuning that has ended and was registered."""

    name: str
    folder: Path
    passport: Passport
    stopped: str
    seconds: float
    tokens_per_second: float
    peak_bytes: int
    samples: tuple[Sample, ...]
    notes: tuple[str, ...]


def tune(
    plan: Plan,
    workspace: Workspace,
    on_progress: OnProgress | None = None,
    on_step: Callable[[Step], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> TuneReport:
    """Trains, checks and registers an adapter. Raises TuneError; then nothing is registered.

    `on_note` gets a line as soon as there is something that a person should know.
    """
    root = workspace.root / config.DATA_FOLDER
    name = adapters.check_name(plan.name or _stem(plan.file))
    with claim.running(root, name):
        return _tune(plan, name, workspace, on_progress, on_step, on_note, stop)


def _tune(
    plan: Plan,
    name: str,
    workspace: Workspace,
    on_progress: OnProgress | None,
    on_step: Callable[[Step], None] | None,
    on_note: Callable[[str], None] | None,
    stop: threading.Event | None,
) -> TuneReport:
    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line)
        if on_note is not None:
            on_note(line)

    root = workspace.root / config.DATA_FOLDER
    if adapters.free_name(root, name) != name and not plan.resume:
        note(f"{name} is taken: this model becomes {adapters.free_name(root, name)}")
    found, examples, heldout, read = prepare.read(
        plan.file, plan.heldout, plan.columns, plan.settings.seed
    )
    for line in read:
        note(line)
    placed = sum(bool(e.evidence) for e in found.examples)
    mode = plan.mode or ("grounded" if 2 * placed >= len(found.examples) else "answers")
    if mode == "answers" and plan.mode is None and placed:
        note(f"{placed} of {len(found.examples)} examples name evidence: mode answers, without it")
    if mode == "grounded":
        workspace.refresh()
    folder = root / adapters.FOLDER / (claim.RUN + name)
    path = base.locate(workspace.settings, on_progress)
    if path.is_dir():
        raise TuneError(
            f"{path} is a Hugging Face folder; a model that is served here is trained on a GGUF "
            "file: set `model` to one (llama.cpp's convert_hf_to_gguf.py makes it)"
        )
    tokenizer = base.load_tokenizer(path)
    grounds = (workspace.system, workspace.settings) if mode == "grounded" else None
    made = prepare.prepare(
        examples, heldout, mode, tokenizer, plan.settings.max_tokens, grounds, on_progress
    )
    for line in made.notes:
        note(line)
    claim.claim(folder, plan.file, mode, made, plan.settings, plan.resume, plan.restart)

    loaded = base.load(path, plan.settings.device, plan.settings.dtype, on_progress)
    known = before = forgetting = None
    # grounded answers take their facts from the prompt
    if mode == "answers" and (plan.probes or plan.facts == "skip"):
        known = probe.knowledge(loaded, [row.example for row in made.train], on_progress)
        note(known.message)
        if plan.facts == "skip":
            made = prepare.without(made, known.unknown)
    if plan.probes:
        before = probe.ability(loaded, on_progress)
    trained = train(
        loaded,
        [row.encoded for row in made.train],
        [row.encoded for row in made.heldout],
        plan.settings,
        folder,
        on_progress,
        stop,
        on_step=on_step,
        resume=plan.resume,
    )
    for line in trained.notes:
        note(line)
    if before is not None:
        forgetting = probe.Forgetting(before, probe.ability(loaded, on_progress))
        note(forgetting.message)
    kept = [row.encoded for row in (made.heldout or made.train)]
    equal = export.finish(folder, path, loaded.model, kept, workspace.settings.threads)
    template, identity = chat.template_sha256(tokenizer), loaded.sha256
    del loaded  # before llama.cpp writes the samples: one base in memory at a time
    gc.collect()

    file = folder / adapters.FILE
    tuned = Adapter(name, str(file), mode, identity, made.sentences, made.fixed)
    compared, scores = samples.before_and_after(
        made, tuned, path, workspace.settings, plan.samples, on_progress
    )
    (folder / "samples.json").write_text(
        json.dumps([asdict(s) for s in compared], ensure_ascii=False, indent=1), "utf-8"
    )
    curve.png(trained.curve, folder / "curve.png", trained.heldout_before, trained.best_step, name)
    passport = Passport(
        name=name,
        mode=mode,
        base=path.stem,
        base_sha256=identity,
        data_sha256=made.sha256,
        template_sha256=template,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=plan.settings.seed,
        sentences=made.sentences,
        fixed=made.fixed,
        settings=asdict(plan.settings),
        versions={package: version(package) for package in PACKAGES},
        split={"train": len(made.train), "heldout": len(made.heldout)},
        curve=trained.curve,
        scores={**_scores(trained, forgetting, known), **scores},
        parity={k: float(v) for k, v in asdict(equal).items()},
        notes=tuple(notes),
    )
    final = adapters.free_name(root, name)
    passport = replace(passport, name=final)
    adapters.write_passport(folder, passport)
    if trained.stopped in ("finished", "early"):  # others can be gone on with
        (folder / CHECKPOINT).unlink(missing_ok=True)
    registered = adapters.register(root, folder, final)
    return TuneReport(
        final,
        registered,
        passport,
        trained.stopped,
        trained.seconds,
        trained.tokens_per_second,
        trained.peak_bytes,
        tuple(compared),
        tuple(notes),
    )


def _stem(file: Path) -> str:
    """A name from the file's, with what a name may not hold left out."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in file.stem)
    return kept.strip("._-")[:56].rstrip("._-") or "tuned"


def _scores(
    trained: Trained, forgetting: Forgetting | None, known: Knowledge | None
) -> dict[str, float]:
    """Losses (nats a token) and shares, by the names that `models show` prints."""
    found = {
        "heldout_loss_before": trained.heldout_before,
        "heldout_loss": trained.heldout,
        "general_ability_before": forgetting.before.score if forgetting else None,
        "general_ability": forgetting.after.score if forgetting else None,
        "unknown_facts": known.share_unknown if known else None,
    }
    return {name: value for name, value in found.items() if value is not None}
