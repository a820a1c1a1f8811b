import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ft_assets.corpus.token_cache import IGNORED, CacheKey, TokenRow, cached_tokens

KEY = CacheKey("corpus", "tokenizer", "template", max_tokens=4)
ROWS = [
    TokenRow("log:a", [1, 2, 3], [IGNORED, 2, 3]),
    TokenRow("log:b", [4, 5, 6, 7, 8], [IGNORED, IGNORED, IGNORED, IGNORED, 8]),
    TokenRow("log:c", [], []),
]


def unused() -> Iterator[TokenRow]:
    raise AssertionError("what is cached was made again")


def test_rows_are_made_once_and_cut(tmp_path: Path):
    made = cached_tokens(tmp_path, KEY, lambda: ROWS)
    assert made.to_pydict() == {
        "row_id": ["log:a", "log:b", "log:c"],
        "input_ids": [[1, 2, 3], [4, 5, 6, 7], []],
        "labels": [[IGNORED, 2, 3], [IGNORED] * 4, []],
        "prompt_length": [1, 4, 0],
    }
    assert cached_tokens(tmp_path, KEY, unused).equals(made)


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": "x"},
        {"tokenizer": "x"},
        {"template": "x"},
        {"max_tokens": 5},
        {"train_on": "all"},
    ],
)
def test_whatever_the_tokens_depend_on_makes_another_file(change: dict):
    assert dataclasses.replace(KEY, **change).name != KEY.name


def test_rows_are_mapped_and_not_copied(tmp_path: Path):
    rows = [TokenRow(f"r{i}", list(range(500)), list(range(500))) for i in range(3000)]
    key = dataclasses.replace(KEY, max_tokens=500)
    cached_tokens(tmp_path, key, lambda: rows)
    before = pa.total_allocated_bytes()
    table = cached_tokens(tmp_path, key, unused)
    assert table.num_rows == 3000
    assert pa.total_allocated_bytes() - before < table.nbytes / 100


def test_a_file_that_could_not_be_finished_is_not_there(tmp_path: Path):
    wrong = [*ROWS, TokenRow("log:d", [1, 2], [1])]
    with pytest.raises(ValueError, match="row log:d: 2 tokens but 1 labels"):
        cached_tokens(tmp_path, KEY, lambda: wrong)
    assert list(tmp_path.iterdir()) == []
    assert cached_tokens(tmp_path, KEY, lambda: ROWS).num_rows == 3
