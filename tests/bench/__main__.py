"""`make bench [AREA=name]`: measure, print each line as it comes, and keep the table.

An area is a list of modules of this folder, each with `measures()`, which yields one `Measure` (see
timing.py) after the other. Each area is written to .ft/bench/AREA.json and into its table in
docs/benchmarks.md.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.tables import checked, insert, markdown, row, to_json
from tests.bench.timing import Measure

PROJECT = Path(__file__).parent.parent.parent
RESULTS = PROJECT / ".ft" / "bench"
PAGE = PROJECT / "docs" / "benchmarks.md"

# Area -> modules of this folder, imported when the area is asked for.
AREAS: dict[str, tuple[str, ...]] = {
    "platform": ("platform",),
    "corpus": ("patterns", "surrogates", "dedup", "new_week", "memory", "lakefs"),
    "training": ("training", "methods"),
    "serving": ("serving",),
}


def measured(modules: tuple[str, ...]) -> Iterator[Measure]:
    for name in modules:
        module = importlib.import_module(f"tests.bench.{name}")
        for measure in module.measures():
            yield checked(measure, name)


def run(area: str) -> list[Measure]:
    print(f"\n{area}", flush=True)
    found = []
    for measure in measured(AREAS[area]):
        print("  " + "  ".join(cell for cell in row(measure) if cell), flush=True)
        found.append(measure)
        # After every line: an area that breaks off keeps what it has measured.
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{area}.json").write_text(to_json(found), "utf-8")
    page = PAGE.read_text("utf-8") if PAGE.is_file() else ""
    PAGE.write_text(insert(page, area, markdown(found)), "utf-8")
    return found


def main(arguments: list[str]) -> int:
    """1 when a goal is missed, so that CI can hold one."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("area", nargs="?", choices=sorted(AREAS), help="all of them by default")
    asked = parser.parse_args(arguments).area
    found = [m for area in ([asked] if asked else AREAS) for m in run(area)]
    missed = [m["measure"] for m in found if m["holds"] is False]
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nevery goal holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
