"""Makes `sample.csv`: invented invoices with the dirt of real ones.

Run with `python -m examples.shop.make_sample`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from .invoices import COLUMNS
from .settings import SAMPLE

ROWS = 1000
SEED = 20

COUNTRIES = {"United Kingdom": 90, "Germany": 3, "France": 2, "EIRE": 2, "Spain": 1, "Korea, Republic of": 1}
GARBAGE = [
    "",
    "garbage",
    "600002,12/1/2010 8:26,17850",
    "600003,yesterday,17850,United Kingdom,12,1.85",
    "600004,13/32/2010 8:26,17850,United Kingdom,12,1.85",
    "600005,12/1/2010 8:26,17850,United Kingdom,a dozen,1.85",
    "600006,12/1/2010 8:26,17850,United Kingdom,12,nan",
    "600007,12/1/2010 8:26,17850,United Kingdom,12,1.85,too much",
    '600008,12/1/2010 8:26,17850,"United Kingdom,12,1.85',
    "six,12/1/2010 8:26,17850,United Kingdom,12,1.85",
    "600010,12/1/2010 8:26,17850,United Kingdom,99999999999999999999,1.85",
    "A600011,12/1/2010 8:26,(blank),United Kingdom,1,11062.06",
    "A600012,12/1/2010 8:27,(blank),United Kingdom,1,-11062.06",
    "C600013,12/1/2010 8:28,17850,United Kingdom,3,1.85",
]


class _Shop:
    """Invents one line after the other."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._number = 700_000
        self._now = datetime(2024, 1, 2, 8, 0)  # noqa: DTZ001 - the format has no time zone
        self._recent: list[str] = []

    def lines(self) -> Iterator[str]:
        while True:
            kind = self._random.choices(
                ["sale", "cancellation", "guest", "lost goods", "gift", "two times"],
                [770, 140, 30, 35, 20, 5],
            )[0]
            match kind:
                case "cancellation":
                    yield self._line("C", self._recent_customer(), -self._random.randint(1, 40))
                case "guest":
                    yield self._line("", "(blank)", self._quantity())
                case "lost goods":
                    yield self._line("", "(blank)", -self._random.randint(0, 200), price="0")
                case "gift":
                    yield self._line("", "(blank)", self._quantity(), price="0")
                case "two times":
                    yield self._sale()
                    self._number -= 1
                    yield self._sale()
                case _:
                    yield self._sale()

    def _sale(self) -> str:
        customer = str(self._random.randint(12_000, 12_600))
        self._recent = [*self._recent[-40:], customer]
        return self._line("", customer, self._quantity())

    def _recent_customer(self) -> str:
        """Most cancellations soon follow their sale; a few come from nobody, or from a stranger."""
        return self._random.choice([*self._recent * 3, "(blank)", "12999"])

    def _quantity(self) -> int:
        return min(3000, 1 + int(self._random.lognormvariate(4.9, 1.1)))

    def _line(self, prefix: str, customer: str, quantity: int, price: str | None = None) -> str:
        self._number += 1
        self._now += timedelta(minutes=self._random.randint(1, 40))
        country = self._random.choices(list(COUNTRIES), list(COUNTRIES.values()))[0]
        price = price or f"{self._random.lognormvariate(1.1, 0.4):.4f}"
        date = f"{self._now.month}/{self._now.day}/{self._now.year} {self._now.hour}:{self._now.minute:02}"
        quoted = f'"{country}"' if "," in country else country
        return f"{prefix}{self._number},{date},{customer},{quoted},{quantity},{price}"


def make_sample(rows: int, seed: int) -> str:
    """Return a file of that many rows, garbage included (and one line twice), as text."""
    random = Random(seed)
    lines = [line for line, _ in zip(_Shop(seed).lines(), range(rows - len(GARBAGE) - 1), strict=False)]
    lines.insert(random.randrange(20, len(lines)), lines[10])
    for garbage in GARBAGE:
        lines.insert(random.randrange(len(lines)), garbage)
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"


if __name__ == "__main__":
    SAMPLE.write_text(make_sample(ROWS, SEED), encoding="utf-8")
