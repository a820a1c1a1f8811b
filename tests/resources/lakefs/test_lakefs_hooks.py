"""Hooks: actions of a repository, before and after what happens to its branches and tags."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lakefs
import pytest
import yaml
from lakefs.exceptions import LakeFSException
from lakefs_sdk import BranchProtectionRule

from ft_resources.lakefs.server import actions
from ft_resources.lakefs.server.actions import EVENTS
from ft_resources.lakefs.server.errors import PreconditionFailed
from ft_resources.lakefs.server.hooks import Hooks, Outcome
from ft_resources.lakefs.server.options import load_functions
from tests.resources.lakefs.conftest import new_repository
from tests.resources.lakefs.running import Endpoint, ServerProcess

FUNCTIONS = "tests.resources.lakefs.hook_functions"
WORDS = [f"{name}={FUNCTIONS}:{name}" for name in ("needs_ticket", "refuse", "accept")]


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("hooked")
    server = ServerProcess(folder / "root", str(folder), *WORDS)
    yield server.endpoint
    assert server.stop() == 0


@pytest.fixture
def repo(hooked: Endpoint) -> lakefs.Repository:
    return new_repository(hooked.client())


class Listener:
    """A webhook of the test's own: keeps what it was sent, and answers as it is told."""

    def __init__(self) -> None:
        self.events: list[dict] = []
        self.status = 200
        self.react: Callable[[dict], None] = lambda event: None
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                listener.events.append({**event, "path": self.path, "head": dict(self.headers)})
                listener.react(event)
                self.send_response(listener.status)
                self.send_header("location", f"{listener.url}/elsewhere")
                self.end_headers()
                self.wfile.write(b"seen")

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the terminal."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.server.shutdown()
    found.server.server_close()


def action(event: str, *hooks: dict, branches: list[str] | None = None) -> bytes:
    on = {event: {"branches": branches} if branches else None}
    return yaml.safe_dump({"name": f"{event} action", "on": on, "hooks": list(hooks)}).encode()


def function(name: str, **more: object) -> dict:
    return {"id": name, "type": "python", "properties": {"function": name}, **more}


def webhook(url: str, **more: object) -> dict:
    return {"id": "call", "type": "webhook", "properties": {"url": url, **more}}


def install(branch: lakefs.Branch, name: str, content: bytes) -> None:
    branch.object(f"_lakefs_actions/{name}.yaml").upload(content)


def runs(endpoint: Endpoint, repo: lakefs.Repository, count: int, query: str = "") -> list[dict]:
    """The runs of a repository, when there are that many: hooks after an event come later."""
    deadline = time.monotonic() + 10
    while True:
        path = f"/repositories/{repo.id}/actions/runs?{query}"
        found = endpoint.request("GET", path).json()["results"]
        if len(found) >= count or time.monotonic() > deadline:
            assert len(found) == count
            return found
        time.sleep(0.02)


