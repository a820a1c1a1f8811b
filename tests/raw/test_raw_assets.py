"""Feeds of many formats through the real assets: counted, typed, and traced to their place."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fpdf import FPDF

from ft_assets.lineage import SOURCES
from ft_assets.partitions import WEEKS as WEEK_PARTITIONS
from tests.graph import World, make_world

DOMAIN, WEEKS = "finance", ["2026-08-31", "2026-09-07"]
CSV = """event_id;ts;domain;user_id;session_id;prompt;response;rating;thumb;latency_ms;model_version
e1;2026-09-02T10:00:00Z;finance;u1;s1;Is it due, today?;"Yes;
on Monday.";4;up;40;m
e2;2026-09-09T10:00:00Z;finance;u2;s2;Why?;Because.;;;;m
e3;2026-09-09T11:00:00Z;finance;u2;s2;When?;Now.;9;;;m
e4;too;few
"""


def parquet(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def pdf(*pages: str) -> bytes:
    document = FPDF()
    document.set_font("helvetica", size=12)
    for page in pages:
        document.add_page()
        document.multi_cell(0, 8, page)
    return bytes(document.output())


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server) -> World:
    made = make_world(tmp_path_factory.mktemp("raw-assets"), lakefs_server)
    made.land(DOMAIN, "logs.csv", CSV.encode())
    made.land(DOMAIN, "documents/hr/handbook.pdf", pdf("Thirty days.", "Ask jane@example.org."))
    made.land(DOMAIN, "documents/hr/handbook.pdf.meta.yaml", b"access: internal\n")
    made.land(DOMAIN, "documents/broken.pdf", b"%PDF-1.7 nothing")
    row = {"domain": DOMAIN, "task": "qa", "prompt": "Q?", "response": "A."}
    gold = [{"annotation_id": f"a{n}", **row} for n in range(3)]
    made.land(DOMAIN, "annotations/gold/data-00000-of-00001.parquet", parquet(gold))
    made.land(DOMAIN, "annotations/gold/state.json", b'{"_data_files": []}')
    made.land(DOMAIN, "users.parquet", parquet([{"user_id": 1, "training_consent": True}]))
    made.land(DOMAIN, "eval.json", json.dumps([{"eval_id": "c1", **row}, 7]).encode())
    made.instance.add_dynamic_partitions(WEEK_PARTITIONS, WEEKS)
    made.make("raw_logs", partition=DOMAIN, weeks=(WEEKS[0], WEEKS[-1]))
    made.make(*SOURCES, partition=DOMAIN)
    return made


def counts(world: World, asset: str, partition: str = DOMAIN) -> tuple[int, int, dict[str, int]]:
    facts = world.facts(asset, partition)
    assert facts["rows_in"] == facts["rows_out"] + facts["quarantined"]
    return facts["rows_in"], facts["rows_out"], facts["quarantine_counts"]


def test_every_record_is_counted_in_its_week(world: World) -> None:
    assert counts(world, "raw_logs", f"{DOMAIN}|{WEEKS[0]}") == (1, 1, {})
    assert counts(world, "raw_logs", f"{DOMAIN}|{WEEKS[1]}") == (
        3,
        1,
        {"column_count": 1, "out_of_range": 1},
    )
    [row] = world.raw_rows("raw_logs", f"{DOMAIN}|{WEEKS[0]}")
    assert (row["response"], row["rating"], row["source_line"]) == ("Yes;\non Monday.", 4, 2)


def test_sources_that_are_taken_up_whole(world: World) -> None:
    assert counts(world, "raw_documents") == (3, 2, {"unreadable_file": 1})
    assert counts(world, "raw_annotations") == (3, 3, {})
    assert counts(world, "raw_users") == (1, 1, {})
    assert counts(world, "raw_eval_cases") == (2, 1, {"not_an_object": 1})
    assert world.raw_rows("raw_users", DOMAIN)[0]["user_id"] == "1"


def test_a_row_leads_back_to_file_and_page(world: World) -> None:
    rows = world.raw_rows("raw_documents", DOMAIN)
    assert [(row["source_file"], row["source_line"], row["access"]) for row in rows] == [
        ("documents/hr/handbook.pdf", 1, "internal"),
        ("documents/hr/handbook.pdf", 2, "internal"),
    ]


def test_a_refused_record_is_kept_as_delivered(world: World) -> None:
    ref = world.ref("raw_logs", f"{DOMAIN}|{WEEKS[1]}")
    kept = {r["reason"]: r["raw"] for r in world.raw_zone.read_quarantine(world.lakefs, ref).rows}
    assert kept["column_count"] == "e4;too;few"
    assert json.loads(kept["out_of_range"])["rating"] == "9"
