"""One rule per written form of an identifier: a pattern for RE2 and a check in Python.

A pattern proposes, its check decides: check digits, shape, and the words just before and after.
Rules are searched in the shadow of a text (shadow.py). All repetition is bounded, and checks look
at short windows only, so that no input is slow. Patterns have no groups, which RE2 is slow at:
where a pattern holds more than the value, `value` finds that behind the match, or inside it.

To add an identifier: a word in vocabulary.py if a known rule would find it beside that word; else
a `Rule` in the file of its family, and a line for it in tests/corpus/test_detect.py, with one that
must not match.
"""

from ft_assets.corpus.rules import (
    addresses,
    credentials,
    dates,
    labelled,
    money,
    national,
    network,
    phones,
    usernames,
)
from ft_assets.corpus.rules.rule import Family

FAMILIES = (
    Family((*network.EMAILS, *usernames.HANDLES), sign="@", before=120, after=680),
    network.SPELLED_EMAILS,
    network.URLS,
    network.HOSTS,
    money.ACCOUNTS,
    Family((*money.WALLETS, *credentials.SECRETS), after=600),
    national.NUMBERS,
    labelled.NAMED,
    labelled.FORMS,
    phones.PHONES,
    dates.DATES,
    dates.AGES,
    addresses.PLACES,
    usernames.ACCOUNTS,
)
RULES = tuple(rule for family in FAMILIES for rule in family.rules)
TYPES = frozenset(rule.type for rule in RULES)
