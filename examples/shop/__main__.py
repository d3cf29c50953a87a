"""`python -m examples.shop`: replay a file of invoices, kill the replay on the way, audit the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from .campaign import run_campaign
from .invoices import NotInvoices, read_invoices
from .report import as_json, print_summary, progress
from .settings import add_arguments, from_arguments


def main() -> int:
    """Return 0 if the books agree with what everyone was told, 1 if not, 2 if there was nothing to do."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--kill", type=int, default=0, metavar="N", help="kill the coordinator N times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there")
    options = parser.parse_args()
    console = Console(stderr=True)
    try:
        rows = read_invoices(options.csv)
    except (NotInvoices, OSError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 2
    with TemporaryDirectory(prefix="shop-") as temporary, progress(console) as on_progress:
        settings = from_arguments(options, options.dir or Path(temporary))
        settings.directory.mkdir(parents=True, exist_ok=True)
        findings = asyncio.run(run_campaign(settings, rows, kills=options.kill, on_progress=on_progress))
    print_summary(Console(), findings)
    if options.json:
        options.json.write_text(json.dumps(as_json(findings), indent=2), encoding="utf-8")
    return 1 if findings.discrepancies else 0


if __name__ == "__main__":
    sys.exit(main())
