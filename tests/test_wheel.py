"""What users install is the wheel, built from the source distribution, and not this checkout."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("actors", "sagas", "storage")

SHOP = '''
"""A user's program beside a storage.py and an actors.py of its own."""

import asyncio

import actors
import storage
from attrs import frozen

import atone
from atone import Coordinator, Saga, SqliteStore, StepContext, step


@frozen
class Order:
    id: str
    sku: str


@frozen
class Reservation:
    shelf: str


@frozen
class Shipment:
    note: str


@step
async def reserve(order: Order) -> Reservation:
    return Reservation(storage.SHELVES[order.sku])


@reserve.compensation
async def release(order: Order, reservation: Reservation | None) -> None:
    raise AssertionError("nothing fails here")


@step(pivot=True)
async def ship(order: Order, reservation: Reservation, ctx: StepContext) -> Shipment:
    return Shipment(f"{actors.CARRIER} took {order.sku} from {reservation.shelf}")


@step
async def thank(order: Order, shipment: Shipment) -> None:
    assert shipment.note


async def main() -> None:
    saga = Saga("order", version=1, input=Order, steps=[reserve, ship, thank])
    async with Coordinator(SqliteStore("orders.db"), sagas=[saga]) as coordinator:
        order = await coordinator.start(saga, Order("1001", "tea"), id="1001")
        outcome = await order.outcome(timeout=10)
    print(outcome.status.name, outcome.result(ship).note, atone.__file__, sep="\\n")


asyncio.run(main())
'''


def run(*command: str | Path, cwd: Path) -> str:
    """Return what a command prints, or fail with all that it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources(folder: str, inside: str) -> set[str]:
    """Return the paths which the files of one folder of code must have in a distribution."""
    return {
        f"{inside}/{path.relative_to(ROOT / folder)}"
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution from the checkout, and the wheel from that."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ".", cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """Return the wheel among them."""
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel as a user would, in an environment that knows nothing else, and return its Python."""
    folder = tmp_path_factory.mktemp("user") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--constraint", ROOT / "requirements.lock", wheel, cwd=folder)
    run(*pip, "check", cwd=folder)
    return python


def test_the_wheel_holds_the_code_and_nothing_else(wheel: Path) -> None:
    """Every file of the code folders is there under `atone/`; a build table can rot in silence."""
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    face = {f"atone/{path.name}" for path in (ROOT / "atone").iterdir() if path.is_file()} | sources(
        "atone/testing", "atone/testing"
    )

    assert face.union(*(sources(folder, f"atone/{folder}") for folder in FOLDERS)) == packed
    assert {"atone/py.typed", "atone/storage/schema.sql"} <= packed
    assert {".py", ".sql", ".typed"} == {Path(name).suffix for name in packed}


def test_the_source_distribution_holds_the_whole_project(dist: Path) -> None:
    """Packagers run the tests, so tests and examples come along; and no folder comes twice, by its link."""
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        packed = {name.partition("/")[2] for name in tar.getnames()}

    for folder in (*FOLDERS, "examples", "tests"):
        assert sources(folder, folder) <= packed
        assert not any(name.startswith(f"atone/{folder}/") for name in packed)
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "requirements.lock"} <= packed


def test_the_wheel_runs_an_order_beside_files_of_the_same_names(site: Path, tmp_path: Path) -> None:
    """A shop may have a storage.py and an actors.py of its own: `atone` claims no name but its own."""
    (tmp_path / "storage.py").write_text('SHELVES = {"tea": "shelf 4"}\n')
    (tmp_path / "actors.py").write_text('CARRIER = "the tram"\n')
    (tmp_path / "shop.py").write_text(SHOP)
    status, note, origin = run(site, "-W", "error", "shop.py", cwd=tmp_path).splitlines()

    assert "COMPLETED" == status
    assert "the tram took tea from shelf 4" == note
    assert Path(origin).is_relative_to(site.parents[1])
