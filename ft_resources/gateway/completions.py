"""One completion: a request in, its answers out, whole or in pieces, counted and written down.

A request for n answers is n rows of the batch; answer i is drawn by seed + i, and has an event of
its own in the landing zone: ID for the first, ID-1, ID-2 ... for the others.
"""

import asyncio
import contextlib
import hashlib
import queue
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from ft_resources.gateway.access_log import RandomIds
from ft_resources.gateway.auth import Principal, Role
from ft_resources.gateway.bodies import MAX_BODY, json_reply, read_body
from ft_resources.gateway.chat import Ask, Refusal, invalid, read_ask, read_json
from ft_resources.gateway.cohort import Done, Failed, Generation, Piece
from ft_resources.gateway.cohort import Event as EngineEvent
from ft_resources.gateway.rates import Rates
from ft_resources.gateway.replies import PieceEvents, Reply, event, usage_of
from ft_resources.gateway.rollout.mirror import Mirror
from ft_resources.gateway.rollout.reactions import faults
from ft_resources.gateway.rollout.rollouts import Drawn
from ft_resources.gateway.service import BASE, Gateway, Target, now_text
from ft_resources.gateway.token_scores import Scored

INLINE_CHARACTERS = 4_096  # encoded at once: a thread would take longer to wake
REQUEST_SECONDS = 600.0  # without a token the request is given up
RETRY_AFTER_SECONDS = 2
CLIENT_LEFT = 499  # as nginx has it: counted, never sent

T = TypeVar("T")


@dataclass
class Exchange:
    """One request and what answers it."""

    ask: Ask
    target: Target
    reply: Reply
    who: Principal
    probe: bool
    session: str
    began: float
    prompt_tokens: int = 0
    reserved: int = 0  # tokens, of the caller's rate
    drawn: Drawn | None = None  # its part in a rollout
    ids: Sequence[int] = ()  # the prompt's tokens

    @property
    def patience_s(self) -> float:
        """How long the next token is waited for."""
        if self.who.timeout_s is None:
            return REQUEST_SECONDS
        left = self.began + self.who.timeout_s - time.perf_counter()
        return min(REQUEST_SECONDS, max(0.0, left))

    @property
    def labels(self) -> tuple[str, str]:
        return self.target.domain, self.target.arm


