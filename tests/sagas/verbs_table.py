"""The table state × verb → answer, as the planner itself gives it. `python -m tests.sagas.verbs_table` writes it."""

from collections.abc import Callable
from pathlib import Path

from attrs import evolve, frozen

from atone import receive, step
from atone.actors import Resumed
from atone.sagas.events import Control, Refused, Verb
from tests.sagas.oracle import World, follow
from tests.sagas.shapes import DOUBT, ERROR, Approve, compensatable, plain, steady
from tests.sagas.story import Story, tell

PAGE = Path(__file__).parents[2] / "docs" / "verbs.md"

HEAD = """\
# What can be asked of an order

What each request is answered in each state, and the status that the order has then (after →). The page is
written by the planner itself: `python -m tests.sagas.verbs_table` renews it, and a test compares.

Each park has a number. `retry`, `resolve`, `skip` and `abandon` carry the number that the person saw: they are
answered `STALE` where the order has moved on, and where it is not parked at all. (`abandon` of an order that is
suspended and not parked carries `None`.) `NOT_APPLICABLE` and `STALE` change nothing. Requests are durable:
the answer is on disk before it is given.

An order that is parked with `DEFINITION` or `SNAPSHOT` cannot be read by this process: requests are kept, raise
`AnswerPending`, and are decided by the first host that can read it. Only a `resolve` with a result is refused
(`OrderError`): the result could not be checked.

"""

#: The columns. `resolve` says what really happened, so it has two.
VERBS: dict[str, Control] = {
    "`cancel`": Control(Verb.CANCEL, "ann", "because"),
    "`retry`": Control(Verb.RETRY, "ann", "because"),
    "`resolve` with a result": Control(Verb.RESOLVE, "ann", "because", happened=True),
    "`resolve` with `DID_NOT_HAPPEN`": Control(Verb.RESOLVE, "ann", "because"),
    "`skip`": Control(Verb.SKIP, "ann", "because"),
    "`abandon`": Control(Verb.ABANDON, "ann", "because"),
    "`suspend`": Control(Verb.SUSPEND, "ann", "because"),
    "`resume`": Control(Verb.RESUME, "ann", "because"),
}

REFUSED = Refused(ERROR)


@frozen
class Label:
    """What a later step needs."""


@step(retry=steady(1))
async def stick() -> Label:
    """Make the label."""
    return Label()


@step
async def read(label: Label) -> None:
    """Need the label."""


def running() -> Story:
    """An attempt before the pivot is under way."""
    return tell(compensatable("a"), plain("ship", pivot=True, attempts=1), plain("mail", attempts=1))


def at_the_pivot() -> Story:
    """The pivot is under way."""
    story = running()
    story.end("a")
    return story


def paused() -> Story:
    """Suspended between two steps."""
    story = running()
    story.ask(Verb.SUSPEND)
    story.end("a")
    return story


def paused_at_the_pivot() -> Story:
    """Suspended after the pivot."""
    story = at_the_pivot()
    story.ask(Verb.SUSPEND)
    story.end("ship")
    return story


def paused_at_a_refused_pivot() -> Story:
    """Suspended before it turns back."""
    story = at_the_pivot()
    story.ask(Verb.SUSPEND)
    story.end("ship", REFUSED)
    return story


def paused_on_the_way_back() -> Story:
    """Suspended between two attempts of a compensation."""
    story = compensating()
    story.ask(Verb.SUSPEND)
    story.end("a", DOUBT)
    return story


def paused_at_work() -> Story:
    """Suspended while an attempt is under way."""
    story = running()
    story.ask(Verb.SUSPEND)
    return story


def waiting() -> Story:
    """A message is awaited before the pivot."""
    story = tell(compensatable("a"), receive(Approve), plain("ship", pivot=True))
    story.end("a")
    return story


def waiting_past_the_pivot() -> Story:
    """A message is awaited after the pivot."""
    story = tell(plain("ship", pivot=True), receive(Approve))
    story.end("ship")
    return story


