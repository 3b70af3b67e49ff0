"""The registry of tuned models: names, choosing and rolling back, damage, removal."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtune.cli import cli
from ragtune.errors import RagtuneError, TuneError
from ragtune.models import adapters
from ragtune.models.adapters import Passport


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(adapters, "_DATA", tmp_path / "nothing built in")


def finished(folder: Path, name: str, minute: int = 0) -> Path:
    """A finished run in `folder`."""
    folder.mkdir(parents=True)
    content = f"adapter {name}".encode()
    (folder / "adapter.gguf").write_bytes(content)
    passport = Passport(
        name, "answers", "small", "b" * 64, "d" * 64, "t" * 64, hashlib.sha256(content).hexdigest(),
        f"2026-11-23T10:{minute:02}:00+00:00", 7, 2, ("Warm regards.",), {"rank": 16},
        {"torch": "2.13"}, {"train": 200, "heldout": 40},
        ((0, 3.0, 3.1), (5, 2.0, None), (10, 1.5, 1.25)), {"style": 0.97}, {"agreement": 1.0},
        ("a note",),
    )  # fmt: skip
    adapters.write_passport(folder, passport)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "workspace" / ".ragtune"
    for number, name in enumerate(("crew", "legal", "shop")):
        adapters.register(made, finished(tmp_path / name, name, number), name)
    return made


def names(root: Path) -> list[str]:
    return [one.name for one in adapters.list_adapters(root)]


def test_a_passport_reads_as_it_was_written(root: Path) -> None:
    one = adapters.find(root, "crew")
    assert one.passport is not None
    adapters.write_passport(one.folder, one.passport)
    assert adapters.read_passport(one.folder) == one.passport


def test_listed_newest_last_and_served(root: Path) -> None:
    assert names(root) == ["crew", "legal", "shop"]
    served = adapters.Adapters(root)
    assert set(served) == {"crew", "legal", "shop"}
    assert served["crew"].sentences == 2
    assert served["crew"].fixed == ("Warm regards.",)
    assert "nobody" not in served
    with pytest.raises(KeyError):
        served["nobody"]


def test_what_is_registered_later_is_served_at_once(root: Path, tmp_path: Path) -> None:
    served = adapters.Adapters(root)
    adapters.register(root, finished(tmp_path / "new", "new"), "new")
    assert served["new"].name == "new"
    adapters.remove(root, "new")
    assert "new" not in served


def test_damage_is_told_and_stops_nothing(root: Path) -> None:
    (root / "adapters" / "crew" / "passport.json").write_text('{"name": "crew"')
    (root / "adapters" / "legal" / "adapter.gguf").write_bytes(b"other")
    (root / "adapters" / "unfinished").mkdir()
    problems = {one.name: one.problem for one in adapters.list_adapters(root)}
    assert "damaged" in problems["crew"]
    assert "not finished" in problems["unfinished"]
    assert problems["shop"] == ""
    for name in ("crew", "unfinished"):
        with pytest.raises(TuneError, match="cannot be used"):
            adapters.use(root, name)
    with pytest.raises(TuneError, match="not the file that was trained"):
        adapters.use(root, "legal")
    adapters.use(root, "shop")
    adapters.remove(root, "crew")
    assert "crew" not in names(root)
    (root / "adapters" / "active.json").write_text("[]")
    assert adapters.active(root) is None


@pytest.mark.parametrize("field", ["sha256", "curve", "scores", "mode", "extra", "fixed"])
def test_a_passport_of_wrong_kinds_is_one_line(field: str, root: Path) -> None:
    path = root / "adapters" / "crew" / "passport.json"
    values = json.loads(path.read_text())
    values[field] = [[1], 2]
    path.write_text(json.dumps(values))
    with pytest.raises(TuneError, match="damaged"):
        adapters.read_passport(path.parent)


BAD = ["", ".", "..", "../crew", "a/b", "a\\b", "/etc", ".hidden", "x" * 65, "crew\n", "é", "base",
       "active.json", "crew.", "a b", "\x00"]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_name_is_never_a_path(name: str, root: Path, tmp_path: Path) -> None:
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    run = finished(tmp_path.parent / f"{tmp_path.name}-run", "run")
    for call in (
        lambda: adapters.find(root, name),
        lambda: adapters.remove(root, name, force=True),
        lambda: adapters.register(root, run, name),
        lambda: adapters.free_name(root, name),
    ):
        with pytest.raises(TuneError, match="cannot be a model's name"):
            call()
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before
    shutil.rmtree(run)


def test_names_are_free_or_refused(root: Path, tmp_path: Path) -> None:
    assert adapters.free_name(root, "new") == "new"
    assert adapters.free_name(root, "crew") == "crew-2"
    assert adapters.free_name(root, "grounded") == "grounded-2"
    run = finished(tmp_path / "again", "crew")
    with pytest.raises(TuneError, match="already"):
        adapters.register(root, run, "crew")
    with pytest.raises(TuneError, match="holds the model 'crew'"):
        adapters.register(root, run, "other")
    assert (run / "passport.json").is_file()


def test_the_one_in_use_is_not_removed_by_accident(root: Path) -> None:
    adapters.use(root, "crew")
    with pytest.raises(TuneError, match="is in use"):
        adapters.remove(root, "crew")
    assert adapters.active(root) == "crew"
    adapters.remove(root, "crew", force=True)
    assert adapters.active(root) is None
    assert not [p for p in (root / "adapters").iterdir() if p.name.startswith(".")]


def test_a_killed_removal_leaves_nothing_listed(root: Path) -> None:
    (root / "adapters" / "crew").rename(root / "adapters" / ".gone-1")
    assert "crew" not in names(root)
    adapters.remove(root, "legal")
    assert not (root / "adapters" / ".gone-1").exists()


def test_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    outside = finished(tmp_path / "outside", "outside")
    (root / "adapters" / "outside").symlink_to(outside)
    assert "outside" not in names(root)
    with pytest.raises(TuneError):
        adapters.remove(root, "outside", force=True)
    assert (outside / "passport.json").is_file()


def test_the_built_in_one_is_there_and_stays(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(tmp_path / "data" / "grounded", "grounded")
    monkeypatch.setattr(adapters, "_DATA", tmp_path / "data")
    assert adapters.find(root, "grounded").built_in
    assert adapters.Adapters(root)["grounded"].name == "grounded"
    adapters.use(root, "grounded")
    with pytest.raises(TuneError, match="comes with ragtune"):
        adapters.remove(root, "grounded", force=True)
    assert adapters.active(root) == "grounded"


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(["crew", "legal", "shop", "base"]), max_size=8))
def test_rolling_back_undoes_choices_in_turn(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    root = tmp_path_factory.mktemp("rollback")
    for name in ("crew", "legal", "shop"):
        adapters.register(root, finished(root / f"run-{name}", name), name)
    history: list[str | None] = [None]
    for step in steps:
        adapters.use(root, step)
        wanted = None if step == "base" else step
        history += [wanted] if wanted != history[-1] else []
        assert adapters.active(root) == wanted
    while len(history) > 1:
        history.pop()
        assert adapters.use_previous(root) == history[-1]
        assert adapters.active(root) == history[-1]
    with pytest.raises(TuneError, match="no model was in use before"):
        adapters.use_previous(root)


def test_rolling_back_skips_what_is_gone(root: Path) -> None:
    for name in ("crew", "legal", "shop"):
        adapters.use(root, name)
    adapters.remove(root, "legal")
    assert adapters.use_previous(root) == "crew"


# ---------------------------------------------------------------- commands


def run(root: Path, *words: str) -> str:
    folder = root.parent
    (folder / "ragtune.toml").touch()
    done = CliRunner().invoke(cli, [*words, "-w", str(folder)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_a_model_of_another_base_is_not_taken_into_use(root: Path, tmp_path: Path) -> None:
    base = tmp_path / "other.gguf"
    base.write_bytes(b"another base")
    (root.parent / "ragtune.toml").write_text(f'[generator]\nmodel = "{base}"\n')
    with pytest.raises(RagtuneError, match="trained on another base than other"):
        run(root, "models", "use", "crew")
    assert adapters.active(root) is None


def test_commands_list_show_choose_and_roll_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGTUNE_HOME", str(tmp_path / "home"))  # no base here to compare with
    listed = run(root, "models")
    assert [line.split()[0] for line in listed.splitlines()[1:4]] == ["crew", "legal", "shop"]
    assert "1.250" in listed
    assert "97%" in listed
    assert run(root, "models", "use", "crew") == "In use: crew\n"
    assert run(root, "models", "use", "base") == "In use: the base\n"
    assert run(root, "models", "use", "--previous") == "In use: crew\n"
    value = json.loads(run(root, "models", "--json"))
    assert value["active"] == "crew"
    assert value["models"][0]["heldout_loss"] == 1.25
    shown = run(root, "models", "show", "crew")
    for text in ("crew (in use)", "train 200", "seed 7", "a note", "best 1.250 at step 10", "●"):
        assert text in shown
    passport = json.loads(run(root, "models", "show", "crew", "--json"))["passport"]
    assert passport["curve"][2] == [10, 1.5, 1.25]
    assert run(root, "models", "rm", "shop") == "Removed shop\n"
    with pytest.raises(RagtuneError, match="no model 'shop'"):
        run(root, "models", "show", "shop")
    with pytest.raises(RagtuneError, match="give --previous"):
        run(root, "models", "use")


def test_without_models_the_list_says_what_makes_one(tmp_path: Path) -> None:
    assert "ragtune tune" in run(tmp_path / ".ragtune", "models")
