"""An operation on a branch or tag, with the hooks before and after it.

Hooks before: the operation is rehearsed and rolled back, so that hooks are asked only about what
would succeed; then they run, outside any transaction, while the branch refuses writes and can be
read; then the operation is done. A hook that fails aborts it. Hooks after it run in the background
and change nothing. Before the rehearsal of a commit, while the branch still takes writes, come the
hooks that prepare it.
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ft_resources.lakefs.server import actions, refs, runs, staging
from ft_resources.lakefs.server.actions import Action
from ft_resources.lakefs.server.blobs import Blobs
from ft_resources.lakefs.server.commits import NS
from ft_resources.lakefs.server.errors import PreconditionFailed
from ft_resources.lakefs.server.hooks import Hooks
from ft_resources.lakefs.server.keys import after_prefix
from ft_resources.lakefs.server.protection import check_committable
from ft_resources.lakefs.server.store import Repository, Session

MAX_ACTION_BYTES = 1024 * 1024
Apply = Callable[[Session], str]  # returns the id of the commit it made or worked on


@dataclass(frozen=True)
class Operation:
    kind: str  # one of actions.OPERATIONS
    repository: str
    source_ref: str  # where the actions of the hooks before are read
    committer: str
    branch: str = ""
    tag: str = ""
    commit_id: str = ""  # known before, for branches and tags
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    merge_source: str = ""


class _Rehearsed(Exception):
    """Rolls a rehearsal back."""


class Events:
    def __init__(self, hooks: Hooks, blobs: Blobs) -> None:
        self._hooks = hooks
        self._blobs = blobs
        self._after = ThreadPoolExecutor(1, thread_name_prefix="lakefs-post-hooks")

    def close(self) -> None:
        """Let hooks that were promised run."""
        self._after.shutdown()

    def perform(self, repository: Repository, operation: Operation, apply: Apply) -> str:
        """Raises PreconditionFailed when a hook refuses."""
        if operation.kind == "commit":
            self._prepare(repository, operation)
        before = self._wanted(repository, operation, "pre", operation.source_ref)
        if before:
            commit_id = self._with_hooks(repository, operation, before, apply)
        else:
            with repository.write(operation.branch) as session:
                commit_id = apply(session)
        self._after_it(repository, operation, commit_id)
        return commit_id

    def _prepare(self, repository: Repository, operation: Operation) -> None:
        """Hooks that may still change the branch: what they stage becomes part of the commit."""
        wanted = self._wanted(repository, operation, "prepare", operation.source_ref)
        if not wanted:
            return
        with repository.read() as session:
            check_committable(session, operation.branch)
        ref = operation.source_ref
        run_id, failed = self._run(repository, operation, "prepare", wanted, ref, "")
        if failed:
            raise PreconditionFailed(
                f"{actions.PREPARE_COMMIT} hook aborted, run id {run_id!r}: {'; '.join(failed)}"
            )

    def _with_hooks(
        self, repository: Repository, operation: Operation, wanted: list[Action], apply: Apply
    ) -> str:
        with repository.hold(operation.branch):
            with contextlib.suppress(_Rehearsed), repository.write() as session:
                apply(session)
                raise _Rehearsed
            run_id, failed = self._run(
                repository, operation, "pre", wanted, operation.source_ref, operation.commit_id
            )
            if failed:
                raise PreconditionFailed(
                    f"pre-{operation.kind} hook aborted, run id {run_id!r}: {'; '.join(failed)}"
                )
            with repository.write() as session:
                commit_id = apply(session)
                runs.set_commit(session, run_id, commit_id)
        return commit_id

    def _after_it(self, repository: Repository, operation: Operation, commit_id: str) -> None:
        # What a hook after it would be told is known already; a broken file must not undo it.
        try:
            wanted = self._wanted(repository, operation, "post", commit_id)
        except PreconditionFailed:
            return
        if wanted:
            self._after.submit(
                self._run, repository, operation, "post", wanted, commit_id, commit_id
            )

    def _wanted(
        self, repository: Repository, operation: Operation, when: str, source_ref: str
    ) -> list[Action]:
        prefix = actions.FOLDER.encode()
        with repository.read() as session:
            place = refs.resolve(session, source_ref)
            files = []
            for key, entry in staging.walk(session, place, prefix, after_prefix(prefix)):
                if not key.startswith(prefix):
                    break
                if key.endswith((b".yaml", b".yml")):
                    files.append((key.decode(), entry))
        found = []
        for file, entry in files:
            if entry.size > MAX_ACTION_BYTES:
                raise PreconditionFailed(f"action {file} has more than {MAX_ACTION_BYTES} bytes")
            content = b"".join(self._blobs.read(entry.address, 0, entry.size))
            found.append(actions.parse(file, content))
        event = f"{when}-{operation.kind}"
        return [action for action in found if action.wants(event, operation.branch)]

    def _run(
        self,
        repository: Repository,
        operation: Operation,
        when: str,
        wanted: list[Action],
        source_ref: str,
        commit_id: str,
    ) -> tuple[str, list[str]]:
        """(run id, what failed). A hook runs when those before it in its action passed, unless
        its condition says otherwise."""
        started, run_id, failed = time.time_ns(), runs.new_id(), []
        told = _told(operation, when, source_ref, commit_id)
        found: list[tuple[runs.HookRun, str]] = []
        for action in wanted:
            passed = True
            for hook in action.hooks:
                if not (hook.condition == "always()" or passed == (hook.condition == "success()")):
                    continue
                begun = time.time_ns()
                event = {**told, "action_name": action.name, "hook_id": hook.id}
                outcome = self._hooks.run(hook, event)
                if not outcome.passed:
                    passed = False
                    failed.append(f"action {action.name!r} hook {hook.id!r} failed")
                hook_run = runs.HookRun(
                    f"{run_id}_{len(found):04d}",
                    action.name,
                    hook.id,
                    begun,
                    time.time_ns(),
                    outcome.passed,
                )
                found.append((hook_run, outcome.output))
        event_name = f"{when}-{operation.kind}"
        run = runs.Run(
            run_id, operation.branch, event_name, commit_id, started, time.time_ns(), not failed
        )
        with repository.write() as session:
            runs.add(session, run, found)
        return run_id, failed


def _told(operation: Operation, when: str, source_ref: str, commit_id: str) -> dict[str, Any]:
    """The body of lakeFS's webhooks; empty fields are left out there too."""
    body = {
        "event_type": f"{when}-{operation.kind}",
        "event_time": datetime.fromtimestamp(time.time_ns() // NS, UTC).isoformat(),
        "repository_id": operation.repository,
        "branch_id": operation.branch,
        "source_ref": source_ref,
        "tag_id": operation.tag,
        "commit_id": commit_id,
        "commit_message": operation.message,
        "committer": operation.committer,
        "commit_metadata": dict(operation.metadata),
        "merge_source": operation.merge_source,
    }
    return json.loads(json.dumps({name: value for name, value in body.items() if value}))
