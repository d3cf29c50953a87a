"""What a simulation is made of: a world, a disk, participants, and the processes that use them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal, Self, TypeVar, cast, overload

from cattrs import Converter

from ..actors import Limits
from ..sagas import Coordinator, MailboxFull, Saga
from ..storage import (
    Advance,
    Create,
    Created,
    Done,
    InvalidId,
    TooLarge,
    Undecodable,
    Unencodable,
    Write,
    make_converter,
)
from .agenda import Agenda
from .evidence import Evidence, Promise
from .expected import Expected
from .fuse import Fuse
from .journal import Journal
from .observer import Observer
from .processes import Processes
from .services import FakeService, tell_apart
from .settings import settings
from .store import FileMedium, Medium, MemoryMedium
from .world import World

S = TypeVar("S", bound=FakeService)
T = TypeVar("T")

#: Few wake-ups: other processes' commits have to be noticed before their clients give up, and no sooner.
LIMITS = Limits(poll=1.0, scan=1.0)
STORES = ("memory", "sqlite")
#: Made once: making one takes longer than most simulations.
CONVERTER = make_converter()
#: What a client is told of a request that was refused as it is.
REFUSALS = (MailboxFull, TooLarge, Unencodable, Undecodable, InvalidId)


class Site:
    """The parts of a simulation, and how they hang together."""

    def __init__(
        self,
        *sagas: Saga[Any],
        provide: Sequence[object] | Mapping[Any, object] = (),
        seed: int = 0,
        store: Literal["memory", "sqlite"] = "memory",
        crashes: Sequence[int] = (),
        limits: Limits = LIMITS,
        overlap_grace: float = 30.0,
        converter: Converter | None = None,
    ) -> None:
        if store not in STORES:
            raise ValueError(f"there is no store {store!r} in a simulation: it is one of {', '.join(STORES)}")
        seed = settings.seed if settings.seed is not None else seed
        self.world = World(seed, Fuse(at=tuple(sorted(crashes))))
        self.services: dict[Any, object] = {}
        self._expected = Expected(self.world, certain=not crashes)
        self.sagas = list(sagas)
        self._retired: list[Saga[Any]] = []  #: sagas that no process knows any more, and orders may still be of
        self._journal = Journal(lambda: self.world.elapsed, overlap_grace, decisions=seed + sum(crashes))
        medium = FileMedium if store == "sqlite" else MemoryMedium
        self.medium: Medium = medium(self._committed)
        self._written: dict[
            tuple[int, int], int
        ] = {}  #: after how many moments a revision of an order came to the disk
        self._observer: Observer | None = None
        self._promises: list[Promise] = []
        self._asked = 0  #: events of the journal when a client last asked
        self.world.asked, self.world.answered = self._journal.asked, self._journal.succeeded.add
        self._answered: set[str] = set()  #: ids of orders whose start a client has heard of
        self._messages = 0
        self._agenda = Agenda()
        self._processes = Processes(
            self.world, self.medium, self.sagas, self.services, self._journal, limits, overlap_grace,
            converter or CONVERTER,
        )  # fmt: skip
        for type_, service in named(provide):
            self._add(type_, service)

    def __getitem__(self, type_: type[S]) -> S:
        """The service that was provided for a type, or is of it."""
        own = (one for one in self.services.values() if type(one) is type_)
        service = self.services[type_] if type_ in self.services else next(own, None)
        if service is None:
            there_are = ", ".join(one.__name__ for one in self.services) or "none"
            raise LookupError(f"no {type_.__name__} is provided; there are: {there_are}")
        return cast("S", service)

    @property
    def fakes(self) -> list[FakeService]:
        """The services that are fakes, each once."""
        return list({id(one): one for one in self.services.values() if isinstance(one, FakeService)}.values())

    @property
    def converter(self) -> Converter:
        """What turns values into JSON and back, as for a coordinator. Where it is set, a process starts again."""
        return self._processes.converter

    @converter.setter
    def converter(self, converter: Converter) -> None:
        self._processes.converter = converter
        self._register(*self.sagas)

    @property
    def seed(self) -> int:
        """What everything is drawn from that is left to chance."""
        return self.world.seed

    def reseed(self, seed: int) -> None:
        """Draw from another seed, in processes that start from now on, and in the world around them."""
        self.world.reseed(seed)

    @property
    def steps(self) -> int:
        """How many callbacks have run since the first order was started."""
        return self.world.fuse.count

    @property
    def lives(self) -> int:
        """How many processes there were."""
        return self._processes.lives

    def watch(self) -> None:
        """Note before each callback what a crash there would leave behind."""
        self.world.fuse.look = lambda: self.version

    @property
    def version(self) -> tuple[int, ...]:
        """Changes whenever a crash would leave something else behind, and whenever the user's own code has run."""
        world = self.world
        return (self.medium.content(), world.version, world.fuse.moved, len(world.wire), len(self._promises))

    def close(self) -> None:
        """Let go of everything; so does leaving a `with` block."""
        self._processes.die("")
        if self._observer is not None:
            self._observer.close()
        self.medium.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def evidence(self) -> Evidence:
        """Everything that a judgement may rest on."""
        observer = self.observer()
        found = self._processes.problems()
        lease = observer.read(observer.store.lease())
        sagas = [*self._retired, *self.sagas]
        return Evidence(
            observer.records(), sagas, self.fakes, self._promises, found, lease, journal=self._journal,
            exact=len({one.definition for one in sagas}) == len(sagas),  # one may have replaced its like meanwhile
        )  # fmt: skip

    def _committed(self, write: Write[Any], result: object) -> None:
        """A write was carried out: the journal is told of it, and its place in the story is kept."""
        self._journal.committed(write, result)
        if type(write) is Create and type(result) is Created:
            self._written[result.key, write.revision] = len(self.world.moments)
        elif type(write) is Advance and type(result) is Done:
            self._written[write.key, write.revision] = len(self.world.moments)

    def _add(self, type_: Any, service: type[T] | T) -> T:
        if type_ in self.services:
            raise ValueError(f"two services are provided for {type_.__name__}: give one of them")
        made = cast("T", service() if isinstance(service, type) else service)
        if isinstance(made, FakeService):
            made.world = self.world
        self.services[type_] = made
        tell_apart(self.fakes)
        return made

    @overload
    def provide(self, service: type[T], *, as_type: Any = None) -> T: ...
    @overload
    def provide(self, service: T, *, as_type: Any = None) -> T: ...
    def provide(self, service: Any, *, as_type: Any = None) -> Any:
        """Provide one more service, before the first order; returns the object."""
        return self._add(as_type or (service if isinstance(service, type) else type(service)), service)

    def _register(self, *sagas: Saga[Any]) -> None:
        """Let processes know these from now on, and no others; one that runs is started again."""
        self._retired += [one for one in self.sagas if not any(one is kept for kept in sagas)]
        self.sagas[:] = sagas
        if self._observer is not None:
            self._observer.close()
            self._observer = None
        if self._processes.running:
            self._processes.restart()

    def _ask(self, what: str, order: str, id: str, call: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Make a client's call, and remember that it was refused, where it was."""
        self._asked = len(self._journal.events)
        try:
            return self._processes.ask(call)
        except REFUSALS as error:
            self._promise(what, order, id, type(error).__name__)
            raise

    def _promise(self, what: str, order: str, id: str = "", answer: str = "", kind: str = "") -> None:
        self._promises.append(Promise(what, order, id, answer, kind, self._asked, len(self._journal.events)))
        self.world.tell("client", f"{what} {order}: {answer}" if answer else f"{what} {order}: answered")

    def observer(self) -> Observer:
        """Who looks at the disk."""
        if self._observer is None:
            self._observer = Observer(self.medium, self.sagas, self.converter)
        return self._observer


def named(provide: Sequence[object] | Mapping[Any, object]) -> list[tuple[Any, object]]:
    """Services with the type that they are provided for."""
    if isinstance(provide, Mapping):
        return list(provide.items())
    if not isinstance(provide, Sequence):
        name = provide.__name__ if isinstance(provide, type) else type(provide).__name__
        raise TypeError(f"services are given as a list, or as a mapping from their types: [{name}]")
    return [(one if isinstance(one, type) else type(one), one) for one in provide]
