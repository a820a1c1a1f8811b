"""The sample feed holds what it says, the same on every machine, and the drift where it is said."""

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ft_assets.raw import schema
from ft_assets.raw.changes import Scan, scan
from ft_assets.raw.intake import take_up
from ft_assets.raw.sample_feed import DRIFT_SHARE, DRIFT_WEEK, EVAL_CASES, TEXTS, write_feed
from ft_assets.raw.sample_texts.defects import MALFORMED, VIOLATIONS
from ft_assets.raw.sample_texts.grammar import facts_of
from ft_assets.raw.sample_texts.personal import PERSONAL, iban, kinds_for, luhn_check_digit
from ft_assets.raw.sources import list_files
from ft_assets.raw.taken import Intake

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DRIFTING = ("ecommerce", "healthcare")
MODELS = {
    "documents": schema.Document,
    "annotations": schema.Annotation,
    "corrections": schema.Correction,
    "users": schema.User,
    "eval": schema.EvalCase,
}


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("feed")
    return folder, write_feed(folder, seed=3)


@pytest.fixture(scope="module")
def logs(feed: tuple[Path, dict[str, Any]]) -> dict[str, Intake]:
    return {domain: taken(feed[0], domain, "logs", schema.Interaction) for domain in TEXTS}


def taken(folder: Path, domain: str, kind: str, model: type[schema.Row]) -> Intake:
    return take_up(list_files([f"{folder}/{domain}/{kind}*"]), model, domain=domain, now=NOW)


