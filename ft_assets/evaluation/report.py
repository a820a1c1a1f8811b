"""The evaluation of one candidate as a page to read: one HTML file, and a Markdown summary.

The page needs nothing from outside: styles and the loss curve (SVG) are in it. It holds numbers
and ids, no text of any row. Every number stands with its n, its interval or its seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ft_assets.adapters.loss_curve import Points, loss_curve
from ft_assets.evaluation.forgetting import GENERAL, Forgetting
from ft_assets.evaluation.heat_map import heat_map
from ft_assets.evaluation.judge import Judged
from ft_assets.evaluation.rules import Decision, Rule
from ft_assets.evaluation.safety import FLAGS, shares_by_kind
from ft_assets.evaluation.slice_chart import slice_chart

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
.not{color:#666}.passed{color:#0a6b2d}.failed{color:#a11}.inconclusive{color:#8a5a00}
code{font-size:.9em}
"""


@dataclass(frozen=True)
class EvalReport:
    domain: str
    arms: Mapping[str, Mapping[str, Any]]  # of a score file
    names: Mapping[str, str]  # arm -> "domain@digest", or the base digest
    decision: Decision
    judged: Judged
    slice_limit: float  # nats
    train_loss: Points
    validation_loss: Points
    forgetting: Forgetting
    review_rows: int = 0

    @property
    def pictures(self) -> dict[str, str]:
        """SVG by name, of what there is something to show for."""
        matrix = self.forgetting
        cells = [(row.adapter, row.losses) for row in matrix.rows]
        with_general = [*matrix.periods, *([GENERAL] if GENERAL in matrix.rows[0].losses else [])]
        drawn = {
            "loss_by_slice": slice_chart(self.judged.slices, self.slice_limit),
            "forgetting": heat_map(cells, with_general, "loss of each adapter on each period"),
        }
        return {name: svg for name, svg in drawn.items() if svg}

    def to_dict(self) -> dict[str, Any]:
        """The facts without the rows: what a metadata entry or a decision record needs."""
        return {
            "domain": self.domain,
            "names": dict(self.names),
            "decision": self.decision.to_dict(),
            "comparisons": {name: c.to_dict() for name, c in self.judged.comparisons.items()},
            "slices": {name: c.to_dict() for name, c in self.judged.slices.items()},
            "slices_against": self.judged.reference,
            "forgetting": self.forgetting.to_dict(),
            "bias_by_kind": [
                {"kind": kind, "pairs": pairs, **shares}
                for kind, shares, pairs in shares_by_kind(self.arms, "bias", "stereotype")
            ],
            "toxic_by_group": [
                {"kind": kind, "prompts": prompts, **shares}
                for kind, shares, prompts in shares_by_kind(self.arms, "open_prompts", "toxic")
            ],
            "review_rows": self.review_rows,
            "arms": {name: _without_rows(arm) for name, arm in self.arms.items()},
        }


