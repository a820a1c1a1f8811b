import json
import random
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_assets.corpus.compose import Policy, compose_eval, compose_training
from ft_assets.corpus.composed import Corpus, Reason
from ft_assets.corpus.decontaminate import EvalIndex
from ft_assets.corpus.dedup import NONE, Entry, Role, find_clusters, find_duplicates
from ft_assets.corpus.fingerprints import fingerprint_pairs
from ft_assets.corpus.mixture import Replay
from ft_assets.corpus.pool import log_batch
from ft_assets.corpus.split import Side, side

Row = dict[str, Any]
TEXTS = ("prompt", "response")
ALL_TRAIN = Policy(held_out_share=0, validation_share=0)


def words(seed: object, count: int) -> str:
    pick = random.Random(str(seed))
    return " ".join(f"w{pick.randrange(5000)}" for _ in range(count))


def log(name: str = "e1", **changes: Any) -> Row:
    row = {
        "event_id": name,
        "ts": "2026-08-31T10:00:00+00:00",
        "week": "2026-08-31",
        "domain": "finance",
        "user": "u1",
        "conversation": f"c-{name}",
        "turn": 0,
        "prompt": f"Question {words(name, 12)}",
        "response": f"Answer {words(name + '/', 12)}",
        "correction": None,
        "model_version": "m-1",
        "rating": None,
        "thumb": None,
        "regenerated": False,
        "clicked": False,
        "latency_ms": 10,
        "source_file": "logs.jsonl",
        "source_line": 7,
    }
    return row | changes


def example(name: str = "a1", **changes: Any) -> Row:
    row = {
        "example_id": name,
        "kind": "annotation",
        "domain": "finance",
        "task": "qa",
        "prompt": f"Question {words(name, 12)}",
        "response": f"Answer {words(name + '/', 12)}",
        "event_id": None,
        "license": "CC-BY-4.0",
        "source_file": "annotations.jsonl",
        "source_line": 3,
    }
    return row | changes


def document(name: str = "d1", **changes: Any) -> Row:
    row = {
        "doc_id": name,
        "domain": "finance",
        "kind": "report",
        "title": f"Report {name}",
        "text": words(name, 60),
        "topic": None,
        "access": "internal",
        "license": "CC-BY-4.0",
        "source_file": "documents.jsonl",
        "source_line": 5,
    }
    return row | changes


def case(name: str = "v1", **changes: Any) -> Row:
    row = {
        "eval_id": name,
        "domain": "finance",
        "task": "qa",
        "prompt": f"Question {words(name, 12)}",
        "response": f"Answer {words(name + '/', 12)}",
    }
    return row | changes


def train(
    logs: list[Row] | None = None,
    examples: list[Row] | None = None,
    documents: list[Row] | None = None,
    consent: dict[str, str] | None = None,
    eval_rows: Any = (),
    policy: Policy = ALL_TRAIN,
) -> Corpus:
    consent = {"u1": "granted"} if consent is None else consent
    corpus = compose_training(
        logs or [], examples or [], documents or [], consent, eval_rows, policy
    )
    counts = corpus.counts
    assert counts.rows_in == counts.rows_out + sum(counts.dropped.values())
    assert counts.rows_out == len(corpus.rows) == sum(counts.by_kind.values())
    assert sum(counts.by_split.values()) == counts.rows_out
    return corpus


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"user": "u-erased"}, Reason.ERASURE_REQUESTED),
        ({"user": "u-refused"}, Reason.NO_CONSENT),
        ({"user": "u-unknown"}, Reason.NO_CONSENT),
        ({"user": ""}, Reason.NO_CONSENT),
        ({"thumb": "down"}, Reason.THUMBS_DOWN),
        ({"thumb": "up"}, None),
        ({"rating": 2}, Reason.LOW_RATING),
        ({"rating": 3}, None),
        ({"regenerated": True}, Reason.REGENERATED),
        ({"prompt": " \n"}, Reason.EMPTY_TEXT),
        ({"response": ""}, Reason.EMPTY_TEXT),
        ({"response": "x " * 20_000}, Reason.TOO_LONG),
        # The user's own answer replaces the one complained about, and needs consent too.
        ({"correction": "Better.", "thumb": "down", "rating": 1, "regenerated": True}, None),
        ({"correction": "Better.", "response": ""}, None),
        ({"correction": "Better.", "user": "u-refused"}, Reason.NO_CONSENT),
        # The first of several reasons counts.
        ({"user": "u-erased", "thumb": "down"}, Reason.ERASURE_REQUESTED),
    ],
)
def test_which_interactions_are_used(changes: Row, reason: Reason | None):
    consent = {"u1": "granted", "u-erased": "erased", "u-refused": "refused"}
    corpus = train([log(**changes)], consent=consent)
    assert corpus.counts.dropped == ({reason: 1} if reason else {})


