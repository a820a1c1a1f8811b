import random
import re
from collections import Counter

from ft_assets.corpus.tagger.generated.plain import _vocabulary, prose, sentences
from ft_assets.corpus.tagger.generated.texts import generate
from ft_assets.corpus.tagger.generated.values import Values, words
from ft_assets.corpus.tagger.labels import NUMBER


def test_the_same_seed_gives_the_same_texts():
    assert generate(40, 5) == generate(40, 5) != generate(40, 6)


def test_spans_lie_on_what_they_name():
    kinds = Counter()
    for text in generate(400, 1):
        assert not re.search(r"\{(person|given|family|street|city|org|phone)\}", text.text)
        last = 0
        for start, end, kind in text.spans:
            assert last <= start < end <= len(text.text)
            assert text.text[start:end].strip() == text.text[start:end]
            assert kind.startswith("_") or kind in NUMBER
            kinds[kind] += 1
            last = end
    assert {"PERSON", "STREET_ADDRESS", "LOCATION", "ORG", "USERNAME", "ID", "DATE"} <= set(kinds)


def test_some_texts_hold_nothing():
    assert any(not text.spans for text in generate(100, 2))


def test_lists_are_read_whole():
    assert "New Zealand" in words()["countries"]
    assert all(value.strip() for values in words().values() for value in values)


def test_plain_text_names_nobody_or_says_whom():
    values = Values(random.Random(1))
    assert all(not piece.type for _ in range(50) for piece in prose(values))
    named = [piece for _ in range(200) for piece in sentences(values) if piece.type]
    assert 60 < len(named) < 250


def test_a_vocabulary_knows_rare_words_and_no_names():
    words, frequencies = _vocabulary("en")
    assert {"anemia", "renal", "my", "refund"} <= set(words)
    assert not {"katherine", "smith", "giovanni"} & set(words)
    assert frequencies == sorted(frequencies)
