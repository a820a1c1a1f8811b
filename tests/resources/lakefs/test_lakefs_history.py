"""Commit, log, diff, merge, revert and cherry-pick through the official client."""

from datetime import UTC, datetime

import lakefs
import pytest
from lakefs.exceptions import (
    BadRequestException,
    ConflictException,
    NotFoundException,
    TransactionException,
)
from lakefs_sdk import CommitOverrides, RevertCreation


def put(branch: lakefs.Branch, **objects: str | None) -> str:
    """Commit objects; None deletes."""
    for key, content in objects.items():
        if content is None:
            branch.object(key).delete()
        else:
            branch.object(key).upload(content)
    return branch.commit(" ".join(objects)).id


def contents(ref: lakefs.Reference) -> dict[str, str]:
    return {o.path: ref.object(o.path).reader("r").read() for o in ref.objects()}


def diff(left: lakefs.Reference, right: lakefs.Reference, **query) -> list[tuple[str, str]]:
    return [(change.type, change.path) for change in left.diff(right, **query)]


def test_commit(branch):
    branch.object("x").upload(b"1")
    parent = branch.head.id
    commit = branch.commit("message", metadata={"a": "1", "::url[url:ui]": "http://x"}).get_commit()
    assert commit.message == "message"
    assert commit.metadata == {"a": "1", "::url[url:ui]": "http://x"}
    assert commit.parents == [parent]
    assert len(commit.id) == 64
    assert list(branch.uncommitted()) == []
    assert branch.head.id == commit.id


def test_nothing_to_commit(branch):
    with pytest.raises(BadRequestException, match="no changes"):
        branch.commit("nothing")
    before = branch.head.id
    branch.commit("nothing", allow_empty=True)
    assert [c.id for c in branch.log()][1] == before
    assert diff(branch, lakefs.Reference(branch.repo_id, before, branch._client)) == []


def test_commit_date(branch):
    branch.object("x").upload(b"1")
    branch.commit("old", date=1_000_000_000)
    assert branch.get_commit().creation_date == 1_000_000_000


def test_commit_keeps_what_it_did_not_touch(branch):
    put(branch, **{"a/1": "1", "a/2": "2", "b": "3"})
    first = branch.head
    put(branch, **{"a/2": None, "b": "4"})
    assert contents(branch) == {"a/1": "1", "b": "4"}
    assert contents(first) == {"a/1": "1", "a/2": "2", "b": "3"}
    put(branch, **{"a/1": None, "b": None})
    assert contents(branch) == {}


def test_log(main, branch):
    ids = [put(branch, **{f"p{n % 2}/{n}": str(n)}) for n in range(6)]
    newest = ids[::-1]

    def log(**query) -> list[str]:
        return [commit.id for commit in branch.log(**query)]

    assert log() == [*newest, main.head.id]
    assert log(amount=2) == log()
    assert log(amount=2, limit=True) == newest[:2]
    assert log(max_amount=3) == newest[:3]
    assert log(after=newest[1]) == [*newest[2:], main.head.id]
    assert log(stop_at=newest[2]) == newest[:3]
    assert log(objects=["p0/4"]) == [ids[4]]
    assert log(prefixes=["p1/"]) == [ids[5], ids[3], ids[1]]
    assert log(prefixes=["p1/"], objects=["p0/0"]) == [ids[5], ids[3], ids[1], ids[0]]
    assert log(since=datetime(2000, 1, 1, tzinfo=UTC)) == log()
    assert log(since=datetime(2200, 1, 1, tzinfo=UTC)) == []
    with pytest.raises(NotFoundException):
        log(stop_at="nowhere")


def test_log_of_a_merge(repository, main, branch):
    other = repository.branch("other").create("main")
    theirs, ours = put(branch, x="1"), put(other, y="1")
    branch.merge_into(other)
    merged = other.head.id
    assert [c.id for c in other.log()] == [merged, ours, theirs, main.head.id]
    assert [c.id for c in other.log(first_parent=True)] == [merged, ours, main.head.id]
    assert [c.id for c in repository.ref("other^2").log()] == [theirs, main.head.id]


