"""The nightly run that removes what retention lets go, beside a running server."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import lakefs
import pytest
from lakefs_sdk import CommitCreation, GarbageCollectionRules

from ft_assets.definitions import defs
from ft_assets.settings import Platform
from ft_resources.lakefs.garbage import GarbageCollector
from ft_sensors.garbage import collect_garbage_nightly, status
from tests.resources.lakefs.running import ServerProcess

DAY = 24 * 3600


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "lakefs")
    yield process
    process.kill()


def run(folder: str) -> dg.ExecuteInProcessResult:
    """The job as the definitions wire it, on another folder."""
    job = dg.Definitions(
        jobs=defs.jobs,
        resources={**(defs.resources or {}), "garbage": GarbageCollector(folder=folder)},
    ).resolve_job_def("collect_garbage")
    return job.execute_in_process(raise_on_error=False)


def removed(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = [e for e in result.all_events if e.is_successful_output]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def test_a_run_removes_what_retention_lets_go_and_says_so(server: ServerProcess):
    client = server.endpoint.client()
    repo = lakefs.Repository("kept", client=client).create("local://kept/x")
    rules = GarbageCollectionRules(default_retention_days=5, branches=[])
    client.sdk_client.repositories_api.set_gc_rules(repo.id, rules)
    commits = []
    for content, days_ago in (("oldest", 20), ("old", 10), ("newest", 1)):
        repo.branch("main").object("x").upload(content)
        date = int(time.time() - days_ago * DAY)
        text = CommitCreation(message=content, date=date)
        commits.append(client.sdk_client.commits_api.commit(repo.id, "main", text).id)
    for file in Path(server.root, "blobs").glob("??/*"):
        os.utime(file, (time.time() - DAY, time.time() - DAY))
    result = run(str(server.root))
    assert result.success
    told = removed(result)
    assert (told["contents"], told["content_bytes"], told["contents_kept"]) == (1, 6, 2)
    assert repo.branch("main").object("x").reader("r").read() == "newest"
    assert repo.ref(commits[1]).object("x").reader("r").read() == "old"
    with pytest.raises(lakefs.exceptions.LakeFSException):
        repo.ref(commits[0]).object("x").reader("r").read()


def test_a_lakefs_elsewhere_is_left_alone():
    (failure,) = [e for e in run("").all_events if e.is_step_failure]
    assert "elsewhere" in failure.step_failure_data.user_failure_data.description
    asked = collect_garbage_nightly(
        dg.build_schedule_context(), garbage=GarbageCollector(folder="")
    )
    assert isinstance(asked, dg.SkipReason)
    assert "services.lakefs.embedded" in (asked.skip_message or "")
    with pytest.raises(RuntimeError, match="elsewhere"):
        GarbageCollector(folder="").collect()


def test_it_runs_by_itself_only_with_retention_and_a_server_of_ours():
    asked = collect_garbage_nightly(
        dg.build_schedule_context(), garbage=GarbageCollector(folder="here")
    )
    assert isinstance(asked, dg.RunRequest)
    assert collect_garbage_nightly.default_status == dg.DefaultScheduleStatus.STOPPED
    retention = {"versioning": {"retention": {"days": 30}}}
    elsewhere = {"services": {"lakefs": {"url": "http://lake:80", "embedded": False}}}
    for given, expected in (
        ({}, dg.DefaultScheduleStatus.STOPPED),
        (retention, dg.DefaultScheduleStatus.RUNNING),
        (retention | elsewhere, dg.DefaultScheduleStatus.STOPPED),
    ):
        assert status(Platform.model_validate({"domains": {"a": {}}, **given})) == expected
