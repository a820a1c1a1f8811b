"""The one object of a repository that was asked for with `sample_data`.

lakeFS puts its quickstart there, with a parquet file and pictures; this has a text only, so that
clients that ask for samples get a repository they can read from.
"""

import time

from ft_resources.lakefs.server import changes, refs, staging
from ft_resources.lakefs.server.blobs import Blobs
from ft_resources.lakefs.server.commits import Text
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.store import Repository

PATH = b"README.md"
CONTENT = b"""# A sample repository

Branch from main, upload, commit, and merge back: what you upload is on main after the merge.
"""


def add(repository: Repository, blobs: Blobs, branch: str, committer: str) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)
    blob = writer.finish()
    entry = Entry(blob.address, blob.size, blob.checksum, "text/markdown", {}, int(time.time()))
    with repository.write() as session:
        staging.put(session, branch, refs.head(session, branch), PATH, entry)
        text = Text("Add sample data", {}, committer)
        changes.commit(session, branch, text, allow_empty=False)
