"""What is usual: normal weeks pass, planted anomalies do not, little history says nothing."""

import random
from typing import Any

import pandas as pd
import pytest

from ft_assets.expectations import usual
from ft_assets.expectations.derived import Given, derive
from ft_assets.expectations.gx import Outcome, SuiteResult, validate
from ft_assets.expectations.suite import Suite, load_suite, read_suite
from ft_assets.expectations.usual import Earlier, earlier_weeks, figures

SUITE = load_suite("anonymized_logs")
COLUMNS = {column for e in SUITE.expectations for column in e.columns}
WATCHED = Suite("watched", [e for e in SUITE.expectations if e.usual])


def week(seed: int, rows: int = 600, **changed: Any) -> pd.DataFrame:
    """An ordinary week; `changed` are the anomalies."""
    dice = random.Random(seed)
    rows = changed.get("rows", rows + dice.randint(-40, 40))
    up, stars = changed.get("up", 0.7), changed.get("stars", 4)
    given, size = changed.get("given", 0.2), changed.get("size", 1)
    languages = changed.get("languages", {"en": 0.95, "de": 0.05})
    table = pd.DataFrame(
        {
            "prompt": [f"{n} " + "word " * (size * dice.randint(4, 40)) for n in range(rows)],
            "response": [f"{n} " + "answer " * (size * dice.randint(10, 90)) for n in range(rows)],
            "thumb": [
                ("up" if dice.random() < up else "down") if dice.random() < given else None
                for _ in range(rows)
            ],
            "rating": [
                min(5, max(1, stars + dice.choice((-1, 0, 0, 1)))) if dice.random() < 0.1 else None
                for _ in range(rows)
            ],
            "language": dice.choices([*languages], [*languages.values()], k=rows),
        }
    )
    copies = int(rows * changed.get("repeated", 0))
    if copies:
        table.loc[: copies - 1, ["prompt", "response"]] = ["the same", "again"]
    return derive(table, COLUMNS, Given())


def earlier(weeks: int = 8) -> list[Earlier]:
    return [Earlier(f"w{n}", figures(week(n), WATCHED)) for n in range(weeks)]


def unusual(result: SuiteResult) -> set[str]:
    return {r.expectation.column or "rows" for r in result.unusual}


def test_normal_weeks_raise_no_alarm():
    weeks = [figures(week(n), WATCHED) for n in range(40)]
    alarms = 0
    for n in range(8, 40):
        history = [Earlier(str(k), weeks[k]) for k in range(n - 8, n)]
        for expectation in WATCHED.expectations:
            now = weeks[n][expectation.key]
            found = usual.limits(expectation, now, history)
            if isinstance(found, usual.Band):
                low, high = found.low or float("-inf"), found.high or float("inf")
                alarms += not low <= now["value"] <= high
    assert alarms == 0
    assert not unusual(validate(week(99), WATCHED, {}, earlier()))


@pytest.mark.parametrize(
    ("anomaly", "column"),
    [
        ({"rows": 120}, "rows"),
        ({"rows": 1800}, "rows"),
        ({"up": 0.2}, "thumb_is_up"),
        ({"up": 1.0}, "thumb_is_up"),
        ({"stars": 2}, "rating"),
        ({"given": 0.6}, "thumb"),
        ({"repeated": 0.25}, "pair_is_repeated"),
        ({"size": 3}, "prompt_chars"),
        ({"languages": {"de": 1.0}}, "language"),
        ({"languages": {"en": 0.6, "de": 0.4}}, "language"),
        ({"languages": {"en": 0.8, "fr": 0.2}}, "language"),
    ],
)
def test_a_planted_anomaly_is_found(anomaly, column):
    result = validate(week(99, **anomaly), WATCHED, {}, earlier())
    assert column in unusual(result)
    assert unusual(result) <= {column, "response_chars"}
    assert result.success


