"""Asks: every arm every question, block by block, each reply kept as it happens.

Arms take turns over small blocks of questions, so that a run that is cut has asked all arms the
same questions, while within a block an arm finds its prompt's beginning still in the cache, as it
would in use. Seeds beyond the first come after all questions were asked once.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragtune.compare.arms import Arm, Asker
from ragtune.compare.journal import Cited, Journal, Reply
from ragtune.compare.metrics import is_exact
from ragtune.compare.questions import Question
from ragtune.config import Settings
from ragtune.errors import RagtuneError
from ragtune.protocols import Store, System
from ragtune.types import Answer, Example, OnProgress, Progress, Token

BLOCK = 5  # questions that an arm is asked in a row
FAILURES = 5  # replies in a row that fail before an arm is left out


@dataclass(slots=True)
class Contest:
    """What the arms run on, and until when (`time.monotonic` seconds)."""

    system: System
    settings: Settings
    arms: Sequence[Arm]
    seeds: int
    examples: Sequence[Example]
    journal: Journal
    deadline: float = float("inf")
    on_progress: OnProgress | None = None
    generators: Mapping[str, System] = field(default_factory=dict)  # arm: system of its own
    failed: dict[str, str] = field(default_factory=dict)  # arm: why it was left out

    def ask(self, arm: Arm, seed: int, store: Store | None = None) -> Asker:
        """The arm's way of answering, over another store where one is given."""
        from dataclasses import replace

        system = self.generators.get(arm.name, self.system)
        if store is not None:
            system = replace(system, store=store)
        return Asker(arm, seed, system, self.settings, self.examples)

    @property
    def running(self) -> list[Arm]:
        """The arms that have not failed."""
        return [arm for arm in self.arms if arm.name not in self.failed]

    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.deadline

    def tell(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Reports progress."""
        if self.on_progress is not None:
            self.on_progress(Progress(what, done, total, detail))


def systems(arms: Sequence[Arm], system: System, settings: Settings) -> dict[str, System]:
    """The systems of arms with a model of their own; arms with the same model share it."""
    from dataclasses import replace

    from ragtune import config
    from ragtune.models.generate import load_generator

    made: dict[tuple[tuple[str, str], ...], System] = {}
    found = {}
    for arm in arms:
        if arm.changes:
            key = tuple(sorted(arm.changes.items()))
            if key not in made:
                own = config.change(settings, dict(arm.changes))
                made[key] = replace(system, generator=load_generator(own), adapters={})
            found[arm.name] = made[key]
    return found


def run_questions(contest: Contest, questions: Sequence[Question]) -> bool:
    """Asks what has not been asked yet; True when all was. Arms that keep failing are left out."""
    done = contest.journal.done()
    turns = list(_turns(contest, questions))
    total = len(turns)
    warm: set[str] = set()
    failures: dict[str, int] = {}
    block: object = None
    for number, (at, arm, seed, question) in enumerate(turns):
        contest.tell("questions", number, total, arm.name)
        if (arm.name, seed, question.id, "") in done or arm.name in contest.failed:
            continue
        if at != block:  # only between blocks: all arms have been asked the same
            if contest.over():
                return False
            block = at
        ask = contest.ask(arm, seed)
        if arm.name not in warm:
            warm.add(arm.name)
            _warm_up(contest, arm, ask)
        reply = answer(arm, seed, question.id, question.question, ask, contest.system.store)
        contest.journal.add(reply)
        failures[arm.name] = failures.get(arm.name, 0) + 1 if reply.error else 0
        if failures[arm.name] >= FAILURES:
            contest.failed[arm.name] = reply.error
    contest.tell("questions", total, total)
    return True


def _turns(
    contest: Contest, questions: Sequence[Question]
) -> Iterator[tuple[tuple[int, int], Arm, int, Question]]:
    temperature = contest.settings.temperature
    # an order that has nothing to do with the file's: what a cut run has asked is a sample of it
    questions = sorted(questions, key=lambda q: hashlib.sha256(q.id.encode()).digest())
    # what loads no model comes first: its memory can then be told from the others'
    arms = sorted(contest.running, key=lambda a: a.writes)
    for seed in range(contest.seeds):
        for start in range(0, len(questions), BLOCK):
            for arm in arms:
                if seed < arm.seeds(contest.seeds, temperature):
                    for question in questions[start : start + BLOCK]:
                        yield (seed, start), arm, seed, question


def _warm_up(contest: Contest, arm: Arm, ask: Asker) -> None:
    """Loads what the arm needs, so that the first question is not charged for it."""
    started = time.perf_counter()
    try:
        if arm.writes:  # a question may be declined before anything is written
            ask.warm()
        if arm.documents:
            next(ask("What is this about?"), None)
    except RagtuneError:
        return  # the first question will say it
    contest.journal.note(f"load {arm.name}", round(time.perf_counter() - started, 3))
    if f"memory {arm.name}" not in contest.journal.facts:
        contest.journal.note(f"memory {arm.name}", round(memory_mb(), 1))


def answer(
    arm: Arm, seed: int, id: str, question: str, ask: Asker, store: Store, changed: str = ""
) -> Reply:
    """The arm's reply with its times; an error of the model becomes a reply that says so."""
    energy, cpu, started = joules(), time.process_time(), time.perf_counter()
    first = 0.0
    result: Answer | None = None
    try:
        for event in ask(question):
            if isinstance(event, Token) and not first:
                first = time.perf_counter() - started
            elif isinstance(event, Answer):
                result = event
    except RagtuneError as error:
        return Reply(arm.name, seed, id, error=str(error), changed=changed)
    total = time.perf_counter() - started
    spent = joules()
    assert result is not None, "ask_stream ends with an Answer"
    return Reply(
        arm=arm.name,
        seed=seed,
        question=id,
        text=result.text,
        written=result.written,
        status=result.status,
        model=result.model,
        support=result.support,
        citations=tuple(_cited(result, store)),
        found=tuple((h.uri, h.passage.start, h.passage.end) for h in result.hits),
        first=first or total,
        total=total,
        cpu=time.process_time() - cpu,
        joules=None if energy is None or spent is None or spent < energy else spent - energy,
        prompt_characters=ask.characters,
        changed=changed,
        timings=dict(result.timings),
    )


def _cited(result: Answer, store: Store) -> Iterator[Cited]:
    for citation in result.citations:
        document = store.get(citation.uri)
        exact = document is not None and is_exact(citation, document.text)
        yield Cited(
            citation.uri, citation.start, citation.end, citation.quote, citation.place.label, exact
        )


# ---------------------------------------------------------------- what a machine tells


def memory_mb() -> float:
    """Resident memory of this process in MiB; its peak where the system tells no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError, IndexError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


def joules() -> float | None:
    """The energy counter of the processor packages (Linux RAPL), where it can be read."""
    total = None
    for path in sorted(Path("/sys/class/powercap").glob("intel-rapl:[0-9]*/energy_uj")):
        if path.parent.name.count(":") == 1:
            try:
                total = (total or 0.0) + int(path.read_text()) / 1e6
            except (OSError, ValueError):
                return None
    return total


def processor_seconds() -> float:
    """Processor time of this process and the workers that it has waited for."""
    import resource

    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
