import pytest

from ft_assets.callers import caller_keys
from ft_assets.settings import load_platform
from ft_resources.gateway.auth import KeyFile, Role, key_digest

KEY = "0123456789abcdef"


def settings(tmp_path, caller):
    (tmp_path / "platform.yaml").write_text(f"domains: {{a: }}\ncallers: {{crm: {caller}}}")
    return load_platform(tmp_path / "platform.yaml")


def test_a_key_comes_from_where_the_file_says(tmp_path):
    (tmp_path / "crm.key").write_text(f"{KEY}\n")
    hashed = key_digest(KEY)
    for caller, key in [
        ("{key_env: CRM_KEY}", hashed),
        (f"{{key_sha256: {hashed.hex()}}}", hashed),
        ("{key_file: crm.key}", KeyFile(tmp_path / "crm.key")),
    ]:
        [known] = caller_keys(settings(tmp_path, caller), {"CRM_KEY": KEY})
        assert known.key == key


def test_rights(tmp_path):
    text = "{key_env: K, role: reviewer, domains: [a, base], max_body_kib: 2, timeout_seconds: 3}"
    [known] = caller_keys(settings(tmp_path, text), {"K": KEY})
    who = known.principal
    assert (who.name, who.role, who.max_body, who.timeout_s) == ("crm", Role.REVIEWER, 2048, 3)
    assert who.may_use("base")
    assert not who.may_use("b")


@pytest.mark.parametrize(
    ("caller", "told"),
    [
        ("{key_env: K}", r"callers\.crm\.key_env: K: holds 0 characters"),
        ("{key_file: none}", r"callers\.crm\.key_file: no file at"),
    ],
)
def test_a_key_that_is_not_there(tmp_path, caller, told):
    with pytest.raises(ValueError, match=told):
        caller_keys(settings(tmp_path, caller), {})
