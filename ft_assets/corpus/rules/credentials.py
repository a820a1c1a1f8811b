"""Passwords, tokens and keys: they open somebody's account."""

import re

from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.rules.rule import EDGE, MAX_TAIL, Before, Found, Rule, named, tail

_TOKEN_CHARS = re.compile(r"[A-Za-z0-9_.-]+")
_CREDENTIAL_KEY = (
    rf"""(?i){EDGE}(?:{words.CREDENTIAL})["']?[ \t]{{0,2}}(?:=|:|"""
    rf"""=>)[ \t]{{0,2}}["']?(?:bearer |basic |token |digest )?"""
)
_SECRET_VALUE = re.compile(r"""(?:[^\s"'<>,;&|\x01]|&(?![A-Za-z_]{1,30}=)){6,200}""")
_CREDENTIAL_FORM = (
    r"\b(?:eyJ[A-Za-z0-9_-]{10,400}\.[A-Za-z0-9_-]{4,100}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{40,255}"
    r"|glpat-[A-Za-z0-9_-]{20,60}|xox[abprs]-[A-Za-z0-9-]{10,200}|AIza[0-9A-Za-z_-]{35}"
    r"|(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{20,200}|"
    r"hf_[A-Za-z0-9]{30,60}|(?:AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[0-9A-Z]{16}|"
    r"npm_[A-Za-z0-9]{30,60}"
    r"|SG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{16,60}|"
    r"do[opr]_v1_[a-f0-9]{40,80}|(?:AC|SK)[a-f0-9]{32}\b|"
    r"ya29\.[A-Za-z0-9_-]{20,200}"
    r"|pypi-[A-Za-z0-9_-]{30,300}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|"
    r"sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}|lin_api_[A-Za-z0-9]{30,60}"
    r"|AAAA[BCE]3NzaC1[A-Za-z0-9+/=]{12,400}|key-[a-f0-9]{32}\b|"
    r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b|dckr_pat_[A-Za-z0-9_-]{20,60}"
    r"|[Bb]earer [A-Za-z0-9_.~+/-]{20,400})"
)
_PRIVATE_KEY = r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
_PRIVATE_KEY_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s:,.\\]|-(?!-----BEGIN))+")


def _private_key(shadow: str, start: int, end: int) -> Found:
    closing = shadow.find("-----END", end, end + 2 * MAX_TAIL)
    if 0 <= closing < shadow.find("\0", end):  # of the same text
        line = tail(shadow, closing, re.compile(r"-----END [A-Z ]{0,30}-----"))
        return start, line
    return start, tail(shadow, end, _PRIVATE_KEY_BODY)


def _secret_form(shadow: str, start: int, end: int) -> Found:
    return start, tail(shadow, end, _TOKEN_CHARS)


def _secret(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if not mixed and _password_key(shadow, start):
        mixed = value.isalnum() and not _NOT_PASSWORDS.fullmatch(value.lower())
    return (start, end) if mixed and "://" not in value and "(" not in value else None


_password_key = Before(
    r"(?:passw(?:or)?d|pwd|passwort|kennwort)[\"']?\s?=[\"']?|(?:passw(?:or)?d|"
    r"pwd)[\"']\s?:\s?[\"']|\bpwd: "
)
_NOT_PASSWORDS = re.compile(
    "required|password|string|secret|invalid|incorrect|expired|changed|hidden|redacted|masked|"
    "false|undefined|optional|process|config|settings|getpass|default|unknown|encrypted|empty"
)


SECRETS = (
    Rule("ID", _PRIVATE_KEY, _private_key, 0, trigger="PRIVATE KEY-----"),
    Rule(
        "ID",
        _CREDENTIAL_FORM,
        _secret_form,
        4,
        trigger=r"\b(?:eyJ|A(?:KIA|SIA|GPA|IDA|ROA|IPA|NPA|NVA)[0-9A-Z]|gh[pousr]_|"
        r"github_pat|glpat-|xox[abprs]-|AIza|"
        r"[spr]k[-_]|hf_|npm_|SG\.|do[opr]_v1|(?:AC|SK)[a-f0-9]{8}|ya29\.|pypi-|"
        r"shp[a-z]{2}_|sq0|lin_api|[Bb]earer |AAAA[BCE]3|key-[a-f0-9]|"
        r"[0-9]{8,10}:AA|dckr_)",
    ),
    Rule(
        "ID",
        _CREDENTIAL_KEY,
        _secret,
        10,
        _SECRET_VALUE,
        trigger=named(words.CREDENTIAL),
    ),
)