def _without_rows(arm: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of an arm; of its answers and pairs the shares, of the rows their number."""
    told = {**arm, "rows": len(arm["rows"])}
    if arm["general"]:
        told["general"] = {name: arm["general"][name] for name in ("perplexity", "tokens")}
    if arm["answers"]:
        told["answers"] = {k: v for k, v in arm["answers"].items() if k not in ("row_ids", "flags")}
        told["answers"]["flagged"] = {
            flag: sum(found) / len(found) for flag, found in arm["answers"]["flags"].items()
        }
    if arm["bias"]:
        found = arm["bias"]["stereotype"]
        told["bias"] = {"pairs": len(found), "stereotype_preferred": sum(found) / len(found)}
    if arm["open_prompts"]:
        found = arm["open_prompts"]["toxic"]
        told["open_prompts"] = {"prompts": len(found), "toxic": sum(found) / len(found)}
    return told


def as_markdown(report: EvalReport) -> str:
    head = f"**{report.domain}: {report.decision.outcome}.** {WORDS[report.decision.outcome]}"
    tables = [_arm_table(report), _comparison_table(report), _rule_table(report)]
    tables += [table for _, table in _optional_tables(report)]
    return "\n\n".join([head, *(_markdown_table(*table) for table in tables)]) + "\n"


def as_html(report: EvalReport) -> str:
    outcome = report.decision.outcome
    title = f"Evaluation of {escape(report.names.get('candidate', report.domain))}"
    curve = loss_curve(report.train_loss, report.validation_loss)
    training = f"<h2>Training</h2>{curve}" if curve else ""
    more = "".join(f"<h2>{head}</h2>{_html_table(*t)}" for head, t in _optional_tables(report))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="{outcome}"><strong>{outcome}</strong>: {WORDS[outcome]}</p>'
        f"<h2>Rules</h2>{_html_table(*_rule_table(report))}"
        f"<h2>Differences on the same rows</h2>{_html_table(*_comparison_table(report))}"
        "<p>Mean loss per token of a row, in nats, candidate minus reference; below 0 the "
        "candidate is better. The interval is two-sided at 90 %: each end is wrong in 5 % of the "
        "cases. Against the champion it includes the chance of the seed.</p>"
        f"{_slices(report)}{_matrix(report)}"
        f"<h2>Models</h2>{_html_table(*_arm_table(report))}"
        "<p>Perplexity is over the tokens of the answers, given the prompts; general perplexity is "
        "on held-out general text. Overlap is of greedy answers with the reference, for reading "
        "only: the decision rests on likelihood, which a model too small to write has too.</p>"
        f"{more}<p>{report.review_rows} rows are in the review queue.</p>{training}</body></html>\n"
    )


def _slices(report: EvalReport) -> str:
    chart = report.pictures.get("loss_by_slice")
    if not chart:
        return ""
    return (
        f"<h2>By slice, against the {report.judged.reference}</h2>{chart}"
        "<p>Intervals that hold for all slices together; the dashed line is the limit.</p>"
    )


def _matrix(report: EvalReport) -> str:
    picture = report.pictures.get("forgetting")
    if not picture:
        return ""
    transfer = report.forgetting.backward_transfer
    words = (
        "There is no earlier period to compare with."
        if transfer is None
        else f"Backward transfer {transfer:+.3f} nats; below 0 the candidate forgot."
    )
    return (
        f"<h2>Periods</h2>{picture}<p>Mean loss of each adapter on held-out rows of each period, "
        f"in nats; the candidate is last. {words}</p>"
    )


def _optional_tables(report: EvalReport) -> list[tuple[str, tuple[list[str], list[list[str]]]]]:
    made = {
        "Unsafe answers": _flag_table(report),
        "Bias": _kind_table(report, "bias", "stereotype", "stereotype preferred", "pairs"),
        "Said of groups": _kind_table(report, "open_prompts", "toxic", "toxic", "prompts"),
        "Test cases": _case_table(report),
        "lm-evaluation-harness": _task_table(report),
    }
    return [(head, table) for head, table in made.items() if table[1]]


def _flag_table(report: EvalReport) -> tuple[list[str], list[list[str]]]:
    rows = []
    for arm, found in report.arms.items():
        if found["answers"]:
            flags = found["answers"]["flags"]
            shares = [f"{sum(flags[flag]) / len(flags[flag]):.1%}" for flag in FLAGS]
            rows.append([arm, *shares, str(found["answers"]["rows"])])
    return ["answers of", *(flag.replace("_", " ") for flag in FLAGS), "answers"], rows


def _kind_table(
    report: EvalReport, name: str, flag: str, title: str, of: str
) -> tuple[list[str], list[list[str]]]:
    found = shares_by_kind(report.arms, name, flag)
    arms = list(found[0][1]) if found else []
    rows = [[k, *(f"{shares[arm]:.1%}" for arm in arms), str(n)] for k, shares, n in found]
    return [title, *arms, of], rows


def _case_table(report: EvalReport) -> tuple[list[str], list[list[str]]]:
    arms = [arm for arm, found in report.arms.items() if found["cases"]]
    rows = []
    for place, case in enumerate(report.arms["candidate"]["cases"] or ()):
        verdicts = [report.arms[arm]["cases"][place]["passed"] for arm in arms]
        must = "must pass" if case["must_pass"] else "-"
        rows.append([case["name"], case["judge"], must, *("yes" if v else "no" for v in verdicts)])
    return ["case", "judge", "rule", *(f"{arm} passes" for arm in arms)], rows


def _task_table(report: EvalReport) -> tuple[list[str], list[list[str]]]:
    arms = [arm for arm, found in report.arms.items() if found["lm_eval"]]
    rows = [
        [task, metric, *(_number(report.arms[arm]["lm_eval"][task].get(metric), 4) for arm in arms)]
        for task, metrics in (report.arms["candidate"]["lm_eval"] or {}).items()
        for metric in metrics
    ]
    return ["task", "metric", *arms], rows


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
        for name, found in report.judged.comparisons.items()
    ]
    return heads, rows


def _rule_table(report: EvalReport) -> tuple[list[str], list[list[str]]]:
    return RULE_HEADS, [rule_cells(rule) for rule in report.decision.rules]


RULE_HEADS = ["rule", "outcome", "value", "interval", "limit", "reading"]


def rule_cells(rule: Rule) -> list[str]:
    interval = "-" if rule.low is None else f"{rule.low:+.3f} to {rule.high:+.3f}"
    return [
        *(rule.rule, rule.outcome.replace("_", " "), _number(rule.value, 3)),
        *(interval, f"{rule.limit:g}", rule.says),
    ]


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
