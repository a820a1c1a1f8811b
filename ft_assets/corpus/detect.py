"""Find personal identifiers with a structure: a shape, a check digit, or a word that names them.

Not found here: names of persons, places and organisations in free text. Order, invoice, ticket and
tracking numbers, versions, amounts, trace ids and the clock times of log lines are no identifiers
of a person and stay; so do card and account numbers whose check digits do not hold.

A date is found where words tie it to a person (birth, admission, death ...), and everywhere in a
text that is somebody's record; the dates of a contract or an annual report stay.

Patterns run in RE2 over the shadows (shadow.py) of many texts at once (buffer.py); rules and checks
are in rules/. Linear time: no repetition without a bound, no backtracking outside short windows.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

import re2

from ft_assets.corpus import columns, rules
from ft_assets.corpus.buffer import Buffer, Excerpt
from ft_assets.corpus.linear import Pattern, options
from ft_assets.corpus.rules.addresses import street_zip
from ft_assets.corpus.rules.dates import RECORD, RECORD_DATE
from ft_assets.corpus.rules.labelled import next_id
from ft_assets.corpus.rules.phones import next_phone
from ft_assets.corpus.rules.rule import Family, Found, Rule
from ft_assets.corpus.shadow import cast

TYPES = rules.TYPES

_BUFFERED = 1 << 16  # characters of texts that are searched together
_FEW = 4096  # characters, in which to ask first which rules are worth a pass of their own
_SET_SIZE = 14  # a set of all triggers has so many states that building them takes 10x as long


class Span(NamedTuple):
    start: int
    end: int
    type: str


# Sorted, the lower rank comes first, then the longer one: (rank, -length, start, end, type).
_Candidate = tuple[int, int, int, int, str]


class _Compiled:
    """A family of rules, ready to search."""

    def __init__(self, family: Family) -> None:
        self._any = Pattern(family.pattern)
        self._before, self._after = family.before, family.after
        self._rules = [(rule, Pattern(rule.pattern)) for rule in family.rules]
        self._sets = []
        for first in range(0, len(family.rules), _SET_SIZE):
            triggers = re2.Set.SearchSet(options())
            for rule in family.rules[first : first + _SET_SIZE]:
                triggers.Add((rule.trigger or rule.pattern).encode())
            triggers.Compile()
            self._sets.append(triggers)

    def excerpt(self, buffer: Buffer) -> Excerpt | None:
        return buffer.around(self._any, self._before, self._after)

    def triggered(self, data: bytes) -> list[tuple[Rule, Pattern]]:
        """The rules that may have a match."""
        if len(data) > _FEW or len(self._rules) < 4:
            return self._rules
        return [
            self._rules[number * _SET_SIZE + place]
            for number, triggers in enumerate(self._sets)
            for place in triggers.Match(data) or ()
        ]


_FAMILIES = [_Compiled(family) for family in rules.FAMILIES]
_RECORD = Pattern(RECORD)
_RECORD_DATE = Pattern(RECORD_DATE.pattern)
_COLUMNS = Pattern(columns.TRIGGER)


def find(text: str, types: frozenset[str] | None = None) -> list[Span]:
    """Return spans in code points of `text`, sorted, without overlaps; never raises on any str.

    `types` limits what is returned; what another type would claim is then free for the named ones.
    """
    return next(find_many([text], types))


def find_many(texts: Sequence[str], types: frozenset[str] | None = None) -> Iterator[list[Span]]:
    """The spans of each text, as `find` gives them, one list a text; short texts in less time."""
    if types is not None and (unknown := types - TYPES):
        raise ValueError(f"unknown types {sorted(unknown)}; known are {sorted(TYPES)}")
    wanted = TYPES if types is None else types
    return _find_in_turn(texts, wanted)


def _find_in_turn(texts: Sequence[str], wanted: frozenset[str]) -> Iterator[list[Span]]:
    first = length = 0
    for last, text in enumerate(texts):
        length += len(text)
        if length >= _BUFFERED:
            yield from _find_together(texts[first : last + 1], wanted)
            first, length = last + 1, 0
    yield from _find_together(texts[first:], wanted)


def _find_together(texts: Sequence[str], wanted: frozenset[str]) -> list[list[Span]]:
    shadows = [cast(text) for text in texts]
    buffer = Buffer([shadow.data for shadow in shadows])
    found: list[list[Span]] = [[] for _ in texts]
    candidates = _candidates(buffer, wanted)
    if not candidates:
        return found
    number, opening, closing = -1, 0, 0
    shadow = shadows[0]
    for start, end, kind in _without_overlaps(candidates, buffer.data):
        if start >= closing:
            number = buffer.number_of(start)
            opening, closing = buffer.starts[number], buffer.ends[number]
            shadow = shadows[number]
        found[number].append(Span(*shadow.span(start - opening, end - opening), kind))
    return found


def _candidates(buffer: Buffer, wanted: frozenset[str]) -> list[_Candidate]:
    found: list[_Candidate] = []
    for family in _FAMILIES:
        excerpt = family.excerpt(buffer)
        if excerpt is None:
            continue
        for rule, pattern in family.triggered(excerpt.data):
            if rule.type in wanted:
                found += _matches(rule, pattern, excerpt, buffer.text)
    if "DATE" in wanted and (records := buffer.holding(_RECORD)):
        found += _matches(RECORD_DATE, _RECORD_DATE, buffer.whole(records), buffer.text)
    found += _followers(found, buffer.text, wanted)
    for number in buffer.holding(_COLUMNS):
        opening, closing = buffer.starts[number], buffer.ends[number]
        found += [
            _candidate(6, opening + start, opening + end, kind)
            for start, end, kind in columns.find_in_columns(buffer.text[opening:closing])
            if kind in wanted
        ]
    return found


def _candidate(rank: int, start: int, end: int, kind: str) -> _Candidate:
    return rank, start - end, start, end, kind


def _followers(
    candidates: list[_Candidate], text: str, wanted: frozenset[str]
) -> Iterator[_Candidate]:
    """What stands behind another value and is known by it: the next of a list, a postcode."""
    taken = {candidate[2] for candidate in candidates}
    for _, _, start, end, kind in candidates:
        place: Found = None
        if kind == "STREET_ADDRESS" and "ZIP" in wanted and (place := street_zip(text, end)):
            yield _candidate(9, *place, "ZIP")
        while kind in ("PHONE", "ID"):
            place = next_phone(text, end) if kind == "PHONE" else next_id(text, start, end)
            # One that was found already has followers of its own.
            if place is None or place[0] in taken:
                break
            start, end = place
            taken.add(start)
            yield _candidate(9, start, end, kind)


def _matches(rule: Rule, pattern: Pattern, excerpt: Excerpt, text: str) -> list[_Candidate]:
    find, data, size, starts = pattern.find, excerpt.data, len(excerpt.data), excerpt.starts
    value, check, retry = rule.value, rule.check, rule.retry
    inside = value.groups if value else 0
    found = []
    place = 0  # where the search goes on: behind what was taken, so that nothing is read twice
    while True:
        first, last = find(data, place, size)[0]
        if first < 0:
            return found
        place = last if last > place else place + 1
        window = bisect_right(starts, last - 1) - 1
        if first < starts[window]:  # across two windows
            continue
        shift = excerpt.shifts[window]
        start, end = first + shift, last + shift
        if value is not None:
            there = value.match(text, start, end) if inside else value.match(text, end)
            # The next word may begin where this one ended.
            place = max(first + 1, last - 1)
            if there is None:
                continue
            start, end = there.span(inside)
        hit = check(text, start, end)
        if hit:
            found.append(_candidate(rule.rank, *hit, rule.type))
            place = max(hit[1] - shift, first + 1)
        elif retry:
            place = retry(text, start, end) - shift
        place = min(place, starts[window + 1])


def _without_overlaps(candidates: list[_Candidate], data: bytes) -> list[tuple[int, int, str]]:
    """Of those that overlap the best, and of the others what it leaves, if that tells."""
    kept: list[tuple[int, int, str]] = []
    together: list[_Candidate] = []
    reach = 0
    for candidate in sorted(set(candidates), key=itemgetter(2)):
        if candidate[2] >= reach and together:
            kept += _best(together, data)
            together = []
        together.append(candidate)
        reach = max(reach, candidate[3])
    return kept + _best(together, data)


def _best(candidates: list[_Candidate], data: bytes) -> list[tuple[int, int, str]]:
    """The lower rank wins, then the longer one."""
    if len(candidates) == 1:
        return [candidates[0][2:]]
    offset = candidates[0][2]
    taken = bytearray(max(candidate[3] for candidate in candidates) - offset)
    kept = []
    for _, _, first, last, kind in sorted(candidates):
        start, end = first - offset, last - offset
        # Losing to an overlap must not leave the rest of a longer value in the open.
        while start < end and taken[start]:
            start += 1
        other = taken.find(1, start, end)
        end = end if other < 0 else other
        whole = end - start == last - first
        if start == end or not (whole or _tells(data[start + offset : end + offset])):
            continue
        taken[start:end] = b"\x01" * (end - start)
        kept.append((start + offset, end + offset, kind))
    return sorted(kept)


def _tells(rest: bytes) -> bool:
    return sum(48 <= byte <= 57 for byte in rest) >= 4
