"""The FF1 of libffx against the sample vectors of NIST SP 800-38G (FF1samples.pdf)."""

import pytest
from ffx import FF1

KEYS = {
    16: "2B7E151628AED2A6ABF7158809CF4F3C",
    24: "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F",
    32: "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94",
}
TWEAK, LONG = "39383736353433323130", "3737373770717273373737"
LETTERS = "0123456789abcdefghi"


@pytest.mark.parametrize(
    ("size", "radix", "tweak", "plain", "expected"),
    [
        (16, 10, "", "0123456789", "2433477484"),
        (16, 10, TWEAK, "0123456789", "6124200773"),
        (16, 36, LONG, LETTERS, "a9tv40mll9kdu509eum"),
        (24, 10, "", "0123456789", "2830668132"),
        (24, 10, TWEAK, "0123456789", "2496655549"),
        (24, 36, LONG, LETTERS, "xbj3kv35jrawxv32ysr"),
        (32, 10, "", "0123456789", "6657667009"),
        (32, 10, TWEAK, "0123456789", "1001623463"),
        (32, 36, LONG, LETTERS, "xs8a0azh2avyalyzuwd"),
    ],
)
def test_sample(size, radix, tweak, plain, expected):
    cipher = FF1(bytes.fromhex(KEYS[size]), radix=radix)
    assert cipher.encrypt(plain, tweak=bytes.fromhex(tweak)) == expected
    assert cipher.decrypt(expected, tweak=bytes.fromhex(tweak)) == plain
