"""What becomes of the lines of a source: rows kept by id, and a count for every other line.

What the same id delivered twice means:
- logs: later feedback on the same event is merged into it, later by its feedback_seq or else by its
  line, where feedback that was there before is not news; other differences are a conflict
- documents: the higher version, then the later update, then the later line holds
- users: the later line holds, but a request for erasure is never undone, and a line that cannot be
  read suspends the user: whatever it said, nobody is trained on by mistake
- corrections: a later decision of the reviewer on the same text holds
- annotations, test cases: other content is a conflict
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ft_assets.raw.convert import as_json
from ft_assets.raw.quarantine import Problem, Quarantined, Reason, readable
from ft_assets.raw.resubmit import id_of
from ft_assets.raw.schema import (
    EARLIEST,
    Correction,
    Document,
    Interaction,
    Row,
    User,
    parse_timestamp,
)
from ft_assets.raw.sources import Line

RowDict = dict[str, Any]

# The latest that says something holds.
FEEDBACK_VALUES = ("rating", "thumb", "correction", "comment", "edit_share")
FEEDBACK_SEQUENCE = "feedback_seq"  # tells the order of changes; it is no part of the row
FEEDBACK_FLAGS = ("regenerated", "clicked", "copied", "abandoned")  # once true, true
DECISION = ("status", "reviewer_id", "reason", "severity", "ts")
REDELIVERED = "redelivered"
FEEDBACK_MERGED = "feedback_merged"
SUPERSEDED = "superseded"
RESUBMITTED = "resubmitted"  # a correction stands for this line


@dataclass
class Intake:
    """What became of the lines of some files. Weeks are "" for sources that are taken up whole."""

    rows: list[RowDict] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    lines: Counter[tuple[str, str]] = field(default_factory=Counter)  # (week, file) -> lines read
    drops: Counter[tuple[str, str]] = field(default_factory=Counter)  # (week, reason) -> lines

    @property
    def rows_in(self) -> int:
        return self.lines.total()

    @property
    def dropped(self) -> dict[str, int]:
        return _second_of(self.drops)

    def reasons(self) -> dict[str, int]:
        """Quarantined lines by reason."""
        return dict(sorted(Counter(record.reason.value for record in self.quarantined).items()))

    def files(self) -> dict[str, int]:
        """Lines read by file."""
        return _second_of(self.lines)

    def by_week(self, weeks: Iterable[str]) -> dict[str, "Intake"]:
        """One intake for each of these weeks, in their order; an empty one where nothing came."""
        parts = {week: Intake() for week in weeks}
        for row in self.rows:
            if (part := parts.get(row.get("week", ""))) is not None:
                part.rows.append(row)
        for record in self.quarantined:
            if (part := parts.get(record.week)) is not None:
                part.quarantined.append(record)
        for week, part in parts.items():
            part.lines.update({key: n for key, n in self.lines.items() if key[0] == week})
            part.drops.update({key: n for key, n in self.drops.items() if key[0] == week})
        return parts


def _second_of(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for (_, name), number in counts.items():
        totals[name] += number
    return dict(sorted(totals.items()))


@dataclass(slots=True)
class Seen:
    """A line after a look at it: a row, a problem, or neither when it was only skimmed."""

    line: Line
    week: str  # "" until known
    row_id: str = ""
    row: RowDict | None = None
    problem: Problem | None = None
    file: str = ""
    users: frozenset[str] = frozenset()  # of a problem with a line about users: whom it may name


class Taken:
    """Rows kept so far by id, and what became of every other line."""

    def __init__(self, model: type[Row], resolved: frozenset[str]) -> None:
        self.model = model
        self.resolved = resolved  # ids of records that have been corrected
        self.kept: dict[str, Seen] = {}
        self.refused: list[tuple[Seen, Problem]] = []
        self.lines: Counter[tuple[str, str]] = Counter()
        self.drops: Counter[tuple[str, str]] = Counter()
        self.feedback_told: dict[str, list[RowDict]] = {}
        self.erasures: dict[str, str] = {}

    def add(self, seen: Seen) -> None:
        self.lines[seen.week, seen.file] += 1
        if seen.problem and seen.problem.reason is Reason.UNANSWERED:
            self._drop(seen, Reason.UNANSWERED.value)
        elif seen.problem:
            if self._refuse(seen, seen.problem) and self.model is User:
                self._suspend(seen)
        elif seen.row is not None:
            if self.model is User:
                self._keep_erasure(seen.row)
            self._add_row(seen, seen.row)

    def _add_row(self, seen: Seen, new: RowDict) -> None:
        earlier = self.kept.get(seen.row_id)
        if earlier is None or earlier.row is None:
            self._keep(seen)
            return
        old = earlier.row
        if self.model is Interaction:
            self._merge_feedback(old, new, seen)
        elif old == new:
            self._drop(seen, REDELIVERED)
        elif self.model is User:
            self._replace(earlier, seen)
        elif self.model is Document:
            self._keep_newer(earlier, seen, _edition(old) > _edition(new))
        elif self.model is Correction and _without(old, DECISION) == _without(new, DECISION):
            self._keep_newer(earlier, seen, _moment(old["ts"]) > _moment(new["ts"]))
        else:
            self._conflict(seen)

    def _merge_feedback(self, old: RowDict, new: RowDict, seen: Seen) -> None:
        feedback = (*FEEDBACK_VALUES, *FEEDBACK_FLAGS, FEEDBACK_SEQUENCE)
        if _without(old, feedback) != _without(new, feedback):
            self._conflict(seen)
            return
        told = self.feedback_told.setdefault(seen.row_id, [{name: old[name] for name in feedback}])
        update = {name: new[name] for name in feedback}
        if update in told:  # a repeated older line must not undo newer feedback
            self._drop(seen, REDELIVERED)
            return
        told.append(update)
        earlier, later = (old, new)
        if new[FEEDBACK_SEQUENCE] < old[FEEDBACK_SEQUENCE]:
            earlier, later = new, old
        for name in FEEDBACK_VALUES:
            old[name] = earlier[name] if later[name] is None else later[name]
        old[FEEDBACK_SEQUENCE] = later[FEEDBACK_SEQUENCE]
        for name in FEEDBACK_FLAGS:
            old[name] = old[name] or new[name]
        self._drop(seen, FEEDBACK_MERGED)

    def _keep_erasure(self, row: RowDict) -> None:
        if row["erasure_requested_at"]:
            self.erasures.setdefault(row["user_id"], row["erasure_requested_at"])
        row["erasure_requested_at"] = self.erasures.get(row["user_id"])

    def _suspend(self, seen: Seen) -> None:
        for user in sorted(seen.users & self.kept.keys()):
            earlier = self.kept.pop(user)
            self._refuse(earlier, Problem(Reason.CONSENT_UNCLEAR, User.id_field))

    def _keep(self, seen: Seen) -> None:
        if self.model is not User:  # whose earlier line may have to be quarantined yet
            seen.line = seen.line._replace(data=b"", fields=None)
        self.kept[seen.row_id] = seen

    def _keep_newer(self, earlier: Seen, seen: Seen, earlier_is_newer: bool) -> None:
        if earlier_is_newer:
            self._drop(seen, SUPERSEDED)
        else:
            self._replace(earlier, seen)

    def _replace(self, earlier: Seen, seen: Seen) -> None:
        self._drop(earlier, SUPERSEDED)
        del self.kept[seen.row_id]  # so that rows stay in the order of their lines
        self._keep(seen)

    def _conflict(self, seen: Seen) -> None:
        self._refuse(seen, Problem(Reason.CONFLICTING_ID, self.model.id_field))

    def _refuse(self, seen: Seen, problem: Problem) -> bool:
        """False when a correction stands for the line: it is dropped."""
        if self.resolved and id_of(_record(seen, problem)) in self.resolved:
            self._drop(seen, RESUBMITTED)
            return False
        self.refused.append((seen, problem))
        return True

    def _drop(self, seen: Seen, reason: str) -> None:
        self.drops[seen.week, reason] += 1

    def intake(self, weeks: frozenset[str] | None) -> Intake:
        def asked(week: str) -> bool:
            return weeks is None or week in weeks

        rows = [
            _row(seen, seen.row) for seen in self.kept.values() if seen.row and asked(seen.week)
        ]
        quarantined = [_record(seen, problem) for seen, problem in self.refused if asked(seen.week)]
        lines = Counter({key: n for key, n in self.lines.items() if asked(key[0])})
        drops = Counter({key: n for key, n in self.drops.items() if asked(key[0])})
        return Intake(rows, quarantined, lines, drops)


def _row(seen: Seen, row: RowDict) -> RowDict:
    place = {"source_file": seen.file, "source_line": seen.line.number}
    row = _without(row, (FEEDBACK_SEQUENCE,))
    return {**row, "week": seen.week, **place} if seen.week else {**row, **place}


def _record(seen: Seen, problem: Problem) -> Quarantined:
    line = seen.line
    raw = readable(line.data) if line.fields is None else as_json(line.fields)
    return Quarantined(seen.file, seen.line.number, problem.reason, problem.detail, raw, seen.week)


def _without(row: RowDict, names: tuple[str, ...]) -> RowDict:
    return {name: value for name, value in row.items() if name not in names}


def _moment(text: str | None) -> datetime:
    return parse_timestamp(text) if text else EARLIEST


def _edition(row: RowDict) -> tuple[int, datetime]:
    return row["version"], _moment(row["updated_at"])
