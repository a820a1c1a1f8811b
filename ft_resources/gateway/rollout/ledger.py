"""From answers and reactions to units: one score for each conversation, in the order they began.

A conversation is drawn once, so it counts once: its score is the mean over its answers that drew a
reaction within the window after it began, and later reactions do not count. Units leave in the
order of their beginning, whatever order reactions come in: a canary that provokes faster reactions
must not be judged by them first. A user counts in a few conversations only: after `votes` with a
reaction, or SILENT times as many in all, further ones do not count. Users without a name cannot be
told apart and are not limited.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

SILENT = 10  # conversations of a user that count, for each vote


class Unit(NamedTuple):
    """A conversation whose window is over."""

    canary: bool
    pi: float  # probability of the canary when it was drawn
    score: float  # 0 to 1; without meaning when nobody reacted
    reacted: bool
    counted: bool  # false: its user has had their share


@dataclass(eq=False, slots=True)
class _Open:
    key: Hashable
    began: float
    canary: bool
    pi: float
    user: Hashable
    answers: dict[Hashable, float | None] = field(default_factory=dict)  # id: reaction


class Ledger:
    def __init__(self, window_s: float, votes_per_user: int) -> None:
        self._window = window_s
        self._cap = votes_per_user
        self._open: deque[_Open] = deque()
        self._of_answer: dict[Hashable, _Open] = {}
        self._by_key: dict[Hashable, _Open] = {}
        self._closed_keys: set[Hashable] = set()
        self._of_user: dict[Hashable, tuple[int, int]] = {}  # conversations, votes
        self._units: list[Unit] = []
        self.late = 0  # reactions to answers whose window was over
        self.capped = 0  # conversations of users who had their votes

    def knows(self, key: Hashable) -> bool:
        return key in self._by_key or key in self._closed_keys

    def begin(self, now: float, key: Hashable, user: Hashable, canary: bool, pi: float) -> None:
        """A conversation is drawn into the test; once."""
        self.close(now)
        if key in self._by_key or key in self._closed_keys:
            return
        opened = _Open(key, now, canary, pi, user)
        self._open.append(opened)
        self._by_key[key] = opened

    def answered(self, now: float, key: Hashable, answer: Hashable) -> None:
        self.close(now)
        if (opened := self._by_key.get(key)) is not None:
            self._of_answer[answer] = opened
            opened.answers.setdefault(answer, None)

    def react(self, now: float, answer: Hashable, score: float | None) -> None:
        """The reaction to an answer as it stands now; told again it changes nothing."""
        self.close(now)
        opened = self._of_answer.get(answer)
        if opened is None:
            self.late += 1
        else:
            opened.answers[answer] = score

    def due(self, now: float) -> bool:
        return bool(self._open) and self._open[0].began + self._window <= now

    def close(self, now: float) -> None:
        """End the conversations whose window is over at `now`, oldest first."""
        while self._open and self._open[0].began + self._window <= now:
            opened = self._open.popleft()
            del self._by_key[opened.key]
            self._closed_keys.add(opened.key)
            scores = []
            for answer, score in opened.answers.items():
                del self._of_answer[answer]
                if score is not None:
                    scores.append(score)
            counted = not opened.user or self._counts(opened.user, bool(scores))
            reacted = counted and bool(scores)
            score = sum(scores) / len(scores) if reacted else 0.0
            unit = Unit(opened.canary, opened.pi, score, reacted, counted)
            self._units.append(unit)

    def take(self) -> list[Unit]:
        """The units that ended since the last call, in the order they began."""
        units, self._units = self._units, []
        return units

    def _counts(self, user: Hashable, reacted: bool) -> bool:
        seen, votes = self._of_user.get(user, (0, 0))
        if votes >= self._cap or seen >= SILENT * self._cap:
            self.capped += 1
            return False
        self._of_user[user] = seen + 1, votes + reacted
        return True
