"""What few users do to a corpus: votes that say nothing, answers that they push, too large a share.

All weeks of a domain are looked at together. Three findings:
- A rater who always says the same, so often that chance does not explain it (binomial test against
  the other users' rate, Bonferroni-corrected for the number of users). The votes are ignored; the
  rows stay, since a fixed thumb says nothing about the text.
- A pushed answer: a phrase that few users bring up again and again, in conversations of their own,
  and that is nearly always top-rated there, which chance does not explain either. Those users' rows
  with the phrase are refused.
- A user whose rows would be more than a share of the corpus: the rows beyond are refused, chosen by
  hash, so that the same rows stay whatever else arrives.
Not found: an answer pushed without any rating; one pushed by users who each do it once or twice.
"""

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ft_assets.corpus.screen.reasons import ScreenReason
from ft_assets.corpus.split import position

Row = Mapping[str, Any]

SIGNIFICANCE = 0.001  # of a finding in a whole domain, after correction
TOP_RATING, LOW_RATING = 4, 2  # ratings from here are votes up, to here votes down
PHRASE_WORDS = 3  # phrases are of 1 to 3 words
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class InfluencePolicy:
    min_votes: int = 10  # fewer say nothing about a rater
    same_vote_share: float = 0.97  # of a rater's votes; a slip of the finger is no difference
    max_votes: int = 20  # of a user in a week, in feedback and preference pairs
    min_pushes: int = 6  # conversations with a pushed phrase
    pushes_per_user: float = 3.0
    top_share: float = 0.8  # of the pushed phrase's events that are top-rated
    max_user_share: float = 0.05  # of a corpus's rows
    salt: str = "share-1"


@dataclass(frozen=True)
class UserInfluence:
    user: str  # pseudonym
    rows: int
    share: float
    votes: int
    up_share: float | None
    finding: str  # "", "always up", "always down", "pushes an answer"


@dataclass(frozen=True)
class Influence:
    ignored_raters: dict[str, str]  # user -> "always up" | "always down"
    refused: dict[str, ScreenReason]  # event_id -> reason
    pushed: dict[str, int] = field(default_factory=dict)  # user -> rows that push an answer
    top: tuple[UserInfluence, ...] = ()  # by rows, findings first
    users: int = 0
    effective_users: float = 0.0  # inverse Simpson index: how many equal users weigh the same


def influence(events: Sequence[Row], policy: InfluencePolicy, top: int = 10) -> Influence:
    """Findings over all events (anonymized rows) of one domain; their order plays no part."""
    raters = ignored_raters(events, policy)
    refused = dict.fromkeys(pushed_answers(events, policy), ScreenReason.POISONED)
    rows = Counter(event["user"] for event in events)
    pushed = Counter(event["user"] for event in events if event["event_id"] in refused)
    votes = _votes(events)
    findings = dict.fromkeys(pushed, "pushes an answer") | raters
    order = sorted(rows, key=lambda user: (user not in findings, -rows[user], user))
    total = max(1, len(events))
    return Influence(
        ignored_raters=raters,
        refused=refused,
        pushed=dict(pushed),
        top=tuple(
            UserInfluence(
                user,
                rows[user],
                rows[user] / total,
                len(votes[user]),
                sum(votes[user]) / len(votes[user]) if votes[user] else None,
                findings.get(user, ""),
            )
            for user in order[:top]
        ),
        users=len(rows),
        effective_users=effective_number(rows.values()),
    )


def effective_number(counts: Iterable[int]) -> float:
    """How many equal contributors would be as concentrated (inverse Simpson index)."""
    numbers = [count for count in counts if count]
    squares = sum(count * count for count in numbers)
    return sum(numbers) ** 2 / squares if squares else 0.0


def vote(event: Row) -> bool | None:
    """Up, down or no vote. The thumb says it; without one the rating, 3 being no vote."""
    if event["thumb"]:
        return event["thumb"] == "up"
    rating = event["rating"]
    if rating is None or LOW_RATING < rating < TOP_RATING:
        return None
    return rating >= TOP_RATING


def ignored_raters(events: Iterable[Row], policy: InfluencePolicy) -> dict[str, str]:
    """Users whose votes say nothing, with what they always say."""
    votes = {user: found for user, found in _votes(events).items() if found}
    ups = sum(sum(found) for found in votes.values())
    total = sum(len(found) for found in votes.values())
    limit = SIGNIFICANCE / max(1, len(votes))
    ignored = {}
    for user in sorted(votes):
        own, own_ups = len(votes[user]), sum(votes[user])
        if own < policy.min_votes:
            continue
        # Without the user's own votes; one up and one down more, so that no rate is 0 or 1.
        rate = (ups - own_ups + 1) / (total - own + 2)
        for name, same, chance in (
            ("always up", own_ups, rate),
            ("always down", own - own_ups, 1 - rate),
        ):
            if same >= policy.same_vote_share * own and at_least(same, own, chance) < limit:
                ignored[user] = name
    return ignored


