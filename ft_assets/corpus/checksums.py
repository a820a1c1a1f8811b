"""Check digits of cards, accounts and national numbers: what tells an identifier from a number.

Each function takes the bare characters (no separators, upper case) and answers whether they hold.
Sources: ISO/IEC 7812 (Luhn), ISO 13616 and the SWIFT IBAN registry (lengths), ISO 7064, and the
national rules named at each function.
"""

import hashlib

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27,
    "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22,
    "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip

# First digits and lengths of issuers; a card without the word "card" beside it must fit one.
_ISSUERS = (
    (("4",), (13, 16, 19)),
    (tuple(str(n) for n in range(51, 56)), (16,)),
    (tuple(str(n) for n in range(2221, 2721)), (16,)),
    (("34", "37"), (15,)),
    (("36", "38", "39", *(str(n) for n in range(300, 306))), (14, 16)),
    (("6011", "65", *(str(n) for n in range(644, 650)), "622"), (16, 19)),
    (("35",), (16, 17, 18, 19)),  # JCB: 3528 to 3589; generators of test data take all of 35
    (("1800", "2131"), (15,)),
    (("50", "56", "57", "58", "6304", "6390", "67"), (12, 16, 18, 19)),
    (("62",), (16, 17, 18, 19)),
    # Mir, Troy, Hipercard and Elo, RuPay
    (("2200", "2201", "2202", "2203", "2204"), (16, 17, 18, 19)),
    (("9792", "606282", "637095", "6363", "6362", "606", "607", "608", "8172"), (16,)),
)

_LENGTHS_BY_HEAD: dict[str, set[int]] = {}
for _heads, _lengths in _ISSUERS:
    for _head in _heads:
        _LENGTHS_BY_HEAD.setdefault(_head, set()).update(_lengths)

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


_DOUBLED = str.maketrans("0123456789", "0246813579")  # twice the digit, and its digits summed


def luhn(digits: str) -> bool:
    every = (digits[-1::-2] + digits[-2::-2].translate(_DOUBLED)).encode()
    return (sum(every) - 48 * len(every)) % 10 == 0  # 48: the code of "0"


def card_issuer(digits: str) -> bool:
    """Whether first digits and length are those of a card brand."""
    length = len(digits)
    return any(length in _LENGTHS_BY_HEAD.get(digits[:size], ()) for size in range(1, 7))


_LETTER_NUMBERS = {ord(char): str(int(char, 36)) for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def iban(value: str) -> bool:
    return len(value) == IBAN_LENGTHS.get(value[:2]) and mod_97(value)


def mod_97(value: str) -> bool:
    """The check digits of an IBAN of any length, ISO 7064 MOD 97-10."""
    return int((value[4:] + value[:4]).translate(_LETTER_NUMBERS)) % 97 == 1


def spanish_dni(value: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23 (Real Decreto 1553/2005)."""
    number = value[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and _DNI_LETTERS[int(number) % 23] == value[-1]


def french_nir(value: str) -> bool:
    """Thirteen characters and a key: 97 minus the number modulo 97; 2A and 2B are Corsica."""
    body = value[:13].replace("2A", "19").replace("2B", "18")
    return body.isdigit() and value[13:].isdigit() and 97 - int(body) % 97 == int(value[13:])


def german_tax_id(value: str) -> bool:
    """Eleven digits, ISO 7064 MOD 11,10; one digit of the first ten occurs two or three times."""
    if value[0] == "0" or len(set(value[:10])) not in (8, 9):
        return False
    return _mod_11_10(value)


def german_social_security(value: str) -> bool:
    """Rentenversicherungsnummer: area, birthday, letter, serial and a weighted cross sum."""
    digits = value[:8] + f"{ord(value[8]) - 64:02d}" + value[9:11]
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    total = sum(sum(map(int, str(int(d) * w))) for d, w in zip(digits, weights, strict=True))
    return total % 10 == int(value[11])


def italian_tax_code(value: str) -> bool:
    """Codice fiscale: the last letter from odd and even places (DM 23/12/1976)."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
           23)  # fmt: skip
    total = 0
    for place, char in enumerate(value[:15]):
        number = int(char) if char.isdigit() else ord(char) - 65
        total += number if place % 2 else odd[number]
    return total % 26 == ord(value[15]) - 65


def polish_pesel(value: str) -> bool:
    return _weighted(value[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), 10) == (10 - int(value[10])) % 10


def belgian_number(value: str) -> bool:
    """Rijksregisternummer: 97 minus the first nine modulo 97, with a 2 before them since 2000."""
    return int(value[9:]) in (97 - int(value[:9]) % 97, 97 - int("2" + value[:9]) % 97)


def dutch_bsn(value: str) -> bool:
    return _weighted(value, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11) == 0


def ean13(value: str) -> bool:
    """Swiss AHV number among others: weights 1 and 3."""
    return _weighted(value, (1, 3) * 6 + (1,), 10) == 0


def chinese_id(value: str) -> bool:
    """Resident identity number, GB 11643: ISO 7064 MOD 11-2."""
    total = sum(int(d) * (2 ** (17 - place) % 11) for place, d in enumerate(value[:17]))
    return "10X98765432"[total % 11] == value[17]


def chilean_rut(value: str) -> bool:
    total = sum(int(d) * (2 + place % 6) for place, d in enumerate(reversed(value[:-1])))
    return "0K987654321"[total % 11] == value[-1]


def argentine_cuit(value: str) -> bool:
    check = 11 - _weighted(value[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), 11)
    return {11: 0, 10: 9}.get(check, check) == int(value[10])


def russian_snils(value: str) -> bool:
    total = sum(int(d) * (9 - place) for place, d in enumerate(value[:9]))
    return total % 101 % 100 == int(value[9:])


def singapore_nric(value: str) -> bool:
    """NRIC and FIN: weighted sum, offset and letters by the first character."""
    total = _weighted(value[1:8], (2, 7, 6, 5, 4, 3, 2), 1 << 16)
    total += {"T": 4, "G": 4, "M": 3}.get(value[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}
    return letters.get(value[0], "XWUTRQPNMLK")[total % 11] == value[8]


def vin(value: str) -> bool:
    """The ninth character (49 CFR 565.15); vehicles made for Europe need not have it."""
    values = {c: i % 9 + 1 for i, c in enumerate("ABCDEFGHI")}
    values |= {c: i + 1 for i, c in enumerate("JKLMNOPQR")} | {
        c: i + 2 for i, c in enumerate("STUVWXYZ")
    }
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(
        w * (int(c) if c.isdigit() else values[c]) for w, c in zip(weights, value, strict=True)
    )
    return "0123456789X"[total % 11] == value[8]


BITCOIN = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"


def base58(value: str, alphabet: str) -> bool:
    """A coin's address or key: the last four bytes are the head of a double SHA-256."""
    number = 0
    for char in value:
        number = number * 58 + alphabet.index(char)
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    data = bytes(len(value) - len(value.lstrip(alphabet[0]))) + data
    digest = hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()
    return len(data) > 20 and digest[:4] == data[-4:]


def nhs_number(value: str) -> bool:
    return (11 - _weighted(value[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2), 11)) % 11 == int(value[9])


def _weighted(digits: str, weights: tuple[int, ...], modulus: int) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % modulus


def _mod_11_10(digits: str) -> bool:
    product = 10
    for digit in digits[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[-1])
