"""One completion: a request in, its answer out, whole or in pieces, counted and written down."""

import asyncio
import contextlib
import hashlib
import queue
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from ft_resources.gateway.auth import Caller, Keys
from ft_resources.gateway.bodies import MAX_BODY, json_reply, read_body
from ft_resources.gateway.chat import (
    Ask,
    Refusal,
    Reply,
    event,
    invalid,
    read_ask,
    read_json,
    usage_of,
)
from ft_resources.gateway.cohort import Done, Failed, Generation, Piece
from ft_resources.gateway.cohort import Event as EngineEvent
from ft_resources.gateway.service import BASE, Gateway, Target, now_text

REQUEST_SECONDS = 600.0  # without a token the request is given up
RETRY_AFTER_SECONDS = 2
CLIENT_LEFT = 499  # as nginx has it: counted, never sent


@dataclass
class Exchange:
    """One request and what answers it."""

    ask: Ask
    target: Target
    reply: Reply
    probe: bool
    session: str
    began: float
    prompt_tokens: int = 0

    @property
    def labels(self) -> tuple[str, str]:
        return self.target.domain, self.target.arm


class Completions:
    def __init__(self, gateway: Gateway, keys: Keys) -> None:
        self._gateway = gateway
        self._keys = keys

    async def chat(self, request: Request) -> Response:
        return await self._complete(request, chat=True)

    async def completion(self, request: Request) -> Response:
        return await self._complete(request, chat=False)

    async def _complete(self, request: Request, *, chat: bool) -> Response:
        began = time.perf_counter()
        domain, arm = "none", "none"
        try:
            body = read_json(await read_body(request, MAX_BODY))
            ask = read_ask(body, chat=chat, session=_header_text(request, "X-Session-Id"))
            probe = self._is_probe(request)
            reply_id = f"{'chatcmpl' if chat else 'cmpl'}-{uuid4().hex}"
            conversation, session = _conversation(ask, reply_id)
            target = self._gateway.target(ask.model, conversation)
            domain, arm = target.domain, target.arm
            reply = Reply.begin(reply_id, target.name, chat=chat)
            exchange = Exchange(ask, target, reply, probe, session, began)
            request.state.note = {
                "domain": domain,
                "arm": arm,
                "adapter": target.name,
                "id": reply_id,
            }
            job, events = await self._submit(exchange)
        except Refusal as refusal:
            self._gateway.metrics.requests.labels(domain, arm, refusal.status).inc()
            raise
        first = await self._first(request, exchange, job, events)
        headers = {"X-FT-Adapter": target.name}
        if ask.stream or isinstance(first, Piece):
            return StreamingResponse(
                self._stream(exchange, job, events, first),
                media_type="text/event-stream",
                headers={**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            )
        usage = await self._settle(exchange, first)
        return json_reply(reply.whole(first.text, first.finish_reason, usage), headers)

    async def _submit(self, exchange: Exchange) -> "tuple[Generation, asyncio.Queue[EngineEvent]]":
        ask, target = exchange.ask, exchange.target
        tokenizer = target.base.tokenizer
        try:
            if ask.text is None:
                ids = await run_in_threadpool(tokenizer.encode_chat, ask.messages)
            else:
                ids = await run_in_threadpool(tokenizer.encode_text, ask.text)
        except ValueError as error:
            raise invalid(str(error), "messages") from None
        room = tokenizer.context - len(ids)
        if not ids or room < 1:
            raise invalid(
                f"the prompt has {len(ids)} tokens; the context of {target.base.digest[:12]} is "
                f"{tokenizer.context} with the answer; shorten it",
                "messages" if ask.text is None else "prompt",
                "context_length_exceeded" if ids else "invalid_value",
            )
        exchange.prompt_tokens = len(ids)
        loop, events = asyncio.get_running_loop(), asyncio.Queue[EngineEvent]()

        def sink(happened: EngineEvent) -> None:
            # The loop is closed when the gateway stops in the middle of an answer.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(events.put_nowait, happened)

        job = Generation(
            base=target.base.digest,
            adapter=target.adapter,
            ids=ids,
            max_tokens=min(ask.max_tokens, room),
            temperature=ask.temperature,
            top_p=ask.top_p,
            seed=ask.seed,
            stop=ask.stop,
            stream=ask.stream,
            sink=sink,
        )
        try:
            self._gateway.engine.submit(job)
        except queue.Full:
            raise Refusal(
                429,
                "too many requests are waiting; try again",
                "queue_full",
                retry_after_s=RETRY_AFTER_SECONDS,
            ) from None
        except (LookupError, ConnectionError) as error:
            raise Refusal(
                503, f"{error}; try again", "not_loaded", retry_after_s=RETRY_AFTER_SECONDS
            ) from None
        return job, events

    async def _first(
        self,
        request: Request,
        exchange: Exchange,
        job: Generation,
        events: "asyncio.Queue[EngineEvent]",
    ) -> Piece | Done:
        """The first event, unless the caller leaves before: nobody needs the answer then."""
        event_task = asyncio.ensure_future(self._next(events, job, exchange))
        left_task = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({event_task, left_task}, return_when=asyncio.FIRST_COMPLETED)
            if event_task.done():
                return event_task.result()
            job.cancelled = True
            self._gateway.metrics.requests.labels(*exchange.labels, CLIENT_LEFT).inc()
            raise ClientDisconnect
        except Refusal as refusal:
            self._count_error(exchange, refusal.status)
            raise
        finally:
            event_task.cancel()
            left_task.cancel()

    async def _next(
        self, events: "asyncio.Queue[EngineEvent]", job: Generation, exchange: Exchange
    ) -> Piece | Done:
        try:
            happened = await asyncio.wait_for(events.get(), REQUEST_SECONDS)
        except TimeoutError:
            job.cancelled = True
            raise Refusal(503, f"no token within {REQUEST_SECONDS:g} s", "timeout") from None
        if isinstance(happened, Failed):
            raise Refusal(503, f"{exchange.target.name}: {happened.error}", "engine_failed")
        return happened

    async def _stream(
        self,
        exchange: Exchange,
        job: Generation,
        events: "asyncio.Queue[EngineEvent]",
        first: Piece | Done,
    ) -> AsyncIterator[bytes]:
        reply, settled = exchange.reply, False
        try:
            yield event(reply.chunk("", first=True))
            self._gateway.metrics.first_token.labels(*exchange.labels).observe(
                time.perf_counter() - exchange.began
            )
            happened = first
            while isinstance(happened, Piece):
                yield event(reply.chunk(happened.text))
                happened = await self._next(events, job, exchange)
            if happened.tail:
                yield event(reply.chunk(happened.tail))
            settled = True
            usage = await self._settle(exchange, happened)
            own = exchange.ask.include_usage
            yield event(reply.chunk(None, happened.finish_reason, None if own else usage))
            if own:
                yield event(reply.usage_chunk(usage))
            yield b"data: [DONE]\n\n"
        except Refusal as refusal:
            settled = True
            self._count_error(exchange, refusal.status)
            yield event(refusal.body())
        finally:
            job.cancelled = True
            if not settled:
                self._gateway.metrics.requests.labels(*exchange.labels, CLIENT_LEFT).inc()

    async def _settle(self, exchange: Exchange, done: Done) -> dict[str, int]:
        """Count the answer and write it to the landing zone; return its usage."""
        seconds = time.perf_counter() - exchange.began
        metrics, counts = self._gateway.metrics, self._gateway.counts(exchange.target)
        counts.requests += 1
        counts.probes += exchange.probe
        counts.empty += not done.text.strip()
        counts.prompt_tokens += exchange.prompt_tokens
        counts.completion_tokens += done.completion_tokens
        counts.latencies_ms.append(round(seconds * 1000, 3))
        metrics.requests.labels(*exchange.labels, 200).inc()
        metrics.duration.labels(*exchange.labels).observe(seconds)
        metrics.tokens.labels("prompt").inc(exchange.prompt_tokens)
        metrics.tokens.labels("completion").inc(done.completion_tokens)
        if not exchange.probe and exchange.target.domain != BASE:
            try:
                row = _interaction(exchange, done, seconds)
                await asyncio.wrap_future(self._gateway.landing.append(row))
            except OSError:
                # A full disk must not take the answers away as well.
                metrics.landing_dropped.labels(exchange.target.domain).inc()
        return usage_of(exchange.prompt_tokens, done.completion_tokens)

    def _count_error(self, exchange: Exchange, status: int) -> None:
        counts = self._gateway.counts(exchange.target)
        counts.requests += 1
        counts.probes += exchange.probe
        counts.errors += 1
        self._gateway.metrics.requests.labels(*exchange.labels, status).inc()

    def _is_probe(self, request: Request) -> bool:
        flag = request.headers.get("x-ft-probe")
        if flag is None:
            return False
        if flag != "1":
            # Taken for none, a probe would become training data.
            raise invalid("X-FT-Probe must be 1; leave it out otherwise", "X-FT-Probe")
        if self._keys.caller(request.headers) is not Caller.ADMIN:
            raise Refusal(403, "X-FT-Probe needs the admin key", "not_allowed")
        return True


async def _left(request: Request) -> None:
    """Return when the connection is closed; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _header_text(request: Request, name: str) -> str | None:
    """A header as UTF-8, which is what clients send beyond ASCII."""
    value = request.headers.get(name)
    try:
        return None if value is None else value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise invalid(f"{name} must be UTF-8", name) from None


def _conversation(ask: Ask, reply_id: str) -> tuple[str, str]:
    """Return (what the arm is drawn by, session id for the log).

    Without a session id a conversation is known by who asks and how it began. Strangers who begin
    alike share an arm then, but not a session: in the log each of their requests is its own.
    """
    if ask.session is not None:
        return ask.session, ask.session
    began = next(m["content"] for m in ask.messages if m["role"] == "user")
    text = f"{ask.user or ''}\n{began}".encode()
    derived = f"auto-{hashlib.sha256(text).hexdigest()[:24]}"
    return derived, derived if ask.user else reply_id


def _interaction(exchange: Exchange, done: Done, seconds: float) -> dict[str, Any]:
    ask = exchange.ask
    return {
        "event_id": exchange.reply.id,
        "ts": now_text(),
        "domain": exchange.target.domain,
        "user_id": ask.user or "anonymous",
        "session_id": exchange.session,
        "turn": ask.turn,
        "prompt": ask.prompt,
        "response": done.text,
        "model_version": exchange.target.name,
        "rating": None,
        "thumb": None,
        "correction": None,
        "regenerated": False,
        "clicked": False,
        "latency_ms": round(seconds * 1000),
    }
