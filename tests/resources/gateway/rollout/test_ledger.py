import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ft_resources.gateway.rollout.ledger import Ledger, Unit

WINDOW = 10.0


def told(events, votes=3):
    """Events (time, what, ...) in their order; the units when everything is over."""
    ledger = Ledger(WINDOW, votes)
    for now, what, *rest in events:
        if what == "begin":
            key, user, canary = rest
            ledger.begin(now, key, user, canary, 0.5)
            ledger.answered(now, key, f"answer-{key}")
        else:
            ledger.react(now, *rest)
    ledger.close(1e9)
    return ledger, ledger.take()


def test_units_leave_in_the_order_they_began_whoever_reacts_first():
    _, units = told(
        [
            (0, "begin", "a", "u", True),
            (1, "begin", "b", "v", False),
            (2, "react", "answer-b", 0.0),
            (9, "react", "answer-a", 1.0),
        ]
    )
    assert units == [Unit(True, 0.5, 1.0, True, True), Unit(False, 0.5, 0.0, True, True)]


def test_a_reaction_counts_once_as_it_was_told_last():
    _, units = told(
        [
            (0, "begin", "a", "u", True),
            (1, "react", "answer-a", 1.0),
            (2, "react", "answer-a", 1.0),
            (3, "react", "answer-a", 0.0),
        ]
    )
    assert units == [Unit(True, 0.5, 0.0, True, True)]


def test_a_late_reaction_does_not_count():
    ledger, units = told([(0, "begin", "a", "u", True), (10, "react", "answer-a", 0.0)])
    assert [unit.reacted for unit in units] == [False]
    assert ledger.late == 1


def test_a_conversation_is_one_unit_with_the_mean_of_its_answers():
    ledger = Ledger(WINDOW, 3)
    ledger.begin(0, "a", "u", True, 0.5)
    for answer, score in (("1", 1.0), ("2", 0.0), ("3", None)):
        ledger.answered(1, "a", answer)
        ledger.react(2, answer, score)
    ledger.begin(30, "a", "u", True, 0.5)  # goes on after its window: it was drawn already
    ledger.close(99)
    assert ledger.take() == [Unit(True, 0.5, 0.5, True, True)]


def test_one_user_has_no_more_than_their_votes():
    events = [(i, "begin", str(i), "loud", True) for i in range(8)]
    events += [(8, "react", f"answer-{i}", 0.0) for i in range(8)]
    ledger, units = told(sorted(events), votes=3)
    assert [unit.reacted for unit in units] == [True] * 3 + [False] * 5
    assert [unit.counted for unit in units] == [True] * 3 + [False] * 5
    assert ledger.capped == 5
    silent = [(i, "begin", str(i), "loud", True) for i in range(40)]
    assert sum(unit.counted for unit in told(silent, votes=3)[1]) == 30
    nameless = [(i, "begin", str(i), "", True) for i in range(8)]
    nameless += [(8, "react", f"answer-{i}", 0.0) for i in range(8)]
    assert sum(unit.reacted for unit in told(sorted(nameless))[1]) == 8


@settings(max_examples=60, deadline=None)
@given(
    reactions=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0])), max_size=12),
    seed=st.integers(0, 1000),
)
def test_duplicates_and_order_among_conversations_change_nothing(reactions, seed):
    begins = [(i, "begin", str(i), f"user-{i % 3}", i % 2 == 0) for i in range(6)]
    final = dict(reactions)  # of each conversation the last one
    once = [(8, "react", f"answer-{key}", score) for key, score in final.items()]
    _, plain = told([*begins, *once])
    shuffled = once * 3
    random.Random(seed).shuffle(shuffled)
    _, again = told([*begins, *shuffled])
    assert again == plain
