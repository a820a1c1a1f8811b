import pytest

from ft_assets.corpus.screen.gibberish import gibberish
from ft_assets.corpus.screen.policy import GIBBERISH_LIMIT


@pytest.mark.parametrize(
    "text",
    [
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "hahahahahahahahahahaha",
        "asdfgh jklsdf qwertz hgfdsx wrtzpl",
        "test " * 20,
        "the bank opens at nine. " * 60,
        "哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈",
    ],
)
def test_gibberish(text):
    assert gibberish(text) >= GIBBERISH_LIMIT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Noooooooooo, my card is gone again and nobody answers the phone!",
        "| a | b |\n|---|---|\n| 1 | 2 |\n=========================",
        "HTTP 500 from nginx: MRSA, TSH, LDL, HDL, pct, wbc",
        "GATTACAGATTACA is the start of the sequence of the gene",
        "Angstschweiß und Strumpfhosen gibt es hier nicht",
        "Zażółć gęślą jaźń, źdźbło trawy",
        "昨日の夜、支払いが拒否された理由を知りたいです。",
        "fiscal\nyears\n2019\nand\n2018\n$1,234\n$5,678",
    ],
)
def test_text_of_odd_shape(text):
    assert gibberish(text) < GIBBERISH_LIMIT
