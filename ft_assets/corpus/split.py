"""Put every row on one side (train, validation, held out) so that nobody's rows are on two.

The side is a keyed hash of the row's group, so it depends on no other row, order or date, and never
changes. The group is the user; of a row without one the conversation, else the row itself. The salt
is a setting; users are pseudonyms, whose key is of the deployment. Another salt or key is another
split, and a held-out row may then come into training.

Two things tie groups together: a conversation of several users, and a cluster of duplicates.
Joining the groups was tried and chains them: 90 shared conversations tied a fifth of 10,000 rows
into one group, which then went to one side and moved with every new tie. So a conversation or
cluster stays on the side of its earliest row, and a later row whose own side is another is left
out. An old row so never moves and is not lost to a newer one. (A row that arrives late, with a time
before the earliest one, takes its place; rows are then left out, none moves.)
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum

import numpy as np


class Side(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    HELD_OUT = "held_out"


SIDES = tuple(Side)


def groups(users: np.ndarray, conversations: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The strongest owner of every row: its user, else its conversation, else itself."""
    row = np.char.add("row:", keys.astype(str))
    conversation = np.char.add("conversation:", conversations.astype(str))
    user = np.char.add("user:", users.astype(str))
    return np.where(users != "", user, np.where(conversations != "", conversation, row))


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


def positions(groups: Sequence[str], salt: str) -> np.ndarray:
    return np.array([position(group, salt) for group in groups], dtype=float)


def sides(
    groups: np.ndarray, held_out_share: float, validation_share: float, salt: str
) -> np.ndarray:
    """The side of every group, as the place in SIDES."""
    side("", held_out_share, validation_share, salt)  # checks the shares
    unique, which = np.unique(groups, return_inverse=True)
    places = positions(unique.tolist(), salt)
    found = np.full(len(unique), SIDES.index(Side.TRAIN), np.int8)
    found[places < held_out_share + validation_share] = SIDES.index(Side.VALIDATION)
    found[places < held_out_share] = SIDES.index(Side.HELD_OUT)
    return found[which]


def side_of_earliest(ties: np.ndarray, order: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Per row the side of the first row, in the given order, that shares its tie; "" ties none."""
    _, which = np.unique(ties, return_inverse=True)
    first = np.full(int(which.max(initial=-1)) + 1, len(ties))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    np.minimum.at(first, which, rank)
    return np.where(ties == "", own, own[order[first[which]]])
