"""`ft vault` and `ft anonymize --policy` as a person types them, on a vault of their own."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ft_assets.cli import app
from ft_assets.settings import load_platform
from ft_resources.secrets import kept_secrets
from ft_resources.vault.raw_zone import RawZone
from ft_resources.vault.reveal import new_role_key

ROLE_KEY, DIGEST = new_role_key()
PLATFORM = f"""
domains:
  plain: {{}}
  clinic: {{anonymization: {{policy: hipaa_safe_harbor}}}}
  bank:
    anonymization:
      policy: gdpr_pseudonymized
      operators: {{SSN: {{operator: replace, reversible: true}}}}
vault: {{roles: {{support: {{types: [EMAIL], key_sha256: "{DIGEST}"}}}}}}
"""
LINES = [
    {"user_id": "u1", "text": "mail jane@acme.com, SSN 078-05-1120, born 1980-02-01, age: 93"},
    {"user_id": "u2", "text": "from JANE@acme.com"},
    {"text": "nobody's: jane@acme.com"},
]


@pytest.fixture
def file(tmp_path, monkeypatch):
    return platform_in(tmp_path, monkeypatch)


def platform_in(folder, monkeypatch):
    for name in ("FT_TENANT_KEY", "FT_TENANT_KEY_NEXT", "FT_VAULT_ROLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    made = folder / "platform.yaml"
    made.write_text(PLATFORM)
    monkeypatch.setenv("FT_PLATFORM", str(made))
    return made


def ft(*words, given=None, env=None, code=0):
    ran = CliRunner().invoke(app, [*words], input=given, env=env or {})
    assert ran.exit_code == code, ran.output
    return ran


def anonymize(*words):
    """In a process, as it reads standard input as it arrives; by patterns alone."""
    return subprocess.run(
        [sys.executable, "-m", "ft_assets.cli", "anonymize", "--patterns-only", *words],
        input="".join(json.dumps(line) + "\n" for line in LINES),
        capture_output=True,
        text=True,
        timeout=120,
    )


def anonymized(*words):
    ran = anonymize(*words)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_anonymize_by_policy_and_domain(file):
    plain = anonymized()
    assert plain[0]["text"] == "mail <EMAIL_1>, SSN <SSN_1>, born <DATE_1>, age: <AGE_1>"
    clinic = anonymized("--domain", "clinic")
    assert clinic[0]["text"] == "mail <EMAIL_1>, SSN <SSN_1>, born 1980, age: 90+"
    assert anonymized("--policy", "hipaa_safe_harbor") == clinic
    assert [row["spans"] for row in plain] == [row["spans"] for row in clinic]
    assert anonymized("--domain", "plain")[0]["text"].endswith("age: 93")


def test_a_builtin_policy_needs_no_platform_file(file):
    file.unlink()
    assert anonymized("--policy", "hipaa_safe_harbor")[1]["text"] == "from <EMAIL_1>"
    assert "no platform file" in anonymize("--policy", "gdpr_pseudonymized").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--domain", "x"), "no domain 'x'; there are bank, clinic, plain"),
        (("--policy", "hippa"), "unknown policy 'hippa'"),
    ],
)
def test_anonymize_says_what_there_is(file, words, told):
    ran = anonymize(*words)
    assert ran.returncode == 1
    assert told in ran.stderr


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """What the stream gave, and the folder of the vault it filled: to be copied."""
    folder = tmp_path_factory.mktemp("bank")
    with pytest.MonkeyPatch.context() as patch:
        platform_in(folder, patch)
        return anonymized("--domain", "bank"), folder


@pytest.fixture
def surrogate(bank, file):
    rows, folder = bank
    shutil.copytree(folder, file.parent, dirs_exist_ok=True)
    found = [re.search(r"\S+@\S+\.example", row["text"])[0].rstrip(",") for row in rows]
    assert len(set(found)) == 1
    assert re.search("SSN <SSN_[a-z]{20}>", rows[0]["text"])
    return found[0]


def reveal(token, *more, code=0, key=ROLE_KEY, reason="ticket 4711"):
    words = ("vault", "reveal", token, "--role", "support", "--reason", reason)
    return ft(*words, *more, env={"FT_VAULT_ROLE_KEY": key}, code=code)


def test_reveal_and_what_the_log_says(surrogate):
    assert set(reveal(surrogate).stdout.split()) == {"jane@acme.com", "JANE@acme.com"}
    assert "not proved" in reveal(surrogate, code=1, key="").stderr
    told = reveal(surrogate, code=1, reason="for jane@acme.com").stderr
    assert "personal data (EMAIL)" in told
    assert "jane" not in told
    entries = [json.loads(line) for line in ft("vault", "audit").stdout.splitlines()]
    assert [entry["outcome"] for entry in entries] == ["granted", "refused"]
    assert "jane" not in json.dumps(entries)
    assert ft("vault", "audit", "--verify").stdout == "2 entries, none changed, none missing\n"


def test_a_changed_log_is_told(surrogate, file):
    reveal(surrogate)
    log = file.parent / ".ft/vault/audit.jsonl"
    log.write_text(log.read_text().replace("4711", "4712"))
    assert "line 1" in ft("vault", "audit", "--verify", code=1).stderr


def test_erase(surrogate):
    assert "has a key" in ft("vault", "subjects", "user:u1").stdout
    why = ("--reason", "request 17 of art. 17")
    ft("vault", "erase", "user:u1", *why, given="n\n", code=1)
    assert ft("vault", "subjects").stdout.startswith("3 subjects have a key, 0 are erased\n")
    assert "1 keys destroyed" in ft("vault", "erase", "user:u1", *why, "--yes").stdout
    assert "erased" in ft("vault", "subjects", "user:u1").stdout
    # The same address in texts of others is still theirs.
    assert reveal(surrogate).stdout
    ft("vault", "erase", "user:u2", "source:stream", *why, "--yes")
    assert "erased" in reveal(surrogate, code=1).stderr
    erasures = [line for line in ft("vault", "audit").stdout.splitlines() if '"erase"' in line]
    assert len(erasures) == 3
    assert "u1" not in "".join(erasures)
    assert "kind:name" in ft("vault", "erase", "u1", *why, "--yes", code=1).stderr


def test_rotate_keeps_everything(surrogate, file):
    before = kept_secrets(load_platform(file).state_folder)["FT_TENANT_KEY"]
    assert "wrapped by the next tenant key" in ft("vault", "rotate").stdout
    after = kept_secrets(load_platform(file).state_folder)["FT_TENANT_KEY"]
    assert before != after
    assert "jane@acme.com" in reveal(surrogate).stdout.split()
    assert anonymized("--domain", "bank")[1]["text"] == f"from {surrogate}"
    assert ft("vault", "audit", "--verify").stdout.startswith("2 entries")
    told = ft("vault", "audit", env={"FT_TENANT_KEY": before}, code=1).stderr
    assert "is not the key of" in told
    assert before not in told


def test_a_command_without_a_vault_says_so_and_makes_none(file):
    for words in (("audit",), ("subjects",), ("rotate",)):
        assert "no vault at" in ft("vault", *words, code=1).stderr
    assert not (file.parent / ".ft/vault").exists()


def test_a_role_key_fits_its_line():
    key, line = ft("vault", "new-role-key").stdout.splitlines()
    assert re.fullmatch("FT_VAULT_ROLE_KEY=[0-9a-f]{64}", key)
    assert re.fullmatch('key_sha256: "[0-9a-f]{64}"', line)


def test_the_vault_of_the_stream_is_that_of_the_graph(surrogate, file):
    settings = load_platform(file)
    zone = RawZone(
        tenant="default",
        tenant_key=kept_secrets(settings.state_folder)["FT_TENANT_KEY"],
        folder=settings.path(settings.vault.folder),
    )
    assert zone.originals().reveal(surrogate).type == "EMAIL"
