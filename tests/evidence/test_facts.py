"""What an evidence pack counts, and how it follows commits, on small inputs."""

import json

import pandas as pd
import pytest

from ft_assets.evidence.card import model_card
from ft_assets.evidence.facts import Checked, Made, checks, consent, corpus_rows, masked, stages
from ft_assets.evidence.page import render
from ft_assets.evidence.provenance import Unrecorded, asset_of, behind, parse, trace
from ft_resources.lakefs.client import Written

ROWS = pd.DataFrame(
    {
        "kind": ["log", "log", "log", "document"],
        "split": ["train", "train", "validation", "train"],
        "week": ["2026-08-31", "2026-09-07", "2026-09-07", ""],
        "group": ["user:a", "user:b", "user:a", "document:d"],
        "license": ["", "", "CC0", "MIT"],
        "replayed": [True, False, False, False],
    }
)


def test_rows_are_counted_and_a_missing_licence_is_said():
    found = corpus_rows(ROWS)
    assert found["by_week"] == {"2026-08-31": 1, "2026-09-07": 2}
    assert found["licences"] == [
        {"kind": "document", "licence": "MIT", "rows": 1},
        {"kind": "log", "licence": "CC0", "rows": 1},
        {"kind": "log", "licence": "not stated", "rows": 2},
    ]
    assert found["replayed_rows"] == 1


@pytest.mark.parametrize(
    ("states", "without"),
    [
        ({"a": "granted", "b": "granted", "c": "refused"}, 0),
        ({"a": "granted", "b": "refused"}, 1),
        ({"a": "erased"}, 2),  # and b is not listed at all
    ],
)
def test_consent_is_of_the_subjects_that_are_in_the_corpus(states, without):
    found = consent(ROWS, states)
    assert (found["trained_on"], found["rows_of_users"]) == (2, 3)
    assert found["without_consent"] == without
    assert found["subjects_sha256"] == consent(ROWS.iloc[::-1], {})["subjects_sha256"]
    assert found["subjects_sha256"] != consent(ROWS.iloc[:1], states)["subjects_sha256"]


def test_stages_add_up_over_partitions():
    one = {"rows_in": 5, "rows_out": 3, "quarantined": 1, "dropped": {"old": 1}}
    made = [Made("raw_logs", "a", one), Made("raw_logs", "b", one), Made("x", "a", {"n": 1})]
    [stage] = stages([*made, Made("raw_logs", "c", {**one, "quarantine_counts": {"bad": 1}})])
    assert (stage["partitions"], stage["rows_in"], stage["dropped"]) == (3, 15, {"old": 3})
    assert stage["quarantined_because"] == {"bad": 1}


def test_a_check_that_failed_once_is_not_lost():
    def of(passed, failed):
        return Checked("a", "c", passed, True, "run", {"expectations": 4, "failed": failed})

    [found] = checks([of(True, 0), of(False, 2)])
    assert (found["evaluations"], found["passed"], found["failed"]) == (2, 1, 2)


def test_operators_that_changed_between_weeks_are_all_told():
    def of(week, operator):
        facts = {"identifiers_masked": 2, "operators": {"EMAIL": operator}}
        return Made("anonymized_logs", week, facts)

    found = masked([of("1", "placeholder"), of("2", "placeholder"), of("3", "hash")])
    assert found["identifiers_masked"] == {"anonymized_logs": 6}
    assert found["operators"] == [{"EMAIL": "placeholder"}, {"EMAIL": "hash"}]


def history(commits):
    def of(repository, commit, path):
        inputs = commits.get((commit, path))
        if inputs is not None:
            yield Written(commit, {"inputs": json.dumps(inputs), "run_id": "r"}, 0)

    return of


def address(commit, path):
    return f"lakefs://r/{commit}/{path}"


def test_lineage_is_followed_once_and_inputs_come_first():
    raw, clean = address("1", "raw/domain=a/week=w/"), address("2", "clean/domain=a/week=w/")
    known = history(
        {
            ("1", "raw/domain=a/week=w/"): {},
            ("2", "clean/domain=a/week=w/"): {"raw": raw},
            ("3", "model/domain=a/"): {"clean": clean, "raw": raw},
        }
    )
    steps = trace(known, [address("3", "model/domain=a/"), clean])
    assert [(s.asset, s.partition) for s in steps] == [
        ("raw", "a|w"),
        ("clean", "a|w"),
        ("model", "a"),
    ]
    assert [s.asset for s in behind(steps, [clean])] == ["raw", "clean"]
    ended = trace(known, [steps[-1].address], lambda step: step.asset == "clean")
    assert [(s.asset, len(s.inputs)) for s in ended] == [("clean", 0), ("raw", 0), ("model", 2)]
    both = history(
        {
            ("1", "raw/domain=a/week=w/"): {},
            ("1", "raw/domain=b/week=w/"): {},
            ("2", "clean/domain=a/week=w/"): {"a": raw, "b": address("1", "raw/domain=b/week=w/")},
        }
    )
    assert [step.partition for step in trace(both, [clean])] == ["a|w", "a|w"]
    with pytest.raises(Unrecorded, match="wrote lakefs://r/9/x/"):
        trace(known, [address("9", "x/")])
    with pytest.raises(Unrecorded, match="no address"):
        parse("lakefs://r/main/x/")
    assert asset_of("base_model/") == ("base_model", "")


def record(**change):
    rule = {"rule": "r", "outcome": "passed", "value": 1.0, "low": None, "high": 2.0, "limit": 3}
    return {
        "version": 1,
        "adapter": {
            **{"name": "a@1", "domain": "a", "digest": "1" * 64, "base_digest": "2" * 64},
            **{"seed": 0, "recipe": {"rank": 4}},
            "training": {"train_loss": [(1, 2.0)], "validation_loss": []},
        },
        "manifest": {"name": "a@1"},
        "weeks": [],
        "data": {**corpus_rows(ROWS), "dropped": {"<b>": 2}, "stages": []},
        "consent": consent(ROWS, {}),
        "checks": [],
        "gate": {
            **{"outcome": "passed", "rules": [{**rule, "says": "<i>"}], "models": {}},
            "perplexity": {"base": None},
        },
        "canary": {"decision": "promoted", "reason": "&", "rules": []},
        "privacy": {
            "identifiers_masked": {},
            "tagger": {"kind": "none"},
            "operators": [],
            "differential_privacy": {"epsilon": 8},
        },
        "approval": {"gate": "passed", "canary": "promoted", "person": "none", "runs": []},
        "cost": None,
        "lineage": [],
        "not_recorded": ["raw_logs[a|w]"],
        "verified": [{"claim": "c", "holds": False, "value": "v"}],
        "reproduce": {
            **{"command": "ft reproduce a@1", "expected_sha256": {}, "versions": {}},
            **{"cpu_capability": "AVX2", "threads": 1},
        },
        **change,
    }


def test_the_page_escapes_and_says_what_is_missing():
    html = render(record())
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "raw_logs[a|w]" in html
    assert "epsilon" in html
    assert '<td class="no">no</td>' in html
    assert "Not recorded." in html
    assert render(record()) == html
    card = model_card(record())
    assert "library_name: peft" in card
    assert "ft reproduce a@1" in card
