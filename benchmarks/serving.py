"""Load on `ragtune serve`, beside txtai's server over the same passages and the same model.

    python -m benchmarks.serving prepare WORK     # stores of 10,000 passages; minutes, not timed
    python -m benchmarks.serving measure WORK     # under 3 minutes; benchmarks/results/serving.md
    python -m benchmarks.serving soak WORK --minutes 30

`prepare` and `measure` take txtai from `--peer FOLDER` (pip install --no-deps --target FOLDER txtai
faiss-cpu fastapi-mcp msgpack aiohttp aiosignal aiohappyeyeballs frozenlist multidict propcache yarl
attrs; torch and transformers are of this environment); without it ragtune is measured alone.
The client is on the same machine and takes a share of its cores: it is plain sockets in one thread,
and its own CPU time is reported.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from benchmarks import machine, peers_corpus

from ragtune import config

PASSAGES = 10_000
SECONDS = 9.0  # of each round
ROUNDS = 2
CLIENTS = (1, 4, 8, 16)
STREAMS = 64
TOKEN = "benchmark-" + "x" * 20
RESULTS = Path(__file__).parent / "results"


# ---------------------------------------------------------------- a client that costs little


async def request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
) -> tuple[int, bytes]:
    """One request on a connection that is kept; status and body."""
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    at = head.lower().find(b"content-length:")
    if at >= 0:
        return status, await reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
    body = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return status, body


async def load(
    port: int, requests: Sequence[bytes], clients: int, seconds: float
) -> dict[str, Any]:
    """Requests per second and latencies with `clients` that each wait for their answer."""
    times: list[float] = []
    failed = 0
    begun = time.perf_counter()
    cpu = time.process_time()

    async def client(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        at = number * 7919
        while time.perf_counter() - begun < seconds:
            at += 1
            sent = time.perf_counter()
            status, _ = await request(reader, writer, requests[at % len(requests)])
            times.append(time.perf_counter() - sent)
            failed += status != 200
        writer.close()

    await asyncio.gather(*(client(n) for n in range(clients)))
    passed = time.perf_counter() - begun
    times.sort()
    return {
        "clients": clients, "per_second": len(times) / passed, "failed": failed,
        "p50_ms": 1000 * times[len(times) // 2], "p95_ms": 1000 * times[int(len(times) * 0.95)],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "client_cpu": (time.process_time() - cpu) / passed,
    }  # fmt: skip


def post(path: str, body: Any) -> bytes:
    """A request of ragtune's API as bytes."""
    data = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    ).encode() + data


def get(path: str) -> bytes:
    """A GET request as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


# ---------------------------------------------------------------- servers


def ragtune(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """`ragtune serve` over the workspace in `folder`, ready."""
    command = [sys.executable, "-m", "ragtune.cli", "serve", "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "-w", str(folder)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "RAGTUNE_TOKEN": TOKEN},
    )  # fmt: skip
    assert process.stdout is not None
    port = int(json.loads(process.stdout.readline())["url"].rsplit(":", 1)[1])
    wait(port, get("/readyz"))
    return process, port


def txtai(work: Path, peer: Path, port: int = 8744) -> tuple[subprocess.Popen[str], int]:
    """txtai's own server (uvicorn txtai.api:app) over its index of the same passages."""
    config = work / "txtai.yml"
    # without the section "embeddings" it offers no search
    config.write_text(f"path: {work / 'txtai'}\nwritable: false\nembeddings: {{}}\n", "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "txtai.api:app", "--port", str(port), "--log-level",
         "error", "--no-access-log"],
        env={**os.environ, "CONFIG": str(config), "HF_HUB_OFFLINE": "1",
             "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{peer}"}, text=True,
    )  # fmt: skip
    wait(port, get("/search?query=warm&limit=10"))
    return process, port


def wait(port: int, data: bytes) -> None:
    """Until the server answers with 200."""

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        status, _ = await request(reader, writer, data)
        writer.close()
        return status

    for _ in range(600):
        try:
            if asyncio.run(one()) == 200:
                return
        except (OSError, asyncio.IncompleteReadError):
            pass
        time.sleep(0.1)
    raise RuntimeError("the server does not answer")


