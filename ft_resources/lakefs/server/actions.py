"""`_lakefs_actions/*.yaml`: which hooks a repository wants to have run, and when.

A file has lakeFS's form: `name`, `on: {event: {branches: [glob, ...]}}`, and `hooks`, each with
`id`, `type`, `properties` and an optional `if`. The types here are `webhook`, and `python` for a
function that whoever starts the server has registered; a file names such a function and never
holds code. Files of other types are refused, so that a check is never silently left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import yaml

from ft_resources.lakefs.server.errors import PreconditionFailed

FOLDER = "_lakefs_actions/"
OPERATIONS = (
    *("commit", "merge", "revert", "cherry-pick"),
    *("create-branch", "delete-branch", "create-tag", "delete-tag"),
)
PREPARE_COMMIT = "prepare-commit"
EVENTS = frozenset(f"{when}-{name}" for when in ("pre", "post") for name in OPERATIONS) | {
    PREPARE_COMMIT
}
TYPES = ("webhook", "python")
CONDITIONS = ("success()", "failure()", "always()")
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
DEFAULT_TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Hook:
    id: str
    type: str
    condition: str  # one of CONDITIONS, about the hooks before it in its action
    properties: Mapping[str, Any]
    timeout_s: float


@dataclass(frozen=True)
class Action:
    name: str
    on: Mapping[str, tuple[str, ...]]  # event -> globs of branch names, () for every branch
    hooks: tuple[Hook, ...]

    def wants(self, event: str, branch: str) -> bool:
        globs = self.on.get(event)
        return globs is not None and (not globs or any(fnmatchcase(branch, g) for g in globs))


def parse(file: str, content: bytes) -> Action:
    """Raises PreconditionFailed, which names the file, where it is not an action."""
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(file, f"is not YAML ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise _wrong(file, "must be a mapping with name, on and hooks")
    # YAML 1.1 reads an unquoted `on` as true.
    on = found.get("on", found.get(True))
    name, hooks = found.get("name"), found.get("hooks")
    if not isinstance(name, str) or not name:
        raise _wrong(file, "has no name")
    if not isinstance(on, dict) or not on:
        raise _wrong(file, "has no events under 'on'")
    if not isinstance(hooks, list) or not hooks:
        raise _wrong(file, "has no hooks")
    parsed = tuple(_hook(file, hook) for hook in hooks)
    if len({hook.id for hook in parsed}) < len(parsed):
        raise _wrong(file, "has two hooks with one id")
    return Action(name, {_event(file, e): _globs(file, e, c) for e, c in on.items()}, parsed)


def _event(file: str, event: object) -> str:
    if not isinstance(event, str) or event not in EVENTS:
        raise _wrong(file, f"asks for the event {event!r}; known are {', '.join(sorted(EVENTS))}")
    return event


def _globs(file: str, event: object, choice: object) -> tuple[str, ...]:
    globs = choice.get("branches") if isinstance(choice, dict) else choice
    if globs is None:
        return ()
    if not isinstance(globs, list) or not all(isinstance(glob, str) for glob in globs):
        raise _wrong(file, f"must list the branches of {event} as texts")
    return tuple(globs)


def _hook(file: str, hook: object) -> Hook:
    if not isinstance(hook, dict) or not isinstance(hook.get("id"), str) or not hook["id"]:
        raise _wrong(file, "has a hook without an id")
    kind, condition = hook.get("type"), hook.get("if") or "success()"
    where = f"hook {hook['id']!r}"
    if kind not in TYPES:
        raise _wrong(
            file, f"{where} is of type {kind!r}; the embedded server runs {' and '.join(TYPES)}"
        )
    if condition not in CONDITIONS:
        raise _wrong(file, f"{where} has the condition {condition!r}; use {', '.join(CONDITIONS)}")
    properties = hook.get("properties") or {}
    if not isinstance(properties, dict):
        raise _wrong(file, f"{where} has properties that are no mapping")
    needed = "url" if kind == "webhook" else "function"
    if not isinstance(properties.get(needed), str):
        raise _wrong(file, f"{where} has no property {needed!r}")
    for name in ("query_params", "headers"):
        if not isinstance(properties.get(name, {}), dict):
            raise _wrong(file, f"{where}: {name} must be a mapping")
    timeout = _seconds(properties.get("timeout"))
    if timeout is None:
        raise _wrong(file, f"{where} has the timeout {properties['timeout']!r}; write 90s or 1m30s")
    return Hook(hook["id"], kind, condition, properties, timeout)


def _seconds(text: object) -> float | None:
    """Of Go's notation; None when it is not that, or not within 0 to MAX_TIMEOUT_S."""
    if text is None:
        return DEFAULT_TIMEOUT_S
    match = DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    hours, minutes, seconds, thousandths = (int(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    return total if 0 < total <= MAX_TIMEOUT_S else None


def _wrong(file: str, what: str) -> PreconditionFailed:
    return PreconditionFailed(f"action {file} {what}; correct the file")
