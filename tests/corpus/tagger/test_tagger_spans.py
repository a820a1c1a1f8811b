"""What is made of the network's opinions; the network here knows a few words by heart."""

import numpy as np
import pytest

from ft_assets.corpus.detect import Span, find
from ft_assets.corpus.tagger.labels import LABELS, NUMBER
from ft_assets.corpus.tagger.network import DILATIONS, Network
from ft_assets.corpus.tagger.tag import Tagger, apart_from
from ft_assets.corpus.tagger.tokens import ROWS, features

STRENGTH = 40.0


def knowing(words, lower_case=0.0):
    """A tagger whose network gives each of these words one label, and "O" to all others.

    `lower_case` speaks for "O" in words without capitals.
    """
    width = len(LABELS)
    table = np.zeros((ROWS, width), np.float32)
    for word, label in words.items():
        named, like = features(word)
        size = np.sqrt(len(named) + len(like))
        table[named[0], NUMBER[label]] = STRENGTH * size
        table[features(word.lower())[1][0], NUMBER["O"]] = lower_case * size
    weights = {
        "table": table,
        "glued": np.zeros(width),
        "patterns": np.zeros((width, width)),
        "output": np.eye(width),
        "output_bias": np.eye(width)[NUMBER["O"]] * 12,
    }
    for layer in range(len(DILATIONS)):
        weights |= {f"layer{layer}": np.zeros((3 * width, width)), f"bias{layer}": np.zeros(width)}
    return Tagger(Network(weights), threshold=0.5)


TAGGER = knowing(
    {
        "Ingrid": "PERSON",
        "Lind": "PERSON",
        "Rome": "LOCATION",
        "Will": "PERSON",
        "rock": "USERNAME",
        "Thanks": "USERNAME",
        "ab": "USERNAME",
        "404": "SSN",
        "12": "DATE",
        "s": "STREET_ADDRESS",
        ",": "PERSON",
    }
)


def words(document):
    found = TAGGER.find_in([document], [[find(text) for text in document]])[0]
    return [
        [(text[span.start : span.end], span.type) for span in spans]
        for text, spans in zip(document, found, strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from Ingrid Lind to Rome", [("Ingrid Lind", "PERSON"), ("Rome", "LOCATION")]),
        ("Ingrid\nLind", [("Ingrid", "PERSON"), ("Lind", "PERSON")]),
        ("Ingrid, Lind,", [("Ingrid, Lind", "PERSON")]),
        (", , ,", []),
        ("rock; Thanks; ab", [("rock", "USERNAME")]),
        ("404 12 it's", []),
    ],
)
def test_spans(text, found):
    assert words([text]) == [found]


def test_a_name_found_once_is_found_in_the_whole_document():
    # Of "ingrid" the network thinks that it is nothing, with probability .88.
    tagger = knowing({"Ingrid": "PERSON"}, lower_case=STRENGTH - 10)
    document = ["I am Ingrid.", "hi ingrid"]
    assert tagger.find_in([document], [[[], []]]) == [
        [[Span(5, 11, "PERSON")], [Span(3, 9, "PERSON")]]
    ]
    assert tagger.find_in([[document[1]]], [[[]]]) == [[[]]]


def test_a_word_that_the_network_is_sure_of_stays():
    tagger = knowing({"Will": "PERSON"}, lower_case=STRENGTH)
    document = ["Will wrote", "it will rain"]
    assert tagger.find_in([document], [[[], []]]) == [[[Span(0, 4, "PERSON")], []]]


def test_a_gap_of_one_token_is_closed():
    # Of "el" the network thinks that it is nothing, with probability .88.
    tagger = knowing({"Ingrid": "PERSON", "Lind": "PERSON", "el": "PERSON"}, STRENGTH - 10)
    assert tagger.find_in([["Ingrid el Lind"]], [[[]]]) == [[[Span(0, 14, "PERSON")]]]
    assert tagger.find_in([["Ingrid el"]], [[[]]]) == [[[Span(0, 6, "PERSON")]]]
    sure = knowing({"Ingrid": "PERSON", "Lind": "PERSON"}, STRENGTH)
    assert [len(spans) for spans in sure.find_in([["Ingrid and Lind"]], [[[]]])[0]] == [2]


def test_patterns_come_first():
    text = "mail Ingrid@x.com now"
    assert words([text]) == [[]]


@pytest.mark.parametrize(
    ("others", "rest"),
    [
        ([], [(0, 11)]),
        ([Span(0, 11, "ID")], []),
        ([Span(4, 7, "ID")], [(0, 3), (8, 11)]),
        ([Span(0, 3, "ID"), Span(8, 20, "ID")], [(4, 7)]),
        ([Span(20, 30, "ID")], [(0, 11)]),
    ],
)
def test_apart_from(others, rest):
    spans = apart_from("abc def ghi jkl", [Span(0, 11, "PERSON")], others)
    assert [(span.start, span.end) for span in spans] == rest


def test_figures_of_a_table_are_no_addresses():
    tagger = knowing({"Baker": "STREET_ADDRESS", "221": "STREET_ADDRESS", "250": "ZIP"})

    def found(text):
        return [text[s.start : s.end] for s in tagger.find_in([[text]], [[[]]])[0][0]]

    assert found("at 221 Baker, 250") == ["221 Baker", "250"]
    assert found("Baker | 2,221 | 4.221 | 221,250 | $ 221 | 221 %") == ["Baker"]
    assert found("221 | 221 221") == []


def test_no_answer_is_nobody():
    tagger = knowing({"N": "PERSON", "A": "PERSON", "Nan": "PERSON"})

    def found(text):
        return [text[s.start : s.end] for s in tagger.find_in([[text]], [[[]]])[0][0]]

    assert found("N/A") == found("N / A.") == []
    assert found("ask Nan now") == ["Nan"]
