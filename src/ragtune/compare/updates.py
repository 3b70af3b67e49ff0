"""The update race: change facts in the files and clock each arm until it tells the new ones.

Everything happens in a copy: the workspace's files are copied into a temporary folder and indexed
there, which also measures what indexing costs. Each update is made, the copy is synced (clocked),
all arms are asked, and the file is put back. A document is deleted and added again in the same
way: what still comes out after a delete is leakage, from an index or out of tuned weights.

Arms without documents cannot see a file. Their time is that of training again, measured where the
budget lets it be done, otherwise taken from their last training, and said so.
"""

from __future__ import annotations

import io
import re
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from ragtune import config
from ragtune.calibrate import read_jsonl
from ragtune.compare.arms import Arm, Trainer, Training
from ragtune.compare.metrics import contains
from ragtune.compare.runner import Contest, answer, processor_seconds
from ragtune.errors import ConfigError, DocumentError, RagtuneError, said
from ragtune.ingest.sources import path_of
from ragtune.status import readable
from ragtune.types import Example, Gold
from ragtune.workspace import Workspace, init

REMOVED = 5  # documents that are deleted and added again, where the file of updates names none
UNPACKED = 256 << 20  # bytes of an office file's parts together
Step = Literal["before", "after", "deleted", "added", "retrained"]


@dataclass(frozen=True, slots=True)
class Update:
    """A change of one file that changes the answer to a question.

    "change" puts `new` for `old`, which must stand in the file exactly once; "delete" removes the
    file, "add" makes a new one that says `new`. `file` is a path inside one of the sources.
    """

    id: str
    kind: Literal["change", "delete", "add"]
    file: str
    question: str
    old: str = ""
    new: str = ""
    old_answer: str = ""
    new_answer: str = ""


def read_updates(path: Path) -> list[Update]:
    """The updates of a JSON Lines file. Raises ConfigError with the line that is wrong."""
    found: list[Update] = []
    for number, row in enumerate(read_jsonl(path), 1):
        where = f"{path}, line {number}"
        kind: Any = row.get("kind") or "change"
        if kind not in ("change", "delete", "add"):
            raise ConfigError(f"{where}: kind {kind!r}: must be change, delete or add")
        needs = {
            "change": ("file", "question", "old", "new", "new_answer"),
            "delete": ("file", "question", "old_answer"),
            "add": ("file", "question", "new", "new_answer"),
        }[kind]
        for name in needs:
            if not isinstance(row.get(name), str) or not row[name].strip():
                raise ConfigError(f"{where}: a {kind} needs {name!r}")
        if Path(row["file"]).is_absolute() or ".." in Path(row["file"]).parts:
            raise ConfigError(f"{where}: file must be a path inside the documents' folders")
        texts = {k: str(row.get(k) or "") for k in ("old", "new", "old_answer", "new_answer")}
        id = str(row.get("id") or f"c{number:03}")
        if id in {u.id for u in found}:
            raise ConfigError(f"{where}: id {id!r} is not unique")
        found.append(Update(id, kind, row["file"], row["question"], **texts))
    return found


@contextmanager
def copied(workspace: Workspace, folder: Path) -> Iterator[tuple[Workspace, dict[str, float]]]:
    """A workspace over copies of the files, with the same models, and what indexing it took.

    Databases that are not files are left out: nothing outside the folder is read twice or changed.
    """
    try:
        shutil.copyfile(workspace.root / config.FILE_NAME, folder / config.FILE_NAME)
        sources = [s for s in workspace.store.sources() if s.kind != "sql"]
        places = [_copy(workspace, s.uri, folder, n) for n, s in enumerate(sources)]
    except OSError as error:
        raise ConfigError(f"cannot copy the documents for the update race: {said(error)}") from None
    with init(folder) as made:
        made.settings = replace(workspace.settings, fresh="always")
        made.system = replace(workspace.system, store=made.store)
        started, cpu = time.perf_counter(), processor_seconds()
        report = made.add([str(p) for p in places])
        facts = {
            "seconds": time.perf_counter() - started,
            "cpu_seconds": processor_seconds() - cpu,
            "documents": float(len(readable(made.documents()))),
            "passages": float(report.passages_embedded + report.passages_reused),
        }
        yield made, facts


