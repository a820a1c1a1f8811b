"""Mask identifiers in a stream of JSON lines: what `ft anonymize` does between its two ends.

Every object keeps its fields; `text` is masked and `spans` says what was replaced, as
[start, end, type] in code points of the text *as it came in*. So nothing is cleaned here: offsets
into a repaired text would be useless to the sender. All types are searched, ages too, which the
pipeline leaves alone. Each line is a conversation of its own.

A line that is not a JSON object with a text is not passed on (its content could not be masked);
it is named on stderr by number only and counted, and the lines after it are still done. So the
output has `lines - failed` lines, and whoever calls must look at `failed`. Empty lines are skipped.
Each line is written and flushed before the next is read, so a client can talk to it line by line.
Not masked: other fields than `text`, and what the detector does not find.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Any, TextIO

from ft_assets.corpus.detector import TYPES, Detector
from ft_assets.corpus.redact import Placeholders, outside_placeholders


@dataclass
class StreamCounts:
    lines: int = 0  # without empty ones
    failed: int = 0
    masked: dict[str, int] = field(default_factory=dict)  # spans by type


def anonymize_lines(
    lines: Iterable[bytes],
    out: IO[bytes],
    detector: Detector,
    errors: TextIO | None = None,
) -> StreamCounts:
    """Write one masked object per good line; `errors` is stderr unless given."""
    counts = StreamCounts()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        counts.lines += 1
        try:
            row = _parse(line)
        except ValueError as error:
            counts.failed += 1
            print(f"line {number}: {error}; left out", file=errors or sys.stderr)
            continue
        out.write(_masked(row, detector, counts))
        out.flush()  # whoever sent one line may wait for its answer before the next
    return counts


def _parse(line: bytes) -> dict[str, Any]:
    """Raises ValueError that names the defect but never the content."""
    try:
        row = json.loads(line.decode("utf-8-sig").strip(), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON (column {error.colno})") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if not isinstance(row.get("text"), str):
        raise ValueError("no field 'text' that is a string")
    return row


def _refuse_constant(_name: str) -> float:
    raise ValueError("NaN or Infinity, which JSON does not have")


def _masked(row: dict[str, Any], detector: Detector, counts: StreamCounts) -> bytes:
    ((found,),) = detector.find_in([[row["text"]]])
    spans = outside_placeholders(row["text"], found)
    for span in spans:
        counts.masked[span.type] = counts.masked.get(span.type, 0) + 1
    text = Placeholders(TYPES).mask(row["text"], spans).text
    masked = {**row, "text": text, "spans": [list(span) for span in spans]}
    # ASCII escapes: a lone surrogate in the input has no UTF-8.
    return json.dumps(masked).encode("ascii") + b"\n"
