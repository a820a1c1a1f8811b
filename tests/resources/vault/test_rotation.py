import multiprocessing

import pytest

from ft_resources.secrets import kept_secrets, write_secrets
from ft_resources.vault.keys import TenantKey, VaultError, WrongTenantKey
from ft_resources.vault.rotation import finish, prepare, rewrap
from ft_resources.vault.store import KeyStore

OLD, NEW = "aa" * 32, "bb" * 32


@pytest.fixture
def vault(tmp_path):
    """A vault of two subjects, whose tenant key is kept below the state folder."""
    write_secrets(tmp_path, {"FT_TENANT_KEY": OLD, "OTHER": "x"})
    store = KeyStore(tmp_path / "keys.db", TenantKey.parse("acme", OLD))
    store.keys_for_writing([store.subject_id("user:a"), store.subject_id("user:b")])
    return tmp_path


def steps(folder, environment, last=3):
    """The steps of a rotation up to one, after which a crash might come."""
    keys = prepare(folder, environment)
    if last > 1:
        assert rewrap(folder / "keys.db", "acme", keys) == 2
    return finish(folder, keys) if last > 2 else None


def opens(folder, key):
    return len(KeyStore(folder / "keys.db", TenantKey.parse("acme", key)).keys([])) == 0


def test_a_kept_key_is_replaced_by_one_that_is_made(vault):
    assert steps(vault, {}) is True
    kept = kept_secrets(vault)
    assert kept.keys() == {"FT_TENANT_KEY", "OTHER"}
    assert kept["FT_TENANT_KEY"] != OLD
    assert opens(vault, kept["FT_TENANT_KEY"])
    with pytest.raises(WrongTenantKey):
        opens(vault, OLD)


@pytest.mark.parametrize("crashed_after", [1, 2])
@pytest.mark.parametrize("environment", [{}, {"FT_TENANT_KEY_NEXT": NEW}])
def test_after_a_crash_the_same_again_goes_on(vault, crashed_after, environment):
    steps(vault, environment, crashed_after)
    assert steps(vault, environment) is True
    assert opens(vault, kept_secrets(vault)["FT_TENANT_KEY"])


def test_a_key_of_the_environment_is_left_to_whoever_set_it(vault):
    write_secrets(vault, {})
    assert steps(vault, {"FT_TENANT_KEY": OLD, "FT_TENANT_KEY_NEXT": NEW}) is False
    assert opens(vault, NEW)
    assert kept_secrets(vault) == {}


def test_a_made_key_can_be_rotated_again_from_the_environment(vault):
    write_secrets(vault, {})
    assert steps(vault, {"FT_TENANT_KEY": OLD}) is False
    first = kept_secrets(vault)["FT_TENANT_KEY_NEXT"]
    assert steps(vault, {"FT_TENANT_KEY": first}) is False
    second = kept_secrets(vault)["FT_TENANT_KEY_NEXT"]
    assert first != second
    assert opens(vault, second)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"FT_TENANT_KEY_NEXT": OLD}, "nothing to change"),
        ({"FT_TENANT_KEY_NEXT": "short"}, "64 hex digits"),
        ({"FT_TENANT_KEY": "cc" * 32, "FT_TENANT_KEY_NEXT": NEW}, "is not the key"),
    ],
)
def test_wrong_keys_change_nothing(vault, environment, told):
    with pytest.raises(VaultError, match=told):
        steps(vault, environment)
    assert opens(vault, OLD)
    assert kept_secrets(vault)["FT_TENANT_KEY"] == OLD


def test_keys_are_not_shown(vault):
    assert "aa" * 4 not in repr(prepare(vault, {"FT_TENANT_KEY_NEXT": NEW}))


def test_without_a_key_it_says_so(tmp_path):
    with pytest.raises(VaultError, match="set FT_TENANT_KEY"):
        prepare(tmp_path, {})


def _rotate_many(folder):
    keys = prepare(folder, {})
    rewrap(folder / "keys.db", "acme", keys)
    finish(folder, keys)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_killed_at_any_moment_no_key_is_lost(tmp_path, after):
    write_secrets(tmp_path, {"FT_TENANT_KEY": OLD})
    store = KeyStore(tmp_path / "keys.db", TenantKey.parse("acme", OLD))
    ids = [store.subject_id(f"user:{n}") for n in range(3000)]
    keys = store.keys_for_writing(ids)
    worker = multiprocessing.get_context("fork").Process(target=_rotate_many, args=(tmp_path,))
    worker.start()
    worker.join(after)
    worker.kill()
    worker.join()
    _rotate_many(tmp_path)
    kept = kept_secrets(tmp_path)
    rotated = KeyStore(tmp_path / "keys.db", TenantKey.parse("acme", kept["FT_TENANT_KEY"]))
    assert rotated.keys(ids) == keys
    assert kept["FT_TENANT_KEY"] != OLD
