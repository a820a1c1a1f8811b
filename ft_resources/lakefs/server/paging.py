"""The envelope of every list, and the query that asks for a page.

Clients feed `next_offset` back as `after` until `has_more` is false.
"""

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse

from ft_resources.lakefs.server.calls import Call
from ft_resources.lakefs.server.errors import BadRequest
from ft_resources.lakefs.server.keys import parse_prefix
from ft_resources.lakefs.server.listing import Query

DEFAULT_AMOUNT = 100
MAX_AMOUNT = 1000


def amount(call: Call) -> int:
    text = call.query("amount")
    try:
        number = int(text or 0)
    except ValueError:
        raise BadRequest(f"amount must be a whole number, got {text!r}") from None
    return min(number, MAX_AMOUNT) if number > 0 else DEFAULT_AMOUNT


def key_query(call: Call) -> Query:
    return Query(
        prefix=parse_prefix(call.query("prefix")),
        after=parse_prefix(call.query("after")),
        delimiter=parse_prefix(call.query("delimiter")),
        amount=amount(call),
    )


def page(results: Sequence[dict[str, Any]], has_more: bool, offset_key: str) -> JSONResponse:
    return JSONResponse(
        {
            "pagination": {
                "has_more": has_more,
                "next_offset": results[-1][offset_key] if has_more else "",
                "results": len(results),
                "max_per_page": MAX_AMOUNT,
            },
            "results": results,
        }
    )


def page_of(rows: Sequence[dict[str, Any]], limit: int, offset_key: str = "id") -> JSONResponse:
    """A page from up to limit + 1 rows; the row beyond says that there is more."""
    return page(rows[:limit], len(rows) > limit, offset_key)
