"""The lock is what `make` installs: it must answer to pyproject.toml, and name no host."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def locked() -> dict[str, list[Requirement]]:
    """Return the lines of the lock by the name of their package."""
    pins: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        pin = Requirement(line)
        pins.setdefault(canonical(pin.name), []).append(pin)
    return pins


def declared() -> list[Requirement]:
    """Return everything that pyproject.toml asks for, whoever it is for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    return [Requirement(text) for texts in lists for text in texts]


def canonical(name: str) -> str:
    """Return a package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_line_pins_one_exact_version() -> None:
    """A lock that leaves a choice is none, and one that names a host works for its author alone."""
    pins = [pin for same in locked().values() for pin in same]

    assert pins
    assert [] == [pin for pin in pins if pin.url or not re.fullmatch(r"==[\w.]+", str(pin.specifier))]


def test_what_is_declared_is_locked_within_its_bounds() -> None:
    """Whoever changes pyproject.toml and forgets `make lock` learns it here."""
    pins = locked()
    unmet = [
        (str(wanted), str(pin))
        for wanted in declared()
        for pin in pins.get(canonical(wanted.name), [wanted])
        if not wanted.specifier.contains(str(pin.specifier).removeprefix("=="), prereleases=True)
    ]

    assert [] == unmet
