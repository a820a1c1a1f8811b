"""Many texts in one piece of memory, and the parts of it that can hold a kind of identifier.

A call of RE2 costs as much as the search of a thousand characters, so texts are searched together.
Between two of them is a gap that no pattern and no look at the words before a value can cross.

Most identifiers hold a digit, many a row of them, addresses an "@": only the text around these is
searched for them. In prose this is a quarter of it.
"""

from bisect import bisect_right
from collections.abc import Sequence

from ft_assets.corpus.linear import Pattern

# NUL is in no class that spans lines but "not a digit", which is repeated 20 times at most.
GAP = "\n" + 24 * "\0" + "\n"
_WORD = 40  # characters; a window starts between two words if there is a space so near


class Excerpt:
    """Windows of a buffer, joined: where each starts, and what its places are short of."""

    def __init__(self, data: bytes, windows: Sequence[tuple[int, int]]) -> None:
        parts, self.starts, self.shifts, length = [], [], [], 0
        for start, end in windows:
            self.starts.append(length)
            self.shifts.append(start - length)
            parts += (data[start:end], b"\0")
            length += end - start + 1
        self.data = b"".join(parts)
        self.starts.append(length)


class Buffer:
    def __init__(self, texts: Sequence[bytes]) -> None:
        gap = GAP.encode()
        self.starts, self.ends, place = [], [], len(gap)
        for text in texts:
            self.starts.append(place)
            self.ends.append(place + len(text))
            place += len(text) + len(gap)
        self.data = b"".join((gap, gap.join(texts), gap))
        self.text = self.data.decode("ascii")

    def number_of(self, place: int) -> int:
        """Of the text that holds a place."""
        return bisect_right(self.starts, place) - 1

    def holding(self, pattern: Pattern) -> list[int]:
        """The numbers of the texts that have a match."""
        found, place = [], 0
        while (place := pattern.search(self.data, place, len(self.data))[1]) >= 0:
            found.append(self.number_of(place - 1))
            place = self.ends[found[-1]]
        return found

    def whole(self, numbers: Sequence[int]) -> Excerpt:
        # With one character of the gap on either side: the line ends at which texts begin and end.
        return Excerpt(self.data, [(self.starts[n] - 1, self.ends[n] + 1) for n in numbers])

    def around(self, pattern: Pattern, before: int, after: int) -> Excerpt | None:
        """The text around each match; None: there is none."""
        windows = self._windows(pattern, before, after)
        return Excerpt(self.data, windows) if windows else None

    def _windows(self, pattern: Pattern, before: int, after: int) -> list[tuple[int, int]]:
        find, data, size, step = pattern.find, self.data, len(self.data), after // 2
        starts, ends = self.starts, self.ends
        windows: list[tuple[int, int]] = []
        place, first, reach = 0, 0, -1  # a window from `first` to `reach` is still growing
        while True:
            start, end = find(data, place, size)[0]
            if start < 0:
                break
            # A match may begin with the line end before its text.
            number = bisect_right(starts, end - 1) - 1
            opening, closing = starts[number], ends[number]
            start -= before
            if start <= opening:
                start = opening - 1
            elif before > 1:
                space = data.rfind(b" ", max(opening, start - _WORD), start)
                start = space if space >= 0 else start
            if start > reach:
                windows.append((first, reach))
                first = start
            # What is skipped here is inside the window all the same.
            reach, place = end + after, end + step
            if reach >= closing:
                reach = closing + 1
                place = closing if closing > end else end
        windows.append((first, reach))
        return windows[1:]