class Completions:
    def __init__(self, gateway: Gateway, rates: Rates) -> None:
        self._gateway = gateway
        self._rates = rates
        self._new_id = RandomIds()
        self._mirror = Mirror(gateway)

    async def chat(self, request: Request) -> Response:
        return await self._complete(request, chat=True)

    async def completion(self, request: Request) -> Response:
        return await self._complete(request, chat=False)

    async def _complete(self, request: Request, *, chat: bool) -> Response:
        began = time.perf_counter()
        domain, arm = "none", "none"
        who: Principal = request.state.who
        try:
            body = read_json(await read_body(request, min(MAX_BODY, who.max_body or MAX_BODY)))
            session = _header_text(request, "X-Session-Id")
            ask = read_ask(body, chat=chat, session=session, most_tokens=who.max_tokens)
            probe = _is_probe(request)
            reply_id = f"{'chatcmpl' if chat else 'cmpl'}-{self._new_id()}"
            conversation, session_id = _conversation(ask, reply_id)
            if not who.may_use(ask.model.partition("@")[0]):
                raise Refusal(403, "this key may not use this model", "model_not_allowed", "model")
            target = self._gateway.target(ask.model, conversation)
            domain, arm = target.domain, target.arm
            reply = Reply.begin(reply_id, target.name, chat=chat)
            exchange = Exchange(ask, target, reply, who, probe, session_id, began)
            if not probe:
                exchange.drawn = self._gateway.draw(target, conversation, ask.user)
            request.state.note |= {
                "domain": domain,
                "arm": arm,
                "adapter": target.name,
                "id": reply_id,
            }
            running = await self._submit(exchange)
        except Refusal as refusal:
            self._gateway.metrics.requests.labels(domain, arm, refusal.status).inc()
            raise
        headers = {"X-FT-Adapter": target.name}
        if ask.stream:
            first = await self._attended(request, exchange, running, self._next(running, exchange))
            return StreamingResponse(
                self._stream(exchange, running, first),
                media_type="text/event-stream",
                headers={**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            )
        answers = await self._attended(request, exchange, running, self._all(running, exchange))
        usage = await self._settle(exchange, answers)
        choices = [
            reply.choice(i, done.text, done.finish_reason, _asked(ask, done.scores))
            for i, done in enumerate(answers)
        ]
        return json_reply(reply.whole(choices, usage), headers)

    async def _submit(self, exchange: Exchange) -> "Running":
        ask, target = exchange.ask, exchange.target
        tokenizer = target.base.tokenizer
        texts = [message["content"] for message in ask.messages]
        long = sum(map(len, texts)) > INLINE_CHARACTERS
        try:
            if ask.text is not None:
                encode = partial(tokenizer.encode_text, ask.text)
            else:
                encode = partial(tokenizer.encode_chat, ask.messages)
            ids = await run_in_threadpool(encode) if long else encode()
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
        exchange.prompt_tokens, exchange.ids = len(ids), ids
        self._mirror.give_way()
        longest = min(ask.max_tokens, room)
        exchange.reserved = len(ids) + ask.n * longest
        self._rates.take_tokens(exchange.who, exchange.reserved)
        running = Running()
        try:
            for index in range(ask.n):
                job = Generation(
                    base=target.base.digest,
                    adapter=target.adapter,
                    ids=ids,
                    max_tokens=longest,
                    temperature=ask.temperature,
                    top_p=ask.top_p,
                    seed=None if ask.seed is None else ask.seed + index,
                    stop=ask.stop,
                    stream=ask.stream,
                    sink=running.sink(index),
                    top_logprobs=ask.top_logprobs,
                )
                self._gateway.engine.submit(job)
                running.jobs.append(job)
        except queue.Full:
            self._give_up(exchange, running)
            raise Refusal(
                429,
                "too many requests are waiting; try again",
                "queue_full",
                retry_after_s=RETRY_AFTER_SECONDS,
            ) from None
        except (LookupError, ConnectionError) as error:
            self._give_up(exchange, running)
            raise Refusal(
                503, f"{error}; try again", "not_loaded", retry_after_s=RETRY_AFTER_SECONDS
            ) from None
        return running

    def _give_up(self, exchange: Exchange, running: "Running") -> None:
        running.cancel()
        self._rates.give_back(exchange.who, exchange.reserved)

    async def _attended(
        self,
        request: Request,
        exchange: Exchange,
        running: "Running",
        waiting: Coroutine[Any, Any, T],
    ) -> T:
        """What is waited for, unless the caller leaves before: nobody needs the answer then."""
        watching = asyncio.ensure_future(running.watch(request))
        try:
            return await waiting
        except ClientDisconnect:
            self._gateway.metrics.requests.labels(*exchange.labels, CLIENT_LEFT).inc()
            raise
        except Refusal as refusal:
            self._count_error(exchange, refusal.status)
            raise
        finally:
            watching.cancel()

    async def _next(self, running: "Running", exchange: Exchange) -> tuple[int, Piece | Done]:
        try:
            async with asyncio.timeout(exchange.patience_s):
                index, happened = await running.events.get()
        except TimeoutError:
            running.cancel()
            limit = min(exchange.who.timeout_s or REQUEST_SECONDS, REQUEST_SECONDS)
            raise Refusal(503, f"not answered within {limit:g} s", "timeout") from None
        if happened is None:
            running.cancel()
            raise ClientDisconnect
        if isinstance(happened, Failed):
            running.cancel()
            raise Refusal(503, f"{exchange.target.name}: {happened.error}", "engine_failed")
        return index, happened

    async def _all(self, running: "Running", exchange: Exchange) -> list[Done]:
        done: dict[int, Done] = {}
        while len(done) < exchange.ask.n:
            index, happened = await self._next(running, exchange)
            if isinstance(happened, Done):
                done[index] = happened
        return [done[index] for index in range(exchange.ask.n)]

    async def _stream(
        self, exchange: Exchange, running: "Running", first: tuple[int, Piece | Done]
    ) -> AsyncIterator[bytes]:
        ask, reply, settled = exchange.ask, exchange.reply, False
        done: dict[int, Done] = {}
        # What has come meanwhile leaves in one write: a write costs more than an event.
        piece = PieceEvents(reply)
        gathered = [event(reply.opening(index)) for index in range(ask.n)]
        try:
            self._gateway.metrics.first_token.labels(*exchange.labels).observe(
                time.perf_counter() - exchange.began
            )
            happened = first
            while True:
                index, said = happened
                text = said.text if isinstance(said, Piece) else said.tail
                if text or said.scores:
                    gathered.append(piece(index, text, _asked(ask, said.scores)))
                if isinstance(said, Done):
                    done[index] = said
                if len(done) == ask.n:
                    break
                if running.events.empty():
                    yield b"".join(gathered)
                    gathered.clear()
                happened = await self._next(running, exchange)
            yield b"".join(gathered)
            settled = True
            answers = [done[index] for index in range(ask.n)]
            usage = await self._settle(exchange, answers)
            last = []
            for index, answer in enumerate(answers):
                told = index == ask.n - 1 and not ask.include_usage
                last.append(
                    event(reply.ending(index, answer.finish_reason, usage if told else None))
                )
            if ask.include_usage:
                last.append(event(reply.usage_chunk(usage)))
            yield b"".join([*last, b"data: [DONE]\n\n"])
        except Refusal as refusal:
            settled = True
            self._count_error(exchange, refusal.status)
            yield event(refusal.body())
        finally:
            running.cancel()
            if not settled:
                self._gateway.metrics.requests.labels(*exchange.labels, CLIENT_LEFT).inc()

    async def _settle(self, exchange: Exchange, answers: Sequence[Done]) -> dict[str, int]:
        """Count the answers and write them to the landing zone; return their usage."""
        seconds = time.perf_counter() - exchange.began
        written = sum(done.completion_tokens for done in answers)
        unused = exchange.reserved - exchange.prompt_tokens - written
        self._rates.give_back(exchange.who, unused)
        metrics, counts = self._gateway.metrics, self._gateway.counts(exchange.target)
        counts.requests += 1
        counts.probes += exchange.probe
        counts.empty += not all(done.text.strip() for done in answers)
        counts.prompt_tokens += exchange.prompt_tokens
        counts.completion_tokens += written
        counts.latencies_ms.append(round(seconds * 1000, 3))
        metrics.requests.labels(*exchange.labels, 200).inc()
        metrics.duration.labels(*exchange.labels).observe(seconds)
        metrics.tokens.labels("prompt").inc(exchange.prompt_tokens)
        metrics.tokens.labels("completion").inc(written)
        if not exchange.probe and exchange.target.domain != BASE:
            rows = [_interaction(exchange, i, done, seconds) for i, done in enumerate(answers)]
            landed = [asyncio.wrap_future(self._gateway.landing.append(row)) for row in rows]
            for lost in await asyncio.gather(*landed, return_exceptions=True):
                if isinstance(lost, OSError):
                    # A full disk must not take the answers away as well.
                    metrics.landing_dropped.labels(exchange.target.domain).inc()
                elif lost is not None:
                    raise lost
            self._count_in_rollout(exchange, answers, seconds)
        return usage_of(exchange.prompt_tokens, written)

    def _count_in_rollout(
        self, exchange: Exchange, answers: Sequence[Done], seconds: float
    ) -> None:
        if (drawn := exchange.drawn) is not None:
            question = "\n".join(message["content"] for message in exchange.ask.messages)
            for index, done in enumerate(answers):
                bad = faults(done.text, question, seconds, drawn.slow_seconds)
                self._gateway.rollouts.answered(drawn, event_id(exchange.reply.id, index), bad)
        else:
            self._mirror.send(exchange.target.domain, exchange.ids, exchange.ask)

    def _count_error(self, exchange: Exchange, status: int) -> None:
        if exchange.drawn is not None:
            self._gateway.rollouts.answered(exchange.drawn, "", ["errors"])
        counts = self._gateway.counts(exchange.target)
        counts.requests += 1
        counts.probes += exchange.probe
        counts.errors += 1
        self._gateway.metrics.requests.labels(*exchange.labels, status).inc()


class Running:
    """The answers to one request that the engine works on."""

    def __init__(self) -> None:
        self.jobs: list[Generation] = []
        # (answer, what happened to it); None: the caller has left
        self.events: asyncio.Queue[tuple[int, EngineEvent | None]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def sink(self, index: int) -> Callable[[EngineEvent], None]:
        def tell(happened: EngineEvent) -> None:
            # The loop is closed when the gateway stops in the middle of an answer.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.events.put_nowait, (index, happened))

        return tell

    async def watch(self, request: Request) -> None:
        """Tell when the connection is closed; the body must have been read."""
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.events.put_nowait((0, None))

    def cancel(self) -> None:
        for job in self.jobs:
            job.cancel()


def _asked(ask: Ask, scores: Sequence[Scored]) -> Sequence[Scored] | None:
    return None if ask.top_logprobs is None else scores


def _is_probe(request: Request) -> bool:
    flag = request.headers.get("x-ft-probe")
    if flag is None:
        return False
    if flag != "1":
        # Taken for none, a probe would become training data.
        raise invalid("X-FT-Probe must be 1; leave it out otherwise", "X-FT-Probe")
    if request.state.who.role is not Role.ADMIN:
        raise Refusal(403, "X-FT-Probe needs the admin key", "not_allowed")
    return True


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


def event_id(reply: str, index: int) -> str:
    return f"{reply}-{index}" if index else reply


def _interaction(exchange: Exchange, index: int, done: Done, seconds: float) -> dict[str, Any]:
    ask = exchange.ask
    return {
        "event_id": event_id(exchange.reply.id, index),
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
        "comment": None,
        "edit_share": None,
        "regenerated": False,
        "clicked": False,
        "copied": False,
        "abandoned": False,
        "latency_ms": round(seconds * 1000),
    }
