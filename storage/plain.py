"""`plain`: frozen for those who check types, and quick to make.

attrs makes an object of a frozen class through `object.__setattr__`, field by field, which takes three times as
long. What is made at every transition is plain: that nobody changes one is proven by mypy and pyright instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as plain
else:
    from functools import partial

    from attrs import define

    plain = partial(define, unsafe_hash=True)

__all__ = ["plain"]
