"""Routes, errors and streams of vLLM 0.33 over the tiny base: what a gateway uses of it.

Written from vLLM's sources (entrypoints/openai: models/serving.py, completion/protocol.py and
serving.py, entrypoints/serve/lora, lora/peft_helper.py). The answers are of the embedded engine, so
they equal those of a gateway without vLLM. `/faults` is not vLLM's: it makes the next requests of a
route hang, fail, break off or answer late.
"""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ft_resources.gateway.cohort import Done, Failed, Generation
from ft_resources.gateway.engine import Engine
from ft_resources.gateway.token_scores import token_name

DIGEST = "0" * 64  # vLLM knows none; the engine wants one
LATE_SECONDS = 2.0


def error(status: int, kind: str, message: str, param: str | None = None) -> JSONResponse:
    body = {"message": message, "type": kind, "param": param, "code": status}
    return JSONResponse({"error": body}, status)


class StandIn:
    def __init__(self, base: Path, key: str | None, max_rank: int) -> None:
        self.engine = Engine(1_000)
        self.engine.start()
        self.engine.load_base(base, DIGEST).result()
        loaded = self.engine.base(DIGEST)
        assert loaded is not None
        self.tokenizer, self.root = loaded.tokenizer, str(base)
        self.model, self.key, self.max_rank = base.name, key, max_rank
        self.loras: dict[str, str] = {}
        self.changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.changes: list[str] = []
        self.loaded = asyncio.Event()
        self.faults: dict[str, list[str]] = {}
        self.open = 0  # completions that are being answered
        self.by_bytes = {
            self.tokenizer.token_bytes(i): i
            for i in reversed(range(loaded.model.config.vocab_size))
        }

    def app(self) -> Starlette:
        routes = [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/load_lora_adapter", self.load, methods=["POST"]),
            Route("/v1/unload_lora_adapter", self.unload, methods=["POST"]),
            Route("/faults", self.fault, methods=["POST"]),
            Route("/open", self.opened),
        ]
        return Starlette(routes=routes)

    async def fault(self, request: Request) -> Response:
        self.faults.update(await request.json())
        return Response()

    async def opened(self, request: Request) -> Response:
        seen = {"open": self.open, "loras": sorted(self.loras), "changes": self.changes}
        return JSONResponse(seen)

    def _fault(self, route: str) -> str | None:
        waiting = self.faults.get(route)
        return waiting.pop(0) if waiting else None

    def _denied(self, request: Request) -> Response | None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": "Unauthorized"}, 401)
        return None

    async def health(self, request: Request) -> Response:
        return Response(status_code=503 if self._fault("health") else 200)

    async def models(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        shared = {"object": "model", "created": int(time.time()), "owned_by": "vllm"}
        base = {**shared, "id": self.model, "root": self.root, "parent": None}
        cards: list[dict[str, Any]] = [{**base, "max_model_len": self.tokenizer.context}]
        for name, path in self.loras.items():
            cards.append({**shared, "id": name, "root": path, "parent": self.model})
        if self._fault("models") == "late":  # what was so before another's load
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.loaded.wait(), LATE_SECONDS)
        return JSONResponse({"object": "list", "data": cards})

    async def load(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        body = await request.json()
        name, path = body.get("lora_name"), body.get("lora_path")
        if not name or not path:
            message = "Both 'lora_name' and 'lora_path' must be provided."
            return error(400, "InvalidUserInput", message)
        async with self.changing[name]:
            return await self._load(name, path, bool(body.get("load_inplace")))

    async def _load(self, name: str, path: str, again: bool) -> Response:
        if name in self.loras and not again:
            message = f"The lora adapter '{name}' has already been loaded."
            return error(400, "InvalidUserInput", message)
        config = Path(path) / "adapter_config.json"
        if not config.is_file():
            message = f"Loading lora {name} failed: No adapter found for {path}"
            return error(404, "NotFoundError", message)
        settings = json.loads(config.read_text())
        if settings.get("use_dora"):
            return error(500, "InternalServerError", "vLLM does not yet support DoRA.")
        if settings["r"] > self.max_rank:
            message = f"LoRA rank {settings['r']} is greater than max_lora_rank {self.max_rank}."
            return error(500, "InternalServerError", message)
        await asyncio.wrap_future(self.engine.load_adapter(name, Path(path), DIGEST))
        self.loras[name] = path
        self.changes.append(f"load {name}")
        self.loaded.set()
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    async def unload(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        name = (await request.json()).get("lora_name")
        async with self.changing[name]:
            if name not in self.loras:
                return error(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
            # New requests are refused from now on, the running ones end: as in vLLM.
            del self.loras[name]
            self.changes.append(f"unload {name}")
            await asyncio.wrap_future(self.engine.unload_adapter(name))
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    async def completions(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        fault = self._fault("completions")
        if fault == "hang":
            await asyncio.sleep(600)
        if fault and fault.isdecimal():
            return error(int(fault), "InternalServerError", "said nothing")
        body = await request.json()
        model = body.get("model") or self.model
        if model != self.model and model not in self.loras:
            message = f"The model `{model}` does not exist."
            return error(404, "NotFoundError", message, "model")
        ids = body["prompt"]
        if isinstance(ids, str):
            ids = self.tokenizer.encode_text(ids)
        most = body.get("max_tokens") or 16
        if len(ids) + most > self.tokenizer.context:
            message = f"This model's maximum context length is {self.tokenizer.context} tokens."
            return error(400, "BadRequestError", message, "input_tokens")
        events, loop = asyncio.Queue[Any](), asyncio.get_running_loop()
        adapter = None if model == self.model else model
        logprobs, stream = body.get("logprobs"), bool(body.get("stream"))
        temperature = 1.0 if body.get("temperature") is None else body["temperature"]
        top_p = 1.0 if body.get("top_p") is None else body["top_p"]
        job = Generation(
            DIGEST, adapter, ids, most, temperature, top_p, body.get("seed"),
            tuple(body.get("stop") or ()), stream,
            lambda happened: loop.call_soon_threadsafe(events.put_nowait, happened),
            top_logprobs=logprobs,
        )  # fmt: skip
        self.open += 1
        self.engine.submit(job)
        usage = {"prompt_tokens": len(ids)}
        head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model}
        as_ids = bool(body.get("return_tokens_as_token_ids"))
        if stream:
            return StreamingResponse(
                self._stream(job, events, head, usage, as_ids, fault == "cut"),
                media_type="text/event-stream",
            )
        try:
            while not isinstance(done := await events.get(), Done):
                if isinstance(done, Failed):
                    return error(500, "InternalServerError", done.error)
        finally:
            self.open -= 1
        usage |= {"completion_tokens": done.completion_tokens}
        choice = {
            "index": 0,
            "text": done.text,
            "finish_reason": done.finish_reason,
            "logprobs": self._logprobs(done.scores, logprobs, as_ids),
        }
        if body.get("prompt_logprobs") is not None:
            choice["prompt_logprobs"] = await self._prompt_logprobs(adapter, ids)
        return JSONResponse({**head, "choices": [choice], "usage": usage})

    async def _stream(
        self, job: Generation, events: Any, head: Any, usage: Any, as_ids: bool, cut: bool
    ) -> Any:
        def event(value: Any) -> bytes:
            return f"data: {json.dumps(value)}\n\n".encode()

        try:
            while True:
                happened = await events.get()
                if isinstance(happened, Failed):
                    message = {"message": happened.error, "type": "InternalServerError"}
                    yield event({"error": {**message, "param": None, "code": 500}})
                    break
                done = isinstance(happened, Done)
                if cut:
                    return
                choice = {
                    "index": 0,
                    "text": happened.tail if done else happened.text,
                    "logprobs": self._logprobs(happened.scores, job.top_logprobs, as_ids),
                    "finish_reason": happened.finish_reason if done else None,
                    "stop_reason": None,
                }
                yield event({**head, "choices": [choice]})
                if done:
                    usage |= {"completion_tokens": happened.completion_tokens}
                    yield event({**head, "choices": [], "usage": usage})
                    break
            yield b"data: [DONE]\n\n"
        finally:
            self.open -= 1
            job.cancel()

    def _logprobs(self, scores: Any, top: int | None, as_ids: bool) -> dict[str, Any] | None:
        if top is None:
            return None

        def name(token: bytes) -> str:
            return f"token_id:{self.by_bytes[token]}" if as_ids else token_name(token)

        return {
            "text_offset": [0] * len(scores),
            "tokens": [name(s.token) for s in scores],
            "token_logprobs": [s.logprob for s in scores],
            "top_logprobs": [
                {name(t): v for t, v in [(s.token, s.logprob), *s.top]} for s in scores
            ],
        }

    async def _prompt_logprobs(self, adapter: str | None, ids: list[int]) -> list[Any]:
        """None for the first token, as in vLLM."""
        told: list[Any] = [None]
        for end in range(1, len(ids)):
            [future] = self.engine.score(DIGEST, adapter, [(ids[: end + 1], end)])
            [nats] = await asyncio.wrap_future(future)
            told.append({str(ids[end]): {"logprob": -nats, "rank": 1, "decoded_token": "?"}})
        return told


def serve(port: int, base: Path, key: str | None, max_rank: int) -> None:
    import torch
    import uvicorn

    torch.set_num_threads(1)
    app = StandIn(base, key, max_rank).app()
    uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning")).run()