def test_two_dot_and_three_dot(repository, main, branch):
    put(branch, **{"a": "1", "b": "1", "d/x": "1", "d/y": "1"})
    branch.merge_into(main)
    put(other := repository.branch("other").create("main"), a="2", only_other="1")
    put(branch, **{"b": None, "d/x": "2", "new": "1"})
    assert diff(main, branch) == [("removed", "b"), ("changed", "d/x"), ("added", "new")]
    assert diff(other, branch) == diff(main, branch)
    assert diff(other, branch, type="two_dot") == [
        ("changed", "a"),
        ("removed", "b"),
        ("changed", "d/x"),
        ("added", "new"),
        ("removed", "only_other"),
    ]
    assert diff(main, branch, prefix="d/") == [("changed", "d/x")]
    assert diff(main, branch, prefix="none/at/all") == []
    assert diff(main, branch, after="b") == [("changed", "d/x"), ("added", "new")]
    assert diff(main, branch, amount=1) == diff(main, branch)
    grouped = [("removed", "b"), ("prefix_changed", "d/"), ("added", "new")]
    assert diff(main, branch, delimiter="/") == grouped
    put(other, **{"d/x": "3", "new": "1"})
    assert diff(other, branch) == [("removed", "b"), ("conflict", "d/x")]


def test_uncommitted_groups(branch):
    put(branch, **{"d/x": "1"})
    for key in ("a", "d/y", "e/z/1"):
        branch.object(key).upload(b"1")
    branch.object("d/x").delete()
    found = [(c.type, c.path) for c in branch.uncommitted(delimiter="/")]
    assert found == [("added", "a"), ("prefix_changed", "d/"), ("prefix_changed", "e/")]
    found = [(c.type, c.path) for c in branch.uncommitted(prefix="d/")]
    assert found == [("removed", "d/x"), ("added", "d/y")]
    assert [c.path for c in branch.uncommitted(after="d/x", amount=1)] == ["d/y", "e/z/1"]


def test_diff_with_right_stats(client, main, branch):
    put(branch, x="1")
    refs = client.sdk_client.refs_api
    [row] = refs.diff_refs(branch.repo_id, "main", "dev", include_right_stats=True).results
    assert row.right.checksum == branch.object("x").stat().checksum


def test_merge(main, branch, repository):
    base = main.head.id
    ours = put(repository.branch("other").create("main"), left="1")
    repository.branch("other").merge_into(main)
    theirs = put(branch, right="1")
    before = main.head.id
    merged = branch.merge_into(main, message="join", metadata={"run": "7"})
    commit = main.get_commit()
    assert commit.id == merged
    assert commit.parents == [before, theirs]
    assert commit.message == "join"
    assert commit.metadata == {"run": "7", ".lakefs.merge.strategy": "default"}
    assert contents(main) == {"left": "1", "right": "1"}
    assert {c.id for c in main.log()} >= {base, ours, theirs}
    with pytest.raises(BadRequestException, match="no changes"):
        branch.merge_into(main)
    assert branch.merge_into(main, allow_empty=True) == main.head.id
    assert contents(main) == {"left": "1", "right": "1"}


def test_merge_base(client, main, branch):
    base = main.head.id
    theirs = put(branch, x="1")
    found = client.sdk_client.refs_api.find_merge_base(branch.repo_id, "dev", "main")
    assert found.base_commit_id == base
    assert (found.source_commit_id, found.destination_commit_id) == (theirs, base)


def test_merge_base_is_the_last_merge(repository, main, branch):
    """Merging again brings what is new since, not what was brought before."""
    put(branch, x="1", y="1")
    branch.merge_into(main)
    put(side := repository.branch("side").create("main"), x="2")
    side.merge_into(main)
    put(branch, y="2")
    branch.merge_into(main)
    assert contents(main) == {"x": "2", "y": "2"}


