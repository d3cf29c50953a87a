"""Orders a second beside the bare loop, interleaved in one run: `python -m benchmarks.throughput`.

Both commit with WAL and `synchronous=FULL`. The machine may be noisy: what counts is the ratio within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from . import bare, orders


def main() -> None:
    """Measure, and print a line per round and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--flight", type=int, default=1_000, help="orders at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", default=".", help="a folder on the disk to be measured")
    options = parser.parse_args()
    ratios: list[float] = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            bare_seconds = asyncio.run(bare.run(Path(folder, "bare.db"), options.orders, options.flight))
            seconds = asyncio.run(orders.run(Path(folder, "orders.db"), options.orders, options.flight))
        ratios.append(bare_seconds / seconds)
        print(
            f"round {number + 1}: bare {options.orders / bare_seconds:8.0f} orders/s"
            f"   atone {options.orders / seconds:8.0f} orders/s   ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"median ratio at {options.flight} in flight: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