def prepare(work: Path, peer: Path | None) -> None:
    """Corpus, and a store each; what is there is kept."""
    work.mkdir(parents=True, exist_ok=True)
    vectors = peers_corpus.vectors(PASSAGES, work)
    texts = peers_corpus.passages(PASSAGES, work)
    if not (work / f"ragtune-{PASSAGES}" / "ragtune.toml").exists():
        from benchmarks.peers_ragtune import Ragtune

        ours = Ragtune()
        ours.load()
        ours.build(texts, vectors, work / f"ragtune-{PASSAGES}")
    # as a new workspace has it: the benchmark of peers sets `fresh` by itself
    (work / f"ragtune-{PASSAGES}" / config.FILE_NAME).write_text(config.template(), "utf-8")
    if peer is not None and not (work / "txtai").exists():
        sys.path.append(str(peer))
        from benchmarks.peers_systems import Txtai, sentence_transformer
        from txtai import Embeddings

        model = str(sentence_transformer(work))
        Txtai(model).build(texts, vectors, work / "txtai")
        made = Embeddings()  # the vectors were given: it must know who embeds the questions
        made.load(str(work / "txtai"), config={"path": model, "method": "transformers"})
        made.save(str(work / "txtai"))


# ---------------------------------------------------------------- what is measured


async def first_evidence(port: int, questions: Sequence[str]) -> dict[str, Any]:
    """From sending a question to the first event, one after another."""
    times = []
    for question in questions:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        sent = time.perf_counter()
        writer.write(post("/api/ask", {"question": question}))
        await reader.readuntil(b"event: evidence")
        times.append(time.perf_counter() - sent)
        writer.close()
    times.sort()
    return {"questions": len(times), "p50_ms": 1000 * statistics.median(times),
            "p95_ms": 1000 * times[int(0.95 * len(times))], "max_ms": 1000 * times[-1]}  # fmt: skip


async def streams(port: int, questions: Sequence[str], count: int) -> dict[str, Any]:
    """`count` chats at once that a model writes: when each had evidence, and when its end."""
    begun = time.perf_counter()

    async def one(question: str) -> tuple[float, float, bool]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.write(post("/api/ask", {"question": question, "model": "ragtune/rag"}))
        await reader.readuntil(b"event: evidence")
        seen = time.perf_counter() - begun
        rest = b""
        while b"event: answer" not in rest and (data := await reader.read(65536)):
            rest += data
        writer.close()
        return seen, time.perf_counter() - begun, b"event: answer" in rest

    done = await asyncio.gather(*(one(q) for q in questions[:count]))
    ends = sorted(end for _, end, _ in done)
    return {
        "streams": count, "ended": sum(ok for _, _, ok in done),
        "evidence_p50_s": statistics.median(seen for seen, _, _ in done),
        "evidence_max_s": max(seen for seen, _, _ in done), "first_answer_s": ends[0],
        "median_answer_s": statistics.median(ends), "last_answer_s": ends[-1],
    }  # fmt: skip


def measure(work: Path, peer: Path | None, chats: int) -> dict[str, Any]:
    """Everything in one run, the two servers in turns."""
    rounds, _ = peers_corpus.questions(4)
    questions = [q for part in rounds for q in part]
    found: dict[str, Any] = {"about": machine.describe("fastapi", "uvicorn", "txtai")}
    rows: list[dict[str, Any]] = []
    for turn in range(ROUNDS):
        part = questions[turn * 300 : (turn + 1) * 300]
        servers: list[tuple[str, Callable[[], Any], Callable[[str], bytes]]] = [
            ("ragtune", lambda: ragtune(work / f"ragtune-{PASSAGES}"),
             lambda q: post("/api/search", {"query": q, "k": 10})),
        ]  # fmt: skip
        if peer is not None:
            servers.append(("txtai", lambda: txtai(work, peer),
                            lambda q: get(f"/search?query={quote(q)}&limit=10")))  # fmt: skip
        for name, begin, ask in servers:
            process, port = begin()
            try:
                asyncio.run(load(port, [ask("warm")], 2, 1.0))
                for clients in CLIENTS:
                    # each question once a round, so that no cache answers; then one again and again
                    new = [ask(f"{q} ({clients})") for q in part]
                    one = asyncio.run(load(port, new, clients, SECONDS / len(CLIENTS)))
                    rows.append({"system": name, "round": turn, "query": "new", **one})
                    if clients == CLIENTS[-1]:
                        again = [ask(part[0])]
                        one = asyncio.run(load(port, again, clients, 3.0))
                        rows.append({"system": name, "round": turn, "query": "again", **one})
                if name == "ragtune" and turn == 0:
                    found["evidence"] = asyncio.run(first_evidence(port, questions[740:800]))
                    found["streams"] = asyncio.run(streams(port, questions[600:], chats))
            finally:
                process.terminate()
                process.wait(60)
    found["load"] = rows
    return found


