"""The gateway without HTTP: base, adapters, routing, and what survives a restart.

Two locks. Loading takes minutes with a large base; routing, and with it a rollback, never waits
for it. What is routed is loaded, and what is loaded can be unloaded only while it is not routed:
both are decided under the routing lock.
Several bases can be loaded: after a change of the base, champions of the old one answer until
theirs on the new one are promoted. A base that nothing is routed to leaves at the next load.
"""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ft_resources.adapter_format import base_digest
from ft_resources.gateway.adapters import AdapterStore
from ft_resources.gateway.backend import Backend, Base
from ft_resources.gateway.chat import Refusal
from ft_resources.gateway.durable import read_json, write_json
from ft_resources.gateway.engine import Engine
from ft_resources.gateway.landing import FEEDBACK, Landing
from ft_resources.gateway.metrics import Metrics
from ft_resources.gateway.review import Reviews
from ft_resources.gateway.rollout.machine import HOLDBACK, Machine
from ft_resources.gateway.rollout.plan import Plan
from ft_resources.gateway.rollout.rollouts import Drawn, Rollouts
from ft_resources.gateway.routing import (
    Routing,
    choose,
    follow,
    from_document,
    rolled_back,
    to_document,
)
from ft_resources.gateway.stats import Counts, DomainStats