def test_a_commit_is_refused_and_kept(hooked, repo):
    main = repo.branch("main")
    install(main, "ticket", action("pre-commit", function("needs_ticket")))
    main.object("x").upload(b"1")
    with pytest.raises(LakeFSException) as refused:
        main.commit("no ticket")
    assert refused.value.status_code == 412
    assert "hook 'needs_ticket' failed" in str(refused.value)
    assert len(list(main.log())) == 1
    assert {change.path for change in main.uncommitted()} == {"x", "_lakefs_actions/ticket.yaml"}
    commit = main.commit("a ticket", metadata={"ticket": "7"}).get_commit()
    good, bad = runs(hooked, repo, 2)
    assert (good["status"], bad["status"]) == ("completed", "failed")
    assert (good["commit_id"], bad["commit_id"]) == (commit.id, "")
    api = hooked.client().sdk_client.actions_api
    assert api.get_run(repo.id, bad["run_id"]).event_type == "pre-commit"
    (hook,) = api.list_run_hooks(repo.id, bad["run_id"]).results
    assert (hook.hook_id, hook.action, hook.status) == (
        "needs_ticket",
        "pre-commit action",
        "failed",
    )
    path = f"/repositories/{repo.id}/actions/runs/{bad['run_id']}/hooks/{hook.hook_run_id}/output"
    output = hooked.request("GET", path)
    assert output.data.decode() == "ValueError: pre-commit on main has no ticket"
    assert output.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "event", sorted(event for event in EVENTS if event.startswith("pre-") and event != "pre-commit")
)
def test_every_pre_event_aborts(hooked, repo, event):
    main = repo.branch("main")
    main.object("x").upload(b"1")
    main.commit("x")
    dev = repo.branch("dev").create("main")
    dev.object("y").upload(b"1")
    dev.commit("y")
    repo.tag("old").create("main")
    for branch in (main, dev):
        install(branch, "no", action(event, function("refuse")))
        branch.commit("hook")
    repo.tag("new").create("main") if event == "pre-delete-tag" else None
    before = main.head.id
    base = f"/repositories/{repo.id}"
    method, path, body = {
        "pre-merge": ("POST", "/refs/dev/merge/main", {}),
        "pre-revert": ("POST", "/branches/main/revert", {"ref": "main", "parent_number": 0}),
        "pre-cherry-pick": ("POST", "/branches/main/cherry-pick", {"ref": "dev"}),
        "pre-create-branch": ("POST", "/branches", {"name": "b", "source": "main"}),
        "pre-delete-branch": ("DELETE", "/branches/dev", None),
        "pre-create-tag": ("POST", "/tags", {"id": "t", "ref": "main"}),
        "pre-delete-tag": ("DELETE", "/tags/new", None),
    }[event]
    if event == "pre-cherry-pick":
        body = {"ref": "dev~1"}
        main.object("other").upload(b"1")
        main.commit("other")
        before = main.head.id
        # The commit that is picked must hold the action.
        dev.object("z").upload(b"1")
        body = {"ref": dev.commit("z").get_commit().id}
    got = hooked.request(method, base + path, json=body)
    assert (got.status, "hook aborted" in got.json()["message"]) == (412, True), got.data
    assert main.head.id == before
    assert {b.id for b in repo.branches()} == {"main", "dev"}
    assert {t.id for t in repo.tags()} - {"new"} == {"old"}
    found = runs(hooked, repo, 1)
    assert [run["event_type"] for run in found] == [event]


def test_what_a_webhook_is_told(hooked, repo, listener):
    main, dev = repo.branch("main"), repo.branch("dev").create("main")
    hook = webhook(listener.url + "/h", query_params={"a": "b"}, headers={"X-Who": "me"})
    install(dev, "a", action("pre-merge", hook, branches=["ma*"]))
    head = dev.commit("hook").get_commit().id
    merged = dev.merge_into(main, metadata={"k": "v"})
    (event,) = listener.events
    assert event.pop("head")["X-Who"] == "me"
    assert event.pop("event_time")
    assert event == {
        "path": "/h?a=b",
        "event_type": "pre-merge",
        "action_name": "pre-merge action",
        "hook_id": "call",
        "repository_id": repo.id,
        "branch_id": "main",
        "source_ref": head,
        "commit_message": "Merge 'dev' into 'main'",
        "committer": "admin",
        "commit_metadata": {"k": "v"},
        "merge_source": "dev",
    }
    (run,) = runs(hooked, repo, 1)
    assert run["commit_id"] == merged


def test_other_branches_do_not_ask(hooked, repo):
    main = repo.branch("main")
    install(main, "no", action("pre-commit", function("refuse"), branches=["release-*"]))
    main.commit("hook")
    repo.branch("release-1").create("main").object("x").upload(b"1")
    with pytest.raises(LakeFSException, match="hook aborted"):
        repo.branch("release-1").commit("x")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_other_than_2xx_refuses(hooked, repo, listener, status):
    listener.status = status
    install(repo.branch("main"), "a", action("pre-commit", webhook(listener.url)))
    with pytest.raises(LakeFSException, match="hook aborted"):
        repo.branch("main").commit("x")
    assert [event["path"] for event in listener.events] == ["/"]


def test_branch_is_locked_for_writes_and_can_be_read(hooked, repo, listener):
    main = repo.branch("main")
    main.object("x").upload(b"1")
    seen = []

    def react(event: dict) -> None:
        path = f"/repositories/{repo.id}"
        seen.append(hooked.request("GET", f"{path}/refs/main/objects?path=x").data)
        for method, call in (
            ("POST", "/branches/main/objects?path=y"),
            ("DELETE", "/branches/main/objects?path=x"),
            ("POST", "/branches/main/commits"),
            ("DELETE", "/branches/main"),
            ("PUT", "/branches/main"),
        ):
            body = {"message": "m", "type": "reset"} if call.endswith(("commits", "main")) else {}
            seen.append(hooked.request(method, path + call, json=body).status)
        other = hooked.request("POST", f"{path}/branches", json={"name": "other", "source": "main"})
        seen.append(other.status)

    listener.react = react
    install(main, "a", action("pre-commit", webhook(listener.url), branches=["main"]))
    main.commit("x")
    assert seen == [b"1", 429, 429, 429, 429, 429, 201]
    main.object("y").upload(b"free again")


