"""The disk of the power-loss layer: what it keeps for certain, and what it may lose."""

from __future__ import annotations

from random import Random

from tests.proof.disk import SECTOR, Disk
from tests.proof.iolog import Operation

OLD, NEW = b"a" * 4 * SECTOR, b"b" * 4 * SECTOR


def disk() -> Disk:
    """A file with old content that was synced, and new content that was not."""
    made = Disk()
    for operation in (Operation("o", "db", 0, b"db"), Operation("w", "db", 0, OLD), Operation("s", "db", 0, b"")):
        made.follow(operation)
    made.follow(Operation("w", "db", 0, NEW))
    return made


def images(made: Disk) -> list[bytes]:
    """Every content that is found."""
    return [bytes(made.image(arrived)["db"]) for arrived in made.outages(Random(1))]


def test_no_content_is_found_twice() -> None:
    """What a count of images says is so many images."""
    found = images(disk())
    assert len(found) == len(set(found)) > 1


def test_a_write_that_was_not_synced_may_be_torn_at_sectors() -> None:
    """Each sector is old or new."""
    for image in images(disk()):
        sectors = {image[start : start + SECTOR] for start in range(0, len(image), SECTOR)}
        assert sectors <= {OLD[:SECTOR], NEW[:SECTOR]}


def test_what_was_synced_is_certain() -> None:
    """Then there is one content, and no other."""
    made = disk()
    made.follow(Operation("s", "db", 0, b""))
    assert images(made) == [NEW]
