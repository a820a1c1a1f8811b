"""Peak memory of the corpus plane at 1x and 10x the data: more weeks, and more rows in one week.

    python -m tests.bench.memory

A process of its own takes up, anonymizes and fingerprints every week, clusters and composes the
corpus, as the assets do, and reports how far its resident memory went; another one does the same
with ten times the rows. What a bare process has before it reads a row (Python and the libraries) is
in both, and is said in the note.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.new_week import NONE, opened, write_weeks
from tests.bench.timing import Measure, costs

WEEKS, EVENTS, TIMES = 2, 800, 10
GOAL = 1.3


def peak_mb() -> float:
    """The most resident memory since the program began, in MiB; on Linux.

    Not getrusage: what it gives begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def plane(folder: Path, weeks: int) -> dict[str, float]:
    """Do the work and give the peak, in MiB, after each stage; for a process of its own."""
    peaks = {"libraries": peak_mb()}
    store = opened(folder, weeks)
    for week in range(weeks):
        store.prepare(week)
    peaks["weeks"] = peak_mb()
    store.compose(NONE)
    return {**peaks, "composition": peak_mb()}


def peaks_of(weeks: int, events: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        write_weeks(Path(name), weeks, events)
        command = [sys.executable, "-m", "tests.bench.memory", name, str(weeks)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measures() -> Iterator[Measure]:
    few = peaks_of(WEEKS, EVENTS)
    for measure, weeks, events in (
        ("memory_10x_data", WEEKS * TIMES, EVENTS),
        ("memory_10x_rows_of_a_week", WEEKS, EVENTS * TIMES),
    ):
        many = peaks_of(weeks, events)
        found = costs(measure, many["composition"], few["composition"], GOAL, unit="MiB")
        stages = ", ".join(
            f"{name} {few[name]:.0f} and {many[name]:.0f}" for name in ("libraries", "weeks")
        )
        rows = f"{weeks} weeks of {events} events against {WEEKS} of {EVENTS}"
        yield {**found, "note": f"{rows}; MiB after: {stages}"}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(plane(Path(sys.argv[1]), int(sys.argv[2]))))
    else:
        for line in measures():
            print(line, flush=True)
