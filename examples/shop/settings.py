"""What one run of the shop is told; both of its processes get the same."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from attrs import asdict, fields_dict, frozen

from .mischief import Rates

SAMPLE = Path(__file__).with_name("sample.csv")


@frozen
class Settings:
    """The orders, the place for the books, and how the world misbehaves."""

    csv: Path
    directory: Path
    seed: int
    rates: Rates

    @property
    def orders_db(self) -> Path:
        """The coordinator's file."""
        return self.directory / "orders.db"

    @property
    def ledger_db(self) -> Path:
        """The participants' file."""
        return self.directory / "ledger.db"

    def arguments(self) -> list[str]:
        """Return the command line that gives another process these settings."""
        rates = [f"--rate={name}={rate}" for name, rate in asdict(self.rates).items()]
        return [f"--csv={self.csv}", f"--dir={self.directory}", f"--seed={self.seed}", *rates]


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options that `Settings` are made of."""
    parser.add_argument("--csv", type=Path, default=SAMPLE, help="a file of invoices (default: an invented sample)")
    parser.add_argument("--dir", type=Path, help="where the books are kept (default: a temporary directory)")
    parser.add_argument("--seed", type=int, default=1, help="decides all misbehaviour (default: 1)")
    parser.add_argument(
        "--rate",
        type=_rate,
        action="append",
        default=[],
        metavar="WHAT=SHARE",
        help="how often the world misbehaves: " + ", ".join(f"{k}={v}" for k, v in asdict(Rates()).items()),
    )


def from_arguments(options: Namespace, directory: Path) -> Settings:
    """Return the settings that these options stand for."""
    return Settings(options.csv, directory, options.seed, Rates(**dict(options.rate)))


def _rate(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    if name not in fields_dict(Rates):
        raise ArgumentTypeError(f"{name!r} is none of {', '.join(fields_dict(Rates))}")
    try:
        Rates(**{name: float(share)})
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from error
    return name, float(share)
