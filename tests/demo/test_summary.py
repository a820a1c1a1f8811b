import pytest

from ft_assets.demo.summary import domain_summary, model_summary

FACTS = {
    ("raw_logs", "d|w1"): {"rows_in": 10, "quarantined": 1, "dropped": {"redelivered": 1}},
    ("anonymized_logs", "d|w1"): {
        "rows_out": 7,
        "dropped": {"empty_text": 1},
        "identifiers_masked": 3,
    },
    ("raw_logs", "d|w2"): {"rows_in": 5, "quarantined": 0, "dropped": {}},
    ("anonymized_logs", "d|w2"): {"rows_out": 5, "dropped": {}, "identifiers_masked": 2},
    ("raw_annotations", "d"): {"rows_in": 4, "quarantined": 1, "dropped": {}},
    ("raw_corrections", "d"): {"rows_in": 2, "quarantined": 0, "dropped": {}},
    ("raw_documents", "d"): {"rows_in": 3, "quarantined": 0, "dropped": {}},
    ("anonymized_examples", "d"): {"dropped": {"not_approved": 1}, "identifiers_masked": 1},
    ("anonymized_documents", "d"): {"dropped": {}, "identifiers_masked": 1},
    ("training_corpus", "d"): {
        "weeks": ["w1"],
        "rows_out": 12,
        "rows_by_kind": {"log": 5, "annotation": 3, "document": 4},
        "dropped_by_kind": {
            "log": {"exact_duplicate": 2},
            "correction": {"held_out": 1},
            "document": {"too_long": 9},
        },
    },
}


def facts(asset, partition):
    return FACTS.get((asset, partition), {})


def test_rows_are_followed_from_line_to_corpus():
    found = domain_summary(facts, "d", ["w1", "w2"])
    assert (found["rows_in"], found["rows_out"], found["quarantined"]) == (21, 8, 2)
    assert found["dropped"] == {
        "empty_text": 1,
        "exact_duplicate": 2,
        "held_out": 1,
        "not_approved": 1,
        "not_in_corpus_yet": 5,
        "redelivered": 1,
    }
    assert found["identifiers_masked"] == 7
    assert found["corpus_rows"] == 12


def test_a_row_that_got_lost_is_an_error(monkeypatch):
    monkeypatch.setitem(FACTS[("raw_logs", "d|w2")], "rows_in", 6)
    with pytest.raises(ValueError, match="22 in, 8 out"):
        domain_summary(facts, "d", ["w1", "w2"])


def test_a_domain_without_a_champion_deploys_nothing():
    assert model_summary(lambda asset, domain: {}, "d")["deployed"] is None
