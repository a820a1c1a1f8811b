"""Area `serving`: what the gateway adds to a backend, and a batch of adapters against turns.

The whole gateway is measured, as `serve` runs it, with keys, routing, metrics, its log and the
landing zone, before an engine that answers at once. The peer is a bare ASGI application on the same
server with the same answer. Server and load have a core each; they are measured in turn.
Requests a second are counted per second of CPU time of the server, all its threads together: what
a core does. The rate by the clock is in the note; the fsync of the landing zone is in there.
"""

import json
import multiprocessing
import os
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ft_assets.adapters.base_model import BaseSpec, ensure_base
from ft_resources.gateway.cohort import Done, Event, Generation
from ft_resources.gateway.engine import Engine
from tests.bench.instant import API_KEY, DOMAIN, PIECES, serve_bare, serve_gateway
from tests.bench.timing import Measure, ahead, floor, interleaved
from tests.resources.gateway.world import make_adapter

CONNECTIONS = 32
RATE = 250  # requests a second of the latency measurement: a quarter of what a core can do
SECONDS = 3.0
ROUNDS = 3
PROJECT = Path(__file__).parent.parent.parent
ADAPTERS = 4
ANSWER = 64  # tokens
ARRIVALS = 12  # requests
APART = 6  # passes between two of them
QUESTION = "May the landlord raise the rent twice in one year, and by how much?"

SPAWN = multiprocessing.get_context("spawn")


def measures() -> Iterator[Measure]:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            running(serve_bare, cores[0], folder / "bare") as bare,
            running(serve_gateway, cores[0], folder / "gateway") as gateway,
        ):
            load = Load(cores[-1])
            yield from added_latency(load, gateway, bare)
            yield throughput(load, gateway, bare)
            yield chunks(load, gateway, bare)
        yield from batches(folder)


