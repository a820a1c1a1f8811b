"""Keyed pseudonyms that look like what they stand for: the same value, the same surrogate.

HMAC-SHA256 over type and normalised value, so that nothing has to be looked up and no order of
arrival matters; another key shares no surrogate beyond chance. How many there are decides whether
two values may share one (docs/decisions/0020-surrogates.md has the table):

- numbers with a shape (ID, SSN, ZIP, PHONE, IP, the account of an IBAN) are permuted among all of
  their shape by FF1 (NIST SP 800-38G): no two values share one, and none stands for itself;
- everything else is drawn from more than 2 ** 35 invented values.

Mail addresses and hosts end in .example (RFC 2606), phones begin with +999 (no country's), cards
with 99 (no issuer's) and IBANs with ZZ (no country's), both with check digits that hold. Numbers of
other types look real and may be somebody's: only the key tells them apart.
"""

import hmac
import ipaddress
import re
from collections.abc import Callable
from functools import cached_property, lru_cache

from ffx import FF1

from ft_assets.corpus.checksums import luhn
from ft_assets.corpus.invented_words import Draw, gender_of
from ft_assets.corpus.persons import Mention, Part, Person
from ft_assets.corpus.redact import normalised

MAX_SHIFT = 365  # days
_FF1_DOMAIN = 100  # smaller ones are shuffled as a whole
_LEGAL_FORM = re.compile(
    r",?\s+(?:inc|ltd|llc|llp|plc|corp|co|gmbh|ag|kg|se|sa|sas|sarl|sl|bv|nv|spa|srl|ab|oy|as)\.?$",
    re.IGNORECASE,
)
_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*:)?//)?(?:[^/@\s]*@)?([^/?#\s]*)(.*)", re.DOTALL)
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
_DOCUMENTATION = int(ipaddress.ip_address("2001:db8::"))  # RFC 3849
_DIGITS, _LETTERS = "0123456789", "abcdefghijklmnopqrstuvwxyz"


