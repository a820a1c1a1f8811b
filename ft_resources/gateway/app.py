"""The HTTP face of the gateway: /v1 of OpenAI, feedback, review, pages, health, metrics and /admin.

Callers need a key on /v1 and /feedback when there is one; /review and /admin always need theirs.
The gateway's own log names routes, domains, adapters and numbers, never what was said.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ft_resources.gateway.access_log import AccessLines, AccessLog
from ft_resources.gateway.admin import Admin
from ft_resources.gateway.auth import Keys, Principal, Role
from ft_resources.gateway.bodies import MAX_BODY, json_reply, read_body
from ft_resources.gateway.chat import Refusal, read_json
from ft_resources.gateway.completions import CLIENT_LEFT, RETRY_AFTER_SECONDS, Completions
from ft_resources.gateway.feedback import read_feedback
from ft_resources.gateway.pages import Pages
from ft_resources.gateway.rates import Rates
from ft_resources.gateway.releases import Releases
from ft_resources.gateway.review_routes import ReviewRoutes
from ft_resources.gateway.rollout.routes import rollout_routes
from ft_resources.gateway.service import BASE, Gateway

SAVE_STATS_SECONDS = 5.0
CALLER_ROUTES = "/v1/chat/completions, /v1/completions, /v1/models and /feedback"
# What a stranger is told to send, by the least role that will do.
KEY_NAMES = {Role.CALLER: "API_KEY", Role.REVIEWER: "REVIEWER_KEY", Role.ADMIN: "ADMIN_KEY"}

Handler = Callable[[Request], Awaitable[Response]]
log = logging.getLogger(__name__)


def create_app(gateway: Gateway, keys: Keys) -> Starlette:
    """The ASGI application over a gateway that was started; stopping it is the caller's part."""
    rates, lines, pages = Rates(), AccessLines(), Pages()
    review, releases = ReviewRoutes(gateway.reviews, gateway.domains), Releases(gateway)
    api, completions, administrator = Api(gateway), Completions(gateway, rates), Admin(gateway)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        saving = asyncio.create_task(_save_stats(gateway))
        yield
        saving.cancel()
        lines.flush()

    def user(handler: Handler) -> Handler:
        return _guarded(handler, keys, frozenset(Role), rates)

    def reviewer(handler: Handler) -> Handler:
        return _guarded(handler, keys, frozenset({Role.REVIEWER, Role.ADMIN}))

    def admin(handler: Handler) -> Handler:
        return _guarded(handler, keys, frozenset({Role.ADMIN}))

    routes = [
        Route("/v1/chat/completions", user(completions.chat), methods=["POST"]),
        Route("/v1/completions", user(completions.completion), methods=["POST"]),
        Route("/v1/models", user(api.models)),
        Route("/v1/models/{id}", user(api.model)),
        Route("/feedback", user(api.feedback), methods=["POST"]),
        Route("/chat", pages.chat),
        Route("/review", pages.review),
        Route("/pages/{name}", pages.part),
        Route("/review/items", reviewer(review.items)),
        Route("/review/decisions", reviewer(review.decide), methods=["POST"]),
        Route("/review/releases", reviewer(releases.waiting)),
        Route("/review/releases/{domain}", reviewer(releases.decide), methods=["POST"]),
        Route("/admin/review/{domain}", admin(review.put_queue), methods=["PUT"]),
        Route("/health", api.health),
        Route("/metrics", api.metrics),
        Route("/admin/base", admin(administrator.put_base), methods=["PUT"]),
        Route("/admin/adapters/{name}", admin(administrator.put_adapter), methods=["PUT"]),
        Route("/admin/adapters/{name}", admin(administrator.delete_adapter), methods=["DELETE"]),
        Route("/admin/routing", admin(administrator.get_routing)),
        Route("/admin/routing", admin(administrator.put_routing), methods=["PUT"]),
        Route("/admin/rollback/{domain}", admin(administrator.rollback), methods=["POST"]),
        Route("/admin/stats/{domain}", admin(administrator.stats)),
        *rollout_routes(gateway, admin),
        Route("/admin/score", admin(administrator.score), methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            Refusal: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _left,
            500: _broken,
        },
    )
    app.add_middleware(AccessLog, lines=lines)
    return app


