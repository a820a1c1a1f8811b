"""The chat and review pages in a real browser, against a real gateway."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from ft_resources.gateway.auth import CallerKey, Principal, Role, key_digest
from tests.browser import chromium
from tests.resources.gateway import world

REVIEWER = "key-of-the-reviewer-01"
ITEMS = [
    {
        "item_id": f"log:e{n}",
        "event_id": f"e{n}",
        "prompt": "Wann ist die Miete fällig?\n<script>document.title = 'run'</script>",
        "answers": [
            {"label": "answer of legal@0123456789ab", "text": "Am ersten Tag des Monats."},
            {"label": "the user's own wording", "text": "Am <b>dritten</b> Werktag."},
        ],
        "reasons": ["high_stakes", "badly_received"],
        "model_version": "legal@0123456789ab",
        "week": "2026-03-02",
    }
    for n in range(3)
]
SHOTS = os.environ.get("FT_SCREENSHOTS")  # a folder: to look at the pages


@pytest.fixture(scope="module")
def served(tmp_path_factory, base, digest, adapters):
    callers = [CallerKey(Principal("dr_wu", Role.REVIEWER), key_digest(REVIEWER))]
    running = world.start(
        tmp_path_factory.mktemp("pages"), api_key="key-of-the-app", callers=callers
    )
    running.client.load_base(base, digest)
    running.client.route("legal", champion=running.client.load_adapter(adapters["legal"][0]))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as page:
        yield page


def look(page, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(Path(SHOTS) / f"{name}-wide.png", 1280, 900)
        page.screenshot(Path(SHOTS) / f"{name}-narrow.png", 400, 800)


def tool(page, label):
    tools = "[...document.querySelectorAll('.tools > button')]"
    page.evaluate(f"{tools}.find(button => button.textContent === '{label}').click()")


def newest(rows):
    """The current state of each answer, oldest answer first."""
    state = {}
    for row in rows:
        state[row["event_id"]] = row
    return list(state.values())


def test_chat_with_feedback(page, served):
    page.open(f"{served.url}/chat")
    page.wait("document.querySelector('#told').textContent.includes('Authorization')")
    page.fill("#key", "key-of-the-app")
    page.press("Enter")
    page.click("#new")
    page.wait("document.querySelectorAll('#model option').length > 2")
    assert page.evaluate("document.querySelector('#model').options[0].value") in world.DOMAINS
    page.evaluate("const m = document.querySelector('#model'); m.value = 'legal'")
    page.fill("#user", "Zoë 7")
    page.fill("#prompt", "When is <b>the rent</b> due?")
    page.press("Enter")
    page.wait("document.querySelector('.turn.answer .tools button')")
    shown = page.evaluate("document.querySelector('[data-answer]').textContent")
    [row] = served.rows("legal")
    assert (row["response"], row["prompt"]) == (shown, "When is <b>the rent</b> due?")
    assert row["user_id"] == "Zoë 7"
    assert page.evaluate("document.querySelectorAll('.turn b').length") == 0

    page.click("[title='Bad answer']")
    page.wait("document.querySelector('[title=\"Bad answer\"]').ariaPressed === 'true'")
    page.click("[title='Rate 2 of 5']")
    page.wait("document.querySelector('[title=\"Rate 2 of 5\"]').ariaPressed === 'true'")
    for field, text in (("comment", "Not an answer."), ("correction", "On the first day.")):
        tool(page, {"comment": "Comment", "correction": "Correct"}[field])
        page.fill(f"form[data-field={field}] textarea", text)
        look(page, f"chat-{field}")
        page.click(f"form[data-field={field}] button")
        page.wait(f"document.querySelector('form[data-field={field}]').hidden")
    [row] = newest(served.rows("legal"))
    expected = ("down", 2, "Not an answer.", "On the first day.")
    assert (row["thumb"], row["rating"], row["comment"], row["correction"]) == expected

    tool(page, "Regenerate")
    page.wait("document.querySelectorAll('.turn.answer').length === 2")
    page.wait("document.querySelector('.turn.answer:last-child .tools button:enabled')")
    first, second = newest(served.rows("legal"))
    assert (first["regenerated"], second["regenerated"]) == (True, False)
    assert (first["session_id"], first["prompt"]) == (second["session_id"], second["prompt"])
    look(page, "chat")
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate("document.cookie") == ""
    assert page.errors == []


def test_review_with_the_keyboard(page, served):
    served.client.put_review("legal", ITEMS, 1)
    page.open(f"{served.url}/review")
    page.fill("#key", "key-of-the-app")
    page.press("Enter")
    page.wait("document.querySelector('#told').textContent.includes('role')")
    page.fill("#key", REVIEWER)
    page.press("Enter")
    page.wait("document.querySelector('#place').textContent === '1 of 3'")
    assert page.evaluate("document.querySelector('#prompt').textContent") == ITEMS[0]["prompt"]
    assert page.evaluate("document.title") == "Review"
    look(page, "review")

    page.press("2")
    page.press("c")
    page.wait("document.activeElement.id === 'text'")
    assert page.evaluate("document.querySelector('#text').value") == "Am <b>dritten</b> Werktag."
    page.fill("#text", "Am dritten Werktag des Monats.")
    look(page, "review-correct")
    page.press("Enter", control=True)
    page.wait("document.querySelector('#place').textContent === '1 of 2'")
    page.press("j")
    page.wait("document.querySelector('#place').textContent === '2 of 2'")
    page.press("a")
    page.wait("document.querySelector('#place').textContent === '1 of 1'")
    page.press("r")
    page.wait("document.querySelector('#told').textContent.includes('Rejected')")
    page.wait("document.querySelector('#item').hidden")
    look(page, "review-done")

    [file] = (served.landing / "legal").glob("corrections-review-*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["event_id"], row["origin"], row["status"]) for row in rows] == [
        ("e0", "review:correct", "approved"),
        ("e2", "review:approve", "approved"),
        ("e1", "review:reject", "rejected"),
    ]
    assert rows[0]["corrected_response"] == "Am dritten Werktag des Monats."
    assert rows[0]["original_response"] == "Am <b>dritten</b> Werktag."
    assert {row["reviewer_id"] for row in rows} == {"dr_wu"}
    assert page.errors == []


@contextmanager
def fetch_replaced(page, source):
    """Pages opened meanwhile fetch by this JavaScript function of (real, path, sent)."""
    script = f"const real = window.fetch; window.fetch = (...given) => ({source})(real, ...given);"
    made = page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
    yield
    page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])


def test_a_late_answer_to_an_earlier_key_changes_nothing(page, served):
    items = [{**item, "item_id": f"late:{n}"} for n, item in enumerate(ITEMS)]
    served.client.put_review("legal", items, 1)
    page.open(f"{served.url}/review")
    page.evaluate("sessionStorage.clear()")
    keyless_wait = """async (real, path, sent) => {
      const reply = await real(path, sent);
      window.held ||= new Promise((go) => { window.letGo = go; });
      if (!sent.headers.Authorization) await window.held;
      return reply;
    }"""
    with fetch_replaced(page, keyless_wait):
        page.open(f"{served.url}/review")
        page.wait("window.letGo")
        page.fill("#key", REVIEWER)
        page.press("Enter")
        page.wait("document.querySelector('#place').textContent === '1 of 3'")
        page.evaluate("letGo(); new Promise((done) => setTimeout(done, 100))")
        assert page.evaluate("document.querySelector('#place').textContent") == "1 of 3"
        page.press("c")
        page.wait("document.activeElement.id === 'text'")
    served.client.put_review("legal", [], 1)


def test_a_conversation_left_while_an_answer_is_written_does_not_come_back(page, served):
    page.open(f"{served.url}/chat")
    page.evaluate("sessionStorage.setItem('ft-key', 'key-of-the-app')")
    until_aborted = """(real, path, sent) => !sent.signal ? real(path, sent) :
      new Promise((_, refuse) => sent.signal.addEventListener(
        "abort", () => refuse(new DOMException("", "AbortError"))))"""
    with fetch_replaced(page, until_aborted):
        page.open(f"{served.url}/chat")
        page.wait("document.querySelectorAll('#model option').length > 2")
        page.fill("#prompt", "About flat 3")
        page.press("Enter")
        page.wait("!document.querySelector('#stop').hidden")
        page.click("#new")
        page.wait("document.querySelector('#stop').hidden")
    assert page.evaluate("document.querySelector('#prompt').value") == ""
    assert page.evaluate("document.querySelectorAll('.turn').length") == 0


def test_a_reviewer_lets_a_waiting_deployment_go_on(page, served, adapters):
    client = served.client
    candidate = client.load_adapter(adapters["legal"][1])
    plan = {"approval": "canary", "shadow_answers": 1, "shadow_share": 1.0}
    client.begin_rollout("legal", candidate, plan)
    for number in range(200):  # each is mirrored to the candidate, when the engine has room
        if client.rollout("legal")["state"] == "waiting":
            break
        client.chat("legal", "Hi", max_tokens=1, session_id=f"s{number}")
    page.open(f"{served.url}/review")
    page.fill("#key", REVIEWER)
    page.press("Enter")
    page.wait("document.querySelector('[data-release=legal]')")
    assert candidate in page.evaluate("document.querySelector('#waiting').textContent")
    look(page, "review-release")
    page.click("[data-release=legal] button.first")
    page.wait("document.querySelector('#told').textContent === 'legal: canary.'")
    page.wait("document.querySelector('#releases').hidden")
    rollout = client.rollout("legal")
    assert (rollout["state"], rollout["reason"]) == ("canary", "approved by dr_wu")
    assert page.errors == []

    path = f"{served.url}/review/releases/legal"
    reviewer = {"Authorization": f"Bearer {REVIEWER}"}
    again = requests.post(path, json={"decision": "approve"}, headers=reviewer, timeout=30)
    assert again.status_code == 409
    caller = {"Authorization": "Bearer key-of-the-app"}
    refused = requests.post(path, json={"decision": "stop"}, headers=caller, timeout=30)
    assert refused.status_code == 403
    stopped = requests.post(path, json={"decision": "stop"}, headers=reviewer, timeout=30)
    assert stopped.json()["state"] == client.rollout("legal")["state"] == "rolled_back"