def _copy(workspace: Workspace, uri: str, folder: Path, number: int) -> Path:
    source = Path(path_of(uri, str(workspace.root)))
    inside = source.is_relative_to(workspace.root)
    outside = Path(f"outside{number}") / source.name
    target = folder / (source.relative_to(workspace.root) if inside else outside)
    if source.is_dir():
        hidden = shutil.ignore_patterns(config.DATA_FOLDER, config.FILE_NAME, "report.html")
        shutil.copytree(source, target, symlinks=True, ignore=hidden, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return target


def run_updates(contest: Contest, copy: Workspace, updates: Sequence[Update]) -> bool:
    """Runs the race in `copy`; True when all updates were made. Each reply is kept as it comes."""
    done = contest.journal.done()
    removed = _to_remove(updates)
    for number, update in enumerate(updates):
        contest.tell("updates", number, len(updates), update.file)
        steps = _steps(update, update.id in removed)
        wanted = [(a.name, 0, update.id, s) for a in contest.running for s in steps if _sees(a, s)]
        if set(wanted) <= done or f"skipped {update.id}" in contest.journal.facts:
            continue
        if contest.over():
            return False
        try:
            _race(contest, copy, update, steps, done)
        except (DocumentError, OSError) as error:
            contest.journal.note(f"skipped {update.id}", str(error))
    contest.tell("updates", len(updates), len(updates))
    return True


def _to_remove(updates: Sequence[Update]) -> set[str]:
    """The changes whose file is also deleted and added again: the first of each file."""
    if any(u.kind == "delete" for u in updates):
        return set()
    first: dict[str, str] = {}
    for update in updates:
        if update.kind == "change" and update.old_answer:
            first.setdefault(update.file, update.id)
    return set(list(first.values())[:REMOVED])


def _steps(update: Update, removed: bool) -> list[Step]:
    after: dict[str, list[Step]] = {"change": ["after"], "delete": ["deleted"], "add": ["added"]}
    return ["before", *after[update.kind], *(("deleted", "added") if removed else ())]


def _sees(arm: Arm, step: Step) -> bool:
    """Whether a step can differ for an arm: what reads no documents is asked once."""
    return step == "before" or arm.documents


def _race(
    contest: Contest,
    copy: Workspace,
    update: Update,
    steps: Sequence[Step],
    done: set[tuple[str, int, str, str]],
) -> None:
    path = find(copy, update.file, new=update.kind == "add")
    kept = path.read_bytes() if update.kind != "add" else None
    try:
        for step in steps:
            if step == "after":
                _write(path, edited(kept or b"", path.name, update.old, update.new))
            elif step == "deleted":
                path.unlink()
            elif step == "added":
                _write(path, kept if kept is not None else update.new.encode())
            seconds = _sync(copy)
            if step != "before":
                contest.journal.note(f"sync {update.id} {step}", round(seconds, 4))
            for arm in contest.running:
                if _sees(arm, step) and (arm.name, 0, update.id, step) not in done:
                    ask = contest.ask(arm, 0, copy.store)
                    contest.journal.add(
                        answer(arm, 0, update.id, update.question, ask, copy.store, step)
                    )
    finally:
        if kept is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, kept)
        _sync(copy)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync(copy: Workspace) -> float:
    """Takes in what changed on disk, as the first question after it would; seconds."""
    started = time.perf_counter()
    copy.refresh()
    return time.perf_counter() - started


def find(copy: Workspace, name: str, new: bool = False) -> Path:
    """The file in the copy that `name` means, from the folder that was added or from its end."""
    if not new:
        files = [
            p for p in copy.root.rglob(Path(name).name)
            if p.as_posix().endswith("/" + name) and _own(p, copy.root) and p.is_file()
            and config.DATA_FOLDER not in p.relative_to(copy.root).parts
        ]  # fmt: skip
        exact = [p for p in files if p.relative_to(copy.root).as_posix() == name]
        files = exact or files
        if len(files) != 1:
            raise DocumentError(f"{name}: {'no such file' if not files else 'not unique'}")
        return files[0]
    for source in copy.store.sources():
        folder = Path(path_of(source.uri, str(copy.root)))
        if source.kind != "sql" and folder.is_dir():
            path = folder / name
            if path.exists() or not _own(path.parent, copy.root):
                raise DocumentError(f"{name}: is there already, so it cannot be added")
            path.parent.mkdir(parents=True, exist_ok=True)
            return path
    raise DocumentError(f"{name}: no folder was added that it could stand in")


