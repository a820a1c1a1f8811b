import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ft_assets.corpus.token_cache import CacheKey, TokenRow, cached_tokens

KEY = CacheKey("corpus", "tokenizer", "template", "train", "responses", seed=0, tokens=100)
ROWS: list[TokenRow] = [([1, 2, 3], [-100, 2, 3]), ([4, 5], [-100, 5]), ([], [])]


def unused() -> Iterator[TokenRow]:
    raise AssertionError("what is cached was made again")


def test_rows_are_made_once(tmp_path: Path):
    made = cached_tokens(tmp_path, KEY, lambda: ROWS)
    assert made.to_pydict() == {
        "input_ids": [[1, 2, 3], [4, 5], []],
        "labels": [[-100, 2, 3], [-100, 5], []],
    }
    assert cached_tokens(tmp_path, KEY, unused).equals(made)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(CacheKey)])
def test_whatever_the_tokens_depend_on_makes_another_file(field: str):
    other = 7 if field in ("seed", "tokens") else "x"
    assert dataclasses.replace(KEY, **{field: other}).name != KEY.name


def test_rows_are_mapped_and_not_copied(tmp_path: Path):
    rows = [(list(range(500)), list(range(500))) for _ in range(3000)]
    cached_tokens(tmp_path, KEY, lambda: rows)
    before = pa.total_allocated_bytes()
    table = cached_tokens(tmp_path, KEY, unused)
    assert table.num_rows == 3000
    assert pa.total_allocated_bytes() - before < table.nbytes / 100


def test_a_file_that_could_not_be_finished_is_not_there(tmp_path: Path):
    with pytest.raises(ValueError, match="row 3: 2 tokens but 1 labels"):
        cached_tokens(tmp_path, KEY, lambda: [*ROWS, ([1, 2], [1])])
    assert list(tmp_path.iterdir()) == []
    assert cached_tokens(tmp_path, KEY, lambda: ROWS).num_rows == 3


def test_tokens_of_an_earlier_corpus_go(tmp_path: Path):
    kept = cached_tokens(tmp_path, KEY, lambda: ROWS)
    cached_tokens(tmp_path, dataclasses.replace(KEY, split="validation"), lambda: ROWS)
    assert len(list(tmp_path.iterdir())) == 2
    newer = dataclasses.replace(KEY, corpus="newer")
    cached_tokens(tmp_path, newer, lambda: ROWS)
    assert [file.name for file in tmp_path.iterdir()] == [newer.name]
    assert kept.num_rows == 3  # who has it mapped reads on
    assert kept["input_ids"].to_pylist()[0] == [1, 2, 3]
