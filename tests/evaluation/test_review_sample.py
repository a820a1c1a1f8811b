import json
from collections import Counter

import numpy as np
import pytest

from ft_assets.evaluation.bias_pairs import read_bias_pairs
from ft_assets.evaluation.open_prompts import read_open_prompts
from ft_assets.evaluation.review_sample import review_sample
from ft_assets.evaluation.safety import FLAGS, case_rules, safety_rules, shares_by_kind
from ft_assets.evaluation.score_cache import cached_scores

ROWS = [{"row_id": f"r{i}", "prompt": f"p{i}", "response": f"a{i}"} for i in range(60)]


def arm(toxic=0, answers=40, cases=None, stereotypes=None, begun=None):
    flags = {flag: [False] * answers for flag in FLAGS}
    flags["toxic"] = [True] * toxic + [False] * (answers - toxic)
    return {
        "answers": {"row_ids": [f"r{i}" for i in range(answers)], "flags": flags},
        "cases": cases,
        "bias": stereotypes,
        "open_prompts": begun,
    }


def sample(candidate, most=20):
    losses = {"base": np.full(60, 5.0), "champion": np.full(60, 3.0), "candidate": candidate}
    return review_sample(ROWS, {"candidate": arm(toxic=2)}, losses, "law@2", most, seed=0)


def test_a_person_sees_what_got_worse_what_is_unsafe_and_some_of_the_rest():
    candidate = np.full(60, 3.0)
    candidate[[50, 51]] += [0.2, 0.9]
    found = sample(candidate)
    by_reason = {}
    for row in found:
        by_reason.setdefault(row["reason"], []).append(row["row_id"])
    assert by_reason["toxic_answer"] == ["r0", "r1"]
    assert by_reason["worse_than_champion"] == ["r51", "r50"]
    assert len(by_reason["random"]) == 5
    assert len({row["row_id"] for row in found}) == len(found)
    assert next(r["value"] for r in found if r["row_id"] == "r51") == pytest.approx(0.9)
    assert found == sample(candidate)


def test_regressions_do_not_crowd_out_the_rest():
    found = sample(np.full(60, 4.0))
    counts = [sum(r["reason"] == name for r in found) for name in ("worse_than_champion", "random")]
    assert counts == [10, 5]
    assert sample(np.full(60, 4.0), most=0) == []


def outcome(rules, name):
    return next(rule.outcome for rule in rules if rule.rule == name)


def test_safety_is_judged_against_the_base():
    bias = {"stereotype": [True] * 30 + [False] * 70, "kinds": ["age", "gender"] * 50}
    worse = {**bias, "stereotype": [True] * 60 + [False] * 40}
    calm = {"toxic": [False] * 60, "kinds": ["race: a", "race: b"] * 30}
    rude = {**calm, "toxic": [True] * 20 + [False] * 40}
    arms = {
        "base": arm(stereotypes=bias, begun=calm),
        "candidate": arm(toxic=12, stereotypes=worse, begun=rude),
    }
    rules = safety_rules(arms, 0.02)
    assert outcome(rules, "toxic_answers") == "failed"
    assert outcome(rules, "refused_answers") == "passed"
    assert outcome(rules, "bias") == "failed"
    assert outcome(rules, "open_prompts") == "failed"
    ages = shares_by_kind(arms, "bias", "stereotype")[0]
    assert ages == ("age", {"base": 0.3, "candidate": 0.6}, 50)
    groups = shares_by_kind(arms, "open_prompts", "toxic")
    assert groups[0] == ("race: a", {"base": 0, "candidate": 1 / 3}, 30)
    unknown = safety_rules({"base": arm(answers=5), "candidate": arm(answers=5)}, 0.02)
    assert {rule.outcome for rule in unknown} == {"not_measured"}


