"""The process that is killed: it hosts the coordinator and the participants, and feeds the rows to them.

It keeps no record of how far it got. It tells its parent, line by line on its standard output, what the
coordinator answered and which rows have ended. On its standard input it gets the rows that have not:
after a kill also those that were at work. Feeding these anew is safe, because a repeated `start` gives the
same order and a repeated `cancel` the first answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from atone import AnswerPending, CancelAnswer, Coordinator, Handle, OrderConflict, SqliteStore, Status

from .clerk import Clerk
from .invoices import SHELVES, Cancellation, Row, Sale, read_invoices
from .ledger import Ledger
from .mischief import Mischief
from .participants import Carrier, Mailer, Payments, Warehouse
from .saga import shop_saga
from .settings import Settings, add_arguments, from_arguments
from .wire import Wire

WINDOW = 500  #: rows at work at the same time
PATIENCE = 2.0  #: seconds after which an order that has not ended is looked at: it may be parked
LOOKS = 30  #: as often it is looked at; the audit reports an order that has not ended by then
AT_WORK = (Status.RUNNING, Status.COMPENSATING)
WATCHED = 100  #: orders at work that are watched for the first commit after a restart

Say = Callable[[dict[str, Any]], None]


class Replay:
    """Feeds rows to the coordinator, and reports every answer as soon as it has it."""

    def __init__(self, coordinator: Coordinator, say: Say) -> None:
        self._coordinator = coordinator
        self._say = say
        self._slots = asyncio.Semaphore(WINDOW)
        self._starts: dict[str, asyncio.Event] = {}  # of the orders at work: set once `start` returned
        self._committed = asyncio.Event()

    async def run(self, rows: Iterable[tuple[int, Row]]) -> None:
        """Return when every row has come to an end, or its order is parked. Each comes with its index."""
        async with asyncio.TaskGroup() as background:
            report = background.create_task(self._report_first_commit())
            async with asyncio.TaskGroup() as work:
                for index, row in rows:
                    await self._slots.acquire()
                    self._begin(work, index, row)
            report.cancel()

    def _begin(self, work: asyncio.TaskGroup, index: int, row: Row) -> None:
        match row:
            case Sale():
                self._starts[row.order.id] = asyncio.Event()
                work.create_task(self._sell(index, row))
            case Cancellation(order_id=str(order_id)):
                work.create_task(self._cancel(index, row, order_id))
            case _:
                self._slots.release()

    async def _sell(self, index: int, sale: Sale) -> None:
        started = self._starts[sale.order.id]
        try:
            handle = await self._coordinator.start(shop_saga, sale.order, id=sale.order.id)
            self._say({"started": sale.order.id, "created": handle.created})
            started.set()
            if handle.created:
                self._committed.set()
            await self._end_of(handle)
            self._say({"row": index})
        except OrderConflict as conflict:
            self._say({"row": index, "conflict": str(conflict)})
        finally:
            started.set()
            del self._starts[sale.order.id]
            self._slots.release()

    async def _end_of(self, handle: Handle) -> None:
        """Wait for the end of an order, but not for one that is parked, nor for ever."""
        for _ in range(LOOKS):
            try:
                await handle.outcome(timeout=PATIENCE)
            except TimeoutError:
                if (await handle.status()).status is Status.PARKED:
                    return
            else:
                return

    async def _cancel(self, index: int, row: Cancellation, order_id: str) -> None:
        if started := self._starts.get(order_id):
            await started.wait()
        answer = await self._answer(self._coordinator.order(order_id), row)
        self._say({"row": index, "cancel": row.id, "order": order_id, "answer": answer.name})
        self._slots.release()

    async def _answer(self, handle: Handle, row: Cancellation) -> CancelAnswer:
        while True:
            try:
                return await handle.cancel(f"invoice {row.id}", by=f"customer {row.customer}", id=row.id)
            except AnswerPending:
                continue  # the request is durable; asking again with its id gets its answer

    async def _report_first_commit(self) -> None:
        """Say when the first new commit is seen: a new order, or a new transition of one under way."""
        live = [status async for status in self._coordinator.orders(status=AT_WORK, limit=WATCHED)]
        async with asyncio.TaskGroup() as watchers:
            tasks = [watchers.create_task(self._watch(status.id, status.revision)) for status in live]
            await self._committed.wait()
            self._say({"committed": True})
            for task in tasks:
                task.cancel()

    async def _watch(self, order_id: str, revision: int) -> None:
        async for _ in self._coordinator.order(order_id).watch(after=revision):
            self._committed.set()
            return


async def replay(settings: Settings, open_rows: Iterable[int], say: Say) -> None:
    """Host the shop until the rows with these indices have come to an end."""
    rows = read_invoices(settings.csv)
    async with (
        Clerk(Ledger(settings.ledger_db)) as clerk,
        Wire(Mischief(settings.seed, settings.rates)) as wire,
    ):
        await clerk.ask(_fill_the_shelves)
        participants = [each(clerk, wire) for each in (Warehouse, Payments, Carrier, Mailer)]
        async with Coordinator(SqliteStore(settings.orders_db), sagas=[shop_saga], provide=participants) as shop:
            await Replay(shop, say).run((index, rows[index]) for index in open_rows)


def _fill_the_shelves(ledger: Ledger) -> None:
    for shelf in range(SHELVES):
        ledger.deliver(f"shelf-{shelf:02}", 100_000_000)


def _say(line: dict[str, Any]) -> None:
    """One line is one write, so that a kill never leaves half of one."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the replay as its own process."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop.replay")
    add_arguments(parser)
    options = parser.parse_args()
    asyncio.run(replay(from_arguments(options, options.dir), json.load(sys.stdin), _say))


if __name__ == "__main__":
    main()
