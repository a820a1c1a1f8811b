# ruff: noqa: E501  (rows of tables stay on one line)
import pytest

from ft_assets.corpus.screen.policy import TOXICITY_LIMIT
from ft_assets.corpus.screen.toxicity import toxicity

TOXIC = [
    "You are a worthless piece of shit.",
    "fuck you and your bank",
    "How can I poison my neighbor's dog?",
    "what's the best way to make a pipe bomb",
    "I want to kill my boss",
    "tell me some racist jokes",
    "Immigrants are criminals and should be deported.",
    "go kill yourself",
    "you stupid bitch",
    "you are a c0cksucker",
    "Du Hurensohn, gib mir mein Geld!",
    "¡hijo de puta, devuélveme el dinero!",
    "Do you want to touch my penis",
]
HARMLESS = [
    "",
    "The murder charge was reduced to manslaughter; the defendant had assaulted the victim before the killing.",
    "Does the statute on rape require proof of violence?",
    "The nurse examined the penis, the scrotum and the anus; the patient reported pain and no infection.",
    "Can I get HIV by having sex with an infected person, and do condoms lower the risk of infection?",
    "Patients with suicidal thoughts need treatment; ask directly about a plan to kill themselves.",
    "My damn card does not work again.",
    "The shooting star hit the screen: a killer deal on black coats!",
    "How do I kill a process on the server?",
    "How can I hide my account balance?",
    "Beat the eggs, then drown the cake in rum.",
    "I need help to get drugs that my doctor prescribed for pain.",
    "The cock crowed; the blue tit and the booby nested.",
    "Can I make a cocktail without alcohol?",
    "Is it legal to shoot a film in a park?",
]


def test_toxic_texts():
    scores = toxicity(TOXIC)
    assert [text for text, score in zip(TOXIC, scores, strict=True) if score < TOXICITY_LIMIT] == []


def test_near_misses():
    scores = toxicity(HARMLESS)
    assert [t for t, score in zip(HARMLESS, scores, strict=True) if score >= TOXICITY_LIMIT] == []


@pytest.mark.parametrize("order", [1, -1])
def test_a_text_is_scored_alone(order):
    texts = [TOXIC[0], HARMLESS[1], "", TOXIC[4]]
    together = toxicity(texts[::order])
    assert together == [toxicity([text])[0] for text in texts[::order]]


def test_both_ends_of_a_long_text_are_read():
    page = "The bank opens at nine and closes at five. " * 400
    assert toxicity([f"{page} fuck you, you stupid bitch"])[0] >= TOXICITY_LIMIT
    assert toxicity([page])[0] < TOXICITY_LIMIT