def soak(work: Path, minutes: float) -> dict[str, Any]:
    """Searches and questions for so long; memory and open files each tenth of the time."""
    rounds, _ = peers_corpus.questions(3)
    questions = [q for part in rounds for q in part]
    process, port = ragtune(work / f"ragtune-{PASSAGES}")
    seen, failed, count = [], 0, 0
    sent = [post("/api/search", {"query": q}) for q in questions]
    sent += [post("/api/ask", {"question": q, "stream": False}) for q in questions]
    try:
        for _ in range(10):
            one = asyncio.run(load(port, sent, 4, minutes * 6))
            count += int(one["per_second"] * minutes * 6)
            failed += one["failed"]
            state = psutil.Process(process.pid)
            seen.append({"rss_mb": state.memory_info().rss / 1e6, "files": state.num_fds(),
                         "threads": state.num_threads()})  # fmt: skip
    finally:
        process.terminate()
        code = process.wait(60)
    return {"minutes": minutes, "requests": count, "failed": failed, "exit": code, "seen": seen}


# ---------------------------------------------------------------- the report


def report(found: dict[str, Any]) -> str:
    """As Markdown."""
    lines = ["# Serving", "", machine.markdown(found["about"]), "",
             f"{PASSAGES:,} passages; 10 hits a search; server and client share the machine.",
             "`new`: questions that were not asked before (embedding included). `again`: one "
             "question repeated (no answer is cached: it is embedded and searched again).",
             "The load was measured alone, the soak at the lowest priority beside other work.", "",
             "| system | query | clients | requests/s | p50 ms | p95 ms | failed | client's CPU |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in found["load"]:
        groups.setdefault((row["system"], row["query"], row["clients"]), []).append(row)
    for (system, query, clients), rows in groups.items():
        mean = {k: statistics.mean(r[k] for r in rows)
                for k in ("per_second", "p50_ms", "p95_ms", "client_cpu")}  # fmt: skip
        lines.append(
            f"| {system} | {query} | {clients} | {mean['per_second']:.0f} | {mean['p50_ms']:.1f} | "
            f"{mean['p95_ms']:.1f} | {sum(r['failed'] for r in rows)} | {mean['client_cpu']:.0%} |"
        )
    if evidence := found.get("evidence"):
        lines += ["", f"First evidence of `/api/ask`: {evidence['p50_ms']:.0f} ms at the median, "
                  f"{evidence['p95_ms']:.0f} ms at p95 ({evidence['questions']} questions)."
                  ]  # fmt: skip
    if chats := found.get("streams"):
        lines += ["", f"{chats['streams']} chat streams at once that a model writes: "
                  f"{chats['ended']} ended with an answer; evidence after "
                  f"{chats['evidence_p50_s']:.1f} s at the median and "
                  f"{chats['evidence_max_s']:.1f} s at most; answers after "
                  f"{chats['first_answer_s']:.1f}, {chats['median_answer_s']:.1f} and "
                  f"{chats['last_answer_s']:.1f} s (first, median, last)."]  # fmt: skip
    if soaked := found.get("soak"):
        first, last = soaked["seen"][0], soaked["seen"][-1]
        lines += ["", f"Soak, {soaked['minutes']:g} minutes, {soaked['requests']:,} requests, "
                  f"{soaked['failed']} failed: memory {first['rss_mb']:.0f} → {last['rss_mb']:.0f} "
                  f"MB, open files {first['files']} → {last['files']}, threads "
                  f"{first['threads']} → {last['threads']} (after a tenth of it, and at its end)."
                  ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("prepare", "measure", "soak"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--streams", type=int, default=STREAMS)
    given = parser.parse_args()
    if given.what == "prepare":
        prepare(given.work, given.peer)
        return
    file = RESULTS / "serving.json"
    found = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if given.what == "measure":
        found = {**found, **measure(given.work, given.peer, given.streams)}
    else:
        found["soak"] = soak(given.work, given.minutes)
    file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if "load" in found:
        (RESULTS / "serving.md").write_text(report(found), "utf-8")
        print(report(found))


if __name__ == "__main__":
    main()
