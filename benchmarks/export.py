"""Every export: size, memory, speed, and how near it is to the workspace.

    python -m benchmarks.export --work DIR              writes all formats there and compares them
    python -m benchmarks.export --work DIR --speed      then measures speed and memory
    python -m benchmarks.export --work DIR --router     the router's row again, alone

The workspace is the sample company with the grounded adapter that ships with ragtune, so that
nothing is trained here but a router (from the documents). Parity is what `ragtune export` measures
and gates: the same tokens, teacher-forced, as the trainer's model (fp32) and as the workspace's
llama.cpp on its own prompts, and the very same verified answers to 32 questions that the documents
give. The last rows are mistakes on purpose: the gate must refuse them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine

from ragtune import config, demo, workspace
from ragtune.errors import RagtuneError
from ragtune.export import answers, compared, folder, genai, onnx_parts, report, served
from ragtune.models import adapters, generate
from ragtune.route import synthesise
from ragtune.route import train as routes
from ragtune.tune import convert, export, merge, parity

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("onnxruntime", "onnxruntime-genai", "xllamacpp", "torch", "transformers")
MISTAKES = (("alpha × 1.5", 1.5), ("alpha × 0.5", 0.5))


def parts(work: Path, opened: workspace.Workspace, questions: answers.Questions) -> Iterator[Any]:
    """Embedder, reader and router in their precisions."""
    data = onnx_parts.data_folder(opened.root)
    comparison = compared.Comparison(opened, questions)
    kinds: tuple[onnx_parts.Precision, ...] = ("fp32", "int8")
    for precision in kinds:
        place = _empty(work / f"embedder-{precision}")
        onnx_parts.write_embedder(opened.settings, place, precision)
        yield place, "embedder", comparison.embedder(place, precision)[0]
        place = _empty(work / f"reader-{precision}")
        onnx_parts.write_reader(opened.settings, data, place, precision)
        yield place, "reader", comparison.reader(place, precision)[0]
    yield router(work, data, comparison)
    pairs = comparison.watched.pairs if comparison.watched else []
    cases = {
        "texts": [text for _, text, _ in pairs[:100]],
        "pairs": [(q, t) for q, t, _ in pairs[:100]],
        "questions": list(questions.texts) * 3,
    }
    (work / "cases.json").write_text(json.dumps(cases), "utf-8")


def router(work: Path, data: Path, comparison: compared.Comparison) -> Any:
    place = _empty(work / "router-int8")
    onnx_parts.write_router(data, place)
    return place, "router", comparison.router(place)[0]


def generators(
    work: Path, one: adapters.Listed, base_gguf: Path, recorded: served.Recorded
) -> Iterator[Any]:
    """The tuned model in its formats; last, what the gate must refuse."""
    cases = json.loads((work / "cases.json").read_text("utf-8"))
    cases["ids"] = folder.generator_cases(recorded)[0]["ids"]
    (work / "cases.json").write_text(json.dumps(cases), "utf-8")
    settings = recorded.settings
    base = convert.read_base(base_gguf)
    lora = convert.read_adapter(one.folder / adapters.FILE, base)

    def row(kind: str, path: Path, runtime: served.Runtime, size: int) -> Any:
        found = served.compare(recorded, runtime)
        return path, "generator", report.generator(kind, "generator", size, found)

    file = work / "adapter.gguf"
    shutil.copyfile(one.folder / adapters.FILE, file)
    size = base_gguf.stat().st_size + file.stat().st_size
    yield row("adapter", file, served.LlamaRuntime(base_gguf, file, settings), size)
    kinds: tuple[merge.MergedType, ...] = ("f16", "q8_0", "q4_0")
    for kind in kinds:
        file = work / f"merged-{kind}.gguf"
        merge.write_gguf(base, lora, file, kind, "merged")
        runtime = served.LlamaRuntime(file, None, settings)
        yield row(kind, file, runtime, file.stat().st_size)
    precisions: tuple[onnx_parts.Precision, ...] = ("fp32", "int8", "int4")
    for precision in precisions:
        place = _empty(work / f"onnx-{precision}")
        genai.write_generator(base_gguf, one, place, precision, settings.threads)
        made = genai.GenaiRuntime(place, parity.half(settings.threads))
        yield row(f"onnx {precision}", place, made, report.size(place))


def mistakes(work: Path, one: adapters.Listed, base_gguf: Path) -> Iterator[tuple[str, Any, bool]]:
    """Adapters that are wrong on purpose: name, parity, whether the gate lets it pass."""
    from ragtune.export import formats

    base = convert.read_base(base_gguf)
    lora = convert.read_adapter(one.folder / adapters.FILE, base)
    right = _empty(work / "peft")
    assert one.passport is not None
    formats.write_peft(base, lora, one.passport, right)
    made = parity.read_reference(one.folder / export.PARITY)

    def found(name: str, peft: Path) -> tuple[str, Any, bool]:
        file = export.gguf_adapter(peft, base_gguf, work / "wrong.gguf")
        measured = parity.measure(made, base_gguf, file)
        try:
            parity.gate(measured, "adapter")
        except RagtuneError:
            return name, measured, False
        return name, measured, True

    yield found("none", right)
    for name, factor in MISTAKES:
        wrong = work / "wrong"
        shutil.copytree(right, wrong, dirs_exist_ok=True)
        values = json.loads((right / convert.CONFIG).read_text("utf-8"))
        values["lora_alpha"] *= factor
        (wrong / convert.CONFIG).write_text(json.dumps(values), "utf-8")
        yield found(name, wrong)
    permute = convert.permute
    convert.permute = lambda rows, tensor, base: rows
    try:
        yield found("rows not permuted", right)
    finally:
        convert.permute = permute


def company(work: Path) -> Path:
    """The sample company in a workspace with a router of its documents."""
    work.mkdir(parents=True, exist_ok=True)
    root = work / "company"
    if not (root / config.FILE_NAME).exists():
        with workspace.init(root) as made:
            made.add([demo.SAMPLE])
    with workspace.open(root) as opened:
        if not onnx_parts.has_router(onnx_parts.data_folder(root)):
            infos = [i for i in opened.documents() if i.state == "indexed"]
            documents = [d for i in infos if (d := opened.store.get(i.uri)) is not None]
            routes.train(synthesise.synthesise(documents), onnx_parts.data_folder(root))
    return root


def router_again(work: Path) -> None:
    """Writes and measures the router alone; the other rows of the report stay as they are."""
    root = company(work)
    with workspace.open(root) as opened:
        one = adapters.find(root / config.DATA_FOLDER, adapters.BUILT_IN)
        questions = answers.own_questions(opened, one)
        comparison = compared.Comparison(opened, questions)
        place, part, told = router(work, onnx_parts.data_folder(root), comparison)
    print(told.line, flush=True)
    (work / "cases.json").write_text(json.dumps({"questions": list(questions.texts) * 3}), "utf-8")
    # Through a shell: a process counts as held what the one held that started it.
    command = ["sh", "-c", '"$@"; exit $?', "sh"]
    command += [sys.executable, "-m", "benchmarks.export_speed", "router", str(place)]
    done = subprocess.run(
        [*command, str(work / "cases.json")], capture_output=True, text=True, check=True
    )
    found = json.loads((RESULTS / "export.json").read_text("utf-8"))
    row = {"path": place.name, "kind": (part, told.precision), **asdict(told),
           "speed": json.loads(done.stdout.splitlines()[-1])}  # fmt: skip
    found["rows"] = [row if r["part"] == "router" else r for r in found["rows"]]
    found["router"] = machine.describe(*PACKAGES)
    report_on(found)


def report_on(found: dict[str, Any]) -> None:
    """Writes the result files."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "export.json").write_text(json.dumps(found, indent=1))
    text = list(lines(found["machine"], found["rows"], found["mistakes"]))
    if again := found.get("router"):
        text += ["", f"The router's row: {again['date']}, commit {again['commit']}, load "
                 f"{again['load_1min']}."]  # fmt: skip
    (RESULTS / "export.md").write_text("\n".join(text) + "\n", "utf-8")


