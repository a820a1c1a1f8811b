"""The gateway before an engine that answers at once, and a bare server that gives its answer."""

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ft_resources.gateway.cohort import Done, Generation, Piece

DOMAIN = "legal"
API_KEY = "key-of-the-bench"
PIECES = 64
WORDS = [f"word{n % 10} " for n in range(PIECES)]
TEXT = "".join(WORDS)


class InstantTokenizer:
    """Counts words: what a real tokenizer costs is the model's, not the gateway's."""

    context = 4_096

    def encode_chat(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return [0] * sum(len(message["content"].split()) for message in messages)

    def encode_text(self, prompt: str) -> list[int]:
        return [0] * len(prompt.split())


@dataclass(frozen=True)
class InstantBase:
    digest: str
    folder: Path
    tokenizer: Any


class InstantEngine:
    """One base that is always there, no adapters; a backend as in ft_resources/gateway."""

    max_adapters = 1
    problem = None
    passes = 0

    def __init__(self) -> None:
        self._base = InstantBase("0" * 64, Path("/"), InstantTokenizer())

    def start(self) -> None: ...

    def stop(self, timeout_s: float) -> None: ...

    def submit(self, job: Generation) -> None:
        if job.stream:
            for word in WORDS:
                job.sink(Piece(word))
            job.sink(Done(TEXT, "", "stop", PIECES))
        else:
            job.sink(Done(TEXT, TEXT, "stop", PIECES))

    def base_of(self, adapter: str) -> str | None:
        return None

    def base(self, digest: str) -> InstantBase | None:
        return self._base

    def adapters(self) -> list[str]:
        return []

    def load(self) -> tuple[int, int]:
        return 0, 0

    def busy(self) -> bool:
        return False

    def adapters_at_work(self) -> tuple[set[str], set[str]]:
        return set(), set()

    def load_base(self, folder: Path, digest: str) -> "Future[None]":
        done: Future[None] = Future()
        done.set_result(None)
        return done

    unload_base: Any = None
    load_adapter: Any = None
    unload_adapter: Any = None
    score: Any = None


def serve_gateway(folder: Path, port: int, core: int) -> None:
    from ft_resources.gateway.serve import serve

    _pin(core, folder)
    root = folder / "state"
    root.mkdir()
    (root / "base.json").write_text(json.dumps({"current": "0" * 64, "folders": {}}))
    landing, engine = folder / "landing", InstantEngine()
    serve(root, landing, "127.0.0.1", port, [DOMAIN], "admin", b"signing", API_KEY, engine=engine)


def serve_bare(folder: Path, port: int, core: int) -> None:
    import uvicorn

    _pin(core, folder)
    config = uvicorn.Config(
        bare, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_level="warning",
        access_log=False, lifespan="off",
    )  # fmt: skip
    uvicorn.Server(config).run()


async def bare(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the body, send an answer that was made once: what the server itself costs."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    stream = b'"stream": true' in body
    kind = b"text/event-stream" if stream else b"application/json"
    headers = [(b"content-type", kind)]
    if not stream:
        headers.append((b"content-length", str(len(WHOLE)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if stream:
        for chunk in CHUNKS:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if stream else WHOLE})


def _answer(kind: str, choice: dict[str, Any]) -> bytes:
    head = {"id": "chatcmpl-" + "0" * 32, "object": kind, "created": int(time.time())}
    return json.dumps({**head, "model": "base", "choices": [{"index": 0, **choice}]}).encode()


WHOLE = _answer("chat.completion", {"message": {"role": "assistant", "content": TEXT}})
CHUNKS = [
    *(
        b"data: " + _answer("chat.completion.chunk", {"delta": {"content": w}}) + b"\n\n"
        for w in WORDS
    ),
    b"data: [DONE]\n\n",
]


def _pin(core: int, folder: Path) -> None:
    os.sched_setaffinity(0, {core})
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, sys.stdout.fileno())
