"""The adapters of arms that need one: found, or trained first, one for each seed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from ragtune.compare.arms import Arm, Mode, Trainer
from ragtune.compare.journal import Journal
from ragtune.errors import RagtuneError
from ragtune.types import Example
from ragtune.workspace import Workspace

SHARE = 0.5  # of a budget that training may take


def modes(workspace: Workspace) -> dict[str, Mode]:
    """What each registered adapter was trained for; damaged ones are not there."""
    found: dict[str, Mode] = {}
    for name in workspace.system.adapters:
        try:
            found[name] = workspace.system.adapters[name].mode
        except RagtuneError:
            continue
    return found


def with_adapters(
    arms: Sequence[Arm],
    workspace: Workspace,
    seeds: int,
    budget: float | None,
    training: Sequence[Example],
    trainer: Trainer | None,
    journal: Journal,
    started: float,
    left_out: dict[str, str],
) -> list[Arm]:
    """The arms that can run: with their adapters, one a seed, trained where they are missing.

    With a budget, its half is shared among the arms that need one: the first seed trains for at
    most that long, further ones as long as they fit in it.
    """
    ready = []
    data = digest(training)[:8]
    missing = [a for a in arms if a.needs and not a.adapters]
    for arm in arms:
        if not arm.needs or arm.adapters:
            if arm.shots and not training:
                left_out[arm.name] = "needs examples: give --examples FILE"
            else:
                ready.append(arm)
            continue
        names: list[str] = []
        why = "no tuned model of this kind: train one with `ragtune tune`"
        if trainer is not None and training:
            begun = time.monotonic() - started
            whole = SHARE * budget if budget else float("inf")
            limit = begun + max(60.0, whole - begun) / (len(missing) - missing.index(arm))
            for seed in range(seeds):
                name = f"compare-{arm.needs}-{data}-{seed}"
                fact = f"training {arm.name} {seed}"
                known = journal.facts.get(fact, {}).get("adapter")
                if known in workspace.system.adapters:
                    name = known
                else:
                    last = journal.facts.get(f"training {arm.name} 0", {}).get("seconds", 0.0)
                    if seed and time.monotonic() - started + last > limit:
                        break
                    try:
                        left = limit - (time.monotonic() - started)
                        minutes = left / 60 if budget else 0.0
                        made = trainer(arm.needs, seed, training, name, minutes)
                    except RagtuneError as error:
                        why = str(error)
                        break
                    journal.note(fact, asdict(made))
                    name = made.adapter
                names.append(name)
        if not names:
            own = [name for name, mode in modes(workspace).items() if mode == arm.needs]
            used = workspace.adapter
            names = [used] if used in own and used else own[-1:]
        if names:
            ready.append(replace(arm, adapters=tuple(names)))
        else:
            left_out[arm.name] = why
    return ready


def digest(examples: Sequence[Example]) -> str:
    """The examples' hash, hexadecimal: of their whole content, in their order."""
    text = json.dumps([asdict(e) for e in examples], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
