"""Differences by slice with their intervals as a picture: an SVG for a page or a data URI."""

from collections.abc import Mapping
from html import escape

from ft_assets.evaluation.compare import Comparison

ROW, LABEL, PLOT, NUMBER = 22, 210, 300, 170  # px
MAX_LABEL = 30  # characters
COLOURS = {"better": "#2e7d32", "worse": "#c62828", "open": "#4c8bf5"}


def slice_chart(found: Mapping[str, Comparison], limit: float) -> str:
    """Return an SVG of mean and interval (nats, candidate minus reference) of each slice.

    A dashed line marks `limit`. An empty text without slices.
    """
    if not found:
        return ""
    low = min(0.0, limit, *(c.low for c in found.values()))
    high = max(0.0, limit, *(c.high for c in found.values()))
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return LABEL + PLOT * (value - low) / span

    height = ROW * len(found) + 26
    rows = []
    for place, (name, c) in enumerate(found.items()):
        middle = 18 + ROW * place + ROW / 2
        kind = "worse" if c.low > 0 else "better" if c.high < 0 else "open"
        label = name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 3] + "..."
        rows.append(
            f'<text x="{LABEL - 10}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>'
            f'<path d="M{x(c.low):.1f} {middle}H{x(c.high):.1f}" stroke="{COLOURS[kind]}" '
            'stroke-width="2"/>'
            f'<circle cx="{x(c.mean):.1f}" cy="{middle}" r="4" fill="{COLOURS[kind]}"/>'
            f'<text x="{LABEL + PLOT + 12}" y="{middle + 4}">{c.mean:+.3f} ({c.rows} rows)</text>'
        )
    bottom = height - 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + PLOT + NUMBER}" '
        f'height="{height}" viewBox="0 0 {LABEL + PLOT + NUMBER} {height}" role="img" '
        'aria-label="difference of the loss by slice" font-size="12" font-family="sans-serif" '
        f'fill="#777"><path d="M{x(0):.1f} 14V{bottom}" stroke="#999"/>'
        f'<path d="M{x(limit):.1f} 14V{bottom}" stroke="#c62828" stroke-dasharray="4 3"/>'
        f'<text x="{x(0):.1f}" y="11" text-anchor="middle">0</text>'
        f'<text x="{x(limit):.1f}" y="11" text-anchor="middle">{limit:+.2g}</text>'
        f"{''.join(rows)}</svg>"
    )
