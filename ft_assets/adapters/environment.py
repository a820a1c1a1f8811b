"""What a training ran on: the versions that its bytes depend on, and the machine."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy", "opacus", "trl")
CPU_INFO = Path("/proc/cpuinfo")


def versions() -> dict[str, str]:
    """Python and the packages that make an adapter; one that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def file_digest(file: Path) -> str:
    """sha256 of a file's content, hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def machine() -> dict[str, str]:
    """The machine: what a figure of speed or cost belongs to. No part of an adapter's lineage."""
    return {
        "cpu": _cpu() or platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
    }


def _cpu() -> str:
    if not CPU_INFO.is_file():
        return ""
    lines = CPU_INFO.read_text("utf-8", errors="replace").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")
