import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

CHILD = [sys.executable, "-m", "ft_resources.child"]
WAITING = "import signal, sys, time; print(*sys.argv, flush=True); time.sleep(60)"
PARENT = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
subprocess.Popen([sys.executable, "-m", "ft_resources.child", str(os.getpid()), "waiting", "a"])
input()
"""


@pytest.fixture
def there(tmp_path):
    (tmp_path / "waiting.py").write_text(WAITING, "utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's death on Linux")
def test_a_killed_parent_takes_its_child_along(there):
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, env=there, stdin=pipe, stdout=pipe) as parent:
        told = parent.stdout.readline().split()
        [child] = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
    assert told[0].endswith(b"waiting.py")
    assert told[1:] == [b"a"]
    for _ in range(100):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    child.kill()
    raise AssertionError("the child lives on")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's death on Linux")
def test_a_parent_that_died_before_is_noticed(there):
    done = subprocess.run([*CHILD, "1", "waiting"], env=there, capture_output=True, timeout=30)
    assert done.returncode == 143
    assert not done.stdout