def test_a_wrong_consent_state_is_an_error():
    with pytest.raises(ValueError, match="'yes' is not a valid Consent"):
        train([log()], consent={"u1": "yes"})


def test_the_correction_of_the_user_is_what_is_learned():
    (row,) = train([log(correction="The right answer.")]).rows
    assert row["response"] == "The right answer."


def test_a_reviewers_correction_replaces_the_interaction():
    fixed = example("k1", kind="correction", event_id="e1", prompt=log()["prompt"])
    corpus = train([log(), log("e2")], [fixed])
    assert {row["row_id"] for row in corpus.rows} == {"log:e2", "correction:k1"}
    assert corpus.counts.dropped == {Reason.SUPERSEDED_BY_CORRECTION: 1}


@pytest.mark.parametrize(
    ("user", "event_id", "reason"),
    [
        ("u1", "e1", None),
        ("u-refused", "e1", Reason.NO_CONSENT),
        ("u-erased", "e1", Reason.ERASURE_REQUESTED),
        ("u1", "e-gone", Reason.NO_CONSENT),  # whose prompt it was is not known any more
        ("u1", None, None),  # written by the reviewer, nobody's prompt
    ],
)
def test_a_correction_needs_the_consent_of_the_user_it_quotes(
    user: str, event_id: str | None, reason: Reason | None
):
    consent = {"u1": "granted", "u-refused": "refused", "u-erased": "erased"}
    correction = example("k1", kind="correction", event_id=event_id)
    corpus = train([log(user=user)], [correction], consent=consent)
    used = [row["row_id"] for row in corpus.rows if row["kind"] == "correction"]
    assert used == ([] if reason else ["correction:k1"])
    assert corpus.counts.dropped.get(str(reason), 0) == (0 if reason is None else 1) + (
        reason is not None and event_id == "e1"
    )


def test_the_row_format():
    (row,) = train([log()]).rows
    assert row == {
        "row_id": "log:e1",
        "kind": "log",
        "domain": "finance",
        "week": "2026-08-31",
        "group": "user:u1",
        "split": "train",
        "messages": row["messages"],
        "prompt": log()["prompt"],
        "response": log()["response"],
        "source_file": "logs.jsonl",
        "source_line": 7,
        "source_id": "e1",
        "license": "",
        "replayed": False,
    }
    assert json.loads(row["messages"]) == [
        {"role": "user", "content": log()["prompt"]},
        {"role": "assistant", "content": log()["response"]},
    ]


def test_copies_are_dropped_and_the_most_trusted_stays():
    question, answer = words(1, 30), words(2, 30)
    same = {"prompt": question, "response": answer}
    logs = [
        log("e1", **same),
        log("e2", **same),
        log("e3", prompt="Hello! " + question, response=answer),
    ]
    corpus = train(logs, [example("a1", **same)])
    assert [row["row_id"] for row in corpus.rows] == ["annotation:a1"]
    assert corpus.counts.dropped == {Reason.EXACT_DUPLICATE: 2, Reason.NEAR_DUPLICATE: 1}


def test_the_older_of_two_interactions_stays():
    same = {"prompt": words(1, 30), "response": words(2, 30)}
    older = log("e9", ts="2026-08-31T09:00:00+00:00", **same)
    assert [row["row_id"] for row in train([log("e1", **same), older]).rows] == ["log:e9"]


