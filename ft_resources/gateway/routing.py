"""Which adapter answers for a domain: one signed document with a growing generation number.

The document is the whole truth: the gateway needs nothing else to route or to roll back. A document
of an older generation is refused, so an old one that was signed once cannot be played back.
A conversation stays with its arm for as long as the canary is the same: the arm is a salted hash of
the conversation. Below the share it is the canary's; as many at the other end are its control.
Another canary or rollout draws anew, so no user is always the guinea pig.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ft_resources.gateway.rollout.machine import (
    CHAMPION,
    COMPARISON,
    HOLDBACK,
    SUPERSEDED,
    Machine,
)
from ft_resources.signing import sign, verify

ARMS = ("champion", "canary", "control", "treated", "base", "pinned")
CANARY_ARMS = {"canary": "canary", "treated": "canary", "control": "control"}  # side in a rollout
ROLES = ("champion", "previous", "canary", "control", "shadow")
ALWAYS = frozenset({"champion", "previous", "canary", "share"})  # in a document; the rest if set
UNIT = 2**64
MAX_EQUAL = 0.5  # of the conversations, for a canary with a control of the same size


@dataclass(frozen=True)
class Route:
    champion: str | None = None
    previous: str | None = None
    canary: str | None = None
    share: float = 0.0  # of the conversations that the canary answers, 0 to 1
    control: str | None = None  # answers as many; that of a rollout
    shadow: str | None = None  # gets copies of requests; nobody sees its answers
    rollout: str | None = None  # the rollout that decides this; None: whoever wrote it

    def roles(self) -> Iterator[tuple[str, str]]:
        for role in ROLES:
            if name := getattr(self, role):
                yield role, name


@dataclass(frozen=True)
class Routing:
    generation: int = 0
    domains: Mapping[str, Route] = field(default_factory=dict)

    def route(self, domain: str) -> Route:
        return self.domains.get(domain, Route())

    def names(self) -> set[str]:
        return {name for route in self.domains.values() for _, name in route.roles()}


def to_document(routing: Routing, key: bytes) -> dict[str, Any]:
    domains = {
        domain: {n: v for n, v in asdict(route).items() if v is not None or n in ALWAYS}
        for domain, route in routing.domains.items()
    }
    return sign({"generation": routing.generation, "domains": domains}, key)


def from_document(document: object, key: bytes) -> Routing:
    """Raises PermissionError for a bad signature, ValueError for a document of another shape."""
    if not isinstance(document, dict):
        raise ValueError("routing: must be a JSON object")
    try:
        verify(document, key)
    except ValueError as error:
        raise PermissionError(f"routing: {error}") from None
    unknown = document.keys() - {"generation", "domains", "signature"}
    if unknown:
        raise ValueError(f"routing: unknown keys {sorted(unknown)}")
    generation, domains = document.get("generation"), document.get("domains")
    if not isinstance(generation, int) or isinstance(generation, bool) or generation < 0:
        raise ValueError("routing: generation must be a whole number, 0 or more")
    if not isinstance(domains, dict):
        raise ValueError("routing: domains must be an object of domain: route")
    return Routing(generation, {name: _route(name, value) for name, value in domains.items()})


def _route(domain: str, value: object) -> Route:
    if not isinstance(value, dict) or value.keys() - {*ROLES, "share", "rollout"}:
        raise ValueError(
            f"routing of {domain}: must hold {', '.join(ROLES)}, share and rollout only"
        )
    for role in ROLES:
        name = value.get(role)
        if name is None:
            continue
        if not isinstance(name, str) or not name.startswith(f"{domain}@"):
            raise ValueError(f"routing of {domain}: {role} {name!r} is not an adapter of {domain}")
    share = value.get("share", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"routing of {domain}: share must be a number from 0 to 1")
    rollout = value.get("rollout")
    if rollout is not None and not isinstance(rollout, str):
        raise ValueError(f"routing of {domain}: rollout must be a text")
    roles = {role: value.get(role) for role in ROLES}
    route = Route(**roles, share=float(share), rollout=rollout)
    if route.control is not None and (rollout is None or share > MAX_EQUAL):
        raise ValueError(
            f"routing of {domain}: a control is of a rollout, with at most {MAX_EQUAL:.0%} each"
        )
    if route.canary is None and share and route.control is None:
        raise ValueError(f"routing of {domain}: share is {share} but there is no canary")
    if route.canary is not None and route.canary == route.champion:
        raise ValueError(f"routing of {domain}: {route.canary} is champion and canary at once")
    return route


def rolled_back(routing: Routing, domain: str, to: str) -> Routing:
    """The next generation: the canary is dropped; `to` "previous" also goes back one champion.

    Raises ValueError when there is nothing to go back to.
    """
    route = routing.route(domain)
    if to == "champion":
        # Without a canary there is nothing to do, and saying so again is fine.
        after = Route(champion=route.champion, previous=route.previous)
    elif to == "previous":
        if route.previous is None:
            raise ValueError(f"{domain} has no previous champion to go back to")
        # The one that is left does not become `previous`: a second rollback would bring it back.
        after = Route(champion=route.previous)
    else:
        raise ValueError(f"to must be champion or previous, got {to!r}")
    return Routing(routing.generation + 1, {**routing.domains, domain: after})


def follow(route: Route, machine: Machine) -> Route:
    """The route of a domain as its rollout wants it now."""
    kept = Route(champion=route.champion, previous=route.previous)
    if machine.over and route.rollout != machine.rollout:
        return route  # it was ended by what is routed now
    state, candidate, control = machine.state, machine.candidate, machine.control
    if machine.sort == COMPARISON:
        if machine.over:
            return kept
        return replace(
            kept,
            canary=candidate,
            control=control,
            share=machine.share,
            rollout=machine.rollout,
        )
    if state == CHAMPION:
        return Route(champion=candidate, previous=control)
    if state == HOLDBACK:
        return Route(
            champion=candidate,
            previous=control,
            control=control,
            share=machine.share,
            rollout=machine.rollout,
        )
    if state == SUPERSEDED:
        return kept
    # Back from a holdback, the one that is left does not become `previous`.
    previous = machine.previous if route.champion == control else None
    if machine.over:
        return Route(champion=control, previous=previous)
    asked = Route(champion=control, previous=previous, rollout=machine.rollout)
    if machine.exposed is None:
        return replace(asked, shadow=candidate)
    return replace(asked, canary=candidate, control=control, share=machine.share)


def choose(route: Route, domain: str, conversation: str, key: bytes) -> tuple[str, str | None]:
    """Return (arm, adapter name) of a conversation; without a champion that is (base, None)."""
    if route.share:
        salt = route.rollout or route.canary
        text = f"arm\n{domain}\n{salt}\n{conversation}".encode("utf-8", "surrogatepass")
        draw = int.from_bytes(hmac.new(key, text, hashlib.sha256).digest()[:8]) / UNIT
        if draw < route.share:
            return ("canary", route.canary) if route.canary else ("treated", route.champion)
        if route.control is not None and draw >= 1 - route.share:
            return "control", route.control
    if route.champion is None:
        return "base", None
    return "champion", route.champion
