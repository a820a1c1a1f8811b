"""The table of an area: as text, as Markdown between two marks of docs/benchmarks.md, as JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tests.bench.timing import Measure

HEAD = ("measure", "ours", "peer", "unit", "ratio", "goal", "holds")
TITLE = "# Benchmarks\n\nMedians over interleaved runs, by `make bench`. Look at the ratios.\n"


def checked(measure: Mapping[str, Any], module: str) -> Measure:
    """Raises ValueError unless the measure has its fields: what a reader of the JSON relies on."""
    lacking = [name for name in HEAD if name not in measure]
    if lacking:
        named = measure.get("measure", "a measure")
        raise ValueError(f"tests/bench/{module}.py: {named} lacks {', '.join(lacking)}")
    return cast(Measure, dict(measure))


def row(measure: Measure) -> list[str]:
    holds = {True: "yes", False: "no", None: ""}[measure["holds"]]
    note = measure.get("note", "")
    numbers = [_number(measure[name]) for name in ("ours", "peer")]
    return [
        measure["measure"],
        *numbers,
        measure["unit"],
        _number(measure["ratio"]),
        str(measure["goal"]),
        f"{holds} ({note})" if note else holds,
    ]


def markdown(found: Sequence[Measure]) -> str:
    lines = ["| " + " | ".join(HEAD) + " |", "|---|--:|--:|---|--:|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row(m)) + " |" for m in found]
    return "\n".join(lines)


def insert(page: str, area: str, table: str) -> str:
    """The page with the area's table in place of the one before; at its end if there was none."""
    begin, end = f"<!-- bench:{area} -->", f"<!-- /bench:{area} -->"
    block = f"{begin}\n{table}\n{end}"
    if begin not in page:
        return f"{page or TITLE}\n## {area}\n`make bench AREA={area}`\n\n{block}\n"
    head, rest = page.split(begin, 1)
    if end not in rest:
        raise ValueError(f"docs/benchmarks.md: {begin} has no {end} behind it")
    return head + block + rest.split(end, 1)[1]


def to_json(found: Sequence[Measure]) -> str:
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _number(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}" if abs(value) >= 1e-4 else f"{value:.2e}"
