import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ft_assets.evaluation.case_judges import JudgeError, JudgeModel, first_number, passes
from ft_assets.evaluation.cases import CaseError, ModelCase, find_case_files, read_cases

GOOD = """
cases:
  - {name: greeting, prompt: Say hello., judge: exact, expected: Hello}
  - {name: both, prompt: "Which two?", judge: contains, expected: [Iron, zinc]}
  - {name: code, prompt: "Which code?", judge: regex, expected: "\\\\b[A-Z]{2}-\\\\d{4}\\\\b"}
  - {name: fee, prompt: "How much?", judge: numeric, expected: 12.5, tolerance: 0.01}
  - {name: pick, prompt: "Which one?", judge: choice, expected: "yes", choices: ["yes", "no"]}
  - {name: tone, prompt: Explain., judge: model, expected: It is polite.}
"""


def written(folder, text, name="law.yaml"):
    file = folder / name
    file.write_text(text, "utf-8")
    return file


@pytest.fixture
def cases(tmp_path):
    return {case.name: case for case in read_cases([written(tmp_path, GOOD)])}


@pytest.mark.parametrize(
    ("case", "answer", "expected"),
    [
        ("greeting", "hello!", True),
        ("greeting", "hello there", False),
        ("both", "Zinc and iron.", True),
        ("both", "Iron.", False),
        ("code", "It is AB-1234, I think", True),
        ("code", "It is ab-1234", False),
        ("fee", "It costs $12.505 a month", True),
        ("fee", "It costs 12.52", False),
        ("fee", "nothing", False),
    ],
)
def test_judging(cases, case, answer, expected):
    assert passes(cases[case], answer) is expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("about 1,234.50 euro", 1234.5),
        ("-3", -3),
        ("minus \u22123.5", -3.5),
        ("1,23", 1),
        (".5 of it", 0.5),
        ("none", None),
    ],
)
def test_numbers_in_answers(text, number):
    assert first_number(text) == number


def test_a_pattern_takes_linear_time(tmp_path):
    text = 'cases: [{name: slow, prompt: p, judge: regex, expected: "(a+)+$"}]'
    [case] = read_cases([written(tmp_path, text)])
    began = time.process_time()
    assert passes(case, "a" * 100_000 + "b") is False
    assert time.process_time() - began < 5  # backtracking would not end


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{name: a, prompt: p, judge: exact}", "case 1 (a): expected: is missing"),
        ("{name: a, prompt: p, expected: x}", "case 1 (a): judge: is missing; one of exact"),
        ("{name: a, prompt: p, judge: fuzzy, expected: x}", "case 1 (a): judge: one of exact"),
        (
            "{name: a, prompt: p, judge: exact, expected: x, tolerance: 1}",
            "case 1 (a): tolerance: unknown key for judge exact",
        ),
        ("{name: a, prompt: p, judge: numeric, expected: ten}", "case 1 (a): expected: "),
        ("{name: a, prompt: 5, judge: exact, expected: x}", "case 1 (a): prompt: "),
        (
            '{name: a, prompt: p, judge: regex, expected: "(?=x)"}',
            "case 1 (a): expected: not an RE2 pattern",
        ),
        (
            "{name: a, prompt: p, judge: choice, expected: c, choices: [a, b]}",
            "case 1 (a): expected: must be one of the choices",
        ),
        ("just text", "case 1: "),
    ],
)
def test_a_wrong_case_is_named_with_file_and_key(tmp_path, entry, says):
    file = written(tmp_path, f"cases:\n  - {entry}\n")
    with pytest.raises(CaseError) as error:
        read_cases([file])
    assert str(error.value).startswith(f"{file}: {says}")


def test_every_wrong_case_is_named_and_a_name_is_there_once(tmp_path):
    one = "{name: a, prompt: p, judge: exact, expected: x}"
    files = [
        written(tmp_path, f"cases: [{one}]", "a.yaml"),
        written(tmp_path, f"cases: [{one}, {{name: b}}]", "b.yaml"),
    ]
    with pytest.raises(CaseError) as error:
        read_cases(files)
    first, second = str(error.value).splitlines()
    assert first == f"{files[1]}: case 1 (a): name: is in {files[0]} already"
    assert second.startswith(f"{files[1]}: case 2 (b): judge: is missing")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cases: [", "not YAML in line 1"),
        ("case: []", "expected one key, cases"),
        ("cases: []", "cases: there is none"),
        ("- 1", "expected one key, cases"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, says):
    with pytest.raises(CaseError, match=says):
        read_cases([written(tmp_path, text)])


def test_files_are_found_beside_the_platform_file(tmp_path):
    files = [written(tmp_path, GOOD, name) for name in ("a.yaml", "b.yaml")]
    assert find_case_files(["*.yaml", "a.yaml"], tmp_path) == files
    with pytest.raises(CaseError, match=r"no file c\.yaml"):
        find_case_files(["c.yaml"], tmp_path)


@contextmanager
def judging(reply, status=200, wait=0.0):
    """An OpenAI-compatible endpoint that always says `reply`, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers.get("Authorization"), body))
            time.sleep(wait)
            content = json.dumps({"choices": [{"message": {"content": reply}}]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CASE = ModelCase(name="tone", prompt="Explain.", judge="model", expected="It is polite.")


@pytest.mark.parametrize(("reply", "verdict"), [("Yes.", True), (" no ", False)])
def test_a_judge_model_is_asked(reply, verdict):
    with judging(reply) as (url, asked):
        model = JudgeModel(url, "judge-1", 5, api_key="k")
        assert passes(CASE, "Dear customer", model) is verdict
    [(path, key, body)] = asked
    assert (path, key, body["model"]) == ("/v1/chat/completions", "Bearer k", "judge-1")
    for part in (CASE.prompt, CASE.expected, "Dear customer"):
        assert part in body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("reply", "status", "wait", "says"),
    [
        ("Perhaps", 200, 0, "says neither yes nor no"),
        ("yes and no", 200, 0, "says neither yes nor no"),
        ("yes", 503, 0, "HTTP 503"),
        ("yes", 200, 1, "no reply within 0.2 s"),
    ],
)
def test_a_judge_without_a_verdict_is_an_error_without_text_of_the_case(reply, status, wait, says):
    with judging(reply, status, wait) as (url, _), pytest.raises(JudgeError, match=says) as error:
        passes(CASE, "Dear customer", JudgeModel(url, "judge-1", 0.2))
    assert "judge-1" in str(error.value)
    assert "'tone'" in str(error.value)
    assert CASE.prompt not in str(error.value)
    assert "Dear" not in str(error.value)


def test_a_judge_that_is_not_there():
    with pytest.raises(JudgeError, match="is it running"):
        passes(CASE, "x", JudgeModel("http://127.0.0.1:9/v1", "m", 1))
    with pytest.raises(JudgeError, match=r"set evaluation\.judge_model"):
        passes(CASE, "x")