def _own(path: Path, root: Path) -> bool:
    """Whether a path is really inside the copy: a link must not lead to the user's own files."""
    return path.resolve().is_relative_to(root.resolve())


def edited(data: bytes, name: str, old: str, new: str) -> bytes:
    """A file's bytes with `new` for `old`, in text or in the XML of an office file.

    Raises DocumentError unless `old` stands there exactly once.
    """
    if zipfile.is_zipfile(io.BytesIO(data)):
        return _edited_parts(data, name, old, new)
    for encoding in ("utf-8", "utf-16", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.count(old) == 1:
            before, after = text.split(old)
            if encoding == "utf-16":
                return (before + new + after).encode(encoding)
            return before.encode(encoding) + new.encode(encoding) + after.encode(encoding)
    raise DocumentError(
        f"{name}: “{old}” does not stand there exactly once as text that can be replaced"
    )


def _edited_parts(data: bytes, name: str, old: str, new: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > UNPACKED:
            raise DocumentError(f"{name}: too large to edit")
        parts = [(info, archive.read(info)) for info in archive.infolist()]
    wanted, put = escape(old).encode(), escape(new).encode()
    texts = [(i, p) for i, (info, p) in enumerate(parts)
             if info.filename.endswith((".xml", ".xhtml", ".html", ".txt", ".md"))
             and "styles" not in info.filename]  # fmt: skip
    # a whole cell or run first: "17.20" must not be looked for inside "117.20"
    for pattern in (rb"(?<=>)" + re.escape(wanted) + rb"(?=<)", re.escape(wanted)):
        places = [(i, m) for i, p in texts for m in re.finditer(pattern, p)]
        if len(places) == 1:
            break
    else:
        raise DocumentError(f"{name}: “{old}” does not stand there exactly once in one run or cell")
    at, match = places[0]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for i, (info, part) in enumerate(parts):
            text = part[: match.start()] + put + part[match.end() :] if i == at else part
            made.writestr(info, text)
    return out.getvalue()


# ---------------------------------------------------------------- training again


def updated_examples(examples: Sequence[Example], updates: Sequence[Update]) -> list[Example]:
    """The training examples after the updates: answers with an old fact of a changed file tell the
    new one, examples about deleted files go, and each update's question is added with its answer.
    """
    made = list(examples)
    for update in updates:
        rest = []
        for example in made:
            about = any(g.document.endswith(update.file) for g in example.evidence)
            if about and update.kind == "delete":
                continue
            if about and update.kind == "change" and contains(example.answer, update.old_answer):
                text = example.answer.replace(update.old_answer, update.new_answer)
                example = replace(example, answer=text)
            rest.append(example)
        made = rest
        if update.kind != "delete":
            made.append(Example(
                update.question, update.new_answer, id=f"update-{update.id}",
                evidence=(Gold(update.file, update.new),), kind="fact",
            ))  # fmt: skip
    return made


def run_retraining(
    contest: Contest, trainer: Trainer, updates: Sequence[Update], seconds: float
) -> None:
    """Trains each closed-book tuned arm once on all updates together and asks it again.

    `seconds` is the time left: a training that does not fit is shortened to what does. Left out
    where that would be less than a third of the last one; the arm is then charged what that took.
    """
    for arm in contest.running:
        if not arm.needs or arm.documents or f"retraining {arm.name}" in contest.journal.facts:
            continue
        last = contest.journal.facts.get(f"training {arm.name} 0")
        if not last or last["seconds"] > 3 * seconds:
            continue
        shorter = 1.15 * last["seconds"] > seconds
        minutes = (0.6 * seconds if shorter else last["seconds"]) / 60
        try:
            examples = updated_examples(contest.examples, updates)
            name = f"{arm.adapters[0]}-updated"
            trained: Training = trainer(arm.needs, 0, examples, name, minutes)
        except RagtuneError as error:
            contest.journal.note(f"retraining failed {arm.name}", str(error))
            continue
        again = replace(arm, adapters=(trained.adapter,))
        ask = contest.ask(again, 0)
        for update in updates:
            contest.journal.add(
                answer(arm, 0, update.id, update.question, ask, contest.system.store, "retrained")
            )
        contest.journal.note(f"retraining {arm.name}", {
            "seconds": trained.seconds, "cpu_seconds": trained.cpu_seconds,
            "adapter": trained.adapter, "shortened": shorter,
        })  # fmt: skip
        seconds -= trained.seconds
