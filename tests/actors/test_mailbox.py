"""Who is received next."""

from atone.actors import Mailbox
from atone.storage import Lane, Message


def message(seq: int, lane: Lane = Lane.DATA) -> Message:
    """A message."""
    return Message(seq, str(seq), lane, "kind", b"", 0.0)


def drain(mailbox: Mailbox) -> list[object]:
    """Everything, in order; messages as their numbers."""
    taken = []
    while (one := mailbox.take(lambda *_: True, None)) is not None:
        taken.append(one.seq if isinstance(one, Message) else one)
    return taken


def test_control_overtakes_data_and_both_overtake_reports() -> None:
    """Within a lane the order is that of acceptance, however they came in."""
    mailbox = Mailbox()
    mailbox.report("report 1")
    mailbox.put([message(4), message(2)])
    mailbox.report("report 2")
    mailbox.put([message(5, Lane.CONTROL), message(3, Lane.CONTROL)])
    mailbox.put([message(1)])
    assert drain(mailbox) == [3, 5, 1, 2, 4, "report 1", "report 2"]
    assert not mailbox


def test_a_known_message_is_passed_over() -> None:
    """Also when it was taken meanwhile: it may be told by the sender and read from disk."""
    mailbox = Mailbox()
    mailbox.put([message(1), message(1)])
    assert drain(mailbox) == [1]
    mailbox.put([message(1), message(2)])
    assert drain(mailbox) == [2]


def test_what_is_not_accepted_stays() -> None:
    """Later ones and reports pass by; control needs no acceptance."""
    mailbox = Mailbox()
    mailbox.put([message(1), message(2), message(3, Lane.CONTROL)])
    mailbox.report("report")

    def second(_state: None, one: Message) -> bool:
        return one.seq == 2

    assert [mailbox.take(second, None) for _ in range(4)] == [message(3, Lane.CONTROL), message(2), "report", None]
    assert [one.seq for one in mailbox.messages] == [1]


def test_what_is_put_back_is_received_again_in_the_same_order() -> None:
    """Before what came in between."""
    mailbox = Mailbox()
    mailbox.put([message(1), message(2)])
    mailbox.report("report 1")
    taken = [mailbox.take(lambda *_: True, None) for _ in range(3)]
    mailbox.put([message(3), message(0, Lane.CONTROL)])
    mailbox.report("report 2")
    mailbox.put_back(taken)
    assert drain(mailbox) == [0, 1, 2, 3, "report 1", "report 2"]
