"""A Postgres cluster of its own, on loopback, for as long as a run lasts. Postgres itself comes with the system."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

#: The program refuses to run as the superuser; Debian's package makes this one.
USER = "postgres"


class NoPostgres(Exception):
    """There is none, or it does not start."""


@frozen
class Cluster:
    """One that runs."""

    url: str  #: without a database

    @staticmethod
    @contextmanager
    def running() -> Generator[Cluster, None, None]:
        """Make one and start it; with its defaults, but for more connections."""
        programs = _programs()
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        user = USER if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        data, port = folder / "data", _free_port()

        def call(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [programs / program, *arguments], user=user, cwd=folder, capture_output=True, text=True, timeout=60,
                stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            if done.returncode:
                raise NoPostgres((done.stderr or done.stdout).strip())

        try:
            call("initdb", "--pgdata", str(data), "--username", "bench", "--auth", "trust", "--encoding", "UTF8")
            serve = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c max_connections=500"
            log = str(folder / "log")
            call("pg_ctl", "--pgdata", str(data), "--log", log, "--options", serve, "--wait", "start")
            try:
                yield Cluster(f"postgresql://bench@127.0.0.1:{port}")
            finally:
                call("pg_ctl", "--pgdata", str(data), "--mode", "immediate", "--wait", "stop")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Where the programs of a Postgres are: Debian keeps them off the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not versions:
        raise NoPostgres("no Postgres here (on Debian: apt-get install postgresql)")
    return versions[-1].parent


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
