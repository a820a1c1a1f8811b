"""Copies of requests for a candidate that nobody sees yet; its answers are looked at and dropped.

A copy is made after its request was answered, one at a time, and only while the engine has room; it
is given up when a request comes that has none. Only adapters whose domain is in shadow get any. Not
mirrored: answers of the canary's own, of probes, and of requests that a caller pinned to an
adapter.
"""

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ft_resources.gateway.chat import Ask
from ft_resources.gateway.cohort import Done, Failed, Generation
from ft_resources.gateway.cohort import Event as EngineEvent
from ft_resources.gateway.rollout.machine import SHADOW
from ft_resources.gateway.rollout.reactions import faults

if TYPE_CHECKING:
    from ft_resources.gateway.service import Gateway

MAX_TOKENS = 64  # of a copy's answer
GIVE_UP_SECONDS = 120.0  # an engine that lost a copy must not end mirroring for ever


class Mirror:
    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._running: Generation | None = None
        self._since = 0.0

    def give_way(self) -> None:
        if self._running is not None and self._gateway.engine.busy():
            self._running.cancelled = True
            self._running = None

    def send(self, domain: str, ids: Sequence[int], ask: Ask) -> None:
        """Copy a request that was just answered, if its domain is in shadow and there is room."""
        machine = self._gateway.rollouts.active(domain)
        if machine is None or machine.state != SHADOW or "@" in ask.model:
            return
        base = self._gateway.engine.base_of(machine.candidate)
        if base is None or random.random() >= machine.plan.shadow_share:  # noqa: S311
            return
        began = time.monotonic()
        if self._running is not None and began - self._since < GIVE_UP_SECONDS:
            return
        if self._gateway.engine.busy():
            return
        question = "\n".join(message["content"] for message in ask.messages)
        rollout, slow = machine.rollout, machine.plan.slow_seconds

        def sink(happened: EngineEvent) -> None:
            if isinstance(happened, Done):
                bad = faults(happened.text, question, time.monotonic() - began, slow)
            elif isinstance(happened, Failed):
                bad = ["errors"]
            else:
                return
            if self._running is job:
                self._running = None
            self._gateway.rollouts.mirrored(domain, rollout, bad)

        job = Generation(
            base=base,
            adapter=machine.candidate,
            ids=list(ids),
            max_tokens=min(MAX_TOKENS, ask.max_tokens),
            temperature=ask.temperature,
            top_p=ask.top_p,
            seed=ask.seed,
            stop=ask.stop,
            stream=False,
            sink=sink,
            top_logprobs=None,
        )
        self._running, self._since = job, began
        try:
            self._gateway.engine.submit(job)
        except LookupError:  # it is just being unloaded
            self._running = None
