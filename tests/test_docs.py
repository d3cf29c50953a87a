"""The documentation says what is true: its programs run and print what it shows, and all that it names exists."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
#: The rows of docs/comparison.md: prefix, and how many.
ROWS = {"SA": 19, "TK": 16, "TP": 22, "RS": 10, "HT": 6, "TB": 3}
VERDICTS = ("yes", "partly", "not yet", "on purpose not")


def text(page: str) -> str:
    """The page as it is written."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of one kind, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text(page), re.DOTALL | re.MULTILINE)


def heading_id(heading: str) -> str:
    """The fragment by which a heading is linked."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    """The fragments of all headings of a page."""
    prose = re.sub(r"^```.*?^```$", "", text(page), flags=re.DOTALL | re.MULTILINE)
    return {heading_id(heading) for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}


def has_test(name: str) -> bool:
    """Whether `path::function` is there."""
    path, _, function = name.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree = ast.parse(text(path))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, kinds) and node.name == function for node in ast.walk(tree))


def comparison_rows() -> list[list[str]]:
    """The cells of every row: name, capability, verdict, how, and what shows it."""
    lines = text("docs/comparison.md").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if re.match(r"\| [A-Z]{2}\d", line)]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_program_on_a_page_runs_and_prints_what_the_page_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python blocks of one page are one program, and its output is the page's text and its diagrams."""
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(program), run_name="page")
    assert capsys.readouterr().out == "".join(blocks(page, "(?:text|mermaid)"))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """A relative link names a file of the project, and its fragment a heading of that file."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" in target:
            continue
        path, _, fragment = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), target
        assert not fragment or fragment in anchors(str(found.resolve().relative_to(ROOT))), target


@pytest.mark.parametrize("page", PAGES)
def test_every_named_test_exists(page: str) -> None:
    """A test that a page names as evidence is a test of this project."""
    named = re.findall(r"tests/[\w/]+\.py::\w+", text(page))
    assert [name for name in named if not has_test(name)] == []


def test_comparison_has_every_row_once() -> None:
    """No capability is left out or told twice."""
    expected = [f"{prefix}{number}" for prefix, count in ROWS.items() for number in range(1, count + 1)]
    assert [row[0] for row in comparison_rows()] == expected


def test_comparison_shows_what_it_claims() -> None:
    """Every row has a verdict, and one that claims something names a test that shows it."""
    for name, _, verdict, how, shown in comparison_rows():
        assert verdict in VERDICTS, name
        assert how, name
        assert ("::" in shown) == (verdict in {"yes", "partly"}), name


def test_comparison_counts_rightly() -> None:
    """The tally at the top of the comparison is that of its rows."""
    verdicts = [row[2] for row in comparison_rows()]
    tally = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    told = re.findall(r"^\| (\w[\w ]+?) \| (\d+) \|$", text("docs/comparison.md"), re.MULTILINE)
    assert {verdict: int(count) for verdict, count in told} == tally


def test_every_promise_is_shown() -> None:
    """Every promise of docs/guarantees.md names a test that shows it."""
    promised = text("docs/guarantees.md").split("\n## ")[1]
    rows = [line for line in promised.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) > 1
    assert [row for row in rows if "::" not in row] == []
