"""A vLLM server as the backend: it holds the base and writes the answers, and has no other client.

    vllm serve BASE --enable-lora --max-lora-rank R --max-loras N --api-key ...
    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True

Loading at run time is for trusted callers, as vLLM's own documents say: it must be reachable by the
gateway alone. Five of its routes are used: /health, /v1/models, /v1/completions (prompts as token
ids), /v1/load_lora_adapter and /v1/unload_lora_adapter.
An adapter is registered under its immutable name and never replaced in place: an answer is of the
adapter whose name it carries. It comes in by load, then probe (golden prompts); goes by refusing
new requests, waiting for the running ones, then unload. A vLLM that was started again has forgotten
its adapters: the first 404 registers them again from the folders that passed the gate.

What vLLM does not do is refused here in clear words: DoRA, a rank above its --max-lora-rank, a
second base. Whether its weights are those of the base's digest it does not tell: serve it the same
folder. Of its errors the status is repeated, never the text: it may quote a prompt.
"""

import asyncio
import logging
import math
import queue
import threading
from collections import Counter, defaultdict
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from ft_resources.adapter_format import CONFIG, read_object
from ft_resources.gateway.backend import Base
from ft_resources.gateway.cohort import Done, Failed, Generation, Piece
from ft_resources.gateway.token_scores import Scored
from ft_resources.gateway.tokens import ChatTokenizer, open_tokenizer
from ft_resources.gateway.vllm_api import CONNECT_SECONDS, Refused, StreamedScores, VllmApi

HEALTH_SECONDS = 5.0  # between two looks at its health
DRAIN_POLL_SECONDS = 0.02
SCORES_AT_ONCE = 16
MAX_RUNNING = 256  # beyond that callers are told to come back; vLLM queues without end
GOLDEN_PROMPTS = ("Hello", "What can you help me with?", "Answer in one short sentence: why?")
GOLDEN_TOKENS = 4

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedBase:
    digest: str
    folder: Path
    tokenizer: ChatTokenizer


