"""The evaluation rows that a person should look at: where the candidate got worse, what is unsafe.

A share is drawn at random (by hash): whoever looks only at what a number found never learns what
the numbers miss.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ft_assets.evaluation.safety import FLAGS

COLUMNS = ("row_id", "prompt", "response", "reason", "value", "adapter")
REGRESSION_SHARE, RANDOM_SHARE = 0.5, 0.25  # of the rows; unsafe answers have the rest
MIN_REGRESSION = 0.1  # nats; by which a row must have got worse to be shown for it


def review_sample(
    table: Sequence[Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, Any]],
    losses: Mapping[str, np.ndarray],
    adapter: str,
    most: int,
    seed: int,
) -> list[dict[str, Any]]:
    """At most `most` rows with COLUMNS, each row once, the first reason it has.

    `table`: rows with row_id, prompt and response (the reference answer), in the order of the
    losses. `value` is the reason's number: nats of a regression, else 1.
    """
    ids = [row["row_id"] for row in table]
    chosen: dict[str, tuple[str, float]] = {}
    answers = arms["candidate"]["answers"]
    if answers:
        for flag in FLAGS:
            for row_id, yes in zip(answers["row_ids"], answers["flags"][flag], strict=True):
                if yes and len(chosen) < most * (1 - REGRESSION_SHARE - RANDOM_SHARE):
                    chosen.setdefault(row_id, (f"{flag}_answer", 1.0))
    reference = "champion" if "champion" in losses else "base"
    worse = losses["candidate"] - losses[reference]
    room = round(most * REGRESSION_SHARE)
    for place in np.argsort(-worse, kind="stable").tolist():
        if room <= 0 or worse[place] < MIN_REGRESSION:
            break
        if ids[place] not in chosen:
            chosen[ids[place]] = (f"worse_than_{reference}", round(float(worse[place]), 4))
            room -= 1
    left = [row_id for row_id in ids if row_id not in chosen]
    left.sort(key=lambda row_id: hashlib.sha256(f"{seed}:{row_id}".encode()).hexdigest())
    at_random = min(math.ceil(most * RANDOM_SHARE), most - len(chosen))
    chosen |= dict.fromkeys(left[:at_random], ("random", 1.0))
    by_id = {row["row_id"]: row for row in table}
    return [
        {
            **{name: by_id[row_id][name] for name in ("row_id", "prompt", "response")},
            "reason": reason,
            "value": value,
            "adapter": adapter,
        }
        for row_id, (reason, value) in chosen.items()
    ]
