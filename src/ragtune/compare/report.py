"""The report that one forwards: one HTML file that needs nothing else, and the same in Markdown.

Everything in it that comes from files, questions or models is escaped; there is no script, and a
content policy in the page forbids whatever would reach out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ragtune.compare import charts, wording
from ragtune.compare.units import number, percent, seconds, span
from ragtune.compare.wording import Row

Results = Mapping[str, Any]

_CSS = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
_SHOWN = 1_500  # characters of an answer that the page shows
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def html(results: Results) -> str:
    """The whole page."""
    title = wording.headline(results)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" '
        f'content="light dark"><title>{_e(title)}</title><style>{_CSS.read_text("utf-8")}</style>'
        f"</head><body><main>{body(results)}</main></body></html>\n"
    )


def body(results: Results) -> str:
    """What the page shows, as escaped HTML with neither script nor style of its own."""
    v = results["verdict"]
    title = wording.headline(results)
    parts = [
        f'<p class="over">Which approach fits · {_e(results["settings"]["finished"])}</p>',
        f"<h1>{_e(title)}</h1>",
        f'<p class="lead">{_e(wording.paragraph(results))}</p>',
        _tiles(results),
        _left_out(results),
        "<h2>Side by side</h2>",
        '<p class="soft small-text">★ told from every other approach (Holm-adjusted p &lt; 0.05), '
        "☆ leads without being told from all, or is a plain measurement. Ranges are 95% intervals, "
        "drawn by source document.</p>",
        _table(results),
        "<h2>In pictures</h2>",
        _charts(results),
        "<h2>How sure is that?</h2>",
        _sure(results),
        *(["<h2>What next</h2>", _next(results)] if wording.next_steps(results) else []),
        _updates(results),
        f"<h2>Every question ({len(results['questions'])})</h2>",
        '<p class="soft small-text">✓ right, ✗ wrong, – declined. Open one for the answers, '
        "their citations and what was written before it was checked.</p>",
        *(_question(q, results) for q in results["questions"]),
        "<h2>Every measure</h2>",
        _measures(results),
        "<h2>To run it again</h2>",
        _settings(results),
    ]
    if not v.get("leader"):
        parts = parts[:3] + parts[-2:]
    return "\n".join(p for p in parts if p)


def _e(value: object) -> str:
    """A text for the page: without control characters, escaped."""
    text = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in str(value))
    return escape(text, quote=True)


def _tiles(results: Results) -> str:
    tiles = "".join(
        f"<div class='tile'><span>{_e(name)}</span><b>{_e(ours)}</b>"
        f"<span>{_e(results['verdict']['runner_up'])}: {_e(theirs)}</span></div>"
        for name, ours, theirs in wording.decisive(results)
    )
    return f'<div class="tiles">{tiles}</div>' if tiles else ""


def _left_out(results: Results) -> str:
    if not results["left_out"]:
        return ""
    items = "; ".join(f"{_e(arm)} ({_e(why)})" for arm, why in results["left_out"].items())
    return f'<p class="soft">Not compared: {items}.</p>'


def _table(results: Results) -> str:
    winner = results["verdict"].get("winner")
    head = "".join(
        f"<th{' class=fits' if arm == winner else ''}>{_e(arm)}"
        f"<small>{'fits best' if arm == winner else ''}</small></th>"
        for arm in results["arms"]
    )
    body = "".join(_row(row) for row in wording.rows(results))
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Row) -> str:
    cells = "".join(
        f'<td class="{c.best}"><b>{_e(c.text)}</b><small>{_e(c.below)}</small></td>'
        for c in row.cells
    )
    return f"<tr><th>{_e(row.name)}<small>{_e(row.what)}</small></th>{cells}</tr>"


def _charts(results: Results) -> str:
    cards = [
        ("Accuracy", "Right decisions, with 95% intervals. A hollow dot: the model's text before "
         "it was checked.", charts.accuracy(results)),
        ("The update race", "How long after a change of a file each arm told the new fact; right: "
         "how many it told. " + _charged(results), charts.updates(results)),
        ("Cost by volume", f"A month in {results['costs']['currency']} by questions a month, wrong "
         "answers priced in; dashed: your volume, circles: break-even.", charts.costs(results)),
        ("Coverage against error", "Surest answers first: how many questions are answered, and how "
         "many of those answers are wrong. Low and right is good.", charts.risk(results)),
    ]  # fmt: skip
    return '<div class="charts">' + "".join(
        f'<div class="card"><h3>{_e(name)}</h3><p class="soft small-text">{_e(text)}</p>{svg}</div>'
        for name, text, svg in cards if svg
    ) + "</div>" + _list(charts.break_even_lines(results))  # fmt: skip


def _charged(results: Results) -> str:
    charged = wording.not_retrained(results)
    if not charged:
        return ""
    return (f"{' and '.join(charged)}: training again was not run, so it is charged the last "
            "training's time and taken to tell every new fact then, which favours it.")  # fmt: skip


def _sure(results: Results) -> str:
    parts = []
    kinds = wording.kind_lines(results)
    if kinds:
        parts.append("<h3>By kind of question</h3>" + _list(kinds))
    pairs = wording.pair_lines(results)
    if pairs:
        parts.append("<h3>Differences in right decisions</h3>" + _list(pairs))
    if results["verdict"].get("stability"):
        parts.append(
            '<div class="charts"><div class="card"><h3>If other things mattered more</h3>'
            '<p class="soft small-text">The range of each weight in which the same arm leads (all '
            "others in proportion); the tick is the weight now.</p>"
            + charts.weights(results) + "</div><div>"
            + _list(wording.stability_lines(results)) + "</div></div>"
        )  # fmt: skip
    seeds = {a: x["right_by_seed"] for a, x in results["about"].items()
             if len(x["right_by_seed"]) > 1}  # fmt: skip
    if seeds:
        lines = [f"{a}: " + ", ".join(percent(s) for s in shares) for a, shares in seeds.items()]
        parts.append("<h3>Right answers by seed</h3>" + _list(lines))
    if results["style"]["how"]:
        how, accuracy = results["style"]["how"], results["style"]["accuracy"]
        known = f"; it is right on {percent(accuracy)} of held-out answers" if accuracy else ""
        parts.append(f'<p class="soft">Style is told by {_e(how)}{_e(known)}.</p>')
    return "".join(parts)


def _next(results: Results) -> str:
    items = "".join(
        f"<li>{_e(what)}: <code>{_e(command)}</code></li>"
        for what, command in wording.next_steps(results)
    )
    return f"<ol>{items}</ol>" if items else ""


def _list(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return "<ul>" + "".join(f"<li>{_e(line)}</li>" for line in lines) + "</ul>"


# ---------------------------------------------------------------- one by one


def _updates(results: Results) -> str:
    if not results["updates"]:
        return ""
    blocks = []
    for u in results["updates"]:
        chips = "".join(_update_chip(arm, u["arms"].get(arm, {})) for arm in results["arms"])
        change = f"“{u['old']}” → “{u['new']}”" if u["old"] else f"{u['kind']}"
        answers = "".join(
            f'<div class="answer"><b>{_e(arm)}</b> <span class="soft">{_e(step)}</span>'
            f'<div class="text">{_e(text[:_SHOWN])}</div></div>'
            for arm in results["arms"]
            for step, text in u["arms"].get(arm, {}).get("answers", {}).items()
        )
        skipped = f'<p class="soft">Not run: {_e(u["skipped"])}</p>' if u["skipped"] else ""
        blocks.append(
            f'<details><summary><span class="q">{_e(u["question"])}</span> '
            f'<span class="soft small-text">{_e(u["file"])}: {_e(change)}</span>'
            f'<div class="chips">{chips}</div></summary>{skipped}{answers}</details>'
        )
    return f"<h2>Every update ({len(blocks)})</h2>" + "".join(blocks)


def _update_chip(arm: str, values: Mapping[str, Any]) -> str:
    told = values.get("new_fact")
    if told is None:
        return f'<span class="chip">{_e(arm)}</span>'
    after = f" {seconds(values['seconds_to_new'])}" if values.get("seconds_to_new") else ""
    leak = " leaks" if values.get("leak") else ""
    mark = "yes" if told else "no"
    sign = "✓" if told else "✗"
    return f'<span class="chip {mark}">{sign} {_e(arm)}{_e(after)}{leak}</span>'


def _question(question: Mapping[str, Any], results: Results) -> str:
    chips = "".join(
        _chip(arm, question["arms"].get(arm), question["answerable"]) for arm in results["arms"]
    )
    gold = question["answer"] or " / ".join(question["answers"]) or "nobody wrote it down"
    sources = "; ".join(f"{g['document']}: “{g['quote']}”" for g in question["evidence"])
    answers = "".join(_answer(arm, question["arms"][arm])
                      for arm in results["arms"] if arm in question["arms"])  # fmt: skip
    return (
        f'<details><summary><span class="q">{_e(question["question"])}</span> '
        f'<span class="soft small-text">{_e(question["id"])}, {_e(question["kind"])}</span>'
        f'<div class="chips">{chips}</div></summary>'
        f'<div class="answer"><b>Expected</b><div class="text">{_e(gold)}</div>'
        f'<div class="cite">{_e(sources)}</div></div>{answers}</details>'
    )


def _chip(arm: str, reply: Mapping[str, Any] | None, answerable: bool) -> str:
    if reply is None or reply["error"]:
        return f'<span class="chip">{_e(arm)} {"failed" if reply else "not asked"}</span>'
    marks = reply["marks"]
    declined = marks.get("wrongly_declined") if answerable else not marks.get("wrong_unanswerable")
    kind, sign = (
        ("dec" if answerable else "yes", "–")
        if declined
        else (("yes", "✓") if marks.get("decision") else ("no", "✗"))
    )
    return f'<span class="chip {kind}">{sign} {_e(arm)}</span>'


def _answer(arm: str, reply: Mapping[str, Any]) -> str:
    if reply["error"]:
        return f'<div class="answer"><b>{_e(arm)}</b> failed: {_e(reply["error"])}</div>'
    marks = reply["marks"]
    shown = [f"{label} {number(marks[m])}" for m, label in (
        ("right", "right"), ("f1", "F1"), ("citation_precision", "citations on gold"),
        ("citation_recall", "gold cited"), ("style", "style"))
        if marks.get(m) is not None]  # fmt: skip
    cites = "".join(
        f'<div class="cite">{"✓" if c["gold"] else "·"} {_e(c["uri"])}, {_e(c["label"])}: '
        f"“{_e(c['quote'][:400])}”{'' if c['exact'] else ' (not byte-exact)'}</div>"
        for c in reply["citations"]
    )
    raw = ""
    if reply["written"] is not None and reply["written"].strip() != reply["text"].strip():
        raw = f'<div class="cite">written before the check: {_e(reply["written"][:_SHOWN])}</div>'
    return (
        f'<div class="answer"><b>{_e(arm)}</b> <span class="soft small-text">{_e(reply["status"])}'
        f", {seconds(reply['total'])}; {_e(', '.join(shown))}</span>"
        f'<div class="text">{_e(reply["text"][:_SHOWN])}</div>{cites}{raw}</div>'
    )


def _measures(results: Results) -> str:
    names = list(results["arms"])
    rows = []
    for key, m in results["measures"].items():
        values = [results["arms"][a][key] for a in names]
        if not any(v["n"] for v in values):
            continue
        cells = "".join(f"<td>{_measured(v, m['unit'])}</td>" for v in values)
        rows.append(f"<tr><th>{_e(m['label'])}<small>{_e(m['note'])}</small></th>{cells}</tr>")
    head = "".join(f"<th>{_e(a)}</th>" for a in names)
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}'
        "</tbody></table></div>"
    )


def _measured(v: Mapping[str, Any], unit: str) -> str:
    if not v["n"]:
        return _e(v.get("why", "–"))
    if unit == "seconds":
        return f"{seconds(v['p50'])}<small>95%: {seconds(v['p95'])}, n = {v['n']}</small>"
    share = unit == "share"
    text = percent(v["value"]) if share else number(v["value"])
    return f"{_e(text)}<small>{_e(span(v, share))}, n = {v['n']}</small>"


def _settings(results: Results) -> str:
    s = results["settings"]
    flat: list[tuple[str, object]] = [(k, v) for k, v in s.items() if not isinstance(v, dict)]
    for name in ("models", "versions", "settings"):
        flat.append((name, ", ".join(f"{k} = {v}" for k, v in s[name].items())))
    prices = ", ".join(f"{k} = {v}" for k, v in results["costs"]["prices"].items())
    flat += [("prices and weights", prices)]
    flat += [(f"measured: {k}", v) for k, v in results["facts"].items()]
    items = "".join(f"<dt>{_e(k)}</dt><dd>{_e(v)}</dd>" for k, v in flat)
    return f"<dl>{items}</dl>" + _list(results["notes"])


# ---------------------------------------------------------------- Markdown and CSV


def markdown(results: Results) -> str:
    """The verdict, the table and how sure it is, for a chat or a repository."""
    names = list(results["arms"])
    lines = [f"# {_cell(wording.headline(results))}", "", _cell(wording.paragraph(results)), ""]
    if results["left_out"]:
        missing = [f"{_cell(a)} ({_cell(w)})" for a, w in results["left_out"].items()]
        lines += [f"Not compared: {'; '.join(missing)}.", ""]
    lines += ["| | " + " | ".join(map(_cell, names)) + " |", "|---" * (len(names) + 1) + "|"]
    for row in wording.rows(results):
        marks = {"winner": " ★", "leads": " ☆", "": ""}
        cells = [_cell(c.text + marks[c.best] + (f" ({c.below})" if c.below else ""))
                 for c in row.cells]  # fmt: skip
        lines.append(f"| **{row.name}**, {row.what} | " + " | ".join(cells) + " |")
    lines += ["", "★ told from every other approach, ☆ leads or plainly measured."]
    for title, items in (
        ("By kind of question", wording.kind_lines(results)),
        ("Differences in right decisions", wording.pair_lines(results)),
        ("If other things mattered more", wording.stability_lines(results)),
        ("Break-even", charts.break_even_lines(results)),
        ("Notes", results["notes"]),
    ):
        if items:
            lines += ["", f"## {title}", "", *(f"- {_cell(item)}" for item in items)]
    steps = wording.next_steps(results)
    if steps:
        lines += [
            "",
            "## What next",
            "",
            *(f"- {_cell(what)}: `{command}`" for what, command in steps),
        ]
    s = results["settings"]
    lines += ["", f"{s['questions']} questions (sha256 {s['test_set_sha256'][:16]}…), "
              f"{s['seeds']} seeds, {_cell(s['machine'])}, {s['finished']}."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A text that cannot end its table cell or become markup."""
    flat = "".join(c if c.isprintable() else " " for c in str(text))
    flat = " ".join(flat.split()).replace("|", "\\|")
    return flat.replace("<", "&lt;").replace("[", "\\[")


