"""What was measured on: machine, versions and date, as every row carries them."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def stamp() -> dict[str, str]:
    """For every row of a run."""
    return {"versions": versions(), "machine": machine(), "date": datetime.now(UTC).isoformat(timespec="seconds")}


def versions() -> str:
    """Of everything on the path of a commit."""
    packages = [f"{name} {_version(name)}" for name in ("atone", "aiosqlite", "orjson")]
    return ", ".join([*packages, f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "from its folder"


def machine() -> str:
    """Cores, memory and processor; never its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {_processor()}, {platform.system()} {platform.release()}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
