"""Bank accounts by IBAN, payment cards and coins: told from other numbers by check digits."""

import re

from ft_assets.corpus import checksums
from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.rules.rule import (
    EDGE,
    TOKEN,
    Before,
    Family,
    Found,
    Rule,
    bare,
    card_near,
    digits_in,
    next_group,
    next_word,
    not_personal,
)

_COUNTRIES = "|".join(checksums.IBAN_LENGTHS)
_IBAN = rf"(?i)(?:{_COUNTRIES})[ -]?[0-9]{{2}}(?:[ .\n-]?[A-Z0-9]){{11,31}}"
_CARD = r"[0-9](?:(?:[ .-]{0,2}|[ .+_/\n-]{1,3})[0-9]){11,18}"
_card_word = Before(rf"(?:^|[^a-z])(?:{words.CARD})[^\d\n]{{0,30}}")
_card_key = Before(r"(?:card|cc|karten?|pan|visa|mastercard)[ _-]?(?:no|num|number|nummer|nr)?")
_iban_word = Before(
    r"iban[\"']?[^a-z0-9\n]{0,6}(?:(?:is|no|number|nr|ist|est|es)[^a-z0-9\n]{1,3})?"
)
_IBAN_GROUPS = re.compile(r"\w{4}(?:([ .-]?)\w{4}(?:\1\w{4}){1,7}(?:\1\w{1,3})?)")


def _stop_after(shadow: str, start: int, characters: int) -> int:
    """The place behind so many letters and digits."""
    if shadow[start : start + characters].isalnum():
        return start + characters
    while characters:
        characters -= shadow[start].isalnum()
        start += 1
    return start


def _iban(shadow: str, start: int, end: int) -> Found:
    length = checksums.IBAN_LENGTHS.get(shadow[start : start + 2].upper())
    if length is None:
        return None
    if shadow[start - 1 : start].isalnum() and shadow[max(0, start - 4) : start].lower() != "iban":
        return None
    value = bare(shadow, start, end)
    if _iban_word(shadow, start):  # of the wrong length, but named: with check digits that hold
        token = TOKEN.match(shadow, start, start + 36)
        if token and 15 <= len(token[0]) != length and checksums.mod_97(token[0].upper()):
            return token.span()
    if len(value) < length:
        return None
    value, stop = value[:length], _stop_after(shadow, start, length)
    if shadow[stop : stop + 1].isalnum() or not checksums.iban(value):
        return None
    # One text in a hundred of this shape holds by chance: "at 2211 Old Earhart Road".
    written = shadow[start:stop]
    one_case = written in (written.upper(), written.lower()) or _IBAN_GROUPS.fullmatch(written)
    return (start, stop) if one_case and len(digits_in(value)) >= 8 else None


_UNUSUAL_GAP = re.compile(r"[+_/\n]|[ .-]{3}")
_CARD_GROUPS = re.compile(
    r"\d{4}([ .+_/\n-]{1,3})\d{4}([ .+_/\n-]{1,3})\d{4}([ .+_/\n-]{1,3})\d{4}|"
    r"\d{4}([ .+_/\n-]{1,3})\d{6}\4\d{4,5}|\d(?:([ -])\d)(?:\5\d){11,17}"
)


_ISSUED = re.compile("[2-9]|1800")  # first digits of brands: checksums.card_issuer


def _card(shadow: str, start: int, end: int) -> Found:
    before = shadow[start - 1 : start]
    # The track of a magnetic stripe, and the number sign of Cyrillic print.
    two = shadow[max(0, start - 2) : start]
    track = two == "%B" or (two[-1:] == "N" and not two[:-1].isalnum())
    glued = before.isalpha() and _card_key(shadow, start)  # "cardNumber4111..."
    if (before.isalnum() and not track and not glued) or (before and before in "+.-_"):
        return None
    written = shadow[start:end]
    digits = digits_in(written)
    plain = len(written) - len(digits) <= 8 and not _UNUSUAL_GAP.search(written)
    if not plain and not _CARD_GROUPS.match(written):
        return None
    named = _card_word(shadow, start)
    if not named and not _ISSUED.match(digits):
        return None
    # A longer run may hold the card and what follows it: "4111 1111 1111 1111 123".
    for length in sorted({len(digits), 16, 15, 14, 13, 12}, reverse=True):
        head = digits[:length]
        if length > len(digits) or len(set(head)) < 2:
            continue
        if length == 12 and (len(written) != 12 or shadow[start - 2 : start - 1].isdigit()):
            continue  # Maestro: a group of three in a longer number holds too often
        if not (named or checksums.card_issuer(head)) or not checksums.luhn(head):
            continue
        stop = _stop_after(shadow, start, length)
        if shadow[stop : stop + 1].isalnum():
            continue
        if checksums.card_issuer(head) and (named or not not_personal(shadow, start)):
            return start, stop
        if named and len(head) == len(digits):
            return start, stop
    return None


