"""Every state that an order can reach, breadth first: each outcome, request, crash and pause in each of them.

Nothing is left to chance and nothing is cut off: as numbers of attempts and parks only name things, and time
is told from now, the states of a small saga are finitely many, and all of them are visited.
"""

from collections import deque
from collections.abc import Iterator
from itertools import product
from typing import Any

from attrs import evolve, field, frozen

from atone import Status, StepStatus
from atone.actors import Begin, Due, Resumed
from atone.sagas.events import (
    Arrived,
    Control,
    Ended,
    Event,
    Finding,
    Late,
    Probed,
    Refused,
    Run,
    Unknown,
    Verb,
)
from atone.sagas.progress import Failure, Progress, Slot, Work
from atone.sagas.receive import Receive
from atone.sagas.saga import Saga
from atone.sagas.standing import expected, phase, wake_at
from atone.storage import Phase
from tests.sagas.oracle import World, follow, opening
from tests.sagas.shapes import DONE, DOUBT, ERROR

#: Seconds that an attempt which timed out may linger.
GRACE = 1.0
#: So late that every timer has fired.
LATER = 1000.0
#: More states than any saga here has.
LIMIT = 10_000

Key = tuple[Any, ...]


@frozen
class Graph:
    """All states by their key, and all transitions between them."""

    worlds: dict[Key, World] = field(factory=dict)
    steps: list[tuple[Key, Key, bool]] = field(factory=list)  #: from, to, and whether it was a kind one

    def reached(self) -> set[Status]:
        """The statuses that were seen."""
        return {world.status for world in self.worlds.values()}

    def stranded(self) -> list[World]:
        """The states from which no end is reached although nothing goes wrong any more."""
        before: dict[Key, list[Key]] = {}
        for source, target, kind in self.steps:
            if kind:
                before.setdefault(target, []).append(source)
        saved = {key for key, world in self.worlds.items() if world.progress.final is not None}
        todo = list(saved)
        while todo:
            for source in before.get(todo.pop(), ()):
                if source not in saved:
                    saved.add(source)
                    todo.append(source)
        return [world for key, world in self.worlds.items() if key not in saved]


def explore(saga: Saga[Any]) -> Graph:
    """Visit every state of a saga; the oracle raises at the first transition that breaks a promise."""
    graph = Graph()
    first = opening(saga)
    todo = deque([first])
    graph.worlds[_key(first)] = first
    while todo:
        world = todo.popleft()
        source = _key(world)
        for event, now in happenings(world):
            leaves = (False, True) if isinstance(event, (Begin, Ended, Control)) else (False,)
            for verdict, draining in product(_verdicts(world), leaves):
                after, _ = follow(_dying(world, event), event, now, verdict=verdict, draining=draining)
                after = from_now_on(after, now)
                key = _key(after)
                graph.steps.append((source, key, not draining and verdict is True and _is_kind(world, event)))
                if key not in graph.worlds:
                    graph.worlds[key] = after
                    todo.append(after)
        assert len(graph.worlds) < LIMIT, "the states of an order do not come to an end"
    return graph


def happenings(world: World) -> Iterator[tuple[Event, float]]:
    """Everything that can happen to an order next, and when: now, or after every timer has passed unnoticed."""
    progress = world.progress
    if not progress.begun:
        yield Begin(), 0.0
        return
    for request in requests(world):
        yield request, 0.0
    if progress.final is not None:
        return
    wake = wake_at(world.saga, progress)
    if wake is not None:
        yield Due(), wake
        yield Due(), LATER
    yield Resumed(died=True), 0.0
    for now in (0.0, LATER):
        yield Resumed(), now
        yield from ((end, now) for run in world.running for end in _ends(run, now))
        yield from ((Resumed(alive=_one_of_them_late(world, run, now)), now) for run in world.running)
    for index, slot in enumerate(progress.slots):
        works = [work for work in (Work.ACTION, Work.COMPENSATION) if slot.lingers is not None and slot.sent[work]]
        yield from ((Late(index, work, slot.sent[work]), 0.0) for work in works)
    receive = expected(world.saga, progress)
    if receive is not None:
        yield from ((Arrived(7, type_.__name__, b"{}"), 0.0) for type_ in receive.types)


def _one_of_them_late(world: World, late: Run, now: float) -> frozenset[Run | Ended]:
    """All attempts under way live on, and one has timed out, of which the order was not told."""
    return frozenset(_timed_out(run, now) if run == late else run for run in world.running)


def _timed_out(run: Run, now: float) -> Ended:
    return Ended(run.slot, run.work, run.number, Unknown(ERROR, lingers=now + GRACE))


def _ends(run: Run, now: float) -> Iterator[Ended]:
    """Every way in which an attempt can end."""
    match run.work:
        case Work.PROBE:
            yield from (Ended(run.slot, run.work, run.number, Probed(finding)) for finding in Finding)
        case Work.ACTION | Work.COMPENSATION:
            yield Ended(run.slot, run.work, run.number, Refused(ERROR))
            yield Ended(run.slot, run.work, run.number, DOUBT)
    yield Ended(run.slot, run.work, run.number, DONE)
    yield _timed_out(run, now)


def _verdicts(world: World) -> tuple[bool | Failure, ...]:
    """What may be answered to the planner's own question, if it may have one."""
    slots = zip(world.saga.slots, world.progress.slots, strict=True)
    asks = any(
        isinstance(slot, Receive) and slot.when is not None and one.status is StepStatus.PENDING for slot, one in slots
    )
    return (True, False, ERROR) if asks else (True,)


def _is_kind(world: World, event: Event) -> bool:
    """Whether an event is what happens where nothing goes wrong any more; only active orders are taken up again."""
    match event:
        case Control(verb):
            return verb in {Verb.RETRY, Verb.RESUME, Verb.RESOLVE}
        case Ended(how=how):
            return how == DONE
        case Resumed(died=died):
            return not died and phase(world.saga, world.progress) is Phase.ACTIVE
        case _:
            return True


def requests(world: World) -> Iterator[Control]:
    """Everything that a person can ask, in view of the present park and of one long gone."""
    park = world.progress.park
    number = park.number if park is not None else None
    for seen in {number, 0} if park is not None else {number}:
        for verb in Verb:
            yield Control(verb, "ann", "a test", seen, seq=7)
        yield Control(Verb.RESOLVE, "ann", "a test", seen, happened=True, seq=7)


def _dying(world: World, event: Event) -> World:
    """Let every death be the one that is one too many, so that deaths need no counting."""
    if isinstance(event, Resumed) and event.died:
        return evolve(world, progress=evolve(world.progress, deaths=9))
    return world


def from_now_on(world: World, now: float) -> World:
    """The same world with its times told from now; what is due already is due now."""

    def told(time: float | None) -> float | None:
        return None if time is None else max(time - now, 0.0)

    def slot(one: Slot) -> Slot:
        return evolve(one, due=told(one.due), lingers=told(one.lingers) or None)

    progress: Progress = world.progress
    deaths = progress.deaths if progress.park is not None else 0
    slots = [one if one.due is None and one.lingers is None else slot(one) for one in progress.slots]
    overlaps = tuple(
        one and (evolve(one, until=one.until - now) if one.until > now else None) for one in world.overlaps
    )
    progress = progress.copy()
    progress.slots, progress.deadline, progress.deaths = slots, told(progress.deadline), deaths
    return World(world.saga, progress, world.ledger, overlaps)


def _key(world: World) -> Key:
    return (world.shape, world.ledger, world.overlaps)
