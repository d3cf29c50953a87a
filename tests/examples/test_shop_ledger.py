import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.shop.clerk import Clerk
from examples.shop.ledger import Entry, Kind, Ledger, Refused


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A book with ten items on its shelf."""
    ledger = Ledger(tmp_path / "ledger.db")
    with closing(ledger.db):
        ledger.deliver("shelf", 10)
        yield ledger


def entries(ledger: Ledger) -> list[tuple[str, int]]:
    """Return what was done, in order."""
    return ledger.db.execute("select kind, amount from entry order by seq").fetchall()


def on_hand(ledger: Ledger) -> int:
    """Return what is left on the shelf."""
    [(items,)] = ledger.db.execute("select on_hand from stock").fetchall()
    return int(items)


def test_a_repeat_gets_the_first_answer(ledger: Ledger) -> None:
    """A key is good for one effect, whatever the repeat asks for."""
    first = ledger.enter("k", Kind.CHARGE, "1", 500)
    again = ledger.enter("k", Kind.CHARGE, "1", 700)

    assert first == again
    assert first.reference == again.reference
    assert entries(ledger) == [("charge", 500)]


def test_an_undoing_takes_back_what_was_done(ledger: Ledger) -> None:
    """A refund is for the amount of the charge, and a repeated refund is one refund."""
    ledger.enter("k", Kind.CHARGE, "1", 500)
    first = ledger.undo("u", "k", Kind.REFUND, "1")
    again = ledger.undo("u", "k", Kind.REFUND, "1")

    assert first == again
    assert entries(ledger) == [("charge", 500), ("refund", -500)]


def test_an_action_after_its_undoing_is_refused(ledger: Ledger) -> None:
    """A charge that arrives after its refund changes nothing, and is counted."""
    ledger.undo("u", "k", Kind.REFUND, "1")

    with pytest.raises(Refused, match="too late"):
        ledger.enter("k", Kind.CHARGE, "1", 500)

    assert entries(ledger) == [("refund", 0)]
    assert ledger.db.execute("select key from refusal").fetchall() == [("k",)]


def test_a_repeat_of_an_undone_action_is_refused(ledger: Ledger) -> None:
    """The tombstone stands before the first answer: what was taken back is not answered as done."""
    ledger.enter("k", Kind.CHARGE, "1", 500)
    ledger.undo("u", "k", Kind.REFUND, "1")

    with pytest.raises(Refused):
        ledger.enter("k", Kind.CHARGE, "1", 500)


def test_goods_leave_the_shelf_and_come_back(ledger: Ledger) -> None:
    """A reservation lowers the stock once, and its release restores it once."""
    ledger.enter("k", Kind.RESERVE, "1", 4, "shelf")
    ledger.enter("k", Kind.RESERVE, "1", 4, "shelf")
    assert on_hand(ledger) == 6

    ledger.undo("u", "k", Kind.RELEASE, "1")
    ledger.undo("u", "k", Kind.RELEASE, "1")
    assert on_hand(ledger) == 10


def test_an_empty_shelf_refuses(ledger: Ledger) -> None:
    """More than there is cannot be reserved, and the refusal leaves no trace."""
    with pytest.raises(Refused, match="fewer than 11"):
        ledger.enter("k", Kind.RESERVE, "1", 11, "shelf")

    assert on_hand(ledger) == 10
    assert entries(ledger) == []


def test_a_key_is_unknown_done_or_closed(ledger: Ledger) -> None:
    """What a probe asks: whether something happened, and whether it still can."""
    entry = ledger.enter("done", Kind.SHIP, "1", 1)
    ledger.close("closed")

    assert (ledger.find("new").entry, ledger.find("new").closed) == (None, False)
    assert (ledger.find("done").entry, ledger.find("done").closed) == (entry, False)
    assert (ledger.find("closed").entry, ledger.find("closed").closed) == (None, True)


def test_the_book_survives_its_reader(tmp_path: Path) -> None:
    """Keys and tombstones are found again when the file is opened anew, and shelves are not filled twice."""
    with closing((first := Ledger(tmp_path / "ledger.db")).db):
        first.deliver("shelf", 10)
        entry = first.enter("k", Kind.RESERVE, "1", 4, "shelf")
        first.close("closed")
    with closing((second := Ledger(tmp_path / "ledger.db")).db):
        second.deliver("shelf", 10)

        assert second.enter("k", Kind.RESERVE, "1", 4, "shelf") == entry
        assert second.find("closed").closed
        assert on_hand(second) == 6


async def test_repeats_at_the_same_time_are_one_effect(tmp_path: Path) -> None:
    """Of many requests under one key that wait together, all get the answer of the one that counts."""
    async with Clerk(Ledger(tmp_path / "ledger.db")) as clerk:
        charges = [clerk.ask(lambda ledger: ledger.enter("k", Kind.CHARGE, "1", 500)) for _ in range(50)]
        answers = await asyncio.gather(*charges)
        done = await clerk.ask(entries)

    assert len(set(answers)) == 1
    assert done == [("charge", 500)]


async def test_a_refusal_harms_no_other_request(tmp_path: Path) -> None:
    """Requests that share a commit with a refused one are done."""
    async with Clerk(Ledger(tmp_path / "ledger.db")) as clerk:
        empty = clerk.ask(lambda ledger: ledger.enter("a", Kind.RESERVE, "1", 1, "no such shelf"))
        charge = clerk.ask(lambda ledger: ledger.enter("b", Kind.CHARGE, "2", 500))
        refused, charged = await asyncio.gather(empty, charge, return_exceptions=True)

    assert isinstance(refused, Refused)
    assert isinstance(charged, Entry)


async def test_a_broken_request_fails_its_batch_and_leaves_nothing(tmp_path: Path) -> None:
    """What cannot be committed is rolled back and reported, and the clerk works on."""

    def broken(ledger: Ledger) -> None:
        ledger.enter("k", Kind.CHARGE, "1", 500)
        raise ZeroDivisionError

    async with Clerk(Ledger(tmp_path / "ledger.db")) as clerk:
        with pytest.raises(ZeroDivisionError):
            await clerk.ask(broken)

        assert await clerk.ask(entries) == []


async def test_a_request_takes_effect_though_its_caller_left(tmp_path: Path) -> None:
    """A caller that stops waiting does not call its request back: that is what doubt is."""
    async with Clerk(Ledger(tmp_path / "ledger.db")) as clerk:
        caller = asyncio.create_task(clerk.ask(lambda ledger: ledger.enter("k", Kind.CHARGE, "1", 500)))
        await asyncio.sleep(0)
        caller.cancel()

        assert await clerk.ask(entries) == [("charge", 500)]
