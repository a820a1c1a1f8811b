import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from ft_assets.adapters.job import as_line, published, running_job

SCRIPT = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from ft_assets.adapters.job import published, running_job
    with running_job(sys.argv) as (job, report):
        with published(Path(job["out"])) as work:
            (work / "half").write_text("")
            report({"event": "started"})
            time.sleep(60)
""")


@pytest.fixture
def job(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "job.json").write_text(json.dumps({"out": str(tmp_path / "out")}))
    return [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "job.json")]


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.getcwd()}


def test_sigterm_ends_with_143_and_leaves_nothing(tmp_path, job):
    process = subprocess.Popen(job, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    assert process.stdout.readline() == "event=started\n"
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert sorted(f.name for f in tmp_path.iterdir()) == ["job.json", "script.py"]


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux; elsewhere a thread watches")
def test_a_script_ends_with_its_killed_parent(tmp_path, job):
    starter = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent = subprocess.Popen(
        [sys.executable, "-c", starter, *job], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "event=started\n"
    parent.send_signal(signal.SIGKILL)
    # The pipe closes when nobody holds it any more, the script included.
    assert parent.stdout.read() == ""
    parent.communicate()
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_is_published_whole_or_not_at_all(tmp_path):
    out = tmp_path / "deep" / "out"
    with pytest.raises(FileNotFoundError), published(out) as work:
        (work / "a").write_text((tmp_path / "absent").read_text())
    assert list(out.parent.iterdir()) == []
    for text in ("first", "second"):
        with published(out) as work:
            (work / "a").write_text(text)
        assert (out / "a").read_text() == text
        assert [f.name for f in out.parent.iterdir()] == ["out"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".out.writing-1"
    left.mkdir()
    with published(tmp_path / "out"):
        assert not left.exists()


def test_a_job_needs_its_file():
    with pytest.raises(SystemExit, match="usage"), running_job(["x"]):
        pass


def test_facts_as_a_line():
    assert as_line({"domain": "law", "loss": 1.23456, "step": 3}) == "domain=law loss=1.235 step=3"


@pytest.mark.filterwarnings("ignore:Function `PipesMessageReader:UserWarning")
@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
def test_under_dagster_pipes_facts_become_messages_of_the_run(tmp_path):
    import dagster as dg

    file = tmp_path / "job.json"
    file.write_text("{}")
    code = (
        "import sys; from ft_assets.adapters.job import running_job\n"
        "with running_job(sys.argv) as (job, report): report({'step': 1, 'loss': 0.5})"
    )

    @dg.op
    def start(context: dg.OpExecutionContext):
        client = dg.PipesSubprocessClient()
        command = [sys.executable, "-c", code, str(file)]
        found = client.run(command=command, context=context, env=ENVIRONMENT)
        return list(found.get_custom_messages())

    @dg.job
    def one():
        start()

    began = time.monotonic()
    result = one.execute_in_process()
    assert result.output_for_node("start") == [{"step": 1, "loss": 0.5}]
    assert time.monotonic() - began < 60
