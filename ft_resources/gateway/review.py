"""What people decide about answers: the queue of each domain, and the decisions on it.

The pipeline hands over the queue of a domain, anonymized, whenever it has made one; it stays here,
so reviewing needs neither Dagster nor lakeFS. A decision is a line of the corrections feed in the
landing zone, on the disk before it is acknowledged. What a person typed stands there and nowhere
else; beside it a log tells who decided what and when, without text.
With two reviewers an item is closed when two gave the same verdict; until then their lines are
`pending`, and at the end each line is written again with its last status.
"""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ft_resources.agreement import Agreement, Decision, agreements
from ft_resources.gateway.durable import read_json, sync_folder, write_json

VERDICTS = ("approve", "reject", "correct")
MAX_REVIEWERS = 2


@dataclass(frozen=True)
class Shown:
    """An answer beside the others."""

    label: str
    text: str


@dataclass(frozen=True)
class Item:
    item_id: str
    prompt: str
    answers: tuple[Shown, ...]
    reasons: tuple[str, ...]
    event_id: str | None = None
    model_version: str | None = None
    week: str | None = None


@dataclass(frozen=True)
class Decided:
    """One reviewer's decision on one item, without its text."""

    domain: str
    item: str
    reviewer: str
    verdict: str
    answer: int
    correction_id: str
    ts: str

    @property
    def voice(self) -> tuple[str, int]:
        """What two reviewers must have in common: which answer was approved is part of it."""
        return self.verdict, self.answer if self.verdict == "approve" else 0