def table(results: Results) -> str:
    """Every answer as CSV; what a spreadsheet would calculate is put behind an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    marks = list(results["measures"])
    writer.writerow(["id", "kind", "question", "expected", "arm", "status", "answer", "written",
                     "citations", "seconds", *marks])  # fmt: skip
    for q in results["questions"]:
        for arm, reply in q["arms"].items():
            cites = "; ".join(f"{c['uri']} {c['start']}-{c['end']}" for c in reply["citations"])
            expected = q["answer"] or " / ".join(q["answers"])
            row = [q["id"], q["kind"], q["question"], expected, arm, reply["status"],
                   reply["text"] or reply["error"], reply["written"] or "", cites]  # fmt: skip
            values = [reply["marks"].get(m) for m in marks]
            writer.writerow([*map(_harmless, row), f"{reply['total']:.3f}",
                             *("" if v is None else f"{v:.6g}" for v in values)])  # fmt: skip
    return out.getvalue()


def _harmless(value: str) -> str:
    """A cell that no spreadsheet takes for a formula (CVE-2022-24770)."""
    formula = value.startswith(_FORMULA) or value.lstrip()[:1] in _FORMULA
    return "'" + value if formula else value


def write(results: Results, folder: Path) -> dict[str, Path]:
    """Writes report.html, report.md and answers.csv into `folder`, each whole; their paths."""
    made = {}
    for name, text in (
        ("report.html", html(results)),
        ("report.md", markdown(results)),
        ("answers.csv", table(results)),
    ):
        path = folder / name
        fresh = path.with_name(name + ".new")
        fresh.write_text(text, "utf-8", newline="")
        fresh.replace(path)
        made[name] = path
    return made
