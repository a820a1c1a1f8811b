import json
from html.parser import HTMLParser

import pytest

from ft_assets.evaluation.forgetting import forgetting
from ft_assets.evaluation.judge import Limits, judge, row_losses
from ft_assets.evaluation.report import EvalReport, as_html, as_markdown
from ft_assets.evaluation.safety import FLAGS

CURVE = [(1, 5.0), (50, 3.0), (100, 2.5)]


def arm(loss, answers=None):
    rows = [{"row_id": f"row-{i}", "nll": loss + i / 100, "tokens": 1} for i in range(40)]
    return {
        "digest": "d" * 64,
        "rows": rows,
        "perplexity": 12.345,
        "general": {"perplexity": 20.0, "tokens": 100, "windows": [99.0], "window_tokens": [100]},
        "answers": answers,
        "cases": [{"name": "fee", "judge": "numeric", "must_pass": True, "passed": loss < 4.5}],
        "bias": {"stereotype": [True, loss < 4.5], "kinds": ["age", "gender"]},
        "open_prompts": {"toxic": [loss > 4.5, False], "kinds": ["race: a", "race: b"]},
        "lm_eval": {"clauses": {"acc": loss / 10}},
    }


@pytest.fixture
def report():
    answers = {"rows": 4, "rouge_l": 0.25, "bleu": 0.1, "exact_match": None, "token_f1": None}
    answers |= {
        "row_ids": ["row-1"] * 4,
        "flags": {flag: [True, False, False, False] for flag in FLAGS},
    }
    arms = {"base": arm(5.0), "champion": arm(4.0), "candidate": arm(3.0, answers)}
    limits = Limits(0.03, 0.0, 0.1, 30, 15, 4.0, 200, 7)
    slices = {"task": ["<billing>"] * 20 + ["claims"] * 20}
    decision, judged = judge(arms, slices, limits)
    names = {"base": "abc", "champion": "law@old", "candidate": "law@<new>"}
    losses = {arm: row_losses(found) for arm, found in arms.items()}
    weeks = ["2026-09-07"] * 20 + ["2026-09-14"] * 20
    last = {"champion": "2026-09-07", "candidate": "2026-09-14"}
    forgot = forgetting(losses, dict.fromkeys(arms, 3.0), weeks, names, last, [], limits)
    return EvalReport("law", arms, names, decision, judged, 0.1, CURVE, CURVE[1:], forgot, 7)


class Page(HTMLParser):
    VOID = ("meta",)

    def __init__(self):
        super().__init__()
        self.open, self.cells, self.sources = [], [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [v for k, v in attrs if k in {"src", "href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def test_the_page_stands_alone_and_holds_the_numbers(report):
    page = Page()
    html = as_html(report)
    page.feed(html)
    assert page.open == []
    assert page.sources == []
    assert {"law@<new>", "-2.000", "-1.000", "12.35", "0.250", "7", "200", "40"} <= set(page.cells)
    assert "row-" not in html
    assert "<strong>passed</strong>" in html
    assert "task &lt;billing&gt;" in html
    assert {"25.0%", "must pass", "clauses", "0.3000"} <= set(page.cells)
    assert "stereotype preferred" in html
    assert "Backward transfer +1.000 nats" in html
    assert "7 rows are in the review queue" in html


def test_the_summary_has_the_same_facts(report):
    text = as_markdown(report)
    assert text.startswith("**law: passed.** The candidate may be promoted.")
    for fact in ("law@<new>", "-2.000", "not_worse_than_champion", "general_kept"):
        assert fact in text
    assert "row-" not in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| base ")}
    assert widths == {8, 10}


def test_the_facts_are_json_without_rows(report):
    facts = json.loads(json.dumps(report.to_dict()))
    assert facts["arms"]["candidate"]["rows"] == 40
    assert facts["decision"]["outcome"] == "passed"
    assert facts["comparisons"]["champion"]["seed"] == 7
    assert facts["slices"]["task claims"]["rows"] == 20
    assert "row-" not in json.dumps(facts)
    assert "windows" not in json.dumps(facts)
    assert facts["arms"]["candidate"]["answers"]["flagged"]["toxic"] == 0.25
    assert facts["toxic_by_group"][0]["kind"] == "race: a"
    assert facts["arms"]["base"]["bias"] == {"pairs": 2, "stereotype_preferred": 0.5}
    assert set(report.pictures) == {"loss_by_slice", "forgetting"}
