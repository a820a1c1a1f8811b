from collections import Counter

import pytest

from ft_assets.corpus.split import Owner, Side, across_sides, position, side

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


@pytest.mark.parametrize(
    ("owner", "group"),
    [
        (Owner("e", "u", "c"), "user:u"),
        (Owner("e", None, "c"), "conversation:c"),
        (Owner("e", "", "c"), "conversation:c"),
        (Owner("e"), "row:e"),
    ],
)
def test_the_group_is_the_strongest_owner(owner: Owner, group: str):
    assert owner.group == group


H, T, V = Side.HELD_OUT, Side.TRAIN, Side.VALIDATION


@pytest.mark.parametrize(
    ("sides", "left_out"),
    [
        ([T, T, T], [False, False, False]),
        ([T, H, V], [True, False, True]),  # held out keeps the conversation
        ([T, V, V], [False, True, True]),
        ([V, V, V], [False, False, False]),
    ],
)
def test_a_conversation_keeps_the_rows_of_one_side(sides: list[Side], left_out: list[bool]):
    owners = [Owner(f"e{i}", f"u{i}", "shared") for i in range(3)]
    assert across_sides(owners, sides) == left_out


def test_conversations_do_not_chain_their_users_together():
    # u0-u1, u1-u2, u2-u3: only the conversation that lies across sides loses rows.
    owners = [Owner(f"e{i}{j}", f"u{i + j}", f"c{i}") for i in range(3) for j in range(2)]
    sides = [H if owner.user == "u3" else T for owner in owners]
    left = dict(zip([o.key for o in owners], across_sides(owners, sides), strict=True))
    assert [key for key, out in left.items() if out] == ["e20"]


def test_rows_without_a_conversation_are_never_left_out():
    owners = [Owner("a", "u"), Owner("b", "v")]
    assert across_sides(owners, [H, T]) == [False, False]
