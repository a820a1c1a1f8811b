"""People who are not there: conversations with a domain, and how they take the answers of each
adapter. For trying a canary on a machine without traffic; what they say is logged like anything.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ft_resources.gateway.client import GatewayClient

PROMPTS = (
    "What should I do first?",
    "Can you explain this again, shorter?",
    "Where do I find the form?",
    "How long does it take?",
    "Who decides about it?",
)
WAIT_SECONDS = 0.5  # after a refusal


@dataclass
class Crowd:
    """Who talks: satisfaction by adapter name, the share that reacts, and how many people."""

    satisfaction: Mapping[str, float]  # 0 to 1; of adapters that are not named: `otherwise`
    otherwise: float = 0.8
    reacts: float = 1.0
    people: int = 500
    max_tokens: int = 8
    prompts: Sequence[str] = PROMPTS


@dataclass
class Tally:
    """Of one adapter."""

    conversations: int = 0
    liked: int = 0
    disliked: int = 0
    refused: int = 0


@dataclass
class Traffic:
    client: Callable[[], GatewayClient]  # one for each thread
    domain: str
    crowd: Crowd
    seed: int = 0
    by_adapter: dict[str, Tally] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: int = 0

    def run(self, conversations: int, threads: int, done: Callable[[], bool]) -> None:
        """Talk until so many conversations were had, or `done` says so.

        Raises PermissionError or LookupError as the gateway does; refusals for load are waited out.
        """
        errors: list[Exception] = []
        stop = threading.Event()

        def talk() -> None:
            client = self.client()
            while not stop.is_set():
                with self._lock:
                    if self._next >= conversations:
                        return
                    self._next += 1
                    number = self._next
                try:
                    self._conversation(client, number)
                except ConnectionError:
                    self._count("refused by the gateway", refused=1)
                    time.sleep(WAIT_SECONDS)
                except (PermissionError, LookupError, ValueError) as error:
                    errors.append(error)
                    stop.set()

        workers = [threading.Thread(target=talk, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            if done():
                stop.set()
            time.sleep(0.1)
        if errors:
            raise errors[0]

    def _conversation(self, client: GatewayClient, number: int) -> None:
        # Each conversation has its own numbers, whichever thread has it.
        luck = random.Random(f"{self.seed}-{number}")  # noqa: S311
        crowd = self.crowd
        answer = client.chat(
            self.domain,
            luck.choice(crowd.prompts),
            max_tokens=crowd.max_tokens,
            user=f"visitor-{luck.randrange(crowd.people)}",
            session_id=f"visit-{self.seed}-{number}",
        )
        liked = luck.random() < crowd.satisfaction.get(answer.model, crowd.otherwise)
        if luck.random() < crowd.reacts:
            client.feedback(answer.id, thumb="up" if liked else "down")
            self._count(answer.model, conversations=1, liked=liked, disliked=not liked)
        else:
            self._count(answer.model, conversations=1)

    def _count(self, adapter: str, **counts: int) -> None:
        with self._lock:
            tally = self.by_adapter.setdefault(adapter, Tally())
            for name, count in counts.items():
                setattr(tally, name, getattr(tally, name) + count)
