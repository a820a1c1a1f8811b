"""Rollouts on a disk, with the routing as a plain dict."""

import errno
import json
import os

import pytest

from ft_resources.gateway.rollout import eventlog
from ft_resources.gateway.rollout.plan import read_plan
from ft_resources.gateway.rollout.rollouts import Rollouts
from ft_resources.gateway.routing import Route, choose, follow

OLD, NEW, NEWER = "legal@0000", "legal@1111", "legal@2222"
PLAN = {"shadow_answers": 0, "steps": [0.5], "window_seconds": 3600, "step_answers": 0}
KEY = b"salt"


class Place:
    def __init__(self, folder):
        self.folder, self.routes, self.acts, self.wall = folder, {"legal": Route(OLD)}, 0, 1000.0
        self.running = None

    def start(self):
        self.running = Rollouts(
            self.folder / "rollouts",
            KEY,
            ["legal"],
            lambda domain: self.routes[domain],
            self.act,
            lambda: self.wall,
        )
        self.running.start()
        return self.running

    def act(self, machine):
        self.acts += 1
        self.routes["legal"] = follow(self.routes["legal"], machine)

    def talk(self, i, score="up"):
        route = self.routes["legal"]
        arm, name = choose(route, "legal", f"s{i}", KEY)
        drawn = self.running.begin("legal", arm, route, f"s{i}", f"user {i}")
        if drawn is None:
            return
        self.running.answered(drawn, f"a{i}", [])
        row = {"domain": "legal", "event_id": f"a{i}", "model_version": name, "thumb": score}
        self.running.reacted(row).result()

    def file(self):
        return max((self.folder / "rollouts" / "legal").glob("*.jsonl"))


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.start()
    yield made
    made.running.stop()


def told(status):
    """What must be the same after a restart."""
    return {key: value for key, value in status.items() if key != "now"}


def test_a_restart_has_the_same_evidence_and_goes_on(place):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    for i in range(30):
        place.talk(i)
    before, route = place.running.status("legal"), place.routes["legal"]
    assert (route.canary, route.control, route.share) == (NEW, OLD, 0.5)
    place.running.stop()
    place.wall -= 500.0  # the clock of the machine was set back meanwhile
    place.start()
    after = place.running.status("legal")
    assert told(after) == told(before)
    assert after["now"] == before["now"]
    assert place.routes["legal"] == route
    place.talk(31)
    assert place.running.status("legal")["now"] >= before["now"]


def test_every_byte_lost_from_the_end_is_a_whole_earlier_state(place):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    for i in range(3):
        place.talk(i)
    place.running.stop()
    data = place.file().read_bytes()
    whole = eventlog.read_events(place.file())
    for size in range(len(data) - 1, len(data) - 300, -1):
        place.file().write_bytes(data[:size])
        events = eventlog.read_events(place.file(), repair=True)
        assert events == whole[: len(events)]
        log = eventlog.EventLog(place.file())
        log.append({"kind": "tick", "t": 0})
        log.close()
        assert eventlog.read_events(place.file()) == [*events, {"kind": "tick", "t": 0}]
    place.start()


def test_a_damaged_log_ends_its_rollout_and_the_champion_serves(place):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    place.talk(1)
    place.running.stop()
    data = bytearray(place.file().read_bytes())
    data[len(data) // 2] ^= 1
    place.file().write_bytes(data)
    place.start()
    assert place.running.active("legal") is None
    assert "legal" in place.running.problems[0]


def test_another_candidate_supersedes_and_starts_from_nothing(place):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    for i in range(20):
        place.talk(i, "down")
    first = place.routes["legal"].rollout
    again = place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    assert again["rollout"] == first
    second = place.running.begin_rollout("legal", NEWER, read_plan(PLAN))
    assert second["rollout"] != first
    assert second["control"] == OLD
    assert second["log_evidence"]["rollback"] == 0.0
    assert place.routes["legal"].canary == NEWER
    old = eventlog.read_events(place.folder / "rollouts" / "legal" / "000001.jsonl")
    assert old[-1]["kind"] == "superseded"


def test_users_and_conversations_are_in_no_log(place):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    for i in range(10):
        place.talk(i)
    text = place.file().read_text()
    assert "user" in text  # the field
    assert "user 1" not in text
    assert '"s1"' not in text


def test_a_full_disk_does_not_keep_a_bad_canary(place, monkeypatch):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(eventlog.os, "write", full)
        stopped = place.running.abort("legal", "Ada", "it lies")
    assert stopped["state"] == "rolled_back"
    assert place.routes["legal"] == Route(OLD)
    place.running.stop()
    place.start()  # the log never heard of it; the routing did
    assert place.running.status("legal")["state"] == "rolled_back"


def test_a_routing_that_could_not_be_written_is_written_later(place):
    failures = [OSError(errno.ENOSPC, "no space")]
    plain = place.running._act

    def flaky(machine):
        if failures:
            raise failures.pop()
        plain(machine)

    place.running._act = flaky
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    place.running.abort("legal", "Ada", "no")
    assert place.routes["legal"] == Route(OLD)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_leaves_nobody_waiting(place, monkeypatch):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))

    def broken(task):
        raise RuntimeError("a bug")

    monkeypatch.setattr(place.running, "_take", broken)
    with pytest.raises(OSError, match="has ended"):
        place.running.abort("legal", "Ada", "why")
    with pytest.raises(OSError, match="has ended"):
        place.running.abort("legal", "Ada", "again")
    assert "stopped" in place.running.problems[0]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda r: r.begin_rollout("legal", OLD, read_plan(PLAN)), "champion of legal already"),
        (lambda r: r.compare("legal", NEW, NEW, read_plan(PLAN)), "two different"),
        (lambda r: r.approve("legal", "Ada"), "no rollout runs"),
        (lambda r: r.abort("legal", "Ada", "why"), "no rollout runs"),
    ],
)
def test_what_cannot_be_done_is_told(place, action, words):
    with pytest.raises(ValueError, match=words):
        action(place.running)


def test_a_domain_without_a_champion_has_no_control(place):
    place.routes["legal"] = Route()
    with pytest.raises(ValueError, match="no champion"):
        place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    with pytest.raises(LookupError, match="no rollout"):
        place.running.status("legal")


def test_as_many_conversations_are_control_as_canary_and_keep_their_arm():
    small = Route(OLD, canary=NEW, control=OLD, share=0.1, rollout="legal-1")
    large = Route(OLD, canary=NEW, control=OLD, share=0.5, rollout="legal-1")
    arms = [choose(small, "legal", f"c{i}", KEY)[0] for i in range(4000)]
    assert abs(arms.count("canary") - arms.count("control")) < 100
    assert 300 < arms.count("canary") < 500
    later = [choose(large, "legal", f"c{i}", KEY)[0] for i in range(4000)]
    kept = [(a, b) for a, b in zip(arms, later, strict=True) if a != "champion"]
    assert all(a == b for a, b in kept)
    other = Route(OLD, canary=NEW, control=OLD, share=0.1, rollout="legal-2")
    drawn = [choose(other, "legal", f"c{i}", KEY)[0] for i in range(4000)]
    both = sum(a == b == "canary" for a, b in zip(arms, drawn, strict=True))
    assert both < 100  # 40 by chance; 400 if the same people were always drawn


def test_the_log_is_json_a_person_can_read(place):
    place.running.begin_rollout("legal", NEW, read_plan(PLAN))
    first = place.file().read_text().splitlines()[0]
    assert json.loads(first.partition(" ")[2])["candidate"] == NEW
    assert os.stat(place.file()).st_mode & 0o007 == 0
