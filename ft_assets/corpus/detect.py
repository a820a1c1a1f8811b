"""Find personal identifiers with a structure: a shape, a check digit, or a word that names them.

Not found here: names of persons, places and organisations in free text. Order, invoice, ticket and
tracking numbers, versions, amounts, trace ids and the clock times of log lines are no identifiers
of a person and stay; so do card and account numbers whose check digits do not hold.

A date is found where words tie it to a person (birth, admission, death ...), and everywhere in a
text that is somebody's record; the dates of a contract or an annual report stay.

Patterns run in RE2 over the shadow of the text (shadow.py), rules and checks are in rules/.
Linear time: no repetition without a bound, no backtracking outside short windows.
"""

import re
from typing import NamedTuple

import re2

from ft_assets.corpus import columns, rules
from ft_assets.corpus.rules.addresses import street_zip
from ft_assets.corpus.rules.dates import RECORD, RECORD_DATE
from ft_assets.corpus.rules.labelled import next_id
from ft_assets.corpus.rules.phones import next_phone
from ft_assets.corpus.rules.rule import Rule
from ft_assets.corpus.shadow import cast

TYPES = rules.TYPES


class Span(NamedTuple):
    start: int
    end: int
    type: str


class _Candidate(NamedTuple):
    rank: int
    start: int
    end: int
    type: str


_OPTIONS = re2.Options()
_OPTIONS.max_mem = 64 << 20  # bytes; a smaller cache of states falls back to a slow matcher
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # the shadow is ASCII

_PATTERNS = [re2.compile(rule.pattern.encode(), _OPTIONS) for rule in rules.RULES]
_RECORD_DATE_PATTERN = re2.compile(RECORD_DATE.pattern.encode(), _OPTIONS)

# Triggers, in the order of the rules, then these two.
_RECORD = len(rules.RULES)
_COLUMNS = _RECORD + 1
_TRIGGERS_PER_SET = 14  # one set of all has so many states that building them takes 10x as long


def _sets_of_triggers() -> "list[re2.Set]":
    patterns = [rule.trigger or rule.pattern for rule in rules.RULES]
    patterns += [RECORD, columns.TRIGGER]
    sets = []
    for first in range(0, len(patterns), _TRIGGERS_PER_SET):
        one = re2.Set.SearchSet(_OPTIONS)
        for pattern in patterns[first : first + _TRIGGERS_PER_SET]:
            one.Add(pattern.encode())
        one.Compile()
        sets.append(one)
    return sets


_TRIGGERS = _sets_of_triggers()


def _triggered(data: bytes) -> set[int]:
    """The rules that are worth a pass of their own."""
    return {
        number * _TRIGGERS_PER_SET + place
        for number, one in enumerate(_TRIGGERS)
        for place in one.Match(data) or ()
    }


def find(text: str, types: frozenset[str] | None = None) -> list[Span]:
    """Return spans in code points of `text`, sorted, without overlaps; never raises on any str.

    `types` limits what is returned; what another type would claim is then free for the named ones.
    """
    if types is not None and (unknown := types - TYPES):
        raise ValueError(f"unknown types {sorted(unknown)}; known are {sorted(TYPES)}")
    shadow = cast(text)
    data = shadow.data
    readable = data.decode("ascii")
    wanted = TYPES if types is None else types
    candidates: list[_Candidate] = []
    triggered = _triggered(data)
    if not triggered:
        return []
    for number, rule in enumerate(rules.RULES):
        if number in triggered and rule.type in wanted:
            candidates += _matches(rule, _PATTERNS[number], data, readable)
    if _RECORD in triggered and "DATE" in wanted:
        candidates += _matches(RECORD_DATE, _RECORD_DATE_PATTERN, data, readable)
    if "ZIP" in wanted:
        streets = [c for c in candidates if c.type == "STREET_ADDRESS"]
        found = (street_zip(readable, street.end) for street in streets)
        candidates += [_Candidate(9, *place, "ZIP") for place in found if place]
    for phone in [c for c in candidates if c.type == "PHONE"]:
        end = phone.end
        while place := next_phone(readable, end):
            candidates.append(_Candidate(9, *place, "PHONE"))
            end = place[1]
    for number in [c for c in candidates if c.type == "ID"]:
        found = number
        while place := next_id(readable, found.start, found.end):
            found = _Candidate(9, *place, "ID")
            candidates.append(found)
    if _COLUMNS in triggered:
        candidates += [
            _Candidate(6, start, end, kind)
            for start, end, kind in columns.find_in_columns(readable)
            if kind in wanted
        ]
    return [Span(*shadow.span(c.start, c.end), c.type) for c in _without_overlaps(candidates, data)]


def _matches(rule: Rule, pattern: "re2._Regexp", data: bytes, readable: str) -> list[_Candidate]:
    found = []
    place = 0  # where the search goes on: behind what was taken, so that nothing is read twice
    while match := pattern.search(data, place):
        start, end = match.span()
        place = max(end, place + 1)
        if rule.value is not None:
            inside = rule.value.groups
            value = rule.value.match(readable, *((start, end) if inside else (end,)))
            # The next word may begin where this one ended.
            place = max(start + 1, end - 1)
            if value is None:
                continue
            start, end = value.span(inside)
        hit = rule.check(readable, start, end)
        if hit:
            found.append(_Candidate(rule.rank, *hit, rule.type))
            place = max(place, end, hit[1]) if not rule.retry else hit[1]
        elif rule.retry:
            place = _next_group(readable, start, end)
    return found


_GROUP = re.compile(r"[0-9]{3,}")


def _next_group(readable: str, start: int, end: int) -> int:
    """Behind the first group of digits, at the next of three or more; the last may go on."""
    while start < end and readable[start].isalnum():
        start += 1
    group = _GROUP.search(readable, start, end)
    if group:
        return group.start()
    while end - 1 > start and readable[end - 2].isalnum():
        end -= 1
    return max(end - 1, start, 1)


def _without_overlaps(candidates: list[_Candidate], data: bytes) -> list[_Candidate]:
    """The lower rank wins, then the longer one; what it leaves of the other is kept if it tells."""
    taken = bytearray(len(data))
    kept = []
    for candidate in sorted(
        set(candidates), key=lambda c: (c.rank, c.start - c.end, c.start, c.type)
    ):
        start, end = candidate.start, candidate.end
        # Losing to an overlap must not leave the rest of a longer value in the open.
        while start < end and taken[start]:
            start += 1
        first = taken.find(1, start, end)
        end = end if first < 0 else first
        whole = (start, end) == (candidate.start, candidate.end)
        if start == end or not (whole or _tells(data[start:end])):
            continue
        taken[start:end] = b"\x01" * (end - start)
        kept.append(candidate._replace(start=start, end=end))
    return sorted(kept, key=lambda c: c.start)


def _tells(rest: bytes) -> bool:
    return sum(48 <= byte <= 57 for byte in rest) >= 4