def test_one_odd_week_before_changes_nothing():
    history = [*earlier(7), Earlier("odd", figures(week(50, rows=3000, up=0.0), WATCHED))]
    assert not unusual(validate(week(99), WATCHED, {}, history))
    assert unusual(validate(week(99, up=0.2), WATCHED, {}, history)) == {"thumb_is_up"}


def test_few_weeks_are_no_history():
    result = validate(week(99, rows=1, up=0.0), WATCHED, {}, earlier(usual.MIN_WEEKS - 1))
    assert {r.outcome for r in result.expectations} == {Outcome.NOT_JUDGED}
    assert {r.problem for r in result.expectations} <= {
        "fewer than 4 earlier weeks",
        "no value to compare",
    }


def test_a_week_that_is_not_over_may_have_few_rows():
    few, many = (validate(week(99, rows=n), WATCHED, {}, earlier(), False) for n in (120, 1800))
    assert "rows" not in unusual(few)
    assert "rows" in unusual(many)


def test_chance_alone_is_no_alarm_in_a_small_week():
    """Six thumbs of one kind say little about a share of 0.7."""
    table = week(99)
    table["thumb_is_up"] = [1.0] * 6 + [None] * (len(table) - 6)
    assert "thumb_is_up" not in unusual(validate(table, WATCHED, {}, earlier()))


def test_a_figure_is_never_the_value_of_a_row():
    table = week(99)
    table["thumb_is_up"] = [1.0] * (usual.MIN_ROWS - 1) + [None] * (len(table) - usual.MIN_ROWS + 1)
    assert "expect_column_mean_to_be_between(thumb_is_up)" not in figures(table, WATCHED)


def test_the_figures_are_those_of_great_expectations():
    """The value that is compared is the one that Great Expectations judges."""
    table, history = week(1), earlier()
    for expectation in WATCHED.expectations:
        if expectation.column == "language":
            continue
        value = figures(table, WATCHED)[expectation.key]["value"]
        near = 1 if expectation.column is None else 1e-5
        for low, high, holds in ((value - near, value + near, True), (value + near, None, False)):
            arguments = {"min_value": low, "max_value": high}
            plain = type(expectation)(expectation.type, expectation.column, arguments)
            [result] = validate(table, Suite("s", [plain]), {}, history).expectations
            assert (result.outcome is Outcome.HOLDS) is holds, expectation.key


def test_earlier_weeks_are_those_of_the_domain_before_the_week():
    known = {f"a|2026-01-{n:02d}": {"n": {"value": n}} for n in range(1, 13)}
    known |= {"b|2026-01-01": {}, "a|2026-02-01": {}}
    found = earlier_weeks("a|2026-01-12", known)
    assert [e.label for e in found] == [f"2026-01-{n:02d}" for n in range(4, 12)]


ROWS = "expect_table_row_count_to_be_between"
LAST = read_suite(
    {"suite": "raw_users", "expectations": [{ROWS: {}, "since_last": {"fall": "50%"}}]}, "test"
)


@pytest.mark.parametrize(("rows", "fails"), [(49, True), (50, False), (1000, False)])
def test_a_fall_since_the_last_version(rows, fails):
    last = [Earlier("last", figures(pd.DataFrame({"a": range(100)}), LAST))]
    result = validate(pd.DataFrame({"a": range(rows)}), LAST, {}, last)
    assert bool(result.unusual) is fails
    [nothing] = validate(pd.DataFrame({"a": [1]}), LAST).expectations
    assert nothing.outcome is Outcome.NOT_JUDGED


def test_figures_are_plain_json_and_hold_no_text():
    import json

    found = figures(week(1), WATCHED)
    assert json.loads(json.dumps(found)) == found
    assert "word" not in json.dumps(found)
    many = pd.DataFrame({"language": [f"l{n}" for n in range(200)] * 2})
    mix = figures(many, WATCHED)["expect_column_kl_divergence_to_be_less_than(language)"]["mix"]
    assert (len(mix), sum(mix.values())) == (usual.MAX_MIX + 1, 400)
