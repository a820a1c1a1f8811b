"""The rollouts of a gateway: told what happens, they decide, and the routing follows at once.

    rollouts/DOMAIN/000001.jsonl     the events of each rollout, eventlog.py; the last one counts

One thread writes events, makes them durable as a group, and only then applies them; so what was
decided or shown can be read again from the log. Nothing but this process and its disk is needed.
Users and conversations are in the log as keyed hashes.
"""

import contextlib
import hashlib
import hmac
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ft_resources.gateway.rollout.eventlog import EventLog, read_events
from ft_resources.gateway.rollout.machine import COMPARISON, ROLLOUT, Machine, replay
from ft_resources.gateway.rollout.plan import Plan
from ft_resources.gateway.rollout.reactions import reaction_score
from ft_resources.gateway.routing import CANARY_ARMS, Route

TICK_SECONDS = 0.5
MAX_GROUP = 512  # events of one fsync
MAX_WAITING = 100_000  # events; beyond that answers are no longer counted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drawn:
    """A conversation that takes part in a rollout."""

    domain: str
    rollout: str
    unit: str
    arm: str  # canary | control
    slow_seconds: float


@dataclass(frozen=True)
class _Task:
    domain: str
    event: dict[str, Any]
    rollout: str | None  # the one it is of; None: the current one
    future: "Future[dict[str, Any]] | None" = None


