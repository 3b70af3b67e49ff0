"""The web page in Debian's Chromium with the real model, used as a person would."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from browsing import Site, ask, person
from ragtune import demo

pytestmark = pytest.mark.integration

LEAVE = "How many days of annual leave do full-time crew have?"
HOTEL = "What may a hotel cost per night on a trip abroad?"


def test_ask_opens_the_page_and_the_rows_and_says_what_is_stale(chromium: Any, site: Site) -> None:
    with person(chromium, site, "/") as page:
        turn = ask(page, HOTEL)
        assert "145 EUR" in turn.inner_text()
        turn.locator(".chip").first.click()
        image = page.locator("#source img[data-loaded]")
        image.wait_for()
        assert "boxed" in image.get_attribute("alt")
        page.keyboard.press("Escape")
        assert page.locator("#source").is_hidden()

        turn = ask(page, "What is to be done when a Kondor shows K09?")
        turn.locator(".chip[data-uri$='.csv'], .chip[data-uri$='.xlsx']").first.click()
        page.locator("#source tr.here", has_text="K09").first.wait_for()
        page.keyboard.press("Escape")

        remote = ask(page, "How many days a week may I work from home?")
        assert "two days a week" in remote.inner_text()
        file = site.root / "company" / "policies" / "remote-work.md"
        before = file.read_text("utf-8")
        file.write_text(before.replace("up to two days a week", "up to three days a week"), "utf-8")
        chip = remote.locator(".chip[data-uri$='remote-work.md']").first
        for _ in range(60):
            chip.click()
            page.wait_for_selector("#source .doc")
            if page.locator("#source .banner.warn").count():
                break
            page.wait_for_timeout(250)
        assert "out of date" in page.locator("#source .banner.warn").inner_text()
        file.write_text(before, "utf-8")


def test_ask_writes_declines_and_keeps_a_correction(chromium: Any, site: Site) -> None:
    with person(chromium, site, "/") as page:
        turn = ask(page, "How many working days may I work from another EU country?", "ragtune/rag")
        assert turn.locator(".chip").count()
        turn = ask(page, "Does the company pay for my gym membership?", "ragtune")
        assert "do not answer this" in turn.inner_text()
        turn.get_by_role("button", name="This answer is wrong").click()
        turn.locator("form textarea").fill("No, but the bicycle is paid.")
        turn.get_by_role("button", name="Send").click()
        page.get_by_text("Kept as a training example.").first.wait_for()
        page.reload()
        assert page.locator(".turn").count() == 2
        page.goto(site.url + "/train")
        page.fill("#example-filter", "bicycle is paid")
        page.locator("#example-rows tr", has_text="gym membership").wait_for()


def test_ask_with_the_keyboard_alone(chromium: Any, site: Site) -> None:
    with person(chromium, site, "/") as page:

        def focused() -> str:
            return str(
                page.evaluate("document.activeElement.id || document.activeElement.className")
            )

        page.wait_for_selector("#suggestions button")
        assert focused() == "question"
        page.keyboard.type(LEAVE)
        page.keyboard.press("Enter")
        page.locator(".turn .tools").wait_for()
        page.keyboard.press("Shift+Tab")  # from the question back to the last thing of the answer
        for _ in range(12):
            if focused() == "chip":
                break
            page.keyboard.press("Shift+Tab")
        assert focused() == "chip"
        page.keyboard.press("Enter")
        page.locator("#source img[data-loaded]").wait_for()
        assert focused() == "source-title"
        page.keyboard.press("Escape")
        assert focused() == "chip"
        assert "Full-time crew" in page.locator("#live").inner_text()


def test_side_by_side_asks_all_and_keeps_the_better(chromium: Any, site: Site) -> None:
    with person(chromium, site, "/side-by-side") as page:
        page.wait_for_selector("#arms input")
        page.fill("#question", LEAVE)
        page.keyboard.press("Enter")
        columns = page.locator(".column")
        assert columns.count() >= 4
        page.get_by_text("All have answered").wait_for(state="attached")
        quotes = page.locator(".column", has_text="word for word").first
        assert "30 working days" in quotes.inner_text()
        quotes.get_by_role("button", name="This one is better").click()
        page.get_by_text("Kept as a training example.").first.wait_for()


def test_documents_are_added_found_and_deleted(chromium: Any, site: Site, tmp_path: Path) -> None:
    good, bad = tmp_path / "canteen.md", tmp_path / "broken.pdf"
    good.write_text("# Canteen\n\nThe canteen serves Labskaus on the second Friday.\n", "utf-8")
    bad.write_bytes(b"%PDF-1.7 this is no PDF")
    with person(chromium, site, "/documents") as page:
        page.set_input_files("#files", [good, bad])
        page.locator("#upload-list .badge.good").wait_for()
        page.locator("#upload-list .badge.bad").wait_for()
        page.fill("#filter", "canteen.md")
        row = page.locator("#rows tr", has_text="uploads/canteen.md")
        row.wait_for()
        page.goto(site.url + "/")
        assert (
            "Labskaus"
            in ask(page, "What does the canteen serve on the second Friday?").inner_text()
        )
        page.goto(site.url + "/documents")
        page.click("#show-errors")
        page.locator("#rows .reason").first.wait_for()
        page.click("#show-all")
        page.fill("#filter", "uploads/canteen.md")
        page.get_by_role("button", name="Delete uploads/canteen.md").click()
        page.locator("dialog").get_by_role("button", name="Delete").click()
        row.wait_for(state="detached")
    assert not (site.root / "uploads" / "canteen.md").exists()


def test_a_folder_and_a_file_are_dropped_into_the_page(
    chromium: Any, site: Site, tmp_path: Path
) -> None:
    folder, file = tmp_path / "boats" / "small", tmp_path / "ferry.md"
    folder.mkdir(parents=True)
    (folder / "dinghy.md").write_text("# Dinghy\n\nThe dinghy is blue.\n", "utf-8")
    (folder / ".hidden.md").write_text("# Not to be read\n", "utf-8")
    file.write_text("# Ferry\n\nThe ferry leaves at 7.\n", "utf-8")
    with person(chromium, site, "/documents") as page:
        page.wait_for_selector("#drop")
        mouse = page.context.new_cdp_session(page)
        held = {"items": [], "files": [str(folder.parent), str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            mouse.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": held})
        page.locator("#upload-list .badge.good").nth(1).wait_for()
        page.fill("#filter", "uploads/")
        page.locator("#rows tr", has_text="uploads/boats/small/dinghy.md").wait_for()
        page.locator("#rows tr", has_text="uploads/ferry.md").wait_for()
    uploads = site.root / "uploads"
    kept = {path.relative_to(uploads).as_posix() for path in uploads.rglob("*.md")}
    assert {"boats/small/dinghy.md", "ferry.md"} <= kept
    assert not any("hidden" in name for name in kept)


def test_train_checks_and_rolls_back(chromium: Any, site: Site) -> None:
    with person(chromium, site, "/train") as page:
        page.locator("#example-rows tr:not(.skeleton)").first.wait_for()
        page.click("#check")
        page.locator("#checks .banner").wait_for()
        assert page.locator("#checks .tokens .trained").count() or "ragtune[tune]" in (
            page.locator("#checks").inner_text()
        )
        shipped = page.locator("#models li", has_text="grounded").first
        shipped.get_by_role("button", name="Use this one").click()
        shipped.get_by_text("in use", exact=True).wait_for()
        page.click("#rollback")
        base = page.locator("#models li", has_text="Base model").first
        base.get_by_text("in use", exact=True).wait_for()


def test_compare_runs_and_shows_its_report(chromium: Any, site: Site, tmp_path: Path) -> None:
    rows = (demo.SAMPLE.parent / "heldout.jsonl").read_text("utf-8").splitlines()[:6]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("\n".join(rows) + "\n", "utf-8")
    with person(chromium, site, "/compare") as page:
        for box in page.locator("#compare-arms input").all():
            box.set_checked(box.get_attribute("value") == "quote")
        page.set_input_files("#c-file", questions)
        page.fill("#c-minutes", "1")
        page.click("#begin")
        page.locator("#run-rows a").first.click()
        page.locator(".report h1").wait_for()
        assert page.locator(".report svg").count()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core from npm, fetched for this run only."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: axe-core cannot be fetched")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "axe-core@4"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("axe-core cannot be fetched from npm here")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen_is_accessible(chromium: Any, site: Site, axe: str, scheme: str) -> None:
    found: list[str] = []

    def look(page: Any, name: str) -> None:
        page.wait_for_timeout(300)
        page.evaluate(axe)
        rules = {
            "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        }
        result = page.evaluate("(rules) => axe.run(document, rules)", rules)
        for violation in result["violations"]:
            for node in violation["nodes"]:
                found.append(
                    f"{name}: {violation['id']}: {node['target']} {node['failureSummary']}"
                )

    fresh = chromium.new_context(color_scheme=scheme, bypass_csp=True).new_page()
    fresh.goto(site.url + "/")
    look(fresh, "signin")
    fresh.context.close()
    phone = {"width": 390, "height": 844}
    narrow = {"viewport": phone} if scheme == "dark" else {}
    with person(chromium, site, "/", color_scheme=scheme, bypass_csp=True, **narrow) as page:
        look(page, "empty")
        ask(page, HOTEL)
        look(page, "ask")
        page.locator(".turn .chip").first.click()
        page.locator("#source img[data-loaded]").wait_for()
        look(page, "source")
        for path in ("/side-by-side", "/documents", "/train", "/compare"):
            page.goto(site.url + path)
            page.wait_for_timeout(700)
            look(page, path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert not found, "\n".join(found)


def test_german(chromium: Any, site: Site) -> None:
    with person(chromium, site, "/", locale="de-DE") as page:
        assert page.locator("html").get_attribute("lang") == "de"
        assert "Was möchten Sie wissen?" in page.locator("main").inner_text()
