"""How far two reviewers agree beyond chance: Cohen's kappa (Cohen 1960)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class Decision:
    item: str
    reviewer: str
    verdict: str  # approve | reject | correct


@dataclass(frozen=True)
class Agreement:
    reviewers: tuple[str, str]
    items: int  # that both decided
    same: int
    kappa: float | None  # None: not defined, one verdict is all that both ever gave


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Of the verdicts of two reviewers on the same items, 1 at most; None where not defined."""
    if not pairs:
        return None
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    total = len(pairs)
    by_chance = sum(first[verdict] * second[verdict] for verdict in first) / total**2
    if by_chance == 1:
        return None
    return (sum(a == b for a, b in pairs) / total - by_chance) / (1 - by_chance)


def agreements(decisions: Iterable[Decision]) -> list[Agreement]:
    """Each two reviewers who decided an item in common; one decision per item and reviewer."""
    verdicts: dict[str, dict[str, str]] = defaultdict(dict)
    for decision in decisions:
        verdicts[decision.item][decision.reviewer] = decision.verdict
    shared: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for given in verdicts.values():
        for one, other in combinations(sorted(given), 2):
            shared[one, other].append((given[one], given[other]))
    return [
        Agreement(both, len(pairs), sum(a == b for a, b in pairs), kappa(pairs))
        for both, pairs in sorted(shared.items())
    ]
