"""A feed with the required fields alone, and weeks of which little or nothing can be used."""

import json
from typing import Any

import pytest

from ft_assets.lineage import CORPUS, SOURCES, WEEKLY
from ft_assets.partitions import WEEKS as WEEK_PARTITIONS
from tests.graph import World, make_world

DOMAIN = "legal"
FULL, BROKEN, EMPTY, HUGE = "2026-08-31", "2026-09-07", "2026-09-14", "2026-09-21"
WEEKS = [FULL, BROKEN, EMPTY, HUGE]
MAX_LINE = 16 * 2**20
SUBJECTS = (
    *("the notice period", "the deposit", "the warranty", "the arbitration clause", "the licence"),
    *("the renewal", "the liability cap", "the governing law", "the invoice terms", "the appeal"),
)


def event(number: int, week: str, **fields: Any) -> dict[str, Any]:
    subject = SUBJECTS[number % len(SUBJECTS)]
    return {
        "event_id": f"{week}-{number}",
        "ts": f"{week}T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "domain": DOMAIN,
        "user_id": f"u{number % 23}",
        "session_id": f"{week}-s{number}",
        "prompt": f"What does paragraph {number} of the agreement say about {subject}?",
        "response": f"Paragraph {number} sets {subject} for party {number % 7} until the end of "
        f"month {number % 12 + 1}, unless both sides agree on another date in writing.",
        **fields,
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server) -> World:
    made = make_world(tmp_path_factory.mktemp("sparse"), lakefs_server)
    made.land(
        DOMAIN, "users.jsonl", [{"user_id": f"u{n}", "training_consent": True} for n in range(23)]
    )
    made.land(DOMAIN, "logs-1.jsonl", [event(n, FULL) for n in range(120)])
    broken = "".join(f'{{"ts": "{BROKEN}T10:00:00Z", "event_id": "b{n}"\n' for n in range(3))
    made.land(DOMAIN, "logs-2.jsonl", broken.encode())
    made.land(DOMAIN, "logs-3.jsonl", [event(n, EMPTY, response=" ") for n in range(3)])
    huge = json.dumps(event(1, HUGE, response="x" * (MAX_LINE + 1)))
    made.land(DOMAIN, "logs-4.jsonl", f"{json.dumps(event(0, HUGE))}\n{huge}\n".encode())
    made.instance.add_dynamic_partitions(WEEK_PARTITIONS, WEEKS)
    made.make(*WEEKLY, partition=DOMAIN, weeks=(WEEKS[0], WEEKS[-1]))
    made.make(*SOURCES, *CORPUS, partition=DOMAIN)
    return made


@pytest.mark.parametrize(
    ("week", "rows", "quarantined"), [(FULL, 120, 0), (BROKEN, 0, 3), (EMPTY, 3, 0), (HUGE, 1, 1)]
)
def test_every_week_is_taken_up_whatever_it_holds(
    world: World, week: str, rows: int, quarantined: int
):
    facts = world.facts("raw_logs", f"{DOMAIN}|{week}")
    assert (facts["rows_out"], facts["quarantined"]) == (rows, quarantined)


def test_a_week_without_a_usable_row_does_not_stop_the_others(world: World):
    kept = {w: world.facts("anonymized_logs", f"{DOMAIN}|{w}")["rows_out"] for w in WEEKS}
    assert kept == {FULL: 120, BROKEN: 0, EMPTY: 0, HUGE: 1}
    for asset in WEEKLY:
        assert world.facts(asset, f"{DOMAIN}|{EMPTY}")


def test_a_corpus_comes_of_it_without_documents_annotations_or_cases(world: World):
    facts = world.facts("training_corpus", DOMAIN)
    assert facts["rows_out"] >= 20  # corpus.min_rows
    assert facts["rows_in"] == facts["rows_out"] + sum(facts["dropped"].values())


def test_the_lineage_of_a_corpus_names_every_table_it_was_chosen_by(world: World):
    commit = world.repository().commit(world.ref("training_corpus", DOMAIN).commit).get_commit()
    inputs = json.loads(commit.metadata["inputs"])
    for week in WEEKS:
        key = f"{DOMAIN}|{week}"
        for asset in ("log_signatures", "screened_logs"):
            assert inputs[f"{asset}/{key}"] == world.ref(asset, key).uri
    for asset in ("screened_texts", "influence_report", "duplicate_clusters", "eval_set"):
        assert inputs[asset] == world.ref(asset, DOMAIN).uri
