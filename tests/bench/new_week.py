"""What one new week costs against a rebuild of all, at 4, 12 and 52 weeks of the sample feed.

    python -m tests.bench.new_week

A rebuild takes up, anonymizes and fingerprints every week, clusters and composes. A new week does
the same for the newest week alone and then clusters and composes all weeks from what is kept on
disk. Seconds of processor time, medians of interleaved rounds.
"""

import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ft_assets.corpus.anonymize import anonymize_cases, anonymize_logs, consent_states
from ft_assets.corpus.compose import Policy, compose_eval, compose_training
from ft_assets.corpus.dedup import NONE, Clusters, find_clusters
from ft_assets.corpus.detector import Detector
from ft_assets.corpus.pool import Batch, batch_files, batch_from, log_batch
from ft_assets.raw import schema
from ft_assets.raw.intake import take_up
from ft_assets.raw.sample_feed import write_feed
from ft_assets.raw.sources import list_files

WEEKS = (4, 12, 52)
ROUNDS = 3
EVENTS = 800  # per week: a small company's feed of one domain
DOMAIN = "finance"
NOW = datetime(2028, 1, 1, tzinfo=UTC)  # after the last of 52 weeks
GOAL = 0.05
POLICY = Policy(document_share=1.0)


@dataclasses.dataclass
class Store:
    """One domain on disk: a raw file per week, and what is kept of each week."""

    folder: Path
    weeks: int
    consent: dict[str, str]
    cases: list[dict[str, Any]]

    def prepare(self, week: int) -> None:
        raw = self.folder / "raw" / f"{week:02d}.jsonl"
        taken = take_up(list_files([str(raw)]), schema.Interaction, domain=DOMAIN, now=NOW)
        rows = anonymize_logs(taken.rows, pseudonym, Detector()).rows
        kept = self.folder / "kept" / f"{week:02d}"
        kept.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, kept / "rows.parquet", compression="zstd")
        for name, content in batch_files(log_batch(table)).items():
            (kept / name).write_bytes(content)

    def batch(self, week: int) -> Batch:
        kept = self.folder / "kept" / f"{week:02d}"
        return batch_from(lambda name: (kept / name).read_bytes())

    def compose(self, known: Clusters) -> Clusters:
        batches = [self.batch(week) for week in range(self.weeks)]
        clusters = find_clusters([batch.prints for batch in batches], known)
        pq.write_table(clusters.to_table(), self.folder / "clusters.parquet")
        held = compose_eval(self.cases, [], batches, self.consent, POLICY, clusters=clusters)
        corpus = compose_training(
            batches, [], [], self.consent, held.rows, POLICY, clusters=clusters
        )
        pq.write_table(corpus.table, self.folder / "corpus.parquet", compression="zstd")
        return clusters

    def rebuild(self) -> None:
        for week in range(self.weeks):
            self.prepare(week)
        self.compose(NONE)

    def new_week(self, before: Path) -> None:
        self.prepare(self.weeks - 1)
        self.compose(Clusters.from_table(pq.read_table(before)))


def pseudonym(kind: str, value: str) -> str:
    return f"{kind}-{value}"


def write_weeks(folder: Path, weeks: int, events: int) -> None:
    """A raw file per week, beside the feed that they are cut from."""
    write_feed(folder / "feed", domains=[DOMAIN], weeks=weeks, events_per_week=events)
    (folder / "raw").mkdir()
    monday = datetime(2026, 8, 31, tzinfo=UTC)
    lines: dict[int, list[bytes]] = {week: [] for week in range(weeks)}
    week = 0
    for line in (folder / "feed" / DOMAIN / "logs.jsonl").read_bytes().splitlines(keepends=True):
        week = week_of(line, monday, weeks, week)
        lines[week].append(line)
    for number, content in lines.items():
        (folder / "raw" / f"{number:02d}.jsonl").write_bytes(b"".join(content))


def opened(folder: Path, weeks: int) -> Store:
    feed = folder / "feed" / DOMAIN
    users = take_up(list_files([str(feed / "users*")]), schema.User, domain=DOMAIN, now=NOW).rows
    cases = take_up(
        list_files([str(feed / "eval*")]),
        schema.EvalCase,
        domain=DOMAIN,
        now=NOW,
        unknown_fields="ignore",
    ).rows
    own = anonymize_cases(cases, Detector()).rows
    return Store(folder, weeks, consent_states(users, pseudonym), own)


def stored(folder: Path, weeks: int) -> tuple[Store, Path]:
    """The store, rebuilt once, and the clusters as they were a week before."""
    write_weeks(folder, weeks, EVENTS)
    store = opened(folder, weeks)
    store.rebuild()
    prints = [store.batch(week).prints for week in range(weeks - 1)]
    before = folder / "before.parquet"
    pq.write_table(find_clusters(prints).to_table(), before)
    return store, before


def week_of(line: bytes, monday: datetime, weeks: int, last: int) -> int:
    try:
        stamp = datetime.fromisoformat(json.loads(line)["ts"].replace("Z", "+00:00"))
        return min(max((stamp - monday) // timedelta(days=7), 0), weeks - 1)
    except (ValueError, KeyError, TypeError, AttributeError):  # a defect of the feed
        return last


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measured(weeks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        store, before = stored(Path(name), weeks)
        times = [
            (cpu_seconds(lambda: store.new_week(before)), cpu_seconds(store.rebuild))
            for _ in range(ROUNDS)
        ]
    new, full = (statistics.median(column) for column in zip(*times, strict=True))
    goal = GOAL if weeks == max(WEEKS) else None
    return {
        "measure": f"new_week_of_{weeks}_vs_rebuild",
        "ours": new,
        "peer": full,
        "unit": "CPU s",
        "ratio": new / full,
        "goal": f"ours / peer <= {goal}" if goal else "",
        "holds": new / full <= goal if goal else None,
    }


def measures() -> list[dict[str, Any]]:
    return [measured(weeks) for weeks in WEEKS]


if __name__ == "__main__":
    for measure in [measured(int(weeks)) for weeks in sys.argv[1:]] or measures():
        print(measure)
