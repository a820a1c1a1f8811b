"""The losses of a training as a picture: an SVG that a page or a data URI can hold."""

from collections.abc import Sequence

Points = Sequence[Sequence[float]]  # (step, loss in nats)

WIDTH, HEIGHT, LEFT, BOTTOM = 560, 200, 44, 24  # px


def loss_curve(train: Points, validation: Points) -> str:
    """Return an SVG of loss (nats) over steps; an empty text when there is no point."""
    points = [*train, *validation]
    if not points:
        return ""
    last = max(step for step, _ in points)
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    span = high - low or 1.0

    def line(series: Points, colour: str) -> str:
        places = " ".join(
            f"{LEFT + (WIDTH - LEFT) * step / last:.1f},"
            f"{8 + (HEIGHT - BOTTOM - 8) * (high - loss) / span:.1f}"
            for step, loss in series
        )
        return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    floor = HEIGHT - BOTTOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 60} {HEIGHT}" '
        f'width="{WIDTH + 60}" role="img" '
        'aria-label="loss over steps" font-size="11" font-family="sans-serif">'
        f'<path d="M{LEFT} 0V{floor}H{WIDTH}" fill="none" stroke="#999"/>'
        f'<text x="{LEFT - 4}" y="14" text-anchor="end">{high:.2f}</text>'
        f'<text x="{LEFT - 4}" y="{floor}" text-anchor="end">{low:.2f}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">step {last:g}</text>'
        f"{line(train, '#888')}{line(validation, '#06c')}"
        f'<text x="{LEFT + 8}" y="{HEIGHT - 6}" fill="#666">training</text>'
        f'<text x="{LEFT + 68}" y="{HEIGHT - 6}" fill="#06c">validation</text></svg>'
    )
