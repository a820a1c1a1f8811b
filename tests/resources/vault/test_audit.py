import json
import multiprocessing
import stat

import pytest

from ft_resources.vault.audit import AuditLog
from ft_resources.vault.keys import Tampered, TenantKey
from ft_resources.vault.store import KeyStore

TENANT = TenantKey("acme", b"k" * 32)


@pytest.fixture
def log(tmp_path):
    made = AuditLog(tmp_path, KeyStore(tmp_path / "keys.db", TENANT))
    for n in range(5):
        made.append({"who": "ann", "action": "reveal", "reason": f"case {n} é"})
    return made


def lines(log):
    return log.file.read_text().splitlines(keepends=True)


def test_entries_are_numbered_and_timed(log):
    found = list(log.entries())
    assert [entry["seq"] for entry in found] == [1, 2, 3, 4, 5]
    assert found[2]["reason"] == "case 2 é"
    assert all(str(entry["at"]).endswith("+00:00") for entry in found)
    assert log.verify() == 5
    assert stat.S_IMODE(log.file.stat().st_mode) == 0o600


def test_an_empty_log_is_whole(tmp_path):
    assert AuditLog(tmp_path, KeyStore(tmp_path / "keys.db", TENANT)).verify() == 0


def changed(line, **fields):
    return json.dumps({**json.loads(line), **fields}) + "\n"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda found: [*found[:2], changed(found[2], reason="x"), *found[3:]], "line 3"),
        (lambda found: [*found[:2], *found[3:]], "line 3"),
        (lambda found: [*found[:2], found[1], *found[2:]], "line 3"),
        (lambda found: [found[1], found[0], *found[2:]], "line 1"),
        (lambda found: found[:4], "4 entries where 5"),
        (lambda found: [], "0 entries where 5"),
        (lambda found: [*found, changed(found[4], seq=6)], "line 6"),
        (lambda found: [*found[:4], "no json\n"], "line 5 is not"),
    ],
)
def test_a_log_that_was_changed_is_told(log, change, told):
    log.file.write_text("".join(change(lines(log))))
    with pytest.raises(Tampered, match=told):
        log.verify()


@pytest.mark.parametrize(
    "change", [lambda found: found[:4], lambda found: [], lambda found: [*found, found[4]]]
)
def test_nothing_is_added_to_a_log_whose_end_was_changed(log, change):
    log.file.write_text("".join(change(lines(log))))
    before = log.file.read_bytes()
    with pytest.raises(Tampered):
        log.append({"who": "ann"})
    assert log.file.read_bytes() == before


def test_the_head_cannot_be_written_by_hand(log):
    head = log.file.with_name("audit.head")
    log.file.write_text("".join(lines(log)[:4]))
    size = log.file.stat().st_size
    head.write_text(f"4 {json.loads(lines(log)[3])['mac']} {size} {'0' * 64}\n")
    with pytest.raises(Tampered, match=r"audit\.head"):
        log.verify()


def test_a_crash_before_the_head_was_written_loses_nothing(log):
    head = log.file.with_name("audit.head")
    before = head.read_bytes()
    log.append({"who": "ann"})
    head.write_bytes(before)
    assert log.verify() == 6
    log.append({"who": "ben"})
    assert log.verify() == 7


def test_a_line_torn_by_a_crash_was_never_told_and_goes(log):
    with log.file.open("a") as out:
        out.write('{"seq": 6, "at"')
    log.append({"who": "ben"})
    assert [entry["seq"] for entry in log.entries()] == [1, 2, 3, 4, 5, 6]
    assert log.verify() == 6


def test_another_vault_cannot_continue_the_log(log, tmp_path):
    other = AuditLog(tmp_path, KeyStore(tmp_path / "other.db", TENANT))
    with pytest.raises(Tampered):
        other.verify()


def _append(folder, number):
    log = AuditLog(folder, KeyStore(folder / "keys.db", TENANT))
    for _ in range(20):
        log.append({"who": str(number)})


def test_processes_take_turns(tmp_path):
    KeyStore(tmp_path / "keys.db", TENANT)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(tmp_path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert AuditLog(tmp_path, KeyStore(tmp_path / "keys.db", TENANT)).verify() == 60
