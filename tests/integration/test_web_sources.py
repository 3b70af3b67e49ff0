"""A citation opens its source at the exact place: mail, attachment, spreadsheet, PDF in a ZIP."""

import io
import zipfile
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from browsing import TOKEN, Site, ask, person

pytestmark = pytest.mark.integration

MAIL = "company/mails/2026-01-winter-service.eml"
PRICES = "company/products/price-list-2026.xlsx"
POLICY = "company/policies/travel-policy.pdf"


def place(site: Site, uri: str, words: str) -> str:
    """The address that opens the place of these words, as programs are given it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found = httpx.get(f"{site.url}/api/document", params={"uri": uri}, headers=headers).json()
    start = found["text"].index(words)
    span = {"start": start, "end": start + len(words), "sha256": found["sha256"]}
    return "/open?" + urlencode({"uri": uri, **span})


def test_a_mail_opens_with_its_head_and_the_passage_marked(chromium: Any, site: Site) -> None:
    words = "What it pays: 210 EUR for the week, plus 38 EUR for each call-out."
    with person(chromium, site, place(site, MAIL, words)) as page:
        source = page.locator("#source")
        source.locator("mark").first.wait_for()
        assert source.locator("mark").all_inner_texts() == [words]
        head = source.locator("dl.mail")
        assert "Tomasz Bielak" in head.inner_text()
        assert head.locator("dt").all_inner_texts() == ["From", "To", "Date", "Subject"]
        assert "body" in page.locator("#source-place").inner_text()
        assert source.get_by_text("Attachment: on-call-rota-2026-q1.csv").count()


def test_an_attachment_opens_at_the_row_that_is_cited(chromium: Any, site: Site) -> None:
    with person(chromium, site) as page:
        turn = ask(page, "Who's on standby in the week starting 16 March?")
        chip = turn.locator(".chip[data-uri$='winter-service.eml']").first
        label = chip.inner_text()
        assert "attachment on-call-rota-2026-q1.csv" in label
        chip.click()
        row = page.locator("#source tr.here")
        row.first.wait_for()
        line = row.first.locator("th").inner_text()  # "line 12", as the chip says
        assert f"{line}," in label
        assert "attachment on-call-rota-2026-q1.csv" in page.locator("#source-place").inner_text()


def test_a_spreadsheet_opens_with_the_row_marked_under_its_columns(
    chromium: Any, site: Site
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    asked = {"params": {"uri": PRICES}, "headers": headers}
    text = httpx.get(f"{site.url}/api/document", **asked).json()["text"]  # type: ignore[arg-type]
    line = next(row for row in text.splitlines() if "51-4510" in row)
    with person(chromium, site, place(site, PRICES, line)) as page:
        row = page.locator("#source tr.here")
        row.wait_for()
        assert "33.4" in row.inner_text()
        columns = row.locator("xpath=ancestor::table").locator("thead th").all_inner_texts()
        assert {part.split(": ")[0] for part in line.split(" | ")} <= set(columns)
        assert row.locator("th").inner_text()  # the cells, as in A7:F7
        assert row.evaluate("(r) => r.getBoundingClientRect().bottom <= innerHeight")


def test_a_pdf_in_an_archive_opens_as_a_picture_at_its_box(chromium: Any, site: Site) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("rules/travel.pdf", (site.root / POLICY).read_bytes())
    headers = {"Authorization": f"Bearer {TOKEN}"}
    stored = httpx.put(
        f"{site.url}/api/files/rules.zip", content=packed.getvalue(), headers=headers, timeout=60
    )
    assert stored.json()["state"] == "indexed", stored.text
    uri = "uploads/rules.zip!/rules/travel.pdf"
    with person(
        chromium, site, place(site, uri, "the rates of the tax authority for the country apply"),
        viewport={"width": 1280, "height": 420},
    ) as page:  # fmt: skip
        image = page.locator("#source img[data-loaded]")
        image.wait_for()
        assert "boxed" in image.get_attribute("alt")
        for _ in range(100):
            if page.locator("#source-body").evaluate("(b) => b.scrollTop") > 50:
                break
            page.wait_for_timeout(50)
        else:
            pytest.fail("the box is not scrolled to")
    httpx.delete(f"{site.url}/api/documents", params={"uri": "uploads/rules.zip"}, headers=headers)
