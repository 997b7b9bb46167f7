"""Which probes a batch shows to be connected: what waits for them is sent then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collector.ingest.pipeline import contacts
from collector.store.messages import StatusMessage
from tests import samples
from wire.messages import Health, Presence, State

PROBE = samples.TENANT, samples.PROBE
AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
ONLINE, OFFLINE, LOST = (State(presence, AT) for presence in Presence)
HEALTH = samples.health()


def sent(message: State | Health, *, retained: bool = False) -> StatusMessage:
    return StatusMessage(*PROBE, AT, retained, message)


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([HEALTH], {PROBE: False}),
        ([ONLINE, HEALTH], {PROBE: True}),
        ([HEALTH, ONLINE], {PROBE: True}),
        # It has left: what is sent now reaches nobody, and would be sent again.
        ([HEALTH, OFFLINE], {}),
        ([ONLINE, HEALTH, OFFLINE], {}),
        ([OFFLINE], {}),
        # And is back.
        ([HEALTH, OFFLINE, ONLINE], {PROBE: True}),
        # The last will of a connection before this one.
        ([ONLINE, LOST], {PROBE: True}),
        ([LOST], {}),
    ],
)
def test_a_probe_that_has_left_is_no_contact(
    messages: list[State | Health], found: dict[tuple[str, str], bool]
) -> None:
    assert contacts([sent(message) for message in messages]) == found


def test_what_the_broker_had_retained_is_no_contact() -> None:
    assert contacts([sent(ONLINE, retained=True), sent(HEALTH, retained=True)]) == {}
