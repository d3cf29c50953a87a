"""What went wrong, as text that any store takes."""

from __future__ import annotations


def words(error: BaseException) -> str:
    """The kind of an exception, and what it says. One that raises even at that is told by its kind alone."""
    kind = type(error).__name__
    try:
        return storable(f"{kind}: {error}")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001  # it is somebody else's code that makes the text
        return kind


def storable(text: str) -> str:
    """The same text without the lone surrogates that no store takes."""
    return text.encode(errors="backslashreplace").decode()
