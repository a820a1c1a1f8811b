"""What `ft up` would start, without starting it; and its lakeFS, started alone."""

import http.server
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from ft_assets.settings import load_platform
from ft_assets.stack import Stack, StackError, free_port
from ft_resources import secrets
from tests.resources.lakefs.running import ServerProcess

RULES = "versioning: {retention: {days: 30, branches: {main: 365}}}"


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_each_process_is_ready_when_its_own_address_answers(tmp_path):
    names = ("lakefs", "gateway", "dagster", "mlflow")
    lines = [f"  {name}: {{url: 'http://127.0.0.1:{free_port()}'}}" for name in names]
    file = tmp_path / "platform.yaml"
    file.write_text("\n".join(["domains: {a: {}}", "services:", *lines]))
    settings = load_platform(file)
    probes = {p.name: p.ready for p in Stack(file, settings).processes}
    served = {"lakefs": "lakefs", "gateway": "gateway", "webserver": "dagster", "mlflow": "mlflow"}
    assert served.keys() <= probes.keys()
    for process, service in served.items():
        assert not probes[process]()
        port = getattr(settings.services, service).port
        with http.server.HTTPServer(("127.0.0.1", port), Healthy) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            ready = {name for name in served if probes[name]()}
            server.shutdown()
            thread.join()
        assert ready == {process}


@contextmanager
def lakefs_alone(folder: Path, versioning: str = "") -> Generator[tuple[Stack, requests.Session]]:
    """The stack of a platform file with nothing but lakeFS started, and plain HTTP to its API."""
    names = ("lakefs", "gateway", "dagster", "mlflow")
    lines = [f"  {name}: {{url: 'http://127.0.0.1:{free_port()}'}}" for name in names]
    file = folder / "platform.yaml"
    file.write_text("\n".join(["domains: {a: {}}", "services:", *lines, versioning]))
    stack = Stack(file, load_platform(file))
    stack.processes = [process for process in stack.processes if process.name == "lakefs"]
    api = requests.Session()
    api.auth = (
        stack.secrets[secrets.LAKEFS_ACCESS_KEY_ID],
        stack.secrets[secrets.LAKEFS_SECRET_ACCESS_KEY],
    )
    stack.start(lambda line: None)
    try:
        yield stack, api
    finally:
        stack.stop()


def gc_rules(stack: Stack, api: requests.Session) -> list[dict | None]:
    base = f"{stack.platform.services.lakefs.url}/api/v1/repositories"
    answers = [api.get(f"{base}/{name}/settings/gc_rules") for name in ("ft-raw", "ft-corpora")]
    return [answer.json() if answer.status_code == 200 else None for answer in answers]


def test_retention_of_the_platform_file_is_set_and_taken_away(tmp_path):
    with lakefs_alone(tmp_path) as (stack, api):
        assert gc_rules(stack, api) == [None, None]
    wanted = {
        "default_retention_days": 30,
        "branches": [{"branch_id": "main", "retention_days": 365}],
    }
    with lakefs_alone(tmp_path, RULES) as (stack, api):
        assert gc_rules(stack, api) == [wanted, wanted]
    with lakefs_alone(tmp_path) as (stack, api):
        assert gc_rules(stack, api) == [None, None]


def test_a_server_elsewhere_keeps_its_rules_unless_some_are_given(tmp_path):
    server = ServerProcess(tmp_path / "elsewhere")
    try:
        here = f"services: {{lakefs: {{url: '{server.endpoint.url}', embedded: false}}}}"
        rules = RULES.removeprefix("versioning: {").removesuffix("}")
        for versioning, expected in (("", []), (rules, ["ft-corpora", "ft-raw"])):
            file = tmp_path / "platform.yaml"
            file.write_text(f"domains: {{a: {{}}}}\n{here}\nversioning: {{{versioning}}}")
            stack = Stack(file, load_platform(file))
            stack.secrets[secrets.LAKEFS_ACCESS_KEY_ID] = server.endpoint.access_key_id
            stack.secrets[secrets.LAKEFS_SECRET_ACCESS_KEY] = server.endpoint.secret_access_key
            stack.set_retention()
            assert [
                repo.id
                for repo in server.endpoint.client()
                .sdk_client.repositories_api.list_repositories()
                .results
            ] == expected
        stack.secrets[secrets.LAKEFS_SECRET_ACCESS_KEY] = "another"
        with pytest.raises(StackError, match=r"versioning\.retention .* refuses access key"):
            stack.set_retention()
    finally:
        server.kill()


def test_the_embedded_lakefs_gets_import_folder_and_hooks(tmp_path):
    options = (
        "versioning: {import_folder: feeds, hooks: {functions: {check: "
        "'tests.resources.lakefs.hook_functions:accept'}, hosts: ['ci:8080']}}"
    )
    missing = pytest.raises(StackError, match=r"no folder at .*/feeds to import from")
    with missing, lakefs_alone(tmp_path, options):
        pass
    (tmp_path / "feeds").mkdir()
    with lakefs_alone(tmp_path, options) as (stack, api):
        url = stack.platform.services.lakefs.url
        storage = api.get(f"{url}/api/v1/config").json()["storage_config"]
        assert storage["import_support"]
    command = stack.processes[0].command
    assert command[command.index("--hook-host") + 1] == "ci:8080"
    unknown = "versioning: {hooks: {functions: {check: 'no_such:f'}}}"
    missing = pytest.raises(StackError, match=r"hook 'check=no_such:f' cannot be loaded")
    with missing, lakefs_alone(tmp_path, unknown):
        pass
