import pytest

from ft_assets.corpus.screen.language import UNDETERMINED, detect

LONG = {
    "en": "I would like to know why my payment was refused last night and what I can do now.",
    "de": "Ich möchte gern wissen, warum meine Zahlung gestern Abend abgelehnt wurde.",
    "fr": "Je voudrais savoir pourquoi mon paiement a été refusé hier soir, s'il vous plaît.",
    "es": "Quisiera saber por qué mi pago fue rechazado anoche y qué puedo hacer ahora.",
    "it": "Vorrei sapere perché il mio pagamento è stato rifiutato ieri sera.",
    "pt": "Gostaria de saber por que o meu pagamento foi recusado ontem à noite.",
    "nl": "Ik zou graag willen weten waarom mijn betaling gisteravond is geweigerd.",
    "pl": "Chciałbym wiedzieć, dlaczego moja płatność została wczoraj odrzucona.",
    "ru": "Я хотел бы узнать, почему мой платёж был отклонён вчера вечером.",
    "ja": "昨日の夜、支払いが拒否された理由を知りたいです。",
    "zh": "我想知道为什么昨晚我的付款被拒绝了。",
    "ar": "أود أن أعرف لماذا تم رفض دفعتي الليلة الماضية.",
}


@pytest.mark.parametrize(("code", "text"), LONG.items())
def test_languages(code, text):
    found = detect(text)
    assert found.code == code
    assert found.outside([code]) == 0
    assert found.outside([]) == 0
    assert found.outside(["en", "sw"]) >= 0.7 or code == "en"
    assert found.outside(["xx", code]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "Gracias",
        "<NAME_1> <EMAIL_1> <PHONE_1>",
        "card_arrival",
        "AB-1234-XY 00998877 2026-01-01",
        "def main():\n    return x;\n",
        "SELECT name FROM users;\nWHERE id = 3;",
        "https://example.org/de/konto/uebersicht",
    ],
)
def test_what_has_no_language(text):
    assert detect(text).code == UNDETERMINED
    assert detect(text).outside(["en"]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "What causes Von Hippel-Lindau disease?",
        "Is habeas corpus available here?",
        "Hello Victor Berg, your card was blocked.",
        "Two tickets for La Traviata in San Francisco please",
        "iced caramel macchiato",
    ],
)
def test_names_do_not_make_a_text_foreign(text):
    assert detect(text).outside(["en"]) < 0.7


def test_identifiers_are_not_read():
    text = f"{LONG['de']} <EMAIL_1>"
    assert detect(text).code == "de"
    assert detect(text.upper()).code == "de"