def test_the_correction_of_the_older_interaction_stays():
    same = {"kind": "correction", "prompt": words(1, 30), "response": words(2, 30)}
    logs = [log("e1", ts="2026-09-01T00:00:00+00:00"), log("e2", ts="2026-08-01T00:00:00+00:00")]
    examples = [example("k1", event_id="e1", **same), example("k2", event_id="e2", **same)]
    assert [row["row_id"] for row in train(logs, examples).rows] == ["correction:k2"]


def test_a_complaint_about_a_copy_does_not_cost_the_good_one():
    same = {"prompt": words(1, 30), "response": words(2, 30)}
    corpus = train([log("e1", thumb="down", **same), log("e2", **same)])
    assert [row["row_id"] for row in corpus.rows] == ["log:e2"]


def test_documents_become_passages_with_their_provenance():
    text = "\n\n".join(words(i, 150) for i in range(3))
    policy = Policy(held_out_share=0, validation_share=0, document_share=1)
    corpus = train([log()], documents=[document(text=text)], policy=policy)
    parts = [row for row in corpus.rows if row["kind"] == "document"]
    assert [row["row_id"] for row in parts] == [f"document:d1:000{i}" for i in (1, 2, 3)]
    assert [row["prompt"] for row in parts] == [
        f'What does "Report d1" say? (part {i} of 3)' for i in (1, 2, 3)
    ]
    assert "\n\n".join(row["response"] for row in parts) == text
    assert {(row["source_id"], row["source_line"], row["license"]) for row in parts} == {
        ("d1", 5, "CC-BY-4.0")
    }
    assert (corpus.counts.rows_in, corpus.counts.documents_used) == (4, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"access": "restricted"}, Reason.RESTRICTED_DOCUMENT),
        ({"access": "secret"}, Reason.RESTRICTED_DOCUMENT),  # an unknown level is not allowed
        ({"text": ""}, Reason.EMPTY_TEXT),
        ({"access": "public"}, None),
    ],
)
def test_which_documents_are_used(changes: Row, reason: Reason | None):
    corpus = train(documents=[document(**changes)])
    assert corpus.counts.dropped == ({reason: 1} if reason else {})
    assert corpus.counts.documents_in == 1


def test_the_same_document_under_another_title_is_a_copy():
    twice = [document(), document("d2", text=document()["text"])]
    assert train(documents=twice).counts.dropped == {Reason.EXACT_DUPLICATE: 1}


@pytest.mark.parametrize("share", [0, 0.25, 0.6])
def test_documents_keep_to_their_share_of_the_characters(share: float):
    logs = [log(f"e{i}") for i in range(40)]
    documents = [document(f"d{i}") for i in range(60)]
    policy = Policy(held_out_share=0, validation_share=0, document_share=share)
    rows = train(logs, documents=documents, policy=policy).rows
    chars = Counter[str]()
    for row in rows:
        chars[row["kind"]] += len(row["prompt"]) + len(row["response"])
    taken = chars["document"] / chars.total()
    one = 450 / chars.total()
    assert share - one <= taken <= share
    backwards = train(logs, documents=documents[::-1], policy=policy).rows
    assert {r["row_id"] for r in backwards} == {r["row_id"] for r in rows}


def test_a_domain_of_documents_alone_keeps_them_all():
    corpus = train(documents=[document(f"d{i}") for i in range(60)], policy=Policy())
    assert corpus.counts.rows_out == 60
    assert corpus.counts.by_split["validation"] > 0


def test_documents_beside_conversations_are_not_for_validation():
    logs = [log(f"e{i}", user=f"u{i}") for i in range(80)]
    consent = {f"u{i}": "granted" for i in range(80)}
    policy = Policy(validation_share=0.4, document_share=0.5)
    rows = train(
        logs, documents=[document(f"d{i}") for i in range(30)], consent=consent, policy=policy
    ).rows
    assert {row["split"] for row in rows if row["kind"] == "document"} == {"train"}
    assert {row["split"] for row in rows if row["kind"] == "log"} == {"train", "validation"}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": case()["prompt"], "response": "Another answer."},
        {"prompt": "Hello! " + case()["prompt"], "response": case()["response"]},
    ],
)
def test_what_gives_an_evaluation_row_away_is_dropped(row: Row):
    evaluation = compose_eval([case()], [], [], {}, ALL_TRAIN).rows
    for logs, examples in (([log(**row), log("e2")], []), ([log("e2")], [example(**row)])):
        corpus = train(logs, examples, eval_rows=evaluation)
        assert [r["row_id"] for r in corpus.rows] == ["log:e2"]
        assert corpus.counts.dropped == {Reason.CONTAMINATED: 1}


