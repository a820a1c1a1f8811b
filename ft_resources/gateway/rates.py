"""How much each caller may ask for: buckets of requests and of tokens that fill up again.

A bucket holds a minute's worth, so a caller that was quiet may come in a burst. The tokens of a
request are taken before it runs, as prompt and longest answer; what it did not use comes back.
Kept in memory: after a restart the buckets are full.
"""

import math
import threading
import time
from collections.abc import Callable

from ft_resources.gateway.auth import Principal
from ft_resources.gateway.chat import Refusal

MINUTE = 60.0


class Bucket:
    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._size, self._clock = float(per_minute), clock
        self._level, self._at = self._size, clock()

    def take(self, amount: float) -> float:
        """Take it and return 0, or leave all and return the seconds until there is enough."""
        now = self._clock()
        self._level = min(self._size, self._level + (now - self._at) * self._size / MINUTE)
        self._at = now
        if amount <= self._level:
            self._level -= amount
            return 0.0
        return (amount - self._level) * MINUTE / self._size

    def give_back(self, amount: float) -> None:
        self._level = min(self._size, self._level + amount)


class Rates:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._requests: dict[str, Bucket] = {}
        self._tokens: dict[str, Bucket] = {}

    def count_request(self, who: Principal) -> None:
        """Raises Refusal 429."""
        if who.requests_per_minute is None:
            return
        limit = who.requests_per_minute
        with self._lock:
            bucket = self._requests.setdefault(who.name, Bucket(limit, self._clock))
            wait = bucket.take(1)
        if wait:
            raise _too_many(f"this key may send {limit} requests a minute", wait)

    def take_tokens(self, who: Principal, tokens: int) -> None:
        """Raises Refusal 429, or 400 for more than the key may ever have at once."""
        if who.tokens_per_minute is None:
            return
        limit = who.tokens_per_minute
        if tokens > limit:
            raise Refusal(
                400,
                f"prompt and answers may take {tokens} tokens, this key has {limit} a minute; "
                "lower max_tokens",
                "rate_limit_exceeded",
                "max_tokens",
            )
        with self._lock:
            bucket = self._tokens.setdefault(who.name, Bucket(limit, self._clock))
            wait = bucket.take(tokens)
        if wait:
            raise _too_many(f"this key may use {limit} tokens a minute", wait)

    def give_back(self, who: Principal, tokens: int) -> None:
        with self._lock:
            if bucket := self._tokens.get(who.name):
                bucket.give_back(tokens)


def _too_many(limit: str, wait_s: float) -> Refusal:
    return Refusal(
        429, f"{limit}; try again", "rate_limit_exceeded", retry_after_s=math.ceil(wait_s)
    )
