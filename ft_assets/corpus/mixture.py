"""How much of each kind, and of the older weeks, a corpus takes.

Every choice is by a keyed hash of the row, so it is the same in the next week: a row that was left
out does not come in because others did, unless the room for its kind grows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ft_assets.corpus.split import positions


@dataclass(frozen=True)
class Replay:
    """Of all weeks but the newest `recent_weeks`, so large a share of the rows is trained again."""

    recent_weeks: int
    share_of_older: float

    def __post_init__(self) -> None:
        if self.recent_weeks < 1 or not 0 <= self.share_of_older <= 1:
            raise ValueError(
                "replay needs recent_weeks of 1 or more and share_of_older of 0 to 1, got "
                f"{self.recent_weeks} and {self.share_of_older}"
            )


def older_rows(weeks: np.ndarray, replay: Replay) -> np.ndarray:
    """Which rows are of older weeks; a row without a week is always recent."""
    recent = sorted(set(weeks.tolist()) - {""})[-replay.recent_weeks :]
    return (weeks != "") & ~np.isin(weeks, recent)


def left_out_of_replay(keys: np.ndarray, older: np.ndarray, share: float, salt: str) -> np.ndarray:
    places = positions([f"replay:{key}" for key in keys.tolist()], salt)
    return older & (places >= share)


def over_weight(
    kinds: np.ndarray,
    chars: np.ndarray,
    keys: np.ndarray,
    weights: Mapping[str, float],
    salt: str,
) -> np.ndarray:
    """Which rows are more than the weight of their kind allows.

    A weight is characters per character of the kinds that have weight 1, which are used whole; a
    kind without a weight has 1. When no kind of weight 1 has a row there is nothing that the others
    could crowd out, and all are used. Raises ValueError for a weight below 0.
    """
    wrong = {kind: weight for kind, weight in weights.items() if weight < 0}
    if wrong:
        raise ValueError(f"mixture: weights must be 0 or more, got {wrong}")
    limited = [kind for kind, weight in weights.items() if weight != 1]
    over = np.zeros(len(kinds), bool)
    base = int(chars[~np.isin(kinds, limited)].sum())
    if not base:
        return over
    for kind in limited:
        rows = np.flatnonzero(kinds == kind)
        places = positions(keys[rows].tolist(), salt)
        order = rows[np.lexsort((keys[rows], places))]
        over[order[np.cumsum(chars[order]) > base * weights[kind]]] = True
    return over
