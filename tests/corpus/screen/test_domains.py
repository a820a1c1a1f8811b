import random

import numpy as np
import pytest

from ft_assets.corpus.screen.domains import DomainProfiles

WORDS = {
    "bank": "account balance card transfer loan interest overdraft deposit branch fee cash rate",
    "farm": "cow milk field harvest tractor barn grain sheep meadow plough seed hay",
    "sea": "ship harbour anchor sail tide crew captain deck mast wave current port",
}
SHARED = "the of and to a in for is on that with how what when can my you it please thanks"


def texts(domain: str, number: int, seed: int = 0) -> list[str]:
    draw = random.Random(f"{domain}{seed}")
    own, shared = WORDS[domain].split(), SHARED.split()
    return [
        " ".join(draw.choice(own if draw.random() < 0.5 else shared) for _ in range(25))
        for _ in range(number)
    ]


@pytest.fixture(scope="module")
def profiles():
    return DomainProfiles.fit({domain: texts(domain, 200) for domain in WORDS})


@pytest.mark.parametrize("domain", WORDS)
def test_own_rows_stay_and_others_are_found(profiles, domain):
    own = [profiles.score(domain, text) for text in texts(domain, 300, seed=1)]
    assert sum(score >= 1 for score in own) <= 0.005 * len(own)
    for other in set(WORDS) - {domain}:
        scores = [profiles.score(domain, text) for text in texts(other, 50, seed=2)]
        assert sum(score >= 1 for score in scores) >= 0.9 * len(scores)


@pytest.mark.parametrize(
    "text", ["", "please", "thanks for that", "quux flurb wibble zorp plugh xyzzy frob corge"]
)
def test_texts_without_evidence_have_no_score(profiles, text):
    assert profiles.score("bank", text) < 1


def test_a_platform_of_one_domain_has_no_other():
    alone = DomainProfiles.fit({"bank": texts("bank", 5), "empty": []})
    assert alone.score("bank", texts("farm", 1)[0]) == 0
    assert DomainProfiles.from_bytes(alone.to_bytes()).score("bank", "cow milk") == 0
    assert DomainProfiles.fit({}).score("bank", "cow") == 0


def test_an_unknown_domain_has_no_score(profiles):
    assert profiles.score("moon", texts("farm", 1)[0]) == 0


def test_bytes_hold_everything_and_do_not_depend_on_order(profiles):
    data = profiles.to_bytes()
    again = DomainProfiles.from_bytes(data)
    assert again.margins == profiles.margins
    np.testing.assert_array_equal(again.known, profiles.known)
    for text in texts("farm", 5, seed=3):
        assert again.score("bank", text) == profiles.score("bank", text)
    shuffled = {domain: texts(domain, 200)[::-1] * 2 for domain in reversed(WORDS)}
    assert DomainProfiles.fit(shuffled).to_bytes() == data
