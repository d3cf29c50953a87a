"""Orders that are told what happens, one event after the other."""

from typing import Any

from attrs import define, field

from atone import Saga, StepStatus
from atone.actors import Begin
from atone.sagas.draft import Plan
from atone.sagas.events import Control, Ended, Event, Run, Verb
from atone.sagas.progress import Work
from tests.sagas.oracle import World, follow, opening
from tests.sagas.shapes import DONE, Order


@define
class Story:
    """An order that is told what happens, with the last decision at hand."""

    saga: Saga[Any]
    world: World = field(init=False)
    last: Plan = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.world = opening(self.saga)
        self.hear(Begin())

    def hear(self, event: Event, now: float = 0.0, **rest: Any) -> list[Run]:
        """Let an event happen; what is begun because of it."""
        self.world, self.last = follow(self.world, event, now, **rest)
        return [one for one in self.last.commands if isinstance(one, Run)]

    def end(self, name: str, how: Any = DONE, now: float = 0.0, **rest: Any) -> list[tuple[str, Work, int]]:
        """End the attempt under way of a step; what is begun because of it, by name."""
        [run] = [one for one in self.world.running if self.saga.slots[one.slot].name == name]
        runs = self.hear(Ended(run.slot, run.work, run.number, how), now, **rest)
        return [(self.saga.slots[one.slot].name, one.work, one.number) for one in runs]

    def ask(self, verb: Verb, **rest: Any) -> str:
        """Let a person ask for something; the answer."""
        self.hear(Control(verb, "ann", "because", self.world.park, **rest))
        return self.last.answers[0][1]

    @property
    def notes(self) -> list[str]:
        """What the last decision put into the history."""
        return [note.event for note in self.last.notes]

    def status(self, name: str) -> StepStatus:
        """The status of a step."""
        return self.world.progress.slots[[one.name for one in self.saga.slots].index(name)].status


def tell(*steps: Any, **options: Any) -> Story:
    """The story of an order with these steps."""
    return Story(Saga("story", input=Order, steps=list(steps), **options))
