"""What the exporters beside our daemon took, by themselves and together."""

from __future__ import annotations

from bench.footprint_peers import Taken, rows_of, together

PEERS = [
    Taken("pings", 30.0, 20_000_000, 1.5, 6_000),
    Taken("pages", 30.0, 25_000_000, 0.5, 3_000),
]


def test_peers_are_added_up_and_everything_is_of_a_minute() -> None:
    ours = Taken("ours", 60.0, 40_000_000, 2.0, 0, 90_000)
    first, one, _, last = rows_of([ours, *PEERS, together(PEERS, 30_000)])
    assert (first["memory_mb"], first["cpu_s_a_minute"]) == (40.0, 2.0)
    assert first["sent_bytes_a_minute"] == 90_000
    assert (one["cpu_s_a_minute"], one["scraped_bytes_a_minute"]) == (3.0, 12_000)
    assert (last["memory_mb"], last["cpu_s_a_minute"]) == (45.0, 4.0)
    # Echoes over the lines and the bodies of the scrapes.
    assert last["sent_bytes_a_minute"] == 2 * (30_000 + 9_000)


def test_what_cannot_be_told_apart_is_not_known() -> None:
    (row,) = rows_of(PEERS[:1])
    assert row["sent_bytes_a_minute"] is None
