"""The review queue over HTTP: what waits for a reviewer, decisions, and new queues."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ft_resources.agreement import Agreement
from ft_resources.gateway.auth import Principal
from ft_resources.gateway.bodies import MAX_BODY, json_reply, read_body
from ft_resources.gateway.chat import (
    Refusal,
    clean_text,
    invalid,
    read_id,
    read_json,
    whole_number,
)
from ft_resources.gateway.review import MAX_REVIEWERS, VERDICTS, Item, Reviews, Shown
from ft_resources.gateway.service import now_text

MAX_QUEUE_BODY = 64 * 1024 * 1024  # bytes of a queue
MAX_ITEMS = 10_000
MAX_ANSWERS = 9  # keys 1 to 9
PAGE_ITEMS = 200  # that a page gets at once


class ReviewRoutes:
    def __init__(self, reviews: Reviews, domains: Sequence[str]) -> None:
        self._reviews, self._domains = reviews, tuple(domains)

    async def items(self, request: Request) -> Response:
        who: Principal = request.state.who
        mine = [domain for domain in self._domains if who.may_use(domain)]
        if not mine:
            raise Refusal(403, "this key has no domain to review", "no_domain")
        waiting = {domain: self._reviews.waiting(domain, who.name) for domain in mine}
        asked = request.query_params.get("domain")
        if asked is not None and asked not in waiting:
            raise Refusal(404, "no such domain for this key", "not_found", "domain")
        domain = asked or next((name for name in mine if waiting[name]), mine[0])
        return json_reply(
            {
                **self._state(domain),
                "domains": [{"domain": name, "open": len(waiting[name])} for name in mine],
                "items": [asdict(item) for item in waiting[domain][:PAGE_ITEMS]],
            }
        )

    async def decide(self, request: Request) -> Response:
        who: Principal = request.state.who
        body = read_json(await read_body(request, min(MAX_BODY, who.max_body or MAX_BODY)))
        domain, verdict = body.get("domain"), body.get("decision")
        if not isinstance(domain, str) or domain not in self._domains or not who.may_use(domain):
            raise Refusal(404, "no such domain for this key", "not_found", "domain")
        if verdict not in VERDICTS:
            raise invalid(f"decision must be one of {', '.join(VERDICTS)}", "decision")
        item = read_id(body.get("item"), "item")
        answer = whole_number(body.get("answer"), "answer", 0, MAX_ANSWERS - 1) or 0
        text = clean_text(body["text"], "text") if body.get("text") is not None else ""
        if (verdict == "correct") != bool(text.strip()):
            raise invalid("text goes with the decision correct, and must not be blank", "text")
        decision = (domain, item, who.name, verdict, answer, text, now_text())
        try:
            closed = await run_in_threadpool(self._reviews.decide, *decision)
        except IndexError:
            raise invalid("this item has no such answer", "answer") from None
        except LookupError as error:
            raise Refusal(404, str(error), "item_not_found", "item") from None
        except FileExistsError as error:
            raise Refusal(409, str(error), "decided") from None
        except OSError:
            raise Refusal(
                503, "the decision cannot be written now; send it again", "landing_not_writable"
            ) from None
        return json_reply({**self._state(domain), "item": item, "closed": closed})

    async def put_queue(self, request: Request) -> Response:
        domain = request.path_params["domain"]
        if domain not in self._domains:
            raise Refusal(404, "this domain is not served here", "not_found", "domain")
        body = read_json(await read_body(request, MAX_QUEUE_BODY))
        reviewers = whole_number(body.get("reviewers"), "reviewers", 1, MAX_REVIEWERS) or 1
        items = read_items(body.get("items"))
        open_items = await run_in_threadpool(self._reviews.put, domain, items, reviewers)
        return json_reply({"domain": domain, "items": len(items), "open": open_items})

    def _state(self, domain: str) -> dict[str, Any]:
        return {
            "domain": domain,
            "reviewers": self._reviews.reviewers(domain),
            "agreement": [_told(one) for one in self._reviews.agreement(domain)],
        }


def read_items(value: object) -> list[Item]:
    """Raises Refusal 400 that names the item and the field."""
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise invalid(f"items must be a list of up to {MAX_ITEMS}", "items")
    items = [_read_item(item, f"items.{i}") for i, item in enumerate(value)]
    if len({item.item_id for item in items}) < len(items):
        raise invalid("items holds an item_id twice", "items")
    return items


def _read_item(value: object, param: str) -> Item:
    if not isinstance(value, dict):
        raise invalid(f"{param} must be an object", param)
    answers, reasons = value.get("answers"), value.get("reasons")
    if not isinstance(answers, list) or not 1 <= len(answers) <= MAX_ANSWERS:
        raise invalid(f"{param}.answers must be a list of 1 to {MAX_ANSWERS}", param)
    if not isinstance(reasons, list) or not reasons:
        raise invalid(f"{param}.reasons must be a list of texts", param)

    def optional(name: str) -> str | None:
        given = value.get(name)
        return None if given is None else clean_text(given, f"{param}.{name}")

    return Item(
        item_id=read_id(value.get("item_id"), f"{param}.item_id"),
        prompt=clean_text(value.get("prompt"), f"{param}.prompt"),
        answers=tuple(_shown(answer, f"{param}.answers.{i}") for i, answer in enumerate(answers)),
        reasons=tuple(clean_text(reason, f"{param}.reasons") for reason in reasons),
        event_id=optional("event_id"),
        model_version=optional("model_version"),
        week=optional("week"),
    )


def _shown(value: object, param: str) -> Shown:
    if not isinstance(value, dict):
        raise invalid(f"{param} must be an object with label and text", param)
    return Shown(
        clean_text(value.get("label"), f"{param}.label"),
        clean_text(value.get("text"), f"{param}.text"),
    )


def _told(agreement: Agreement) -> dict[str, Any]:
    return {**asdict(agreement), "reviewers": list(agreement.reviewers)}
