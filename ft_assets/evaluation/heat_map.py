"""Losses of adapters (rows) on periods (columns) as a picture: an SVG for a page or a data URI."""

from collections.abc import Mapping, Sequence
from html import escape

CELL, HEIGHT, LABEL, HEAD = 74, 26, 190, 44  # px
GOOD, BAD = (222, 235, 247), (240, 128, 100)  # RGB of the best and the worst of a column


def heat_map(
    rows: Sequence[tuple[str, Mapping[str, float]]], columns: Sequence[str], title: str
) -> str:
    """Return an SVG; each column has its own scale, because periods differ in difficulty.

    A cell without a value stays blank. An empty text without a cell.
    """
    if not rows or not columns:
        return ""
    width, height = LABEL + CELL * len(columns), HEAD + HEIGHT * len(rows) + 4
    heads = "".join(
        f'<text x="{LABEL + CELL * (n + 0.5)}" y="{14 + 14 * line}" text-anchor="middle" '
        f'fill="#777">{escape(part)}</text>'
        for n, column in enumerate(columns)
        for line, part in enumerate(column.split(".."))
    )
    cells = []
    for place, (name, values) in enumerate(rows):
        top = HEAD + HEIGHT * place
        cells.append(
            f'<text x="{LABEL - 8}" y="{top + 17}" text-anchor="end" fill="#777">'
            f"{escape(name)}</text>"
        )
        for n, column in enumerate(columns):
            if column not in values:
                continue
            left = LABEL + CELL * n
            cells.append(
                f'<rect x="{left + 1}" y="{top + 1}" width="{CELL - 2}" height="{HEIGHT - 2}" '
                f'fill="{_colour(values[column], [v[column] for _, v in rows if column in v])}"/>'
                f'<text x="{left + CELL / 2}" y="{top + 17}" text-anchor="middle" fill="#222">'
                f"{values[column]:.3f}</text>"
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" font-size="11" '
        f'font-family="sans-serif">{heads}{"".join(cells)}</svg>'
    )


def _colour(value: float, column: Sequence[float]) -> str:
    low, high = min(column), max(column)
    share = (value - low) / (high - low) if high > low else 0.0
    red, green, blue = (round(g + (b - g) * share) for g, b in zip(GOOD, BAD, strict=True))
    return f"rgb({red},{green},{blue})"
