"""Garbage collection of the embedded lakeFS, for those who run on the server's machine."""

from pathlib import Path

import dagster as dg

from ft_resources.lakefs.server.gc import Report, collect


class GarbageCollector(dg.ConfigurableResource):
    """Works on the server's folder, beside the server (docs/decisions/0013).

    An empty `folder` stands for a lakeFS elsewhere, whose contents only its own garbage collection
    may remove.
    """

    folder: str

    def refusal(self) -> str | None:
        """Why nothing can be collected here; None when it can."""
        if not self.folder:
            return (
                "lakeFS runs elsewhere (services.lakefs.embedded is false): its garbage is "
                "collected where it runs, by the rules that versioning.retention gave it"
            )
        return None

    def collect(self) -> Report:
        """Remove what nothing keeps any more. Raises RuntimeError for a lakeFS elsewhere, and
        FileNotFoundError where no server has ever run.
        """
        if refusal := self.refusal():
            raise RuntimeError(refusal)
        return collect(Path(self.folder), apply=True)
