"""Evidence packs where they lie: in lakeFS, one per domain."""

import json
from dataclasses import dataclass

from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.signing import verify

EVIDENCE, PAGE, CARD = "evidence.json", "evidence.html", "README.md"


@dataclass(frozen=True)
class Pack:
    name: str  # of the adapter
    files: dict[str, bytes]


def prefix(domain: str) -> str:
    return f"evidence_pack/domain={domain}/"


def newest_pack(lakefs: LakeFS, domain: str, key: bytes | None) -> Pack:
    """The pack of what the domain serves; with a key its signature is checked.

    Raises LookupError when there is none, ValueError when it was changed after signing.
    """
    ref = Ref(lakefs.repository, lakefs.head(lakefs.repository), prefix(domain), "")
    files = {name: lakefs.read(ref, name) for name in lakefs.names(ref)}
    if EVIDENCE not in files:
        raise LookupError(f"{domain} has no evidence pack yet; materialize evidence_pack")
    record = json.loads(files[EVIDENCE])
    if key:
        try:
            verify(record, key)
        except ValueError as error:
            raise ValueError(f"{EVIDENCE} of {domain}: {error}") from None
    return Pack(record["adapter"]["name"], files)
