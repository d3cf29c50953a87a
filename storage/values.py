"""How values are made: `frozen` and `plain`. For those who check types, both are the `frozen` of attrs.

attrs compiles the methods of each class when it is imported, and `__repr__` is more than half of that; here it is
written once for all, which makes `import atone` a tenth shorter.

attrs makes an object of a frozen class through `object.__setattr__`, field by field, which takes three times as
long. What is made at every transition is plain: that nobody changes one is proven by mypy and pyright instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen
    from attrs import frozen as plain
else:
    from collections.abc import Callable
    from functools import partial
    from reprlib import recursive_repr

    import attrs

    @recursive_repr()
    def _shown(value: object) -> str:
        """As attrs would write it."""
        fields = [
            f"{field.name}={(repr if field.repr is True else field.repr)(getattr(value, field.name, attrs.NOTHING))}"
            for field in attrs.fields(type(value))
            if field.repr
        ]
        return f"{type(value).__qualname__.rsplit('>.', 1)[-1]}({', '.join(fields)})"

    def _value(make: Callable[..., type], class_: type | None = None, **options: bool) -> Callable[..., type]:
        """A decorator of attrs, with or without options, that finds `__repr__` there and leaves it."""
        if class_ is None:
            return partial(_value, make, **options)
        if "__repr__" not in vars(class_):
            class_.__repr__ = _shown
        return make(class_, **options)

    frozen = partial(_value, attrs.frozen)
    plain = partial(_value, partial(attrs.define, unsafe_hash=True))

__all__ = ["frozen", "plain"]