def test_a_document_with_an_evaluation_answer_loses_that_passage_only():
    answer = words("answer", 60)
    evaluation = compose_eval([case(response=answer)], [], [], {}, ALL_TRAIN).rows
    text = f"{words(1, 180)}\n\n{answer} {words(2, 120)}\n\n{words(3, 180)}"
    corpus = train(documents=[document(text=text)], eval_rows=evaluation)
    assert corpus.counts.dropped == {Reason.CONTAMINATED: 1}
    assert not any(answer in row["response"] for row in corpus.rows)


def busy_domain() -> tuple[list[Row], list[Row], list[Row], dict[str, str], list[Row]]:
    """A domain with everything in it: copies, shared conversations, contamination, feedback."""
    pick = random.Random(5)
    logs = [
        log(
            f"e{i}",
            user=f"u{pick.randrange(60)}",
            conversation=f"c{pick.randrange(200)}",
            ts=f"2026-09-{1 + i % 28:02d}T00:00:00+00:00",
            thumb=pick.choice([None, None, "up", "down"]),
            rating=pick.choice([None, None, 1, 5]),
            regenerated=pick.random() < 0.1,
        )
        for i in range(400)
    ]
    for i in range(0, 400, 9):
        logs[i]["prompt"] = "Please. " + logs[i // 2]["prompt"]
        logs[i]["response"] = logs[i // 2]["response"]
    for i in range(0, 400, 11):
        logs[i]["prompt"] = "Yes"  # the same short prompt from everybody
    examples = [example(f"a{i}") for i in range(80)]
    examples += [example(f"k{i}", kind="correction", event_id=f"e{i * 7}") for i in range(40)]
    documents = [document(f"d{i}", text=words(i % 17, 500)) for i in range(20)]
    consent = {f"u{i}": pick.choice(["granted"] * 8 + ["refused", "erased"]) for i in range(60)}
    cases = [case(f"v{i}") for i in range(20)]
    for i in range(10):
        logs[i * 13 + 1]["prompt"] = cases[i]["prompt"]
    return logs, examples, documents, consent, cases


POLICY = Policy(held_out_share=0.15, validation_share=0.15)


@pytest.fixture(scope="module")
def composed() -> tuple[Any, Corpus]:
    logs, examples, documents, consent, cases = busy_domain()
    evaluation = compose_eval(cases, examples, logs, consent, POLICY)
    return evaluation, train(logs, examples, documents, consent, evaluation.rows, POLICY)


def test_all_three_sides_are_there(composed: tuple[Any, Corpus]):
    evaluation, corpus = composed
    assert evaluation.counts.by_split["held_out"] > 10
    assert min(corpus.counts.by_split.values()) > 10


def test_evaluation_counts_add_up(composed: tuple[Any, Corpus]):
    counts = composed[0].counts
    assert counts.rows_in == 400 + 120 + 20
    assert counts.rows_in == counts.rows_out + sum(counts.dropped.values())


def overlapping(rows: Any, index_rows: Any) -> list[str]:
    index, asked = (
        fingerprint_pairs(
            [r["row_id"] for r in part],
            [""] * len(part),
            [r["prompt"] for r in part],
            [r["response"] for r in part],
        )
        for part in (index_rows, rows)
    )
    return asked.keys[EvalIndex(index).overlaps(asked).found].tolist()


def test_training_and_evaluation_share_nothing(composed: tuple[Any, Corpus]):
    evaluation, corpus = composed
    assert not overlapping(corpus.rows, evaluation.rows)
    held_out = {r["source_id"] for r in evaluation.rows if r["origin"] == "held_out"}
    assert held_out
    assert not held_out & {r["source_id"] for r in corpus.rows}


def users_on(wanted: Side, count: int = 1) -> list[str]:
    found = [f"u{i}" for i in range(999) if side(f"user:u{i}", 0.15, 0.15, POLICY.salt) is wanted]
    return found[:count]


def test_a_training_row_that_gives_a_validation_row_away_is_dropped():
    (trained,), (validated,) = users_on(Side.TRAIN), users_on(Side.VALIDATION)
    logs = [log("e1", user=validated), log("e2", user=trained, prompt=log("e1")["prompt"])]
    logs.append(log("e3", user=trained))
    corpus = train(logs, consent={trained: "granted", validated: "granted"}, policy=POLICY)
    assert {r["row_id"]: r["split"] for r in corpus.rows} == {
        "log:e1": "validation",
        "log:e3": "train",
    }
    assert corpus.counts.dropped == {Reason.OVERLAPS_VALIDATION: 1}


def replayed(weeks: list[list[Row]], cases: list[Row], consent: dict[str, str]) -> Any:
    """Row -> side after each week, kept by one week's clusters for the next."""
    known, batches, history = NONE, [], []
    for week in weeks:
        batches.append(log_batch(pa.Table.from_pylist(week)))
        known = find_clusters([batch.prints for batch in batches], known)
        held = compose_eval(cases, [], batches, consent, POLICY, clusters=known)
        corpus = compose_training(batches, [], [], consent, held.rows, POLICY, clusters=known)
        found = {r["row_id"]: r["split"] for r in corpus.rows}
        found |= {r["row_id"]: "held_out" for r in held.rows if r["origin"] == "held_out"}
        history.append((found, corpus, held))
    return history


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 999))
def test_no_row_changes_sides_when_weeks_come_one_after_the_other(seed: int):
    pick = random.Random(seed)
    consent = {f"u{i}": "granted" for i in range(40)}
    weeks: list[list[Row]] = []
    old: list[Row] = []
    for number in range(5):
        week = []
        for i in range(40):
            row = log(
                f"e{number}-{i}",
                user=f"u{pick.randrange(40)}",
                conversation=f"c{pick.randrange(60)}",
                ts=f"2026-09-0{number + 1}T00:{i:02d}:00+00:00",
            )
            if old and pick.random() < 0.4:  # a copy, perhaps of a copy of another side
                copied = pick.choice(old)
                row["prompt"] = pick.choice(["Hello, ", ""]) + copied["prompt"]
                row["response"] = copied["response"] + pick.choice(["", " ok"])
            week.append(row)
            old.append(row)
        weeks.append(week)
    history = replayed(weeks, [], consent)
    sides: dict[str, set[str]] = {}
    for found, corpus, held in history:
        assert not overlapping(corpus.rows, held.rows)
        for row, its in found.items():
            sides.setdefault(row, set()).add(its)
    assert all(len(its) == 1 for its in sides.values())
    # And the clusters kept from week to week give what a rebuild gives.
    flat = [row for week in weeks for row in week]
    rebuilt = train(flat, consent=consent, eval_rows=history[-1][2].rows, policy=POLICY)
    assert {r["row_id"] for r in rebuilt.rows} == {r["row_id"] for r in history[-1][1].rows}


