"""Keyed surrogates of persons against Faker seeded anew for each name, the usual stable way.

Needs faker: `pip install '.[bench]'`.
"""

import hashlib
import hmac
from collections.abc import Iterator

from ft_assets.corpus.persons import parse
from ft_assets.corpus.surrogates import Surrogates
from tests.bench.timing import Measure, faster, interleaved, missing

NAMES = [f"{given} Family{n}" for given in ("Anna", "John", "Kwame", "Lucía") for n in range(500)]
KEY = b"k" * 32


def measures() -> Iterator[Measure]:
    try:
        from faker import Faker
    except ImportError:
        yield missing("surrogates_vs_faker", "s", "", "faker is missing: pip install '.[bench]'")
        return
    fake = Faker("en_US")

    def ours() -> None:
        keyed = Surrogates(KEY)  # anew: nothing is remembered from the last round
        for name in NAMES:
            mention = parse(name)
            keyed.person(mention, mention.person)

    def peer() -> None:
        for name in NAMES:
            fake.seed_instance(hmac.digest(KEY, name.casefold().encode(), hashlib.sha256))
            fake.name()

    yield faster("surrogates_vs_faker", *interleaved(ours, peer))
