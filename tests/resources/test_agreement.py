import pytest

from ft_resources.agreement import Agreement, Decision, agreements, kappa


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # Two raters, yes or no: 20 both yes, 5 and 10 apart, 15 both no (a textbook case).
        ({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}, 0.4),
        ({("a", "a"): 4, ("b", "b"): 4}, 1.0),
        ({("a", "b"): 4, ("b", "a"): 4}, -1.0),
        ({("a", "a"): 1, ("a", "b"): 1, ("b", "a"): 1, ("b", "b"): 1}, 0.0),
        ({("a", "a"): 9}, None),
        ({}, None),
    ],
)
def test_kappa(table, expected):
    found = kappa([pair for pair, times in table.items() for _ in range(times)])
    assert found == (None if expected is None else pytest.approx(expected))


def test_each_two_reviewers_on_what_both_decided():
    given = {
        "1": {"ann": "approve", "bob": "approve", "cem": "reject"},
        "2": {"ann": "reject", "bob": "reject"},
        "3": {"bob": "correct"},
    }
    decisions = [Decision(i, who, said) for i, by in given.items() for who, said in by.items()]
    assert agreements(decisions) == [
        Agreement(("ann", "bob"), 2, 2, 1.0),
        Agreement(("ann", "cem"), 1, 0, 0.0),
        Agreement(("bob", "cem"), 1, 0, 0.0),
    ]
