"""What each adapter did: the counts a canary is judged by.

Counts of a domain begin anew when its canary changes, for the champion too: it is the concurrent
control. Requests of the pipeline's own replay count here (and are told apart as `probes`).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ft_resources.gateway.routing import Route

KEPT_LATENCIES = 5_000  # newest ones; quantiles are of these


@dataclass
class Counts:
    requests: int = 0
    probes: int = 0
    errors: int = 0
    empty: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    rating_sum: int = 0
    rating_n: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))

    def to_dict(self) -> dict[str, Any]:
        ranked = sorted(self.latencies_ms)
        return {
            "requests": self.requests,
            "probes": self.probes,
            "errors": self.errors,
            "empty": self.empty,
            "latency_ms": {"p50": _quantile(ranked, 0.5), "p95": _quantile(ranked, 0.95)},
            "tokens": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "thumbs_up": self.thumbs_up,
            "thumbs_down": self.thumbs_down,
            "rating": {
                "mean": self.rating_sum / self.rating_n if self.rating_n else None,
                "n": self.rating_n,
            },
        }


class DomainStats:
    def __init__(self, since: str) -> None:
        self.since = since  # ISO time of the first request that counts
        self.canary: str | None = None
        self.adapters: dict[str, Counts] = {}

    def routed(self, route: Route, now: str) -> None:
        if route.canary is not None and route.canary != self.canary:
            self.since, self.adapters = now, {}
        self.canary = route.canary

    def counts(self, adapter: str) -> Counts:
        return self.adapters.setdefault(adapter, Counts())

    def feedback(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Count the change between two rows of one interaction, unless it is of an earlier time."""
        if before["ts"] < self.since:
            return
        counts = self.counts(before["model_version"])
        for row, sign in ((before, -1), (after, 1)):
            counts.thumbs_up += sign * (row["thumb"] == "up")
            counts.thumbs_down += sign * (row["thumb"] == "down")
            counts.rating_sum += sign * (row["rating"] or 0)
            counts.rating_n += sign * (row["rating"] is not None)

    def to_state(self) -> dict[str, Any]:
        adapters = {
            name: {**vars(counts), "latencies_ms": list(counts.latencies_ms)}
            # A copy: requests go on counting while this is written.
            for name, counts in list(self.adapters.items())
        }
        return {"since": self.since, "canary": self.canary, "adapters": adapters}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "DomainStats":
        stats = cls(state["since"])
        stats.canary = state["canary"]
        for name, values in state["adapters"].items():
            latencies = deque(values.pop("latencies_ms"), maxlen=KEPT_LATENCIES)
            stats.adapters[name] = Counts(**values, latencies_ms=latencies)
        return stats


def _quantile(ranked: list[float], share: float) -> float | None:
    if not ranked:
        return None
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
