import re
from datetime import timedelta
from typing import Any

import pytest

from atone import Saga, parallel, receive
from tests.sagas.shapes import Approve, Decline, Order, compensatable, plain


def draw(*steps: Any) -> str:
    """The picture of a saga of these steps."""
    return Saga("s", input=Order, steps=steps).diagram()


def test_a_saga_is_drawn_with_its_zones_and_its_way_back() -> None:
    """Forward with solid arrows, the way back with dotted ones."""
    picture = draw(
        parallel(compensatable("reserve"), plain("check", read_only=True)),
        receive(Approve | Decline, decline=Decline, name="verdict"),
        compensatable("charge"),
        plain("ship", pivot=True),
        plain("mail"),
    )

    assert (
        picture.splitlines()
        == """\
flowchart TD
    start([start])
    subgraph compensatable
        n0["reserve"]
        n1["check"]
        n2{{"verdict"}}
        n3["charge"]
    end
    subgraph pivot
        n4[["ship"]]
    end
    subgraph retriable
        n5["mail"]
    end
    start --> n0
    start --> n1
    n0 --> n2
    n1 --> n2
    n2 --> n3
    n3 --> n4
    n4 --> n5
    n5 --> completed([COMPLETED])
    subgraph rollback
        u0["undo reserve"]
        u3["undo charge"]
    end
    n0 -. fails .-> u0
    n3 -. fails .-> u3
    u3 -.-> u0
    u0 -.-> compensated([COMPENSATED])
    n1 -. turns back .-> u0
    n2 -. turns back .-> u0
    n4 -. turns back .-> u3
""".splitlines()
    )


@pytest.mark.parametrize(
    "steps",
    [
        [plain("ship", pivot=True)],
        [plain("look", read_only=True)],
        [receive(Approve)],
        [receive(Approve, timeout=timedelta(1)), plain("ship", pivot=True)],
        [compensatable("a")],
        [compensatable("a"), plain("ship", pivot=True), parallel(plain("x"), plain("y")), receive(Approve)],
    ],
)
def test_every_saga_can_be_drawn(steps: list[Any]) -> None:
    """Each place is drawn once, each arrow leads from and to something drawn, and each box is closed."""
    lines = draw(*steps).splitlines()

    drawn = re.findall(r"^\s+(\w+)[\[{(]", "\n".join(lines), re.MULTILINE)
    assert len(drawn) == len(set(drawn))
    ends = {"completed", "compensated"}
    for line in lines:
        if arrow := re.fullmatch(r"\s+(\w+) (?:-->|-\.->|-\. [\w ]+ \.->) (\w+)(\(\[\w+\]\))?", line):
            assert arrow[1] in drawn
            assert arrow[2] in {*drawn, *ends}
    assert sum("subgraph " in line for line in lines) == lines.count("    end")
    assert any("completed([COMPLETED])" in line for line in lines)
