"""The demo's picture on a terminal: nothing of it is cut off, however small the terminal."""

from __future__ import annotations

from io import StringIO
from uuid import UUID

import pytest
from msgspec import structs
from rich.console import Console, ConsoleDimensions

from deploy.demo.settings import DemoLine
from deploy.demo.system import StoredRow
from deploy.demo.view import ICMP_REFUSED, Snapshot, picture
from probe.show.status import LineStatus, Pattern, Status, StatusSnapshot
from tests import samples
from wire.messages import LineState
from wire.result import AnyResult, Family, Outcome, Reason

LINES = ("vnpt", "viettel")
BOARD = StatusSnapshot(
    version="0.2.0",
    written_at=samples.NOON,
    pid=1,
    leds_driver="simulated",
    leds={"power": Pattern.STEADY, "centre": Pattern.STEADY}
    | {f"{line}.{colour}": Pattern.OFF for line in LINES for colour in ("green", "red")},
    status=Status(
        tenant="demo",
        probe="phu-thong-01",
        lines={line: LineStatus(line, line.upper(), LineState.GOOD) for line in LINES},
        connected=True,
    ),
)


def stored(*results: AnyResult) -> list[StoredRow]:
    epoch = str(UUID(int=1))
    return [StoredRow("phu-thong-01", epoch, seq, result) for seq, result in enumerate(results, 1)]


def shown(width: int, height: int, **changes: object) -> list[str]:
    """The rows that a terminal of that size shows."""
    results = [samples.throughput(family=Family.IPV4) for _ in range(30)]
    now = Snapshot(
        board=BOARD,
        stored=stored(*results),
        lines=[DemoLine(line, None, "127.0.0.1") for line in LINES],
        goodput_bps={},
        page="http://127.0.0.1:54321",
        shaped=True,
        user=("can-bo", "0123-4567-89ab-cdef"),
        icmp_refusal=None,
    )
    size = ConsoleDimensions(width, height)
    output = StringIO()
    console = Console(file=output, width=width, height=height, force_terminal=False)
    console.print(picture(structs.replace(now, **changes), 0.0, size))
    return output.getvalue().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 34), (200, 60)])
def test_the_picture_fits_and_each_result_has_its_figures(size: tuple[int, int]) -> None:
    width, height = size
    rows = shown(width, height)
    # The cursor stands on a row of its own.
    assert len(rows) < height
    assert max(map(len, rows)) <= width
    figures = [row for row in rows if "throughput" in row]
    assert len(figures) >= 4
    for row in figures:
        assert "download 238.81 Mbit/s" in row, row
        assert "upload 175.56 Mbit/s" in row, row
    assert any("can-bo" in row and "0123-4567-89ab-cdef" in row for row in rows)


def test_with_more_to_say_there_are_fewer_results_and_nothing_is_cut() -> None:
    failed = samples.latency(outcome=Outcome.FAILED, reason=Reason.PERMISSION_DENIED)
    rows = shown(80, 24, icmp_refusal="…", stored=stored(*[failed] * 30))
    assert len(rows) < 24
    assert any(ICMP_REFUSED[:40] in row for row in rows)
    assert sum("failed: permission_denied" in row for row in rows) >= 2


def test_long_figures_leave_the_other_columns_their_room() -> None:
    test = samples.throughput(line=samples.VIETTEL, family=Family.IPV4)
    rows = shown(80, 24, stored=stored(test, samples.path(), samples.path()))
    assert any("viettel" in row and "throughput" in row and "IPv4" in row for row in rows), rows
    assert sum("gateway_rtt 0.60 ms" in row and "…" not in row for row in rows) == 2, rows


def test_the_board_comes_later() -> None:
    assert any("the probe is starting" in row for row in shown(80, 24, board=None))
