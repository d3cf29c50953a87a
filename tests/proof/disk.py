"""A disk as SQLite sees it: what was synced is there for certain, and of the rest any part may be."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

from attrs import define, field

from .iolog import Operation

SECTOR = 512

Files = dict[str, bytearray]

#: What of a pending write arrived: these of its sectors, or garbage (the file grew, and its new content did not come).
Part = tuple[int, ...] | str
_ALL: Part = ()
_GARBAGE: Part = "garbage"
#: The pending operations that arrived, by number.
Arrived = tuple[tuple[int, Part], ...]

#: How many draws in a row may be known already before nothing new is expected.
_PATIENCE = 20


@define
class Disk:
    """What is surely on the disk, and what is only on its way there."""

    synced: Files = field(factory=dict)
    pending: defaultdict[str, dict[int, Operation]] = field(factory=lambda: defaultdict(dict))
    number: int = 0  #: of the latest operation

    def follow(self, operation: Operation) -> None:
        """Take one more operation into account. A file that is made or removed is so at once."""
        file = operation.file
        self.number += 1
        match operation.kind:
            case "o" | "e":
                self.synced.setdefault(file, bytearray())
            case "u":
                self.synced.pop(file, None)
                self.pending.pop(file, None)
            case "w" | "t":
                self.pending[file][self.number] = operation
            case "s" if file in self.synced:
                for earlier in self.pending.pop(file, {}).values():
                    _apply(self.synced[file], earlier)
            case _:
                pass

    def drop(self, file: str, chance: random.Random) -> None:
        """A sync of the file failed, and the system forgets what it could not write: some of it, or all."""
        luck = chance.choice((0.0, 0.5))
        for operation in self.pending.pop(file, {}).values():
            if operation.kind == "t" or chance.random() < luck:
                _apply(self.synced[file], operation)

    def outages(self, chance: random.Random) -> Iterator[Arrived]:
        """What may have arrived if the power fails now, none twice, until nothing new turns up.

        Of the latest operation something did: else it would be an outage of the moment before.
        """
        known: set[Arrived] = set()
        futile = 0
        while futile < _PATIENCE:
            arrived = self._draw(chance)
            if arrived in known or not self._is_of_now(arrived):
                futile += 1
            else:
                known.add(arrived)
                futile = 0
                yield arrived

    def image(self, arrived: Arrived) -> Files:
        """The content of the disk after an outage."""
        files = {name: bytearray(content) for name, content in self.synced.items()}
        parts = dict(arrived)
        for name, operations in self.pending.items():
            for number, operation in operations.items():
                if number in parts and name in files:
                    _arrive(files[name], operation, parts[number])
        return files

    def _draw(self, chance: random.Random) -> Arrived:
        luck = chance.choice((0.0, 0.2, 0.5, 0.8, 1.0))  #: how much of what is pending arrived
        found: list[tuple[int, Part]] = []
        for operations in self.pending.values():
            for number, operation in operations.items():
                part = _part(operation, chance, luck)
                if part is not None:
                    found.append((number, part))
        return tuple(found)

    def _is_of_now(self, arrived: Arrived) -> bool:
        latest = any(self.number in operations for operations in self.pending.values())
        return not latest or any(number == self.number for number, _ in arrived)


def _part(operation: Operation, chance: random.Random, luck: float) -> Part | None:
    """What of one operation arrived; `None` for nothing."""
    draw = chance.random()
    if draw < luck:
        return _ALL
    torn = operation.kind == "w" and (luck > 0 or draw < _TORN_ALONE)
    if torn and draw < luck + 0.5 * (1 - luck):
        sectors = range(-(-len(operation.data) // SECTOR))
        chosen = tuple(sector for sector in sectors if chance.random() < 0.5)
        return _ALL if len(chosen) == len(sectors) else chosen or None
    return _GARBAGE if torn and draw < luck + 0.6 * (1 - luck) else None


#: How often a write is torn although nothing else arrives.
_TORN_ALONE = 0.3


def _arrive(content: bytearray, operation: Operation, part: Part) -> None:
    if part == _GARBAGE:
        missing = operation.offset + len(operation.data) - len(content)
        content.extend(random.Random(missing).randbytes(max(missing, 0)))
    elif part == _ALL:
        _apply(content, operation)
    else:
        for sector in part:
            start = int(sector) * SECTOR
            data = operation.data[start : start + SECTOR]
            _apply(content, Operation("w", operation.file, operation.offset + start, data))


def _apply(content: bytearray, operation: Operation) -> None:
    start, data = operation.offset, operation.data
    if len(content) < start:
        content.extend(bytes(start - len(content)))
    if operation.kind == "w":
        content[start : start + len(data)] = data
    else:
        del content[start:]
