"""Counts as a picture: an SVG that a page or a data URI can hold, legible on light and dark."""

from collections.abc import Mapping
from html import escape

MAX_BARS = 12  # the smallest of more become one
OTHERS = "all others"
ROW, LABEL, BAR, NUMBER = 22, 190, 300, 110  # px
MAX_LABEL = 26  # characters


def bar_chart(counts: Mapping[str, int], title: str) -> str:
    """Return an SVG of horizontal bars, largest first; an empty text without a count above 0."""
    bars = largest(counts)
    if not bars:
        return ""
    total, longest = sum(counts.values()), max(count for _, count in bars)
    width, height = LABEL + BAR + NUMBER, ROW * len(bars) + 4
    rows = "".join(_bar(n, label, count, longest, total) for n, (label, count) in enumerate(bars))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'font-size="12" font-family="sans-serif" fill="#777">{rows}</svg>'
    )


def largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The counts above 0, largest first; what is beyond MAX_BARS is summed up."""
    ordered = sorted(
        ((label, count) for label, count in counts.items() if count > 0),
        key=lambda item: (-item[1], item[0]),
    )
    if len(ordered) <= MAX_BARS:
        return ordered
    kept = ordered[: MAX_BARS - 1]
    return [*kept, (OTHERS, sum(count for _, count in ordered[MAX_BARS - 1 :]))]


def _bar(place: int, label: str, count: int, longest: int, total: int) -> str:
    top = 2 + ROW * place
    width = max(1.0, BAR * count / longest)
    shown = label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 3] + "..."
    return (
        f'<text x="{LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(shown)}</text>'
        f'<rect x="{LABEL}" y="{top + 3}" width="{width:.1f}" height="{ROW - 6}" rx="2" '
        'fill="#4c8bf5"/>'
        f'<text x="{LABEL + width + 6:.1f}" y="{top + 15}">{count:,} ({count / total:.1%})</text>'
    )
