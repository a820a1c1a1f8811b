"""Bases and adapters on disk below the gateway's root, and the gate in front of them.

    base.json                 {"current": digest, "folders": {digest: folder}}
    adapters/NAME/            weights, configuration, signed manifest
    generations.json          {domain: highest generation of a manifest that was let in}

An older adapter that was signed once is refused by its generation; the same one again is fine.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ft_resources.adapter_manifest import check_adapter, read_manifest
from ft_resources.gateway.durable import read_json, sync_folder, write_json
from ft_resources.signing import verify


class AdapterStore:
    def __init__(self, root: Path, signing_key: bytes, domains: Iterable[str]) -> None:
        self._root = root
        self._key = signing_key
        self._domains = frozenset(domains)
        self._folder = root / "adapters"
        self._incoming = root / "incoming"
        # A folder here was not admitted: what a crash left behind.
        shutil.rmtree(self._incoming, ignore_errors=True)
        for folder in (self._folder, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def bases(self) -> tuple[str | None, dict[str, Path]]:
        state = read_json(self._root / "base.json")
        if state is None:
            return None, {}
        return state["current"], {d: Path(f) for d, f in state["folders"].items()}

    def save_bases(self, current: str | None, folders: dict[str, Path]) -> None:
        texts = {digest: str(folder) for digest, folder in folders.items()}
        write_json(self._root / "base.json", {"current": current, "folders": texts})

    def names(self) -> list[str]:
        """Oldest first."""
        folders = [f for f in self._folder.iterdir() if f.is_dir()]
        return [f.name for f in sorted(folders, key=lambda f: (f.stat().st_mtime_ns, f.name))]

    def folder(self, name: str) -> Path:
        return self._folder / name

    def incoming(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._incoming))

    def manifest(self, folder: Path, name: str) -> dict[str, Any]:
        """The manifest of an adapter of this name.

        PermissionError: not signed by us. ValueError: not of this name, or of an unknown domain.
        """
        try:
            manifest = read_manifest(folder)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from None
        try:
            verify(manifest, self._key)
        except ValueError as error:
            raise PermissionError(f"manifest.json: {error}") from None
        if manifest["name"] != name:
            raise ValueError(f"manifest.json: is of {manifest['name']!r}, not of {name!r}")
        if manifest["domain"] not in self._domains:
            raise ValueError(
                f"manifest.json: domain {manifest['domain']!r} is not served here; it serves "
                f"{', '.join(sorted(self._domains))}"
            )
        return manifest

    def check(self, folder: Path, manifest: dict[str, Any], base: Path) -> None:
        check_adapter(folder, base, manifest["base_digest"])

    def refuse_replay(self, manifest: dict[str, Any]) -> None:
        """Raises FileExistsError when a newer adapter of the domain has been let in before."""
        highest = self._generations().get(manifest["domain"], 0)
        if manifest["generation"] < highest:
            raise FileExistsError(
                f"{manifest['name']}: signed for generation {manifest['generation']}, but "
                f"{manifest['domain']} has seen {highest}; sign it again for this release"
            )

    def admit(self, incoming: Path, manifest: dict[str, Any]) -> Path:
        """Move a checked adapter to its place, durably."""
        for file in incoming.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        sync_folder(incoming)
        generations = self._generations()
        generations[manifest["domain"]] = manifest["generation"]
        write_json(self._root / "generations.json", generations)
        place = self.folder(manifest["name"])
        if place.exists():  # one that could not be loaded again after a restart
            shutil.rmtree(place)
        incoming.rename(place)
        sync_folder(self._folder)
        return place

    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder(name), ignore_errors=True)
        sync_folder(self._folder)

    def _generations(self) -> dict[str, int]:
        return read_json(self._root / "generations.json") or {}
