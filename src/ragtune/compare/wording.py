"""The results in plain words: what the reports and the command line say.

Everything here reads the results object (results.py) and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragtune.compare.units import money, number, percent, seconds, span

Results = Mapping[str, Any]

CRITERIA = {
    "accuracy": "right decisions",
    "freshness": "information update speed",
    "cost": "cost",
    "attribution": "source attribution",
    "style": "the company's voice",
    "speed": "speed",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm in one row: the figure, what stands below it, and how it did.

    `best` is "winner" (told from all others), "leads" (not told from all) or "".
    """

    text: str
    below: str = ""
    best: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the comparison table."""

    name: str
    what: str
    cells: tuple[Cell, ...]


# ---------------------------------------------------------------- the table


def rows(results: Results) -> list[Row]:
    """The seven rows of the comparison."""
    arms: Mapping[str, Any] = results["arms"]
    names = list(arms)
    about = results["about"]
    made: list[Row] = []

    def add(
        name: str, what: str, cells: Sequence[Cell], best: Sequence[str], sure: bool = False
    ) -> None:
        mark = "winner" if sure else "leads"
        marked = [Cell(c.text, c.below, mark if n in best else "")
                  for n, c in zip(names, cells, strict=True)]  # fmt: skip
        made.append(Row(name, what, tuple(marked)))

    add("Information update speed", "a changed fact, told rightly",
        [_freshness(a, results) for a in names], *_best(results, "fresh"))  # fmt: skip
    add("Implementation cost", "a month, all in",
        [_cost(about[a]["cost"], results) for a in names],
        _least({a: about[a]["cost"]["month"] for a in names}))  # fmt: skip
    add("Source attribution", "cites the right words", [_attribution(arms[a]) for a in names],
        *_best(results, "citation_recall"))  # fmt: skip
    add("Accuracy", "right decisions", [
        Cell(percent(arms[a]["decision"]["value"]),
             f"{span(arms[a]['decision'])}; token F1 {number(arms[a]['f1']['value'])}")
        for a in names], *_best(results, "decision"))  # fmt: skip
    add("Hallucination", "right +1, declined 0, wrong −1", [
        Cell(number(arms[a]["hallucination"]["value"]),
             f"{percent(arms[a]['wrong']['value'])} wrong")
        for a in names], *_best(results, "hallucination"))  # fmt: skip
    add("Style", "in the company's voice", [
        Cell(percent(arms[a]["style"]["value"]), _style(arms[a])) for a in names
    ], *_best(results, "style"))  # fmt: skip
    add("Speed", "whole answer, median", [
        Cell(seconds(arms[a]["total"]["value"]),
             f"95%: {seconds(arms[a]['total'].get('p95'))}; first token "
             f"{seconds(arms[a]['first']['value'])}" + _memory(about[a]))
        for a in names], _least({a: arms[a]["total"]["value"] for a in names}))  # fmt: skip
    return made


def _least(values: Mapping[str, float | None]) -> list[str]:
    """The arms with the smallest value, and those that nobody would tell from it."""
    known = {a: v for a, v in values.items() if v is not None}
    if len(known) < 2:
        return []
    least = min(known.values())
    return [a for a, v in known.items() if v <= least * 1.01]


def _cost(cost: Mapping[str, Any], results: Results) -> Cell:
    currency, prices = results["costs"]["currency"], results["costs"]["prices"]
    mistakes = cost["mistakes"] * prices["questions_month"]
    return Cell(
        money(cost["month"], currency),
        f"of it mistakes {money(mistakes, currency)}; once {money(cost['fixed'], currency)}; a "
        f"right answer {money(cost['correct'], currency)}",
    )


def _memory(about: Mapping[str, Any]) -> str:
    return f"; {about['memory_mb']:.0f} MiB" if about.get("memory_mb") else ""


def _freshness(name: str, results: Results) -> Cell:
    arm = results["arms"][name]
    told, took = arm["new_fact"], arm["seconds_to_new"]
    if not told["n"]:
        return Cell("–", "not measured")
    if name in not_retrained(results):
        return Cell(f"≥ {seconds(took['value'])}", "training again was not run")
    right = f"{round(told['value'] * told['n'])} of {told['n']} told"
    if took["value"] is None:
        return Cell("never" if not results["about"][name]["documents"] else "–", right)
    return Cell(seconds(took["value"]), right)


def not_retrained(results: Results) -> list[str]:
    """Arms that would have to be trained again to tell a change, where that was not run."""
    return [name for name, about in results["about"].items()
            if about["adapters"] and not about["documents"]
            and results["arms"][name]["new_fact"]["n"]
            and f"retraining {name}" not in results["facts"]]  # fmt: skip


def _style(arm: Mapping[str, Any]) -> str:
    written = arm["raw_style"]["value"]
    if written is None or written == arm["style"]["value"]:
        return span(arm["style"])
    return f"{span(arm['style'])}; as written {percent(written)}"


def _attribution(arm: Mapping[str, Any]) -> Cell:
    if arm["citation_recall"].get("why"):
        return Cell("cannot attribute", "nothing to cite")
    if not arm["citation_recall"]["n"]:
        return Cell("–", "no gold evidence")
    return Cell(
        percent(arm["citation_recall"]["value"]) + " of gold",
        f"{percent(arm['citation_precision']['value'])} of citations right, "
        f"{percent(arm['exact_quotes']['value'])} byte-exact",
    )


def _best(results: Results, measure: str) -> tuple[list[str], bool]:
    """The arms that lead on a measure, and whether a single one was told from every other."""
    values = {a: m[measure]["value"] for a, m in results["arms"].items()
              if m[measure]["value"] is not None}  # fmt: skip
    if not values or (len(values) > 1 and max(values.values()) == min(values.values())):
        return [], False
    most = max(values.values())
    best = [a for a, v in values.items() if v > most - 1e-9]
    pairs = [p for p in results["pairs"] if p["measure"] == measure and best[0] in (p["a"], p["b"])]
    sure = len(best) == 1 and bool(pairs) and all(p["p_holm"] < 0.05 for p in pairs)
    return best, sure


# ---------------------------------------------------------------- the verdict


def headline(results: Results) -> str:
    """One line: the winner, or that there is none yet."""
    v = results["verdict"]
    if v.get("winner"):
        return f"{v['winner']} fits best"
    if not v.get("leader"):
        return "Nothing could be judged"
    close = _close(v)
    if not close and v["rivals"]:
        return f"Cannot tell yet: {v['leader']} leads, on too few questions"
    return f"Cannot tell yet: {_list([v['leader'], *close], 'or')}"


def _close(v: Mapping[str, Any]) -> list[str]:
    return [r["name"] for r in v["rivals"] if r["p_holm"] >= 0.05]


def paragraph(results: Results) -> str:
    """The verdict in a paragraph."""
    v = results["verdict"]
    if not v.get("leader"):
        return str(v.get("why", ""))
    says = results["about"][v["leader"]]["says"]
    n, documents = results["settings"]["questions"], results["settings"]["documents"]
    asked = results["about"][v["leader"]]["asked"]
    numbers = decisive(results)
    parts = [f"On {asked} of {n} held-out questions over {documents} documents" if asked < n
             else f"On {n} held-out questions over {documents} documents"]  # fmt: skip
    if v["winner"]:
        parts[0] += f", {v['winner']} ({says}) is ahead of every other approach."
    elif len(results["arms"]) == 1:
        parts[0] += f", {v['leader']} ({says}) was measured alone: name another arm to compare."
    elif not _close(v):
        parts[0] += f", {v['leader']} ({says}) leads, but so few questions name no winner."
    else:
        parts[0] += (
            f", {v['leader']} ({says}) leads, but {_list(_close(v), 'and')} cannot be told from it."
        )
    if v["runner_up"]:
        told = "; ".join(f"{name}: {ours} against {theirs}" for name, ours, theirs in numbers)
        parts.append(f"What parts it from {v['runner_up']}, most telling first: {told}.")
    if not v["winner"] and v["runner_up"]:
        parts.append(_how_many(v))
    parts.append(facts_and_voice(results))
    if v.get("not_measured"):
        parts.append("Not in the verdict: " + "; ".join(v["not_measured"]) + ".")
    return " ".join(p for p in parts if p)


def _how_many(v: Mapping[str, Any]) -> str:
    if v["same"]:
        return (f"The difference from {_list(v['same'], 'and')} is smaller than anybody would "
                "notice: take the one that is simpler to run.")  # fmt: skip
    if v["more"] is None:
        return "They are so close that no reasonable number of further questions would tell."
    return f"About {v['more']:,} more questions of this kind would tell."


def decisive(results: Results) -> list[tuple[str, str, str]]:
    """The three criteria that part the leader from the runner-up, with both figures."""
    v = results["verdict"]
    if not v.get("runner_up"):
        return []
    return [
        (CRITERIA[c], figure(results, v["leader"], c), figure(results, v["runner_up"], c))
        for c, _ in v["decisive"]
    ]


def figure(results: Results, arm: str, criterion: str) -> str:
    """An arm's figure on a criterion, in its own unit."""
    m, about = results["arms"][arm], results["about"][arm]
    if criterion == "accuracy":
        return percent(m["decision"]["value"])
    if criterion == "freshness":
        cell = _freshness(arm, results)
        return f"{cell.text} ({cell.below})"
    if criterion == "cost":
        return money(about["cost"]["month"], results["costs"]["currency"]) + " a month"
    if criterion == "attribution":
        if not about["documents"]:
            return "cannot attribute"
        recall, precision = m["citation_recall"]["value"], m["citation_precision"]["value"]
        return f"{percent(recall)} of gold cited, {percent(precision)} of citations on it"
    if criterion == "style":
        return percent(m["style"]["value"])
    return seconds(m["total"]["value"])


