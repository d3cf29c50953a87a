"""A handle on one order: everything that a program or a person can ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from attrs import field

from ..storage import Tombstone, frozen
from .access import Access
from .answers import CancelAnswer, SendAnswer, VerbAnswer
from .errors import OrderError
from .events import Control, Verb
from .progress import ParkReason
from .runner import result_bytes
from .views import OrderStatus, Outcome, Transition, buried_status, order_status

#: Seconds that a request waits for its decision.
TIMEOUT = 10.0


class _DidNotHappen:
    def __repr__(self) -> str:
        return "DID_NOT_HAPPEN"


#: For `Handle.resolve`: the step in doubt certainly had no effect, and never will.
DID_NOT_HAPPEN: Final = _DidNotHappen()


@frozen
class Handle:
    """One order, by its id. Making one does no I/O; the order need not exist.

    Every method raises `StoreUnavailable` while the store cannot be read or written. A request that met it may
    be on disk: repeat it with the same id.
    """

    id: str
    created: bool | None = field(default=None, eq=False)  #: of `start`: whether the order is new
    _access: Access = field(alias="access", kw_only=True, repr=False, eq=False)

    async def send(self, message: object, *, id: str | None = None) -> SendAnswer:
        """Send a message. It is on disk when this returns; a repeated `id` changes nothing.

        Raises `MailboxFull`, `TooLarge`, `Unencodable`, or `Undecodable` for a message whose fields are not of their
        types, and then nothing was accepted.
        """
        return await self._access.send(self.id, message, id)

    async def cancel(self, reason: str, *, by: str, id: str | None = None, timeout: float = TIMEOUT) -> CancelAnswer:
        """Ask that the order be undone. The answer is on disk, and is never contradicted.

        A repeated `id` gets the first answer. Raises `AnswerPending` when no host decides within `timeout`
        seconds: the request is on disk all the same, and will be decided.
        """
        return CancelAnswer(await self._ask(Control(Verb.CANCEL, by, reason), id=id, timeout=timeout))

    async def status(self) -> OrderStatus:
        """How the order stands on disk. Raises `OrderNotFound`."""
        found = await self._access.find(self.id)
        if isinstance(found, Tombstone):
            return buried_status(found)
        return order_status(found, self._access.registry, self._access.codec)

    async def outcome(self, *, timeout: float | None = None) -> Outcome:
        """Wait until the order has ended, `timeout` seconds at most; with 0, only look whether it has.

        Raises `TimeoutError`, `OrderNotFound` or `AlreadyFinished`.
        """
        return await self._access.outcome(self.id, timeout)

    def history(self, after: int = -1) -> AsyncIterator[Transition]:
        """What happened so far, above a revision. Raises `OrderNotFound` or `AlreadyFinished`."""
        return self._access.history(self.id, after)

    def watch(self, after: int = -1) -> AsyncIterator[Transition]:
        """What happened above a revision, then what happens, until the order has ended."""
        return self._access.watch(self.id, after)

    async def retry(self, park: int, *, by: str, why: str) -> VerbAnswer:
        """Try again what the order was parked for. `park` is the number in `OrderStatus.park`."""
        return await self._operate(Control(Verb.RETRY, by, why, park))

    async def resolve(self, park: int, result: object, *, by: str, why: str) -> VerbAnswer:
        """Say what really happened: the step's result (for a compensation: `None`), or `DID_NOT_HAPPEN`.

        Raises `Unencodable` or `Undecodable` for a result that does not fit the step, and `OrderError` in a process
        that does not know the saga, or cannot read the order.
        """
        happened = not isinstance(result, _DidNotHappen)
        body = await self._encode(result) if happened else None
        return await self._operate(Control(Verb.RESOLVE, by, why, park, body, happened))

    async def skip(self, park: int, *, by: str, why: str) -> VerbAnswer:
        """Go on without what the order was parked for. A skipped compensation makes the order end `ABANDONED`."""
        return await self._operate(Control(Verb.SKIP, by, why, park))

    async def abandon(self, park: int | None, *, by: str, why: str) -> VerbAnswer:
        """Close a parked or suspended order as it is, with what is owed unpaid."""
        return await self._operate(Control(Verb.ABANDON, by, why, park))

    async def suspend(self, *, by: str, why: str) -> VerbAnswer:
        """Pause the order: what runs may finish, nothing new begins, timers keep their time."""
        return await self._operate(Control(Verb.SUSPEND, by, why))

    async def resume(self, *, by: str, why: str) -> VerbAnswer:
        """Let a suspended order go on."""
        return await self._operate(Control(Verb.RESUME, by, why))

    async def _operate(self, control: Control) -> VerbAnswer:
        return VerbAnswer(await self._ask(control, id=None, timeout=TIMEOUT))

    async def _ask(self, control: Control, *, id: str | None, timeout: float) -> str:
        return await self._access.request(self.id, control, id, timeout)

    async def _encode(self, result: object) -> bytes | None:
        """The bytes of a result, checked against the step that the order is parked for."""
        access = self._access
        saga = access.registry.find((await access.record(self.id)).definition)
        if saga is None:
            raise OrderError(self.id, "cannot be resolved here: this process lacks its saga, so register it")
        park = (await self.status()).park
        if park is not None and park.reason is ParkReason.SNAPSHOT and result is not None:
            raise OrderError(self.id, "cannot be resolved with a result: it cannot be read, so nobody knows its step")
        if park is None or park.step is None or park.reason is ParkReason.COMPENSATION:
            return None
        return result_bytes(access.codec, saga, park.step, result)
