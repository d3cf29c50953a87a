"""Faults planted on purpose: a proof that finds none of them would prove nothing."""

from . import decisions, messages, owners, participants, stores, troubles, work
from .mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "decisions", "messages", "owners", "participants", "stores", "troubles", "work"]
