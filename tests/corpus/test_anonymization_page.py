"""docs/anonymization.md says what is so."""

import re

import pytest

from ft_assets.corpus.policy import OPERATORS, POLICIES, TYPES
from ft_assets.settings import load_platform
from ft_assets.stack import PROJECT

PAGE = (PROJECT / "docs/anonymization.md").read_text("utf-8")


def test_its_platform_file_is_valid(tmp_path):
    (example,) = re.findall("```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "platform.yaml"
    file.write_text(example)
    settings = load_platform(file)
    names = {
        domain: {kind: each.operator for kind, each in settings.operators_of(domain).items()}
        for domain in settings.domains
    }
    assert names["support"]["IP"] == "hash"
    assert names["healthcare"]["DATE"] == "generalise"
    assert (names["finance"]["CREDIT_CARD"], names["finance"]["EMAIL"]) == ("mask", "pseudonymize")
    assert (names["legal"]["PERSON"], names["legal"]["IP"]) == ("pseudonymize", "replace")
    assert settings.vault.roles["fraud_desk"].types == ["SSN", "IBAN"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_it_names_every_operator_and_parameter(operator):
    (row,) = re.findall(rf"^\| `{operator}`.*$", PAGE, re.MULTILINE)
    parameters = set(OPERATORS[operator].model_fields) - {"operator"}
    assert not [name for name in parameters if f"`{name}" not in row]


def test_it_names_every_type_and_policy():
    assert not [kind for kind in TYPES if kind not in PAGE.split("## Types")[1].split("##")[0]]
    assert not [name for name in POLICIES if f"| `{name}`" not in PAGE]
