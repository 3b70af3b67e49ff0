"""The tuned model in the page: wllama with the shipped adapter merged, behind its button."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from browsing import hosted, opened
from ragtune import cite
from ragtune.errors import WeightsError
from ragtune.export.browser import vendor, write
from ragtune.export.browser.preview import server
from ragtune.models import adapters
from ragtune.types import Filter
from ragtune.workspace import Workspace

pytestmark = pytest.mark.integration
QUESTION = "How many days of leave do I get?"


def test_the_tuned_model_writes_in_the_page(
    chromium: Any, company: Workspace, tmp_path: Path
) -> None:
    """It says the marked words and no more, as it was taught, and the quote stays above."""
    pytest.importorskip("gguf", reason="merging needs ragtune[tune]")
    try:
        vendor.obtain(vendor.WLLAMA)
    except (WeightsError, AssertionError) as error:
        pytest.skip(f"needs wllama: {error}")
    made = write.export(
        company.system, company.settings, tmp_path / "page", store=company.store,
        where=Filter(path=("*handbook*",)), with_generator=True, adapter=adapters.BUILT_IN,
    )  # fmt: skip
    with hosted(server(made.path)) as address, opened(chromium, address) as page:
        page.fill("#question", QUESTION)
        page.press("#question", "Enter")
        answer = page.wait_for_selector("#answers > .answer:first-child:not([aria-busy])")
        phrase = answer.query_selector("mark.phrase").text_content()
        button = answer.query_selector(".writing button")
        assert f"{round(made.generator / 1e6)} MB" in button.text_content()
        button.click()
        page.wait_for_selector(".writing .reply:not(.draft)", timeout=180_000)
        text = answer.query_selector(".writing .reply").text_content()
        assert cite.holds(text, phrase), text
        assert len(text.split()) <= len(phrase.split()) + 6, "the adapter's voice: short"
        assert phrase in answer.query_selector("blockquote").text_content()
        assert answer.query_selector(".source")
