"""The commands for tuned models: list, show, choose, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragtune.console import common, out
from ragtune.errors import ConfigError

if TYPE_CHECKING:  # `ragtune --help` must not wait for the library
    from ragtune.models.adapters import Listed, Passport


@click.group(invoke_without_command=True)
@common
@click.pass_context
def models(ctx: click.Context, workspace: str | None, as_json: bool) -> None:
    """List tuned models; show, use (and roll back) or remove one."""
    from ragtune import render
    from ragtune.models import adapters
    from ragtune.tune import claim

    ctx.obj = (workspace, as_json)
    if ctx.invoked_subcommand is not None:
        return
    root = _root(workspace)
    found = adapters.list_adapters(root)
    unfinished = claim.unfinished(root)
    value = {
        "active": adapters.active(root),
        "models": [_short(one) for one in found],
        "unfinished": unfinished,
    }
    head = ("", "name", "mode", "base", "examples", "held-out loss", "style", "facts")
    lines = render.table(head, [_row(one) for one in found if one.passport])
    problems = [
        click.style(f"{one.name}: {render.safe(one.problem)}", fg="yellow")
        for one in found
        if one.problem
    ]
    if not found:
        lines = ["No tuned models yet: ragtune tune EXAMPLES makes one."]
    elif value["active"] is None:
        problems.append("In use: the base. `ragtune models use NAME` changes that.")
    for run in unfinished:
        state = "a tuning is going on" if run.running else "not finished"
        how = "" if run.running else f": {render.safe(run.resume)}"
        problems.append(click.style(f"{render.safe(run.name)}: {state}{how}", fg="yellow"))
    out(as_json, value, lines + problems)


@models.command()
@click.argument("name")
@common
@click.pass_obj
def show(above: Any, name: str, workspace: str | None, as_json: bool) -> None:
    """Show a model's passport: what it was made from and how, its curve and scores."""
    from ragtune.models import adapters

    workspace, as_json = _both(above, workspace, as_json)
    one = adapters.find(_root(workspace), name)
    assert one.passport is not None  # find
    value = {"folder": one.folder, "active": one.active, "built_in": one.built_in}
    out(as_json, {**value, "passport": one.passport}, passport_lines(one.passport, one.active))


@models.command()
@click.argument("name", required=False)
@click.option("--previous", is_flag=True, help="Go back to what was in use before.")
@common
@click.pass_obj
def use(above: Any, name: str | None, previous: bool, workspace: str | None, as_json: bool) -> None:
    """Choose which model writes: NAME, or 'base'; --previous rolls back."""
    from ragtune import config
    from ragtune.models import adapters, generate, weights

    workspace, as_json = _both(above, workspace, as_json)
    if previous == (name is not None):
        raise ConfigError("name a model, or 'base', or give --previous")
    root = _root(workspace)
    settings = config.load(root.parent)
    here = settings.generator == "embedded" and weights.present(settings.model)
    base = generate.base_file(settings) if here else None
    if name is None:
        chosen = adapters.use_previous(root, base)
    else:
        adapters.use(root, name, base)
        chosen = adapters.active(root)
    out(as_json, {"active": chosen}, [f"In use: {chosen or 'the base'}"])


@models.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also the one in use; then the base is used.")
@common
@click.pass_obj
def rm(above: Any, name: str, force: bool, workspace: str | None, as_json: bool) -> None:
    """Delete a tuned model."""
    from ragtune.models import adapters

    workspace, as_json = _both(above, workspace, as_json)
    adapters.remove(_root(workspace), name, force)
    out(as_json, {"removed": name}, [f"Removed {name}"])