def _guarded(
    handler: Handler, keys: Keys, roles: frozenset[Role], rates: Rates | None = None
) -> Handler:
    async def guarded(request: Request) -> Response:
        who = keys.who(request.headers)
        if who is None or (who is keys.anyone and who.role not in roles):
            wanted = next(name for role, name in KEY_NAMES.items() if role in roles)
            raise Refusal(401, f"send Authorization: Bearer {wanted}", "invalid_api_key")
        if who.role not in roles:
            raise Refusal(403, f"this key has the role {who.role.value}", "role_not_allowed")
        request.state.who = who
        request.state.note = {"caller": who.name}
        if rates is not None:
            rates.count_request(who)
        return await handler(request)

    return guarded


class Api:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def models(self, request: Request) -> Response:
        models = self._models(request.state.who)
        return json_reply({"object": "list", "data": list(models.values())})

    async def model(self, request: Request) -> Response:
        found = self._models(request.state.who).get(request.path_params["id"])
        if found is None:
            raise Refusal(404, "no such model; GET /v1/models lists them", "model_not_found", "id")
        return json_reply(found)

    def _models(self, who: Principal) -> dict[str, dict[str, Any]]:
        gateway = self._gateway
        shared = {"object": "model", "created": 0, "owned_by": "continuous-fine-tuning"}
        models: dict[str, dict[str, Any]] = {}
        if gateway.current_base:
            models[BASE] = {**shared, "root": gateway.current_base, "parent": None}
            for domain in gateway.domains:
                champion = gateway.routing.route(domain).champion
                models[domain] = {**shared, "root": champion or BASE, "parent": champion or BASE}
        for name in gateway.engine.adapters():
            models[name] = {**shared, "root": name, "parent": BASE}
        return {
            name: {"id": name, **model}
            for name, model in models.items()
            if who.may_use(name.partition("@")[0])
        }

    async def feedback(self, request: Request) -> Response:
        who: Principal = request.state.who
        body = read_json(await read_body(request, who.max_body or MAX_BODY))
        event_id, fields, order = read_feedback(body)
        try:
            result = await asyncio.wrap_future(
                self._gateway.landing.feedback(event_id, fields, order, who.may_use)
            )
        except LookupError:
            raise Refusal(404, "no logged answer has this id", "id_not_found", "id") from None
        except OSError:
            raise Refusal(
                503,
                "feedback cannot be written now; send it again",
                "landing_not_writable",
                retry_after_s=RETRY_AFTER_SECONDS,
            ) from None
        if result.changed:
            self._gateway.count_feedback(result.before, result.after)
        if (counted := self._gateway.rollouts.reacted(result.after)) is not None:
            # The landing zone has it; that it counts as evidence too is worth the wait, no error.
            with contextlib.suppress(OSError):
                await asyncio.wrap_future(counted)
        return json_reply({"id": event_id, "recorded": result.changed})

    async def health(self, request: Request) -> Response:
        return json_reply(self._gateway.health())

    async def metrics(self, request: Request) -> Response:
        gateway = self._gateway
        gateway.metrics.engine(gateway.engine, len(gateway.health()["problems"]))
        for machine in gateway.rollouts.machines():
            gateway.metrics.rollout(machine)
        return Response(self._gateway.metrics.render(), media_type=CONTENT_TYPE_LATEST)


async def _refused(_: Request, error: Exception) -> Response:
    error = cast(Refusal, error)
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_reply(error.body(), headers, error.status)


async def _http_error(_: Request, error: Exception) -> Response:
    """What Starlette itself refuses: no such route, another method, a broken upload."""
    error = cast(HTTPException, error)
    message, code = str(error.detail), "http_error"
    if error.status_code == 404:
        message, code = f"no such route; callers have {CALLER_ROUTES}", "not_found"
    elif error.status_code == 405:
        code = "method_not_allowed"
    body = Refusal(error.status_code, message, code).body()
    return json_reply(body, dict(error.headers or {}), error.status_code)


async def _left(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)  # for the log; nobody is there to read it


async def _broken(request: Request, error: Exception) -> Response:
    return await _refused(request, Refusal(500, "the gateway failed; see its log", "internal"))


async def _save_stats(gateway: Gateway) -> None:
    while True:
        await asyncio.sleep(SAVE_STATS_SECONDS)
        try:
            await run_in_threadpool(gateway.restore_late)
            await run_in_threadpool(gateway.save_stats)
        except OSError as error:
            log.error("stats not saved: %s", type(error).__name__)
