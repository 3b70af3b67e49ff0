"""The first view of the web page: what it transfers, how often it waits, that nothing moves."""

from typing import Any

import pytest

from browsing import TOKEN, Site, person

pytestmark = pytest.mark.integration

LATENCY = 200  # ms, of every request: what waits for another one cannot be taken for its neighbour
SHIFTS = """window.moved = 0; new PerformanceObserver((l) => { for (const e of l.getEntries())
if (!e.hadRecentInput) window.moved += e.value; }).observe({type: 'layout-shift', buffered: true});
"""


def first_view(chromium: Any, url: str) -> tuple[list[dict[str, Any]], float]:
    """The requests of the printed link's first view (path, bytes, level), and how much moved.

    A request's level is 1 + the highest of those that had ended when it began.
    """
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", {
        "offline": False, "latency": LATENCY, "downloadThroughput": -1, "uploadThroughput": -1,
    })  # fmt: skip
    requests: dict[str, dict[str, Any]] = {}

    def begun(event: dict[str, Any]) -> None:
        path = "/" + event["request"]["url"].split("/", 3)[3].split("#")[0]
        requests[event["requestId"]] = {"path": path, "from": event["timestamp"]}

    def ended(event: dict[str, Any]) -> None:
        requests[event["requestId"]].update(to=event["timestamp"], size=event["encodedDataLength"])

    network.on("Network.requestWillBeSent", begun)
    network.on("Network.loadingFinished", ended)
    page.add_init_script(SHIFTS)
    page.goto(url)
    page.wait_for_selector("#suggestions button", timeout=30_000)
    page.wait_for_timeout(2 * LATENCY)
    moved = page.evaluate("window.moved")
    assert "token" not in page.url
    assert page.evaluate("document.activeElement.id") == "question"
    context.close()
    done = sorted((r for r in requests.values() if "to" in r), key=lambda r: r["to"])
    for number, one in enumerate(done):
        before = [r["level"] for r in done[:number] if r["to"] <= one["from"]]
        one["level"] = 1 + max(before, default=0)
    return done, moved


def test_the_printed_link_signs_in_with_few_bytes_and_waits_and_nothing_moves(
    chromium: Any, site: Site
) -> None:
    done, moved = first_view(chromium, site.link)
    assert 20_000 < sum(r["size"] for r in done) < 100_000  # signing in and the first screen
    assert moved < 0.01
    levels = {r["path"].rsplit("/", 1)[1]: r["level"] for r in done}
    assert levels["start"] == 1
    # With the page come its style and all that it needs to take a question: nothing is found late.
    needed = ("app.css", "ask.js", "dom.js", "api.js", "frame.js", "answer.js", "chips.js")
    assert {levels[name] for name in (*needed, "texts.en.js")} == {2}
    assert levels["session"] == 3  # the code is sent while one can type already
    assert max(levels.values()) <= 5


def test_a_link_that_was_used_says_so(chromium: Any, site: Site) -> None:
    code = site.link.split("#token=")[1]
    for used in (f"{site.url}/start#token={code[:-1]}x", f"{site.url}/#token={code[:-1]}x"):
        page = chromium.new_page(locale="en-GB")
        page.goto(used)
        page.get_by_text("This key is not valid, or the link was used already.").wait_for()
        assert page.locator("#form").is_visible()
        assert page.url == site.url + "/"
        page.close()


def test_start_without_a_code_shows_the_sign_in_page_or_the_one_who_is_signed_in(
    chromium: Any, site: Site
) -> None:
    page = chromium.new_page(locale="en-GB")
    page.goto(f"{site.url}/start")
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.url == site.url + "/"
    page.fill("#secret", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#send:enabled")
    page.goto(f"{site.url}/start#token=a-link-that-was-used")
    page.wait_for_selector("#send:enabled")
    page.get_by_text("documents", exact=False).first.wait_for()
    page.close()


def test_a_question_typed_before_the_scripts_are_there_is_asked(chromium: Any, site: Site) -> None:
    with person(chromium, site) as page:
        held: list[Any] = []

        def hold(route: Any) -> None:  # a function of Python: others have no signature to look at
            held.append(route)

        page.route("**/ask.js", hold)
        page.goto(site.url + "/", wait_until="commit")
        page.wait_for_selector("#question:focus")
        page.keyboard.type("How many days of annual leave do full-time crew have?")
        page.keyboard.press("Enter")
        assert page.locator("#send").is_disabled()  # nothing sends the question as an address
        while not held:
            page.wait_for_timeout(50)
        held[0].continue_()
        page.locator(".turn .tools").wait_for()
        assert "30 working days" in page.locator(".turn").inner_text()