def passport_lines(passport: Passport, active: bool) -> list[str]:
    """A passport for people, with the loss curve."""
    from ragtune import render

    def pairs(values: Any) -> str:
        return ", ".join(
            f"{k.replace('_', ' ')} {v:g}" if isinstance(v, float) else f"{k} {v}"
            for k, v in values.items()
        )

    rows = [
        ("model", passport.name + (" (in use)" if active else "")),
        ("mode", passport.mode),
        ("base", f"{passport.base}  sha256 {passport.base_sha256[:16]}"),
        ("data", f"sha256 {passport.data_sha256[:16]}; {pairs(passport.split)}"),
        ("template", f"sha256 {passport.template_sha256[:16]}"),
        ("made", f"{passport.created}, seed {passport.seed}"),
        ("settings", pairs(passport.settings)),
        ("versions", pairs(passport.versions)),
        ("scores", pairs(passport.scores)),
        ("parity", pairs(passport.parity)),
        ("form", " | ".join(passport.fixed)),
        *(("note", note) for note in passport.notes),
    ]
    lines = [
        click.style(f"{name:<10}", dim=True) + " ".join(render.safe(text).split())
        for name, text in rows
        if text
    ]
    return lines + curve_lines(passport.curve)


def curve_lines(curve: tuple[tuple[int, float, float | None], ...], height: int = 8) -> list[str]:
    """The loss curve as text: · training, ● held out; best held-out loss below."""
    import math

    points = [p for p in curve if math.isfinite(p[1]) and (p[2] is None or math.isfinite(p[2]))]
    held = [(step, loss) for step, _, loss in points if loss is not None]
    if len(points) < 2:
        return []
    width = 60
    top = max([loss for _, loss, _ in points] + [loss for _, loss in held])
    low = min([loss for _, loss, _ in points] + [loss for _, loss in held])
    first, last = points[0][0], max(p[0] for p in points)
    grid = [[" "] * width for _ in range(height)]

    def mark(step: int, loss: float, sign: str) -> None:
        column = round((step - first) / max(last - first, 1) * (width - 1))
        row = round((top - loss) / max(top - low, 1e-9) * (height - 1))
        grid[row][min(max(column, 0), width - 1)] = sign

    for step, loss, _ in points:
        mark(step, loss, "·")
    for step, loss in held:
        mark(step, loss, "●")
    labels = [f"{top:8.3f}", *[" " * 8] * (height - 2), f"{low:8.3f}"]
    lines = ["", *(f"{label} ┤{''.join(row)}".rstrip()
                   for label, row in zip(labels, grid, strict=True))]  # fmt: skip
    lines.append(f"{'step':>8} └{first}{str(last).rjust(width - len(str(first)))}")
    if held:
        step, loss = min(held, key=lambda point: point[1])
        lines.append(f"· training  ● held out: {held[0][1]:.3f} → best {loss:.3f} at step {step}")
    return lines


def _short(one: Listed) -> dict[str, Any]:
    passport = one.passport
    value: dict[str, Any] = {
        "name": one.name, "active": one.active, "built_in": one.built_in, "problem": one.problem,
    }  # fmt: skip
    if passport is not None:
        value |= {
            "mode": passport.mode, "base": passport.base, "created": passport.created,
            "examples": sum(passport.split.values()), "heldout_loss": _best(passport),
            "scores": passport.scores,
        }  # fmt: skip
    return value


def _row(one: Listed) -> tuple[object, ...]:
    passport = one.passport
    assert passport is not None
    loss = _best(passport)
    scores = [passport.scores.get(name) for name in ("style", "facts")]
    return (
        "*" if one.active else "",
        one.name + (" (built in)" if one.built_in else ""),
        passport.mode,
        passport.base,
        sum(passport.split.values()),
        "" if loss is None else f"{loss:.3f}",
        *("" if score is None else f"{score:.0%}" for score in scores),
    )


def _best(passport: Passport) -> float | None:
    losses = [loss for _, _, loss in passport.curve if loss is not None]
    return min(losses) if losses else None


def _both(above: Any, workspace: str | None, as_json: bool) -> tuple[str | None, bool]:
    """Options may stand before or after the subcommand."""
    return workspace or above[0], as_json or above[1]


def _root(workspace: str | None) -> Path:
    from ragtune import config

    return config.find_workspace(Path(workspace or ".")) / config.DATA_FOLDER