_WALLET = (
    r"\b(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|(?:bc1|tb1|"
    r"ltc1)[02-9ac-hj-np-z]{11,71}|0x[0-9a-fA-F]{40}|"
    r"[LM][1-9A-HJ-NP-Za-km-z]{26,33}|T[1-9A-HJ-NP-Za-km-z]{33}|"
    r"r[1-9A-HJ-NP-Za-km-z]{24,34}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}|"
    r"addr1[0-9a-z]{50,100}|D[5-9A-HJ-NP-U][1-9A-HJ-NP-Za-km-z]{32})\b"
)
_WALLET_TRIGGER = (
    r"\b(?:[13LMTD][1-9A-HJ-NP-Za-km-z]{2}|r[1-9A-HJ-NP-Za-km-z]{4}|bc1|tb1|ltc1|"
    r"0x[0-9a-fA-F]{2}|4[0-9AB]|addr1)[0-9A-Za-z]{20}"
)
_PRIVATE_WALLET_KEY = r"\b[5KL][1-9A-HJ-NP-Za-km-z]{50,51}\b"


def _wallet(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    if value.startswith(("bc1", "tb1", "ltc1", "addr1")):
        return (start, end) if any(c.isdigit() for c in value[4:]) else None
    if value.startswith("0x"):
        return start, end
    alphabet = checksums.RIPPLE if value[0] == "r" else checksums.BITCOIN
    return (start, end) if value[0] == "4" or checksums.base58(value, alphabet) else None


_CARD_CODE = (
    rf"(?i){EDGE}(?:cvv2?|cvc2?|cvn2?|csc|cid|cav2|card[ _-]?code|security[ _-]?code|"
    r"card[ _-]?(?:verification|security)[ _-]?(?:code|value|number|no)|"
    r"(?:karten)?pruf(?:nummer|ziffer|zahl)|sicherheitscode|cryptogramme|code de securite|"
    r"codigo de seguridad|codice di sicurezza|codigo de seguranca)(?:[ _-]?(?:code|no|number|nr))?"
    r"[\"']?[\s:=>#(]{0,4}[\"']?(?:(?:is|ist|est|es|e|was)\b[ :]{1,2})?"
)
_CARD_CODE_VALUE = re.compile(r"[0-9]{3,4}(?![0-9A-Za-z]|[.,/:-][0-9])")
_code_of_card = Before(r"(?:cvv|cvc|cvn|cav|card|pruf|karten|cryptogramme)[^0-9\n]{0,36}")


def _card_code(shadow: str, start: int, end: int) -> Found:
    """A security code is one of a card when a card is named before it."""
    named = _code_of_card(shadow, start) or card_near(shadow, start)
    return (start, end) if named else None


ACCOUNTS = Family(
    (
        Rule("CREDIT_CARD", _CARD_CODE, _card_code, 7, _CARD_CODE_VALUE),
        Rule(
            "IBAN",
            _IBAN,
            _iban,
            2,
            trigger=r"[A-Za-z]{2}[ -]?[0-9]{2}[ .\n-]?[A-Za-z0-9]{2}",
            retry=next_word,
        ),
        Rule(
            "CREDIT_CARD",
            _CARD,
            _card,
            3,
            trigger=r"[0-9](?:[ .+_/\n-]{0,3}[0-9]){11}",
            retry=next_group,
        ),
    ),
)
WALLETS = (
    Rule("ID", _WALLET, _wallet, 4, trigger=_WALLET_TRIGGER),
    Rule("ID", _PRIVATE_WALLET_KEY, _wallet, 4, trigger=r"\b[5KL][1-9A-HJ-NP-Za-km-z]{20}"),
)