def compare(work: Path) -> None:
    """Writes every format and compares it; rows go to DIR/rows.json as they come."""
    root = company(work)
    rows: list[dict[str, Any]] = []
    with workspace.open(root) as opened:
        one = adapters.find(root / config.DATA_FOLDER, adapters.BUILT_IN)
        base_gguf = generate.base_file(opened.settings)
        questions = answers.own_questions(opened, one)

        def keep(found: Any) -> None:
            path, part, told = found
            kind = (part, told.precision)
            rows.append({"path": str(path), "kind": kind, **asdict(told)})
            print(told.precision, told.line, flush=True)
            (work / "rows.json").write_text(json.dumps(rows), "utf-8")

        for found in parts(work, opened, questions):
            keep(found)
        recorded = served.record(opened, one, base_gguf, questions)
        for found in generators(work, one, base_gguf, recorded):
            keep(found)
    wrong: list[dict[str, Any]] = []
    for name, measured, passed in mistakes(work, one, base_gguf):
        wrong.append({"mistake": name, "passed": passed, **asdict(measured)})
        print(wrong[-1], flush=True)
    (work / "mistakes.json").write_text(json.dumps(wrong), "utf-8")


def speed(work: Path) -> None:
    """Speed and memory of what `compare` wrote, each in a process of its own; and the report."""
    rows = json.loads((work / "rows.json").read_text("utf-8"))
    base = str(generate.base_file(config.Settings()))
    about = machine.describe(*PACKAGES)
    began = time.perf_counter()
    for row in rows:
        kind, path = row["part"], row["path"]
        if kind == "generator":
            kind = "genai" if "onnxruntime-genai" in row["runtime"] else "llama"
            path = f"{base}+{path}" if row["precision"] == "adapter" else path
        command = [sys.executable, "-m", "benchmarks.export_speed", kind, path]
        done = subprocess.run(
            [*command, str(work / "cases.json")], capture_output=True, text=True, check=True
        )
        row["speed"] = json.loads(done.stdout.splitlines()[-1])
        print(row["kind"], row["speed"], flush=True)
    about["seconds"] = round(time.perf_counter() - began)
    wrong = json.loads((work / "mistakes.json").read_text("utf-8"))
    report_on({"machine": about, "rows": rows, "mistakes": wrong})


