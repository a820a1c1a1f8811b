"""Names: object keys and how they lie in git trees, branches, tags, repositories.

Object keys are one flat namespace ordered by bytes: `a`, `a/b`, `a//b`, `z/` and `.git/x` live
side by side. Git trees refuse most of that, so every component is written as `=name`, and the last
one gets the suffix \\x01. Then every name is legal, `a` and `a/b` do not collide, and git's own
order of tree entries is the byte order of the keys, so listing never sorts.
"""

import re

from ft_resources.lakefs.server.errors import BadRequest

MAX_KEY_BYTES = 1024  # as in S3 and lakeFS
MAX_KEY_LEVELS = 200  # trees are walked recursively, one Python frame a level
LEAF = "\x01"
LEAF_BYTE = b"\x01"
REPOSITORY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
BRANCH_NAME = re.compile(r"\w[-\w]*", re.ASCII)
TAG_NAME = re.compile(r"[\w-][\w.+/-]*", re.ASCII)
MAX_REF_NAME = 256


def parse_key(text: str) -> bytes:
    """The key as stored. Raises BadRequest when it cannot be one."""
    if not text:
        raise BadRequest("path is empty; give the path of an object")
    try:
        key = text.encode()
    except UnicodeEncodeError:
        raise BadRequest("path is not valid UTF-8") from None
    if len(key) > MAX_KEY_BYTES:
        raise BadRequest(f"path has {len(key)} bytes; at most {MAX_KEY_BYTES} are allowed")
    if b"\0" in key or LEAF_BYTE in key:
        raise BadRequest("path must not contain the characters NUL or \\x01")
    if key.count(b"/") >= MAX_KEY_LEVELS:
        raise BadRequest(f"path has more than {MAX_KEY_LEVELS} levels")
    return key


def parse_prefix(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest("prefix, after and delimiter must be valid UTF-8") from None


def tree_names(key: bytes) -> list[str]:
    """The names of a key in nested trees, the last one that of the leaf."""
    *folders, leaf = key.decode().split("/")
    return [*("=" + folder for folder in folders), "=" + leaf + LEAF]


def folder_names(prefix: bytes) -> list[str]:
    """The names of the trees that hold every key with this prefix."""
    folder, slash, _ = prefix.rpartition(b"/")
    if not slash:
        return []
    return ["=" + part.decode() for part in folder.split(b"/")]


def key_of(tree_path: bytes) -> bytes:
    """Undo `tree_names` joined with slashes."""
    return b"/".join(part[1:] for part in tree_path.split(b"/"))[:-1]


def after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key greater than every key with this prefix; None when there is no such key."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None


def check_repository_name(name: str) -> None:
    if not REPOSITORY_NAME.fullmatch(name):
        raise BadRequest(
            f"repository name {name!r} must be 3 to 63 of a-z, 0-9 and '-', and not start with '-'"
        )


def check_branch_name(name: str) -> None:
    if not BRANCH_NAME.fullmatch(name) or len(name) > MAX_REF_NAME:
        raise BadRequest(
            f"branch name {name!r} must be letters, digits, '_' and '-', and not start with '-'"
        )


def check_tag_name(name: str) -> None:
    legal = TAG_NAME.fullmatch(name) and not name.endswith(("/", ".", ".lock"))
    if not legal or ".." in name or "//" in name or len(name) > MAX_REF_NAME:
        raise BadRequest(
            f"tag name {name!r} must be letters, digits and '_-.+/', without '..' or '//'"
        )
