import re
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from ft_assets.monitoring.alarms import Policy, Remedy, State
from ft_assets.monitoring.drift import Verdict, judge_weeks
from ft_assets.monitoring.drift_chart import drift_chart
from ft_assets.monitoring.effects import Stream
from ft_assets.monitoring.evidently_page import evidently_page
from ft_assets.raw.sample_feed import write_feed
from tests.measure_drift import measure_false_alarms
from tests.monitoring.feed import MONDAY, described, quiet_weeks
from tests.monitoring.test_effects import COFFEE, LOANS, events, seen

POLICY = Policy(domains=4, min_rows=30)
WEEKS = [(MONDAY + timedelta(weeks=n)).isoformat() for n in range(12)]


@pytest.fixture(scope="module")
def quiet() -> pd.DataFrame:
    """Eight weeks in which people ask about loans; one in five answers is voted on."""
    return pd.concat([loans(n) for n in range(8)], ignore_index=True)


def loans(number: int, *topics: list[str], share: float = 1.0, bad: float = 0.2) -> pd.DataFrame:
    table = seen(events(number, 120, *(topics or (LOANS,)), share=share, week=WEEKS[number]))
    dice = np.random.default_rng(number)
    table[Stream.VOTES] = (dice.random(len(table)) < bad).astype(float)
    return table


def judge(quiet: pd.DataFrame, *later: pd.DataFrame, policy: Policy = POLICY, **given):
    table = pd.concat([quiet, *later], ignore_index=True)
    current = sorted(set(table["week"]) - set(WEEKS[:8]))
    return judge_weeks(table, WEEKS[:8], current, policy, 0, **given)


def test_new_topics_are_found_in_their_first_week_and_the_alarm_lasts_until_they_are_gone(quiet):
    found = judge(quiet, loans(8), loans(9, COFFEE, LOANS, share=0.6), loans(10), loans(11))
    assert [week.verdict for week in found] == ["stable", "drifted", "stable", "stable"]
    assert [week.remedy for week in found] == ["none", "retrain", "none", "none"]
    assert found[1].of(Stream.PROMPT_WORDS).state is State.ALARM
    assert found[1].of(Stream.VOTES).state is State.QUIET


def test_worse_votes_for_the_same_prompts_ask_for_other_labels(quiet):
    found = judge(quiet, loans(8, bad=0.75))
    assert (found[0].verdict, found[0].remedy) == (Verdict.DRIFTED, Remedy.RELABEL)
    assert found[0].of(Stream.PROMPT_WORDS).state is State.QUIET
    assert "votes" in found[0].why
    better = judge(quiet, loans(8, bad=0.0))
    assert better[0].remedy is Remedy.NONE


def test_another_model_is_not_judged_by_the_answers_of_the_one_before(quiet):
    found = judge(quiet, loans(8, bad=0.75).assign(model_version="other"))
    assert found[0].remedy is Remedy.NONE
    assert found[0].of(Stream.VOTES).state is State.UNSEEN
    assert "same model" in found[0].of(Stream.VOTES).why


def test_a_change_of_form_alone_is_told(quiet):
    longer = loans(8)
    longer[Stream.PROMPT_LENGTH] += 2.0
    found = judge(quiet, longer)
    assert (found[0].verdict, found[0].remedy) == (Verdict.CHANGED, Remedy.TELL)


def test_too_few_rows_are_not_called_stable(quiet):
    found = judge(quiet, loans(8, COFFEE).head(20))
    assert (found[0].verdict, found[0].remedy) == (Verdict.TOO_FEW_ROWS, Remedy.TELL)
    wordless = loans(8).assign(prompt="? !")
    assert judge(quiet, wordless)[0].verdict is Verdict.NO_SCORE


def test_looking_again_raises_the_limit_and_the_same_seed_gives_the_same_verdict(quiet):
    once, again, third = (
        judge(quiet, loans(8), looks=looks)[0] for looks in ({}, {WEEKS[8]: 1}, {WEEKS[8]: 3})
    )
    assert once == again
    words = Stream.ANSWER_LENGTH
    assert third.of(words).effect == once.of(words).effect
    assert third.of(words).limit >= once.of(words).limit


def test_a_baseline_of_one_week_still_has_a_limit(quiet):
    table = pd.concat([quiet[quiet["week"] == WEEKS[0]], loans(8, COFFEE)], ignore_index=True)
    [found] = judge_weeks(table, WEEKS[:1], WEEKS[8:9], POLICY, 0)
    assert found.remedy is Remedy.RETRAIN


def test_a_quiet_season_of_the_sample_feed_raises_nothing_and_its_drift_is_found(tmp_path):
    """The small version of `python -m tests.measure drift_alarms` and `drift`."""
    alarms = []
    for domain in ("finance", "ecommerce"):
        table = quiet_weeks(tmp_path, domain, 12, 60, seed=1)
        weeks = sorted(table["week"].unique())
        assert len(weeks) == 12
        judged = judge_weeks(table, weeks[:6], weeks[6:], POLICY, 0)
        alarms += [week.remedy for week in judged if week.remedy is not Remedy.NONE]
    assert len(alarms) <= 1
    assert Remedy.RETRAIN not in alarms
    write_feed(tmp_path / "drifting", 0, ["ecommerce"])
    table = described(tmp_path / "drifting", "ecommerce")
    weeks = sorted(table["week"].unique())
    assert judge_weeks(table, weeks[:9], weeks[9:10], Policy(domains=4), 0)[0].remedy == "retrain"


@pytest.mark.slow
def test_a_year_without_drift_keeps_within_its_budget(capsys):
    measure_false_alarms(None)
    told = capsys.readouterr().out.splitlines()[-1]
    weeks, alarms = map(int, re.findall(r"\d+", told)[:2])
    assert weeks == 4 * 52
    assert alarms <= 4


def test_evidentlys_page_is_self_contained_and_agrees_on_a_new_topic(quiet):
    html, scores = evidently_page(quiet, loans(8, COFFEE, LOANS, share=0.6), 0.6, 200, 0)
    assert "<html" in html
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?://", html)
    assert "evidently.telemetry" not in sys.modules
    ours = judge(quiet, loans(8, COFFEE, LOANS, share=0.6))[0].of(Stream.PROMPT_WORDS).effect
    assert scores["prompt"] == pytest.approx(ours, abs=0.12)
    assert {"response", "prompt_length", "votes"} <= set(scores)
    wordless = quiet.assign(prompt="? !", response="!")
    _, without = evidently_page(wordless, wordless, 0.6, 200, 0)
    assert "prompt" not in without
    assert "prompt_length" in without


def test_the_picture_marks_the_weeks_in_alarm(quiet):
    weeks = [
        {**week.to_dict(), "champion": "m"}
        for week in judge(quiet, loans(8), loans(9, COFFEE, LOANS, share=0.6))
    ]
    svg = drift_chart(weeks, "m")
    assert svg.startswith("<svg")
    assert svg.count("#c0392b") >= 2
    assert WEEKS[9] in svg
    assert 'fill="none"' in drift_chart(weeks, "another")
    assert drift_chart([], "m") == ""
