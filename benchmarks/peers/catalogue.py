"""Which peers there are, what they need, and how each is made ready; one that cannot be says why, in its rows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from attrs import frozen

from ..system import System
from .cluster import Cluster, NoPostgres

#: Seconds for an installation.
PATIENCE = 600
SERVER = Path("node_modules/@restatedev/restate-server-linux-x64/bin/restate-server")


@frozen
class Peer:
    """What one needs."""

    durability: str
    packages: tuple[str, ...] = ()  #: for Python, in an environment of their own
    binaries: tuple[str, ...] = ()  #: from npm
    postgres: bool = False

    @property
    def place(self) -> str:
        """The folder of its environment; those that need the same share one."""
        return self.packages[0].partition("=")[0]


PEERS = {
    "plain": Peer("WAL, FULL: each commit synced"),
    "dbos-sqlite": Peer("rollback journal, FULL: each commit synced", ("dbos==3.4.0", "psycopg[binary]==3.3.9")),
    "dbos-postgres": Peer("Postgres, synchronous_commit on", ("dbos==3.4.0", "psycopg[binary]==3.3.9"), postgres=True),
    "restate": Peer(
        "server's log on RocksDB, its defaults",
        ("restate-sdk==1.3.0", "hypercorn==0.18.0", "aiohttp==3.14.5"),
        binaries=("@restatedev/restate-server@1.7.12",),
    ),
    "sayiir-postgres": Peer(
        "Postgres, synchronous_commit on", ("sayiir==1.0.0", "psycopg[binary]==3.3.9"), postgres=True
    ),
}


def ready(name: str, folder: Path, stack: ExitStack) -> System:
    """Install a peer if it is not, and start what it needs; what is started ends with `stack`."""
    peer = PEERS[name]
    if not peer.packages:
        return System(name, peer.durability)
    home = folder / "peers" / peer.place
    try:
        install(peer, home)
        cluster = stack.enter_context(Cluster.running()) if peer.postgres else None
    except (NoPostgres, subprocess.SubprocessError, OSError) as error:
        return System(name, peer.durability, unable=_why(error))
    environment = {"RESTATE_SERVER": str(home / SERVER)} if peer.binaries else {}
    if cluster is not None:
        environment["BENCH_POSTGRES"] = cluster.url
    return System(name, peer.durability, str(home / "bin" / "python"), environment)


def install(peer: Peer, home: Path) -> None:
    """Into a folder of its own, once."""
    mark = home / ".installed"
    wanted = "\n".join([*peer.packages, *peer.binaries])
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return
    print(f"installing {', '.join([*peer.packages, *peer.binaries])}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    _call(sys.executable, "-m", "venv", str(home))
    _call(str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *peer.packages)
    if peer.binaries:
        _call("npm", "install", "--silent", "--prefix", str(home), *peer.binaries)
    mark.write_text(wanted, encoding="utf-8")


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)


def _why(error: Exception) -> str:
    """The last line of what a command said, or what happened."""
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
    lines = [line for line in (said or str(error)).splitlines() if line.strip()]
    return f"cannot be made ready: {lines[-1].strip() if lines else error}"[:200]