class Reviews:
    def __init__(self, root: Path, landing: Path, domains: Iterable[str]) -> None:
        self._root, self._landing, self._domains = root / "review", landing, tuple(domains)
        self._lock = threading.Lock()
        self._items: dict[str, dict[str, Item]] = {domain: {} for domain in self._domains}
        self._needed: dict[str, int] = dict.fromkeys(self._domains, 1)
        self._decided: dict[tuple[str, str], dict[str, Decided]] = {}  # (domain, item): by reviewer
        self._closed: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Read the state back. Raises ValueError for a queue file that is not ours."""
        self._root.mkdir(parents=True, exist_ok=True)
        for domain in self._domains:
            if (state := read_json(self._queue_file(domain))) is not None:
                self._items[domain] = {i.item_id: i for i in map(_item, state["items"])}
                self._needed[domain] = state["reviewers"]
        with contextlib.suppress(FileNotFoundError):
            for line in self._log.read_bytes().splitlines():
                # The last line may be cut short; it was not acknowledged then.
                with contextlib.suppress(ValueError, TypeError):
                    self._remember(json.loads(line))

    def put(self, domain: str, items: Sequence[Item], reviewers: int) -> int:
        """Replace the queue of a domain; return how many items are still to be decided."""
        with self._lock:
            state = {"reviewers": reviewers, "items": [asdict(item) for item in items]}
            write_json(self._queue_file(domain), state)
            self._items[domain] = {item.item_id: item for item in items}
            self._needed[domain] = reviewers
            return sum((domain, item.item_id) not in self._closed for item in items)

    def reviewers(self, domain: str) -> int:
        return self._needed[domain]

    def waiting(self, domain: str, reviewer: str) -> list[Item]:
        """What this reviewer has not decided yet, in the order of the queue."""
        with self._lock:
            return [
                item
                for key, item in self._items[domain].items()
                if (domain, key) not in self._closed
                and reviewer not in self._decided.get((domain, key), {})
            ]

    def agreement(self, domain: str) -> list[Agreement]:
        with self._lock:
            return agreements(
                Decision(one.item, one.reviewer, one.verdict)
                for (of, _), by_reviewer in self._decided.items()
                if of == domain
                for one in by_reviewer.values()
            )

    def decide(
        self,
        domain: str,
        item_id: str,
        reviewer: str,
        verdict: str,
        answer: int,
        text: str,
        ts: str,
    ) -> bool:
        """Write a decision down; True when it closes the item.

        The same decision again changes nothing; another one of the same reviewer takes its place
        while the item is open. Raises LookupError for an item that is not in the queue, IndexError
        for an answer that it has not, FileExistsError when it is closed, OSError when the decision
        could not be written.
        """
        with self._lock:
            item, place = self._items[domain].get(item_id), (domain, item_id)
            if item is None:
                raise LookupError("this item is not in the queue any more; load the page again")
            shown = item.answers[answer]
            correction = _correction_id(place, reviewer, verdict, answer, text)
            before = self._decided.get(place, {}).get(reviewer)
            if before is not None and before.correction_id == correction:
                return place in self._closed
            if place in self._closed:
                raise FileExistsError("this item was decided already")
            made = Decided(domain, item_id, reviewer, verdict, answer, correction, ts)
            row = {
                "correction_id": correction,
                "ts": ts,
                "domain": domain,
                "event_id": item.event_id,
                "reviewer_id": reviewer,
                "prompt": item.prompt,
                "original_response": shown.text,
                "corrected_response": text if verdict == "correct" else shown.text,
                "reason": ", ".join(item.reasons) or None,
                "status": "pending",
                "origin": f"review:{verdict}",
                "source": f"review:{item_id}",
            }
            standing = [one for one in self._decided.get(place, {}).values() if one != before]
            agreeing = [one for one in standing if one.voice == made.voice]
            closes = len(agreeing) + 1 >= self._needed[domain]
            earlier = {one.correction_id for one in standing if closes}
            rows = [
                *self._read(domain, earlier | ({before.correction_id} if before else set())),
                row,
            ]
            held = {one.correction_id for one in (*agreeing, made)}
            for one in rows:
                if closes and one["correction_id"] in held:
                    one["status"] = "rejected" if verdict == "reject" else "approved"
                elif one is not row:
                    one["status"] = "rejected"
                one["ts"] = ts
            self._append(self._feed(domain, ts), rows)
            self._append(self._log, [{**asdict(made), "closes": closes}])
            self._decided.setdefault(place, {})[reviewer] = made
            if closes:
                self._closed.add(place)
            return closes

    def _remember(self, line: dict[str, Any]) -> None:
        closes = line.pop("closes")
        made = Decided(**line)
        self._decided.setdefault((made.domain, made.item), {})[made.reviewer] = made
        if closes:
            self._closed.add((made.domain, made.item))

    def _read(self, domain: str, wanted: set[str]) -> list[dict[str, Any]]:
        """The last line of each of these corrections; one that was moved away is left as it is."""
        found: dict[str, dict[str, Any]] = {}
        files = (
            sorted((self._landing / domain).glob("corrections-review-*.jsonl")) if wanted else []
        )
        for file in files:
            for line in file.read_bytes().splitlines():
                with contextlib.suppress(ValueError):
                    row = json.loads(line)
                    if row.get("correction_id") in wanted:
                        found[row["correction_id"]] = row
        return list(found.values())

    @property
    def _log(self) -> Path:
        return self._root / "decisions.jsonl"

    def _queue_file(self, domain: str) -> Path:
        return self._root / f"queue-{domain}.json"

    def _feed(self, domain: str, ts: str) -> Path:
        return self._landing / domain / f"corrections-review-{ts[:10]}.jsonl"

    def _append(self, file: Path, rows: Sequence[dict[str, Any]]) -> None:
        """Lines, on the disk when this returns; a half line of an earlier crash is closed first."""
        new = not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(
            json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in rows
        )
        with file.open("ab+", buffering=0) as out:
            size = out.seek(0, os.SEEK_END)
            if size:
                out.seek(size - 1)
            data = lines.encode() if not size or out.read(1) == b"\n" else b"\n" + lines.encode()
            try:
                written = 0
                while written < len(data):
                    written += out.write(data[written:])
                os.fsync(out.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    out.truncate(size)
                raise
        if new:
            for folder in (file.parent, file.parent.parent):
                sync_folder(folder)


def _item(state: dict[str, Any]) -> Item:
    return Item(
        item_id=state["item_id"],
        prompt=state["prompt"],
        answers=tuple(Shown(**answer) for answer in state["answers"]),
        reasons=tuple(state["reasons"]),
        event_id=state["event_id"],
        model_version=state["model_version"],
        week=state["week"],
    )


def _correction_id(
    place: tuple[str, str], reviewer: str, verdict: str, answer: int, text: str
) -> str:
    """The same decision has the same id, so that the feed counts it once."""
    parts = json.dumps([*place, reviewer, verdict, answer, text if verdict == "correct" else ""])
    return f"review-{hashlib.sha256(parts.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