def test_a_row_that_links_two_sides_is_dropped_and_moves_nobody():
    (trained,), (held,) = users_on(Side.TRAIN), users_on(Side.HELD_OUT)
    consent = {trained: "granted", held: "granted"}
    first = words("link", 100)
    between = first + " " + words("more", 14)
    last = between + " " + words("still more", 14)
    same = log("q")["prompt"]
    rows = [
        log("e1", user=trained, prompt=same, response=first, ts="2026-09-01"),
        log("e2", user=held, prompt=same, response=last, ts="2026-09-02"),
    ]
    linking = log("e3", user=held, prompt=same, response=between, ts="2026-09-09")
    before, after = replayed([rows, [linking]], [], consent)
    assert before[0]["log:e2"] == "held_out"
    assert after[0]["log:e2"] == "held_out"
    assert "log:e3" not in after[0]
    assert after[2].counts.dropped[Reason.NEAR_DUPLICATE] == 1


def test_a_copy_of_a_row_of_another_side_is_not_used_even_when_that_row_is_not():
    (trained,), (held,) = users_on(Side.TRAIN), users_on(Side.HELD_OUT)
    disliked = log("e1", user=trained, thumb="down", ts="2026-09-01")
    texts = {name: disliked[name] for name in ("prompt", "response")}
    copy = log("e2", user=held, ts="2026-09-02", **texts)
    consent = {trained: "granted", held: "granted"}
    found = compose_eval([], [], [disliked, copy], consent, POLICY)
    assert found.counts.dropped == {Reason.THUMBS_DOWN: 1, Reason.SPLIT_CLUSTER: 1}


