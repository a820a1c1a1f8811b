"""Put every row on one side (train, validation, held out) so that nobody's rows are on two.

The side is a keyed hash of the row's group, so it depends on no other row, order or date, and never
changes. The group is the user; of a row without one the conversation, else the row itself.

A conversation of several users can lie across sides. Joining its users into one group was tried and
chains them: 90 shared conversations tied a fifth of 10,000 rows into one group, which then went to
one side and moved with every new tie. So the users stay apart and, of a conversation that lies
across sides, only the rows of one side are kept: the held-out ones if there are any, else those of
training. A row can so be lost when a conversation gets a new user; it cannot change its side.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    HELD_OUT = "held_out"


# Which side keeps a conversation that lies across several.
_PRECEDENCE = (Side.HELD_OUT, Side.TRAIN, Side.VALIDATION)


@dataclass(frozen=True, slots=True)
class Owner:
    key: str  # of the row
    user: str | None = None
    conversation: str | None = None

    @property
    def group(self) -> str:
        if self.user:
            return f"user:{self.user}"
        return f"conversation:{self.conversation}" if self.conversation else f"row:{self.key}"


def side(group: str, held_out_share: float, validation_share: float, salt: str) -> Side:
    """Raises ValueError when a share is below 0 or the two together leave nothing to train on."""
    if min(held_out_share, validation_share) < 0 or held_out_share + validation_share >= 1:
        raise ValueError(
            "held_out_share and validation_share must be 0 or more and below 1 together, "
            f"got {held_out_share} and {validation_share}"
        )
    place = position(group, salt)
    if place < held_out_share:
        return Side.HELD_OUT
    return Side.VALIDATION if place < held_out_share + validation_share else Side.TRAIN


def position(group: str, salt: str) -> float:
    """A place in [0, 1) that only the salt and the name of the group decide."""
    digest = hashlib.blake2b(f"{salt}\0{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def across_sides(owners: Sequence[Owner], sides: Sequence[Side]) -> list[bool]:
    """Return which rows to leave out so that no conversation is on two sides."""
    found: dict[str, set[Side]] = defaultdict(set)
    for owner, row_side in zip(owners, sides, strict=True):
        if owner.conversation:
            found[owner.conversation].add(row_side)
    keeper = {name: min(them, key=_PRECEDENCE.index) for name, them in found.items()}
    return [
        bool(owner.conversation) and keeper[owner.conversation] is not row_side
        for owner, row_side in zip(owners, sides, strict=True)
    ]