def compensating() -> Story:
    """A compensation is under way."""
    story = at_the_pivot()
    story.end("ship", REFUSED)
    return story


def in_doubt() -> Story:
    """Nobody knows whether the pivot happened."""
    story = at_the_pivot()
    story.end("ship", DOUBT)
    return story


def stuck() -> Story:
    """A step after the pivot was refused, and nothing needs its result."""
    story = at_the_pivot()
    story.end("ship")
    story.end("mail", REFUSED)
    return story


def stuck_and_needed() -> Story:
    """A step after the pivot was refused, and a later one needs its result."""
    story = tell(plain("ship", pivot=True), stick, read)
    story.end("ship")
    story.end("stick", REFUSED)
    return story


def stuck_once() -> Story:
    """A step after the pivot that must not be repeated, and has no probe, is in doubt."""
    story = tell(plain("ship", pivot=True), plain("print", repeatable=False))
    story.end("ship")
    story.end("print", DOUBT)
    return story


def uncompensated() -> Story:
    """A compensation was refused."""
    story = compensating()
    story.end("a", REFUSED)
    return story


def unasked() -> Story:
    """The `when` of an awaited message raised."""
    story = tell(compensatable("a"), receive(Approve, when=lambda _: True))
    story.end("a", verdict=ERROR)
    return story


def crashing(story: Story) -> Story:
    """The process died with the order at work, again and again."""
    for _ in range(10):
        story.hear(Resumed(died=True))
    return story


def completed() -> Story:
    """Everything is done."""
    story = at_the_pivot()
    story.end("ship")
    story.end("mail")
    return story


def compensated() -> Story:
    """Everything is undone."""
    story = compensating()
    story.end("a")
    return story


def abandoned() -> Story:
    """An operator closed it."""
    story = paused()
    story.ask(Verb.ABANDON)
    return story


#: The rows.
STATES: dict[str, Callable[[], Story]] = {
    "`RUNNING` before the pivot": running,
    "`RUNNING` from the pivot on": at_the_pivot,
    "`WAITING` before the pivot": waiting,
    "`WAITING` after the pivot": waiting_past_the_pivot,
    "`COMPENSATING`": compensating,
    "`SUSPENDED` before the pivot": paused,
    "`SUSPENDED`, and an attempt still runs": paused_at_work,
    "`SUSPENDED` from the pivot on": paused_at_the_pivot,
    "`SUSPENDED`, and the pivot was refused": paused_at_a_refused_pivot,
    "`SUSPENDED` on the way back": paused_on_the_way_back,
    "`PARKED`, `IN_DOUBT`": in_doubt,
    "`PARKED`, `STEP`": stuck,
    "`PARKED`, `STEP`, and a later step needs its result": stuck_and_needed,
    "`PARKED`, `STEP`, not repeatable and without a probe": stuck_once,
    "`PARKED`, `COMPENSATION`": uncompensated,
    "`PARKED`, `PREDICATE`": unasked,
    "`PARKED`, `CRASH_LOOP` before the pivot": lambda: crashing(running()),
    "`PARKED`, `CRASH_LOOP` from the pivot on": lambda: crashing(at_the_pivot()),
    "`COMPLETED`": completed,
    "`COMPENSATED`": compensated,
    "`ABANDONED`": abandoned,
}


def table() -> str:
    """The whole page."""
    rows = [["", *VERBS], ["---"] * (len(VERBS) + 1)]
    rows += [[name, *(_cell(make().world, verb) for verb in VERBS.values())] for name, make in STATES.items()]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(world: World, verb: Control) -> str:
    after, decided = follow(world, evolve(verb, park=world.park))
    [(_, answer)] = decided.answers
    return f"`{answer}`" if after.status == world.status else f"`{answer}` → `{after.status}`"


if __name__ == "__main__":
    PAGE.write_text(table())
