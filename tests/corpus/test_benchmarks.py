import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ft_assets.corpus.benchmarks import benchmark_prints
from ft_assets.corpus.decontaminate import EvalIndex
from ft_assets.corpus.fingerprints import fingerprint_pairs

ROWS = [{"q": "Which form is needed for this?", "a": "Form 12"}, {"q": "Who pays?", "a": "You"}]


def write(file: Path) -> Path:
    lines = "".join(f'{{"q": "{row["q"]}", "a": "{row["a"]}"}}\n' for row in ROWS)
    table = "q,a\n" + "".join(f"{row['q']},{row['a']}\n" for row in ROWS)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    elif file.name.endswith(".jsonl.gz"):
        file.write_bytes(gzip.compress(lines.encode()))
    else:
        file.write_text(table if file.suffix == ".csv" else lines, "utf-8")
    return file


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b.csv", "b.parquet"])
def test_rows_of_every_kind_of_file_are_found(tmp_path: Path, name: str):
    prints = benchmark_prints("bench", [write(tmp_path / name)], "q", "a")
    assert prints.keys.tolist() == [f"benchmark:bench:{name}:1", f"benchmark:bench:{name}:2"]
    rows = fingerprint_pairs(["x", "y"], ["", ""], ["WHO pays", "Who works?"], ["Me", "Me"])
    assert EvalIndex(prints).overlaps(rows).found.tolist() == [True, False]


def test_a_wrong_file_or_field_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"benchmark bench: row 1 of b.csv has no field 'p'"):
        benchmark_prints("bench", [write(tmp_path / "b.csv")], "p", None)
    with pytest.raises(ValueError, match=r"b.txt is none of \.jsonl, \.csv, \.parquet"):
        benchmark_prints("bench", [write(tmp_path / "b.txt")], "q", None)
    with pytest.raises(ValueError, match="benchmark bench: no file"):
        benchmark_prints("bench", [], "q", None)