class Rollouts:
    """`route` reads a domain's route; `act` makes the routing follow a rollout, and is done when
    traffic does.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        domains: Iterable[str],
        route: Callable[[str], Route],
        act: Callable[[Machine], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._key, self._domains = folder, key, tuple(domains)
        self._route, self._act, self._wall = route, act, wall
        self._machines: dict[str, Machine] = {}
        self._logs: dict[str, EventLog] = {}
        self._damaged: dict[str, str] = {}
        self._unacted: set[str] = set()  # routing not written yet: a full disk
        self._lock = threading.Lock()
        self._tasks: queue.Queue[_Task | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)
        self._base, self._began = wall(), time.monotonic()
        self._ended = False
        self.lost = 0  # events that could not be written

    def start(self) -> None:
        """Read back what was running, make the routing agree with it, and go on."""
        for domain in self._domains:
            self._restore(domain)
        last = max((m.now for m in self._machines.values()), default=0.0)
        # A clock that was set back must not stop the time of a rollout.
        self._base, self._began = max(self._wall(), last), time.monotonic()
        for domain, machine in self._machines.items():
            if not machine.over and self._route(domain).rollout != machine.rollout:
                why = "the routing no longer names it"
                self._take([_Task(domain, {"kind": "stopped", "by": "gateway", "why": why}, None)])
            else:
                self._follow(domain)
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._tasks.put(None)
            self._thread.join()
        for events in self._logs.values():
            events.close()

    @property
    def problems(self) -> list[str]:
        found = [f"rollout of {domain}: {why}" for domain, why in sorted(self._damaged.items())]
        if self._ended:
            found.append("the thread of the rollouts has stopped; restart the gateway")
        return found

    def active(self, domain: str) -> Machine | None:
        machine = self._machines.get(domain)
        return None if machine is None or machine.over else machine

    def machines(self) -> list[Machine]:
        """The current or last rollout of each domain."""
        return list(self._machines.values())

    def status(self, domain: str) -> dict[str, Any]:
        """Of the current or last rollout. Raises LookupError when there was none."""
        with self._lock:
            machine = self._machines.get(domain)
            if machine is None:
                raise LookupError(f"{domain} has had no rollout")
            return machine.to_dict()

    def begin(
        self, domain: str, arm: str, route: Route, conversation: str, user: str | None
    ) -> Drawn | None:
        """A request came; None when its conversation takes no part."""
        if arm not in CANARY_ARMS or route.rollout is None:
            return None
        machine = self._machines.get(domain)
        if machine is None or machine.rollout != route.rollout:
            return None
        unit = self._hash(route.rollout, conversation)
        drawn = Drawn(domain, route.rollout, unit, CANARY_ARMS[arm], machine.plan.slow_seconds)
        if not machine.ledger.knows(unit):
            who = self._hash(route.rollout, user) if user else ""
            self._tell(drawn, {"kind": "begun", "unit": unit, "user": who, "arm": drawn.arm})
        return drawn

    def answered(self, drawn: Drawn, answer: str, bad: Sequence[str]) -> None:
        """An answer was written, or, without an id, failed."""
        event = {"kind": "answered", "unit": drawn.unit, "answer": answer, "arm": drawn.arm}
        self._tell(drawn, {**event, "bad": list(bad)})

    def mirrored(self, domain: str, rollout: str, bad: Sequence[str]) -> None:
        self._put(_Task(domain, {"kind": "mirrored", "bad": list(bad)}, rollout))

    def reacted(self, row: dict[str, Any]) -> "Future[dict[str, Any]] | None":
        """Feedback on an answer, as its row is now; done when it is durable. None: no part in it.

        Told again, also after a crash between the landing zone and here, it changes nothing.
        """
        machine = self.active(row["domain"])
        if machine is None or row["model_version"] not in (machine.candidate, machine.control):
            return None
        event = {"kind": "reacted", "answer": row["event_id"], "score": reaction_score(row)}
        future: Future[dict[str, Any]] = Future()
        future.set_running_or_notify_cancel()
        self._put(_Task(row["domain"], event, machine.rollout, future))
        return future

    def begin_rollout(self, domain: str, candidate: str, plan: Plan) -> dict[str, Any]:
        """Send a candidate against the champion. The same one again is no other rollout; another
        one supersedes what runs. Raises ValueError without a champion.
        """
        champion = self._route(domain).champion
        if champion is None:
            raise ValueError(
                f"{domain} has no champion to compare with; its first one is promoted by replay"
            )
        if candidate == champion:
            raise ValueError(f"{candidate} is the champion of {domain} already")
        return self._open(domain, ROLLOUT, candidate, champion, plan)

    def compare(self, domain: str, first: str, second: str, plan: Plan) -> dict[str, Any]:
        """Two adapters of a domain side by side; routing returns to the champion afterwards."""
        if first == second:
            raise ValueError("a comparison needs two different adapters")
        machine = self.active(domain)
        if machine is not None and machine.sort == ROLLOUT:
            raise ValueError(f"a rollout of {machine.candidate} runs in {domain}; wait or stop it")
        return self._open(domain, COMPARISON, first, second, plan)

    def approve(self, domain: str, by: str) -> dict[str, Any]:
        """Raises ValueError when nothing waits for a person."""
        machine = self.active(domain)
        if machine is None or not machine.may_approve():
            state = "no rollout runs" if machine is None else f"its rollout is {machine.state}"
            raise ValueError(f"nothing of {domain} waits for an approval: {state}")
        return self._ask(domain, {"kind": "approved", "by": by})

    def abort(self, domain: str, by: str, why: str) -> dict[str, Any]:
        """Raises ValueError when no rollout runs."""
        if self.active(domain) is None:
            raise ValueError(f"no rollout runs in {domain}")
        return self._ask(domain, {"kind": "stopped", "by": by, "why": why})

    def _open(
        self, domain: str, sort: str, candidate: str, control: str, plan: Plan
    ) -> dict[str, Any]:
        running = self.active(domain)
        if running is not None and (running.candidate, running.sort) == (candidate, sort):
            return self.status(domain)
        started = {
            "kind": "started",
            "domain": domain,
            "sort": sort,
            "candidate": candidate,
            "control": control,
            "previous": self._route(domain).previous,
            "plan": plan.to_dict(),
        }
        return self._ask(domain, started)

    def _ask(self, domain: str, event: dict[str, Any]) -> dict[str, Any]:
        future: Future[dict[str, Any]] = Future()
        future.set_running_or_notify_cancel()
        self._put(_Task(domain, event, None, future))
        return future.result()

    def _tell(self, drawn: Drawn, event: dict[str, Any]) -> None:
        self._put(_Task(drawn.domain, event, drawn.rollout))

    def _put(self, task: _Task) -> None:
        try:
            if self._ended:
                raise queue.Full
            self._tasks.put_nowait(task)
        except queue.Full:
            self.lost += 1
            if task.future is not None:
                task.future.set_exception(OSError("too many events wait, or the thread has ended"))

    def _hash(self, rollout: str, text: str) -> str:
        data = f"{rollout}\n{text}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:20]

    def _now(self) -> float:
        return self._base + time.monotonic() - self._began

    def _run(self) -> None:
        tasks: list[_Task | None] = []
        try:
            while None not in tasks:
                tasks.clear()
                with contextlib.suppress(queue.Empty):
                    tasks.append(self._tasks.get(timeout=TICK_SECONDS))
                    while len(tasks) < MAX_GROUP:
                        tasks.append(self._tasks.get_nowait())
                self._take([task for task in tasks if task is not None])
                self._tick()
        finally:
            # Reached with work left only when the thread dies: nobody may wait for ever.
            self._ended = True
            with contextlib.suppress(queue.Empty):
                while True:
                    tasks.append(self._tasks.get_nowait())
            for task in tasks:
                if task is not None and task.future is not None and not task.future.done():
                    task.future.set_exception(OSError("the thread of the rollouts has ended"))

    def _tick(self) -> None:
        now = self._now()
        due = [d for d, m in self._machines.items() if not m.over and m.due(now)]
        self._take([_Task(domain, {"kind": "tick"}, None) for domain in due])
        for domain in list(self._unacted):
            self._follow(domain)

    def _take(self, tasks: Sequence[_Task]) -> None:
        """Write, sync, apply, in this order."""
        written: list[_Task] = []
        for task in tasks:
            machine = self._machines.get(task.domain)
            if task.rollout is not None and (machine is None or machine.rollout != task.rollout):
                if task.future is not None:  # of a rollout that is over: nothing to count
                    task.future.set_result({})
                continue
            task.event["t"] = round(self._now(), 3)
            try:
                if task.event["kind"] == "started":
                    self._sync()
                    self._apply(written)
                    written = []
                    self._begin(task)
                else:
                    self._logs[task.domain].append(task.event)
            except OSError as error:
                log.error("rollout event not written: %s", type(error).__name__)
                self.lost += 1
                if task.event["kind"] == "stopped":  # a full disk must not keep a bad canary
                    written.append(task)
                elif task.future is not None:
                    task.future.set_exception(error)
                continue
            written.append(task)
        self._sync()
        self._apply(written)

    def _begin(self, task: _Task) -> None:
        domain = task.domain
        if self.active(domain) is not None:
            ended = {"kind": "superseded", "by": task.event["candidate"], "t": task.event["t"]}
            self._logs[domain].append(ended)
            self._logs[domain].sync()
            with self._lock:
                self._machines[domain].apply(ended)
        number = len(list((self._folder / domain).glob("*.jsonl*"))) + 1
        task.event["rollout"] = f"{domain}-{number}"
        events = EventLog(self._folder / domain / f"{number:06d}.jsonl")
        events.append(task.event)
        if domain in self._logs:
            self._logs[domain].close()
        self._logs[domain] = events

    def _sync(self) -> None:
        for domain, events in self._logs.items():
            try:
                events.sync()
            except OSError as error:
                self._damaged[domain] = f"events are not durable ({type(error).__name__})"

    def _apply(self, tasks: Sequence[_Task]) -> None:
        for task in tasks:
            with self._lock:
                if task.event["kind"] == "started":
                    self._machines[task.domain] = Machine(task.event)
                    before = None
                else:
                    machine = self._machines[task.domain]
                    before = machine.state, machine.share
                    machine.apply(task.event)
                machine = self._machines[task.domain]
                told = machine.to_dict() if task.future is not None else {}
            if before != (machine.state, machine.share):
                self._follow(task.domain)
            if task.future is not None:
                task.future.set_result(told)

    def _follow(self, domain: str) -> None:
        machine = self._machines[domain]
        try:
            self._act(machine)
        except OSError as error:
            self._unacted.add(domain)
            log.error("routing not written: %s", type(error).__name__)
        else:
            self._unacted.discard(domain)
            log.info(
                "rollout",
                extra={"rollout": machine.rollout, "state": machine.state, "share": machine.share},
            )

    def _restore(self, domain: str) -> None:
        files = sorted((self._folder / domain).glob("*.jsonl"))
        while files:
            file = files.pop()
            try:
                events = read_events(file, repair=True)
                if not events:
                    file.rename(file.with_name(f"{file.name}.empty"))  # never acknowledged
                    continue
                self._machines[domain] = replay(events)
                self._logs[domain] = EventLog(file)
            except (ValueError, KeyError, TypeError) as error:
                file.rename(file.with_name(f"{file.name}.damaged"))
                self._damaged[domain] = f"its log was not readable, it was stopped ({error})"
                log.error("rollout log damaged", extra={"domain": domain})
            return


def last_rollout(folder: Path, domain: str) -> Machine | None:
    """The current or last rollout as the disk has it, beside a gateway that runs or does not."""
    files = sorted((folder / "rollouts" / domain).glob("*.jsonl"))
    events = read_events(files[-1]) if files else []
    return replay(events) if events else None
