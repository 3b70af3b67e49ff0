"""The catalogue of the web page's texts: complete in both languages, all used, none invented."""

import re

import pytest

from ragtune.server import assets, pages

STATIC = assets.WEB / "static"
SOURCES = [*STATIC.glob("*.js"), *(assets.WEB / "templates").glob("*.html")]
# Keys that are put together in a script or a template, by what they begin with.
MADE = (
    "arm.", "nav.", "job.", "work.", "source.moved", "source.stale", "ask.thumb_", "train.mode_",
    "train.score_", "side.", "train.stop", "train.warning", "train.note", "ask.send", "ask.stop",
    "train.edit", "train.add", "documents.sending", "train.examples",
)  # fmt: skip


def used() -> set[str]:
    found: set[str] = set()
    for path in SOURCES:
        for call in re.findall(r"\b(?:t|count|told)\(([^()]*)", path.read_text("utf-8")):
            found |= set(re.findall(r"[\"'`]([a-z]+\.[\w-]*[a-z0-9])[\"'`]", call))
    return found


def test_both_languages_have_every_text_with_the_same_values() -> None:
    english, german = assets.catalogue().values()
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert text.strip(), key
        assert german[key].strip(), key
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", german[key])), key


def test_every_text_that_is_used_exists_and_no_other() -> None:
    known = assets.catalogue()["en"].keys()
    plural = {key.rsplit("_", 1)[0] for key in known if key.endswith(("_one", "_many"))}
    assert used() <= known | plural
    left = {k for k in known - used() if re.sub(r"_(one|many)$", "", k) not in used()}
    assert not {k for k in left if not k.startswith(MADE)}


def test_nothing_inline_and_nothing_from_outside() -> None:
    for path in (*SOURCES, *STATIC.glob("*.css")):
        text = path.read_text("utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=\"|<script(?! type=\"module\" src)", text), (
            path
        )
        outside = re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"']+", text)
        assert not outside, path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_modules_are_listed_with_all_that_they_import() -> None:
    made = assets.load()
    assert made.modules("ask.js")[0] == "ask.js"
    assert {"dom.js", "api.js", "chips.js"} <= set(made.modules("ask.js"))
    assert "source.js" not in made.modules("ask.js")  # it comes after the first view
    for screen in (*pages.SCREENS, "signin", "open", "report"):
        assert all(made.url(module) for module in made.modules(f"{screen}.js"))
    with pytest.raises(KeyError):
        made.url("../texts.toml")
