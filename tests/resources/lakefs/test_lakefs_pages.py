"""The pages that asset metadata links to, as a browser gets them from a real server."""

import json
import re
from html import unescape
from html.parser import HTMLParser

import lakefs
import pytest
import urllib3

from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from tests.resources.lakefs.running import FULL, Endpoint

pytestmark = pytest.mark.usefixtures("embedded")
EVIL = "<script>alert('&\"')</script>"
REPORT = b"<!doctype html><p id=x></p><script>document.title = 'ran'</script>"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


class Reading(HTMLParser):
    """Links, elements, and the text of a page, style left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}  # text -> address
        self.elements: set[str] = set()
        self.text = ""
        self._inside: list[str] = []
        self._href: str | None = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self._inside.append(tag)
        if tag == "a":
            self._href, self._label = dict(attrs)["href"], ""

    def handle_endtag(self, tag):
        self._inside.append("")
        if tag == "a":
            assert self._href is not None
            self.links[self._label] = self._href
            self._href = None

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "style":
            return
        self.text += data + "\n"
        if self._href is not None:
            self._label += data


class Browser:
    def __init__(self, endpoint: Endpoint) -> None:
        self.url = endpoint.url
        pair = f"{endpoint.access_key_id}:{endpoint.secret_access_key}"
        self.login = urllib3.make_headers(basic_auth=pair)

    def get(self, path: str, method: str = "GET", **headers: str) -> urllib3.BaseHTTPResponse:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request(
            method, self.url + path, headers={**self.login, **given}, retries=False
        )

    def read(self, path: str, status: int = 200) -> Reading:
        """A page; whatever it shows, it runs nothing and is safe to show."""
        got = self.get(path)
        assert (got.status, got.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert {name: got.headers[name] for name in ALWAYS} == ALWAYS
        policy = got.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "script-src" not in policy
        page = Reading(got.data.decode())
        assert "script" not in page.elements
        outside = [a for a in page.links.values() if not re.match(r"(?i)/(?!/)|https?://", a)]
        assert not outside
        return page


@pytest.fixture
def browser(endpoint: Endpoint) -> Browser:
    return Browser(endpoint)


@pytest.fixture
def store(endpoint: Endpoint, repository: lakefs.Repository) -> LakeFS:
    return LakeFS(
        endpoint=endpoint.url,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
        repository=repository.id,
        raw_repository=repository.id + "-raw",
        storage_namespace="local://{repository}",
    )


def put(branch: lakefs.Branch, **files: bytes) -> None:
    for name, data in files.items():
        branch.object(name).upload(data)


def below(url: str, endpoint: Endpoint) -> str:
    assert url.startswith(endpoint.url + "/")
    return url.removeprefix(endpoint.url)


def test_what_asset_metadata_links_to(browser, endpoint, store):
    draft = store.draft(store.repository, "run-1", {"asset": "drift_report"})
    draft.write("drift/", {"report.html": REPORT, "drift.json": b'{"share": 0.5}'})
    assert "drift/" in browser.read(below(draft.url, endpoint)).links
    draft.commit("Drift")
    ref = draft.merge()["drift/"]
    commit = browser.read(below(store.commit_url(ref), endpoint))
    assert "drift_report" in commit.text
    assert commit.links["drift/report.html"] == below(
        store.object_url(ref, "report.html"), endpoint
    )
    got = browser.get(below(store.object_url(ref, "report.html"), endpoint))
    assert (got.status, got.data) == (200, REPORT)
    assert browser.read(below(draft.url, endpoint), 404).text.count("run-1") == 1


def test_repositories(browser, repository):
    pages = [browser.read(path).links for path in ("/", "/repositories")]
    assert pages[0] == pages[1]
    assert pages[0][repository.id] == f"/repositories/{repository.id}"


def test_objects_by_folder(browser, branch):
    put(branch, **{"a/b/c.txt": b"1", "a/d.bin": b"x" * 1500, "a//e": b"", "z/": b""})
    start = f"/repositories/{branch.repo_id}/objects?ref=dev"
    top = browser.read(start)
    assert "uncommitted changes" in top.text
    assert top.links["a/"] == f"{start}&path=a/"
    folder = browser.read(top.links["a/"])
    assert {"b/", "/", "d.bin"} < folder.links.keys()
    assert "1.5 kB" in folder.text
    assert browser.get(browser.read(folder.links["/"]).links["e"]).status == 200
    inner = browser.read(folder.links["b/"])
    assert inner.links["a"] == top.links["a/"]
    assert browser.get(inner.links["c.txt"]).data == b"1"
    assert browser.get(browser.read(top.links["z/"]).links["z/"]).status == 200
    assert browser.read(f"{start}&path=a/b/c").links[".txt"] == inner.links["c.txt"]


def test_the_default_branch_needs_no_ref(browser, branch):
    put(branch, x=b"1")
    branch.commit("x")
    start = f"/repositories/{branch.repo_id}"
    assert "x" not in browser.read(start).links
    branch.merge_into("main")
    for path in ("", "/objects", "/commits"):
        assert f"{start}/objects?ref=main" in browser.read(start + path).links.values()
    assert browser.read(start).links["x"] == f"{start}/object?ref=main&path=x"
    assert browser.get(f"{start}/object?path=x").data == b"1"


def test_branches_and_tags_lead_to_objects_and_log(browser, branch, repository):
    repository.tag("v1/a+b").create("dev")
    page = browser.read(f"/repositories/{repository.id}")
    assert "Branches (2)" in page.text
    assert "Tags (1)" in page.text
    assert browser.read(page.links["v1/a+b"]).links["Commits"].endswith("commits?ref=v1/a%2Bb")
    assert "Repository created" in browser.read(page.links["log"]).text


def test_more_objects_than_one_page(browser, full):
    page = browser.read(f"/repositories/{full.repo_id}/objects?ref=full&path=k/")
    names = [f"{number:04d}" for number in range(1100)]
    assert [link for link in page.links if re.fullmatch(r"\d{4}", link)] == names[:1000]
    rest = browser.read(page.links["Next page"])
    assert [link for link in rest.links if re.fullmatch(r"\d{4}", link)] == names[1000:]
    assert "Next page" not in rest.links


def test_more_changes_than_one_page(browser, full):
    page = browser.read(f"/repositories/{full.repo_id}/commits/{full.get_commit().id}")
    assert f"({len(FULL)})" in page.text
    assert [link for link in page.links if link.startswith("k/")] == FULL[:1000]
    rest = browser.read(page.links["Next page"])
    assert [link for link in rest.links if link.startswith("k/")] == FULL[1000:]


def test_log_newest_first_in_pages(browser, branch):
    path = f"/repositories/{branch.repo_id}/commits?ref=dev"
    for number in range(100):
        branch.commit(f"number {number}", allow_empty=True)
    page = browser.read(path)
    found = re.findall(r"number (\d+)", page.text)
    assert found == [str(number) for number in range(99, -1, -1)]
    assert "Repository created" not in page.text
    rest = browser.read(page.links["Older commits"])
    assert "Repository created" in rest.text
    assert "number" not in rest.text
    assert "Older commits" not in rest.links


def test_commit_shows_what_changed(browser, branch):
    put(branch, kept=b"1", edited=b"1", gone=b"1")
    first = branch.commit("first").get_commit().id
    put(branch, edited=b"22", new=b"333")
    branch.object("gone").delete()
    second = branch.commit("second\n\nbody").get_commit().id
    start = f"/repositories/{branch.repo_id}"
    page = browser.read(f"{start}/commits/{second}")
    rows = re.findall(r"(added|changed|removed)\n(\w+)\n(\d+ B)", page.text)
    assert rows == [
        ("changed", "edited", "2 B"),
        ("removed", "gone", "1 B"),
        ("added", "new", "3 B"),
    ]
    assert "body" in page.text
    assert page.links[first[:12]] == f"{start}/commits/{first}"
    assert browser.get(page.links["gone"]).data == b"1"  # at the parent
    assert browser.get(page.links["edited"]).data == b"22"


def test_merge_has_both_parents_and_the_first_commit_none(browser, branch):
    before = branch.get_commit().id
    put(branch, x=b"1")
    branch.commit("x")
    ours = branch.get_commit().id
    merge = branch.merge_into("main")
    start = f"/repositories/{branch.repo_id}/commits"
    page = browser.read(f"{start}/{merge}")
    assert {before[:12], ours[:12]} <= page.links.keys()
    assert "(1)" in page.text
    first = browser.read(f"{start}/{before}")
    assert "No metadata." in first.text
    assert "No changes." in first.text


def test_metadata_links_and_inputs(browser, branch):
    ref = Ref(branch.repo_id, branch.get_commit().id, "corpus/2026-11-24/", "d")
    put(branch, x=b"1")
    metadata = {
        "::lakefs::Dagster::url[url:ui]": "http://127.0.0.1:3000/runs/1?a=1&b=2",
        "upper[url:ui]": "HTTPS://example.org/",
        "script[url:ui]": "javascript:alert(1)",
        "relative[url:ui]": "/runs/1",
        "plain": "http://not.a.link/",
        "inputs": json.dumps({"corpus": ref.uri, "other": "lakefs://", "odd": EVIL}),
    }
    commit = branch.commit("x", metadata=metadata).get_commit().id
    page = browser.read(f"/repositories/{branch.repo_id}/commits/{commit}")
    outside = {address for address in page.links.values() if "://" in address}
    assert outside == {"http://127.0.0.1:3000/runs/1?a=1&b=2", "HTTPS://example.org/"}
    assert page.links[ref.uri] == (
        f"/repositories/{ref.repository}/objects?ref={ref.commit}&path={ref.path}"
    )
    for shown in ("javascript:alert(1)", "/runs/1", "http://not.a.link/", "lakefs://", EVIL):
        assert shown in page.text.split("\n")


@pytest.mark.parametrize("inputs", ["{}", "[1]", '{"a": {"b": 1}}', "no JSON", "[" * 100_000, EVIL])
def test_inputs_may_be_anything(browser, branch, inputs):
    commit = branch.commit("x", metadata={"inputs": inputs}, allow_empty=True).get_commit().id
    assert "inputs" in browser.read(f"/repositories/{branch.repo_id}/commits/{commit}").text


def test_what_users_write_is_text(browser, branch):
    """Keys, messages and metadata with markup; `read` refuses every page that has a script."""
    folder, key = "<b>/&amp;/", f"{EVIL.replace('/', '|')}.txt"
    put(branch, **{folder + key: b"1", "\" onclick='x'": b"", "%41 ?#+": b"2", "ü/é.txt": b"3"})
    metadata = {EVIL: EVIL, f"{EVIL}[url:ui]": f'http://x/" onclick="{EVIL}'}
    commit = branch.commit(f"{EVIL} subject", metadata=metadata).get_commit().id
    start = f"/repositories/{branch.repo_id}"
    page = browser.read(f"{start}/commits/{commit}")
    assert page.text.count(EVIL) == 5
    assert not {"b", "script"} & page.elements
    assert browser.get(page.links[folder + key]).data == b"1"
    assert f"{EVIL} subject" in browser.read(f"{start}/commits?ref=dev").text
    top = browser.read(f"{start}/objects?ref=dev")
    assert browser.get(top.links["\" onclick='x'"]).status == 200
    assert browser.get(top.links["%41 ?#+"]).data == b"2"
    assert browser.get(browser.read(top.links["ü/"]).links["é.txt"]).data == b"3"
    inner = browser.read(browser.read(top.links["<b>/"]).links["&amp;/"])
    assert browser.get(inner.links[key]).data == b"1"


@pytest.mark.parametrize(
    "query", ["objects?path=%3Cscript%3E", "objects?ref=%3Cscript%3E", "object?path=%3Cscript%3E"]
)
def test_errors_are_text(browser, repository, query):
    got = browser.get(f"/repositories/{repository.id}/{query}")
    assert got.status in (400, 404)
    assert b"<script" not in got.data
    assert "<script>" in unescape(got.data.decode())


def test_html_runs_its_scripts_in_a_sandbox(browser, branch):
    put(branch, **{"report.HTML": REPORT})
    got = browser.get(f"/repositories/{branch.repo_id}/object?ref=dev&path=report.HTML")
    assert (got.data, got.headers["Content-Type"]) == (REPORT, "text/html; charset=utf-8")
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy_of(got).split(";"))
    assert rules["sandbox"] == "allow-scripts"
    assert rules["default-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    for kind in ("script", "style"):
        assert "'unsafe-inline'" in rules[f"{kind}-src"]
    for kind in ("img", "font", "connect", "worker", "script", "style"):
        sources = set(rules[f"{kind}-src"].split())
        assert {"data:", "blob:"} <= sources
        assert sources <= {"data:", "blob:", "'unsafe-inline'", "'unsafe-eval'"}
    assert {name: got.headers[name] for name in ALWAYS} == ALWAYS


def policy_of(got: urllib3.BaseHTTPResponse) -> str:
    (policy,) = got.headers.getlist("Content-Security-Policy")
    return policy


@pytest.mark.parametrize("name", ["a.json", "a.txt", "b.MD", "c.jsonl", "d.csv", "e.yaml", "f.log"])
def test_text_is_text(browser, branch, name):
    branch.object(name).upload(REPORT, content_type="text/html")
    got = browser.get(f"/repositories/{branch.repo_id}/object?ref=dev&path={name}")
    assert (got.data, got.headers["Content-Type"]) == (REPORT, "text/plain; charset=utf-8")
    assert "allow-scripts" not in policy_of(got)
    assert "Content-Disposition" not in got.headers
    assert {header: got.headers[header] for header in ALWAYS} == ALWAYS


@pytest.mark.parametrize(
    ("key", "saved"),
    [
        ("t/rows.parquet", "rows.parquet"),
        ("rows.jsonl.gz", "rows.jsonl.gz"),
        ("x.svg", "x.svg"),
        ("x.xhtml", "x.xhtml"),
        ("report.html/", "object"),
        ("html", "html"),
        ('a";\r\nSet-Cookie: x=1', "a%22%3B%0D%0ASet-Cookie%3A%20x%3D1"),
        ("ü.bin", "%C3%BC.bin"),
    ],
)
def test_everything_else_is_saved(browser, branch, key, saved):
    branch.object(key).upload(REPORT, content_type="text/html")
    (link,) = [
        address
        for address in every_object(browser, f"/repositories/{branch.repo_id}/objects?ref=dev")
        if "/object?" in address
    ]
    got = browser.get(link)
    assert (got.data, got.headers["Content-Type"]) == (REPORT, "application/octet-stream")
    assert got.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{saved}"
    assert "Set-Cookie" not in got.headers
    assert {header: got.headers[header] for header in ALWAYS} == ALWAYS


def every_object(browser: Browser, start: str) -> list[str]:
    links = browser.read(start).links
    folders = [a for text, a in links.items() if text.endswith("/") and "/objects?" in a]
    return [*links.values(), *(a for path in folders for a in browser.read(path).links.values())]


def test_objects_by_head_part_and_etag(browser, branch):
    put(branch, **{"a.html": REPORT})
    path = f"/repositories/{branch.repo_id}/object?ref=dev&path=a.html"
    whole = browser.get(path)
    head = browser.get(path, "HEAD")
    assert (head.status, head.data) == (200, b"")
    assert dict(head.headers) | {"date": ""} == dict(whole.headers) | {"date": ""}
    part = browser.get(path, Range="bytes=2-9")
    assert (part.status, part.data) == (206, REPORT[2:10])
    assert policy_of(part) == policy_of(whole)
    assert (
        browser.get(path, Range="bytes=999-").headers["Content-Range"] == f"bytes */{len(REPORT)}"
    )
    assert browser.get(path, If_None_Match=whole.headers["ETag"]).status == 304


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/no/such/page", 404, "no page '/no/such/page'"),
        ("/api", 404, "no page '/api'"),
        ("/repositories/missing", 404, "no repository 'missing'"),
        ("/repositories/missing/commits/main", 404, "no repository 'missing'"),
        ("/repositories/{r}/pulls", 404, "no page"),
        ("/repositories/{r}/objects?ref=missing", 404, "no branch, tag or commit 'missing'"),
        ("/repositories/{r}/objects?path=missing/", 404, "nothing below 'missing/' at 'main'"),
        ("/repositories/{r}/objects?ref=%20~~x", 400, "is not a ref"),
        ("/repositories/{r}/objects?path=%ff", 400, "path is not valid UTF-8"),
        ("/repositories/{r}/object?path=missing", 404, "no object at 'missing'"),
        ("/repositories/{r}/object", 400, "path is empty"),
        ("/repositories/{r}/commits?ref=missing", 404, "no branch, tag or commit 'missing'"),
        ("/repositories/{r}/commits/" + "0" * 64, 404, "no branch, tag or commit"),
    ],
)
def test_missing_things_are_pages(browser, repository, path, status, said):
    page = browser.read(path.replace("{r}", repository.id), status)
    assert said in page.text
    assert page.links["lakeFS"] == "/repositories"


def test_pages_are_read_only(browser, repository):
    for path in ("/", f"/repositories/{repository.id}", "/no/such/page"):
        for method in ("POST", "PUT", "DELETE"):
            got = browser.get(path, method)
            assert (got.status, set(got.headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})
            assert got.headers["Content-Type"] == "text/html; charset=utf-8"
        head = browser.get(path, "HEAD")
        assert (head.status, head.data) == (404 if "no" in path else 200, b"")
        assert {header: head.headers[header] for header in ALWAYS} == ALWAYS


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/repositories",
        "/repositories/missing",
        "/repositories/missing/objects",
        "/repositories/missing/object?path=x",
        "/no/such/page",
    ],
)
@pytest.mark.parametrize("pair", [None, "other:secret", "AKIATEST:other", "AKIATEST", ""])
def test_browsers_are_asked_for_the_key_pair(browser, path, pair):
    browser.login = {} if pair is None else urllib3.make_headers(basic_auth=pair)
    page = browser.read(path, 401)
    assert "authenticating" in page.text
    assert browser.get(path).headers["WWW-Authenticate"] == 'Basic realm="lakeFS"'
    assert browser.get(path, "HEAD").status == 401


def test_the_api_asks_nobody(browser):
    browser.login = {}
    got = browser.get("/api/v1/repositories")
    assert (got.status, got.headers["Content-Type"]) == (401, "application/json")
    assert "WWW-Authenticate" not in got.headers
    assert list(got.json()) == ["message"]


def test_the_api_answers_as_before(browser, endpoint, branch):
    branch.object("a.html").upload(REPORT, content_type="text/html")
    path = f"/repositories/{branch.repo_id}/refs/dev/objects?path=a.html"
    got = endpoint.request("GET", path)
    assert (got.data, got.headers["Content-Type"]) == (REPORT, "text/html")
    # For a browser that opens it: shown, not run.
    assert policy_of(got) == "default-src 'none'; sandbox"
    for path, status in (("/repositories/missing", 404), ("/no/such/call", 501)):
        got = endpoint.request("GET", path)
        assert (got.status, list(got.json())) == (status, ["message"])
    assert browser.get("/api/v2/x").json() == {"message": "no page '/api/v2/x'"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "{own}"}, 201),
        ({"Origin": "{own}", "Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_pages_of_others_cannot_write_with_the_browsers_login(
    endpoint, repository, headers, status
):
    """A form or fetch(no-cors) elsewhere needs no preflight for a body of text/plain."""
    got = endpoint.request(
        "POST",
        f"/repositories/{repository.id}/branches",
        body=b'{"name": "other", "source": "main"}',
        headers={name: value.replace("{own}", endpoint.url) for name, value in headers.items()}
        | {"Content-Type": "text/plain"},
    )
    assert got.status == status
    there = endpoint.request("GET", f"/repositories/{repository.id}/branches/other")
    assert there.status == (200 if status == 201 else 404)


def test_no_secret_on_the_pages(browser, endpoint, repository):
    for path in ("/", f"/repositories/{repository.id}", "/no/such/page"):
        assert endpoint.secret_access_key.encode() not in browser.get(path).data


def test_compare_shows_what_a_merge_would_bring(browser, branch, repository):
    main = repository.branch("main")
    put(branch, **{"a/changed": b"1", "a/gone": b"12", "b/both": b"1"})
    branch.commit("base")
    branch.merge_into("main")
    put(branch, **{"a/changed": b"123", "a/new": b"1234", "b/both": b"of dev", "b/equal": b"="})
    branch.delete_objects("a/gone")
    branch.commit("dev")
    put(main, **{"b/both": b"of main", "b/equal": b"=", "c/main": b"1"})
    main.commit("main")
    put(main, staged=b"1")
    path = f"/repositories/{repository.id}/compare"
    page = browser.read(f"{path}?ref=main&compare=dev")
    rows = re.findall(
        r"([-+~!] (?:added|removed|changed|conflict))\n(\S+)\n([\d.]+ B\n)?([\d.]+ B)?", page.text
    )
    assert [tuple(part.strip() for part in row) for row in rows] == [
        ("~ changed", "a/changed", "1 B", "3 B"),
        ("- removed", "a/gone", "2 B", ""),
        ("+ added", "a/new", "4 B", ""),
        ("! conflict", "b/both", "1 B", "6 B"),
    ]
    assert "1 added, 1 removed, 1 changed, 1 conflict" in page.text
    assert "and uncommitted changes" in page.text
    for key, content in {
        "a/changed": b"123",
        "1 B": b"1",
        "3 B": b"123",
        "a/gone": b"12",
        "2 B": b"12",
        "a/new": b"1234",
        "b/both": b"of dev",
    }.items():
        assert browser.get(page.links[key]).data == content
    other = browser.read(page.links["The other way round"])
    assert "2 changed" not in other.text
    assert "c/main" in other.links
    assert "a/new" not in other.links
    below = browser.read(f"{path}?ref=main&compare=dev&prefix=b/")
    assert "b/both" in below.links
    assert "a/new" not in below.links
    same = browser.read(f"{path}?ref=main&compare=main")
    assert "No changes." in same.text
    assert same.links["dev"] == f"{path}?ref=main&compare=dev"
    assert browser.read(same.links["dev"]).text == page.text
    assert browser.read(path).text == same.text  # the default branch with itself
    assert browser.read(page.links["Compare"]).text == same.text


def test_a_commit_is_compared_with_each_parent(browser, branch, repository):
    put(branch, x=b"1")
    branch.commit("dev")
    put(repository.branch("main"), y=b"1")
    first = repository.branch("main").commit("main").get_commit().id
    merge = branch.merge_into("main")
    page = browser.get(f"/repositories/{repository.id}/commits/{merge}").data.decode()
    links = [
        unescape(found) for found in re.findall(r'href="([^"]*/compare\?[^"]*)">compare', page)
    ]
    shown = [browser.read(link).links.keys() & {"x", "y"} for link in links]
    assert shown == [{"x"}, {"y"}]
    assert f"ref={first}&compare={merge}" in links[0]


def test_more_changes_to_compare_than_one_page(browser, full):
    page = browser.read(f"/repositories/{full.repo_id}/compare?ref=full~1&compare=full")
    assert f"({len(FULL)})" in page.text
    found = [name for name in page.links if name in FULL]
    page = browser.read(page.links["Next page"])
    found += [name for name in page.links if name in FULL]
    assert found == FULL
    assert "Next page" not in page.links


def test_compare_says_what_is_missing(browser, repository):
    path = f"/repositories/{repository.id}/compare"
    assert "nothing" in browser.read(f"{path}?ref=nothing", 404).text
    assert "nothing" in browser.read(f"{path}?ref=main&compare=nothing", 404).text
    browser.read(f"{path}?ref=main&compare=!!~x", 400)
