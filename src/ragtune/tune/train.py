"""Training an adapter: the loop, plainly.

    examples in a seeded order ─▶ batches ─▶ packs ─▶ loss of the answers ─▶ AdamW on A and B
                       every so often: held-out loss; the best adapter is kept in folder/peft

What is in `folder`: `peft/` (the best adapter so far, in PEFT's format), `log.jsonl` (a line a
step), `checkpoint.pt` (where the run stands; its owner deletes it). Everything is replaced in
one rename, so a killed run goes on from its last checkpoint with `resume` and ends in the same file
as one that was never stopped.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from ragtune.errors import TuneError
from ragtune.tune import guard, lora, memory, pack, probe
from ragtune.tune.base import Base
from ragtune.tune.chat import Encoded
from ragtune.tune.steps import PEFT, Step, Trained, TuneSettings, detail
from ragtune.types import OnProgress, Progress

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
_SAVE_SECONDS = 30.0  # between two checkpoints: what a kill can cost
_PACE = 6  # steps after which the speed is known, and how many of them fit in `minutes`
_SPARE = 0.92  # of the time that is left, since steps differ in length


@dataclass(slots=True)
class _Run:
    """What changes while training; all of it is in the checkpoint."""

    step: int = 0
    tokens: int = 0
    training_seconds: float = 0.0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    worse: int = 0  # evaluations since the best
    total: int = 0  # steps that fit in `minutes`; 0: not told yet
    heldout_before: float | None = None
    curve: list[tuple[int, float, float | None]] = field(default_factory=list)


def train(
    base: Base,
    train: Sequence[Encoded],
    heldout: Sequence[Encoded],
    settings: TuneSettings,
    folder: Path,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
    *,
    on_step: Callable[[Step], None] | None = None,
    resume: bool = False,
    general: Sequence[Encoded] = (),
) -> Trained:
    """Trains an adapter on `base` and writes `folder`/peft and `folder`/log.jsonl.

    Afterwards `base.model` carries the best adapter (`lora.switched_off` gives the base,
    `lora.detach` takes it away). Ctrl-C or `stop` ends training with the best adapter so far.
    `general` are examples for `settings.kl`, by default built-in ones. The same base, examples,
    settings, seed and machine give the same bytes. Raises TuneError for examples without a
    trained token or end of turn, too little memory, a loss that is not a number, and a checkpoint
    of another run.
    """
    if settings.kl and not general:
        general = probe.general(base.tokenizer)
    guard.check(base, train, heldout, settings, general)
    memory.require(base, [*train, *heldout], settings)
    folder.mkdir(parents=True, exist_ok=True)
    lora.detach(base.model)
    lora.attach(base.model, settings.rank, settings.alpha, settings.dropout, settings.seed)
    try:
        with guard.torch_set(settings):
            return _Loop(base, train, heldout, settings, folder, general, on_progress, on_step).run(
                stop, resume
            )
    except BaseException:
        lora.detach(base.model)
        raise


class _Loop:
    """One run: the batches, the steps, the evaluations, what is kept."""

    def __init__(
        self,
        base: Base,
        train: Sequence[Encoded],
        heldout: Sequence[Encoded],
        settings: TuneSettings,
        folder: Path,
        general: Sequence[Encoded],
        on_progress: OnProgress | None,
        on_step: Callable[[Step], None] | None,
    ) -> None:
        import torch

        self.base, self.model, self.settings, self.folder = base, base.model, settings, folder
        self.train, self.general = train, general
        by_length = sorted(heldout, key=lambda example: len(example.ids))
        self.heldout = pack.split(by_length, settings.pack_tokens)
        self.on_progress, self.on_step = on_progress, on_step
        self.per_epoch = math.ceil(len(train) / settings.batch)
        self.total = self.per_epoch * settings.epochs
        self.eval_every = settings.eval_every or max(1, math.ceil(self.per_epoch / 2))
        self.parameters = lora.parameters(self.model)
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.now = _Run()
        self.identity = guard.identity(base, train, heldout, general, settings)
        self.saved = time.monotonic()

    # ------------------------------------------------------------ the run

    def run(self, stop: threading.Event | None, resume: bool) -> Trained:
        """Until the last step, or until something ends it earlier."""
        if resume:
            self._restore()
        else:
            (self.folder / LOG).unlink(missing_ok=True)
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        already = self.now.seconds  # `minutes` bounds this run, not those before it
        started = time.monotonic() - already
        judging = 0.0  # seconds of one evaluation
        stopped: Literal["finished", "early", "interrupted", "minutes"] = "finished"
        try:
            if self.now.step == 0 and self.heldout:
                self._tell("held-out loss of the base")
                self.now.heldout_before = self._evaluate()
                judging = time.monotonic() - started
            while self.now.step < self.total:
                if self._patience_is_over():
                    stopped = "early"
                    break
                if stop is not None and stop.is_set():
                    raise KeyboardInterrupt
                loss = self._step()
                self.now.seconds = time.monotonic() - started
                if self.now.step == _PACE and self.settings.minutes and not self.now.total:
                    self._fit(self.settings.minutes * 60 - self.now.seconds, judging)
                found = self._judge() if self._is_time() else None
                self._record(loss, found)
                if 0 < self.settings.minutes * 60 < self.now.seconds - already:
                    stopped = "minutes"
                    break
                if time.monotonic() - self.saved > _SAVE_SECONDS:
                    self._save()
        except KeyboardInterrupt:
            stopped = "interrupted"
        return self._end(stopped)

    def _step(self) -> float:
        """One batch: gradients of all its packs, then one step of the optimizer; the loss."""
        import torch

        from ragtune.tune import network

        began = time.monotonic()
        self.model.train(self.settings.dropout > 0)
        batch = self._batch(self.now.step)
        packs = pack.split(batch, self.settings.pack_tokens)
        targets = sum(len(p.targets) for p in packs)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(self.now.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for one in packs:
            part = network.loss_sum(self.model, one) / targets
            part.backward()
            loss += part.item()
        if self.settings.kl:
            part = self.settings.kl * network.divergence(self.model, self._general(self.now.step))
            part.backward()
            loss += part.item()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        if not math.isfinite(loss) or not math.isfinite(float(norm)):
            raise TuneError(
                f"the loss is not a number at step {self.now.step + 1}: train with a lower "
                f"learning_rate (now {self.settings.learning_rate:g})"
                + (' or dtype = "float32"' if self.base.dtype != "float32" else "")
            )
        self.optimizer.step()
        self.now.step += 1
        self.now.tokens += sum(p.tokens for p in packs)
        self.now.training_seconds += time.monotonic() - began
        return loss

    def _fit(self, left: float, judging: float) -> None:
        """Takes as many steps as fit in `left` seconds: the learning rate then still goes down to
        zero, which stopping in the middle would leave out. `judging`: seconds of an evaluation.
        """
        pace = self.now.training_seconds / self.now.step + judging / self.eval_every
        steps = self.now.step + int(_SPARE * (left - judging) / pace)
        self.total = self.now.total = max(self.now.step + 1, min(self.total, steps))

    def _batch(self, step: int) -> list[Encoded]:
        """The examples of a step; the order of an epoch depends on seed and epoch only."""
        import torch

        epoch, number = divmod(step, self.per_epoch)
        generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + epoch)
        order = torch.randperm(len(self.train), generator=generator).tolist()
        chosen = order[number * self.settings.batch : (number + 1) * self.settings.batch]
        return [self.train[index] for index in chosen]

    def _general(self, step: int) -> pack.Pack:
        """Two general examples, in turn."""
        return pack.make([self.general[(2 * step + i) % len(self.general)] for i in (0, 1)])

    def _rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then down to zero."""
        warm = math.ceil(self.settings.warmup * self.total)
        if step < warm:
            return self.settings.learning_rate * (step + 1) / warm
        done = (step - warm) / max(1, self.total - warm)
        shape = {
            "cosine": 0.5 * (1 + math.cos(math.pi * done)),
            "linear": 1 - done,
            "constant": 1.0,
        }
        return self.settings.learning_rate * shape[self.settings.schedule]

    # ------------------------------------------------------------ held-out loss

    def _is_time(self) -> bool:
        return bool(self.heldout) and (
            self.now.step % self.eval_every == 0 or self.now.step == self.total
        )

    def _evaluate(self) -> float:
        """Nats a trained token of the held-out examples."""
        import torch

        from ragtune.tune import network

        self.model.eval()
        total, targets = 0.0, 0
        with torch.no_grad():
            for one in self.heldout:
                total += network.loss_sum(self.model, one).item()
                targets += len(one.targets)
        return total / targets

    def _judge(self) -> float:
        """Evaluates and keeps the adapter if it is the best so far."""
        found = self._evaluate()
        if self.now.best is None or found < self.now.best:
            self.now.best, self.now.best_step, self.now.worse = found, self.now.step, 0
            self._keep()
        else:
            self.now.worse += 1
        return found

    def _patience_is_over(self) -> bool:
        return 0 < self.settings.patience <= self.now.worse and self.now.step < self.total

    # ------------------------------------------------------------ files

    def _keep(self) -> None:
        """The adapter as it is now becomes folder/peft."""
        lora.save(
            lora.state(self.model),
            self.settings.rank,
            self.settings.alpha,
            self.settings.dropout,
            self.base.name,
            self.folder / PEFT,
        )

    def _save(self) -> None:
        """The checkpoint: all that `_restore` needs to go on as if nothing had happened."""
        import torch

        made = self.folder / (CHECKPOINT + ".new")
        torch.save(
            {
                "identity": self.identity,
                "run": asdict(self.now),
                "adapter": lora.state(self.model),
                "optimizer": self.optimizer.state_dict(),
                "random": torch.get_rng_state(),
            },
            made,
        )
        guard.synced(made)
        made.replace(self.folder / CHECKPOINT)
        self.saved = time.monotonic()

    def _restore(self) -> None:
        import torch

        path = self.folder / CHECKPOINT
        if not path.is_file():
            raise TuneError(f"nothing to resume: {path} is not there; train without resume")
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:
            raise TuneError(f"{path} is damaged: train without resume") from None
        if values["identity"] != self.identity:
            raise TuneError(
                f"{path} belongs to another base, other examples or other settings: resume with "
                "the same ones, or train without resume"
            )
        run = dict(values["run"])
        run["curve"] = [tuple(point) for point in run["curve"]]
        self.now = _Run(**run)
        self.total = self.now.total or self.total
        lora.load_state(self.model, values["adapter"])
        self.optimizer.load_state_dict(values["optimizer"])
        torch.set_rng_state(values["random"])
        log = self.folder / LOG
        lines = log.read_text("utf-8").splitlines()[: self.now.step] if log.is_file() else []
        log.write_text("".join(line + "\n" for line in lines), "utf-8")

    def _record(self, loss: float, heldout: float | None) -> None:
        """A line in the log, a point of the curve, the progress."""
        now = self.now
        now.curve.append((now.step, loss, heldout))
        speed = now.tokens / max(now.training_seconds, 1e-9)
        rate = self._rate(now.step - 1)
        line = {"step": now.step, "epoch": now.step / self.per_epoch, "loss": loss}
        line |= {"learning_rate": rate, "tokens": now.tokens, "seconds": round(now.seconds, 3)}
        if heldout is not None:
            line["heldout"] = heldout
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        left = None
        if now.step >= 3:
            left = now.seconds / now.step * (self.total - now.step)
        last = next((h for _, _, h in reversed(now.curve) if h is not None), now.heldout_before)
        step = Step(
            now.step, self.total, now.step / self.per_epoch, loss, last, now.best, rate, speed, left
        )
        if self.on_step is not None:
            self.on_step(step)
        self._tell(detail(step))

    def _tell(self, text: str) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress("train", self.now.step, self.total, text))

    # ------------------------------------------------------------ the end

    def _end(self, stopped: Literal["finished", "early", "interrupted", "minutes"]) -> Trained:
        now = self.now
        if now.step == 0:
            raise TuneError("training was stopped before its first step: nothing was kept")
        self._save()  # whoever calls may fail or be killed before the adapter is in its place
        notes = []
        if not now.best_step:  # never evaluated: what there is, is the best
            now.best_step = now.step
            self._keep()
        else:
            lora.load_state(self.model, lora.load(self.folder / PEFT)[0])
        if stopped == "interrupted":
            notes.append(f"stopped at step {now.step} of {self.total}; --resume goes on from there")
        elif now.total and now.total < self.per_epoch * self.settings.epochs:
            whole = self.per_epoch * self.settings.epochs
            notes.append(f"{now.total} of {whole} steps fit in {self.settings.minutes:g} minutes")
        elif stopped == "minutes":
            notes.append(f"{self.settings.minutes:g} minutes were up at step {now.step}")
        elif stopped == "early":
            notes.append(f"stopped early: {now.worse} evaluations without a better held-out loss")
        if self.heldout:
            notes.append(f"kept the adapter of step {now.best_step}")
        before = now.heldout_before
        if now.best is not None and before is not None and now.best >= before:
            notes.append("the held-out loss never fell below the base's: do not use this model")
        self.model.eval()
        return Trained(
            self.folder,
            stopped,
            now.step,
            now.best_step,
            now.curve[-1][1],
            now.heldout_before,
            now.best,
            tuple(now.curve),
            now.tokens / max(now.training_seconds, 1e-9),
            now.seconds,
            memory.peak_bytes(self.base.device),
            tuple(notes),
        )
