import pytest

from ft_assets.settings import PlatformError, load_platform
from ft_assets.stack import PROJECT


def write(tmp_path, text):
    file = tmp_path / "platform.yaml"
    file.write_text(text)
    return file


def test_the_shipped_file_is_valid():
    settings = load_platform(PROJECT / "platform.yaml")
    assert set(settings.domains) == {"healthcare", "finance", "legal", "ecommerce"}


def test_least_that_is_needed(tmp_path):
    settings = load_platform(write(tmp_path, "domains: {energy: }"))
    assert settings.state_folder == tmp_path / ".ft"
    assert settings.landing_folder == str(tmp_path / ".ft/landing")
    logs, _resubmitted = settings.sources("energy", "logs")
    assert logs.files[0] == f"{tmp_path}/.ft/landing/energy/logs*"
    assert settings.path(settings.mlflow.tracking_uri) == (
        f"sqlite:///{tmp_path}/.ft/mlflow/mlflow.db"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("domains: {a: {}}\ncanary: {shere: 1}", ["canary.shere", "unknown key", "share"]),
        ("domains: {a: {sources: {log: []}}}", ["domains.a.sources.log", "logs"]),
        ("domains: {a: {}}\ncanary: {share: 7}", ["canary.share", "7", "less than or equal to 1"]),
        ("domains: {}", ["domains"]),
        ("domains: {a: {}}\ncallers: {crm: {}}", ["callers.crm", "exactly one of key_env"]),
        (
            "domains: {a: {}}\ncallers: {crm: {key_env: K, domains: [b, base]}}",
            ["callers.crm.domains", "no domain b", "a, base"],
        ),
        ("domains: {a: {}}\ncallers: {admin: {key_env: K}}", ["callers.admin", "taken"]),
        ("domains: {a: {}}\nserving: {backend: {kind: tgi}}", ["serving.backend", "vllm"]),
        ("domains: {a: {}}\nserving: {backend: {kind: vllm}}", ["serving.backend", "url"]),
        ("domains: {'Big Co': {}}", ["Big Co", "lower case"]),
        ("domains: {a: {}}\nbase_model: {kind: path}", ["base_model", "'path'"]),
        ("domains: {a: {}}\nservices: {lakefs: {url: 'ftp://x'}}", ["services.lakefs.url", "ftp"]),
        ("domains: {a: {}}\nversioning: {repository: ft}", ["versioning.repository", "'ft'"]),
        (
            "domains: {a: {}}\nversioning: {retention: {days: 0}}",
            ["versioning.retention.days", "greater than or equal to 1", "0"],
        ),
        (
            "domains: {a: {}}\nversioning: {retention: {days: 9, branches: {main: weeks}}}",
            ["versioning.retention.branches.main", "'weeks'"],
        ),
        (
            "domains: {a: {}}\nversioning: {retention: {branches: {main: 9}}}",
            ["versioning.retention.days", "required"],
        ),
        (
            "domains: {a: {}}\nversioning: {hooks: {functions: {check: checks.py}}}",
            ["versioning.hooks.functions.check", "'checks.py'"],
        ),
        (
            "domains: {a: {}}\nservices: {lakefs: {url: 'http://lake:80', embedded: false}}\n"
            "versioning: {import_folder: feeds}",
            ["versioning.import_folder", "embedded"],
        ),
        (
            "domains: {a: {anonymization: {operators: {EMAIL: {operator: mask, last: 4}}}}}",
            ["domains.a.anonymization.operators.EMAIL.mask.last", "keep_last, masking_char"],
        ),
        (
            "domains: {a: {anonymization: {operators: {EMIAL: redact}}}}",
            ["unknown type 'EMIAL'", "EMAIL"],
        ),
        (
            "domains: {a: {}}\nanonymization: {operators: {SSN: blur}}",
            ["anonymization.operators.SSN", "blur", "pseudonymize"],
        ),
        (
            "domains: {a: {anonymization: {operators: {AGE: shift_dates}}}}",
            ["domains.a.anonymization", "AGE: 'shift_dates'", "generalise"],
        ),
        (
            "domains: {a: {}}\nanonymization: {policy: hippa}",
            ["anonymization: unknown policy 'hippa'", "hipaa_safe_harbor"],
        ),
        (
            "domains: {a: {}}\nanonymization: {policies: {placeholders: {SSN: redact}}}",
            ["anonymization.policies", "placeholders: built in"],
        ),
        (
            "domains: {a: {}}\nvault: {roles: {dpo: {types: [EMIAL], key_sha256: ab}}}",
            ["vault.roles.dpo.types", "EMIAL", "vault.roles.dpo.key_sha256"],
        ),
        ("- a", ["expected keys and values"]),
        ("domains: [", ["not YAML"]),
        ("root: /\ndomains: {a: {}}", ["root"]),
    ],
)
def test_an_error_names_key_value_and_what_is_allowed(tmp_path, text, told):
    with pytest.raises(PlatformError) as error:
        load_platform(write(tmp_path, text))
    assert not [word for word in told if word not in str(error.value)], str(error.value)


def test_a_missing_file_says_how_to_name_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="FT_PLATFORM"):
        load_platform(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("data", "{root}/data"),
        ("/data", "/data"),
        ("{state}/x", "{root}/.ft/x"),
        ("s3://bucket/logs", "s3://bucket/logs"),
        ("sqlite:////abs/m.db", "sqlite:////abs/m.db"),
        ("https://mlflow.example.org", "https://mlflow.example.org"),
    ],
)
def test_paths(tmp_path, value, expected):
    settings = load_platform(write(tmp_path, "domains: {a: {}}"))
    assert settings.path(value) == expected.replace("{root}", str(tmp_path))


def test_a_service_tells_host_and_port(tmp_path):
    settings = load_platform(
        write(tmp_path, "domains: {a: {}}\nservices: {lakefs: {url: 'https://lake.example.org/'}}")
    )
    assert (settings.services.lakefs.host, settings.services.lakefs.port) == (
        "lake.example.org",
        443,
    )


def operator_names(settings, domain, policy=None):
    chosen = settings.operators_of(domain, policy)
    return {kind: operator.operator for kind, operator in chosen.items()}


def test_the_operators_of_a_domain(tmp_path):
    text = """
anonymization:
  operators: {EMAIL: redact}
  policies: {mine: {DEFAULT: mask}}
domains:
  a: {}
  b: {anonymization: {operators: {EMAIL: hash}}}
  c: {anonymization: {policy: hipaa_safe_harbor, operators: {ORG: keep}}}
  d: {anonymization: {policy: mine}}
"""
    settings = load_platform(write(tmp_path, text))
    assert operator_names(settings, None)["EMAIL"] == "redact"
    assert operator_names(settings, "a") == operator_names(settings, None)
    assert operator_names(settings, "b") == operator_names(settings, "a") | {"EMAIL": "hash"}
    c = operator_names(settings, "c")
    assert (c["DATE"], c["ORG"], c["EMAIL"]) == ("generalise", "keep", "replace")
    assert set(operator_names(settings, "d").values()) == {"mask"}
    assert operator_names(settings, "c", "placeholders")["ORG"] == "keep"
    assert operator_names(settings, "b", "placeholders")["EMAIL"] == "replace"
