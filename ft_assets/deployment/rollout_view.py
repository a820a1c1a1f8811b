"""What a rollout says to a person: its decision, a table of both arms, the curve of the evidence.

Its input is the JSON that the gateway tells (machine.py's to_dict).
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

PROMOTED, ROLLED_BACK = "promoted", "rolled_back"
DECIDED = {
    "holdback": PROMOTED,
    "champion": PROMOTED,
    "rolled_back": ROLLED_BACK,
    "expired": ROLLED_BACK,
    "superseded": ROLLED_BACK,
}
WIDTH, HEIGHT, LEFT, BOTTOM = 620, 240, 44, 28  # px of the chart
LINES = (("rollback", "#d9534f"), ("promote", "#3c9a5f"))


def decision_of(rollout: Mapping[str, Any]) -> str | None:
    """promoted or rolled_back; None while it is open."""
    return DECIDED.get(rollout["state"])


def outcome_of(rollout: Mapping[str, Any]) -> str | None:
    """What a decision is known by: a new champion that goes back again is another one."""
    decision = decision_of(rollout)
    return None if decision is None else f"{rollout['rollout']}-{decision}"


def arms_table(rollout: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """(header, a row for each arm)"""
    guardrails = sorted(rollout["guardrails"])
    header = ["arm", "adapter", "conversations", "with a reaction", "mean reaction", "answers"]
    rows: list[list[object]] = []
    for name in ("canary", "control"):
        arm = rollout["arms"][name]
        mean = arm["mean_reaction"]
        rows.append(
            [
                name,
                arm["adapter"],
                arm["conversations"],
                arm["reactions"],
                "-" if mean is None else f"{mean:.3f}",
                arm["answers"],
                *(arm["bad"].get(guardrail, 0) for guardrail in guardrails),
            ]
        )
    return [*header, *guardrails], rows


def evidence_table(rollout: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """(header, a row for each thing that can decide)"""
    limits = rollout["log_limits"]
    rows: list[list[object]] = [
        [side, f"{rollout['log_evidence'][side]:.2f}", f"{limits[side]:.2f}"]
        for side in ("rollback", "promote", "ratio", "holdback")
    ]
    rows += [
        [f"guardrail {name}", f"{guard['log_evidence']:.2f}", f"{limits['guardrail']:.2f}"]
        for name, guard in sorted(rollout["guardrails"].items())
    ]
    return ["log evidence for", "now", "decides at"], rows


def history_table(rollout: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    began = rollout["began"]
    return ["after", "state", "canary share", "reason"], [
        [_ago(entry["t"] - began), entry["state"], f"{entry['share']:.0%}", entry["reason"]]
        for entry in rollout["history"]
    ]


def evidence_chart(rollout: Mapping[str, Any]) -> str:
    """Log evidence over reactions as SVG, with the limits dashed; empty without a reaction."""
    trace: Sequence[Sequence[float]] = rollout["trace"]
    if not trace:
        return ""
    limits = rollout["log_limits"]
    values = [point[k] for point in trace for k in (1, 2)]
    values += [0.0, limits["rollback"], limits["promote"]]
    low, high, last = min(values), max(values), max(point[0] for point in trace)

    def x(count: float) -> float:
        return LEFT + (WIDTH - LEFT - 90) * count / last

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 12) * (value - low) / (high - low)

    parts = [
        f'<line x1="{LEFT}" y1="{y(0):.1f}" x2="{WIDTH - 90}" y2="{y(0):.1f}" stroke="#aaa"/>',
        f'<text x="{LEFT - 6}" y="{y(0) + 4:.1f}" text-anchor="end">0</text>',
        f'<text x="{WIDTH - 90}" y="{HEIGHT - 8}" text-anchor="end">'
        f"{last:.0f} conversations with a reaction</text>",
    ]
    for place, (side, color) in enumerate(LINES, 1):
        points = " ".join(f"{x(point[0]):.1f},{y(point[place]):.1f}" for point in trace)
        at = y(limits[side])
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>',
            f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - 90}" y2="{at:.1f}" '
            f'stroke="{color}" stroke-dasharray="5 4"/>',
            f'<text x="{WIDTH - 84}" y="{y(trace[-1][place]) + 4:.1f}" fill="{color}">'
            f"{escape(side)}</text>",
            f'<text x="{LEFT - 6}" y="{at + 4 + 11 * (place - 1):.1f}" text-anchor="end" '
            f'fill="{color}">{limits[side]:.1f}</text>',
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="log evidence" '
        f'font-size="11" font-family="sans-serif" fill="#777">{"".join(parts)}</svg>'
    )


def one_line(rollout: Mapping[str, Any]) -> str:
    """For a table of domains."""
    if rollout["over"]:
        return f"{rollout['state']}: {rollout['reason']}"
    canary = rollout["arms"]["canary"]
    told = rollout["log_evidence"]
    limits = rollout["log_limits"]
    return (
        f"{rollout['candidate']} {rollout['state']} at {rollout['share']:.0%}, "
        f"{canary['reactions']} reactions, log evidence rollback {told['rollback']:.1f} of "
        f"{limits['rollback']:.1f}, promotion {told['promote']:.1f} of {limits['promote']:.1f}"
    )


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
