"""Personal data of nobody for the sample feed: valid to the last check digit, and reserved.

Addresses end in reserved example domains, phone numbers lie in ranges kept for fiction (555-01xx;
Ofcom's 7946 0xxx), cards in a test range, IP addresses in documentation networks, social security
numbers are the two void ones that were printed in advertisements. IBANs name a bank "WEST" that
does not exist.
"""

import random
from collections.abc import Callable

FIRST = (
    "Alice",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Esther",
    "Farid",
    "Greta",
    "Hassan",
    "Ines",
    "Jonas",
)
LAST = (
    "Abernathy",
    "Bellweather",
    "Castellano",
    "Drummond",
    "Eriksen",
    "Fontaine",
    "Gallagher",
    "Hoffmeister",
    "Ibarra",
    "Kowalczyk",
)
STREETS = ("Willow Lane", "Chestnut Road", "Harbour Street", "Mill Avenue", "Orchard Drive")
TOWNS = ("Springvale", "Lakemont", "Ashby Green", "Northfield")


def luhn_check_digit(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def iban(country: str, account: str) -> str:
    """With the check digits of ISO 13616 (mod 97), in groups of four."""
    as_number = "".join(str(int(sign, 36)) for sign in f"{account}{country}00")
    text = f"{country}{98 - int(as_number) % 97:02d}{account}"
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _name(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def _email(rng: random.Random) -> str:
    host = rng.choice(("example.com", "example.org", "mail.example.net"))
    return f"{rng.choice(FIRST)}.{rng.choice(LAST)}{rng.randint(1, 99)}@{host}".lower()


def _phone(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"({rng.choice(('202', '312', '415'))}) 555-01{_digits(rng, 2)}"
    return f"+44 20 7946 0{_digits(rng, 3)}"


def _card(rng: random.Random) -> str:
    digits = "400000" + _digits(rng, 9)
    digits += luhn_check_digit(digits)
    return rng.choice(("", " ", "-")).join(digits[i : i + 4] for i in range(0, 16, 4))


def _iban(rng: random.Random) -> str:
    return iban("GB", "WEST" + _digits(rng, 14))


def _ssn(rng: random.Random) -> str:
    return rng.choice(("078-05-1120", "219-09-9999"))


def _ip_address(rng: random.Random) -> str:
    network = rng.choice(("192.0.2.", "198.51.100.", "203.0.113."))
    return f"{network}{rng.randint(1, 254)}"


def _address(rng: random.Random) -> str:
    town = f"{rng.choice(TOWNS)}, OR 97{_digits(rng, 3)}"
    return f"{rng.randint(2, 240)} {rng.choice(STREETS)}, {town}"


def _birth_date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1941, 2004)
    return rng.choice((f"{month:02d}/{day:02d}/{year}", f"{year}-{month:02d}-{day:02d}"))


def _record_number(rng: random.Random) -> str:
    return f"MRN-{_digits(rng, 7)}"


def _account_number(rng: random.Random) -> str:
    return _digits(rng, 10)


# kind -> (makes a value, how somebody tells it, how an answer repeats it)
PERSONAL: dict[str, tuple[Callable[[random.Random], str], str, str]] = {
    "NAME": (_name, "My name is {value}.", "Thank you, {value}."),
    "EMAIL": (_email, "Please write to {value}.", "A copy goes to {value}."),
    "PHONE": (_phone, "You can reach me at {value}.", "We will call {value}."),
    "ADDRESS": (_address, "My address is {value}.", "We have {value} on file."),
    "DOB": (_birth_date, "Date of birth: {value}.", "Born {value}, noted."),
    "SSN": (_ssn, "My social security number is {value}.", "The number {value} is noted."),
    "CREDIT_CARD": (_card, "The card number is {value}.", "We use the card {value}."),
    "IBAN": (_iban, "My IBAN is {value}.", "The refund goes to {value}."),
    "IP_ADDRESS": (_ip_address, "I logged in from {value}.", "We saw a login from {value}."),
    "MRN": (_record_number, "The record is {value}.", "We opened {value}."),
    "ACCOUNT_NUMBER": (
        _account_number,
        "My account number is {value}.",
        "The account number {value} is right.",
    ),
}
ONLY_IN = {"MRN": {"healthcare"}, "IBAN": {"finance", "ecommerce"}, "ACCOUNT_NUMBER": {"finance"}}


def kinds_for(domain: str) -> list[str]:
    return [kind for kind in PERSONAL if domain in ONLY_IN.get(kind, {domain})]
