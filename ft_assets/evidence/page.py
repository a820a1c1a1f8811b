"""The evidence of one adapter as one page: opens from a disk, asks nothing of any host.

The policy in its head forbids every request, script and plug-in; the one style block is allowed by
its hash. Pictures are SVG elements of the page. It is a function of the record alone, so equal
evidence gives equal bytes.
"""

import base64
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ft_assets.adapters.loss_curve import loss_curve
from ft_assets.bar_chart import bar_chart

TEMPLATE, STYLE = (Path(__file__).parent / name for name in ("page.html", "page.css"))


def render(record: Mapping[str, Any]) -> str:
    """HTML of an evidence record (evidence.json)."""
    from markupsafe import Markup

    style = STYLE.read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    training = record["adapter"]["training"]
    rows = record["data"]
    # Our own drawings: they escape what is put into them.
    pictures = {
        "loss": Markup(loss_curve(training["train_loss"], training["validation_loss"])),  # noqa: S704
        "dropped": Markup(bar_chart(rows["dropped"], "rows left out, by reason")),  # noqa: S704
        "weeks": Markup(bar_chart(rows["by_week"], "rows by week")),  # noqa: S704
    }
    return (
        _template()
        .render(
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'none'",
            style=Markup(style),  # noqa: S704
            pictures=pictures,
            **record,
        )
        .lstrip()
    )


@functools.cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    return environment.from_string(TEMPLATE.read_text("utf-8"))


def number(value: object, digits: int = 3) -> str:
    """A number to read; what is none is shown as it is, nothing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.{digits}f}" if abs(value) >= 10**-digits or value == 0 else f"{value:.2g}"
