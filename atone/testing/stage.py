"""A world for one experiment of a rehearsal, in which steps are called one by one."""

from __future__ import annotations

import asyncio
import copy
import inspect
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from random import Random
from typing import Any, cast

from attrs import define, field

from ..sagas import DidNotHappen, Happened, NeverWillHappen, PermanentError, Saga, StepContext, StillUnknown
from ..sagas.context import idempotency_key
from ..sagas.inject import FromInput, FromSlot, resolve_services
from ..sagas.progress import Work
from ..sagas.registry import Registry
from ..sagas.runner import NO_ANSWER
from ..storage import Codec, TooLarge, Undecodable, Unencodable
from .indoors import OutsideWorld
from .loop import SimLoop
from .memory import remembering, sharing
from .outcomes import Fate
from .patience import CALM, Patience
from .services import FakeService, tell_apart
from .site import named
from .spy import Flaw, awaiting, spying
from .world import World

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class _Named(Exception):
    """A step did what has been noted already."""


@define(eq=False)
class Stage:
    """Participants of its own, and what the steps so far have returned."""

    saga: Saga[Any]
    input: object
    services: Sequence[object] | Mapping[Any, object]
    seed: int
    codec: Codec
    note: Callable[[Flaw, str], None]
    values: dict[int, object] = field(factory=dict[int, object])
    error: BaseException | None = None
    patience: Patience = field(init=False)
    disturbed: bool = False  #: whether what comes of a request is no longer as it should be
    _fakes: list[FakeService] = field(init=False)
    _provided: Mapping[Any, object] = field(init=False)
    _loop: SimLoop = field(init=False)
    _workers: set[asyncio.Task[Any]] = field(factory=set)  #: of clients, which serve one call after another

    def __attrs_post_init__(self) -> None:
        provided = {
            type_: one() if isinstance(one, type) else one for type_, one in named(copy.deepcopy(self.services))
        }
        fakes = [one for one in provided.values() if isinstance(one, FakeService)]
        self._fakes = list({id(one): one for one in fakes}.values())  # one may be given for several types
        tell_apart(self._fakes)
        self.patience = Patience(self._fakes)
        world = World(self.seed, asked=self.patience.asked)
        for fake in self._fakes:
            fake.world, fake.plans, fake.outcomes = world, {}, None
        self._provided = resolve_services(Registry.of([self.saga]).bindings(), provided)
        self._loop = SimLoop(Random(self.seed))  # noqa: S311  # a rehearsal must be reproducible
        world.begin(1, self._loop)

    def close(self) -> None:
        """Let go of it."""
        self._loop.abandon()

    def can(self, index: int) -> bool:
        """Whether everything that the action needs is there."""
        binding = self.saga.bindings[index][Work.ACTION]
        return binding is not None and not any(binding.needs(slot) and slot not in self.values for slot in range(index))

    def act(self, index: int, *, attempt: int = 1, quietly: bool = False) -> bool:
        """Call an action and keep its result; whether it succeeded."""
        name = self.saga.slots[index].name
        try:
            self.values[index] = self._kept(index, self._call(index, Work.ACTION, attempt), f"step {name!r}")
        except (PermanentError, _Named) as error:
            self.error = error
            return False
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # noqa: BLE001  # whatever the user's raises
            self.error = error
            if not quietly:
                self.note(_flaw(error, Flaw.RAISES), f"step {name!r} raised {error!r}")
            return False
        return True

    def undo(self, index: int, what: str, flaw: Flaw = Flaw.NEEDS_ACTION, *, quietly: bool = False) -> bool:
        """Call a compensation, which must not raise; whether it returned."""
        try:
            self._call(index, Work.COMPENSATION, 1)
        except _Named:
            return False
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # noqa: BLE001  # whatever the user's raises
            if not quietly:
                self.note(_flaw(error, flaw), f"{what} raised {error!r}")
            return False
        return True

    def probe(self, index: int, when: str) -> object:
        """Call a probe where nothing is in trouble; what it answered, or `None` where it gave no sound answer."""
        what = f"the probe of {self.saga.slots[index].name!r}"
        for fake in self._fakes:
            fake.ledger.looked.clear()  # of earlier steps
        try:
            answer = self._call(index, Work.PROBE, 1)
            if isinstance(answer, Happened):
                return Happened(self._kept(index, cast("Happened[object]", answer).result, what))
        except _Named:
            return None
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # noqa: BLE001  # whatever the user's raises
            self.note(_flaw(error, Flaw.RAISES), f"{what}, called {when}, raised {error!r}")
            return None
        if isinstance(answer, DidNotHappen | NeverWillHappen | StillUnknown):
            return answer
        words = "Happened(...), DidNotHappen(), NeverWillHappen() or StillUnknown()"
        self.note(Flaw.PROBE, f"{what}, called {when}, returned {answer!r}: return {words}")
        return None

    def disturb(self, call: str, number: int, fate: Fate) -> None:
        """Say what becomes of one of the next requests of this name: that before which so many are answered."""
        self.disturbed = True
        service, _, name = call.partition(".")
        for fake in self._fakes:
            if service == fake.name:
                fake.plans[name] = [*[Fate.OK] * number, fate]

    def wait(self) -> None:
        """Let everything that is on its way arrive."""
        self._loop.call(asyncio.sleep(CALM))

    def effects(self) -> Counter[tuple[str, str]]:
        """What stands, by name and key."""
        found: Counter[tuple[str, str]] = Counter()
        for fake in self._fakes:
            for (action, key), count in fake.ledger.standing.items():
                found[f"{fake.name}.{action}", key] += count
        return +found

    def closes_keys(self, effect: str) -> bool:
        """Whether the participant that has this effect refuses an action whose key was undone."""
        return all(fake.tombstones for fake in self._fakes if fake.name == effect.partition(".")[0])

    def varied(self) -> Iterator[tuple[str, str, str]]:
        """Calls that asked for something else under a key that they had used before: what first, and what then."""
        for fake in self._fakes:
            for (call, _), asked in fake.ledger.arguments.items():
                words = list(dict.fromkeys(_words(*one) for one in asked))
                if len(words) > 1:
                    yield f"{fake.name}.{call}", words[0], words[1]

    def astray(self) -> str:
        """What to do about an undo that was asked for under a key that no action had."""
        for fake in self._fakes:
            undos = {name for name, undoes in fake.calls().items() if undoes}
            used = {key for name, key in fake.ledger.sent if name not in undos}
            wrong = [name for name, key in fake.ledger.sent if name in undos and key not in used]
            if wrong:
                return f"; it called {fake.name}.{wrong[0]} under another key: key=ctx.action_key"
        return ""

    def unlooked(self) -> str:
        """What to do about a lookup of the last probe under a key that no action had."""
        for fake in self._fakes:
            used = {key for _, key in fake.ledger.sent}
            wrong = [name for name, key in fake.ledger.looked if key not in used]
            if wrong:
                return f"; it called {fake.name}.{wrong[-1]} under another key: key=ctx.action_key"
        return ""

    def _kept(self, index: int, result: object, who: str) -> object:
        """A result as later steps get it."""
        if result is None:
            return None
        try:
            _, value = self.codec.round_trip(result, self.saga.results[index], f"the result of {who}")
        except (Unencodable, TooLarge) as error:
            self.note(Flaw.RESULT, str(error))
            raise _Named from error
        except Undecodable as error:
            wanted = getattr(self.saga.results[index], "__name__", str(self.saga.results[index]))
            what = f"{who} returned a {type(result).__name__}, and is annotated to return {wanted}"
            self.note(Flaw.RESULT, what)
            raise _Named from error
        return value

    def _call(self, index: int, work: Work, attempt: int) -> object:
        saga = self.saga
        call, binding, name = saga.calls[index][work], saga.bindings[index][work], saga.slots[index].name
        assert call is not None
        assert binding is not None
        action = idempotency_key(saga.name, "rehearsal", name, "action")
        own = action if work is Work.ACTION else idempotency_key(saga.name, "rehearsal", name, work.name.lower())
        context = StepContext(
            key=own, action_key=action, saga=saga.name, order_id="rehearsal", step=name, attempt=attempt, epoch=1
        )
        arguments = binding.arguments(context, self.input, self.values, self._provided)

        def note(flaw: Flaw, what: str) -> None:
            left_by_an_error = self.disturbed and flaw is Flaw.UNAWAITED  # which is no forgotten `await`
            if not left_by_an_error:
                self.note(flaw, f"step {name!r} {what}")

        stored = [one.name for one in binding.parameters if isinstance(one.source, (FromInput, FromSlot))]
        shared = sharing({name: arguments[name] for name in stored}, self.codec, note)
        with spying(note, is_async=call.is_async), awaiting(note), remembering(call.function, note), shared:
            result = self._wait_for(self.patience.call(call, arguments), note)
        self._clear_up(note)
        if inspect.iscoroutine(result):
            result.close()
            note(Flaw.UNAWAITED, f"returns {result.__qualname__}() without awaiting it")
            raise _Named
        return result

    def _wait_for(self, work: Coroutine[Any, Any, object], note: Callable[[Flaw, str], None]) -> object:
        """The result of a call; raises `_Named` where it does not end."""
        task = self._loop.create_task(work)
        self._loop.run(lambda: task.done() or self.patience.in_vain(task))
        if task.done():
            return task.result()
        self._workers.add(task)  # nobody can end it
        note(Flaw.LINGERS, f"has not ended {CALM:g} s after its timeout: let asyncio.CancelledError out")
        raise _Named

    def _clear_up(self, note: Callable[[Flaw, str], None]) -> None:
        """Let what a step has begun and did not wait for come to its end: is anything asked of a participant in it?

        What goes on after that is a client's worker, to which others will give their requests.
        """
        left = [task for task in asyncio.all_tasks(self._loop) if not task.done() and task not in self._workers]
        if not left:
            return
        before = self._calls()
        self._loop.call(_calm(left))
        if self._calls() != before:
            for task in sorted(left, key=hash):
                begun: Any = task.get_coro()
                note(Flaw.UNAWAITED, f"does not wait for the task that it begins: {begun.__qualname__}()")
        self._workers.update(task for task in left if not task.done())

    def _calls(self) -> int:
        """How many requests there were so far, on their way and at their end."""
        return sum(len(fake.ledger.sent) + len(fake.ledger.calls) for fake in self._fakes)


def _words(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Arguments as they are written. Where an object lies says nothing of what it is."""
    return _ADDRESS.sub("", ", ".join([*map(repr, args), *(f"{name}={one!r}" for name, one in kwargs.items())]))


def _flaw(error: BaseException, otherwise: Flaw) -> Flaw:
    """What a step did that raised."""
    if isinstance(error, OutsideWorld):
        return error.flaw
    return Flaw.TIMEOUT if isinstance(error, TimeoutError) and str(error).startswith(NO_ANSWER) else otherwise


async def _calm(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks, timeout=CALM)
