"""The sagas of a coordinator, several versions of one side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import define, field

from ..storage import Definition
from .errors import DefinitionError
from .inject import Binding
from .saga import Saga


@define
class Registry:
    """Finds the saga of an order. An order stays with the definition that it was started with."""

    _sagas: dict[Definition, Saga[Any]] = field(factory=dict)
    _latest: dict[str, Saga[Any]] = field(factory=dict)  #: by name

    @classmethod
    def of(cls, sagas: Iterable[Saga[Any]]) -> Registry:
        """A registry of these sagas; raises `DefinitionError` for two that share name and version."""
        registry = cls()
        for saga in sagas:
            if any((one.name, one.version) == (saga.name, saga.version) for one in registry._sagas.values()):
                what = f"saga {saga.name!r} is registered twice with version {saga.version}"
                msg = f"{what}: give the newer one a higher version"
                raise DefinitionError(msg)
            registry._sagas[saga.definition] = saga
            before = registry._latest.get(saga.name, saga)
            registry._latest[saga.name] = max(before, saga, key=lambda one: one.version)
        return registry

    def __iter__(self) -> Iterator[Saga[Any]]:
        return iter(self._sagas.values())

    def bindings(self) -> Iterator[Binding]:
        """Every function of every saga."""
        for saga in self._sagas.values():
            for bound in saga.bindings:
                yield from (binding for binding in bound if binding is not None)

    def find(self, wanted: Definition) -> Saga[Any] | None:
        """The saga of this definition, if it is registered and unchanged."""
        return self._sagas.get(wanted)

    def never_expect(self, kind: str) -> tuple[Definition, ...]:
        """The definitions of the sagas that have no place for such a message. An unknown saga may have one."""
        return tuple([saga.definition for saga in self if not saga.receives(kind)])

    def saga(self, wanted: Definition) -> Saga[Any]:
        """The saga of a definition that is known to be registered."""
        return self._sagas[wanted]

    def latest(self, saga: Saga[Any]) -> Saga[Any]:
        """The highest registered version of a saga; raises `DefinitionError` where there is none."""
        latest = self._latest.get(saga.name)
        if latest is None:
            msg = f"saga {saga.name!r} is not registered: add it to the coordinator's sagas=[...]"
            raise DefinitionError(msg)
        return latest
