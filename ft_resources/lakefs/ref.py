"""The one thing assets hand to each other: where immutable data lies, and the digest of it."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Ref:
    """A folder of objects in one lakeFS commit. Equal content has an equal digest in any commit."""

    repository: str
    commit: str  # never a branch name
    path: str  # prefix below the repository root, ends with "/"
    digest: str  # sha256 over the sorted (name, sha256) of the objects: the data version

    @property
    def uri(self) -> str:
        return f"lakefs://{self.repository}/{self.commit}/{self.path}"

    def to_dict(self) -> dict[str, str]:
        return asdict(self)
