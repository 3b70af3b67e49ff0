"""A training on the web page until its end: the curve, before and after, the registry, and back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import browsing
from browsing import Site, person
from ragtune import workspace

pytestmark = pytest.mark.integration

pytest.importorskip("torch", reason="training needs ragtune[tune]")
LAMPS = (
    "red", "green", "blue", "white", "amber", "violet", "grey", "black", "gold", "pink", "brown",
    "teal",
)  # fmt: skip


def fewer_samples(route: Any) -> None:
    """The page's own request, with one question before and after in place of sixteen."""
    route.continue_(post_data=json.dumps({**route.request.post_data_json, "samples": 1}))


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Site]:
    """A server over a workspace with a few short examples, so that training ends soon."""
    (tmp_path / "lamps").mkdir()
    (tmp_path / "lamps" / "lamps.md").write_text("# Lamps\n\nEach lamp has its pier.\n", "utf-8")
    with workspace.init(tmp_path) as opened:
        opened.add([tmp_path / "lamps"])
    rows = [{"id": f"e{n}", "question": f"Where is the {lamp} lamp?",
             "answer": f"Ahoy! At pier {n + 1}."} for n, lamp in enumerate(LAMPS)]  # fmt: skip
    kept = tmp_path / ".ragtune" / "examples.jsonl"
    kept.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with browsing.serving(tmp_path) as site:
        yield site


def test_a_training_ends_on_the_screen_and_is_taken_back(chromium: Any, school: Site) -> None:
    with person(chromium, school, "/train") as page:
        page.set_default_timeout(240_000)
        page.locator("#example-rows tr:not(.skeleton)").first.wait_for()
        page.fill("#t-name", "harbour")
        page.select_option("#t-mode", "answers")
        page.fill("#t-epochs", "2")
        page.route("**/api/tunes", fewer_samples)
        page.click("#start")
        run = page.locator("#runs > *").first
        run.get_by_text("Training harbour").wait_for()
        run.locator(".before-after").first.wait_for()
        # Held-out loss before and after, drawn and in figures.
        points = run.locator("svg.curve polyline.held").get_attribute("points").split()
        assert len(points) >= 2
        assert len(run.locator("svg.curve polyline.train").get_attribute("points").split()) >= 2
        before, after = (
            run.locator("table tr", has_text="Loss").first.locator("td").all_inner_texts()
        )
        assert float(after) < float(before)
        assert run.locator(".before-after").first.locator("> div").count() == 2

        # Registered with its passport, then in use, then back with one click.
        model = page.locator("#models li", has_text="harbour")
        model.wait_for()
        model.get_by_text("Passport").click()
        facts = model.locator(".facts").inner_text()
        assert "sha256" in facts
        assert "parity" in facts
        model.get_by_role("button", name="Use this one").click()
        model.get_by_text("in use", exact=True).wait_for()
        page.goto(school.url + "/")
        page.wait_for_selector("#model option[value='ragtune/tuned:harbour']", state="attached")
        page.goto(school.url + "/train")
        page.click("#rollback")
        base = page.locator("#models li", has_text="Base model")
        base.get_by_text("in use", exact=True).wait_for()
