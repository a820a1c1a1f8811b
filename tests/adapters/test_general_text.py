import gzip

import pytest

from ft_assets.adapters.general_text import (
    HELD_OUT,
    MAX_DOCUMENT,
    SEPARATOR,
    Split,
    own_documents,
    read_documents,
    split_documents,
    write_general_text,
)


@pytest.mark.slow
def test_own_text_is_english_prose_written_once(tmp_path):
    documents = own_documents()
    assert sum(map(len, documents)) > 1_000_000
    assert max(map(len, documents)) <= MAX_DOCUMENT + 200  # a docstring has its question before it
    assert not [d for d in documents[-50:] if "{" in d]
    file = write_general_text(tmp_path)
    # Collected a second time: the same.
    assert file.read_text("utf-8") == SEPARATOR.join(documents)
    file.write_text("kept")
    assert write_general_text(tmp_path).read_text() == "kept"


def test_documents_of_plain_and_packed_files(tmp_path):
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    plain.write_text(f"one{SEPARATOR}\n two \n{SEPARATOR}", "utf-8")
    packed.write_bytes(gzip.compress("drei ö".encode()))
    assert read_documents([plain, packed]) == ["one", "two", "drei ö"]


def test_a_long_document_is_cut_and_nothing_is_lost(tmp_path):
    paragraphs = [f"{i} " + "word " * 500 for i in range(12)] + ["x" * (2 * MAX_DOCUMENT + 5)]
    file = tmp_path / "a.txt"
    file.write_text("\n\n".join(paragraphs), "utf-8")
    pieces = read_documents([file])
    assert max(map(len, pieces)) <= MAX_DOCUMENT
    assert "".join("".join(pieces).split()) == "".join("".join(paragraphs).split())


def test_a_document_is_held_out_in_every_list_it_is_in():
    documents = [f"document {i}" for i in range(2_000)]
    split = split_documents(documents)
    assert sorted(split.train + split.validation + split.test) == sorted(documents)
    for side in (split.validation, split.test):
        assert 0.5 < len(side) * HELD_OUT / len(documents) < 2
    again = split_documents(list(reversed(documents)))
    assert again.test == list(reversed(split.test))
    assert split_documents(split.validation) == Split([], split.validation, [])