BASE = "base"  # the model name of the base without an adapter
NO_BASE = (
    "no base model is loaded; let the pipeline load one (materialize canary_release), or "
    "PUT /admin/base"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """What answers a request."""

    domain: str  # "base" when the base was asked for by name
    arm: str
    adapter: str | None
    base: Base

    @property
    def name(self) -> str:
        return self.adapter or BASE


class Gateway:
    def __init__(
        self,
        root: Path,
        landing: Path,
        domains: Sequence[str],
        signing_key: bytes,
        engine: Backend | None = None,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.domains = tuple(domains)
        self.engine: Backend = engine or Engine()
        self.landing = Landing(landing, root / "interactions.sqlite", domains)
        self.reviews = Reviews(root, landing, domains)
        self.metrics = Metrics([*domains, BASE])
        self.routing = Routing()
        self.rollouts = Rollouts(
            root / "rollouts",
            signing_key,
            domains,
            lambda domain: self.routing.route(domain),
            self._follow,
        )
        self._problems: dict[str, str] = {}  # what of the old state could not be read back, and why
        self._root = root
        self._key = signing_key
        self._store = AdapterStore(root, signing_key, domains)
        self._current: str | None = None  # digest of the base
        self._stats: dict[str, DomainStats] = {}
        self._unreached = False  # something of the old state waits for a server that was not there
        self._loading = threading.Lock()
        self._routing_lock = threading.Lock()

    def start(self) -> None:
        """Read the state back, then take requests.

        Raises ValueError for a routing document that is not ours: without it the order of
        generations is lost, and an old document could be played back.
        """
        document = read_json(self._root / "routing.json")
        if document is not None:
            try:
                self.routing = from_document(document, self._key)
            except (PermissionError, ValueError) as error:
                raise ValueError(
                    f"{self._root / 'routing.json'}: {error}; restore the file or the key, or "
                    "remove the file to start without routes"
                ) from None
        self._read_stats()
        self.landing.start()
        self.reviews.start()
        self.engine.start()
        self._restore()
        self.rollouts.start()
        self.metrics.route(self.routing)

    def stop(self, timeout_s: float) -> None:
        self.engine.stop(timeout_s)
        self.rollouts.stop()
        self.landing.stop()
        self.save_stats()

    @property
    def current_base(self) -> str | None:
        return self._current

    def target(self, model: str, conversation: str) -> Target:
        """Raises Refusal 404 for an unknown model, 503 when what should answer is not there."""
        if model == BASE:
            return Target(BASE, "base", None, self._base())
        if "@" in model:
            if model.partition("@")[0] not in self.domains or not self._has(model):
                raise _unknown(model)
            return self._adapter(model.partition("@")[0], "pinned", model)
        if model not in self.domains:
            raise _unknown(model)
        arm, name = choose(self.routing.route(model), model, conversation, self._key)
        if arm in ("canary", "control") and name is not None and not self._has(name):
            # It could not be loaded again after a restart; the champion answers for it.
            champion = self.routing.route(model).champion
            arm, name = ("champion", champion) if champion else ("base", None)
        if name is None:
            return Target(model, arm, None, self._base())
        return self._adapter(model, arm, name)

    def scored(self, model: str) -> Target:
        """The target of an exact name: an adapter or base."""
        if model != BASE and "@" not in model:
            raise _unknown(model)
        return self.target(model, "")

    def set_base(self, folder: Path, digest: str) -> None:
        """Raises FileNotFoundError or ValueError for a folder that is not this base."""
        with self._loading:
            if digest == self._current:
                return
            found = base_digest(folder)
            if found != digest:
                raise ValueError(
                    f"the base at {folder} has digest {found[:12]}, not {digest[:12]}; it was "
                    "changed, materialize base_model again"
                )
            self.engine.load_base(folder, digest).result()
            _, folders = self._store.bases()
            self._store.save_bases(digest, {**folders, digest: folder})
            self._current = digest
            self._problems.pop(f"base {digest[:12]}", None)
            self._restore_adapters()  # those that waited for this base
            self._clear()
        log.info("base loaded", extra={"base": digest[:12]})

    def incoming_folder(self) -> Path:
        """A folder to put an uploaded adapter into; the caller removes what is left of it."""
        return self._store.incoming()

    def add_adapter(self, incoming: Path, name: str) -> bool:
        """Let an adapter in; False when it is loaded already.

        Raises PermissionError (signature), ValueError (gate), FileExistsError (replayed),
        Refusal 503 without a base.
        """
        began = time.monotonic()
        with self._loading:
            manifest = self._store.manifest(incoming, name)
            if self._has(name):
                return False
            self._store.refuse_replay(manifest)
            self._base()
            base = self.engine.base(manifest["base_digest"])
            if base is None:
                raise ValueError(
                    f"manifest.json: made for base {manifest['base_digest'][:12]}, which is not "
                    f"loaded (that is {str(self._current)[:12]}); load its base first"
                )
            self._store.check(incoming, manifest, base.folder)
            place = self._store.admit(incoming, manifest)
            with ExitStack() as undo:
                undo.callback(self._store.remove, name)
                self.engine.load_adapter(name, place, base.digest).result()
                undo.pop_all()
            self._problems.pop(f"adapter {name}", None)
            self._clear()
        self.metrics.adapter_load.observe(time.monotonic() - began)
        log.info("adapter loaded", extra={"adapter": name})
        return True

    def remove_adapter(self, name: str) -> None:
        """Raises LookupError when there is none, FileExistsError while it is routed."""
        with self._loading:
            with self._routing_lock:
                # Also one that could not be loaded again after a restart.
                if name not in self._store.names():
                    raise LookupError(f"there is no adapter {name}")
                if name in self.routing.names():
                    raise FileExistsError(f"adapter {name} is routed; route its domain first")
                gone = self.engine.unload_adapter(name)
            gone.result()
            self._store.remove(name)
            self._problems.pop(f"adapter {name}", None)
        log.info("adapter unloaded", extra={"adapter": name})

    def document(self) -> dict[str, Any]:
        return to_document(self.routing, self._key)

    def set_routing(self, document: object) -> dict[str, Any]:
        """Raises PermissionError (signature), FileExistsError (generation), ValueError (names)."""
        routing = from_document(document, self._key)
        with self._routing_lock:
            if routing.generation <= self.routing.generation:
                raise FileExistsError(
                    f"routing: generation {routing.generation} is not after the current "
                    f"{self.routing.generation}; read it again and raise it by one"
                )
            for domain, route in routing.domains.items():
                if domain not in self.domains:
                    raise ValueError(
                        f"routing: domain {domain!r} is not served here; it serves "
                        f"{', '.join(self.domains)}"
                    )
                if route != self.routing.route(domain) and self.rollouts.active(domain):
                    raise ValueError(
                        f"routing of {domain}: a rollout decides it; stop that first with "
                        f"POST /admin/rollouts/{domain}/abort"
                    )
                for role, name in route.roles():
                    if not self._has(name):
                        raise ValueError(f"routing of {domain}: {role} {name} is not loaded")
            return self._act_on(routing)

    def rollback(self, domain: str, to: str) -> dict[str, Any]:
        """Raises LookupError for an unknown domain, ValueError for a wrong `to`, FileExistsError
        when there is nothing to go back to."""
        if domain not in self.domains:
            raise LookupError(f"domain {domain!r} is not served here")
        running = self.rollouts.active(domain)
        held_back = running is not None and running.state == HOLDBACK
        if running is not None and (to == "previous" or not held_back):
            self.rollouts.abort(domain, "administrator", f"rolled back to {to}")
            if held_back or to == "champion":  # the end of the rollout has done that
                self.metrics.rollbacks.labels(domain, to).inc()
                return self.document()
        with self._routing_lock:
            if to == "previous" and self.routing.route(domain).previous is None:
                raise FileExistsError(f"{domain} has no previous champion to go back to")
            document = self._act_on(rolled_back(self.routing, domain, to))
        self.metrics.rollbacks.labels(domain, to).inc()
        log.info("rolled back", extra={"domain": domain, "to": to})
        return document

    def begin_rollout(self, domain: str, candidate: str, plan: Plan) -> dict[str, Any]:
        """Raises LookupError for what is not here, ValueError without a champion."""
        self._require(domain, candidate)
        return self.rollouts.begin_rollout(domain, candidate, plan)

    def compare(self, domain: str, first: str, second: str, plan: Plan) -> dict[str, Any]:
        self._require(domain, first, second)
        return self.rollouts.compare(domain, first, second, plan)

    def _require(self, domain: str, *names: str) -> None:
        if domain not in self.domains:
            raise LookupError(f"domain {domain!r} is not served here")
        for name in names:
            if name.partition("@")[0] != domain or not self._has(name):
                raise LookupError(f"there is no adapter {name} of {domain} here; load it first")

    def draw(self, target: Target, conversation: str, user: str | None) -> Drawn | None:
        """The part that a request takes in a rollout, if any."""
        route = self.routing.route(target.domain)
        return self.rollouts.begin(target.domain, target.arm, route, conversation, user)

    def _follow(self, machine: Machine) -> None:
        """Make the routing what a rollout wants; done when the next request sees it."""
        domain = machine.domain
        with self._routing_lock:
            before = self.routing.route(domain)
            after = follow(before, machine)
            if after != before:
                domains = {**self.routing.domains, domain: after}
                routing = Routing(self.routing.generation + 1, domains)
                try:
                    self._act_on(routing)
                except OSError:
                    if after.share < before.share:  # a full disk must not keep a bad canary
                        self.routing = routing
                    raise
        self.metrics.rollout(machine)

    def counts(self, target: Target) -> Counts:
        return self._domain_stats(target.domain).counts(target.name)

    def count_feedback(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        domain = before["domain"]
        self._domain_stats(domain).feedback(before, after)
        for signal in FEEDBACK:
            if before.get(signal) != after.get(signal):
                told = f"thumb_{after['thumb']}" if signal == "thumb" else signal
                self.metrics.feedback.labels(domain, told).inc()

    def stats(self, domain: str) -> dict[str, Any]:
        if domain not in self.domains:
            raise LookupError(f"domain {domain!r} is not served here")
        roles = {name: role for role, name in self.routing.route(domain).roles()}
        stats = self._domain_stats(domain)
        arms = {
            name: {"arm": roles.get(name), **counts.to_dict()}
            for name, counts in sorted(stats.adapters.items())
        }
        return {
            "domain": domain,
            "generation": self.routing.generation,
            "since": stats.since,
            "canary": self.routing.route(domain).canary,
            "share": self.routing.route(domain).share,
            "arms": arms,
        }

    def save_stats(self) -> None:
        state = {domain: stats.to_state() for domain, stats in list(self._stats.items())}
        write_json(self._root / "stats.json", state)

    def health(self) -> dict[str, Any]:
        waiting, running = self.engine.load()
        problems = [f"{what}: {why}" for what, why in sorted(self._problems.items())]
        problems += self.rollouts.problems
        if self.landing.error:
            problems.append(f"landing zone: {self.landing.error}")
        if not self.landing.alive:
            problems.append("the writer of the landing zone has stopped; restart the gateway")
        if self.engine.problem:
            problems.append(self.engine.problem)
        missing = [name for name in sorted(self.routing.names()) if not self._has(name)]
        problems += [f"{name} is routed but not loaded" for name in missing]
        return {
            "status": "degraded" if problems else "ok",
            "base": self._current,
            "adapters": self.engine.adapters(),
            "generation": self.routing.generation,
            "queue": {"waiting": waiting, "running": running},
            "problems": problems,
        }

    def _has(self, name: str) -> bool:
        return self.engine.base_of(name) is not None

    def _base(self) -> Base:
        base = self.engine.base(self._current) if self._current else None
        if base is None:
            raise Refusal(503, NO_BASE, "no_base_model", "model")
        return base

    def _adapter(self, domain: str, arm: str, name: str) -> Target:
        digest = self.engine.base_of(name)
        base = self.engine.base(digest) if digest else None
        if base is None:
            raise Refusal(
                503,
                f"{name} is routed but could not be loaded; see /health, then load it again or "
                f"POST /admin/rollback/{domain}",
                "adapter_not_loaded",
                "model",
            )
        return Target(domain, arm, name, base)

    def _act_on(self, routing: Routing) -> dict[str, Any]:
        document = to_document(routing, self._key)
        write_json(self._root / "routing.json", document)
        self.routing = routing
        now = now_text()
        for domain, route in routing.domains.items():
            self._domain_stats(domain).routed(route, now)
        self.metrics.route(routing)
        log.info("routing changed", extra={"generation": routing.generation})
        return document

    def _domain_stats(self, domain: str) -> DomainStats:
        return self._stats.setdefault(domain, DomainStats(now_text()))

    def _read_stats(self) -> None:
        # The counts are worth keeping, not worth a failed start.
        try:
            state = read_json(self._root / "stats.json") or {}
            self._stats = {d: DomainStats.from_state(s) for d, s in state.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            self._problems["stats.json"] = "not readable; the counts begin anew"

    def restore_late(self) -> None:
        """Load what could not be loaded because its server was not there yet; else do nothing."""
        if self._unreached and self.engine.problem is None:
            with self._loading:
                self._restore()
            log.info("restored", extra={"adapters": len(self.engine.adapters())})

    def _restore(self) -> None:
        self._unreached = False
        current, folders = self._store.bases()
        for digest, folder in folders.items():
            try:
                found = base_digest(folder)
                if found != digest:
                    raise ValueError(f"{folder} has digest {found[:12]}, it was changed")
                self.engine.load_base(folder, digest).result()
            except (OSError, ValueError, RuntimeError) as error:
                self._problem(f"base {digest[:12]}", error)
            else:
                self._problems.pop(f"base {digest[:12]}", None)
        self._current = current if current and self.engine.base(current) else None
        self._restore_adapters()

    def _restore_adapters(self) -> None:
        for name in self._store.names():
            if self._has(name):
                continue
            try:
                folder = self._store.folder(name)
                manifest = self._store.manifest(folder, name)
                base = self.engine.base(manifest["base_digest"])
                if base is None:
                    raise ValueError(f"its base {manifest['base_digest'][:12]} is not loaded")
                self._store.check(folder, manifest, base.folder)
                self.engine.load_adapter(name, folder, base.digest).result()
            except (OSError, ValueError, RuntimeError, LookupError) as error:
                self._problem(f"adapter {name}", error)
            else:
                self._problems.pop(f"adapter {name}", None)

    def _problem(self, what: str, why: Exception) -> None:
        self._problems[what] = str(why)
        self._unreached |= isinstance(why, ConnectionError)
        log.error("not restored", extra={"what": what, "why": str(why)})

    def _clear(self) -> None:
        """Let go of what nothing is routed to: old adapters beyond the limit, bases not in use."""
        loaded = [name for name in self._store.names() if self._has(name)]
        stale = [n for n in loaded if self.engine.base_of(n) != self._current]
        routed = self.routing.names()
        needed = {self.engine.base_of(name) for name in routed} | {self._current}
        doomed = [n for n in stale if self.engine.base_of(n) not in needed]
        # Never the newest: it has just come in, and is routed next.
        free = [n for n in loaded[:-1] if n not in routed and n not in doomed]
        doomed += free[: max(0, len(loaded) - len(doomed) - self.engine.max_adapters)]
        for name in doomed:
            with self._routing_lock:
                if name in self.routing.names():
                    continue
                gone = self.engine.unload_adapter(name)
            gone.result()
            self._store.remove(name)
        _, folders = self._store.bases()
        used = {self.engine.base_of(name) for name in self.engine.adapters()} | {self._current}
        if folders.keys() - used:
            for digest in folders.keys() - used:
                try:
                    self.engine.unload_base(digest).result()
                except ValueError:
                    continue  # a request still runs on it; the next load tries again
                del folders[digest]
            self._store.save_bases(self._current, folders)


def now_text() -> str:
    """Now as the landing zone writes it: UTC, milliseconds, Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unknown(model: str) -> Refusal:
    shown = model if len(model) <= 80 and model.isprintable() else "of this name"
    return Refusal(
        404,
        f"the model {shown} is not known; GET /v1/models lists them",
        "model_not_found",
        "model",
    )
