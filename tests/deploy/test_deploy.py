"""What deploy/ holds is read by what reads it, is locked down, and names nothing that is not there.

promtool is of the Debian package `prometheus`; FT_COMPOSE_SCHEMA names a compose-spec.json (the
Python package docker-compose has one). Without them their tests are skipped and say so. The values
of the Dagster chart are checked for what is asked of every container here; `helm` is not run.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ft_assets.settings import load_platform
from ft_resources import secrets
from ft_resources.gateway.engine import Engine
from ft_resources.gateway.metrics import Metrics

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes/gateway.yaml").read_text("utf-8")))
VALUES = yaml.safe_load((DEPLOY / "kubernetes/dagster-values.yaml").read_text("utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/gateway.json").read_text("utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text("utf-8"))
METRIC = re.compile(r"\b(?:ft|process)_[a-z0-9_]+\b|vllm:[a-z_]+")
OTHERS = {"up"}  # of Prometheus itself
PROMTOOL = shutil.which(os.environ.get("PROMTOOL", "promtool"))
SCHEMA = os.environ.get("FT_COMPOSE_SCHEMA")


@pytest.fixture(scope="module")
def told():
    """Names of the samples that a gateway tells, with and without traffic."""
    metrics = Metrics(["legal"])
    engine = Engine()
    metrics.engine(engine, 0)
    names = set()
    for family in text_string_to_metric_families(metrics.render().decode()):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def expressions():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield f"variable {variable['name']}", variable["query"]
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=lambda value: value[:40])
def test_every_metric_that_is_looked_at_is_told(told, where, expression):
    named = set(METRIC.findall(expression)) | (OTHERS & set(re.findall(r"\w+", expression)))
    assert named, f"{where} looks at no metric"
    assert named <= told | OTHERS, where


def test_panels_lie_side_by_side():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "prometheus.yaml"],
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts.test.yaml"],
    ],
)
@pytest.mark.skipif(not PROMTOOL, reason="promtool is missing: apt install prometheus")
def test_promtool(arguments):
    done = subprocess.run(
        [str(PROMTOOL), *arguments],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do():
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    for rule in rules:
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert len({rule["alert"] for rule in rules}) == len(rules)


def test_the_platform_file_is_read():
    settings = load_platform(DEPLOY / "platform.yaml")
    for name in ("lakefs", "gateway", "dagster", "mlflow"):
        service = getattr(settings.services, name)
        assert not service.embedded
        assert service.host in COMPOSE["services"]
        assert settings.state_folder == Path("/var/lib/ft")


@pytest.mark.parametrize("folder", [".", "kubernetes"])
def test_dagster_reads_its_instance(tmp_path, folder):
    from dagster._core.instance.config import dagster_instance_config

    shutil.copy(DEPLOY / folder / "dagster.yaml", tmp_path / "dagster.yaml")
    config, _ = dagster_instance_config(str(tmp_path))
    here = yaml.safe_load((PROJECT / "dagster.yaml").read_text("utf-8"))
    assert "postgres" in config["storage"]
    assert {key: config[key] for key in here} == here  # what is decided there holds here


@pytest.mark.skipif(not SCHEMA, reason="FT_COMPOSE_SCHEMA names no compose-spec.json")
def test_the_schema_of_compose():
    import jsonschema

    known = {key: value for key, value in COMPOSE.items() if key != "name"}  # newer than some
    schema = json.loads(Path(str(SCHEMA)).read_text("utf-8"))
    jsonschema.Draft7Validator(schema).validate(known)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_is_locked_down(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert int(service["user"].split(":")[0]) > 0
    assert re.search(r":v?\d+\.\d+[\w.-]*$", service["image"]), "an image by its exact version"
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "privileged" not in service
    assert service.get("network_mode") is None
    for volume in service.get("volumes", []):
        assert not volume.startswith("/"), "no folder of the host"


def test_only_what_faces_people_has_a_way_out():
    reached = {n for n, s in COMPOSE["services"].items() if "front" in s["networks"]}
    assert reached == {"gateway", "webserver", "grafana"}
    assert COMPOSE["networks"]["back"] == COMPOSE["networks"]["model"] == {"internal": True}
    with_vllm = {n for n, s in COMPOSE["services"].items() if "model" in s["networks"]}
    assert with_vllm == {"vllm", "gateway", "prometheus"}


def test_no_file_holds_a_secret():
    secret = re.compile(r"(PASSWORD|SECRET\w*|\w+_KEY|\w*KEY_ID)$")
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if secret.search(name):
                assert re.fullmatch(r"\$\{\w+:[?-].*\}", value), name
    named = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text("utf-8")))
    assert named >= set(secrets.GENERATED)
    told = (PROJECT / "docs/deployment.md").read_text("utf-8")
    assert all(f"`{name}`" in told for name in named)


def pods():
    for document in KUBERNETES:
        if document["kind"] == "Deployment":
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=lambda value: str(value)[:10])
def test_a_pod_is_locked_down(name, pod):
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"] is True
        assert locked["allowPrivilegeEscalation"] is False
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert re.search(r":v?\d+\.\d+[\w.-]*$", container["image"])
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_vllm_is_reached_by_the_gateway_alone():
    [policy] = [d for d in KUBERNETES if d["kind"] == "NetworkPolicy"]
    labels = {d["metadata"]["name"]: d["spec"]["template"]["metadata"]["labels"]
              for d in KUBERNETES if d["kind"] == "Deployment"}  # fmt: skip
    assert policy["spec"]["podSelector"]["matchLabels"] == labels["vllm"]
    first, *others = policy["spec"]["ingress"][0]["from"]
    assert first["podSelector"]["matchLabels"] == labels["gateway"]
    assert [o["podSelector"]["matchLabels"] for o in others] == [
        {"app.kubernetes.io/name": "prometheus"}
    ]
    assert policy["spec"]["egress"] == []


def test_both_start_vllm_alike():
    compose = COMPOSE["services"]["vllm"]["command"]
    [vllm] = [pod for name, pod in pods() if name == "vllm"]
    assert vllm["containers"][0]["args"] == compose
    assert compose[compose.index("--model") + 1] == str(
        load_platform(DEPLOY / "platform.yaml").base_model.path
    )


def test_the_values_of_the_dagster_chart():
    [code] = VALUES["dagster-user-deployments"]["deployments"]
    parts = [VALUES["dagsterWebserver"], VALUES["dagsterDaemon"], code]
    for part in parts:
        assert part["podSecurityContext"]["runAsNonRoot"] is True
        assert part["securityContext"]["allowPrivilegeEscalation"] is False
        assert part["resources"].keys() == {"requests", "limits"}
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    assert launcher["volumes"] == code["volumes"]  # a run reads what the code location reads
    assert launcher["envSecrets"] == code["envSecrets"]
