"""What a mutant is: the real engine, or a real participant, with one fault planted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

from attrs import frozen

Plant: TypeAlias = Callable[[], AbstractContextManager[object]]


@frozen
class Mutant:
    """A fault that a layer is there to find. It is planted in worker processes alone; what they fork inherits it."""

    name: str
    sentence: str  #: what the faulty engine does
    layer: str  #: that must find it
    check: str  #: by which it must: one that shows itself under another name alone is not caught
    plant: Plant


#: All of them, by name.
MUTANTS: dict[str, Mutant] = {}


def mutant(layer: str, check: str) -> Callable[[Plant], Plant]:
    """Register a function that plants a fault; its name is the mutant's, its docstring the sentence."""

    def register(plant: Plant) -> Plant:
        name, sentence = plant.__name__, (plant.__doc__ or "").strip()
        MUTANTS[name] = Mutant(name, sentence, layer, check, plant)
        return plant

    return register
