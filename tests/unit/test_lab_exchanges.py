"""The round trips of a TCP connection, read from an emulated link's record of its packets."""

from __future__ import annotations

import pytest

from tests.lab.exchanges import client_ports, round_trips_ms
from tests.lab.truth import Direction, PacketIdentity, PacketTruth

CLIENT, SERVER = 40_001, 8080
MS = 1_000_000
EMPTY, FULL = 52, 300


def packet(
    direction: Direction,
    arrived_ms: float,
    length_bytes: int,
    *,
    client: int = CLIENT,
    lost: bool = False,
) -> PacketTruth:
    """A packet of a link that holds each for 15 ms."""
    ports = (client, SERVER) if direction == "upload" else (SERVER, client)
    arrived_ns = round(arrived_ms * MS)
    departed_ns = () if lost else (arrived_ns + 15 * MS,)
    return PacketTruth(
        direction=direction,
        index=0,
        arrived_ns=arrived_ns,
        due_ns=departed_ns,
        departed_ns=departed_ns,
        dropped="loss" if lost else None,
        length_bytes=length_bytes,
        identity=PacketIdentity(
            protocol="tcp",
            source="192.168.1.2",
            destination="203.0.113.1",
            source_port=ports[0],
            destination_port=ports[1],
        ),
    )


def test_a_round_trip_is_from_the_request_s_coming_to_the_answer_s_leaving() -> None:
    truths = [
        packet("upload", 0, EMPTY),
        packet("download", 15, EMPTY),
        packet("upload", 30, FULL),
        packet("download", 46, FULL),
        packet("upload", 61, EMPTY),
        packet("upload", 100, FULL),
        packet("download", 117, FULL),
    ]
    assert round_trips_ms(truths, CLIENT) == pytest.approx([31, 32])
    assert round_trips_ms(truths[::-1], CLIENT) == pytest.approx([31, 32])
    assert client_ports(truths) == [CLIENT]


def test_what_is_lost_and_sent_again_counts_from_its_first_copy() -> None:
    truths = [
        packet("upload", 0, FULL, lost=True),
        packet("upload", 200, FULL),
        packet("download", 216, FULL, lost=True),
        packet("download", 420, FULL),
    ]
    assert round_trips_ms(truths, CLIENT) == pytest.approx([435])


def test_other_connections_are_others() -> None:
    truths = [
        packet("upload", 5, FULL, client=40_002),
        packet("download", 20, FULL, client=40_002),
        packet("upload", 0, EMPTY),
        packet("upload", 50, FULL),
        packet("download", 66, FULL),
    ]
    assert client_ports(truths) == [CLIENT, 40_002]
    assert round_trips_ms(truths, CLIENT) == pytest.approx([31])
    assert round_trips_ms(truths, 40_002) == pytest.approx([30])
