"""The administrator's part of a rollout: begin, look, approve, stop, compare."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ft_resources.gateway.bodies import MAX_BODY, json_reply, read_body
from ft_resources.gateway.chat import Refusal, invalid, read_json
from ft_resources.gateway.rollout.plan import Plan, read_plan

if TYPE_CHECKING:
    from ft_resources.gateway.service import Gateway

MAX_WORD = 200  # characters of a name or a reason

Handler = Callable[[Request], Awaitable[Response]]


def rollout_routes(gateway: "Gateway", admin: Callable[[Handler], Handler]) -> list[Route]:
    own = RolloutRoutes(gateway)
    return [
        Route("/admin/rollouts/{domain}", admin(own.status)),
        Route("/admin/rollouts/{domain}", admin(own.begin), methods=["POST"]),
        Route("/admin/rollouts/{domain}/approve", admin(own.approve), methods=["POST"]),
        Route("/admin/rollouts/{domain}/abort", admin(own.abort), methods=["POST"]),
        Route("/admin/comparisons/{domain}", admin(own.compare), methods=["POST"]),
    ]


class RolloutRoutes:
    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    async def status(self, request: Request) -> Response:
        return await _reply(self._gateway.rollouts.status, request.path_params["domain"])

    async def begin(self, request: Request) -> Response:
        body = await _body(request)
        plan = _plan(body)
        domain, candidate = request.path_params["domain"], _word(body, "candidate")
        return await _reply(self._gateway.begin_rollout, domain, candidate, plan)

    async def compare(self, request: Request) -> Response:
        body = await _body(request)
        plan, domain = _plan(body), request.path_params["domain"]
        first, second = _word(body, "first"), _word(body, "second")
        return await _reply(self._gateway.compare, domain, first, second, plan)

    async def approve(self, request: Request) -> Response:
        body = await _body(request)
        domain = request.path_params["domain"]
        return await _reply(self._gateway.rollouts.approve, domain, _word(body, "by"))

    async def abort(self, request: Request) -> Response:
        body = await _body(request)
        by, why = _word(body, "by"), _word(body, "why")
        return await _reply(self._gateway.rollouts.abort, request.path_params["domain"], by, why)


async def _body(request: Request) -> dict[str, Any]:
    return read_json(await read_body(request, MAX_BODY))


def _plan(body: dict[str, Any]) -> Plan:
    try:
        return read_plan(body.get("plan", {}))
    except ValueError as error:
        raise invalid(str(error), "plan") from None


def _word(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_WORD or not value.isprintable():
        raise invalid(f"{name} must be a text of 1 to {MAX_WORD} characters", name)
    return value


async def _reply(work: Callable[..., dict[str, Any]], *arguments: Any) -> Response:
    try:
        return json_reply(await asyncio.shield(run_in_threadpool(work, *arguments)))
    except LookupError as error:
        raise Refusal(404, str(error.args[0]), "not_found") from None
    except ValueError as error:
        raise Refusal(422, str(error), "refused") from None
    except OSError as error:
        raise Refusal(
            503, f"the rollout's log cannot be written ({type(error).__name__})", "disk"
        ) from None