def lines(about: Any, rows: Any, wrong: Any) -> Iterator[str]:
    """The report as Markdown."""
    yield "# Exports against the workspace"
    yield ""
    yield machine.markdown(about)
    yield ""
    yield "| part | format | MB | memory, MB | speed, CPU time | nearness | same answers |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield _row(row)
    yield ""
    asked = int(rows[0]["figures"]["questions"])
    yield (
        f"Same answers: of {asked} questions that the sample company's documents give, text, state "
        "and cited places alike. Nearness of a generator: share of next tokens as the trainer's "
        "model in fp32 / as the workspace's llama.cpp on its own prompts, and the divergence "
        f"(nats) from the trainer's of {rows[-1]['figures']['effect_trainer']:.2f} that tuning "
        "made. Speed: one thread, texts of one or two sentences, a prompt of about 100 tokens. "
        "Memory: what loading and running added to an empty process, a mapped file included. "
        "The adapter's size is with its base (98 MB)."
    )
    yield ""
    yield "| made wrong on purpose | next tokens | divergence | spread | gate |"
    yield "|---|---|---|---|---|"
    for one in wrong:
        gate = "passes" if one["passed"] else "refused"
        yield (
            f"| {one['mistake']} | {one['agreement']:.1%} | {one['divergence']:.4f} of "
            f"{one['effect']:.2f} | {one['spread']:.3f} | {gate} |"
        )


def _row(row: Any) -> str:
    figures, fast = row["figures"], row["speed"]
    if row["part"] == "generator":
        near = (
            f"{figures['agreement_trainer']:.1%} / {figures['agreement_workspace']:.1%}, "
            f"{figures['divergence_trainer']:.4f}"
        )
        swift = f"{fast['prompt']:.0f} tokens/s read, {fast['write']:.0f} written"
    else:
        swift = f"{fast['ms']:.2f} ms a text"
        near = {
            "embedder": lambda f: f"cosine {f['cosine_mean']:.4f}, least {f['cosine_least']:.4f}",
            "reader": lambda f: f"{f['same_phrases']:.1%} phrases, scores {f['score_drift']:.3f}",
            "router": lambda f: f"{f['same_intents']:.1%} intents, ±{f['probability_drift']:.4f}",
        }[row["part"]](figures)
    same = f"{figures['same_answers']:.0%}" if "same_answers" in figures else "–"
    label = {"adapter": "GGUF Q4_1 + adapter f16", "as trained": "ONNX int8"}.get(
        row["precision"],
        f"GGUF {row['precision']}, merged" if "llama" in row["runtime"]
        else f"ONNX {row['precision']}",
    )  # fmt: skip
    return (
        f"| {row['part']} | {label} | {row['bytes'] / 1e6:.1f} | "
        f"{fast['peak_mb'] - fast['before_mb']:.0f} | {swift} | {near} | {same} |"
    )


def _empty(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--router", action="store_true", help="only the router's row, again")
    options = parser.parse_args()
    wanted = router_again if options.router else speed if options.speed else compare
    wanted(options.work.resolve())


if __name__ == "__main__":
    main()
