"""A validation as one HTML page: Great Expectations' results without a value of a row in them.

Great Expectations' own Data Docs load a dozen files from other hosts and quote offending values.
This page has neither, no script either, and it is a function of the result alone: no time, no run,
so that equal data makes an equal page and no new commit.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ft_assets.expectations.gx import ExpectationResult, Outcome, SuiteResult
from ft_assets.expectations.known import ROW_COUNT
from ft_assets.expectations.suite import Severity
from ft_assets.expectations.usual import Band, Earlier, history, usual_shares

TEMPLATE = Path(__file__).parent / "page.html"
PAGE = "validation.html"
MAX_ARGUMENTS = 160  # characters shown of an expectation's arguments
CHART_WIDTH, CHART_HEIGHT = 150, 34  # px
HISTORY_COLUMNS = 6


@dataclass(frozen=True)
class Subject:
    """What was validated."""

    asset: str
    domain: str
    week: str = ""


def render(
    subject: Subject,
    result: SuiteResult,
    earlier: Sequence[Earlier] = (),
    pages: Mapping[str, str] | None = None,
    folder: str = "",
) -> bytes:
    """HTML; `pages` has the address of the page of an earlier week, by its label, and `folder` is
    the address of the list of all pages of the asset and domain.
    """
    critical, warning = result.of(Severity.CRITICAL), result.of(Severity.WARNING)
    head, rows = _history(result, earlier, pages or {})
    text = _template().render(
        title=f"Validation of {subject.asset}",
        asset=subject.asset,
        domain=subject.domain,
        week=subject.week,
        folder=folder,
        verdict=_verdict(result),
        tiles=[
            ("rows", f"{result.rows:,}"),
            ("must hold", _held(critical)),
            ("usual", _held(warning)),
            ("not judged", str(sum(r.outcome is Outcome.NOT_JUDGED for r in warning + critical))),
        ],
        critical=[_line(r) for r in _failing_first(critical)],
        warning=[_line(r) | _compared(r, earlier) for r in _failing_first(warning)],
        earlier=_span(earlier),
        history=rows,
        history_head=head,
        suite=result.suite,
        version=version("great-expectations"),
    )
    return text.encode()


@functools.cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE.read_text("utf-8"))


def _verdict(result: SuiteResult) -> dict[str, str]:
    if result.failed:
        return {"tone": "bad", "text": f"{len(result.failed)} failed: nothing is merged"}
    if result.unusual:
        return {"tone": "odd", "text": f"Everything that must hold holds; {_unusual(result)}"}
    return {"tone": "good", "text": "Everything holds"}


def _unusual(result: SuiteResult) -> str:
    return f"{len(result.unusual)} unusual"


def _held(results: Sequence[ExpectationResult]) -> str:
    judged = [r for r in results if r.outcome is not Outcome.NOT_JUDGED]
    return f"{sum(not r.fails for r in judged)} of {len(judged)}"


def _failing_first(results: Sequence[ExpectationResult]) -> list[ExpectationResult]:
    return sorted(results, key=lambda r: not r.fails)


def _line(result: ExpectationResult) -> dict[str, Any]:
    expectation = result.expectation
    blocks = expectation.severity is Severity.CRITICAL
    tones = {
        Outcome.HOLDS: "good",
        Outcome.FAILS: "bad" if blocks else "odd",
        Outcome.NOT_JUDGED: "none",
    }
    state = result.outcome.value if blocks or not result.fails else "unusual"
    shown = state + (f": {result.problem}" if result.problem else "")
    percent = result.unexpected_percent
    return {
        "column": ", ".join(expectation.columns) or "(table)",
        "says": _phrase(expectation.type),
        "arguments": _arguments(expectation.arguments),
        "note": expectation.note,
        "rows": f"{result.element_count:,}",
        "unexpected": "" if result.unexpected_count is None else f"{result.unexpected_count:,}",
        "share": "" if percent is None else f"{percent:.2f} %",
        "tone": tones[result.outcome],
        "state": shown,
    }


def _phrase(kind: str) -> str:
    """Great Expectations' name as words; the column stands beside it."""
    return kind.removeprefix("expect_").removeprefix("column_").replace("_", " ")


