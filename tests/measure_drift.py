"""False alarms of drift, and the first weeks of planted one, through the code that decides."""

import random
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pandas as pd

from ft_assets.demo.feed import domains_of
from ft_assets.monitoring.alarms import Policy, Remedy, State
from ft_assets.monitoring.drift import Judged, judge_weeks
from ft_assets.monitoring.effects import Stream
from ft_assets.raw.sample_feed import TEXTS
from tests.monitoring.feed import MONDAY, observed_rows, quiet_weeks

REFERENCE_WEEKS = 6
YEAR = 52
QUIET_WEEKS = 9  # of the feeds measured here; from the tenth on some change


def measure_first_weeks(tables: dict[str, pd.DataFrame]) -> None:
    """Every week after the first six, judged as if a champion had been trained on those."""
    policy = Policy(domains=len(tables))
    for domain, table in tables.items():
        weeks = sorted(table["week"].unique())
        judged = judge_weeks(table, weeks[:REFERENCE_WEEKS], weeks[REFERENCE_WEEKS:], policy, 0)
        for stream in Stream:
            print(f"{domain}: {stream}: " + ", ".join(_shown(week, stream) for week in judged))
        print(f"{domain}: " + ", ".join(f"{w.week} {w.remedy}" for w in judged))


def measure_false_alarms(tables: dict[str, pd.DataFrame] | None) -> None:
    """A year of weeks without drift in every domain: the sample feed's, or draws of real ones.

    Of real feeds six of the quiet weeks, drawn at random, stand for the reference and a seventh is
    judged, 52 times a domain; the weeks are put in the order of the draw.
    """
    domains = list(tables or TEXTS)
    policy = Policy(domains=len(domains))
    alarms: Counter[str] = Counter()
    weeks = 0
    for domain in domains:
        judged = (
            _sample_year(domain, policy) if tables is None else _drawn_year(tables[domain], policy)
        )
        alarmed = [week for week in judged if week.remedy is not Remedy.NONE]
        for week in alarmed:
            on = [f"{f.stream} {f.effect:.3f}/{f.limit:.3f}" for f in week.findings if f.on]
            alarms[domain] += any(f.state is State.ALARM for f in week.findings)
            print(f"  {domain} {week.week} {week.verdict}, {week.remedy}: {', '.join(on)}")
        weeks += len(judged)
        seen = sum(f.effect is not None for week in judged for f in week.findings)
        print(f"{domain}: {len(judged)} weeks, {seen} tests, {alarms[domain]} weeks with an alarm")
    print(
        f"{weeks} weeks without drift: {alarms.total()} alarms; the budget is "
        f"{policy.false_alarms_per_year:g} a year, the level of a test {policy.level():.2g}"
    )


def _sample_year(domain: str, policy: Policy) -> list[Judged]:
    with tempfile.TemporaryDirectory() as folder:
        table = quiet_weeks(Path(folder), domain, REFERENCE_WEEKS + YEAR, 90)
    weeks = sorted(table["week"].unique())
    return judge_weeks(table, weeks[:REFERENCE_WEEKS], weeks[REFERENCE_WEEKS:], policy, 0)


def _drawn_year(table: pd.DataFrame, policy: Policy) -> list[Judged]:
    quiet = sorted(table["week"].unique())[:QUIET_WEEKS]
    dice, judged = random.Random(0), []
    names = [(MONDAY + timedelta(weeks=n)).isoformat() for n in range(REFERENCE_WEEKS + 1)]
    for seed in range(YEAR):
        drawn = dict(zip(dice.sample(quiet, len(names)), names, strict=True))
        named = table[table["week"].isin(drawn)].assign(week=lambda t, to=drawn: t["week"].map(to))
        judged += judge_weeks(named, names[:-1], names[-1:], policy, seed)
    return judged


def observed_feed(data: Path, anonymized: dict[str, list]) -> dict[str, pd.DataFrame]:
    return {domain: observed_rows(pd.DataFrame(anonymized[domain])) for domain in domains_of(data)}


def _shown(week: Judged, stream: Stream) -> str:
    found = week.of(stream)
    return "-" if found.effect is None else f"{found.effect:.3f}/{found.limit:.3f}"
