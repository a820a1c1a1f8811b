"""Invented people, places and things to fill templates with.

Names, streets and towns come from the lists of Faker, by locale, so that a person of one country
lives there, most of the time. Everything is drawn from one random generator: the same seed gives
the same values.
"""

import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

# Weighted by repetition: what the domains of a platform most often meet.
LOCALES = (
    *["en_US"] * 8, *["en_GB"] * 4, "en_IE", "en_NZ", "en_IN", "en_IN", "en_NG",
    *["de_DE"] * 4, "de_AT", "de_CH", *["fr_FR"] * 4, "fr_CA", *["es_ES"] * 4, "es_MX", "es_CO",
    "es_AR", *["it_IT"] * 2, "pt_PT", *["pt_BR"] * 2, *["nl_NL"] * 2, "sv_SE", "no_NO", "da_DK",
    "fi_FI", "pl_PL", "pl_PL", "cs_CZ", "sk_SK", "hu_HU", "hr_HR", "sl_SI", "ro_RO", "et_EE",
    "lt_LT", "lv_LV", "tr_TR", "id_ID", "vi_VN", "az_AZ", "ru_RU", "uk_UA", "el_GR",
)  # fmt: skip
_ID_SHAPES = (
    *("########", "MRN######", "@@######", "###-##-####", "##########", "@#######@", "######"),
    *("## ## #####", "AC########", "#######/##", "#-####-####", "@@-#####"),
)
_EACH = 220  # values of a kind that are drawn from a locale


class Piece(NamedTuple):
    """Some text, and what it is; no type: nothing personal. "_": unclear."""

    text: str
    type: str = ""


Pieces = list[Piece]


@dataclass(frozen=True)
class Locale:
    given: list[str]
    family: list[str]
    streets: list[str]
    towns: list[str]
    zips: list[str]
    companies: list[str]
    phones: list[str]
    jobs: list[str]


@cache
def locale(name: str) -> Locale:
    from faker import Faker

    fake = Faker(name)
    fake.seed_instance(f"values-{name}")

    def draw(make: Callable[[], str], number: int = _EACH) -> list[str]:
        return [make().replace("\n", " ") for _ in range(number)]

    return Locale(
        given=draw(fake.first_name, 3 * _EACH),
        family=draw(fake.last_name, 4 * _EACH),
        streets=draw(fake.street_name),
        towns=draw(fake.city),
        zips=draw(fake.postcode, 60),
        companies=draw(fake.company),
        phones=draw(fake.phone_number),
        jobs=draw(fake.job, 60),
    )


