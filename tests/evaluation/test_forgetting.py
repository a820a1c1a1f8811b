from xml.etree import ElementTree

import numpy as np
import pytest

from ft_assets.evaluation.forgetting import MatrixRow, backward_transfer, forgetting
from ft_assets.evaluation.heat_map import heat_map
from ft_assets.evaluation.judge import Limits
from ft_assets.evaluation.slice_chart import slice_chart
from ft_assets.evaluation.slices import periods_of

LIMITS = Limits(0.05, 0.0, 0.1, 30, 20, 4.0, 500, 0)
WEEKS = ["2026-09-07"] * 40 + ["2026-09-14"] * 40 + ["2026-09-21"] * 40 + [""] * 10
NAMES = {"base": "b", "champion": "law@1", "candidate": "law@2"}
LAST = {"champion": "2026-09-14", "candidate": "2026-09-21"}


def judged(first, second, third, earlier=()):
    """A candidate that differs from the champion by so much in each week."""
    dice = np.random.default_rng(0)
    base = dice.normal(5, 1, 130)
    champion = base - 2
    change = np.repeat([first, second, third, 0.0], [40, 40, 40, 10])
    losses = {
        "base": base,
        "champion": champion,
        "candidate": champion + change + dice.normal(0, 0.05, 130),
    }
    general = {"base": 4.0, "champion": 4.2, "candidate": 4.3}
    return forgetting(losses, general, periods_of(WEEKS), NAMES, LAST, earlier, LIMITS)


def test_an_earlier_period_that_got_worse_is_refused():
    found = judged(0.3, 0.0, -0.5)
    assert found.rule is not None
    assert found.rule.outcome == "failed"
    assert "period 2026-09-07" in found.rule.says
    assert found.rule.value == pytest.approx(0.3, abs=0.03)
    assert judged(0.02, 0.0, -0.5).rule.outcome == "passed"


def test_a_period_the_champion_has_not_seen_is_no_question_of_forgetting():
    found = judged(0.0, 0.0, 0.6)
    assert set(found.by_period) == {"2026-09-07", "2026-09-14"}
    assert found.rule.outcome == "passed"


def test_the_matrix_keeps_what_served_and_says_what_was_lost():
    earlier = [
        {"adapter": "law@0", "last_week": "2026-09-07", "losses": {"2026-09-07": 2.0}},
        {"adapter": "law@1", "last_week": "2026-09-14", "losses": {"2026-09-07": 9.0}},
    ]
    found = judged(0.0, 0.2, -0.5, earlier)
    assert [row.adapter for row in found.rows] == ["b", "law@0", "law@1", "law@2"]
    base, _, champion, candidate = (row.losses for row in found.rows)
    assert base["general"] == 4.0
    # law@0 had learned the first week, law@1 the second, nobody before the candidate the third.
    gains = [2.0 - candidate["2026-09-07"], champion["2026-09-14"] - candidate["2026-09-14"]]
    assert found.backward_transfer == pytest.approx(sum(gains) / 2)


def test_without_an_earlier_adapter_there_is_no_transfer():
    rows = [MatrixRow("b", "", {"w": 5.0}), MatrixRow("a", "w", {"w": 2.0})]
    assert backward_transfer(["w"], rows) is None


@pytest.mark.parametrize(
    ("weeks", "expected"),
    [
        (["b", "a", "", "b"], ["b", "a", "", "b"]),
        (["a", "b", "b", "c", "d", "d"], ["a..b", "a..b", "a..b", "c..d", "c..d", "c..d"]),
        (["a", "a", "b"], ["a..b"] * 3),
        (["", ""], ["", ""]),
    ],
)
def test_periods(weeks, expected):
    assert periods_of(weeks, min_rows=1 if "" in weeks else 2) == expected


def test_pictures_are_well_formed():
    found = judged(0.3, 0.0, -0.5)
    rows = [("law<1>", {"2026-09-07..2026-09-14": 2.0, "general": 4.0}), ("b", {"general": 3.0})]
    heat = heat_map(rows, ["2026-09-07..2026-09-14", "general"], "loss")
    assert heat.count("<rect") == 3
    chart = slice_chart(found.by_period, 0.1)
    assert chart.count("<circle") == 2
    for svg in (heat, chart):
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert heat_map([], ["a"], "t") == slice_chart({}, 0.1) == ""
