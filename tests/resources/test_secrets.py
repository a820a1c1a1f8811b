import stat

from ft_resources import secrets


def test_made_once_readable_by_the_owner_alone(tmp_path):
    first = secrets.load_or_generate(tmp_path, {})
    file = secrets.secrets_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(first) == set(secrets.GENERATED)
    assert all(len(value) >= 16 for value in first.values())
    assert secrets.load_or_generate(tmp_path, {}) == first


def test_the_environment_wins_and_is_not_written_down(tmp_path):
    given = {secrets.SIGNING_KEY: "from-the-environment"}
    values = secrets.load_or_generate(tmp_path, given)
    assert values[secrets.SIGNING_KEY] == "from-the-environment"
    assert "from-the-environment" not in secrets.secrets_file(tmp_path).read_text()


def test_two_platforms_share_no_secret(tmp_path):
    one, other = (secrets.load_or_generate(tmp_path / name, {}) for name in ("a", "b"))
    assert not set(one.values()) & set(other.values())
