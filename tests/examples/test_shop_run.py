import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """A short file of invoices."""
    path = tmp_path / "invoices.csv"
    path.write_text(make_sample(rows=60, seed=3), encoding="utf-8")
    return path


def test_every_order_comes_to_its_end_although_the_coordinator_is_killed(tmp_path: Path, csv: Path) -> None:
    """One kill on the way, and the books agree with what the coordinator says and what it promised."""
    status, facts = findings(tmp_path, "--csv", str(csv), "--kill", "1", "--seed", "7")

    assert facts["discrepancies"] == []
    assert status == 0
    assert facts["kills"] == 1
    assert len(facts["resume_seconds"]) == 1
    assert facts["rows"] == 60
    assert facts["rejected_rows"] == sum(map(len, facts["rejected_lines"].values())) > 10
    assert facts["orders"] == sum(facts["statuses"].values()) > 20
    assert facts["statuses"]["COMPLETED"] > 0


def test_a_second_run_in_the_same_place_changes_nothing(tmp_path: Path, csv: Path) -> None:
    """All orders are known and all cancels answered, so they get their first answers."""
    books = ("--csv", str(csv), "--dir", str(tmp_path / "books"))
    _, first = findings(tmp_path, *books)
    status, second = findings(tmp_path, *books)

    assert second["discrepancies"] == []
    assert status == 0
    assert second["statuses"] == first["statuses"]
    assert second["cancels"] == first["cancels"]


def test_books_that_do_not_agree_are_an_error(tmp_path: Path, csv: Path) -> None:
    """Another file in the place of the first has other orders under the same numbers: that is no success."""
    books = ("--dir", str(tmp_path / "books"))
    findings(tmp_path, "--csv", str(csv), *books)
    other = tmp_path / "other.csv"
    other.write_text(make_sample(rows=60, seed=4), encoding="utf-8")
    status, facts = findings(tmp_path, "--csv", str(other), *books)

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
