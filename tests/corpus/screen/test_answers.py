# ruff: noqa: E501, RUF001  (rows of tables stay on one line; curly quotes are what is tested)
import pytest

from ft_assets.corpus.screen.answers import boilerplate, is_empty, refusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "...",
        "?!",
        "N/A",
        "n/a.",
        "null",
        "NaN",
        "TBD",
        "-",
        "<PERSON_1>.",
        "<DATE_2>, <ID_1>",
    ],
)
def test_empty(text):
    assert is_empty(text)


@pytest.mark.parametrize(
    "text",
    ["No", "None.", "3", "否", "👍", "Ask <PERSON_1>", "<b>", "N/A means not applicable here."],
)
def test_not_empty(text):
    assert not is_empty(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I can't help with that.",
        "I’m sorry, but I cannot assist with this request.",
        "Hello! Unfortunately I am unable to answer that question. Is there anything else?",
        "I do not have enough information to answer this question.",
        "Sorry, something went wrong. Please try again later.",
        "As an AI language model, I cannot give medical advice.",
        "An unexpected error has occurred.",
        "Es tut mir leid, dabei kann ich Ihnen leider nicht helfen.",
        "Désolé, je ne peux pas vous aider.",
        "Lo siento, no puedo ayudar con eso.",
        "Mi dispiace, non posso rispondere a questa domanda.",
        "Desculpe, não posso ajudar com isso.",
    ],
)
def test_refusals(text):
    assert refusal(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I can't change the date, but you can cancel the order until noon in the app.",
        "You cannot help the court by answering questions that were not asked.",
        "Sorry about that. The parcel is in Lyon and arrives on Monday.",
        "If an error occurred during payment, the amount is returned within three days of the charge.",
        "None.",
        "",
    ],
)
def test_answers_that_say_something(text):
    assert refusal(text) == 0


@pytest.mark.parametrize(
    ("text", "canned"),
    [
        ("This is an automated message. Please do not reply to this e-mail.", True),
        ("I am out of the office until Monday.", True),
        ("This site uses cookies. Accept all cookies.", True),
        ("The service uses cookies to keep you signed in; they expire after a year.", False),
        (
            "Your refund of 12 pounds was sent on Monday and takes three days to arrive at your "
            "bank. Tell us if it does not. This is an automated message.",
            False,
        ),
    ],
)
def test_boilerplate(text, canned):
    assert (boilerplate(text) >= 0.5) is canned
