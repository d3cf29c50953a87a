"""Faults planted on purpose: a proof that finds none of them would prove nothing."""

from . import answers, decisions, forward, messages, owners, participants, stores, troubles, work
from .mutant import MUTANTS, Mutant

__all__ = [
    "MUTANTS", "Mutant", "answers", "decisions", "forward", "messages", "owners", "participants", "stores", "troubles",
    "work",
]  # fmt: skip
