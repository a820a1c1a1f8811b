"""Cut a document into passages that end where a paragraph or a sentence ends.

A passage is never longer than the limit; a sentence longer than it is cut between words, a word
longer than it (a base64 blob, a text without spaces) anywhere. Nothing but white space between
passages is lost.
"""

import re
from collections.abc import Iterator

PASSAGE_CHARS = 1500  # about 300-400 tokens, so that a passage fits one training window

_PARAGRAPH_END = re.compile(r"(?<=\n)\s*\n+|\n\s*\n+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_SPACE = re.compile(r"\s+")
# The last three characters above: full stop, ! and ? of Chinese and Japanese.
# From the coarsest border to the finest, with what joins the pieces again.
_BORDERS = ((_PARAGRAPH_END, "\n\n"), (_SENTENCE_END, " "), (_SPACE, " "))


def passages(text: str, limit: int = PASSAGE_CHARS) -> list[str]:
    """Return the passages in order; [""] for a blank text, so that every document is counted."""
    if limit < 1:
        raise ValueError(f"limit must be 1 character or more, got {limit}")
    return list(_cut(text.strip(), limit, 0)) or [""]


def _cut(text: str, limit: int, level: int) -> Iterator[str]:
    if not text:
        return
    if len(text) <= limit:
        yield text
        return
    if level == len(_BORDERS):
        yield from (text[i : i + limit] for i in range(0, len(text), limit))
        return
    border, glue = _BORDERS[level]
    current = ""
    for piece in filter(None, (part.strip() for part in border.split(text))):
        joined = f"{current}{glue}{piece}" if current else piece
        if len(joined) <= limit:
            current = joined
            continue
        if current:
            yield current
        *whole, current = _cut(piece, limit, level + 1)
        yield from whole
    if current:
        yield current