@pytest.mark.parametrize("strategy", ["source-wins", "dest-wins"])
def test_conflict_and_strategies(repository, main, branch, strategy):
    put(branch, same="1\n2\n3\n", gone="1", kept="1")
    branch.merge_into(main)
    put(side := repository.branch("side").create("main"), same="one\n2\n3\n", gone=None, both="1")
    side.merge_into(main)
    put(branch, same="1\n2\nthree\n", gone="2", both="1", free="1")
    before = main.head.id
    with pytest.raises(ConflictException) as conflict:
        branch.merge_into(main)
    assert conflict.value.body == {"reference": ""}
    assert main.head.id == before
    branch.merge_into(main, strategy=strategy)
    shared = {"kept": "1", "both": "1", "free": "1"}
    wins = {
        "source-wins": {"same": "1\n2\nthree\n", "gone": "2"},
        "dest-wins": {"same": "one\n2\n3\n"},
    }
    assert contents(main) == {**shared, **wins[strategy]}
    assert main.get_commit().metadata == {".lakefs.merge.strategy": strategy}


def test_equal_change_on_both_sides_is_no_conflict(repository, main, branch):
    put(branch, x="1", gone="1")
    branch.merge_into(main)
    put(side := repository.branch("side").create("main"), x="2", gone=None)
    side.merge_into(main)
    put(branch, x="2", gone=None, other="1")
    branch.merge_into(main)
    assert contents(main) == {"x": "2", "other": "1"}


def test_moved_object_is_not_followed(repository, main, branch):
    """A rename is a removal and an addition; git's rename detection would move the edit along."""
    text = "".join(f"line {n}\n" for n in range(50))
    put(branch, old=text)
    branch.merge_into(main)
    put(side := repository.branch("side").create("main"), old=text + "edit\n")
    put(branch, old=None, new=text)
    branch.merge_into(main)
    with pytest.raises(ConflictException):
        side.merge_into(main)


def test_dirty_destination(main, branch):
    put(branch, x="1")
    main.object("dirt").upload(b"1")
    with pytest.raises(BadRequestException, match="uncommitted changes"):
        branch.merge_into(main)
    main.reset_changes()
    branch.object("dirt in the source").upload(b"1")
    branch.merge_into(main)
    assert contents(main) == {"x": "1"}


def test_squash(main, branch):
    put(branch, x="1")
    put(branch, y="1")
    before = main.head.id
    branch.merge_into(main, squash_merge=True)
    assert main.get_commit().parents == [before]
    assert contents(main) == {"x": "1", "y": "1"}
    main.revert("main")
    assert contents(main) == {}


def test_merge_from_commit_and_tag(repository, main, branch):
    first = put(branch, x="1")
    put(branch, y="1")
    repository.ref(first).merge_into(main)
    assert contents(main) == {"x": "1"}
    repository.tag("v").create("dev").merge_into(main)
    assert contents(main) == {"x": "1", "y": "1"}


def test_unknown_strategy_and_destination(branch):
    put(branch, x="1")
    with pytest.raises(BadRequestException):
        branch.merge_into("main", strategy="ours")
    with pytest.raises(NotFoundException):
        branch.merge_into("nowhere")


def test_revert(branch):
    put(branch, x="1", y="1")
    bad = put(branch, x="2", z="1")
    put(branch, later="1")
    branch.revert(bad)
    assert contents(branch) == {"x": "1", "y": "1", "later": "1"}
    assert branch.get_commit().message == f"Revert {bad}"
    with pytest.raises(BadRequestException, match="no changes"):
        branch.revert(bad)
    put(branch, x="3")
    put(branch, x="4")
    with pytest.raises(ConflictException):
        branch.revert("dev~1")
    branch.object("dirt").upload(b"1")
    with pytest.raises(BadRequestException, match="uncommitted changes"):
        branch.revert("dev")


