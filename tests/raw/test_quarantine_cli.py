"""`ft quarantine` on what the real assets quarantined."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ft_assets.cli import app
from ft_assets.settings import platform
from ft_resources import secrets
from ft_resources.vault.audit import AuditLog
from tests.graph import World, make_world

DOMAIN, WEEK = "legal", "2026-08-31"
SECRET = "Jane Roe of 5 Elm Street"


def event(number: int, **changes: object) -> dict[str, object]:
    return {
        **{"event_id": f"e{number}", "ts": "2026-09-02T10:00:00Z", "domain": DOMAIN},
        **{"user_id": "u1", "session_id": "s1", "prompt": SECRET, "response": "Yes."},
        **{"model_version": "m", "rating": 3, "thumb": "up", "latency_ms": 5, **changes},
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server) -> World:
    made = make_world(tmp_path_factory.mktemp("quarantine"), lakefs_server)
    rows = [*(event(n) for n in range(1, 6)), event(6, rating="4"), event(7, extra=1)]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"event_id": "e8", \n'
    made.land(DOMAIN, "logs.jsonl", text.encode())
    made.land(DOMAIN, "users.jsonl", [{"user_id": "u1", "training_consent": "yes"}])
    made.take_up(DOMAIN, [WEEK])
    case = {"eval_id": "c1", "domain": DOMAIN, "task": "qa", "prompt": "Due?", "response": "Yes."}
    made.land(DOMAIN, "eval.jsonl", [case, {**case, "eval_id": "c2", "response": 5}])
    made.make("raw_users", "raw_eval_cases", partition=DOMAIN)
    return made


@pytest.fixture(scope="module")
def file(world: World, lakefs_server) -> Path:
    """A platform file of the world: its instance, its lakeFS, its landing folder."""
    state = world.folder / "state"
    state.mkdir()
    (state / "dagster_home").symlink_to(world.folder / "dagster")
    (state / "dagster_home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    keys = {
        secrets.LAKEFS_ACCESS_KEY_ID: lakefs_server.endpoint.access_key_id,
        secrets.LAKEFS_SECRET_ACCESS_KEY: lakefs_server.endpoint.secret_access_key,
        secrets.TENANT_KEY: world.raw_zone.tenant_key,
    }
    (state / "secrets.env").write_text("".join(f"{k}={v}\n" for k, v in keys.items()))
    settings = {
        "state": str(state),
        "landing": platform().landing_folder,
        "domains": {DOMAIN: {}},
        "services": {"lakefs": {"url": lakefs_server.endpoint.url}},
        "versioning": {
            "repository": world.lakefs.repository,
            "raw_repository": world.lakefs.raw_repository,
        },
        "vault": {"tenant": world.raw_zone.tenant, "folder": world.raw_zone.folder},
    }
    path = world.folder / "platform.yaml"
    path.write_text(json.dumps(settings))
    return path


def ft(file: Path, *words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["quarantine", *words, "--platform", str(file)], input=given)


def said(file: Path, *words: str, given: str | None = None) -> str:
    ran = ft(file, *words, given=given)
    assert ran.exit_code == 0, ran.output
    return ran.output


def ids(file: Path) -> dict[str, str]:
    """Reason -> id."""
    lines = said(file, "list", "--records").splitlines()
    return {re.search(r":\d+ (\w+)", line)[1]: line.split()[0] for line in lines}


def test_counts_by_source_domain_week_and_reason(file: Path) -> None:
    lines = [line.split() for line in said(file, "list").splitlines()]
    table = [[cell for cell in line if cell not in "│┃"] for line in lines]
    assert ["logs", DOMAIN, WEEK, "wrong_type", "1"] in table
    assert ["logs", DOMAIN, WEEK, "unknown_field", "1"] in table
    assert ["users", DOMAIN, "-", "wrong_type", "1"] in table
    assert ["eval", DOMAIN, "-", "wrong_type", "1"] in table
    assert ["total", "5"] in table
    assert "users" not in said(file, "list", "--source", "logs")


def audited(world: World) -> list[tuple]:
    log = AuditLog(world.raw_zone.keys_file.parent, world.raw_zone.store())
    return [(entry["action"], entry["record"], entry["source"]) for entry in log.entries()]


def test_records_are_shown_without_and_with_their_row(file: Path, world: World) -> None:
    listed = said(file, "list", "--records")
    assert len(listed.splitlines()) == 5
    assert SECRET not in listed
    record = ids(file)["unknown_field"]
    shown = said(file, "show", record)
    assert f"logs {DOMAIN} {WEEK} {DOMAIN}/logs.jsonl:7 unknown_field (extra)" in shown
    assert SECRET not in shown
    assert audited(world) == []
    assert json.loads(said(file, "show", record, "--raw").splitlines()[1]) == event(7, extra=1)
    assert audited(world) == [("show_quarantined", record, "logs")]


def test_an_unknown_record_and_a_platform_that_never_ran(file: Path, tmp_path: Path) -> None:
    ran = ft(file, "show", "0" * 16)
    assert (ran.exit_code, "no quarantined record" in ran.output) == (1, True)
    (tmp_path / "platform.yaml").write_text(f"domains: {{{DOMAIN}: {{}}}}\n")
    ran = ft(tmp_path / "platform.yaml", "list")
    assert (ran.exit_code, "nothing has run yet" in ran.output) == (1, True)


def test_a_row_that_still_does_not_fit_is_refused(file: Path) -> None:
    record = ids(file)["unknown_field"]
    ran = ft(file, "resubmit", record)
    assert ran.exit_code == 1
    assert "quarantined again: unknown_field (extra)" in ran.output
    ran = ft(file, "resubmit", record, "-", given=json.dumps(event(7, domain="finance")))
    assert "domain_mismatch" in ran.output
    assert SECRET not in ran.output
    assert ", resubmitted" not in said(file, "list", "--records")


def test_resubmitted_records_are_taken_up_and_counted_once(
    file: Path, world: World, tmp_path: Path
) -> None:
    found = ids(file)
    said(file, "resubmit", found["not_json"], "-", given=json.dumps(event(8)))
    (tmp_path / "row.json").write_text(json.dumps(event(7)))
    said(file, "resubmit", found["unknown_field"], str(tmp_path / "row.json"))
    assert said(file, "list", "--records").count(", resubmitted") == 2
    assert audited(world)[-1] == ("resubmit", found["unknown_field"], "logs")
    again = ft(file, "resubmit", found["not_json"], "-", given=json.dumps(event(8)))
    assert (again.exit_code, "resubmitted already" in again.output) == (1, True)

    world.make("raw_logs", partition=DOMAIN, weeks=(WEEK, WEEK))
    facts = world.facts("raw_logs", f"{DOMAIN}|{WEEK}")
    assert (facts["rows_in"], facts["rows_out"], facts["quarantined"]) == (10, 7, 1)
    assert facts["dropped"] == {"resubmitted": 2}
    rows = world.raw_rows("raw_logs", f"{DOMAIN}|{WEEK}")
    assert [row["event_id"] for row in rows] == [f"e{n}" for n in (1, 2, 3, 4, 5, 8, 7)]
    assert [*ids(file)] == ["wrong_type"]


def test_the_same_row_fits_after_the_feed_is_said_to_be_converted(file: Path) -> None:
    """A mapping that is fixed later lets a record in as it was delivered."""
    record = next(
        line.split()[0]
        for line in said(file, "list", "--records").splitlines()
        if "logs.jsonl:6" in line
    )
    settings = json.loads(file.read_text())
    feed = {"files": f"{platform().landing_folder}/{DOMAIN}/logs*", "convert": True}
    settings["domains"][DOMAIN] = {"sources": {"logs": feed}}
    fixed = file.with_name("fixed.yaml")
    fixed.write_text(json.dumps(settings))
    assert "resubmitted as" in said(fixed, "resubmit", record)
