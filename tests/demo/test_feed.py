import gzip
import json

import pytest

from ft_assets.demo.feed import deliver, domains_of, general_text

WEEKS = ["2026-08-31", "2026-09-07", "2026-09-14", "2026-09-21"]


def line(number, day):
    return json.dumps({"event_id": f"e{number}", "ts": f"{day}T10:00:00Z"}).encode() + b"\n"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "energy").mkdir(parents=True)
    lines = [line(n, WEEKS[n // 10]) for n in range(40)]
    lines.insert(35, b"{broken\n")
    (folder / "energy" / "logs.jsonl.gz").write_bytes(gzip.compress(b"".join(lines)))
    (folder / "energy" / "users.jsonl").write_bytes(b'{"user_id": "u"}\n')
    (folder / "energy" / "truth.jsonl").write_bytes(b"an answer key\n")
    (folder / "bench").mkdir()
    return folder


def read(folder):
    return b"".join(gzip.decompress(file.read_bytes()) for file in sorted(folder.glob("logs*")))


def test_any_folder_with_logs_is_a_domain(data):
    assert domains_of(data) == ["energy"]


def test_a_folder_without_feeds_says_what_is_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"logs\*"):
        domains_of(tmp_path)


def test_the_newest_quarter_of_the_weeks_comes_later(data, tmp_path):
    cut = deliver(data, "energy", tmp_path / "landing", tmp_path / "later")
    assert cut.weeks == tuple(WEEKS)
    assert cut.later == (WEEKS[-1],)
    early, late = read(tmp_path / "landing" / "energy"), read(tmp_path / "later")
    whole = gzip.decompress((data / "energy" / "logs.jsonl.gz").read_bytes())
    assert early + late == whole  # a line that names no time stays where it stood
    assert b"{broken" in late
    assert cut.lines == 41


def test_logs_of_another_format_become_json_lines(data, tmp_path):
    (data / "energy" / "logs.jsonl.gz").unlink()
    cells = "".join(f"e{n},{WEEKS[n // 10]}T10:00:00Z,{n % 5 + 1}\n" for n in range(40))
    (data / "energy" / "logs.csv").write_text("event_id,ts,rating\n" + cells)
    cut = deliver(data, "energy", tmp_path / "landing", tmp_path / "later")
    assert (cut.lines, cut.later) == (40, (WEEKS[-1],))
    first = json.loads(read(tmp_path / "landing" / "energy").splitlines()[0])
    assert first == {"event_id": "e0", "ts": "2026-08-31T10:00:00Z", "rating": 1}


def test_answer_keys_are_not_delivered(data, tmp_path):
    deliver(data, "energy", tmp_path / "landing", tmp_path / "later")
    names = {file.name for file in (tmp_path / "landing" / "energy").iterdir()}
    assert names == {"logs-1.jsonl.gz", "users.jsonl"}


def test_a_broken_clock_is_no_week(data, tmp_path):
    file = data / "energy" / "logs.jsonl.gz"
    odd = line(98, "1970-01-02") + line(99, "2999-01-01")
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()) * 6 + odd))
    cut = deliver(data, "energy", tmp_path / "landing", tmp_path / "later")
    assert cut.weeks == tuple(WEEKS)


def test_general_text_is_optional(data):
    assert general_text(data) == []
    (data / "general_text").mkdir()
    (data / "general_text" / "a.txt.gz").touch()
    assert [file.name for file in general_text(data)] == ["a.txt.gz"]
