"""A bar per language: its share of a week's rows."""

from collections.abc import Mapping
from html import escape

WIDTH, ROW, LABEL = 420, 18, 110
SHOWN = 8  # the rest is one bar


def language_mix_svg(rows_by_language: Mapping[str, int]) -> str:
    total = sum(rows_by_language.values())
    ranked = sorted(rows_by_language.items(), key=lambda item: (-item[1], item[0]))
    bars = ranked[:SHOWN]
    if len(ranked) > SHOWN:
        bars.append(("other", sum(rows for _, rows in ranked[SHOWN:])))
    height = ROW * max(1, len(bars)) + 6
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="11">'
    ]
    for place, (language, rows) in enumerate(bars):
        top = 3 + place * ROW
        width = (WIDTH - LABEL - 70) * rows / total
        lines += [
            f'<text x="{LABEL - 6}" y="{top + 12}" text-anchor="end">{escape(language)}</text>',
            f'<rect x="{LABEL}" y="{top + 2}" width="{max(1.0, width):.1f}" height="{ROW - 5}" '
            'fill="#4c78a8"/>',
            f'<text x="{LABEL + max(1.0, width) + 5:.1f}" y="{top + 12}">{rows / total:.1%}</text>',
        ]
    return "\n".join([*lines, "</svg>"])
