"""Small state files that are old or new after a crash, never half."""

import json
import os
from pathlib import Path
from typing import Any


def write_json(file: Path, value: object) -> None:
    """Replace `file`; when this returns, the new content survives a loss of power."""
    temporary = file.with_name(f"{file.name}.tmp")
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(value, out, indent=1, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
    sync_folder(file.parent)


def read_json(file: Path) -> Any:
    """The content, or None when there is no such file. Raises ValueError when it is no JSON."""
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise ValueError(
            f"{file}: not valid JSON; restore it, or remove it to start anew"
        ) from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power; fsync of a file does not do that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