def test_revert_of_a_merge(repository, main, branch):
    put(branch, x="1")
    branch.merge_into(main)
    merged = main.head.id
    put(side := repository.branch("side").create("main"), y="1")
    side.merge_into(main)
    with pytest.raises(ConflictException):
        main.revert(merged)
    with pytest.raises(BadRequestException):
        main.revert(merged, parent_number=3)
    main.revert(merged, parent_number=1)
    assert contents(main) == {"y": "1"}
    with pytest.raises(BadRequestException, match="no changes"):
        branch.merge_into(main)  # its commits are in the history: work goes on from a new branch


def test_revert_with_own_words(client, branch):
    put(branch, x="1")
    client.sdk_client.branches_api.revert_branch(
        branch.repo_id,
        "dev",
        RevertCreation(
            ref="dev",
            parent_number=0,
            commit_overrides=CommitOverrides(message="undo", metadata={"k": "v"}),
        ),
    )
    assert (branch.get_commit().message, branch.get_commit().metadata) == ("undo", {"k": "v"})


def test_cherry_pick(repository, main, branch):
    put(branch, x="1")
    branch.object("y").upload(b"1")
    picked = branch.commit("pick me", metadata={"k": "v"}).id
    target = repository.branch("target").create("main")
    commit = target.cherry_pick(picked)
    assert contents(target) == {"y": "1"}
    assert commit.message == "pick me"
    assert commit.metadata == {
        "k": "v",
        "cherry-pick-origin": picked,
        "cherry-pick-committer": commit.committer,
    }
    assert target.head.id == commit.id
    put(target, x="other")
    with pytest.raises(ConflictException):
        target.cherry_pick("dev~1")
    with pytest.raises(NotFoundException):
        target.cherry_pick("nowhere")
    target.object("dirt").upload(b"1")
    with pytest.raises(BadRequestException, match="uncommitted changes"):
        target.cherry_pick(picked)


def test_cherry_pick_of_a_merge(repository, main, branch):
    target = repository.branch("target").create("main")
    put(branch, x="1")
    branch.merge_into(main)
    for parent_number in (None, 3):
        with pytest.raises(BadRequestException):
            target.cherry_pick("main", parent_number)
    target.cherry_pick("main", 1)
    assert contents(target) == {"x": "1"}


def test_transaction(main, repository):
    with main.transact("in one step", {"k": "v"}, tag="done") as tx:
        tx.object("x").upload(b"1")
        tx.object("y").upload(b"1")
        assert contents(main) == {}
        assert [b.id for b in repository.branches()] == ["main"]
    assert contents(main) == {"x": "1", "y": "1"}
    assert repository.tag("done").get_commit().id == main.head.id
    assert [c.message for c in main.log()][1] == "in one step"
    with pytest.raises(TransactionException), main.transact("nothing"):
        pass


def test_commit_without_a_message(endpoint, branch):
    path = f"/repositories/{branch.repo_id}/branches/dev/commits"
    for body in ({}, {"message": 1}, {"message": "m", "metadata": {"k": 1}}, {"message": None}):
        assert endpoint.request("POST", path, json=body).status == 400
    assert endpoint.request("POST", path, body=b"{no json").status == 400
    # Half a surrogate pair: stored, it would break every later log of the branch.
    for text in (rb'"message": "\ud800"', rb'"message": "m", "metadata": {"k\uDFFF": "v"}'):
        body = b'{"allow_empty": true, ' + text + b"}"
        assert endpoint.request("POST", path, body=body).status == 400
    pair = rb'{"message": "\ud83d\ude00", "allow_empty": true}'
    assert endpoint.request("POST", path, body=pair).json()["message"] == "😀"
    assert endpoint.request("POST", path, json=["m"]).status == 400
