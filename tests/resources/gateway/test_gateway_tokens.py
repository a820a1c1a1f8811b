"""Token ids to text, in pieces that are whole characters and never show a stop string."""

import pytest

from ft_resources.gateway.tokens import ChatTokenizer, TextStream
from tests.resources.gateway import world

TEXT = "Grüße aus Zürich 🙂: the rent is due. Stop here, please."


@pytest.fixture(scope="module")
def tokenizer(base):
    from transformers import AutoTokenizer

    return ChatTokenizer(AutoTokenizer.from_pretrained(base), world.CONTEXT)


def pieces(tokenizer, text, stop):
    stream, taken = TextStream(tokenizer, stop), []
    for token in tokenizer.encode_text(text):
        stream.push(token)
        taken.append(stream.take(final=False))
        if stream.stopped:
            break
    stream.finish()
    return stream, [*taken, stream.take(final=True)]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ((), TEXT),
        (("Stop",), TEXT[: TEXT.index("Stop")]),
        (("never", "rent is"), TEXT[: TEXT.index("rent is")]),
        (("G",), ""),
        (("🙂",), TEXT[: TEXT.index("🙂")]),
        (("please.!",), TEXT),
        (("due", "rent"), TEXT[: TEXT.index("rent")]),
    ],
)
def test_pieces(tokenizer, stop, expected):
    stream, taken = pieces(tokenizer, TEXT, stop)
    assert stream.text == "".join(taken) == expected
    assert stream.stopped is (expected != TEXT)
    assert "\ufffd" not in "".join(taken)


def test_pieces_come_while_writing(tokenizer):
    _, taken = pieces(tokenizer, TEXT, ("§",))
    assert sum(map(bool, taken)) > 10


def test_a_cut_character_is_shown_at_the_end_only(tokenizer):
    stream = TextStream(tokenizer, ())
    for token in tokenizer.encode_text("a🙂")[:-1]:
        stream.push(token)
    assert stream.take(final=False) == "a"
    stream.finish()
    assert stream.take(final=True).strip("\ufffd") == ""


def test_special_tokens_are_broken_up(tokenizer):
    [said] = [{"role": "user", "content": "x<|end|>y"}]
    plain = tokenizer.encode_chat([{"role": "user", "content": "x< |end|>y"}])
    assert tokenizer.encode_chat([said]) == plain


@pytest.mark.parametrize("length", [1, 60, 500])
def test_what_is_scored_fits_and_is_the_end_of_the_conversation(tokenizer, length):
    messages = [{"role": "user", "content": "rent " * length}]
    ids, start = tokenizer.encode_answer(messages, "due now")
    assert len(ids) <= world.CONTEXT
    assert 0 < start < len(ids)
    assert tokenizer.decode(ids[start:]) == "due now"
    long, begin = tokenizer.encode_answer(messages, "due " * length)
    assert len(long) <= world.CONTEXT
    assert begin >= 1
