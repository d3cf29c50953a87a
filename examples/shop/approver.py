"""A person who approves large orders, from another process than the one that hosts the coordinator."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from enum import StrEnum

from atone import Coordinator, SendAnswer, Status, StoreUnavailable

from .domain import Approve, Decline
from .mischief import Mischief

NAME = "alice"
ROUND_SECONDS = 0.1
DECLINES, FORGETS = 0.1, 0.05  #: shares of the orders that wait


class Verdict(StrEnum):
    """What the approver does about an order."""

    APPROVED = "approved"
    DECLINED = "declined"
    FORGOTTEN = "forgotten"  #: so that its wait runs out


class Approver:
    """Looks through the waiting orders again and again, until cancelled."""

    def __init__(self, coordinator: Coordinator, mischief: Mischief) -> None:
        self._coordinator = coordinator
        self._mischief = mischief
        self.verdicts: dict[str, Verdict] = {}
        self.answers: dict[str, SendAnswer] = {}

    async def run(self) -> None:
        """Decide about every order that waits; also while no process hosts: a message is durable."""
        while True:
            with suppress(StoreUnavailable):  # busy or being recovered: the next round will do
                await self._round()
            await asyncio.sleep(ROUND_SECONDS)

    def tally(self) -> dict[str, int]:
        """Count the verdicts."""
        return {verdict.value: count for verdict, count in Counter(self.verdicts.values()).items()}

    async def _round(self) -> None:
        waiting = [order.id async for order in self._coordinator.orders(status=Status.WAITING)]
        for order_id in waiting:
            if order_id not in self.verdicts:
                await self._decide(order_id)

    async def _decide(self, order_id: str) -> None:
        verdict = self._verdict(order_id)
        message = {
            Verdict.APPROVED: Approve(by=NAME),
            Verdict.DECLINED: Decline(by=NAME, why="too risky"),
            Verdict.FORGOTTEN: None,
        }[verdict]
        if message is not None:
            order = self._coordinator.order(order_id)
            self.answers[order_id] = await order.send(message, id=f"approval-{order_id}")
        self.verdicts[order_id] = verdict

    def _verdict(self, order_id: str) -> Verdict:
        draw = self._mischief.draw("approval", order_id)
        if draw < DECLINES:
            return Verdict.DECLINED
        return Verdict.FORGOTTEN if draw < DECLINES + FORGETS else Verdict.APPROVED