@cache
def words() -> dict[str, list[str]]:
    """The lists of words.txt by name."""
    lists: dict[str, list[str]] = {}
    name = ""
    for line in (Path(__file__).parent / "words.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            name = line[1:-1]
        elif line and not line.startswith("#"):
            lists.setdefault(name, []).extend(line.split("|"))
    return lists


@dataclass
class Values:
    """Draws values; what belongs together (a person's mail) comes from the same person."""

    random: random.Random
    locale: Locale = field(init=False)

    def __post_init__(self) -> None:
        self.move()

    def move(self) -> None:
        """Go to another country, and forget whom we met."""
        self.locale = locale(self.random.choice(LOCALES))
        self._met = self._new_person()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, values: Sequence[str]) -> str:
        return self.random.choice(values)

    def word(self, name: str) -> str:
        """One of a list of words.txt."""
        return self.pick(words()[name])

    def _new_person(self) -> tuple[str, str]:
        # Some people live abroad.
        home = locale(self.pick(LOCALES)) if self.chance(0.25) else self.locale
        given, family = self.pick(home.given), self.pick(home.family)
        if self.chance(0.06):
            family = f"{family}{self.pick(['-', ' '])}{self.pick(home.family)}"
        if self.chance(0.04):
            given = f"{given}{self.pick(['-', ' '])}{self.pick(home.given)}"
        if self.chance(0.03):
            prefix = self.pick(
                ["van ", "de ", "von ", "O'", "Mc", "da ", "El ", "Al-", "di ", "D'"]
            )
            family = prefix + family
        return given, family

    def person(self) -> Pieces:
        """A full name, written in one of the ways in which names are."""
        self._met = given, family = self._new_person()
        initial = self.pick(string.ascii_uppercase)
        name = self.random.choices(
            [
                f"{given} {family}",
                f"{family}, {given}",
                f"{given[0]}. {family}",
                f"{given} {initial}. {family}",
                f"{given} {initial} {family}",
                f"{family} {given}",
                f"{given[0]}.{initial}. {family}",
                f"{given} {family} Jr.",
            ],
            [60, 7, 8, 9, 4, 3, 2, 1],
        )[0]
        if self.chance(0.1):
            name = name.upper()
        elif self.chance(0.03):
            name = name.lower()
        return [Piece(name, "PERSON")]

    def given(self) -> Pieces:
        known = self._met[0] if self.chance(0.4) else self.pick(self.locale.given)
        return [Piece(known, "PERSON")]

    def family(self) -> Pieces:
        known = self._met[1] if self.chance(0.4) else self.pick(self.locale.family)
        return [Piece(known, "PERSON")]

    def username(self) -> Pieces:
        given, family = (name.lower().replace(" ", "") for name in self._met)
        number = str(self.random.randrange(1, 1000))
        return [
            Piece(
                self.pick(
                    [
                        f"{given}.{family}",
                        f"{given[0]}{family}",
                        f"{family}{number}",
                        f"{given}_{family}",
                        f"{given}{number}",
                        f"{family}.{given[0]}",
                        f"{family[:3]}{given[:2]}{number}",
                    ]
                ),
                "USERNAME",
            )
        ]

    def email(self) -> Pieces:
        name = self.username()[0].text
        return [Piece(f"{name}@{self.word('mail hosts')}", "EMAIL")]

    def phone(self) -> Pieces:
        return [Piece(self.pick(self.locale.phones), "PHONE")]

    def street(self) -> Pieces:
        street, number = self.pick(self.locale.streets), str(self.random.randrange(1, 300))
        if self.chance(0.2):
            number = str(self.random.randrange(300, 9999))
        if self.chance(0.08):
            number += self.pick(["a", "b", "B", " bis", "/2", "-3"])
        line = f"{number} {street}" if self.chance(0.55) else f"{street} {number}"
        if self.chance(0.12):
            line = f"{line}, {street} {number}" if self.chance(0.1) else f"{street}, {number}"
        if self.chance(0.18):
            unit = self.pick(
                ["Apt. {}", "Suite {}", "Flat {}", "Unit {}", "Apt {}", "2º {}", "#{}"]
            )
            line += self.pick([" ", ", "]) + unit.format(self.random.randrange(1, 999))
        if self.chance(0.03):
            line = f"PO Box {number}" if self.chance(0.6) else f"PSC {number}, Box {number}"
        if self.chance(0.05):
            line = line.upper()
        return [Piece(line, "STREET_ADDRESS")]

    def mailing(self) -> Pieces:
        """A whole address, on one line or several."""
        street, zipcode = self.street()[0].text, self.zip()[0].text
        town = self.pick(self.locale.towns)
        if self.chance(0.3):
            street = f"{self.random.randrange(1, 99999)} {street}"
        if self.chance(0.3):
            unit = self.pick(["Apt.", "Suite", "Floor", "Unit"])
            street += f"{self.pick([' ', chr(10)])}{unit} {self.random.randrange(1, 999)}"
        between = self.pick([", ", "\n", " ", ",\n", "\n "])
        state = self.pick(
            [self.pick(string.ascii_uppercase) + self.pick(string.ascii_uppercase), ""]
        )
        last = self.pick(
            [f"{zipcode} {town}", f"{town}, {state} {zipcode}", f"{town} {state}", town]
        )
        whole = street + between + " ".join(last.split())
        if self.chance(0.2):
            whole += between + self.word("countries")
        return [Piece(whole.lower() if self.chance(0.06) else whole, "STREET_ADDRESS")]

    def city(self) -> Pieces:
        town = self.pick(self.locale.towns)
        return [Piece(town.upper() if self.chance(0.08) else town, "LOCATION")]

    def zip(self) -> Pieces:
        return [Piece(self.pick(self.locale.zips), "ZIP")]

    def country(self) -> Pieces:
        return [Piece(self.word("countries"), "LOCATION")]

    def state(self) -> Pieces:
        return [Piece(self.word("states"), "LOCATION")]

    def org(self) -> Pieces:
        if self.chance(0.4):
            return [Piece(self.pick(self.locale.companies), "ORG")]
        return [Piece(self._filled(self.word("organisations")), "ORG")]

    def hospital(self) -> Pieces:
        return [Piece(self._filled(self.word("hospitals")), "ORG")]

    def _filled(self, form: str) -> str:
        while "{family}" in form:
            form = form.replace("{family}", self.pick(self.locale.family), 1)
        return form.format(
            town=self.pick(self.locale.towns),
            suffix=self.word("suffixes"),
            word=self.word("words"),
            word2=self.word("second words"),
        )

    def date(self) -> Pieces:
        day, month, year = (self.random.randrange(1, 29), self.random.randrange(1, 13),
                            self.random.randrange(1930, 2027))  # fmt: skip
        name = (
            words()["months"][month - 1]
            if self.chance(0.7)
            else self.word("months of other languages")
        )
        form = self.pick(
            [
                f"{year}-{month:02}-{day:02}",
                f"{day:02}/{month:02}/{year}",
                f"{month}/{day}/{year}",
                f"{day}.{month}.{year}",
                f"{day:02}.{month:02}.{year % 100:02}",
                f"{name} {day}, {year}",
                f"{day} {name} {year}",
                f"{day} de {name} de {year}",
                f"{name[:3]} {day}, {year}",
                f"{day:02}-{name[:3]}-{year}",
                f"{name} {day}",
            ]
        )
        return [Piece(form, "DATE")]

    dob = date

    def age(self) -> Pieces:
        return [Piece(str(self.random.randrange(1, 99)), "AGE")]

    def id(self) -> Pieces:
        return [Piece(self._shaped(self.pick(_ID_SHAPES)), "ID")]

    def ssn(self) -> Pieces:
        return [Piece(self._shaped("###-##-####"), "SSN")]

    def iban(self) -> Pieces:
        country = self.pick(["DE", "ES", "FR", "GB", "NL", "IT", "AT"])
        return [Piece(country + self._shaped("####################"), "IBAN")]

    def card(self) -> Pieces:
        return [
            Piece(
                "4" + self._shaped(self.pick(["###############", "### #### #### ####"])),
                "CREDIT_CARD",
            )
        ]

    def ip(self) -> Pieces:
        numbers = [str(self.random.randrange(1, 255)) for _ in range(4)]
        return [Piece(".".join(numbers), "IP")]

    def mac(self) -> Pieces:
        return [Piece(":".join(f"{self.random.randrange(256):02x}" for _ in range(6)), "ID")]

    def url(self) -> Pieces:
        host = self._filled("{word}{word2}").lower()
        return [Piece(f"https://www.{host}.com/{self.pick(['', 'login', 'u?id=7'])}", "URL")]

    def spelled(self) -> Pieces:
        return [Piece("-".join(self._met[1].upper().replace(" ", "")[:8]), "PERSON")]

    def role(self) -> Pieces:
        return [Piece(self.pick(self.locale.jobs))]

    def title(self) -> Pieces:
        return [Piece(self.word("titles"))]

    def nationality(self) -> Pieces:
        return [Piece(self.word("nations"))]

    def order(self) -> Pieces:
        return [Piece(self._shaped(self.pick(["ORD-########", "#######", "PO-####", "INV/####"])))]

    def amount(self) -> Pieces:
        value = f"{self.random.randrange(1, 9000):,}"
        return [Piece(self.pick([f"${value}", f"{value} EUR", f"€{value}", f"{value}.50 USD"]))]

    def number(self) -> Pieces:
        return [Piece(str(self.random.randrange(2, 60)))]

    def big(self) -> Pieces:
        return [Piece(str(self.random.randrange(100, 99999)))]

    def version(self) -> Pieces:
        parts = [str(self.random.randrange(0, 100)) for _ in range(3)]
        return [Piece(".".join(parts))]

    def host(self) -> Pieces:
        return [Piece(self.word("mail hosts"))]

    def year(self) -> Pieces:
        return [Piece(str(self.random.randrange(1950, 2027)), "_YEAR")]

    def time(self) -> Pieces:
        return [Piece(f"{self.random.randrange(24):02}:{self.random.randrange(60):02}")]

    def month(self) -> Pieces:
        return [Piece(self.word("months"))]

    def weekday(self) -> Pieces:
        return [Piece(self.word("weekdays"))]

    def hex(self) -> Pieces:
        return [Piece(f"{self.random.getrandbits(4 * self.random.choice([12, 16, 32])):x}")]

    def product(self) -> Pieces:
        return [Piece(self.word("products"))]

    def drug(self) -> Pieces:
        return [Piece(self.word("drugs"))]

    def disease(self) -> Pieces:
        return [Piece(self.word("diseases"))]

    def symptom(self) -> Pieces:
        return [Piece(self.word("symptoms"))]

    def topic(self) -> Pieces:
        return [Piece(self.word("topics"))]

    def service(self) -> Pieces:
        return [Piece(self.word("services"))]

    def event(self) -> Pieces:
        return [Piece(self.word("events"))]

    def of(self, slot: str) -> Pieces:
        """The value of a slot of a template; an l or u before its name: all lower or upper case."""
        if hasattr(type(self), slot):
            return getattr(self, slot)()
        change = {"l": str.lower, "u": str.upper}[slot[0]]
        return [Piece(change(piece.text), piece.type) for piece in getattr(self, slot[1:])()]

    def _shaped(self, shape: str) -> str:
        """A digit for each #, a capital letter for each @."""
        return "".join(
            str(self.random.randrange(10))
            if char == "#"
            else self.pick(string.ascii_uppercase)
            if char == "@"
            else char
            for char in shape
        )
