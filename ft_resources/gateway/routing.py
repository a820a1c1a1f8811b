"""Which adapter answers for a domain: one signed document with a growing generation number.

The document is the whole truth: the gateway needs nothing else to route or to roll back. A document
of an older generation is refused, so an old one that was signed once cannot be played back.
A conversation stays with its arm for as long as the canary is the same: the arm is a salted hash of
the conversation below the share. Another canary draws anew, so no user is always the guinea pig.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ft_resources.signing import sign, verify

ARMS = ("champion", "canary", "base", "pinned")
ROLES = ("champion", "previous", "canary")
UNIT = 2**64


@dataclass(frozen=True)
class Route:
    champion: str | None = None
    previous: str | None = None
    canary: str | None = None
    share: float = 0.0  # of the conversations that the canary answers, 0 to 1

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
    domains = {domain: asdict(route) for domain, route in routing.domains.items()}
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
    if not isinstance(value, dict) or value.keys() - {*ROLES, "share"}:
        raise ValueError(f"routing of {domain}: must hold {', '.join(ROLES)} and share only")
    for role in ROLES:
        name = value.get(role)
        if name is None:
            continue
        if not isinstance(name, str) or not name.startswith(f"{domain}@"):
            raise ValueError(f"routing of {domain}: {role} {name!r} is not an adapter of {domain}")
    share = value.get("share", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"routing of {domain}: share must be a number from 0 to 1")
    route = Route(*(value.get(role) for role in ROLES), share=float(share))
    if route.canary is None and share:
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
        after = replace(route, canary=None, share=0.0)
    elif to == "previous":
        if route.previous is None:
            raise ValueError(f"{domain} has no previous champion to go back to")
        # The one that is left does not become `previous`: a second rollback would bring it back.
        after = Route(champion=route.previous)
    else:
        raise ValueError(f"to must be champion or previous, got {to!r}")
    return Routing(routing.generation + 1, {**routing.domains, domain: after})


def choose(route: Route, domain: str, conversation: str, key: bytes) -> tuple[str, str | None]:
    """Return (arm, adapter name) of a conversation; without a champion that is (base, None)."""
    if route.canary is not None:
        text = f"arm\n{domain}\n{route.canary}\n{conversation}".encode("utf-8", "surrogatepass")
        draw = int.from_bytes(hmac.new(key, text, hashlib.sha256).digest()[:8]) / UNIT
        if draw < route.share:
            return "canary", route.canary
    if route.champion is None:
        return "base", None
    return "champion", route.champion
