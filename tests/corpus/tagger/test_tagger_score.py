import pytest

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger.annotated import Annotated
from ft_assets.corpus.tagger.labels import NUMBER
from ft_assets.corpus.tagger.score import DIRECT, facts, score, table

TEXT = "Ann Lee, ann@x.com, Rome"
GOLD = Annotated(TEXT, (Span(0, 7, "PERSON"), Span(9, 18, "EMAIL"), Span(20, 24, "LOCATION")), "s")


@pytest.mark.parametrize(
    ("found", "recall", "precision", "clean"),
    [
        ([Span(0, 7, "PERSON"), Span(9, 18, "EMAIL")], 1.0, 1.0, 1.0),
        # Types need not be right, letters must be covered: the blank need not.
        ([Span(0, 3, "ORG"), Span(4, 7, "ORG"), Span(9, 18, "URL")], 1.0, 1.0, 1.0),
        ([Span(0, 6, "PERSON"), Span(9, 18, "EMAIL")], 0.5, 1.0, 0.0),
        ([], 0.0, None, 0.0),
        ([Span(0, 18, "PERSON"), Span(18, 19, "PERSON")], 1.0, 0.5, 1.0),
    ],
)
def test_direct_identifiers(found, recall, precision, clean):
    one = score([GOLD], [found])["s"]
    assert (one.of(DIRECT).recall, one.of(DIRECT).precision) == (recall, precision)
    assert one.clean_share == clean


def test_what_a_source_does_not_annotate_is_not_judged():
    silent = 1 << NUMBER["PHONE"] | 1 << NUMBER["ID"] | 1 << NUMBER["SSN"]
    text = Annotated("call 5551234567", (), "s", silent)
    assert score([text], [[Span(5, 15, "PHONE")]])["s"].of(DIRECT).precision is None
    # A street is judged where towns are annotated: the two are not told apart by all.
    assert score([text], [[Span(5, 15, "STREET_ADDRESS")]])["s"].of(DIRECT).precision == 0


def test_unclear_spans_count_neither_way():
    text = Annotated("at 10:30", (Span(3, 8, "_TIME"),), "s")
    one = score([text], [[Span(3, 8, "ID")]])["s"]
    assert one.of(one.by_type).annotated == one.of(one.by_type).given == 0


def test_facts_and_table():
    scores = score([GOLD], [[Span(0, 7, "PERSON")]])
    assert facts(scores)["s"]["direct_recall"] == 0.5
    assert table(scores).row_count == 5
