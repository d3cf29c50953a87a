from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from benchmarks import __main__, child
from benchmarks.campaign import Campaign
from benchmarks.case import SHOPS, Case, Measure, Setting
from benchmarks.cases.payloads import bare_payload
from benchmarks.figure import Figure
from benchmarks.peers.catalogue import PEERS
from benchmarks.suite import CASES
from benchmarks.system import System, Unable

FOLDER = Path(__file__).parent


def answer(setting: Setting) -> list[Figure]:
    """Never called here: the campaign below is given a fake of the process."""
    return [Figure("", setting.size["number"], "orders/s")]


class Fake(System):
    """A system that measures without a process, and keeps who was asked for what."""

    asked: ClassVar[list[tuple[str, float]]] = []

    def measure(self, measure: Measure, setting: Setting, *, patience: float) -> list[Figure]:
        assert measure is answer
        self.asked.append((self.name, setting.size["number"]))
        assert patience > 0
        assert list(setting.folder.iterdir()) == []
        if self.name == "broken":
            raise Unable("broke")
        return [Figure("", setting.size["number"], "orders/s")]


def case(rounds: int = 9) -> Case:
    """One for three systems, of which the peer gets less to do."""
    names = ("bare", "atone", "broken")
    return Case("answer", "it", {"number": 42}, {"number": 1}, dict.fromkeys(names, answer), rounds, {"number": 7})


def test_systems_take_turns_in_every_round(tmp_path: Path) -> None:
    """What disturbs the machine does not always meet the same one."""
    Fake.asked.clear()
    systems = [Fake(name, "none") for name in ("bare", "atone", "broken")]
    *_, results = Campaign([case()], systems, 2, tmp_path).run()
    assert [name for name, _ in Fake.asked] == ["bare", "atone", "broken", "atone", "broken", "bare"]
    assert results.values["answer", "", "atone"] == [42, 42]
    assert results.notes == {("answer", "broken"): "broke"}
    assert list(tmp_path.iterdir()) == []


def test_sizes_depend_on_how_quick_it_should_be_and_on_whose_system_it_is(tmp_path: Path) -> None:
    """Peers get less to do in earnest, and everybody the same in a trial."""
    Fake.asked.clear()
    systems = [Fake(name, "none") for name in ("atone", "broken")]
    list(Campaign([case()], systems, 1, tmp_path).run())
    list(Campaign([case()], systems, 1, tmp_path, quick=True).run())
    assert Fake.asked == [("atone", 42), ("broken", 7), ("atone", 1), ("broken", 1)]


def test_a_case_has_at_most_its_own_rounds(tmp_path: Path) -> None:
    """One that takes minutes is measured less often than the others."""
    Fake.asked.clear()
    list(Campaign([case(rounds=1)], [Fake("atone", "none")], 5, tmp_path).run())
    assert len(Fake.asked) == 1


def test_a_process_that_fails_is_unable_and_says_why(tmp_path: Path) -> None:
    """Its last error is the reason; so is that it took too long, or what was known before."""
    setting = Setting("nobody", tmp_path, {})
    with pytest.raises(Unable, match="KeyError: 'bytes'"):
        System("nobody", "none").measure(bare_payload, setting, patience=60)
    with pytest.raises(Unable, match="no such package"):
        System("nobody", "none", unable="no such package").measure(bare_payload, setting, patience=60)
    with pytest.raises(Unable, match="took longer"):
        System("nobody", "none").measure(bare_payload, setting, patience=0)


def test_what_a_child_prints_besides_its_figures_is_passed_over() -> None:
    """Peers write into the same output."""
    told = json.dumps([Figure("p50", 1.5, "ms").as_dict()])
    assert child.read(f"a banner\n{child.MARK}{told}\nbye\n") == [Figure("p50", 1.5, "ms")]
    assert child.read("a banner\n") is None


def test_every_case_measures_atone_and_has_a_name_of_its_own() -> None:
    """And nobody is measured who has neither a shop nor a measure of its own."""
    assert len({case.name for case in CASES}) == len(CASES)
    for one in CASES:
        assert "atone" in one.measures
        assert one.about
        assert one.measures.keys() <= {"bare", "sqlite", *SHOPS}
        assert one.quick.keys() == one.size.keys()
    assert PEERS.keys() | {"atone"} == SHOPS.keys()


def test_peers_are_no_dependency() -> None:
    """What every shop is asked, and every peer's adapter, needs only the standard library to be imported."""
    modules = ["benchmarks.workload", "benchmarks.lives", "benchmarks.peers.dbos", "benchmarks.peers.restate"]
    program = f"import sys, {', '.join(modules)}, benchmarks.peers.sayiir; print(*sys.modules)"
    done = _python(program)
    assert not {"attrs", "attr", "atone", "aiosqlite", "orjson"} & set(done.split())


def _python(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=FOLDER.parents[1], check=True, capture_output=True, text=True
    ).stdout


def test_the_command_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Every case with what it is about, and every system."""
    assert __main__.main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(one.name in said for one in CASES)
    assert all(name in said for name in ("bare", "sqlite", "atone", *PEERS))


def test_the_references_are_always_measured_and_peers_only_when_asked() -> None:
    """Nothing means anything without the references; only the baseline by hand needs no installation."""
    plain = __main__.options([])
    assert [one.name for one in __main__.chosen_ours(plain)] == ["bare", "sqlite", "atone"]
    assert __main__.chosen_peers(plain) == ["plain"]
    assert __main__.chosen_peers(__main__.options(["--peers"])) == [*PEERS]
    one = __main__.options(["--system", "restate"])
    assert [system.name for system in __main__.chosen_ours(one)] == ["bare", "sqlite"]
    assert __main__.chosen_peers(one) == ["restate"]
