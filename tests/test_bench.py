"""The harness of `make bench`: what it computes, writes and refuses. Nothing is timed here."""

import json

import pytest

from tests.bench import __main__ as runner
from tests.bench.tables import checked, insert, markdown, row
from tests.bench.timing import ahead, costs, faster, floor, interleaved, missing
from tests.bench.training import fastest


def test_a_measure_says_whether_its_goal_holds():
    assert faster("a", ours=1, peer=50, at_least=50)["holds"] is True
    assert faster("a", ours=1, peer=49, at_least=50)["holds"] is False
    assert costs("a", ours=1.3, peer=1, at_most=1.3)["holds"] is True
    assert costs("a", ours=1.4, peer=1, at_most=1.3)["holds"] is False
    assert faster("a", ours=1, peer=50)["holds"] is None
    assert ahead("a", ours=5, peer=2, at_least=2.5, unit="rows/s")["holds"] is True
    assert ahead("a", ours=4.9, peer=2, at_least=2.5, unit="rows/s")["holds"] is False
    assert floor("a", ours=9, peer=1, at_least=9, unit="rows/s")["holds"] is True
    assert floor("a", ours=8, peer=1, at_least=9, unit="rows/s", note="x")["holds"] is False
    assert (faster("a", 2, 8)["ratio"], costs("a", 2, 8)["ratio"]) == (4, 0.25)


def test_a_missing_peer_does_not_hold_and_says_what_to_install():
    found = missing("x_vs_y", "s", "peer / ours >= 5", "y is missing: pip install y")
    assert found["holds"] is False
    assert row(found)[-1] == "no (y is missing: pip install y)"


def test_rounds_are_interleaved_and_the_median_counts(monkeypatch):
    order, clock = [], iter([0, 1, 10, 30, 100, 109, 200, 202, 300, 303, 400, 404])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert interleaved(lambda: order.append("a"), lambda: order.append("b"), 3) == (3, 4)
    assert order == ["a", "b"] * 3
    with pytest.raises(ValueError, match="rounds"):
        interleaved(print, print, 0)


def test_settings_are_compared_at_equal_quality():
    def run(speed, loss):
        return {"tokens_per_second": speed, "held_out_loss": loss}

    found = ([(9, 4.0)], [(5, 2.9), (6, 3.1)], [(7, 3.1)])
    runs = {
        ("hf", n, 512, 0.01, 0.9): [run(*seed) for seed in seeds] for n, seeds in enumerate(found)
    }
    assert fastest(runs, 3.1)[1] == 2
    assert fastest(runs, 3.05)[1] == 1
    assert fastest(runs, 5)[1] == 0
    assert fastest(runs, 2)[1] == 1  # none is as good: the best there is


def test_a_measure_without_its_fields_is_refused():
    with pytest.raises(ValueError, match=r"tests/bench/dedup.py: near lacks ours, peer"):
        checked({"measure": "near", "unit": "s", "ratio": 1, "goal": "", "holds": None}, "dedup")


def test_the_table_replaces_the_one_before_and_nothing_else():
    page = insert("# Head\n", "a", "one")
    page = insert(page, "b", "two") + "\nwritten by hand\n"
    again = insert(page, "a", "three")
    assert "one" not in again
    assert again.index("three") < again.index("two") < again.index("written by hand")
    assert insert(again, "a", "three") == again
    with pytest.raises(ValueError, match="has no"):
        insert("<!-- bench:a -->\n", "a", "one")


def test_a_cell_cannot_break_the_table():
    found = missing("a", "s", "x", "use a|b")
    assert markdown([found]).splitlines()[-1].count(" | ") == 6


def test_the_runner_writes_json_and_table_and_answers_for_missed_goals(
    monkeypatch, tmp_path, capsys
):
    held, missed = faster("held", 1, 9, at_least=3), faster("missed", 1, 2, at_least=3)
    parts = {"tests.bench.one": [held], "tests.bench.two": [missed]}
    monkeypatch.setattr(
        runner.importlib,
        "import_module",
        lambda name: type("Module", (), {"measures": staticmethod(lambda: parts[name])}),
    )
    monkeypatch.setattr(runner, "AREAS", {"corpus": ("one", "two"), "other": ("one",)})
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    monkeypatch.setattr(runner, "PAGE", tmp_path / "benchmarks.md")
    assert runner.main(["corpus"]) == 1
    assert json.loads((tmp_path / "corpus.json").read_text()) == [held, missed]
    assert "| missed | 1.00 | 2.00 | s | 2.00 | peer / ours >= 3 | no |" in (
        tmp_path / "benchmarks.md"
    ).read_text("utf-8")
    assert "missed: missed" in capsys.readouterr().out
    assert not (tmp_path / "other.json").exists()
    assert runner.main(["other"]) == 0
    with pytest.raises(SystemExit):
        runner.main(["unknown"])


@pytest.mark.parametrize("area", runner.AREAS)
def test_every_registered_module_is_there(area):
    for name in runner.AREAS[area]:
        assert (runner.PROJECT / "tests" / "bench" / f"{name}.py").is_file()
