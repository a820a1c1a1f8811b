"""The simple canary rule: replay the same held-out prompts to both arms, then promote or roll back.

It guards against what breaks at once (errors, empty answers, slowness, a model that is not the one
that was evaluated). It does not look at people's reactions and bounds no error probability.
A canary that could not be measured is rolled back, never promoted.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    max_error_share: float
    max_empty_share: float  # above the champion's own
    max_latency_ratio: float  # p95, canary / champion
    max_loss_gap_nats: float  # mean loss of the reference answers, canary - champion


@dataclass(frozen=True)
class Replay:
    """What one arm did with the replayed prompts."""

    requests: int
    errors: int
    empty: int
    latencies_ms: tuple[float, ...]  # of the answered ones
    losses: tuple[float, ...]  # nats per token of the reference answer, one per row

    @property
    def p95_ms(self) -> float:
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))] if ranked else 0.0

    @property
    def mean_loss(self) -> float:
        return sum(self.losses) / len(self.losses)


@dataclass(frozen=True)
class Rule:
    rule: str
    value: float
    limit: float
    passed: bool


@dataclass(frozen=True)
class Verdict:
    decision: str  # promoted | rolled_back
    reason: str
    rules: tuple[Rule, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(canary: Replay, champion: Replay | None, limits: Limits) -> Verdict:
    """Promote only a canary that keeps every limit. Without a champion there is no comparison."""
    if not canary.requests or not canary.losses or not math.isfinite(canary.mean_loss):
        return Verdict("rolled_back", "the canary was not measured", ())
    errors = canary.errors / canary.requests
    rules = [Rule("error share", errors, limits.max_error_share, errors <= limits.max_error_share)]
    base_empty = champion.empty / champion.requests if champion and champion.requests else 0.0
    empty = canary.empty / canary.requests - base_empty
    rules.append(
        Rule("empty answers", empty, limits.max_empty_share, empty <= limits.max_empty_share)
    )
    if champion and champion.latencies_ms:
        ratio = canary.p95_ms / champion.p95_ms if champion.p95_ms else 1.0
        rules.append(
            Rule(
                "p95 latency ratio",
                ratio,
                limits.max_latency_ratio,
                ratio <= limits.max_latency_ratio,
            )
        )
    if champion and champion.losses:
        gap = canary.mean_loss - champion.mean_loss
        limit = limits.max_loss_gap_nats
        rules.append(Rule("loss gap to champion, nats", gap, limit, gap <= limit))
    broken = [rule.rule for rule in rules if not rule.passed]
    if broken:
        return Verdict("rolled_back", "over the limit: " + ", ".join(broken), tuple(rules))
    return Verdict("promoted", "within every limit", tuple(rules))


def sample(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Evenly spread rows, the same ones for the same input."""
    if len(rows) <= count:
        return list(rows)
    return [rows[index * len(rows) // count] for index in range(count)]