class Vllm:
    def __init__(
        self,
        url: str,
        api_key: str | None,
        max_loras: int,
        max_lora_rank: int,
        adapter_root: str | None = None,
        max_running: int = MAX_RUNNING,
    ) -> None:
        """`adapter_root`: where vLLM sees the gateway's adapters; None: at the same path."""
        self.max_adapters = max_loras
        self._api = VllmApi(url, api_key)
        self._max_rank = max_lora_rank
        self._root = adapter_root
        self._max_running = max_running
        self._base: ServedBase | None = None
        self._model = ""  # what vLLM calls the base
        self._folders: dict[str, Path] = {}  # of the adapters that take requests
        self._running: Counter[str | None] = Counter()
        self._restoring: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lock = threading.Lock()
        self._stopping = False
        self._problem: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._thread.start()
        self._do(self._open()).result()

    def stop(self, timeout_s: float) -> None:
        """Finish what is running, then end; after the timeout it is failed."""
        with self._lock:
            self._stopping = True
        self._do(self._close(timeout_s)).result(timeout_s + CONNECT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_SECONDS)
        self._loop.close()

    @property
    def problem(self) -> str | None:
        return self._problem if self._thread.is_alive() else "the thread of vLLM has ended"

    @property
    def passes(self) -> int:
        return 0

    def load_base(self, folder: Path, digest: str) -> Future[None]:
        return self._do(self._load_base(folder, digest))

    def unload_base(self, digest: str) -> Future[None]:
        return self._do(self._unload_base(digest))

    def load_adapter(self, name: str, folder: Path, base: str) -> Future[None]:
        return self._do(self._load_adapter(name, folder, base))

    def unload_adapter(self, name: str) -> Future[None]:
        with self._lock:
            known = self._folders.pop(name, None)
        return self._do(self._unload_adapter(name) if known else _nothing())

    def base_of(self, adapter: str) -> str | None:
        base = self._base
        return base.digest if base and adapter in self._folders else None

    def base(self, digest: str) -> Base | None:
        base = self._base
        return base if base and base.digest == digest else None

    def adapters(self) -> list[str]:
        with self._lock:
            return sorted(self._folders)

    def load(self) -> tuple[int, int]:
        with self._lock:
            return 0, self._running.total()

    def busy(self) -> bool:
        with self._lock:
            return self._running.total() >= self._max_running

    def adapters_at_work(self) -> tuple[set[str], set[str]]:
        with self._lock:
            return {name for name, count in self._running.items() if name and count}, set()

    def submit(self, job: Generation) -> None:
        with self._lock:
            if self._stopping or not self._thread.is_alive():
                raise ConnectionError("the gateway is stopping")
            if self.base(job.base) is None:
                raise LookupError(f"base {job.base[:12]} is not loaded")
            if job.adapter is not None and job.adapter not in self._folders:
                raise LookupError(f"adapter {job.adapter} is not loaded")
            if self._running.total() >= self._max_running:
                raise queue.Full
            self._running[job.adapter] += 1
        self._loop.call_soon_threadsafe(self._begin, job)

    def score(
        self, base: str, adapter: str | None, rows: Sequence[tuple[list[int], int]]
    ) -> list[Future[list[float]]]:
        return [self._do(self._score(base, adapter, rows))]

    def _do(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self) -> None:
        await self._api.open()
        self._watching = asyncio.ensure_future(self._watch())

    async def _close(self, timeout_s: float) -> None:
        self._watching.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._api.close()

    async def _watch(self) -> None:
        while True:
            self._problem = await self._api.problem()
            await asyncio.sleep(HEALTH_SECONDS)

    async def _load_base(self, folder: Path, digest: str) -> None:
        if self._base is not None and self._base.digest != digest:
            raise ValueError(
                f"vLLM at {self._api.url} serves base {self._base.digest[:12]} and no second one; "
                "start a vLLM with the new base and a gateway with a state folder of its own"
            )
        models = [card for card in (await self._api.models()) if card.get("parent") is None]
        if not models:
            raise ValueError(f"vLLM at {self._api.url} lists no base model")
        tokenizer = await asyncio.to_thread(open_tokenizer, folder, models[0].get("max_model_len"))
        self._model = models[0]["id"]
        self._base = ServedBase(digest, folder, tokenizer)

    async def _unload_base(self, digest: str) -> None:
        with self._lock:
            if self._base is None or self._base.digest != digest:
                return
            if self._folders or self._running.total():
                raise ValueError(f"base {digest[:12]} is in use")
            self._base = None

    async def _load_adapter(self, name: str, folder: Path, digest: str) -> None:
        base = self._base
        if base is None or base.digest != digest:
            raise LookupError(f"base {digest[:12]} is not loaded")
        if name in self._folders:
            return
        if self._running[name]:
            raise ValueError(f"adapter {name} is being unloaded; try again when it is gone")
        self._refuse_unsupported(folder)
        await self._register(name, folder)
        try:
            await self._probe(name, base)
        except (ValueError, ConnectionError):
            await self._forget(name)
            raise
        with self._lock:
            self._folders[name] = folder

    async def _unload_adapter(self, name: str) -> None:
        while self._running[name]:
            await asyncio.sleep(DRAIN_POLL_SECONDS)
        self._restoring.pop(name, None)
        await self._forget(name)

    def _refuse_unsupported(self, folder: Path) -> None:
        config = read_object(folder / CONFIG)
        if config.get("use_dora") is True:
            raise ValueError(
                f"{CONFIG}: use_dora is true, and vLLM does not compute DoRA; train with the "
                "recipe lora, or serve with the embedded backend"
            )
        if config["r"] > self._max_rank:
            raise ValueError(
                f"{CONFIG}: r is {config['r']}, vLLM takes up to {self._max_rank}; start it with "
                "--max-lora-rank and set serving.backend.max_lora_rank to the same"
            )

    async def _register(self, name: str, folder: Path) -> None:
        if await self._knows(name):
            # From before the gateway was started again; from where is not taken on trust.
            await self._forget(name)
        await self._add(name, folder)

    async def _knows(self, name: str) -> bool:
        return any(card.get("id") == name for card in await self._api.models())

    async def _add(self, name: str, folder: Path) -> None:
        path = str(folder) if self._root is None else f"{self._root.rstrip('/')}/{folder.name}"
        await self._api.change("load_lora_adapter", {"lora_name": name, "lora_path": path})

    async def _forget(self, name: str) -> None:
        try:
            await self._api.change("unload_lora_adapter", {"lora_name": name})
        except Refused as refused:
            if refused.status != 404:
                raise ConnectionError(f"{name}: {refused}") from None

    async def _probe(self, name: str, base: ServedBase) -> None:
        """Raises ValueError unless each golden prompt is answered by this name, with numbers."""
        for prompt in GOLDEN_PROMPTS:
            body = {
                "model": name,
                "prompt": base.tokenizer.encode_text(prompt),
                "max_tokens": GOLDEN_TOKENS,
                "temperature": 0,
                "logprobs": 0,
            }
            try:
                reply = await self._api.complete(body)
            except Refused as refused:
                raise ValueError(f"{name} failed its probe: {refused}") from None
            told = reply["choices"][0].get("logprobs") or {}
            numbers = told.get("token_logprobs") or []
            if reply.get("model") != name:
                raise ValueError(f"{name} failed its probe: another model answered")
            if not numbers or not all(n is not None and math.isfinite(n) for n in numbers):
                raise ValueError(f"{name} failed its probe: its answer has no finite numbers")

    def _begin(self, job: Generation) -> None:
        task = self._loop.create_task(self._answer(job))
        self._tasks.add(task)
        job.on_cancel = lambda: self._cancel(task)
        if job.cancelled:
            task.cancel()

        def ended(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            with self._lock:
                self._running[job.adapter] -= 1

        task.add_done_callback(ended)

    def _cancel(self, task: "asyncio.Task[None]") -> None:
        if not self._loop.is_closed():  # closing the connection ends the request in vLLM
            self._loop.call_soon_threadsafe(task.cancel)

    async def _answer(self, job: Generation) -> None:
        try:
            try:
                await self._stream(job)
            except Refused as refused:
                if refused.status != 404 or job.adapter is None:
                    raise
                await self._restore(job.adapter)
                await self._stream(job)
        except Refused as refused:
            job.sink(Failed(str(refused)))
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            job.sink(Failed(f"the connection to vLLM broke off ({type(error).__name__})"))
        except (ValueError, LookupError, TypeError) as error:
            log.error("vLLM gave what was not understood", exc_info=error)
            job.sink(Failed(f"vLLM gave what was not understood ({type(error).__name__})"))
        except asyncio.CancelledError:
            job.sink(Failed("given up"))
            raise

    async def _restore(self, name: str) -> None:
        """Register an adapter that vLLM forgot; once, whoever asks at the same time.

        One after the other: who looks late would take what another has just loaded for one from
        before, and unload it under the other's answer.
        """
        async with self._restoring[name]:
            if await self._knows(name):
                return
            folder = self._folders.get(name)
            if folder is None:
                raise Refused("/v1/completions", 404)
            log.warning("vLLM has forgotten an adapter", extra={"adapter": name})
            try:
                await self._add(name, folder)
            except ValueError:
                # One that was given up before this one may have been loaded after all.
                if not await self._knows(name):
                    raise

    async def _stream(self, job: Generation) -> None:
        base = self._base
        if base is None:
            raise LookupError("no base is loaded")
        streamed = StreamedScores(job.top_logprobs or 0, base.tokenizer.token_bytes)
        body = {
            "model": job.adapter or self._model,
            "prompt": job.ids,
            "max_tokens": job.max_tokens,
            "temperature": job.temperature,
            "top_p": job.top_p,
            # What is left out is taken from the generation_config.json of the base.
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "seed": job.seed,
            "stop": list(job.stop),
            "stream": True,
            "stream_options": {"include_usage": True},
            "logprobs": job.top_logprobs,
            "return_tokens_as_token_ids": True,
        }
        text, reason, written = "", "", 0
        tail = ""
        scores: tuple[Scored, ...] = ()
        async for chunk in self._api.events(body):
            if usage := chunk.get("usage"):
                written = usage["completion_tokens"]
            if not chunk["choices"]:
                continue
            choice = chunk["choices"][0]
            piece = choice["text"]
            scored = streamed.take(choice.get("logprobs"))
            text += piece
            reason = choice.get("finish_reason") or ""
            if reason or not job.stream:
                tail, scores = tail + piece, scores + scored
            elif piece or scored:
                job.sink(Piece(piece, scored))
        if reason not in ("stop", "length"):
            raise ConnectionError("the stream ended in the middle")
        job.sink(Done(text, tail, reason, written, scores))

    async def _score(
        self, base: str, adapter: str | None, rows: Sequence[tuple[list[int], int]]
    ) -> list[float]:
        if self.base(base) is None or (adapter is not None and adapter not in self._folders):
            raise LookupError(f"{adapter or base[:12]} is not loaded")
        slots = asyncio.Semaphore(SCORES_AT_ONCE)

        async def score(ids: list[int], start: int) -> float:
            body = {
                "model": adapter or self._model,
                "prompt": ids,
                "max_tokens": 1,
                "temperature": 0,
                "prompt_logprobs": 0,
            }
            async with slots:
                try:
                    reply = await self._api.complete(body)
                except Refused as refused:
                    raise ConnectionError(str(refused)) from None
            told = reply["choices"][0]["prompt_logprobs"][start:]
            pairs = zip(ids[start:], told, strict=True)
            return -sum(best[str(token)]["logprob"] for token, best in pairs) / len(told)

        return list(await asyncio.gather(*(score(ids, start) for ids, start in rows)))


async def _nothing() -> None:
    return None
