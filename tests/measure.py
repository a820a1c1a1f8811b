"""The numbers behind limits: `python -m tests.measure drift|drift_alarms|usual [FEED FOLDER]`.

drift: every week after the first six against them, stream by stream; drift_alarms: a year without
drift in every domain (docs/decisions/0030-drift-alarms.md).
usual: what is unusual in single weeks against the weeks before, and how often chance alone is
(docs/decisions/0014-usual-weeks.md).
Without a folder the sample feed is measured.
"""

import argparse
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ft_assets.corpus import anonymize
from ft_assets.corpus.detector import Detector
from ft_assets.demo.feed import domains_of
from ft_assets.publishing import share
from ft_assets.raw import schema
from ft_assets.raw.intake import take_up
from ft_assets.raw.sample_feed import write_feed
from ft_assets.raw.sources import list_files
from ft_assets.raw.taken import Intake
from tests.measure_drift import measure_false_alarms, measure_first_weeks, observed_feed


def rows(data: Path, domain: str, kind: str, model: type[schema.Row]) -> list[dict[str, Any]]:
    return taken(data, domain, kind, model).rows


def taken(data: Path, domain: str, kind: str, model: type[schema.Row]) -> Intake:
    files = list_files([f"{data.resolve()}/{domain}/{kind}*.jsonl*"])
    now = datetime.now(UTC)
    return take_up(files, model, domain=domain, now=now, unknown_fields="ignore")


def logs_of(data: Path, domain: str) -> list[dict[str, Any]]:
    return anonymize.anonymize_logs(
        rows(data, domain, "logs", schema.Interaction),
        lambda kind, value: f"{kind}-{value}",
        Detector(),
    ).rows


def measure_usual(data: Path) -> None:
    from ft_assets.expectations import usual
    from ft_assets.expectations.derived import Given, derive
    from ft_assets.expectations.suite import load_suite

    for name in ("raw_logs", "anonymized_logs"):
        suite = load_suite(name)
        columns = {column for e in suite.expectations for column in e.columns}
        weekly = [e for e in suite.expectations if e.usual]
        judged, unusual, nothing = 0, [], 0
        for domain in domains_of(data):
            if name == "raw_logs":
                table = _raw_table(taken(data, domain, "logs", schema.Interaction))
            else:
                table = pd.DataFrame(logs_of(data, domain))
            table = derive(table, columns, Given())
            known = {
                f"{domain}|{week}": usual.figures(part, suite)
                for week, part in table.groupby("week")
            }
            for key, now in known.items():
                for expectation in weekly:
                    figure = now.get(expectation.key)
                    band = usual.limits(expectation, figure, usual.earlier_weeks(key, known))
                    if not isinstance(band, usual.Band) or figure is None:
                        nothing += 1
                        continue
                    judged += 1
                    low, high = band.low or 0.0, band.high or float("inf")
                    if not low <= figure["value"] <= high:
                        value = f"{figure['value']:.3f} outside {low:.3f} to {high:.3f}"
                        unusual.append(f"{key} {expectation.key} {value}")
        print(
            f"{name}: {judged} judged, {nothing} not, {len(unusual)} unusual", *unusual, sep="\n  "
        )
    for weeks in (usual.MIN_WEEKS, usual.WINDOW):
        for ratio in (1, 3):
            rates = [_share_outside(weeks, ratio, shift) for shift in (0, 6, 8)]
            print(
                f"{weeks} earlier weeks that scatter {ratio} times as chance does: "
                f"{rates[0]:.2%} outside, {rates[1]:.0%} when shifted by 6 deviations, "
                f"{rates[2]:.0%} by 8"
            )


def _raw_table(intake: Intake) -> pd.DataFrame:
    """As the asset raw_logs gives it to its suite."""
    weeks = sorted({week for week, _ in intake.lines})
    tables = [
        pd.DataFrame(part.rows).assign(quarantined_share=share(len(part.quarantined), part.rows_in))
        for part in intake.by_week(weeks).values()
        if part.rows
    ]
    return pd.concat(tables, ignore_index=True)


def _share_outside(weeks: int, ratio: float, shift: float, trials: int = 20_000) -> float:
    """Of normal weeks with deviation 1, of which chance is 1 / ratio; `within` is left out."""
    from ft_assets.expectations import usual
    from ft_assets.expectations.suite import Reference, Usual

    dice = np.random.default_rng(0)
    wanted = Usual(Reference.WEEKS, 1e-9)
    outside = 0
    for _ in range(trials):
        # 100: none of the figures is negative.
        *before, now = dice.normal(100, 1, weeks + 1)
        history = [{"value": value, "spread": 1 / ratio, "n": 1} for value in before]
        figure = {"value": now + shift, "spread": 1 / ratio, "n": 1}
        band = usual.band(wanted, figure, history)
        outside += not (band.low or 0) <= figure["value"] <= (band.high or 0)
    return outside / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["drift", "drift_alarms", "usual"])
    parser.add_argument("data", nargs="?", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.what == "drift_alarms" and asked.data is None:
        measure_false_alarms(None)
        return
    with tempfile.TemporaryDirectory() as name:
        data = asked.data
        if data is None:
            data = Path(name) / "feed"
            write_feed(data)
        if asked.what == "usual":
            measure_usual(data)
            return
        tables = observed_feed(data, {d: logs_of(data, d) for d in domains_of(data)})
        found = {"drift": measure_first_weeks, "drift_alarms": measure_false_alarms}
        found[asked.what](tables)


if __name__ == "__main__":
    main()