def test_what_a_preparing_hook_stages_is_committed(hooked, repo, listener):
    main = repo.branch("main")
    install(main, "stamp", action("prepare-commit", webhook(listener.url)))
    install(main, "check", action("pre-commit", function("accept")))
    listener.react = lambda event: main.object("stamp").upload(event["commit_message"])
    commit = main.commit("first").get_commit()
    assert repo.commit(commit.id).object("stamp").reader("r").read() == "first"
    assert list(main.uncommitted()) == []
    commit = main.commit("nothing but the stamp").get_commit()
    assert {change.path for change in repo.commit(commit.id + "~1").diff(commit.id)} == {"stamp"}
    assert [event["event_type"] for event in listener.events] == ["prepare-commit"] * 2
    wanted = ["pre-commit", "prepare-commit"] * 2
    assert [run["event_type"] for run in runs(hooked, repo, 4)] == wanted


def test_a_preparing_hook_aborts(hooked, repo, listener):
    main = repo.branch("main")
    install(main, "stamp", action("prepare-commit", webhook(listener.url)))
    listener.status = 400
    with pytest.raises(LakeFSException) as refused:
        main.commit("first")
    assert refused.value.status_code == 412
    assert "prepare-commit hook aborted" in str(refused.value)
    assert len(list(main.log())) == 1
    listener.status = 200
    assert main.commit("first").get_commit().message == "first"
    hooked.client().sdk_client.repositories_api.set_branch_protection_rules(
        repo.id, [BranchProtectionRule(pattern="main")]
    )
    asked = len(listener.events)
    with pytest.raises(LakeFSException, match="protected"):
        main.commit("protected", allow_empty=True)
    assert len(listener.events) == asked


def test_hooks_are_asked_only_about_what_would_succeed(hooked, repo, listener):
    main = repo.branch("main")
    install(main, "a", action("pre-commit", webhook(listener.url)))
    main.commit("hook")
    with pytest.raises(LakeFSException, match="no changes"):
        main.commit("nothing")
    assert len(listener.events) == 1


def test_hooks_after_an_event_change_nothing(hooked, repo, listener):
    listener.status = 500
    main = repo.branch("main")
    install(main, "a", action("post-commit", webhook(listener.url)))
    commit = main.commit("x").get_commit().id
    (run,) = runs(hooked, repo, 1)
    assert (run["event_type"], run["commit_id"], run["status"]) == ("post-commit", commit, "failed")
    assert listener.events[0]["commit_id"] == commit
    assert runs(hooked, repo, 1, f"commit={commit}")
    runs(hooked, repo, 0, "branch=other")


def test_conditions_and_order(hooked, repo):
    hooks = [
        function("accept"),
        function("refuse"),
        {**function("accept"), "id": "skipped"},
        {**function("accept"), "id": "on failure", "if": "failure()"},
        {**function("accept"), "id": "always", "if": "always()"},
    ]
    install(repo.branch("main"), "a", action("pre-commit", *hooks))
    with pytest.raises(LakeFSException, match="hook aborted"):
        repo.branch("main").commit("x")
    (run,) = runs(hooked, repo, 1)
    path = f"/repositories/{repo.id}/actions/runs/{run['run_id']}/hooks"
    first = hooked.request("GET", f"{path}?amount=2").json()
    rest = hooked.request("GET", f"{path}?after={first['pagination']['next_offset']}").json()
    found = [(h["hook_id"], h["status"]) for h in first["results"] + rest["results"]]
    assert found == [
        ("accept", "completed"),
        ("refuse", "failed"),
        ("on failure", "completed"),
        ("always", "completed"),
    ]


GOOD = {"name": "n", "on": {"pre-commit": None}, "hooks": [function("accept")]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": ""}, "has no name"),
        ({"on": {}}, "no events"),
        ({"on": {"pre-lunch": None}}, "event 'pre-lunch'"),
        ({"on": {"pre-commit": {"branches": "main"}}}, "must list the branches"),
        ({"hooks": []}, "has no hooks"),
        ({"hooks": [function("a"), function("a")]}, "two hooks with one id"),
        ({"hooks": [{"type": "webhook"}]}, "without an id"),
        ({"hooks": [function("a", type="lua")]}, "runs webhook and python"),
        ({"hooks": [function("a", **{"if": "x == 1"})]}, "condition 'x == 1'"),
        ({"hooks": [{"id": "a", "type": "webhook"}]}, "no property 'url'"),
        ({"hooks": [webhook("http://localhost", timeout="soon")]}, "timeout 'soon'"),
        ({"hooks": [webhook("http://localhost", timeout="2h")]}, "timeout '2h'"),
        ({"hooks": [webhook("http://localhost", headers=[])]}, "headers must be a mapping"),
    ],
)
def test_a_wrong_action_is_named(change, told):
    with pytest.raises(PreconditionFailed, match=rf"action f\.yaml .*{told}"):
        actions.parse("f.yaml", json.dumps({**GOOD, **change}).encode())


