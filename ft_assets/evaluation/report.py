"""The evaluation of one candidate as a page to read: one HTML file, and a Markdown summary.

The page needs nothing from outside: styles and the loss curve (SVG) are in it. It holds numbers
and ids, no text of any row. Every number stands with its n, its interval or its seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ft_assets.adapters.loss_curve import Points, loss_curve
from ft_assets.evaluation.compare import Comparison, Decision

WORDS = {
    "passed": "The candidate may be promoted.",
    "failed": "The candidate is refused; what serves today stays.",
    "inconclusive": "There is no proof either way; what serves today stays.",
}

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
th,td{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child,td.words{text-align:left}
.passed{color:#0a6b2d}.failed{color:#a11}.inconclusive{color:#8a5a00}
code{font-size:.9em}
"""


@dataclass(frozen=True)
class EvalReport:
    domain: str
    arms: Mapping[str, Mapping[str, Any]]  # of a score file
    names: Mapping[str, str]  # arm -> "domain@digest", or the base digest
    decision: Decision
    comparisons: Mapping[str, Comparison]  # by reference arm
    train_loss: Points = ()
    validation_loss: Points = ()

    def to_dict(self) -> dict[str, Any]:
        """The facts without the rows: what a metadata entry or a decision record needs."""
        return {
            "domain": self.domain,
            "names": dict(self.names),
            "decision": self.decision.to_dict(),
            "comparisons": {name: c.to_dict() for name, c in self.comparisons.items()},
            "arms": {
                name: {key: value for key, value in arm.items() if key != "rows"}
                | {"rows": len(arm["rows"])}
                for name, arm in self.arms.items()
            },
        }


def as_markdown(report: EvalReport) -> str:
    head = f"**{report.domain}: {report.decision.outcome}.** {WORDS[report.decision.outcome]}"
    tables = [_arm_table(report), _comparison_table(report), _rule_table(report)]
    return "\n\n".join([head, *(_markdown_table(*table) for table in tables)]) + "\n"


def as_html(report: EvalReport) -> str:
    outcome = report.decision.outcome
    title = f"Evaluation of {escape(report.names.get('candidate', report.domain))}"
    curve = loss_curve(report.train_loss, report.validation_loss)
    training = f"<h2>Training</h2>{curve}" if curve else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="{outcome}"><strong>{outcome}</strong>: {WORDS[outcome]}</p>'
        f"<h2>Rules</h2>{_html_table(*_rule_table(report))}"
        f"<h2>Differences on the same rows</h2>{_html_table(*_comparison_table(report))}"
        "<p>Mean loss per token of a row, in nats, candidate minus reference; below 0 the "
        "candidate is better.</p>"
        f"<h2>Models</h2>{_html_table(*_arm_table(report))}"
        "<p>Perplexity is over the tokens of the answers, given the prompts; general perplexity is "
        "on held-out general text. Overlap is of greedy answers with the reference, for reading "
        f"only.</p>{training}</body></html>\n"
    )


def _arm_table(report: EvalReport) -> tuple[list[str], list[list[str]]]:
    heads = ["model", "name", "perplexity", "general", "ROUGE-L", "BLEU", "EM", "F1", "rows"]
    rows = []
    for arm, found in report.arms.items():
        answers = found["answers"] or {}
        rows.append(
            [
                arm,
                report.names.get(arm, ""),
                _number(found["perplexity"], 2),
                _number((found["general"] or {}).get("perplexity"), 2),
                *(_number(answers.get(key), 3) for key in ("rouge_l", "bleu")),
                *(_number(answers.get(key), 3) for key in ("exact_match", "token_f1")),
                str(len(found["rows"])),
            ]
        )
    return heads, rows


def _comparison_table(report: EvalReport) -> tuple[list[str], list[list[str]]]:
    heads = ["candidate against", "difference", "from", "to", "rows", "resamples", "seed"]
    rows = [
        [
            name,
            *(f"{value:+.3f}" for value in (found.mean, found.low, found.high)),
            *(str(value) for value in (found.rows, found.resamples, found.seed)),
        ]
        for name, found in report.comparisons.items()
    ]
    return heads, rows


def _rule_table(report: EvalReport) -> tuple[list[str], list[list[str]]]:
    heads = ["rule", "outcome", "value", "limit", "reading"]
    rows = [
        [rule.rule, rule.outcome, _number(rule.value, 3), _number(rule.limit, 3), rule.says]
        for rule in report.decision.rules
    ]
    return heads, rows


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def _markdown_table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in lines
    )


def _html_table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(text: str) -> str:
    kind = text if text in WORDS else "words" if " " in text else ""
    return f'<td class="{kind}">{escape(text)}</td>'
