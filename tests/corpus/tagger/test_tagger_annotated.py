import gzip
import json

import pytest

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger.annotated import ANYTHING, Annotated, AnnotationError, read_annotated
from ft_assets.corpus.tagger.labels import NUMBER
from ft_assets.corpus.tagger.tokens import split

ROWS = [
    {"text": "Ann Lee, 42", "spans": [[0, 7, "PER"], [9, 11, "_AGE"]], "source": "people"},
    {"text": "x 1.2.3.4", "spans": [[2, 9, "IP"]], "source": "hosts"},
]


def write(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def bits(*names):
    return sum(1 << NUMBER[name] for name in names)


@pytest.mark.parametrize("name", ["set.jsonl", "set.jsonl.gz"])
def test_types_get_our_names_and_silence_is_known(tmp_path, name):
    people, hosts = read_annotated([write(tmp_path / name, ROWS)])
    assert people.spans == (Span(0, 7, "PERSON"), Span(9, 11, "_AGE"))
    assert people.silent == ANYTHING & ~bits("O", "PERSON")
    assert hosts.silent == ANYTHING & ~bits("O", "IP")


def test_what_a_token_may_be():
    text = "Ann Lee is here, she said, with 2 dogs and Bob"
    row = Annotated(text, (Span(0, 7, "PERSON"),), "s", silent=bits("AGE", "DATE"))
    allowed = row.allowed(split(text))
    assert allowed[:3] == [bits("PERSON"), bits("PERSON"), bits("O")]
    # Near a digit a silent source may have left something out; elsewhere not.
    assert allowed[9:11] == [bits("O", "AGE", "DATE")] * 2
    assert allowed[-1] == bits("O")


def test_unclear_spans_teach_nothing():
    row = Annotated("seen at 10:30 by", (Span(8, 13, "_TIME"),), "s")
    assert row.allowed(split(row.text))[2:5] == [ANYTHING] * 3


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[1]",
        '{"text": "a"}',
        '{"text": "abc", "spans": [[0, 9, "PER"]]}',
        '{"text": "abc", "spans": [[2, 1, "PER"]]}',
        '{"text": 5, "spans": []}',
        '{"text": "Secret Name", "spans": [["a", 2, "PER"]]}',
    ],
)
def test_a_bad_line_is_named_by_number_without_its_text(tmp_path, line):
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n")
    with pytest.raises(AnnotationError, match="line 2") as error:
        read_annotated([file])
    assert "Secret" not in str(error.value)