class Surrogates:
    """Surrogates of one tenant. Pure in (key, type, value, person); safe to cache by them."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError(f"the key of surrogates has 32 bytes, got {len(key)}")
        self._key = key
        self.of = lru_cache(maxsize=50_000)(self._of)
        self._name = lru_cache(maxsize=10_000)(self._new_name)

    def __repr__(self) -> str:
        return "Surrogates()"

    def digest(self, purpose: str, value: str) -> bytes:
        """HMAC-SHA256, 32 bytes, also for what is no surrogate (hashes, shifts of dates)."""
        message = f"{purpose}|{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256")

    def letters(self, purpose: str, value: str, alphabet: str, number: int) -> str:
        return Draw(self.digest(purpose, value)).letters(alphabet, number)

    def shift_days(self, subject: str) -> int:
        """By how many days all dates of a subject move: -365 to 365, never 0."""
        drawn = Draw(self.digest("shift of dates", subject)).below(2 * MAX_SHIFT) - MAX_SHIFT
        return drawn if drawn < 0 else drawn + 1

    def person(self, mention: Mention, person: Person) -> str:
        """The surrogate of a name in the order, case and abbreviation it was written in."""
        parts, last = [], 0
        for piece in mention.pieces:
            word = mention.text[piece.start : piece.end]
            parts += [
                self._between(mention.text[last : piece.start]),
                self._word_of_name(word, piece.part, mention, person),
            ]
            last = piece.end
        if not mention.pieces:
            return self._draw("PERSON", mention.text).word()
        return "".join([*parts, self._between(mention.text[last:])])

    def _between(self, text: str) -> str:
        """What stands between the words of a name is kept, but for figures."""
        return self._shaped("PERSON", text) if any(char.isnumeric() for char in text) else text

    def _word_of_name(self, word: str, part: Part, mention: Mention, person: Person) -> str:
        if part is Part.KEPT:
            return word
        if part is not Part.MIDDLE and not mention.sure:
            known = (mention.person.given or mention.person.family) == person.given
            part = Part.GIVEN if known else Part.FAMILY
        if part is Part.FAMILY and len(names := mention.words(Part.FAMILY)) > 1:
            # "Smith Jones, Ann": one family, of which each word is given the same number of words.
            name = self._name(person)[1].split("-")
            new = name[names.index(word) % len(name)]
        elif part is Part.MIDDLE:
            of = f"{person.given} {person.family} {word.rstrip('.').casefold()}"
            new = self._draw("middle name", of).given_name(gender_of(person.given))
        else:
            new = self._name(person)[part is Part.FAMILY]
        bare = word.rstrip(".")
        if len(bare) == 1:
            return new[0] + word[1:]
        return new.upper() if bare.isupper() else new.lower() if bare.islower() else new

    def _new_name(self, person: Person) -> tuple[str, str]:
        draw = self._draw("PERSON", f"{person.given} {person.family}")
        given = draw.given_name(gender_of(person.given))
        return given, f"{draw.word()}-{draw.word()}"

    def _of(self, kind: str, value: str) -> str:
        """Of any type but PERSON, DATE and AGE. A type that is not known here keeps its shape."""
        return _FORMS.get(kind, Surrogates._shaped)(self, kind, value)

    def _draw(self, kind: str, value: str) -> Draw:
        return Draw(self.digest(f"surrogate {kind}", value))

    def _email(self, kind: str, value: str) -> str:
        _, _, host = value.rpartition("@")
        draw = self._draw(kind, normalised(kind, value))
        local = f"{draw.word()}.{draw.word()}{draw.digits(3)}".lower()
        return f"{local}@{self._host(host)}"

    def _host(self, host: str) -> str:
        draw = self._draw("host", host.strip().casefold().removeprefix("www."))
        return f"{draw.word()}-{draw.word()}.example".lower()

    def _url(self, kind: str, value: str) -> str:
        match = _URL.fullmatch(value.strip())
        scheme, host, path = match.groups() if match else ("", "", value)
        draw = self._draw(kind, normalised(kind, value))
        tail = f"/{draw.word()}-{draw.word()}{draw.digits(3)}".lower() if path.strip("/") else path
        return f"{scheme + '//' if scheme else ''}{self._host(host)}{tail}"

    def _username(self, kind: str, value: str) -> str:
        draw = self._draw(kind, normalised(kind, value).lstrip("@"))
        name = f"{draw.word()}_{draw.word()}{draw.digits(3)}".lower()
        return f"@{name}" if value.startswith("@") else name

    def _phone(self, kind: str, value: str) -> str:
        number = normalised(kind, value)
        if not number.isdecimal():
            return self._shaped(kind, value)
        number = "".join(str(int(digit)) for digit in number)
        digits = self._permuted_digits(kind, number)
        return "+999 " + " ".join(digits[at : at + 3] for at in range(0, len(digits), 3))

    def _card(self, kind: str, value: str) -> str:
        number = sum(char.isdecimal() for char in value)
        if number < 8:
            return self._shaped(kind, value)
        body = "99" + self._draw(kind, normalised(kind, value)).digits(number - 3)
        check = next(digit for digit in _DIGITS if luhn(body + digit))
        return _in_the_form_of(value, body + check, str.isdecimal)

    def _iban(self, kind: str, value: str) -> str:
        account = "".join(char for char in value if char.isalnum()).upper()
        if len(account) < 8:
            return self._shaped(kind, value)
        bban = self._permuted(f"{kind} {account[:2]}", account[4:]).upper()
        check = 98 - int("".join(str(int(char, 36)) for char in f"{bban}ZZ00")) % 97
        return _in_the_form_of(value, f"ZZ{check:02d}{bban}", str.isalnum)

    def _ip(self, kind: str, value: str) -> str:
        if match := _MAC.search(value):
            plain = int(match[0].replace(match[1], ""), 16)
            digits = f"{self._permuted_number('MAC', plain, 2**48):012x}"
            new = match[1].join(digits[at : at + 2] for at in range(0, 12, 2))
        elif match := _IPV4.search(value):
            try:
                plain = int(ipaddress.IPv4Address(match[0]))
            except ValueError:
                return self._shaped(kind, value)
            new = str(ipaddress.IPv4Address(self._permuted_number("IPv4", plain, 2**32)))
        else:
            address, _, _ = value.strip("[] ").partition("%")
            try:
                plain = str(ipaddress.IPv6Address(address.partition("/")[0]))
            except ValueError:
                return self._host(value) if "." in value else self._shaped(kind, value)
            drawn = self._draw("IPv6", plain).below(2**96)
            return str(ipaddress.IPv6Address(_DOCUMENTATION + drawn))
        return value[: match.start()] + new + value[match.end() :]

    def _street(self, kind: str, value: str) -> str:
        draw = self._draw(kind, normalised(kind, value))
        return f"{1 + draw.below(9999)} {draw.word()} {draw.word()} Street"

    def _place(self, kind: str, value: str) -> str:
        draw = self._draw(kind, normalised(kind, value))
        new = f"{draw.word()}-{draw.word()}"
        return new.upper() if value.isupper() else new

    def _organisation(self, kind: str, value: str) -> str:
        form = _LEGAL_FORM.search(value)
        name = value[: form.start()] if form else value
        draw = self._draw(kind, normalised(kind, name))
        return f"{draw.word()} {draw.word()}{form[0] if form else ''}"

    def _shaped(self, kind: str, value: str) -> str:
        """Digits for digits and letters for letters; separators and case stay."""
        bare = "".join(char for char in value if char.isalnum())
        if not bare:
            return self._draw(kind, value).letters(_LETTERS, 12)
        return _in_the_form_of(value, self._permuted(kind, bare), str.isalnum)

    def _permuted(self, kind: str, bare: str) -> str:
        """Of letters and digits: others of the same places, in lower case; one to one."""
        folded, odd = "", ""
        for char in bare:
            if char.isdecimal():
                folded += str(int(char))
            elif (lower := char.lower()) in _LETTERS:
                folded += lower
            else:  # letters of other alphabets become Latin ones; which they were goes in the tweak
                folded += _LETTERS[ord(char) % 26]
                odd += char
        alphabets = [_DIGITS if char.isdigit() else _LETTERS for char in folded]
        shape = "".join("9" if alphabet is _DIGITS else "a" for alphabet in alphabets)
        number, domain = 0, 1
        for char, alphabet in zip(folded, alphabets, strict=True):
            number = number * len(alphabet) + alphabet.index(char)
            domain *= len(alphabet)
        number = self._permuted_number(f"{kind}|{shape}|{odd}", number, domain)
        out = []
        for alphabet in reversed(alphabets):
            number, place = divmod(number, len(alphabet))
            out.append(alphabet[place])
        return "".join(reversed(out))

    def _permuted_digits(self, kind: str, digits: str) -> str:
        domain = 10 ** len(digits)
        number = self._permuted_number(f"{kind}|{len(digits)}", int(digits), domain)
        return f"{number:0{len(digits)}d}"

    def _permuted_number(self, tweak: str, number: int, domain: int) -> int:
        """Another number below `domain`, one to one: one step along a keyed cycle through all."""
        if domain < _FF1_DOMAIN:
            order = sorted(range(domain), key=lambda n: self.digest(f"order {tweak}", str(n)))
            return order[(order.index(number) + 1) % domain]
        data = tweak.encode("utf-8", "surrogatepass")
        place = self._ff1.encrypt_int(number, domain=domain, tweak=data)
        return self._ff1.decrypt_int((place + 1) % domain, domain=domain, tweak=data)

    @cached_property
    def _ff1(self) -> FF1:
        return FF1(self.digest("key of FF1", ""), allow_small_domain=True)


def _in_the_form_of(value: str, new: str, is_place: Callable[[str], bool]) -> str:
    """`new` written with the separators and the case of `value`."""
    rest = iter(new)
    out = []
    for char in value:
        if not is_place(char):
            out.append(char)
            continue
        drawn = next(rest)
        out.append(drawn.upper() if char.isupper() else drawn)
    return "".join(out)


_FORMS: dict[str, Callable[[Surrogates, str, str], str]] = {
    "EMAIL": Surrogates._email,
    "URL": Surrogates._url,
    "USERNAME": Surrogates._username,
    "PHONE": Surrogates._phone,
    "CREDIT_CARD": Surrogates._card,
    "IBAN": Surrogates._iban,
    "IP": Surrogates._ip,
    "STREET_ADDRESS": Surrogates._street,
    "LOCATION": Surrogates._place,
    "ORG": Surrogates._organisation,
}