@dataclass(frozen=True)
class Server:
    port: int
    pid: int

    def cpu_s(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


@contextmanager
def running(target: Any, core: int, folder: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir()
    process = SPAWN.Process(target=target, args=(folder, port, core), daemon=True)
    process.start()
    try:
        _wait(port)
        yield Server(port, process.pid or 0)
    finally:
        process.terminate()
        process.join(40)


def _wait(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"no server on port {port} after 60 s")


@dataclass(frozen=True)
class Load:
    core: int

    def put(self, server: Server, *, stream: bool = False, rate: float = 0.0) -> dict[str, Any]:
        """The result of load.py, with `cpu_s` of the server."""
        body = {"model": DOMAIN, "messages": [{"role": "user", "content": QUESTION}]}
        plan = {
            "port": server.port,
            "body": json.dumps({**body, "stream": stream, "temperature": 0, "user": "u1"}),
            "headers": {
                "Authorization": f"Bearer {API_KEY}",
                "Content-Type": "application/json",
            },
            "connections": CONNECTIONS,
            "seconds": SECONDS,
            "rate": rate,
        }
        before = server.cpu_s()
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.load"],
            input=json.dumps(plan),
            env={**os.environ, "BENCH_CORE": str(self.core)},
            cwd=PROJECT,
            check=True,
            capture_output=True,
            text=True,
        )
        result = json.loads(done.stdout)
        if result["errors"]:
            raise RuntimeError(f"{result['errors']} of {result['requests']} were no answers")
        return {**result, "cpu_s": server.cpu_s() - before}


def added_latency(load: Load, gateway: Server, bare: Server) -> Iterator[Measure]:
    ours, peer, tails = [], [], []
    for _ in range(ROUNDS):
        found = load.put(gateway, rate=RATE)["latencies_ms"]
        ours.append(found["p50"])
        tails.append(found["p99"])
        peer.append(load.put(bare, rate=RATE)["latencies_ms"]["p50"])
    added = statistics.median(ours) - statistics.median(peer)
    note = f"{CONNECTIONS} connections, {RATE} requests/s; p99 {statistics.median(tails):.1f} ms"
    yield {
        "measure": "gateway_added_p50_ms",
        "ours": statistics.median(ours),
        "peer": statistics.median(peer),
        "unit": "ms",
        "ratio": added,
        "goal": "ours - peer <= 1",
        "holds": added <= 1,
        "note": note,
    }


def throughput(load: Load, gateway: Server, bare: Server) -> Measure:
    ours, peer, clock = [], [], []
    for _ in range(ROUNDS):
        found = load.put(gateway)
        ours.append(found["requests"] / found["cpu_s"])
        clock.append(found["requests"] / found["wall_s"])
        found = load.put(bare)
        peer.append(found["requests"] / found["cpu_s"])
    note = f"by the clock {statistics.median(clock):.0f}/s"
    return floor(
        "gateway_requests_per_s",
        statistics.median(ours),
        statistics.median(peer),
        5_000,
        "requests / CPU s",
        note,
    )


def chunks(load: Load, gateway: Server, bare: Server) -> Measure:
    ours, peer, clock = [], [], []
    for _ in range(ROUNDS):
        found = load.put(gateway, stream=True)
        ours.append(found["events"] / found["cpu_s"])
        clock.append(found["events"] / found["wall_s"])
        found = load.put(bare, stream=True)
        peer.append(found["events"] / found["cpu_s"])
    note = f"answers of {PIECES} pieces; by the clock {statistics.median(clock):.0f}/s"
    return floor(
        "gateway_sse_chunks_per_s",
        statistics.median(ours),
        statistics.median(peer),
        40_000,
        "chunks / CPU s",
        note,
    )


def batches(folder: Path) -> Iterator[Measure]:
    base, digest = ensure_base(folder / "base", BaseSpec("embedded", steps=2), lambda facts: None)
    adapters = [
        make_adapter(folder / "adapters", base, DOMAIN, seed, scale=0.01)
        for seed in range(ADAPTERS)
    ]
    joining, turns = Answering(Engine(), base, digest, adapters), None
    try:
        yield mixed_batch(joining)
        turns = Answering(TakingTurns(), base, digest, adapters)
        yield joined(joining, turns)
    finally:
        joining.engine.stop(10)
        if turns:
            turns.engine.stop(10)


class TakingTurns(Engine):
    """Rows that came later stay a batch of their own."""

    def _join(self) -> None:
        return


class Answering:
    """An engine with adapters loaded; answers are ANSWER tokens long, whatever the model says."""

    def __init__(self, engine: Engine, base: Path, digest: str, adapters: Sequence[Path]) -> None:
        self.engine, self._digest = engine, digest
        self.names = [adapter.name for adapter in adapters]
        self._done = queue.Queue[Event]()
        engine.start()
        engine.load_base(base, digest).result()
        for adapter in adapters:
            engine.load_adapter(adapter.name, adapter, digest).result()
        loaded = engine.base(digest)
        if loaded is None:
            raise RuntimeError("the base is not loaded")
        loaded.ends = frozenset()
        self._ids = loaded.tokenizer.encode_text(QUESTION)
        self.together()  # the first pass allocates

    def ask(self, name: str) -> None:
        sink = self._done.put
        self.engine.submit(
            Generation(self._digest, name, self._ids, ANSWER, 0.0, 1.0, None, (), False, sink)
        )

    def answered(self) -> None:
        found = self._done.get(timeout=300)
        if not isinstance(found, Done) or found.completion_tokens != ANSWER:
            raise RuntimeError(f"no whole answer: {type(found).__name__}")

    def together(self) -> None:
        for name in self.names:
            self.ask(name)
        for _ in self.names:
            self.answered()

    def in_turn(self) -> None:
        for name in self.names:
            self.ask(name)
            self.answered()

    def arriving(self) -> None:
        """ARRIVALS requests that come while others are answered, some tokens apart."""
        for number in range(ARRIVALS):
            self.ask(self.names[number % len(self.names)])
            wait_until = self.engine.passes + APART
            while self.engine.passes < wait_until and self.engine.load() != (0, 0):
                time.sleep(0.001)
        for _ in range(ARRIVALS):
            self.answered()


def mixed_batch(engine: Answering) -> Measure:
    """Four requests to four adapters in one batch, against one after another; same engine."""
    times = interleaved(engine.together, engine.in_turn, 5)
    rates = [ADAPTERS * ANSWER / seconds for seconds in times]
    return ahead("mixed_batch_vs_serial", *rates, 2.5, "tokens/s")


def joined(joining: Answering, turns: Answering) -> Measure:
    """Requests that come one after another: joining the running batch, against taking turns."""
    times = interleaved(joining.arriving, turns.arriving, 3)
    rates = [ARRIVALS * ANSWER / seconds for seconds in times]
    return ahead("joining_vs_turns", *rates, None, "tokens/s")
