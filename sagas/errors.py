"""Errors of sagas: of their definition, of their steps, and of talking to orders."""

from __future__ import annotations

from ..storage import AtoneError


class SagaError(AtoneError):
    """Base class of what sagas and their coordinator raise."""


class DefinitionError(SagaError):
    """A saga, a step or an awaited message is defined in a way that could lose money or never run."""


class ServiceMissing(DefinitionError):
    """A step needs a service that the coordinator was not given, or was given twice."""


class PermanentError(SagaError):
    """Raise it in an action to say: this attempt certainly had no effect, and repeating it is useless.

    It speaks of this attempt alone. After an earlier attempt in doubt it ends the retries and clears
    nothing: what the earlier one may have done is still compensated.
    """


class StepFailed(SagaError):
    """Why a step of an order did not succeed; part of `Outcome.error`."""

    def __init__(self, step: str, attempts: int, reason: str) -> None:
        super().__init__(f"step {step!r} did not succeed in {attempts} attempt(s): {reason}")
        self.step = step
        self.attempts = attempts
        self.reason = reason


class OrderError(SagaError):
    """Something about one order."""

    def __init__(self, order_id: str, message: str) -> None:
        super().__init__(f"order {order_id!r} {message}")
        self.order_id = order_id


class OrderConflict(OrderError):
    """There is an order of that id with another saga or another input."""

    def __init__(self, order_id: str, what: str) -> None:
        super().__init__(order_id, f"exists with another {what}: give the new order an id of its own")


class WrongInput(OrderError):
    """The input is not of the class that the saga was defined with, or is of a subclass; nothing was started."""

    def __init__(self, order_id: str, saga: str, wanted: type, found: type) -> None:
        super().__init__(order_id, f"needs a {wanted.__name__} as input of saga {saga!r}, and got a {found.__name__}")


class AlreadyFinished(OrderError):
    """There was an order of that id; it ended and was purged."""

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(order_id, f"ended as {status} and was purged: give a new order an id of its own")
        self.status = status


class OrderNotFound(OrderError):
    """No order of that id was ever started in this store."""

    def __init__(self, order_id: str) -> None:
        super().__init__(order_id, "was never started in this store: check the id and the path of the store")


class MailboxFull(OrderError):
    """The order has too many messages that it has not consumed; this one was not accepted."""

    def __init__(self, order_id: str, limit: int) -> None:
        super().__init__(
            order_id,
            f"has {limit} unconsumed messages, which is the limit: see what it waits for (`status()`), "
            "and send again later",
        )
        self.limit = limit


class AnswerPending(OrderError):
    """The request is on disk and will be decided, but no host decided it in time."""

    def __init__(self, order_id: str, seconds: float) -> None:
        super().__init__(
            order_id,
            f"has not answered within {seconds:g} s; the request is on disk and will be decided: "
            "repeat it with the same id to learn the answer, and see that a coordinator hosts the store",
        )


class CoordinatorClosed(SagaError):
    """The coordinator was used outside its `async with` block, or while it was leaving it."""

    def __init__(self) -> None:
        super().__init__("the coordinator is not open: use it inside its `async with` block")


class WrongLoop(SagaError):
    """The coordinator was used in another event loop than it was entered in, where its answers would never come."""

    def __init__(self) -> None:
        super().__init__(
            "the coordinator belongs to another event loop: enter one in this loop, or call it there by "
            "`asyncio.run_coroutine_threadsafe`; tests and fixtures must share a loop"
        )


class CoordinatorFailed(SagaError):
    """The engine itself failed; the orders are safe on disk. The cause is chained."""

    def __init__(self) -> None:
        super().__init__(
            "the coordinator has failed and hosts nothing any more: see the chained error, report it, "
            "and open a new coordinator; every order goes on from its last commit"
        )


class AlreadyHosted(SagaError):
    """Another coordinator hosts the store, and `standby=False` was asked for."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"the store is hosted by {holder}: end that one first, or open with standby=True")
        self.holder = holder
