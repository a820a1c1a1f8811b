"""Branch protection: branches that change by merge (and revert) alone.

Rules are glob patterns on branch names. On a protected branch uploading, deleting, resetting and
committing are refused; merging into it, reverting and cherry-picking are allowed, as in lakeFS.
"""

import hashlib
import json
from fnmatch import fnmatchcase

from ft_resources.lakefs.server.errors import Forbidden, PreconditionFailed
from ft_resources.lakefs.server.store import Session

SETTING = "branch_protection"
WRITE_REFUSED = "cannot write to protected branch"  # lakeFS's words, which clients compare


def rules(session: Session) -> list[str]:
    return session.setting(SETTING) or []


def etag(patterns: list[str]) -> str:
    return hashlib.sha256(json.dumps(patterns).encode()).hexdigest()


def set_rules(session: Session, patterns: list[str], if_match: str | None) -> None:
    if if_match is not None and if_match.strip('"') != etag(rules(session)):
        raise PreconditionFailed("branch protection rules were changed meanwhile; read them again")
    session.set_setting(SETTING, patterns)


def is_protected(session: Session, branch: str) -> bool:
    return any(fnmatchcase(branch, pattern) for pattern in rules(session))


def check_writable(session: Session, branch: str) -> None:
    if is_protected(session, branch):
        raise Forbidden(WRITE_REFUSED)


def check_committable(session: Session, branch: str) -> None:
    if is_protected(session, branch):
        raise Forbidden("cannot commit to protected branch")
