"""A load generator for HTTP/1.1 over kept connections: a process of its own, on a core of its own.

Raw bytes and no parsing beyond the frame, so that what is measured is the server. Run as
`python -m tests.bench.load`, plan as JSON on stdin, result as JSON on stdout:

    plan    {port, body, headers, connections, seconds, rate}; rate 0: as fast as answers come,
            else requests a second over all connections, each on its own clock
    result  {requests, errors, events, wall_s, latencies_ms: {p50, p99}}; events: server-sent ones

With a rate, latency is counted from when a request was due, not from when it could be sent: a
server that stalls is charged for what waited (coordinated omission).
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: Any = None
        self._buffer = bytearray()
        self._answered: asyncio.Future[tuple[int, int]] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self) -> "asyncio.Future[tuple[int, int]]":
        """(status, server-sent events) of the next answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(self._request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        buffer, end = self._buffer, self._buffer.find(END)
        if end < 0:
            return
        head = bytes(buffer[:end]).lower()
        at = head.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(buffer) < end + 4 + length:
                return
        elif not buffer.endswith(LAST_CHUNK):
            return
        self._done((int(buffer[9:12]), buffer.count(b"data: ", end)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._done((0, 0))

    def _done(self, result: tuple[int, int]) -> None:
        self._buffer.clear()
        if self._answered and not self._answered.done():
            self._answered.set_result(result)


async def drive(plan: dict[str, Any]) -> dict[str, Any]:
    lines = [f"{name}: {value}" for name, value in plan["headers"].items()]
    body = plan["body"].encode()
    head = "\r\n".join(
        [
            "POST /v1/chat/completions HTTP/1.1",
            "Host: bench",
            *lines,
            f"Content-Length: {len(body)}",
        ]
    )
    request, loop = head.encode() + END + body, asyncio.get_running_loop()
    latencies: list[float] = []
    counts = {"errors": 0, "events": 0}

    async def client(number: int, until: float) -> None:
        _, line = await loop.create_connection(
            lambda: Connection(request), "127.0.0.1", plan["port"]
        )
        step = plan["connections"] / plan["rate"] if plan["rate"] else 0.0
        due = time.perf_counter() + step * number / plan["connections"]
        while due < until:
            if step and (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            began = due if step else time.perf_counter()
            status, events = await line.ask()
            latencies.append((time.perf_counter() - began) * 1000)
            counts["errors"] += status != 200
            counts["events"] += events
            if status == 0:
                return
            due = due + step if step else time.perf_counter()

    began = time.perf_counter()
    until = began + plan["seconds"]
    await asyncio.gather(*(client(n, until) for n in range(plan["connections"])))
    ranked = sorted(latencies)
    return {
        "requests": len(ranked),
        **counts,
        "wall_s": time.perf_counter() - began,
        "latencies_ms": {
            "p50": ranked[len(ranked) // 2],
            "p99": ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))],
        },
    }


if __name__ == "__main__":
    import uvloop

    if (core := os.environ.get("BENCH_CORE")) is not None:
        os.sched_setaffinity(0, {int(core)})
    json.dump(uvloop.run(drive(json.load(sys.stdin))), sys.stdout)
