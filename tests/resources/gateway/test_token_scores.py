"""What a token is called, for every kind of vocabulary, and which scores go with which text."""

import pytest

from ft_resources.gateway.token_scores import (
    TokenScores,
    byte_letters,
    piece_bytes,
    text_logprobs,
    token_name,
)


@pytest.mark.parametrize(
    ("piece", "byte_level", "expected"),
    [
        ("Ġrent", True, b" rent"),
        ("Ã¼", True, "ü".encode()),
        ("Ã", True, b"\xc3"),
        ("Ċ", True, b"\n"),
        ("日", True, "日".encode()),  # added to a byte-level vocabulary as it is
        ("▁rent", False, b" rent"),
        ("<0xC3>", False, b"\xc3"),
        ("<0xC3>x", False, b"<0xC3>x"),
        ("Ġrent", False, "Ġrent".encode()),
        ("", False, b""),
    ],
)
def test_bytes_of_a_piece(piece, byte_level, expected):
    assert piece_bytes(piece, byte_letters() if byte_level else None) == expected


def test_byte_letters_spell_every_byte():
    assert sorted(byte_letters().values()) == list(range(256))


def test_names():
    assert token_name(" ü".encode()) == " ü"
    assert token_name(b"\xc3\x28") == "bytes:\\xc3\\x28"


class Letters:
    def token_bytes(self, token):
        return bytes([token])


def test_scores_go_with_their_text():
    import torch

    scores, text = TokenScores(Letters(), 2), "abc"
    for at, letter in enumerate(text):
        logits = torch.zeros(128)
        logits[ord(letter)] = 3.0
        scores.push(ord(letter), logits, at)
    first, second = scores.take("ab"), scores.take("")
    assert text_logprobs(first)["tokens"] == ["a", "b"]
    assert text_logprobs(first)["text_offset"] == [0, 1]
    assert second == ()
    assert [scored.token for scored in scores.rest()] == [b"c"]
    expected = float(torch.log_softmax(logits, -1)[ord("c")])
    assert scores.rest()[0].logprob == pytest.approx(expected)
    assert scores.rest()[0].top[0] == (b"c", pytest.approx(expected))
