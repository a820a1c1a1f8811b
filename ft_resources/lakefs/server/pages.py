"""The look of the pages a browser gets: one layout, and elements that escape what is in them.

Whatever is not `Html` is escaped, so keys, messages and metadata cannot bring their own markup.
The pages have no scripts and load nothing; their policy lets a browser hold them to it.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from starlette.responses import HTMLResponse, Response

from ft_resources.lakefs.server.errors import NotAuthenticated, Refused

STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem;
  color: #1f2328; background: #fff }
header { border-bottom: 1px solid #d0d7de; padding-bottom: .5rem; margin-bottom: 1rem }
header a { margin-right: 1rem }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; margin: .5rem 0 }
h2 { font-size: 1rem; margin: 1.5rem 0 .25rem }
a { color: #0969da; text-decoration: none }
a:hover { text-decoration: underline }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid #eaeef2; overflow-wrap: anywhere }
th { font-weight: 600; color: #59636e }
td.number, th.number { text-align: right; white-space: nowrap }
table table { margin: 0 }
table table tr:last-child > * { border-bottom: 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: inherit }
code { font: 12px/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
ul.names { columns: 16rem; padding-left: 1rem; margin: .25rem 0; overflow-wrap: anywhere }
.quiet { color: #59636e }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 }
  a { color: #4493f8 }
  header, th, td { border-color: #3d444d }
  th, .quiet { color: #9198a1 }
}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
# For every answer outside the API. A branch moves on, so a browser must ask again (no-cache).
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
CHALLENGE = {"WWW-Authenticate": 'Basic realm="lakeFS"'}  # makes a browser ask for the key pair
UNFOLDED = 20  # names that are shown without a click
UNITS = ("kB", "MB", "GB", "TB")
Child = str | None  # None is left out


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def el(name: str, *children: Child, **attributes: str) -> Html:
    """An element. `class_` stands for the attribute `class`."""
    given = "".join(
        f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    return Html(
        "".join(c if isinstance(c, Html) else html.escape(c) for c in children if c is not None)
    )


def address(*parts: str, **query: str) -> str:
    """The path of a page; empty values of the query are left out."""
    given = {key: value for key, value in query.items() if value}
    path = "/" + "/".join(quote(part, safe="") for part in parts)
    return path + ("?" + urlencode(given, safe="/") if given else "")


def link(text: str, href: str) -> Html:
    return el("a", text, href=href)


def quiet(text: str) -> Html:
    return el("p", text, class_="quiet")


def table(
    head: Iterable[str], rows: Iterable[Iterable[str]], numbers: tuple[int, ...] = ()
) -> Html:
    """`numbers` are the columns to align right."""

    def line(cell: str, values: Iterable[str]) -> Html:
        cells = (
            el(cell, value, class_="number") if column in numbers else el(cell, value)
            for column, value in enumerate(values)
        )
        return el("tr", *cells)

    return el("table", el("thead", line("th", head)), el("tbody", *(line("td", r) for r in rows)))


def names(title: str, items: Sequence[Html]) -> Html:
    """A list; a long one is folded until clicked."""
    listed = el("ul", *(el("li", item) for item in items), class_="names")
    unfolded = {"open": ""} if len(items) <= UNFOLDED else {}
    return el("details", el("summary", title), listed, **unfolded)


def size(amount: int) -> str:
    if amount < 1000:
        return f"{amount} B"
    shown, unit = float(amount), ""
    for unit in UNITS:  # noqa: B007 (read after the loop)
        shown /= 1000
        if shown < 999.95:
            break
    return f"{shown:.1f} {unit}"


def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def render(
    title: str,
    *content: Child,
    tabs: Iterable[Html] = (),
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    head = el(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        Html('<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'),
        el("title", f"{title} - lakeFS"),
        el("style", Html(STYLE)),
    )
    top = el("header", link("lakeFS", address("repositories")), *tabs)
    body = el("body", top, el("main", el("h1", title), *content))
    return HTMLResponse(
        "<!doctype html>" + el("html", head, body, lang="en"),
        status,
        {**SAFETY, "Content-Security-Policy": PAGE_POLICY, **(headers or {})},
    )


def error_page(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    title = {401: "Log in", 404: "Not found"}.get(status, f"Error {status}")
    return render(title, el("p", message), status=status, headers=headers)


def refused_page(error: Refused) -> Response:
    headers = CHALLENGE if isinstance(error, NotAuthenticated) else {}
    return error_page(error.status, error.message, {**headers, **error.headers})