def stored(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_equal_arguments_give_equal_bytes_and_another_seed_others(tmp_path: Path) -> None:
    small = {"weeks": 2, "events_per_week": 20}
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    assert write_feed(one, 1, **small) == write_feed(two, 1, **small)
    write_feed(other, 2, **small)
    assert stored(one) == stored(two)
    assert all(stored(one)[name] != content for name, content in stored(other).items())


def test_a_domain_does_not_depend_on_the_others(tmp_path: Path) -> None:
    write_feed(tmp_path / "all", 1, weeks=1)
    write_feed(tmp_path / "one", 1, weeks=1, domains=["legal"])
    assert stored(tmp_path / "one" / "legal") == stored(tmp_path / "all" / "legal")


@pytest.mark.parametrize("domain", TEXTS)
def test_more_weeks_continue_the_feed_of_fewer(
    tmp_path: Path, feed: tuple[Path, Any], domain: str
) -> None:
    write_feed(tmp_path, 3, weeks=DRIFT_WEEK - 1, domains=[domain])
    for kind in ("logs", "annotations", "corrections", "eval", "documents"):
        name = f"{domain}/{kind}.jsonl"
        whole = (feed[0] / name).read_bytes()
        assert whole.startswith((tmp_path / name).read_bytes()), kind
    users = f"{domain}/users.jsonl"
    assert (tmp_path / users).read_bytes() == (feed[0] / users).read_bytes()


@pytest.mark.parametrize("domain", TEXTS)
def test_what_is_planted_in_the_logs_is_what_intake_finds(
    feed: tuple[Path, dict[str, Any]], logs: dict[str, Intake], domain: str
) -> None:
    facts, intake = feed[1][domain], logs[domain]
    assert intake.rows_in == facts["lines"]["logs"]
    assert len(intake.quarantined) == facts["quarantined"]
    assert intake.dropped == {
        "feedback_merged": facts["planted"]["feedback_update"],
        "redelivered": facts["planted"]["redelivered"],
    }
    assert len({row["week"] for row in intake.rows}) == 12
    assert scan(list_files([f"{feed[0]}/{domain}/logs*"])[0], Scan(), domain).weeks.keys() >= {
        row["week"] for row in intake.rows
    }


@pytest.mark.parametrize("domain", TEXTS)
def test_late_arrivals_come_late(
    feed: tuple[Path, dict[str, Any]], logs: dict[str, Intake], domain: str
) -> None:
    times = [row["ts"] for row in sorted(logs[domain].rows, key=lambda row: row["source_line"])]
    late = sum(
        sum(earlier > time for earlier in times[:place]) >= 35 for place, time in enumerate(times)
    )
    assert late >= feed[1][domain]["planted"]["late_arrival"] > 0


def test_some_events_come_a_week_late(logs: dict[str, Intake]) -> None:
    late = 0
    for intake in logs.values():
        newest = ""
        for row in sorted(intake.rows, key=lambda row: row["source_line"]):
            late += row["week"] < newest
            newest = max(newest, row["week"])
    assert late > 0


def test_every_kind_of_defect_is_there(feed: tuple[Path, dict[str, Any]]) -> None:
    planted = Counter[str]()
    for facts in feed[1].values():
        planted.update(facts["planted"])
    expected = [f"malformed/{way}" for way in MALFORMED]
    expected += [f"schema_violation/{way}" for way in VIOLATIONS]
    expected += [f"personal_data/{kind}" for kind in PERSONAL]
    expected += ["exact_duplicate", "near_duplicate", "late_arrival", "no_consent", "non_english"]
    expected += ["erasure_requested", "eval_contamination", "document_superseded", "wrong_domain"]
    assert {kind: planted[kind] for kind in expected if not planted[kind]} == {}


@pytest.mark.parametrize("domain", TEXTS)
@pytest.mark.parametrize("kind", MODELS)
def test_the_other_sources_are_clean(
    feed: tuple[Path, dict[str, Any]], domain: str, kind: str
) -> None:
    intake = taken(feed[0], domain, kind, MODELS[kind])
    assert intake.quarantined == []
    superseded = feed[1][domain]["planted"].get("document_superseded", 0)
    assert sum(intake.dropped.values()) == (superseded if kind == "documents" else 0)
    assert intake.rows_in == feed[1][domain]["lines"][kind]


@pytest.mark.parametrize("domain", TEXTS)
def test_new_topics_come_in_week_ten_in_two_domains_alone(
    feed: tuple[Path, Any], logs: dict[str, Intake], domain: str
) -> None:
    weeks = sorted({row["week"] for row in logs[domain].rows})
    new_things = [
        t.removeprefix("the ") for topic in TEXTS[domain].new_topics for t in topic.things
    ]
    share = {}
    for week in weeks:
        prompts = [row["prompt"].lower() for row in logs[domain].rows if row["week"] == week]
        share[week] = sum(any(t in p for t in new_things) for p in prompts) / len(prompts)
    before, after = weeks[: DRIFT_WEEK - 1], weeks[DRIFT_WEEK - 1 :]
    assert [share[week] for week in before] == [0] * 9
    mean = sum(share[week] for week in after) / len(after)
    assert mean == pytest.approx(DRIFT_SHARE if domain in DRIFTING else 0, abs=0.12)


@pytest.mark.parametrize("domain", TEXTS)
def test_the_logs_hold_no_test_case_but_the_planted_ones(
    feed: tuple[Path, dict[str, Any]], logs: dict[str, Intake], domain: str
) -> None:
    cases = taken(feed[0], domain, "eval", schema.EvalCase).rows
    prompts = {case["prompt"] for case in cases}
    assert len(prompts) == EVAL_CASES
    found = sum(row["prompt"] in prompts for row in logs[domain].rows)
    assert found == feed[1][domain]["planted"]["eval_contamination"] == 4


def shingles(row: dict[str, Any]) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", f"{row['prompt']} {row['response']}".lower())
    return set(zip(*(words[i:] for i in range(5)), strict=False))


@pytest.mark.parametrize("domain", TEXTS)
def test_most_events_say_something_of_their_own(logs: dict[str, Intake], domain: str) -> None:
    kept: list[set[tuple[str, ...]]] = []
    rows = logs[domain].rows[:400]
    for row in rows:
        own = shingles(row)
        alike = (len(own & other) / max(1, len(own | other)) for other in kept)
        if all(share < 0.8 for share in alike):
            kept.append(own)
    assert len(kept) > 0.9 * len(rows)


@pytest.mark.parametrize("domain", TEXTS)
def test_answers_follow_from_the_questions(logs: dict[str, Intake], domain: str) -> None:
    """The thing asked about decides the fact: what a model can learn from this feed."""
    things = {
        thing: facts_of(topic, thing) for topic in TEXTS[domain].topics for thing in topic.things
    }
    told = asked = 0
    for row in logs[domain].rows:
        named = [thing for thing in things if thing in row["prompt"]]
        if len(named) == 1 and named[0] in row["response"].lower():
            asked += 1
            told += any(fact in row["response"] for fact in things[named[0]].values())
    assert asked > 500
    assert told > 0.8 * asked


def test_planted_personal_data_is_where_the_summary_says(
    feed: tuple[Path, dict[str, Any]],
) -> None:
    for domain, facts in feed[1].items():
        lines = (feed[0] / domain / "logs.jsonl").read_text("utf-8", "replace").splitlines()
        by_event = {m[1]: line for line in lines if (m := re.match(r'{"event_id": "(\w+)"', line))}
        kinds = {item["kind"] for item in facts["personal"]}
        assert kinds == set(kinds_for(domain))
        for item in facts["personal"]:
            assert item["value"] in by_event[item["event_id"]]


def test_card_numbers_and_ibans_pass_their_checks(feed: tuple[Path, dict[str, Any]]) -> None:
    assert luhn_check_digit("411111111111111") == "1"
    assert iban("GB", "WEST12345698765432") == "GB82 WEST 1234 5698 7654 32"
    for facts in feed[1].values():
        for item in facts["personal"]:
            digits = re.sub(r"\D", "", item["value"])
            if item["kind"] == "CREDIT_CARD":
                assert luhn_check_digit(digits[:-1]) == digits[-1]
            if item["kind"] == "EMAIL":
                assert re.search(r"@(mail\.)?example\.(com|org|net)$", item["value"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weeks": 0}, "at least 1 week"),
        ({"events_per_week": 3}, "at least 1 week of 10 events, got 12 weeks of 3"),
        ({"first_week": "2026-09-01"}, "must be a Monday"),
        ({"domains": ["tax"]}, "no sample texts for domain 'tax'"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_feed(tmp_path, **options)
