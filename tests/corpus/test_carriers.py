"""Values in what carries them: logs, payloads, statements, mail, chat, notes; and look-alikes."""

from pathlib import Path

import pytest

from ft_assets.corpus.detect import find

HERE = Path(__file__).parent
CARRIERS = [
    line.replace("\\n", "\n")
    for line in (HERE / "carriers.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LOOKALIKES = (HERE / "lookalikes.txt").read_text(encoding="utf-8").splitlines()


def _open(marked: str) -> str:
    """The letters and digits of marked values that no span covers."""
    text, gold = "", []
    for char in marked:
        if char == "⟦":
            start = len(text)
        elif char == "⟧":
            gold += range(start, len(text))
        else:
            text += char
    masked = {place for span in find(text) for place in range(span.start, span.end)}
    return "".join(text[place] for place in gold if text[place].isalnum() and place not in masked)


@pytest.mark.parametrize("marked", CARRIERS)
def test_a_value_is_masked_whole_in_its_carrier(marked):
    assert _open(marked) == ""


@pytest.mark.parametrize("text", LOOKALIKES)
def test_numbers_of_things_stay(text):
    assert find(text) == []
