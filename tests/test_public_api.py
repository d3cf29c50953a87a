"""The public face: complete, in order, documented, and nothing but names from the folders."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import attrs
import pytest

import atone
import atone.sagas
import atone.storage

FACE = Path(atone.__file__)
PUBLIC = [getattr(atone, name) for name in atone.__all__]


def folder_names() -> dict[str, object]:
    """Every name that a folder calls public, and what it stands for."""
    return {name: getattr(folder, name) for folder in (atone.sagas, atone.storage) for name in folder.__all__}


def is_error(thing: object) -> bool:
    """Whether it is a class that can be raised."""
    return isinstance(thing, type) and issubclass(thing, BaseException)


def classes_in(hint: object) -> set[type]:
    """The classes of this project that an annotation names."""
    found = {one for part in typing.get_args(hint) for one in classes_in(part)}
    if isinstance(hint, type) and hint.__module__.startswith("atone."):
        found.add(hint)
    return found


def test_the_list_of_names_is_sorted_and_each_stands_once() -> None:
    """`__all__` is in the order that the linter keeps: constants, classes, functions."""
    ordered = sorted(atone.__all__, key=lambda name: (not name.isupper(), name.islower(), name))
    assert atone.__all__ == ordered
    assert len(set(atone.__all__)) == len(atone.__all__)


def test_the_face_only_passes_names_on() -> None:
    """`atone/__init__.py` holds a docstring, imports from the folders, and the list of what it imports."""
    docstring, *imports, names = ast.parse(FACE.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(names, ast.Assign)
    imported: list[str] = []
    for one in imports:
        assert isinstance(one, ast.ImportFrom)
        assert one.level == 1
        imported += [alias.name for alias in one.names if alias.asname is None]
    assert sorted(imported) == sorted(atone.__all__)


@pytest.mark.parametrize("name", atone.__all__)
def test_every_name_is_that_of_its_folder(name: str) -> None:
    """The face gives the very object that a folder calls public."""
    assert getattr(atone, name) is folder_names()[name]


def test_every_error_that_can_reach_a_user_is_public() -> None:
    """An error that cannot be named cannot be caught; what only the engine sees stays inside."""
    inside = {"StoreClosed", "WriteRefused"}
    errors = {name for name, thing in folder_names().items() if is_error(thing)}
    assert errors - set(atone.__all__) == inside
    for name in inside:
        assert issubclass(typing.cast("type", folder_names()[name]), atone.StoreError)


@pytest.mark.parametrize("error", [thing for thing in PUBLIC if is_error(thing)])
def test_every_error_has_one_root(error: type[BaseException]) -> None:
    """`except AtoneError` catches all of ours, and none of them slips past `except Exception`."""
    assert issubclass(error, atone.AtoneError)
    assert issubclass(atone.AtoneError, Exception)


@pytest.mark.parametrize("thing", [one for one in PUBLIC if isinstance(one, type) or inspect.isfunction(one)])
def test_everything_public_says_what_it_means(thing: object) -> None:
    """Every class and function has a docstring of its own, and so has every public method and property."""
    assert vars(thing)["__doc__"] if isinstance(thing, type) else thing.__doc__
    if isinstance(thing, type):
        inherited = {key for base in thing.__mro__[1:] for key in vars(base)}
        own = {key: one for key, one in vars(thing).items() if key[0] != "_" and key not in inherited}
        told = {key: one for key, one in own.items() if inspect.isroutine(one) or isinstance(one, property)}
        assert [key for key, one in told.items() if not one.__doc__] == []


@pytest.mark.parametrize("door", [atone.Coordinator, atone.Handle])
def test_what_goes_through_the_door_can_be_named(door: type) -> None:
    """Whatever a coordinator or a handle takes or returns is public, down to the fields of what it returns."""
    methods = [one for name, one in vars(door).items() if inspect.isfunction(one) and name[0] != "_"]
    hints = [hint for method in methods for hint in typing.get_type_hints(method).values()]
    reached = {one for hint in hints for one in classes_in(hint)}
    for one in [*reached]:
        fields = typing.get_type_hints(one).items() if attrs.has(one) else ()
        reached |= {found for name, hint in fields if name[0] != "_" for found in classes_in(hint)}
    assert atone.Status in reached
    assert reached <= set(PUBLIC)


def test_what_only_a_coordinator_needs_is_not_imported_before_one_is_made() -> None:
    """As cattrs, which would be a tenth of the import, and of the files that it reads."""
    program = "import sys, atone; assert 'cattrs' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=FACE.parent.parent)