def test_cases_of_the_domain_decide():
    def cases(*passed):
        return [
            {"name": f"c{n}", "judge": "exact", "must_pass": n == 0, "passed": p}
            for n, p in enumerate(passed)
        ]

    missed = {"base": arm(), "candidate": arm(cases=cases(False, True))}
    missed["base"]["cases"] = cases(True, False)
    rules = case_rules(missed, 0.02)
    assert outcome(rules, "cases_that_must_pass") == "failed"
    assert "not: c0" in rules[0].says
    assert outcome(rules, "cases") == "passed"
    many = {"base": arm(cases=cases(*[True] * 30))}
    many["candidate"] = arm(cases=cases(True, *[False] * 29))
    assert outcome(case_rules(many, 0.02), "cases") == "failed"
    # What was the case with the champion counts, where there is one.
    many["champion"] = many["candidate"]
    assert outcome(case_rules(many, 0.02), "cases") == "passed"
    assert case_rules({"base": arm(), "candidate": arm()}, 0.02) == []


def test_bias_pairs_are_read_by_column(tmp_path):
    file = tmp_path / "pairs.csv"
    rows = "".join(f'{i},"m{i}, x","l{i}",age\n' for i in range(30))
    file.write_text("id,sent_more,sent_less,bias_type\n" + rows, "utf-8")
    found = read_bias_pairs(file, 10, seed=0)
    assert len(found) == 10
    assert found == read_bias_pairs(file, 10, seed=0) != read_bias_pairs(file, 10, seed=1)
    assert found[0].more.endswith(", x")
    file.write_text("sent_more,bias_type\na,b\n", "utf-8")
    with pytest.raises(ValueError, match=r"pairs.csv: no column sent_less"):
        read_bias_pairs(file, 10, seed=0)
    file.write_text("sent_more,sent_less,bias_type\na,,b\n", "utf-8")
    with pytest.raises(ValueError, match="pair 1 lacks a sentence"):
        read_bias_pairs(file, 10, seed=0)


def test_open_prompts_are_dealt_evenly_by_group(tmp_path):
    file = tmp_path / "bold.jsonl"
    groups = {"actors": 50, "nurses": 6}
    lines = [
        json.dumps({"domain": "job", "group": group, "prompt": f"{group} {i} were "})
        for group, count in groups.items()
        for i in range(count)
    ]
    file.write_text("\n".join(lines), "utf-8")
    found = read_open_prompts(file, 20, seed=0)
    assert Counter(p.group for p in found) == {"actors": 14, "nurses": 6}
    assert found == read_open_prompts(file, 20, seed=0) != read_open_prompts(file, 20, seed=1)
    assert not found[0].prompt.endswith(" ")
    file.write_text('{"domain": "job", "group": "actors"}', "utf-8")
    with pytest.raises(ValueError, match=r"bold.jsonl: line 1: no text in prompt"):
        read_open_prompts(file, 20, seed=0)
    file.write_text("\n[]", "utf-8")
    with pytest.raises(ValueError, match=r"line 2: no text in domain"):
        read_open_prompts(file, 20, seed=0)


def test_scores_are_computed_once_for_a_key(tmp_path):
    computed, told = [], []

    def ask(key, value=1):
        def compute():
            computed.append(value)
            return {"loss": value}

        return cached_scores(tmp_path, key, compute, told.append)

    assert (
        ask({"adapter": "a", "rows": [1]}) == ask({"adapter": "a", "rows": [1]}, 2) == {"loss": 1}
    )
    assert ask({"adapter": "b", "rows": [1]}, 3) == {"loss": 3}
    assert computed == [1, 3]
    assert told == []
    for file in tmp_path.glob("*.json"):
        file.write_text(file.read_text("utf-8")[:-5], "utf-8")
    assert ask({"adapter": "a", "rows": [1]}, 4) == {"loss": 4}
    assert told[0]["event"] == "score cache"
    # A file of another key under this name is none of it.
    [file] = [f for f in tmp_path.glob("*.json") if '"a"' in f.read_text("utf-8")]
    content = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**content, "key": {}}), "utf-8")
    assert ask({"adapter": "a", "rows": [1]}, 5) == {"loss": 5}


def test_only_the_newest_scores_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("ft_assets.evaluation.score_cache.KEPT", 3)
    for n in range(6):
        cached_scores(tmp_path, {"n": n}, lambda: {}, lambda facts: None)
    assert len(list(tmp_path.iterdir())) == 3
