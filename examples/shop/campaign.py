"""The process that outlives the others: it starts the replay, kills it, starts it again, and adds up.

It hosts nothing. Its own coordinator, opened with `host=False` on the same file, serves the approver and,
in the end, the audit.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from attrs import define, field, frozen

from atone import Coordinator, OrderStatus, SendAnswer, SqliteStore

from .approver import Approver, Verdict
from .audit import Ending, Told, audit, late_requests
from .invoices import Cancellation, Row, Sale
from .mischief import Mischief
from .saga import shop_saga
from .settings import Settings

OnProgress = Callable[[int, int], None]  #: is told how many rows have ended, and how many there are
UNDOING = {"ACCEPTED", "ALREADY_CANCELLING"}  #: the answers to a cancel that rule out a completed order
LATEST_KILL = 0.9  #: as a share of the rows, so that there is work left to resume


@frozen
class Findings:
    """Everything that a run found out."""

    rows: Sequence[Row]
    endings: Sequence[Ending]
    cancels: dict[str, str]  #: the answer to each cancellation
    approvals: dict[str, int]
    late_requests: int  #: that came after their key was closed, and were refused
    resume_seconds: list[float]
    kills: int
    seconds: float
    discrepancies: list[str]


@define
class Campaign:
    """Replays the rows to their end, with kills on the way, and keeps what was answered."""

    settings: Settings
    rows: Sequence[Row]
    on_progress: OnProgress
    told: Told = field(factory=Told)
    cancels: dict[str, str] = field(factory=dict)
    resume_seconds: list[float] = field(factory=list)
    discrepancies: list[str] = field(factory=list)
    kills: int = 0
    _work: list[int] = field(init=False)  #: indices of the rows that ask for something
    _ended: set[int] = field(factory=set)  #: those of them that have come to an end
    _at_work: bool = False  #: whether this child has committed anything yet

    def __attrs_post_init__(self) -> None:
        self._work = [index for index, row in enumerate(self.rows) if _is_work(row)]

    async def run(self, kills: int) -> None:
        """Return when a replay has ended by itself."""
        status: int | None = None
        for kill_at in [*self._moments(kills), None]:
            status = await self._replay(kill_at)
            if status != -signal.SIGKILL:
                break
            self.kills += 1
        if status:
            self.discrepancies.append(f"the replay ended by itself, with exit status {status}")

    def _moments(self, kills: int) -> list[int]:
        """Return, for each kill, how many rows shall have ended by then: one at random in each stretch."""
        random = Random(self.settings.seed)
        stretch = LATEST_KILL * len(self._work) / max(kills, 1)
        return [int(stretch * (index + random.random())) for index in range(kills)]

    async def _replay(self, kill_at: int | None) -> int | None:
        """Run one child, kill it when its time has come, and return its exit status."""
        self._at_work = False
        began = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", f"{__package__}.replay", *self.settings.arguments()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(self._open_rows()).encode())
        child.stdin.close()
        try:
            async for line in child.stdout:  # what a dead child wrote is still in the pipe, and counts
                self._note(json.loads(line), began)
                if self._is_time(kill_at):
                    child.kill()
                    kill_at = None  # a second kill might find it dead, and then asyncio never learns how it ended
            return await child.wait()
        finally:
            if child.returncode is None:
                child.kill()

    def _is_time(self, kill_at: int | None) -> bool:
        """Whether to kill now. Never before the child took up the work, so that each kill is a new one."""
        return kill_at is not None and self._at_work and len(self._ended) >= kill_at

    def _note(self, line: dict[str, Any], began: float) -> None:
        match line:
            case {"started": order_id, "created": created}:
                if created and order_id in self.told.accepted:
                    self.discrepancies.append(f"order {order_id} was accepted, lost, and made anew")
                self.told.accepted.add(order_id)
            case {"cancel": id, "order": order_id, "answer": answer}:
                self._note_cancel(id, order_id, answer)
            case {"conflict": conflict}:
                self.discrepancies.append(conflict)
            case {"committed": True}:
                self._note_commit(time.monotonic() - began)
            case _:
                pass
        if "row" in line:
            self._ended.add(line["row"])
            self.on_progress(len(self._ended), len(self._work))

    def _note_commit(self, seconds: float) -> None:
        self._at_work = True
        if self.kills:
            self.resume_seconds.append(seconds)

    def _note_cancel(self, id: str, order_id: str, answer: str) -> None:
        first = self.cancels.setdefault(id, answer)
        if first != answer:
            self.discrepancies.append(f"cancellation {id} was answered {first} first, and {answer} later")
        if answer in UNDOING:
            self.told.cancelled.add(order_id)

    def _open_rows(self) -> list[int]:
        return [index for index in self._work if index not in self._ended]


def _is_work(row: Row) -> bool:
    return isinstance(row, Sale) or (isinstance(row, Cancellation) and row.order_id is not None)


async def run_campaign(settings: Settings, rows: Sequence[Row], *, kills: int, on_progress: OnProgress) -> Findings:
    """Replay these rows of the settings' file, kill the replay that many times, and audit the end."""
    campaign = Campaign(settings, rows, on_progress)
    async with Coordinator(SqliteStore(settings.orders_db), sagas=[shop_saga], host=False) as coordinator:
        approver = Approver(coordinator, Mischief(settings.seed, settings.rates))
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            approving = tasks.create_task(approver.run())
            await campaign.run(kills)
            approving.cancel()
        seconds = time.monotonic() - began
        endings = [_ending(status) async for status in coordinator.orders()]
    campaign.told.declined.update(_declined(approver))
    orders = [row.order for row in rows if isinstance(row, Sale)]
    contradictions = audit(settings.ledger_db, orders, endings, campaign.told)
    return Findings(
        rows=rows,
        endings=endings,
        cancels=campaign.cancels,
        approvals=approver.tally(),
        late_requests=late_requests(settings.ledger_db),
        resume_seconds=campaign.resume_seconds,
        kills=campaign.kills,
        seconds=seconds,
        discrepancies=[*campaign.discrepancies, *contradictions],
    )


def _ending(status: OrderStatus) -> Ending:
    why = f"{status.park.reason}: {status.park.step}, {status.park.error}" if status.park else None
    return Ending(status.id, status.status.name, why)


def _declined(approver: Approver) -> set[str]:
    return {
        order_id
        for order_id, answer in approver.answers.items()
        if answer is SendAnswer.ACCEPTED and approver.verdicts[order_id] is Verdict.DECLINED
    }
