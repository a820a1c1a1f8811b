"""Effects over weeks as a picture: one strip a stream, with the limit and the lower one of the day.

Weeks of an earlier champion are hollow: they were compared with other weeks.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ft_assets.monitoring.effects import TITLES, WORDS, Stream

SHOWN = (Stream.PROMPT_WORDS, Stream.ANSWER_WORDS, Stream.VOTES, Stream.REDONE)
WEEKS = 26  # the newest
LEFT, ROOM, STRIP, HEAD, FOOT = 46, 34, 96, 18, 20  # px; ROOM is that of one week

Weeks = Sequence[Mapping[str, Any]]  # Judged.to_dict() with "champion", oldest first


def drift_chart(weeks: Weeks, champion: str | None) -> str:
    """Return an SVG; "" when no week has an effect."""
    shown = weeks[-WEEKS:]
    strips = [(stream, _of(shown, stream)) for stream in SHOWN]
    strips = [(stream, found) for stream, found in strips if any(found)]
    if not strips:
        return ""
    width = max(420, LEFT + ROOM * len(shown) + 20)
    height = (HEAD + STRIP) * len(strips) + FOOT
    drawn = "".join(
        _strip(place, stream, found, shown, champion)
        for place, (stream, found) in enumerate(strips)
    )
    dates = "".join(
        f'<text x="{_x(place)}" y="{height - 6}" text-anchor="middle">{week["week"][5:]}</text>'
        for place, week in enumerate(shown)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="drift by week" font-size="10" '
        f'font-family="sans-serif" fill="#777">{drawn}{dates}</svg>'
    )


def _of(weeks: Weeks, stream: Stream) -> list[Mapping[str, Any] | None]:
    found = []
    for week in weeks:
        finding = next(f for f in week["findings"] if f["stream"] == stream)
        found.append(finding if finding["effect"] is not None else None)
    return found


def _strip(
    place: int,
    stream: Stream,
    found: Sequence[Mapping[str, Any] | None],
    weeks: Weeks,
    champion: str | None,
) -> str:
    there = [one for one in found if one]
    values = [one[key] for one in there for key in ("effect", "limit", "cleared")]
    low = min([0.5 if stream in WORDS else 0.0, *values])
    high = max(values)
    span = (high - low) or 1.0
    top = place * (HEAD + STRIP) + HEAD

    def y(value: float) -> float:
        return top + 6 + (STRIP - 14) * (high - value) / span

    marks = []
    for at, one in enumerate(found):
        if not one:
            continue
        x = _x(at)
        colour = "#c0392b" if one["state"] in ("alarm", "held") else "#4c8bf5"
        fill = colour if weeks[at]["champion"] == champion else "none"
        for key, dashes in (("limit", ""), ("cleared", ' stroke-dasharray="2 2"')):
            level = y(one[key])
            marks.append(f'<path d="M{x - ROOM / 2} {level:.1f}h{ROOM}" stroke="#999"{dashes}/>')
        marks.append(
            f'<circle cx="{x}" cy="{y(one["effect"]):.1f}" r="4" stroke="{colour}" fill="{fill}">'
            f"<title>{weeks[at]['week']}: {one['effect']:.3f}, limit {one['limit']:.3f}</title>"
            "</circle>"
        )
    return (
        f'<text x="4" y="{top - 4}">{escape(TITLES[stream])}</text>'
        f'<path d="M{LEFT - 6} {top}v{STRIP - 4}" stroke="#999"/>'
        f'<text x="{LEFT - 10}" y="{top + 10}" text-anchor="end">{high:.2f}</text>'
        f'<text x="{LEFT - 10}" y="{top + STRIP - 6}" text-anchor="end">{low:.2f}</text>'
        f"{''.join(marks)}"
    )


def _x(place: int) -> float:
    return LEFT + ROOM * (place + 0.5)