def facts_and_voice(results: Results) -> str:
    """Whether "documents for facts, tuning for voice" comes out of these numbers."""
    arms = results["arms"]
    facts, sure_facts = _best(results, "right")
    voice, sure_voice = _best(results, "style")
    if not facts:
        return ""
    said = f"For facts {_leads(facts, percent(arms[facts[0]]['right']['value']), sure_facts)}"
    if not voice:
        return said + "."
    share = percent(arms[voice[0]]["style"]["value"])
    return said + f"; for the company's voice {_leads(voice, share, sure_voice)}."


def _leads(names: Sequence[str], share: str, sure: bool) -> str:
    verb = "leads" if len(names) == 1 else "lead"
    return f"{_list(names, 'and')} {verb} ({share}{'' if sure else ', not told from all others'})"


def kind_lines(results: Results) -> list[str]:
    """One sentence for each kind of question."""
    lines = []
    for kind in results["kinds"]:
        best = max(kind["shares"].values())
        leaders = [a for a, v in kind["shares"].items() if v > best - 1e-9]
        start = f"{kind['kind']} ({kind['n']} questions): "
        share = percent(best)
        if len(kind["shares"]) == 1 or kind["winner"]:
            lines.append(start + f"{kind['leader']}, {share} right")
        elif best == 0:
            lines.append(start + "no arm was right")
        elif kind["n"] < 10:
            lines.append(start + f"{_list(leaders, 'and')} {share}; too few to tell")
        elif len(leaders) > 1:
            lines.append(start + f"{_list(leaders, 'and')} the same, {share} right")
        else:
            more = kind["more"]
            hint = "too close for any number of questions"
            if more is not None:
                hint = f"about {max(more, 1):,} more questions of this kind"
            other = percent(kind["shares"][kind["runner_up"]])
            lines.append(start + f"cannot tell {kind['leader']} ({share}) from "
                         f"{kind['runner_up']} ({other}): {hint}")  # fmt: skip
    return lines


