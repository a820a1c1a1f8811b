"""Read configured benchmarks, so that no corpus contains their rows."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ft_assets.corpus.fingerprints import Fingerprints, fingerprint_pairs


def benchmark_prints(
    name: str, files: Sequence[Path], prompt: str, response: str | None
) -> Fingerprints:
    """Fingerprints of the rows of a benchmark; a row is named after benchmark, file and place.

    `prompt` and `response` name the fields; without a response the prompts alone are looked for.
    Raises ValueError for a file of another kind and for a row without one of the fields.
    """
    if not files:
        raise ValueError(f"benchmark {name}: no file; see corpus.benchmarks.{name}.files")
    keys, prompts, responses = [], [], []
    for file in sorted(files):
        for place, row in enumerate(_rows(name, file), start=1):
            keys.append(f"benchmark:{name}:{file.name}:{place}")
            prompts.append(_field(name, file, place, row, prompt))
            responses.append(_field(name, file, place, row, response) if response else "")
    return fingerprint_pairs(keys, [""] * len(keys), prompts, responses)


def _rows(name: str, file: Path) -> list[Mapping[str, Any]]:
    kind = [suffix for suffix in file.suffixes if suffix != ".gz"][-1:]
    if kind == [".parquet"]:
        return pq.read_table(file).to_pylist()
    content = file.read_bytes()
    text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8-sig")
    if kind == [".csv"]:
        return list(csv.DictReader(io.StringIO(text)))
    if kind == [".jsonl"]:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    raise ValueError(
        f"benchmark {name}: {file.name} is none of .jsonl, .csv, .parquet (.gz is allowed)"
    )


def _field(name: str, file: Path, place: int, row: Mapping[str, Any], field: str) -> str:
    if field not in row:
        raise ValueError(
            f"benchmark {name}: row {place} of {file.name} has no field {field!r}; it has: "
            f"{', '.join(sorted(map(str, row)))}"
        )
    return str(row[field] or "")
