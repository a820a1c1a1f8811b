"""Files that survive a power failure, and locks that other processes see too."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make files that were created, renamed or removed in it stay so."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(file: Path, shared: bool = False) -> Generator[None]:
    """Wait for the lock; one holder, or any number of shared ones. The file is made and stays."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