def test_refused_rows_count_under_the_reason_of_the_screening():
    refused = {"log:e1": "toxic", "document:d1:0001": "prompt_injection", "log:e3": "toxic"}
    consent = {"u1": "granted", "u2": "refused"}
    logs = [log("e1"), log("e2"), log("e3", user="u2")]
    corpus = compose_training(logs, [], [document()], consent, [], ALL_TRAIN, refused=refused)
    assert [row["row_id"] for row in corpus.rows] == ["log:e2"]
    assert corpus.counts.dropped == {"toxic": 1, "prompt_injection": 1, Reason.NO_CONSENT: 1}


def test_votes_of_an_ignored_rater_say_nothing():
    logs = [
        *(log("e1", user="u1", thumb="down"), log("e2", user="u1", rating=1)),
        log("e3", user="u2", thumb="down"),
    ]
    consent = {"u1": "granted", "u2": "granted"}
    corpus = compose_training(logs, [], [], consent, [], ALL_TRAIN, ignored_raters={"u1"})
    assert sorted(row["row_id"] for row in corpus.rows) == ["log:e1", "log:e2"]
    assert corpus.counts.dropped == {Reason.THUMBS_DOWN: 1}


def test_older_weeks_are_replayed_by_a_stable_share():
    weeks = [f"2026-09-{7 * n + 7:02d}" for n in range(3)]
    logs = [log(f"e{n}-{i}", week=week) for n, week in enumerate(weeks) for i in range(100)]
    policy = Policy(held_out_share=0, validation_share=0, replay=Replay(1, 0.3))
    now = train(logs, policy=policy)
    assert now.counts.by_week[weeks[2]] == 100
    assert 40 <= now.counts.replayed <= 80
    assert {r["week"] for r in now.rows if r["replayed"]} == set(weeks[:2])
    assert now.counts.dropped == {Reason.NOT_REPLAYED: 200 - now.counts.replayed}
    assert 0.1 < now.counts.replayed_char_share < 0.5
    earlier = train(logs[:200], policy=policy)  # a week before: the same rows of the first week
    first = {r["row_id"] for r in now.rows if r["week"] == weeks[0]}
    assert {r["row_id"] for r in earlier.rows if r["replayed"]} == first


def test_a_kind_is_held_to_its_weight():
    logs = [log(f"e{i}") for i in range(40)]
    examples = [example(f"a{i}") for i in range(40)]
    mixture = {"annotation": 0.5, "log": 1.0}
    policy = Policy(held_out_share=0, validation_share=0, mixture=mixture)
    counts = train(logs, examples, policy=policy).counts
    assert counts.by_kind["log"] == 40
    assert 16 <= counts.by_kind["annotation"] <= 22
    assert counts.dropped == {Reason.OVER_MIXTURE: 40 - counts.by_kind["annotation"]}


def test_rows_of_a_benchmark_are_not_trained_on():
    cases = [case("v1"), case("v2")]
    benchmark = fingerprint_pairs(
        ["b1"], [""], [cases[0]["prompt"].upper()], [cases[0]["response"]]
    )
    logs = [log("e1", prompt=cases[0]["prompt"]), log("e2")]
    corpus = compose_training(
        logs, [], [], {"u1": "granted"}, [], ALL_TRAIN, benchmarks={"bench": benchmark}
    )
    assert [row["row_id"] for row in corpus.rows] == ["log:e2"]
    assert corpus.counts.contaminated == {"bench": 1}
    assert corpus.counts.dropped == {Reason.CONTAMINATED_BENCHMARK: 1}


