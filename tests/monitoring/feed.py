"""Weeks of a domain as drift sees them: the sample feed's, taken up and described."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd

from ft_assets.corpus.screen.influence import with_capped_votes
from ft_assets.feedback.signals import signals
from ft_assets.monitoring.effects import observed
from ft_assets.raw import schema
from ft_assets.raw.intake import take_up
from ft_assets.raw.sample_feed import DRIFT_WEEK, write_feed
from ft_assets.raw.sources import list_files

MONDAY = date(2024, 1, 1)  # what is in the future would be quarantined
CAP = 20  # votes of a user in a week, as by default


def quiet_weeks(
    folder: Path, domain: str, weeks: int, events_per_week: int, seed: int = 0
) -> pd.DataFrame:
    """Weeks without drift, however many: feeds that end before theirs, one after the other.

    Each is of other people and other texts, and begins with the first model again.
    """
    tables, whole = [], DRIFT_WEEK - 1
    for part in range(-(-weeks // whole)):
        first = MONDAY + timedelta(weeks=whole * part)
        here = folder / f"{domain}-{seed}-{part}"
        length = min(whole, weeks - whole * part)
        seeds = 1000 * seed + part
        write_feed(here, seeds, [domain], length, first.isoformat(), events_per_week)
        tables.append(described(here, domain))
    return pd.concat(tables, ignore_index=True)


def described(data: Path, domain: str) -> pd.DataFrame:
    """The taken-up logs of a feed, their texts as delivered: identifiers are no matter here."""
    files = list_files([f"{data.resolve()}/{domain}/logs*.jsonl*"])
    rows = take_up(
        files, schema.Interaction, domain=domain, now=datetime.now(UTC), unknown_fields="ignore"
    ).rows
    table = pd.DataFrame(rows)
    return observed_rows(table.rename(columns={"user_id": "user", "session_id": "conversation"}))


def observed_rows(events: pd.DataFrame) -> pd.DataFrame:
    plain = events.astype(object).where(events.notna(), None).to_dict("records")
    by_week: dict[str, list] = {}
    for row in plain:
        by_week.setdefault(row["week"], []).append(row)
    found = [row for week in by_week.values() for row in signals(with_capped_votes(week, CAP))]
    return observed(events, pd.DataFrame(found))
