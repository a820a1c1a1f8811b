import json
from html.parser import HTMLParser

import pytest

from ft_assets.evaluation.compare import judge
from ft_assets.evaluation.report import EvalReport, as_html, as_markdown

CURVE = [(1, 5.0), (50, 3.0), (100, 2.5)]


def arm(loss, answers=None):
    rows = [{"row_id": f"row-{i}", "nll": loss + i / 100, "tokens": 1} for i in range(40)]
    return {
        "digest": "d" * 64,
        "rows": rows,
        "perplexity": 12.345,
        "general": {"perplexity": 20.0, "tokens": 100},
        "answers": answers,
    }


@pytest.fixture
def report():
    answers = {"rows": 4, "rouge_l": 0.25, "bleu": 0.1, "exact_match": None, "token_f1": None}
    arms = {"base": arm(5.0), "champion": arm(4.0), "candidate": arm(3.0, answers)}
    limits = {"margin": 0.03, "min_rows": 30, "max_general_ratio": 4.0}
    decision, comparisons = judge(arms, **limits, resamples=200, seed=7)
    names = {"base": "abc", "champion": "law@old", "candidate": "law@<new>"}
    return EvalReport("law", arms, names, decision, comparisons, CURVE, CURVE[1:])


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
    assert "row-" not in json.dumps(facts)
