import numpy as np
import pytest

from ft_assets.corpus.detect import find_many
from ft_assets.corpus.tagger import model_file
from ft_assets.corpus.tagger.annotated import Annotated
from ft_assets.corpus.tagger.generated.texts import generate
from ft_assets.corpus.tagger.learn import Spec, choose_threshold, find_all, learn
from ft_assets.corpus.tagger.network import Network
from ft_assets.corpus.tagger.recipe import Recipe
from ft_assets.corpus.tagger.score import DIRECT, score
from ft_assets.corpus.tagger.tag import Tagger, pattern_numbers, touching
from ft_assets.corpus.tagger.tokens import split
from ft_assets.corpus.tagger.train import Training, _Bags, _inputs, prepare

QUICK = Spec(generated=2000, epochs=6, threads=1)


@pytest.fixture(scope="module")
def learned():
    messages = []
    return learn(QUICK, messages.append), messages


@pytest.fixture(scope="module")
def tagger(learned):
    return model_file.from_bytes(learned[0])[0]


def test_the_same_spec_gives_the_same_bytes(learned):
    small = Spec(generated=120, epochs=1, threads=1)
    assert learn(small, print) == learn(small, print)
    assert learned[0] != learn(small, print)


def test_it_finds_names_it_has_not_seen(tagger):
    unseen = generate(300, 77)
    found = list(find_many([text.text for text in unseen]))
    with_tagger = score(unseen, find_all(tagger, unseen, found))["generated"]
    patterns = score(unseen, found)["generated"]
    assert with_tagger.by_type["PERSON"].recall > 0.7
    assert patterns.by_type["PERSON"].recall < 0.05
    assert with_tagger.of(DIRECT).precision > 0.8


def test_progress_and_facts_are_told(learned):
    content, messages = learned
    assert any("step" in message for message in messages)
    known = model_file.from_bytes(content)[1]
    assert known.texts == {"generated": QUICK.generated}
    assert known.scores["generated"]["direct_recall"] > 0.7


def test_running_and_learning_compute_the_same():
    """The arithmetic of network.py is that of the model that was trained."""
    import torch
    from torch.nn import functional as f

    texts = generate(30, 3)
    training = Training(Recipe(width=16), 1, print)
    training.learn(texts, 1)
    network = Network(training.weights())
    for text, found in zip(texts, find_many([t.text for t in texts]), strict=True):
        tokens = split(text.text)
        real = np.ones(len(tokens.words), bool)
        table = network.probabilities(
            tokens.words, touching(tokens), pattern_numbers(tokens, found), real
        )
        prepared = prepare([text])
        batch = np.arange(len(tokens.words))[None]
        inputs = _inputs(prepared, _Bags(prepared.tokens), batch, np.random.default_rng(0), 0.0)
        rows, begins, scale, shown, glued, patterns, real, _, _ = inputs
        logits = []
        for label in range(table.shape[1]):
            only = (
                f.one_hot(torch.tensor(label), table.shape[1])
                .bool()
                .expand(1, len(tokens.words), -1)
            )
            every = torch.ones(1, len(tokens.words), dtype=torch.bool)
            training._model.eval()
            losses = [
                training._model(
                    rows, begins, scale, shown, glued, patterns, real, only, every & (place == at)
                )
                for at in range(min(3, len(tokens.words)))
                for place in [torch.arange(len(tokens.words))[None]]
            ]
            logits.append([-loss.item() for loss in losses])
        expected = np.exp(np.array(logits).T)
        assert np.allclose(table[: len(expected)], expected, atol=1e-5)


def test_a_text_does_not_depend_on_those_beside_it(tagger):
    texts = [text.text for text in generate(60, 8)]
    none = [[[]] for _ in texts]
    together = tagger.find_in([[text] for text in texts], none)
    alone = [tagger.find_in([[text]], [[[]]])[0] for text in texts]
    assert together == alone


def test_the_threshold_holds_the_floor(tagger):
    texts = generate(200, 31)
    low, _ = choose_threshold(tagger, texts, 0.999)
    high, scores = choose_threshold(tagger, texts, 0.5)
    assert low < high
    assert scores["generated"].of(DIRECT).precision >= 0.5


def test_a_source_that_annotates_little_has_no_say(tagger):
    texts = generate(100, 31)
    silent = (1 << 20) - 2
    noise = [Annotated(text.text, (), "noise", silent) for text in texts]
    assert (
        choose_threshold(tagger, texts + noise, 0.8)[0] == choose_threshold(tagger, texts, 0.8)[0]
    )


def test_anything_can_be_tagged(tagger):
    texts = [
        "",
        " ",
        "\x00",
        "\ud800",
        "a" * 100_000,
        "1" * 5000,
        "山田太郎",
        "\u202eabc",
        "🙂" * 50,
    ]
    spans = tagger.find_in([texts], [[[] for _ in texts]])
    assert len(spans[0]) == len(texts)
    many = Tagger(tagger._network, 1.0).find_in([[" ".join(f"w{n}" for n in range(3000))]], [[[]]])
    assert all(a.end <= b.start for a, b in zip(many[0][0], many[0][0][1:], strict=False))
