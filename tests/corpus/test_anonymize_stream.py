import io
import json
import subprocess
import sys

import pytest

from ft_assets.corpus.anonymize_stream import StreamCounts, anonymize_lines
from ft_assets.corpus.detector import Detector


def run(*lines: bytes) -> tuple[list[dict], str, StreamCounts]:
    out, errors = io.BytesIO(), io.StringIO()
    counts = anonymize_lines([[line] for line in lines], out, Detector(), errors)
    return [json.loads(line) for line in out.getvalue().splitlines()], errors.getvalue(), counts


def test_text_is_masked_and_spans_refer_to_the_input():
    text = "🙂 écris à a@x.com, né le 3/2/1980"
    row = {"id": 7, "text": text, "spans": [[0, 1, "OLD"]], "meta": {"a": [1, None]}}
    rows, errors, counts = run(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    (done,) = rows
    assert done["text"] == "🙂 écris à <EMAIL_1>, né le <DATE_1>"
    assert [(text[a:b], kind) for a, b, kind in done["spans"]] == [
        ("a@x.com", "EMAIL"),
        ("3/2/1980", "DATE"),
    ]
    assert (done["id"], done["meta"]) == (7, {"a": [1, None]})
    assert errors == ""
    assert (counts.lines, counts.failed, counts.masked) == (1, 0, {"EMAIL": 1, "DATE": 1})


def test_numbering_starts_anew_with_each_line():
    rows, _, _ = run(b'{"text": "a@x.com"}\n', b'{"text": "b@x.com"}')
    assert [row["text"] for row in rows] == ["<EMAIL_1>", "<EMAIL_1>"]


def test_the_text_is_not_cleaned():
    text = "<p>caf\u00c3\u00a9&nbsp;\r\n\u200b</p>"
    (row,), _, _ = run(json.dumps({"text": text}).encode())
    assert (row["text"], row["spans"]) == (text, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"secret@x.com {", "line 2: not JSON (column 1); left out"),
        (b'{"text": "secret@x.com"', "line 2: not JSON (column 24); left out"),
        (b'["secret@x.com"]', "line 2: not a JSON object; left out"),
        (b'{"text": 5}', "line 2: no field 'text' that is a string; left out"),
        (b'{"prompt": "secret@x.com"}', "line 2: no field 'text' that is a string; left out"),
        (b'{"text": "\xff secret@x.com"}', "line 2: not UTF-8; left out"),
        (b'{"text": "secret@x.com", "n": NaN}',
         "line 2: NaN or Infinity, which JSON does not have; left out"),
        (b"[" * 100_000, "line 2: JSON nested too deeply; left out"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_without_its_content_and_the_others_are_done(line, message):
    rows, errors, counts = run(b'{"text": "one"}\n', line + b"\n", b"\n", b'{"text": "two"}\n')
    assert [row["text"] for row in rows] == ["one", "two"]
    assert errors.strip() == message
    assert (counts.lines, counts.failed) == (3, 1)


def test_a_byte_order_mark_and_lone_surrogates_pass():
    rows, errors, _ = run(b'\xef\xbb\xbf{"text": "a \\ud83d b@x.com"}')
    assert rows[0]["text"] == "a \ud83d <EMAIL_1>"
    assert rows[0]["spans"] == [[4, 11, "EMAIL"]]
    assert errors == ""


def test_lines_are_read_one_by_one():
    out = io.BytesIO()
    written = []

    def lines():
        for _ in range(3):
            written.append(out.getvalue().count(b"\n"))
            yield b'{"text": "a@x.com"}\n'

    anonymize_lines(([line] for line in lines()), out, Detector())
    assert written == [0, 1, 2]


def test_a_client_may_wait_for_each_answer():
    code = (
        "import sys; from ft_assets.corpus.anonymize_stream import anonymize_lines, arriving; "
        "from ft_assets.corpus.detector import Detector; "
        "anonymize_lines(arriving(0), sys.stdout.buffer, Detector())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for name in ("ann", "bo"):
            client.stdin.write(json.dumps({"text": f"{name}@x.com"}).encode() + b"\n")
            client.stdin.flush()
            assert json.loads(client.stdout.readline())["text"] == "<EMAIL_1>"
        client.stdin.close()
        assert client.wait(timeout=20) == 0


def test_nothing_in_nothing_out():
    assert run()[0] == []
    assert run(b"\n", b"  \n")[2].lines == 0


def test_a_huge_line():
    text = "call 555-213-4442 or mail a@x.com, " * 30_000
    (row,), _, counts = run(json.dumps({"text": text}).encode())
    assert row["text"] == "call <PHONE_1> or mail <EMAIL_1>, " * 30_000
    assert counts.masked == {"PHONE": 30_000, "EMAIL": 30_000}
