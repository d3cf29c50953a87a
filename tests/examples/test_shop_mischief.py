import asyncio
from collections import Counter

import pytest
from attrs import evolve

from atone import PermanentError
from examples.shop.ledger import Refused
from examples.shop.mischief import Mischief, Rates, Whim
from examples.shop.wire import Wire

PEACE = Rates(slow=0, refused=0, lost_request=0, lost_answer=0, down=0, late=0)
KEYS = [f"key-{number}" for number in range(2000)]


class Participant:
    """Counts what reaches it; refuses once it is closed."""

    def __init__(self) -> None:
        self.effects = 0
        self.closed = False

    async def act(self) -> int:
        if self.closed:
            raise Refused("too late")
        self.effects += 1
        return self.effects


def wire(**rates: float) -> Wire:
    """Return a wire with these troubles alone, on which no time passes."""
    return Wire(Mischief(1, evolve(PEACE, **rates)), sleep=no_sleep)


async def no_sleep(_seconds: float) -> None:
    """Let others run, and no time pass."""
    await asyncio.sleep(0)


def test_the_same_seed_gives_the_same_trouble_in_any_order() -> None:
    """A whim follows from seed, key and number of the call; not from what was asked before."""
    calls = [(key, call) for key in KEYS for call in (1, 2, 3)]
    forwards = {call: Mischief(1, Rates()).whim(*call) for call in calls}
    backwards = {call: Mischief(1, Rates()).whim(*call) for call in reversed(calls)}
    other_seed = {call: Mischief(2, Rates()).whim(*call) for call in calls}

    assert forwards == backwards
    assert forwards != other_seed


def test_whims_come_as_often_as_their_rates_say() -> None:
    """Every kind of trouble has a share of the first calls near its rate."""
    rates = Rates(slow=0.2, refused=0.1, lost_request=0.1, lost_answer=0.1, down=0.1, late=0.1)
    counts = Counter(Mischief(1, rates).whim(key, 1) for key in KEYS)

    assert set(counts) == set(Whim)
    assert 0.15 < counts[Whim.SLOW] / len(KEYS) < 0.2
    assert 0.08 < counts[Whim.DOWN] / len(KEYS) < 0.12


@pytest.mark.parametrize("whim", [Whim.DOWN, Whim.LATE])
def test_a_spell_lasts_two_to_four_calls(whim: Whim) -> None:
    """Under a key in a spell the first calls fail, and the later ones do not."""
    mischief = Mischief(1, evolve(PEACE, **{whim: 1.0}))
    lengths = {sum(mischief.whim(key, call) is whim for call in range(1, 10)) for key in KEYS}

    assert lengths == {2, 3, 4}


def test_a_rate_is_a_share() -> None:
    """A rate above one is a mistake, and is named."""
    with pytest.raises(ValueError, match="late is 3"):
        Rates(late=3)


async def test_a_refusal_has_no_effect() -> None:
    """What is refused at the door never reaches the participant."""
    participant = Participant()

    with pytest.raises(PermanentError, match="declined"):
        await wire(refused=1).call("k", participant.act, refusal="declined")

    assert participant.effects == 0


async def test_some_calls_are_never_refused() -> None:
    """A call that has no refusal to give, such as a compensation, goes through."""
    assert await wire(refused=1).call("k", Participant().act) == 1


async def test_a_lost_request_has_no_effect_and_a_lost_answer_has() -> None:
    """To the caller they look the same."""
    never, done = Participant(), Participant()

    with pytest.raises(ConnectionError):
        await wire(lost_request=1).call("k", never.act)
    with pytest.raises(ConnectionError):
        await wire(lost_answer=1).call("k", done.act)

    assert (never.effects, done.effects) == (0, 1)


async def test_a_late_request_arrives_after_its_caller_left() -> None:
    """The caller hangs until it gives up; the effect comes all the same, before the wire is closed."""
    participant = Participant()
    async with wire(late=1) as line:
        caller = asyncio.create_task(line.call("k", participant.act))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    assert participant.effects == 1


async def test_a_late_request_that_is_refused_bothers_nobody() -> None:
    """Its key was closed meanwhile, which is how it should be."""
    participant = Participant()
    async with wire(late=1) as line:
        caller = asyncio.create_task(line.call("k", participant.act))
        await asyncio.sleep(0)
        caller.cancel()
        participant.closed = True

    assert participant.effects == 0


async def test_what_the_participant_refuses_is_permanent() -> None:
    """A participant's own no is told to the saga as such."""
    participant = Participant()
    participant.closed = True

    with pytest.raises(PermanentError, match="too late"):
        await wire().call("k", participant.act)
