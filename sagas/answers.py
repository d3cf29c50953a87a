"""What people are told. Every answer is on disk before it is given, and is never contradicted."""

from __future__ import annotations

from enum import StrEnum


class SendAnswer(StrEnum):
    """What became of a message."""

    ACCEPTED = "ACCEPTED"  #: it is on disk, for as long as the order may need it
    DUPLICATE = "DUPLICATE"  #: a message with this id was accepted before
    ALREADY_FINISHED = "ALREADY_FINISHED"
    NOT_FOUND = "NOT_FOUND"
    NEVER_EXPECTED = "NEVER_EXPECTED"  #: no step of this order's saga receives this type


class CancelAnswer(StrEnum):
    """What became of a request to cancel."""

    ACCEPTED = "ACCEPTED"  #: no further step will begin, and everything done is undone
    ALREADY_CANCELLING = "ALREADY_CANCELLING"  #: the order is being undone already
    TOO_LATE = "TOO_LATE"  #: the pivot was begun; the request changes nothing any more
    ALREADY_FINISHED = "ALREADY_FINISHED"
    NOT_FOUND = "NOT_FOUND"


class VerbAnswer(StrEnum):
    """What became of an operator's request."""

    ACCEPTED = "ACCEPTED"
    STALE = "STALE"  #: the order has moved on since the park that the operator saw
    NOT_APPLICABLE = "NOT_APPLICABLE"  #: the verb means nothing in this state
    ALREADY_FINISHED = "ALREADY_FINISHED"
    NOT_FOUND = "NOT_FOUND"
