"""What the UI shows of a materialization: tables that add up, bars, links."""

import base64
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import pytest

from ft_assets.bar_chart import MAX_BARS, OTHERS, bar_chart, largest
from ft_assets.publishing import (
    count_metadata,
    counted,
    counts_table,
    diff_url,
    markdown_table,
    ref_metadata,
    share,
)
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref


def lines(value: Any) -> list[str]:
    return value.value.splitlines()


def test_rows_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="10 in, 7 out, 1 quarantined, 1 dropped"):
        count_metadata(10, 7, 1, {"empty_text": 1})


def test_drop_reasons_are_a_table_that_adds_up():
    facts = count_metadata(1210, 10, 0, {"empty_text": 300, "duplicate": 900})
    assert lines(facts["drop_reasons"]) == [
        "| dropped because | rows | share |",
        "|---|---|---|",
        "| duplicate | 900 | 75.0% |",
        "| empty_text | 300 | 25.0% |",
        "| total | 1,200 | 100.0% |",
    ]
    assert facts["dropped"].value == {"duplicate": 900, "empty_text": 300}


def test_nothing_dropped_is_a_table_too():
    assert lines(counts_table("reason", {"unused": 0}))[2:] == ["| total | 0 |  |"]


@pytest.mark.parametrize("cell", ["a|b", "a\nb", "a | b\n|"])
def test_a_cell_keeps_to_its_column_and_line(cell):
    *_, row = lines(markdown_table(["one", "two"], [[cell, 1]]))
    assert row.replace("\\|", "").count("|") == 3
    assert len(lines(markdown_table(["one", "two"], [[cell, 1]]))) == 3


def test_counts_are_a_table_and_bars():
    facts = counted("language_mix", "language", {"en": 90, "de": 10})
    assert set(facts) == {"language_mix", "language_mix_chart"}
    data = facts["language_mix_chart"].value.split("base64,")[1].rstrip(")")
    svg = ElementTree.fromstring(base64.b64decode(data))
    widths = [float(bar.get("width") or 0) for bar in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths == [300.0, pytest.approx(33.3, abs=0.1)]
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["en", "90 (90.0%)", "de", "10 (10.0%)"]


def test_without_counts_there_are_no_bars():
    assert set(counted("language_mix", "language", {})) == {"language_mix"}
    assert bar_chart({"en": 0}, "mix") == ""


def test_a_label_brings_no_markup():
    svg = bar_chart({"<script>alert(1)</script>": 1}, '"><script>')
    assert "<script" not in svg
    ElementTree.fromstring(svg)


def test_many_labels_are_summed_up_and_none_is_lost():
    counts = {f"reason_{n:02d}": n for n in range(1, 41)}
    bars = largest(counts)
    assert len(bars) == MAX_BARS
    assert sum(count for _, count in bars) == sum(counts.values())
    assert bars[-1][0] == OTHERS


@pytest.mark.parametrize(
    ("part", "whole", "expected"), [(1, 3, 0.3333), (0, 5, 0.0), (0, 0, 0.0), (5, 5, 1.0)]
)
def test_a_share(part, whole, expected):
    assert share(part, whole) == expected


@pytest.mark.parametrize(("part", "whole"), [(2, 1), (-1, 1)])
def test_no_share(part, whole):
    with pytest.raises(ValueError, match="a share needs"):
        share(part, whole)


def test_every_materialization_links_its_commit_and_what_it_changed():
    lakefs = LakeFS(
        endpoint="http://127.0.0.1:8000",
        access_key_id="a",
        secret_access_key="s",
        repository="corpora",
        raw_repository="raw",
        storage_namespace="local://x",
    )
    ref = Ref("corpora", "c" * 64, "training_corpus/domain=finance/", "d" * 64)
    page = f"http://127.0.0.1:8000/repositories/corpora/commits/{ref.commit}"
    facts = ref_metadata(lakefs, ref)
    assert facts["lakefs_commit"] == dg.MetadataValue.url(page)
    assert facts["lakefs_diff"].value == diff_url(lakefs, ref) == page + "#changes"
