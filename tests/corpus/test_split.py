from collections import Counter

import numpy as np
import pytest

from ft_assets.corpus.split import (
    SIDES,
    Side,
    groups,
    position,
    side,
    side_of_earliest,
    sides,
)

SHARES = (0.05, 0.1)


def test_shares_come_out_as_asked():
    sides = Counter(side(f"user:{i}", *SHARES, "s") for i in range(20_000))
    assert sides[Side.HELD_OUT] == pytest.approx(1000, rel=0.15)
    assert sides[Side.VALIDATION] == pytest.approx(2000, rel=0.15)


def test_a_side_is_fixed_by_group_and_salt_alone():
    # Written down: another hash or encoding would silently move everyone's rows.
    assert position("user:00ff", "split-1") == pytest.approx(0.8859353905513518)
    names = [f"user:{i}" for i in range(500)]
    assert [side(n, *SHARES, "a") for n in names] == [side(n, *SHARES, "a") for n in names]
    assert [side(n, *SHARES, "a") for n in names] != [side(n, *SHARES, "b") for n in names]


def test_a_larger_held_out_share_only_adds_to_what_is_held_out():
    names = [f"user:{i}" for i in range(2000)]
    small = {n for n in names if side(n, 0.05, 0.05, "s") is Side.HELD_OUT}
    large = {n for n in names if side(n, 0.20, 0.05, "s") is Side.HELD_OUT}
    assert small < large


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (1, 0)])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares: tuple[float, float]):
    with pytest.raises(ValueError, match="below 1 together"):
        side("user:a", *shares, "s")


def test_sides_of_many_are_the_sides_of_each():
    names = [f"user:{i % 900}" for i in range(2000)]
    expected = [side(name, *SHARES, "s") for name in names]
    assert [SIDES[place] for place in sides(np.array(names), *SHARES, "s")] == expected
    with pytest.raises(ValueError, match="below 1 together"):
        sides(np.array(names), 0.6, 0.4, "s")


def test_the_group_is_the_strongest_owner():
    users, conversations = np.array(["u", "", "u", ""]), np.array(["c", "c", "", ""])
    found = groups(users, conversations, np.array(["e1", "e2", "e3", "e4"]))
    assert found.tolist() == ["user:u", "conversation:c", "user:u", "row:e4"]


def test_a_tie_is_on_the_side_of_its_earliest_row():
    ties = np.array(["c", "d", "c", "", "d", "c"])
    own = np.array([0, 1, 2, 2, 0, 1], np.int8)
    order = np.array([2, 4, 0, 1, 5, 3])  # rows from the earliest to the latest
    assert side_of_earliest(ties, order, own).tolist() == [2, 0, 2, 2, 0, 2]


def test_ties_do_not_chain():
    # u0-u1, u1-u2, u2-u3: each conversation has the side of its own first row.
    users = np.array([f"u{i + j}" for i in range(3) for j in range(2)])
    ties = np.array([f"c{i}" for i in range(3) for _ in range(2)])
    own = (users == "u3").astype(np.int8)
    assert side_of_earliest(ties, np.arange(6), own).tolist() == [0] * 6


def test_no_rows_have_no_sides():
    none = np.zeros(0, "U1")
    assert len(side_of_earliest(none, np.zeros(0, int), np.zeros(0, np.int8))) == 0