def test_a_wrong_action_stops_the_commit_until_it_is_corrected(repo):
    main = repo.branch("main")
    main.object("_lakefs_actions/a.yaml").upload(b"{")
    with pytest.raises(LakeFSException, match=r"_lakefs_actions/a\.yaml is not YAML"):
        main.commit("x")
    main.object("_lakefs_actions/a.yaml").upload(yaml.safe_dump(GOOD).encode())
    main.commit("x")


def test_yaml_reads_on_as_true():
    hook = b"{id: a, type: python, properties: {function: f}}"
    content = b"name: n\non:\n  pre-commit:\nhooks:\n  - " + hook
    assert actions.parse("f", content).wants("pre-commit", "any")


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://example.org/",
        "http://127.0.0.1.example.org/",
        "http://localhost@example.org/",
        "http://example.org\\@127.0.0.1/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
    ],
)
def test_webhooks_stay_on_this_machine(url):
    (hook,) = actions.parse("f", action("pre-commit", webhook(url))).hooks
    outcome = Hooks().run(hook, {})
    assert not outcome.passed
    assert "not on this machine" in outcome.output


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://127.0.0.1:port/", "//127.0.0.1/", "ftp://127.0.0.1/", "127.0.0.1"],
)
def test_a_webhook_that_is_no_address_refuses(url):
    (hook,) = actions.parse("f", action("pre-commit", webhook(url))).hooks
    assert not Hooks().run(hook, {}).passed


def test_a_host_can_be_allowed(listener):
    port = listener.server.server_port
    # Another name of this machine, which only the configuration makes good.
    (hook,) = actions.parse("f", action("pre-commit", webhook(f"http://ip6-none:{port}"))).hooks
    assert "not on this machine" in Hooks().run(hook, {}).output
    assert "ConnectionError" in Hooks(hosts=frozenset({f"ip6-none:{port}"})).run(hook, {}).output


def test_a_slow_webhook_is_given_up(listener):
    listener.react = lambda event: time.sleep(0.5)
    (hook,) = actions.parse("f", action("pre-commit", webhook(listener.url, timeout="50ms"))).hooks
    outcome = Hooks().run(hook, {})
    assert (outcome.passed, "ReadTimeout" in outcome.output) == (False, True)


def test_a_slow_function_is_given_up():
    released = threading.Event()
    hooks = Hooks({"slow": lambda event: released.wait(10)})
    slow = {"id": "a", "type": "python", "properties": {"function": "slow", "timeout": "50ms"}}
    (hook,) = actions.parse("f", action("pre-commit", slow)).hooks
    outcome = hooks.run(hook, {})
    released.set()
    assert outcome == Outcome(False, "function 'slow' did not end within 0.05 s")


def test_an_unregistered_function_refuses():
    (hook,) = actions.parse("f", action("pre-commit", function("os.system"))).hooks
    assert "no function 'os.system'" in Hooks().run(hook, {}).output


@pytest.mark.parametrize(
    "word", ["x", "x=y", "x=nowhere:f", f"x={FUNCTIONS}:nothing", "x=sys:path"]
)
def test_a_function_that_cannot_be_loaded_is_told(word):
    with pytest.raises(ValueError, match=f"hook '{word}'"):
        load_functions([word])


def test_version_1_is_taken_over(server: ServerProcess, tmp_path: Path):
    """A folder of the version before: no tables of runs yet."""
    import sqlite3

    repo = lakefs.Repository("older", client=server.endpoint.client()).create("local://older/x")
    server.stop()
    with sqlite3.connect(server.root / "older.sqlite") as db:
        db.executescript("DROP TABLE run; DROP TABLE hook_run; PRAGMA user_version = 1")
    db.close()
    server.start()
    repo.branch("main").object("x").upload(b"1")
    assert repo.branch("main").commit("x")
    runs(server.endpoint, repo, 0)
