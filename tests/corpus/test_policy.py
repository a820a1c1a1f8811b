import pytest
from pydantic import TypeAdapter, ValidationError

from ft_assets.corpus import detector
from ft_assets.corpus.policy import (
    POLICIES,
    TYPES,
    Keep,
    Mask,
    Operators,
    PolicyError,
    Redact,
    Replace,
    resolve,
)
from ft_assets.corpus.redact import DEFAULT_TYPES

read = TypeAdapter(Operators).validate_python


def names(*arguments, **policies):
    return {
        kind: each.operator
        for kind, each in resolve(*arguments[:1], policies, *arguments[1:]).items()
    }


def test_the_types_are_those_of_the_detector():
    assert TYPES == detector.TYPES


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_knows_what_becomes_of_every_type(policy):
    assert resolve(policy, {}).keys() == TYPES


def test_placeholders_are_what_masking_does_without_a_policy():
    kept = {kind for kind, name in names("placeholders").items() if name == "keep"}
    assert TYPES - kept == DEFAULT_TYPES
    assert set(names("placeholders").values()) == {"keep", "replace"}


def test_safe_harbor_keeps_nothing():
    chosen = names("hipaa_safe_harbor")
    assert "keep" not in chosen.values()
    assert {k for k, name in chosen.items() if name == "generalise"} == {"DATE", "AGE", "ZIP"}


def test_what_overrides():
    operators = read({"EMAIL": "redact", "PHONE": {"operator": "mask", "keep_last": 4}})
    chosen = resolve("placeholders", {}, operators)
    assert chosen["EMAIL"] == Redact()
    assert chosen["PHONE"] == Mask(keep_last=4)
    assert chosen["PERSON"] == Replace()
    chosen = resolve("placeholders", {}, operators, read({"EMAIL": "keep", "DEFAULT": "hash"}))
    assert chosen["EMAIL"] == Keep()
    assert chosen["PHONE"] == Mask(keep_last=4)
    assert chosen["SSN"].operator == "hash"
    assert chosen["AGE"] == Keep()  # named by the policy


def test_a_policy_of_ones_own():
    own = {"mine": read({"DEFAULT": "redact", "AGE": "generalise"}), "thin": read({"SSN": "hash"})}
    assert set(names("mine", **own).values()) == {"redact", "generalise"}
    assert names("thin", **own) == names("placeholders") | {"SSN": "hash"}


@pytest.mark.parametrize(
    ("operators", "told"),
    [
        ({"EMIAL": "redact"}, ["unknown type 'EMIAL'", "EMAIL", "DEFAULT"]),
        ({"EMAIL": "blur"}, ["blur", "'redact'", "'pseudonymize'"]),
        ({"EMAIL": {"operator": "mask", "keep_lsat": 4}}, ["keep_lsat", "Extra inputs"]),
        (
            {"EMAIL": {"operator": "mask", "keep_last": 40}},
            ["keep_last", "less than or equal to 8"],
        ),
        ({"EMAIL": {"operator": "mask", "masking_char": "ab"}}, ["masking_char"]),
        ({"EMAIL": {"operator": "hash", "length": 4}}, ["length", "16"]),
        (
            {"EMAIL": {"operator": "replace", "new_value": "X", "reversible": True}},
            ["EMAIL", "cannot be reversible"],
        ),
        ({"EMAIL": 7}, ["EMAIL"]),
    ],
)
def test_an_error_names_key_value_and_what_is_allowed(operators, told):
    with pytest.raises(ValidationError) as error:
        read(operators)
    assert not [word for word in told if word not in str(error.value)], str(error.value)


@pytest.mark.parametrize(
    ("operators", "told"),
    [
        ({"AGE": "pseudonymize"}, ["AGE", "'pseudonymize'", "generalise", "keep"]),
        ({"EMAIL": "shift_dates"}, ["EMAIL", "'shift_dates'", "replace", "hash"]),
        ({"PHONE": "generalise"}, ["PHONE", "'generalise'"]),
        ({"DEFAULT": "shift_dates"}, ["'shift_dates'", "allowed"]),
    ],
)
def test_an_operator_must_fit_its_type(operators, told):
    with pytest.raises(PolicyError) as error:
        resolve("placeholders", {}, read(operators))
    assert not [word for word in told if word not in str(error.value)], str(error.value)


def test_an_unknown_policy():
    with pytest.raises(PolicyError, match="unknown policy 'hippa'; allowed: gdpr_pseudonymized, h"):
        resolve("hippa", {})
