"""Values to bytes and back, and the sums by which damaged bytes are noticed."""

# ruff: noqa: BLE001 - a converter runs its users' code, which may raise anything (a panic in Rust is no `Exception`)

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import time
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID
from zlib import crc32

import orjson

from .errors import TooLarge, Undecodable, Unencodable

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

LIMIT = 1024 * 1024


def checksum(revision: int, body: bytes) -> int:
    """A sum over a body and the revision it belongs to; inputs and parts, which have none, take 0.

    It rises by one with the revision, so that a row can be moved on without reading its body.
    """
    return crc32(body) + revision


def make_converter() -> Converter:
    """The converter that is used unless another is given: cattrs, which reads back all that orjson writes.

    A number or a text that its annotation would change is refused. Register hooks with it for classes of your own.

    What it needs is imported here, by the process that opens a store, and not by each that imports a saga.
    """
    from decimal import Decimal  # noqa: PLC0415

    from cattrs.preconf.orjson import make_converter as make_orjson_converter  # noqa: PLC0415

    converter = make_orjson_converter(unstruct_collection_overrides={AbstractSet: _sorted})
    converter.register_unstructure_hook(Decimal, str)  # exact, as a number in JSON would not be
    converter.register_structure_hook(Decimal, lambda text, _: Decimal(text))
    converter.register_structure_hook(UUID, lambda text, _: UUID(text))
    converter.register_unstructure_hook(time, time.isoformat)  # orjson loses zeros of the microseconds
    converter.register_structure_hook(time, lambda text, _: time.fromisoformat(text))
    for kind in (bool, int, float, str):
        converter.register_structure_hook(kind, _exactly)
    return converter


def _sorted(plain: Iterable[object]) -> list[object]:
    """The members of a set in an order of their own: that of the set is another one in each process.

    A start that is repeated by the next process must not look like one with another input.
    """
    return sorted(plain, key=orjson.dumps)


def _exactly(value: object, class_: Callable[[object], Any]) -> object:
    """A number or a text that says the same as what is given: cattrs alone makes 19 of 19.99, and a text of `None`.

    A text may stand for a number that is written so: the keys of mappings are texts in JSON.
    """
    if type(value) is class_:
        return value
    found = class_(value)
    if found != value and str(found) != value:
        raise ValueError
    return found


class Codec:
    """JSON by a cattrs converter. No payload ever shows in the text of its errors."""

    def __init__(self, converter: Converter | None = None, *, limit: int = LIMIT) -> None:
        self._converter = converter or make_converter()
        self._is_ours = converter is None
        self._limit = limit

    def encode(self, value: object, what: str) -> bytes:
        """The bytes of a value. `what` names it in errors: `Unencodable` and `TooLarge`."""
        kind = type(value).__name__
        try:
            plain = self._converter.unstructure(value)
            body = orjson.dumps(plain)
            if not self._is_ours:  # what it wrote itself (`orjson.Fragment`) is neither checked nor in our form
                body = orjson.dumps(orjson.loads(body))
            exact = b"null" not in body or _is_finite(plain)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise Unencodable(
                f"{what} of class {kind} cannot be turned into JSON ({type(error).__name__}): "
                "use attrs classes or dataclasses of plain values, or give the coordinator a converter"
            ) from None
        if not exact:
            raise Unencodable(f"{what} of class {kind} holds a number that is not finite: JSON has none, use None")
        if len(body) > self._limit:
            raise TooLarge(what, len(body), self._limit)
        return body

    def round_trip(self, value: object, class_: type[T], what: str) -> tuple[bytes, T]:
        """The bytes of a value, and the value as it will be read from them: the same with or without a restart.

        Raises as `encode` does, and `Undecodable` for a value whose fields are not of their types.
        """
        body = self.encode(value, what)
        try:
            return body, self._converter.structure(orjson.loads(body), class_)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise Undecodable(
                f"{what} does not fit the class {_name(class_)} ({_where(error)}): "
                "give it values of the types that its annotations name"
            ) from None

    def decode(self, body: bytes, class_: type[T]) -> T:
        """The value that was encoded; raises `Undecodable`, or `MemoryError`, which says nothing of the bytes."""
        try:
            plain = orjson.loads(body)
        except Exception:
            raise Undecodable(
                f"stored bytes for {_name(class_)} are no JSON: they were damaged or written by others"
            ) from None
        try:
            return self._converter.structure(plain, class_)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:
            raise Undecodable(
                f"stored bytes do not fit the class {_name(class_)} ({_where(error)}): "
                "register the class they were written with"
            ) from None


def _name(class_: object) -> str:
    return getattr(class_, "__name__", repr(class_))


def _is_finite(plain: object) -> bool:
    """Whether orjson keeps every number: one that is not finite becomes null, and would come back as that."""
    if isinstance(plain, float):
        return isfinite(plain)
    if isinstance(plain, dict):
        plain = list(cast("dict[str, object]", plain).values())
    return not isinstance(plain, list | tuple) or all(map(_is_finite, cast("list[object]", plain)))


def _where(error: BaseException) -> str:
    """The paths of the fields that do not fit. Keys of mappings are payload, and left out."""
    from cattrs import transform_error  # noqa: PLC0415 - as above

    try:
        paths = transform_error(error, path="", format_exception=lambda exc, _: type(exc).__name__)
        return "; ".join(re.sub(r"\[['\"b(].*?\](?=[.\[]|$)", "[…]", path) for path in paths[:3])
    except Exception:
        return type(error).__name__
