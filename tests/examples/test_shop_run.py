import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from examples.shop.make_sample import make_sample

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "examples.shop", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def findings(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit status and what it found."""
    file = tmp_path / "findings.json"
    finished = run("--json", str(file), *arguments)
    assert file.exists(), finished.stderr
    facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return finished.returncode, facts


@frozen
class First:
    """A run whose coordinator was killed once, for every test that looks at it or goes on from it."""

    csv: Path
    books: Path
    status: int
    facts: dict[str, Any]

    def again(self, tmp_path: Path, csv: Path) -> tuple[int, dict[str, Any]]:
        """Run the command once more, on a copy of the same books."""
        books = shutil.copytree(self.books, tmp_path / "books")
        return findings(tmp_path, "--csv", str(csv), "--dir", str(books), "--seed", "7")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """A short file of invoices, and one kill on the way."""
    folder = tmp_path_factory.mktemp("first")
    csv, books = folder / "invoices.csv", folder / "books"
    csv.write_text(make_sample(rows=60, seed=3), encoding="utf-8")
    status, facts = findings(folder, "--csv", str(csv), "--dir", str(books), "--kill", "1", "--seed", "7")
    return First(csv, books, status, facts)


def test_every_order_comes_to_its_end_although_the_coordinator_is_killed(first: First) -> None:
    """The books agree with what the coordinator says and what it promised."""
    facts = first.facts

    assert facts["discrepancies"] == []
    assert first.status == 0
    assert facts["kills"] == 1
    assert len(facts["resume_seconds"]) == 1
    assert facts["rows"] == 60
    assert facts["rejected_rows"] == sum(map(len, facts["rejected_lines"].values())) > 10
    assert facts["orders"] == sum(facts["statuses"].values()) > 20
    assert facts["statuses"]["COMPLETED"] > 0


def test_a_second_run_in_the_same_place_changes_nothing(first: First, tmp_path: Path) -> None:
    """All orders are known and all cancels answered, so they get their first answers."""
    status, second = first.again(tmp_path, first.csv)

    assert second["discrepancies"] == []
    assert status == 0
    assert second["statuses"] == first.facts["statuses"]
    assert second["cancels"] == first.facts["cancels"]


def test_books_that_do_not_agree_are_an_error(first: First, tmp_path: Path) -> None:
    """Another file in the place of the first has other orders under the same numbers: that is no success."""
    other = tmp_path / "other.csv"
    other.write_text(make_sample(rows=60, seed=4), encoding="utf-8")
    status, facts = first.again(tmp_path, other)

    assert status == 1
    assert facts["discrepancies"] != []


def test_a_file_that_holds_no_invoices_is_named() -> None:
    """A wrong file is one plain line, and no traceback."""
    finished = run("--csv", __file__)

    assert finished.returncode == 2
    assert "should begin with the line InvoiceNo" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_rate_that_does_not_exist_is_named() -> None:
    """A slip on the command line is answered with what there is."""
    finished = run("--rate", "loud=0.1")

    assert finished.returncode == 2
    assert "lost_answer" in finished.stderr