def test_clusters_of_other_rows_are_refused():
    batch = log_batch(pa.Table.from_pylist([log("e1"), log("e2")]))
    known = find_clusters([log_batch(pa.Table.from_pylist([log("e1")])).prints])
    with pytest.raises(ValueError, match="clusters are of 1 rows, the pool has 2"):
        compose_training([batch], [], [], {}, [], POLICY, clusters=known)


def test_training_and_validation_share_nothing(composed: tuple[Any, Corpus]):
    rows = composed[1].rows
    validation = [r for r in rows if r["split"] == "validation"]
    assert not overlapping([r for r in rows if r["split"] == "train"], validation)


def test_nobody_is_on_two_sides(composed: tuple[Any, Corpus]):
    evaluation, corpus = composed
    events = {row["event_id"]: row for row in busy_domain()[0]}
    examples = {row["example_id"]: row for row in busy_domain()[1]}
    sides: dict[str, set[str]] = {}
    for row in [*corpus.rows, *evaluation.rows]:
        event = events.get(examples.get(row["source_id"], {}).get("event_id") or row["source_id"])
        for owner in (event["user"], event["conversation"]) if event else ():
            sides.setdefault(owner, set()).add(str(row.get("split", "held_out")))
    assert len(sides) > 100
    assert {name: them for name, them in sides.items() if len(them) > 1} == {}
    assert corpus.counts.dropped[Reason.SPLIT_CONVERSATION] > 0


def test_no_copies_are_left(composed: tuple[Any, Corpus]):
    rows = [r for r in composed[1].rows if r["kind"] != "document"]
    entries = [Entry(r["row_id"], r["prompt"], r["response"]) for r in rows]
    assert {m.role for m in find_duplicates(entries)} == {Role.REPRESENTATIVE}


def test_nobody_without_consent_is_in_the_corpus(composed: tuple[Any, Corpus]):
    logs, _, _, consent, _ = busy_domain()
    refused = {r["event_id"] for r in logs if consent[r["user"]] != "granted"}
    rows = [*composed[1].rows, *composed[0].rows]
    assert not refused & {r["source_id"] for r in rows}


def test_the_order_of_the_input_does_not_matter(composed: tuple[Any, Corpus]):
    logs, examples, documents, consent, cases = busy_domain()
    for rows in (logs, examples, documents, cases):
        random.Random(1).shuffle(rows)
    evaluation = compose_eval(cases, examples, logs, consent, POLICY)
    corpus = train(logs, examples, documents, consent, evaluation.rows, POLICY)

    def by_id(rows: Any) -> list[Any]:
        return sorted(rows, key=lambda row: row["row_id"])

    assert by_id(corpus.rows) == by_id(composed[1].rows)
    assert by_id(evaluation.rows) == by_id(composed[0].rows)


def test_a_new_week_moves_no_row_to_another_side(composed: tuple[Any, Corpus]):
    logs, examples, documents, consent, cases = busy_domain()
    newer = [
        log(f"n{i}", user=f"u{i % 60}", conversation=f"c{i}", ts="2026-10-01T00:00:00+00:00")
        for i in range(150)
    ]
    evaluation = compose_eval(cases, examples, logs + newer, consent, POLICY)
    corpus = train(logs + newer, examples, documents, consent, evaluation.rows, POLICY)
    before = {r["row_id"]: r["split"] for r in composed[1].rows}
    after = {r["row_id"]: r["split"] for r in corpus.rows}
    assert all(after[row] == before[row] for row in before.keys() & after.keys())
    once_held_out = {r["row_id"] for r in composed[0].rows if r["origin"] == "held_out"}
    assert not once_held_out & after.keys()


