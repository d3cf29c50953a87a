"""Plants every mutant in turn, and tells which layer caught it, how often, and by which check.

python -m tests.proof.mutants                   all of them, as often as their budget allows (make mutants)
python -m tests.proof.mutants --mutant NAME     only this one
python -m tests.proof.mutants --write           put the table into docs/proof.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..interruption import Interruption
from ..layers import why_not
from . import MUTANTS
from .hunt import Found, hunt
from .table import markdown, write


def main() -> int:
    """The command line; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutant", choices=MUTANTS, action="append", help="which mutants (all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="let each off when it has been caught")
    parser.add_argument("--write", action="store_true", help="put the table into docs/proof.md")
    options = parser.parse_args()
    interruption = Interruption()
    interruption.listen()
    chosen = [MUTANTS[name] for name in options.mutant or MUTANTS]
    reasons = {layer: why_not(layer) for layer in {one.layer for one in chosen}}
    for one in chosen:
        if reasons[one.layer] is not None:
            print(f"– {one.name} cannot be hunted here: {one.layer} {reasons[one.layer]}")
    found: list[Found] = []

    def stop() -> bool:
        return interruption.asked

    for hunted in hunt(
        [one for one in chosen if reasons[one.layer] is None], options.seed, once=options.once, stop=stop
    ):
        found.append(hunted)
        print(f"{'✔' if hunted.caught else '✖'} {hunted} ({hunted.seconds:.0f} s)", flush=True)
    print("\n" + markdown(found))
    if options.write and not interruption.asked:
        write(found)
    return _verdict(found)


def _verdict(found: Sequence[Found]) -> int:
    survivors = [one.mutant.name for one in found if not one.caught]
    print(
        f"{len(found) - len(survivors)} of {len(found)} mutants caught" + "".join(f", not {one}" for one in survivors)
    )
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
