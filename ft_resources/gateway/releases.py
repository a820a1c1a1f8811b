"""Deployments that wait for a person: a reviewer sees the evidence so far and decides.

Only where a domain asks for it (`canary.approval`). Who decided is written into the rollout's log.
"""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ft_resources.gateway.auth import Principal
from ft_resources.gateway.bodies import MAX_BODY, json_reply, read_body
from ft_resources.gateway.chat import Refusal, invalid, read_json
from ft_resources.gateway.service import Gateway

DECISIONS = ("approve", "stop")
SHOWN = ("domain", "candidate", "control", "reason", "share", "mirrored", "arms")


class Releases:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def waiting(self, request: Request) -> Response:
        who: Principal = request.state.who
        machines = [m for m in self._gateway.rollouts.machines() if who.may_use(m.domain)]
        told = [m.to_dict() for m in machines if m.may_approve()]
        return json_reply({"waiting": [{name: one[name] for name in SHOWN} for one in told]})

    async def decide(self, request: Request) -> Response:
        who: Principal = request.state.who
        domain = request.path_params["domain"]
        if not who.may_use(domain):
            raise Refusal(404, "no such domain for this key", "not_found", "domain")
        decision = read_json(await read_body(request, MAX_BODY)).get("decision")
        if decision not in DECISIONS:
            raise invalid(f"decision must be one of {', '.join(DECISIONS)}", "decision")
        state = await self._decided(domain, who.name, decision)
        return json_reply({"domain": domain, "state": state["state"]})

    async def _decided(self, domain: str, by: str, decision: str) -> dict[str, Any]:
        rollouts = self._gateway.rollouts
        try:
            if decision == "approve":
                return await run_in_threadpool(rollouts.approve, domain, by)
            return await run_in_threadpool(rollouts.abort, domain, by, "refused by a reviewer")
        except ValueError as error:
            raise Refusal(409, str(error), "nothing_waits") from None
        except OSError:
            raise Refusal(
                503, "the decision cannot be written now; send it again", "disk"
            ) from None