def crowd_and_a_heavy_user(rows: int, users: int = 40) -> tuple[list[Row], dict[str, str]]:
    logs = [log(f"h{i}", user="heavy") for i in range(rows)]
    logs += [log(f"o{user}-{i}", user=f"o{user}") for user in range(users) for i in range(3)]
    return logs, dict.fromkeys(("heavy", *(f"o{user}" for user in range(users))), "granted")


def test_no_user_has_more_than_the_share_of_a_corpus():
    logs, consent = crowd_and_a_heavy_user(60)
    copies = [log(f"z{i}", user="o1", **{k: logs[i][k] for k in TEXTS}) for i in range(5)]
    policy = Policy(held_out_share=0, validation_share=0.1, max_user_share=0.05)
    corpus = train(logs + copies, [example()], [document()], consent, policy=policy)
    of_users = Counter(row["group"] for row in corpus.rows if row["group"].startswith("user:"))
    assert of_users["user:heavy"] == max(of_users.values())
    assert of_users["user:heavy"] <= 0.05 * of_users.total() < of_users["user:heavy"] + 1
    assert corpus.counts.dropped[Reason.OVER_USER_SHARE] == 60 - of_users["user:heavy"]
    assert corpus.counts.by_kind.keys() >= {"annotation", "document"}  # nobody's: not counted
    # A text that goes with its user does not come back by the copy of somebody else.
    assert not {row["row_id"] for row in corpus.rows} & {f"log:z{i}" for i in range(5)}


def test_whose_rows_stay_does_not_depend_on_what_arrives_later():
    policy = Policy(held_out_share=0, validation_share=0.1, max_user_share=0.05)

    def heavy(rows: int, users: int) -> dict[str, str]:
        logs, consent = crowd_and_a_heavy_user(rows, users)
        corpus = train(logs, consent=consent, policy=policy)
        return {r["row_id"]: r["split"] for r in corpus.rows if r["group"] == "user:heavy"}

    assert heavy(60, 40).items() < heavy(60, 80).items()
    assert heavy(60, 38).keys() == {f"log:h{i}" for i in range(60)}  # too few users for a bound


def test_own_cases_are_kept_but_for_exact_copies_and_blanks():
    cases = [
        case("v1", topic="cards"),
        case("v2", **{k: case()[k] for k in ("prompt", "response")}),
    ]
    cases += [case("v3", prompt=case("v1")["prompt"] + " please"), case("v4", response=" ")]
    evaluation = compose_eval(cases, [], [], {}, POLICY)
    assert [row["row_id"] for row in evaluation.rows] == ["own:v1", "own:v3"]
    assert [(row["topic"], row["week"]) for row in evaluation.rows] == [("cards", ""), ("", "")]
    assert evaluation.counts.dropped == {Reason.EMPTY_TEXT: 1, Reason.EXACT_DUPLICATE: 1}


def test_a_held_out_row_that_repeats_an_own_case_is_dropped():
    user = next(
        u
        for u in map(str, range(999))
        if side(f"user:{u}", 0.15, 0.15, POLICY.salt) is Side.HELD_OUT
    )
    logs = [log("e1", user=user, prompt=case()["prompt"]), log("e2", user=user)]
    evaluation = compose_eval([case()], [], logs, {user: "granted"}, POLICY)
    assert [row["row_id"] for row in evaluation.rows] == ["own:v1", "log:e2"]
    assert evaluation.rows[1] == {
        "row_id": "log:e2",
        "origin": "held_out",
        "task": "log",
        "topic": "",
        "week": logs[1]["week"],
        "prompt": logs[1]["prompt"],
        "response": logs[1]["response"],
        "messages": evaluation.rows[1]["messages"],
        "source_id": "e2",
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"held_out_share": 0.6, "validation_share": 0.4}, "below 1 together"),
        ({"document_share": 1.5}, "document_share must be 0 to 1, got 1.5"),
    ],
)
def test_a_policy_that_cannot_be_met_is_refused(wrong: Row, message: str):
    with pytest.raises(ValueError, match=message):
        Policy(**wrong)


def test_nothing_in_nothing_out():
    corpus = train()
    assert (corpus.rows, corpus.counts.rows_in, corpus.counts.dropped) == ([], 0, {})
