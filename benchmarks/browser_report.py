"""The page's figures as a Markdown file (`browser.py`)."""

from __future__ import annotations

from typing import Any

from benchmarks import machine


def report(results: dict[str, Any], about: str, runs: int) -> str:
    """The Markdown file; `about` is the benchmark's docstring."""
    spaces = results["workspaces"]
    lines = [
        "# The page", "", *about.split("\n\n", 2)[2].strip().splitlines(), "",
        machine.markdown(results["about"]), f"- {results['browser']}, headless", "",
        "## The same answers as Python", "",
        "| | passages | questions | same status | same first quote | same words marked "
        "| same top 5, in order | of the top 5 shared |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, found in spaces.items():
        n = found["questions"]
        lines.append(
            f"| {name} | {found['passages']} | {n} | {found['same_status'] / n:.1%} | "
            f"{found['same_first_quote'] / n:.1%} | {found['same_phrase']} of "
            f"{found['both_cited']} | {found['same_top5'] / n:.1%} | {found['top5_shared']:.1%} |"
        )
    cosine = results["encoder"]["cosine"]
    lines += [
        "",
        f"Cosine of a question's vector to Python's, {cosine['texts']} questions: mean "
        f"{cosine['mean']:.5f}, least {cosine['min']:.4f}, {cosine['below_.999']:.1%} below .999. "
        "Both compute exact integer products; exp, erf and the order of sums differ in the last "
        "digit, and where that moves one rounding to int8 the difference grows through the layers "
        "(onnxruntime-web differs from onnxruntime likewise). With Python's vector given, "
        "the search is the same but for near ties (tests/integration/test_export_browser_page.py).",
        "", "## Milliseconds a question, one thread", "",
        "| | router p50 | search p50 | both p50 (p95) | evidence p50 | total p50 (p95) "
        "| Python's total p50 (p95) |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, found in spaces.items():
        ms, native = found["ms"], found["python_ms"]
        lines.append(
            f"| {name} | {ms['route'][0]:.1f} | {ms['search'][0]:.1f} | "
            f"{ms['route and search'][0]:.1f} ({ms['route and search'][1]:.1f}) | "
            f"{ms['evidence'][0]:.1f} | {ms['total'][0]:.1f} "
            f"({ms['total'][1]:.1f}) | {native[0]:.1f} ({native[1]:.1f}) |"
        )
    lines += [
        "", "Python embeds the sentences of each question; the page has them in its index.",
        "", "## The router, in the page and in Python", "",
        "| | intents | examples | same intent | same side of the threshold "
        "| probabilities off, most (mean) | ms in the page, p50 (p95) | in Python |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, found in spaces.items():
        router, n = found["router"], found["questions"]
        off, ms, native = router["probability_off"], router["ms"], router["python_ms"]
        lines.append(
            f"| {name} | {router['intents']} | {router['examples']} "
            f"| {router['same_intent']} of {n} | {router['same_side']} of {n} "
            f"| {off['max']:.5f} ({off['mean']:.5f}) "
            f"| {ms[0]:.1f} ({ms[1]:.1f}) | {native[0]:.1f} ({native[1]:.1f}) |"
        )
    lines += [
        "", "## The encoder, ms a text of so many tokens, one thread", "",
        f"Quickest (median) of {runs} runs, in turns.", "",
        "| | 12 | 70 | 150 | speed at 70, onnxruntime-web = 1 |", "|---|---|---|---|---|",
    ]  # fmt: skip
    table = results["encoder"]["ms"]
    peer = table["onnxruntime-web"][70][0]
    for name, row in table.items():
        cells = " | ".join(f"{row[n][0]:.1f} ({row[n][1]:.1f})" for n in (12, 70, 150))
        lines.append(f"| {name} | {cells} | {peer / row[70][0]:.2f} |")
    lines += [
        "", "## Bytes of a first visit", "",
        "| | all, MB | models | index and vectors | page | export, s | memory when ready, MB |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, found in spaces.items():
        parts = found["parts"]
        index = parts["index.json"] + parts["vectors.bin"]
        rest = found["download"] - index - parts["page"]
        lines.append(
            f"| {name} | {found['download'] / 1e6:.1f} | {rest / 1e6:.1f} | {index / 1e6:.1f} | "
            f"{parts['page'] / 1e6:.2f} | {found['export_s']:.0f} | {found['memory'] / 1e6:.0f} |"
        )
    lines += [
        "", "With a router, without a generator. Memory: what the page's process and its worker "
        "hold for themselves (RssAnon), less an empty browser's.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