def _arguments(arguments: Mapping[str, Any]) -> str:
    given = {n: v for n, v in arguments.items() if n not in ("column_list", "column_A", "column_B")}
    text = ", ".join(f"{name}: {value}" for name, value in given.items())
    return text if len(text) <= MAX_ARGUMENTS else text[: MAX_ARGUMENTS - 3] + "..."


def _compared(result: ExpectationResult, earlier: Sequence[Earlier]) -> dict[str, Any]:
    figure, band = result.figure, result.band
    now = "" if figure is None else figure_text(result, figure)
    figures = [found for _, found in history(result.expectation, earlier)]
    before = [found["value"] for found in figures if "value" in found]
    usual = "" if band is None else number(band.usual)
    if figures and "mix" in figures[-1]:
        usual = figure_text(result, {"mix": usual_shares(figures)})
    chart = ""
    if figure is not None and "value" in figure and before:
        chart = _chart(before, float(figure["value"]), band, result.fails)
    return {
        "now": now,
        "usual": usual,
        "limits": "" if band is None else f"{_limit(band.low)} to {_limit(band.high)}",
        "chart": chart,
    }


def figure_text(result: ExpectationResult, figure: Mapping[str, Any]) -> str:
    """A count, a mean or a share as text; a mix as shares of its largest parts."""
    if "mix" in figure:
        rows = sum(figure["mix"].values()) or 1
        parts = sorted(figure["mix"].items(), key=lambda item: (-item[1], item[0]))[:3]
        return ", ".join(f"{label} {count / rows:.1%}" for label, count in parts)
    if result.expectation.type == ROW_COUNT:
        return f"{figure['value']:,}"
    return number(figure["value"])


def number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _limit(value: float | None) -> str:
    return "..." if value is None else number(value)


def _chart(before: Sequence[float], now: float, band: Band | None, fails: bool) -> Any:
    """The earlier values as a line, the last one now as a dot, between the limits."""
    from markupsafe import Markup

    edges = [value for value in (band.low, band.high) if value is not None] if band else []
    low, high = min([*before, now, *edges]), max([*before, now, *edges])
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return 5 + (CHART_HEIGHT - 10) * (high - value) / span

    step = (CHART_WIDTH - 14) / len(before)
    points = " ".join(f"{6 + step * n:.1f},{y(v):.1f}" for n, v in enumerate([*before, now]))
    shade = ""
    if band:
        top = y(band.high) if band.high is not None else 0
        bottom = y(band.low) if band.low is not None else CHART_HEIGHT
        shade = (
            f'<rect x="0" width="{CHART_WIDTH}" y="{top:.1f}" height="{max(1.0, bottom - top):.1f}"'
            ' fill="var(--band)"/>'
        )
    colour = "var(--odd)" if fails else "var(--good)"
    # Numbers of our own alone: nothing here needs escaping.
    return Markup(  # noqa: S704
        f'<svg width="{CHART_WIDTH}" height="{CHART_HEIGHT}" role="img" '
        f'aria-label="{len(before)} earlier values and now">{shade}'
        f'<polyline points="{points}" fill="none" stroke="var(--quiet)"/>'
        f'<circle cx="{6 + step * len(before):.1f}" cy="{y(now):.1f}" r="4" fill="{colour}"/></svg>'
    )


def _history(
    result: SuiteResult, earlier: Sequence[Earlier], pages: Mapping[str, str]
) -> tuple[list[str], list[dict[str, Any]]]:
    shown = [r for r in result.expectations if r.expectation.usual][:HISTORY_COLUMNS]
    names = [_short(r) for r in shown]
    rows = []
    for one in reversed(earlier):
        cells = [
            figure_text(r, one.figures[r.expectation.key])
            if r.expectation.key in one.figures
            else ""
            for r in shown
        ]
        rows.append({"label": one.label, "href": pages.get(one.label, ""), "cells": cells})
    return names, rows


def _short(result: ExpectationResult) -> str:
    expectation = result.expectation
    if expectation.type == ROW_COUNT:
        return "rows"
    words = {"mean": "mean", "median": "median", "non_null": "given", "unique": "unique"}
    said = next((short for word, short in words.items() if word in expectation.type), "mix")
    return f"{expectation.column}, {said}"


def _span(earlier: Sequence[Earlier]) -> str:
    if not earlier:
        return ""
    if len(earlier) == 1:
        return f"{earlier[0].label}"
    return f"{len(earlier)} earlier weeks, {earlier[0].label} to {earlier[-1].label}"
