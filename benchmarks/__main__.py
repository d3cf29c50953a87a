"""Measure everything, print a table and write it as JSON: `python -m benchmarks`.

Both references, the bare loop and SQLite alone, are measured in the same run. The machine may be noisy: what counts is
the ratio within a round. Peers are asked for with `--peers`, and installed by this command into a folder of their own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from tempfile import mkdtemp

from .campaign import Campaign
from .machine import stamp
from .peers.catalogue import PEERS, ready
from .row import ALONE, LIMIT, Results, Row
from .suite import CASES
from .system import System
from .table import table

FULL = "WAL, FULL: each commit synced"
OURS = (System(LIMIT, FULL), System(ALONE, FULL), System("atone", FULL))
#: The references cost little, and nothing means anything without them.
ALWAYS = {LIMIT, ALONE}


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that it works; no figure means anything"
    )
    parser.add_argument("--case", action="append", metavar="NAME", help="only cases of this name; may hold *")
    parser.add_argument("--system", action="append", metavar="NAME", help="only this system, and the references")
    parser.add_argument("--peers", action="store_true", help="peers too: installs them on first use")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (5; with --quick 1)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="a folder on the disk to be measured")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where the rows are written")
    parser.add_argument("--list", action="store_true", help="say which cases and systems there are")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 1 where atone or a reference could not be measured."""
    asked = options(arguments)
    if asked.list:
        print(listing())
        return 0
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="run-", dir=asked.dir.resolve()))
    try:
        with ExitStack() as stack:
            systems = [*chosen_ours(asked), *(ready(peer, asked.dir.resolve(), stack) for peer in chosen_peers(asked))]
            cases = [case for case in CASES if not asked.case or any(fnmatch(case.name, one) for one in asked.case)]
            rounds = asked.rounds or (1 if asked.quick else 5)
            rows = carry_out(Campaign(cases, systems, rounds, folder, asked.quick), asked.out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table(rows)}\n\n{len(rows)} rows in {asked.out}")
    return any(row.value is None and row.system in {system.name for system in OURS} for row in rows)


def carry_out(campaign: Campaign, out: Path) -> list[Row]:
    """Measure, writing down what there is as it comes: a run that is stopped has not been for nothing."""
    results = Results({})
    about = stamp()
    try:
        for results in campaign.run():
            write(results.rows(about), out)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return results.rows(about)


def write(rows: Sequence[Row], out: Path) -> None:
    """A list of rows; the file is whole at every moment."""
    half = out.with_suffix(".half")
    half.write_text(json.dumps([row.as_dict() for row in rows], indent=1) + "\n", encoding="utf-8")
    half.replace(out)


def chosen_ours(asked: argparse.Namespace) -> list[System]:
    """The references always, and atone unless others were asked for."""
    return [one for one in OURS if one.name in ALWAYS or not asked.system or one.name in asked.system]


def chosen_peers(asked: argparse.Namespace) -> list[str]:
    """Those asked for by name, or all of them; the one by hand needs no installation and always comes."""
    if asked.system:
        return [name for name in PEERS if name in asked.system]
    return [name for name, peer in PEERS.items() if asked.peers or not peer.packages]


def listing() -> str:
    """Every case with what it is about, and every system."""
    lines = [f"{case.name:18} {case.about}" for case in CASES]
    return "\n".join([*lines, "", "systems: " + ", ".join([*(system.name for system in OURS), *PEERS])])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it has started ends with it in either case
    sys.exit(main())