def stability_lines(results: Results) -> list[str]:
    """How far each weight can move before another arm leads."""
    lines = []
    for s in results["verdict"].get("stability", ()):
        name, now = CRITERIA[s["criterion"]], percent(s["weight"])
        if s["at_low"] is None and s["at_high"] is None:
            lines.append(f"{name} (weight {now}): whatever its weight, the same arm leads")
            continue
        ends = []
        if s["at_low"]:
            ends.append(f"below {percent(s['low'])} {s['at_low']} leads")
        if s["at_high"]:
            ends.append(f"above {percent(s['high'])} {s['at_high']} leads")
        lines.append(f"{name} (weight {now}): " + ", ".join(ends))
    return lines


def next_steps(results: Results) -> list[tuple[str, str]]:
    """(what, command) to do next."""
    v = results["verdict"]
    arm = v.get("winner") or v.get("leader")
    if not arm:
        return []
    about = results["about"][arm]
    steps: list[tuple[str, str]] = []
    if v.get("winner"):
        if about["adapters"]:
            steps.append(("use it from now on", f"ragtune models use {about['adapters'][0]}"))
            documents = "" if about["documents"] else " --no-docs"
            steps.append(("try it", f'ragtune ask{documents} "…"'))
        elif about["documents"]:
            mode = "write" if about["writes"] else "quote"
            steps.append((f'set answer = "{mode}" under [answer] in ragtune.toml, and try it',
                          f'ragtune ask --{mode} "…"'))  # fmt: skip
        else:
            steps.append(("try it", 'ragtune ask --no-docs --model base "…"'))
    elif v.get("runner_up"):
        more = f"{v['more']:,} " if v.get("more") else ""
        steps.append((f"label {more}more questions and compare again",
                      "ragtune compare more-questions.jsonl --out another-folder"))  # fmt: skip
    if any("budget ended" in n for n in results["notes"]):
        steps.append(("finish what the budget cut", "ragtune compare … --resume"))
    low = [(a, w) for a, w in results["left_out"].items() if "ragtune tune" in w]
    if low:
        steps.append((f"train what {_list([a for a, _ in low], 'and')} needs",
                      "ragtune tune examples.jsonl"))  # fmt: skip
    return steps


def pair_lines(results: Results, measure: str = "decision") -> list[str]:
    """The differences between arms on a measure, with what could have been seen."""
    lines = []
    for p in results["pairs"]:
        if p["measure"] == measure:
            said = "told apart" if p["p_holm"] < 0.05 else "not told apart"
            lines.append(
                f"{p['a']} − {p['b']}: {number(100 * p['value'], 0)} points "
                f"({number(_scaled(p['low']), 0)} to {number(_scaled(p['high']), 0)}), {said}; "
                f"{p['n']} questions show {number(_scaled(p['detectable']), 0)} points"
            )
    return lines


def _scaled(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _list(names: Sequence[str], word: str) -> str:
    """'a, b and c'."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
