"""Events of a stream: what is encoded once is what would be encoded each time."""

import pytest

from ft_resources.gateway.replies import PieceEvents, Reply, event
from ft_resources.gateway.token_scores import Scored


@pytest.mark.parametrize("chat", [True, False])
def test_a_piece_is_the_event_of_its_chunk(chat):
    reply = Reply.begin('chatcmpl-"1"', 'legal@"\\', chat=chat)
    piece = PieceEvents(reply)
    for index, text in [
        (0, 'a "quoted" \\ text\n'),
        (1, ""),
        (0, "Grüße \u2028 \x00 😀"),
        (1, '""'),
    ]:
        assert piece(index, text, None) == event(reply.chunk(index, text, None))
    scores = [Scored(b"a", -0.5, ((b"a", -0.5),))]
    assert piece(0, "a", scores) == event(reply.chunk(0, "a", scores))
