"""Mask identifiers in a stream of JSON lines: what `ft anonymize` does between its two ends.

Every object keeps its fields; `text` is masked and `spans` says what was replaced, as
[start, end, type] in code points of the text *as it came in*. So nothing is cleaned here: offsets
into a repaired text would be useless to the sender. All types are searched, ages too, which the
pipeline leaves alone. Each line is a conversation of its own.

A line that is not a JSON object with a text is not passed on (its content could not be masked);
it is named on stderr by number only and counted, and the lines after it are still done. So the
output has `lines - failed` lines, and whoever calls must look at `failed`. Empty lines are skipped.
Lines that arrive together are searched together, which is faster; they are written and flushed
before more is read, so a client can also talk to it line by line.
Not masked: other fields than `text`, and what the detector does not find. With a policy, what its
operators keep is not searched, and originals are handed on before a line that holds their tokens.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, TextIO

from ft_assets.corpus.detect import Span
from ft_assets.corpus.detector import TYPES, Detector
from ft_assets.corpus.operators import DomainOperators, Original, Owner
from ft_assets.corpus.policy import Replace
from ft_assets.corpus.redact import Placeholders, outside_placeholders
from ft_resources.vault.subjects import of_row

EVERYTHING = DomainOperators(dict.fromkeys(TYPES, Replace()), None)
_BLOCK = 1 << 16  # bytes that are read at once
SOURCE = "stream"  # whose originals are those of lines that name nobody


@dataclass
class StreamCounts:
    lines: int = 0  # without empty ones
    failed: int = 0
    masked: dict[str, int] = field(default_factory=dict)  # spans by type


def arriving(descriptor: int) -> Iterator[list[bytes]]:
    """The lines of a pipe or file, those in one list that have come when they are asked for."""
    rest = b""
    while block := os.read(descriptor, _BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def anonymize_lines(
    batches: Iterable[Sequence[bytes]],
    out: IO[bytes],
    detector: Detector,
    errors: TextIO | None = None,
    operators: DomainOperators = EVERYTHING,
    keep: Callable[[list[Original]], object] | None = None,
) -> StreamCounts:
    """Write one masked object per good line; `errors` is stderr unless given.

    The lines of a batch are answered together. `keep` stores what stands behind reversible
    operators.
    """
    counts = StreamCounts()
    number = 0
    for batch in batches:
        rows = []
        for line in batch:
            number += 1
            if not line.strip():
                continue
            counts.lines += 1
            try:
                rows.append(_parse(line))
            except ValueError as error:
                counts.failed += 1
                print(f"line {number}: {error}; left out", file=errors or sys.stderr)
        found = detector.find_in([[row["text"]] for row in rows], operators.types)
        for row, (spans,) in zip(rows, found, strict=True):
            out.write(_masked(row, spans, operators, keep, counts))
        out.flush()  # whoever sent these lines may wait for the answer before the next
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


def _masked(
    row: dict[str, Any],
    found: Sequence[Span],
    operators: DomainOperators,
    keep: Callable[[list[Original]], object] | None,
    counts: StreamCounts,
) -> bytes:
    spans = outside_placeholders(row["text"], found)
    for span in spans:
        counts.masked[span.type] = counts.masked.get(span.type, 0) + 1
    names = Placeholders(operators.types)
    names.learn(row["text"], spans)
    masked = names.mask(row["text"], spans)
    subjects = of_row(row, SOURCE)
    (rendered,) = operators.render([(masked, Owner(subjects, subjects[0]))])
    if rendered.originals and keep:
        keep(rendered.originals)
    done = {**row, "text": rendered.text, "spans": [list(span) for span in spans]}
    # ASCII escapes: a lone surrogate in the input has no UTF-8.
    return json.dumps(done).encode("ascii") + b"\n"
