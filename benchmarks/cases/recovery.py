"""A process is killed with many orders under way, each in the middle of a step; another one goes on."""

from __future__ import annotations

from .. import alone, bare, lives
from ..case import Case, Setting, everybody
from ..figure import Figure


def _reference(figures: list[Figure]) -> list[Figure]:
    return [Figure("resumed", figures[0].value, "orders/s")]


def bare_resumed(setting: Setting) -> list[Figure]:
    """As many commits as an order has left: half of four where all were under way, else all."""
    return _reference(bare.figures(setting, commits=setting.number("left")))


def alone_resumed(setting: Setting) -> list[Figure]:
    """The same commits."""
    return _reference(alone.figures(setting, commits=setting.number("left")))


def _case(orders: int, left: int, *, peers: bool) -> Case:
    measures = everybody(lives.recovery, bare=bare_resumed, sqlite=alone_resumed)
    if not peers:
        measures = {name: measures[name] for name in ("atone", "bare", "sqlite")}
    return Case(
        f"recovery-{orders}",
        f"SIGKILL with {orders:,} orders under way, and a new process",
        size={"orders": orders, "flight": 1_000, "seconds": 3, "left": left, "window": 10_000},
        quick={"orders": min(orders, 300), "flight": 100, "seconds": 0.3, "left": left, "window": 10_000},
        measures=measures,
        rounds=5,
        slow={"flight": 64},
    )


CASES = [_case(1_000, 2, peers=True), _case(100_000, 4, peers=False)]