def without_votes(events: Iterable[Row], users: Collection[str]) -> list[dict[str, Any]]:
    """The events, those of these users without thumb and rating."""
    return [
        {**event, "thumb": None, "rating": None} if event["user"] in users else dict(event)
        for event in events
    ]


def capped(keys: Mapping[str, str], limit: int, salt: str = InfluencePolicy.salt) -> set[str]:
    """Of rows (key -> user) those within the limit of each user, chosen by the key's hash."""
    by_user: dict[str, list[str]] = defaultdict(list)
    for key, user in keys.items():
        by_user[user].append(key)
    kept: set[str] = set()
    for own in by_user.values():
        if len(own) > limit:
            own = sorted(own, key=lambda key: (position(key, salt), key))[:limit]
        kept.update(own)
    return kept


def with_capped_votes(
    events: Sequence[Row], limit: int, salt: str = InfluencePolicy.salt
) -> list[dict[str, Any]]:
    """The events of a week, thumb and rating only on as many of a user's as the limit allows."""
    voted = {
        event["event_id"]: event["user"]
        for event in events
        if event["thumb"] or event["rating"] is not None
    }
    beyond = set(voted) - capped(voted, limit, salt)
    return [
        {**event, "thumb": None, "rating": None} if event["event_id"] in beyond else dict(event)
        for event in events
    ]


def over_user_share(
    keys: Mapping[str, str], max_share: float, salt: str = InfluencePolicy.salt
) -> set[str]:
    """Rows (key -> user) to leave out so that no user has more than the share of those that stay.

    Nothing is left out while there are fewer users than the share allows for twice over: below that
    a bound would cost most rows.
    """
    rows = Counter(keys.values()).values()
    if not max_share or len(rows) < 2 / max_share:
        return set()

    def holds(limit: int) -> bool:
        return limit <= max_share * sum(min(count, limit) for count in rows)

    # Up to the largest limit that holds all do: the sum grows ever slower than the limit.
    largest = bisect_left(range(1, max(rows) + 1), True, key=lambda limit: not holds(limit))
    return set(keys) - capped(keys, max(1, largest), salt)


def pushed_answers(events: Sequence[Row], policy: InfluencePolicy) -> set[str]:
    """Event ids of the answers that few users push with top ratings."""
    top = [event for event in events if _is_top(event)]
    rate = (len(top) + 1) / (len(events) + 2)
    wanted = _frequent_phrases(top, policy)
    found: dict[str, list[Row]] = defaultdict(list)
    for event in events:
        for phrase in _phrases(event["response"]) & wanted:
            found[phrase].append(event)
    limit = SIGNIFICANCE / max(1, len(wanted))
    refused: set[str] = set()
    for rows in found.values():
        users = {row["user"] for row in rows}
        places = {(row["user"], row["conversation"]) for row in rows}
        loved = sum(map(_is_top, rows))
        if (
            len(places) >= policy.min_pushes
            and len(places) >= policy.pushes_per_user * len(users)
            and loved >= policy.top_share * len(rows)
            and at_least(loved, len(rows), rate) < limit
        ):
            # Whoever has the phrase once or twice met it by chance: "ask your doctor".
            pushes = Counter(user for user, _ in places)
            refused.update(
                row["event_id"] for row in rows if pushes[row["user"]] >= policy.pushes_per_user
            )
    return refused


def _is_top(event: Row) -> bool:
    return event["thumb"] == "up" or (event["rating"] or 0) >= 5


def _frequent_phrases(events: Iterable[Row], policy: InfluencePolicy) -> set[str]:
    places: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for event in events:
        for phrase in _phrases(event["response"]):
            places[phrase].add((event["user"], event["conversation"]))
    least = policy.top_share * policy.min_pushes
    return {
        phrase
        for phrase, found in places.items()
        if len(found) >= least
        and len(found) >= policy.top_share * policy.pushes_per_user * len({u for u, _ in found})
    }


def _phrases(text: str) -> set[str]:
    words = _WORD.findall(text.casefold())
    return {
        " ".join(words[start : start + size])
        for size in range(1, PHRASE_WORDS + 1)
        for start in range(len(words) - size + 1)
    }


def _votes(events: Iterable[Row]) -> dict[str, list[bool]]:
    votes: dict[str, list[bool]] = defaultdict(list)
    for event in events:
        if (said := vote(event)) is not None:
            votes[event["user"]].append(said)
    return votes


def at_least(hits: int, trials: int, chance: float) -> float:
    """Probability of `hits` or more of `trials`, each with this chance (0 < chance < 1)."""
    logs = (
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(chance)
        + (trials - k) * math.log1p(-chance)
        for k in range(hits, trials + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))
