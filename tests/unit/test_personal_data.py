"""What anybody may read of a line's addresses, and what its officers may."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import structs

from collector.store.records import StoredProbe
from collector.users.user import Permission, Role, User
from collector.web.personal_data import own_addresses, redacted_probe, redacted_result
from tests import samples
from wire.record import Line, LineOperator, Nat
from wire.result import Result, decode_result, encode_result

AT = datetime(2026, 11, 30, 2, 0, 5, tzinfo=UTC)
V4, V6 = "203.0.113.7", "2001:db8:aaaa:1::7"


def stated(address: str, detail: str | None = None, source: str | None = None) -> Result:
    result = structs.replace(
        samples.latency(), operator=LineOperator(address, Nat.NAT, AT), detail=detail
    )
    if source is not None:
        result = structs.replace(result, line=structs.replace(result.line, source_address=source))
    return result


def redacted(result: Result, *known: str) -> str:
    return redacted_result(encode_result(result), known).decode()


def test_the_last_octet_and_what_is_beyond_the_48_are_gone() -> None:
    assert json.loads(redacted(stated(V4)))["operator"]["public_address"] == "203.0.113.0/24"
    assert json.loads(redacted(stated(V6)))["operator"]["public_address"] == "2001:db8:aaaa::/48"


@pytest.mark.parametrize(
    "detail",
    [
        "{} does not answer in time.",
        "No answer from {}.",
        "Cannot send to {}: refused.",
        "({})",
        "the box says {}",
        "{}: refused",
    ],
)
@pytest.mark.parametrize("address", [V4, V6, "2001:DB8:AAAA:0001::ffff"])
def test_wherever_it_stands(address: str, detail: str) -> None:
    own = V4 if "." in address else V6
    text = redacted(stated(own, detail.format(address)))
    assert address not in text
    assert ("203.0.113.0/24" if "." in address else "2001:db8:aaaa::/48") in text


def test_a_mapped_address() -> None:
    assert f"::ffff:{V4}" not in redacted(stated(V4, f"from ::ffff:{V4} port 80"))


def test_with_a_port() -> None:
    assert "203.0.113.0/24:5201" in redacted(stated(V4, f"{V4}:5201"))
    assert "[2001:db8:aaaa::/48]:443" in redacted(stated(V6, f"[{V6}]:443"))


def test_a_line_s_own_ipv6_address_is_its_public_one() -> None:
    text = redacted(stated(V4, source="2402:800:bbbb::5"))
    assert "2402:800:bbbb::5" not in text
    assert "2402:800:bbbb::/48" in text


def test_others_addresses_times_and_figures_stay() -> None:
    whole = stated(V4, "203.0.113.77, 1.203.0.113.7, 198.51.100.7 and 2001:db8:cccc::1 at 02:15:00")
    before, after = json.loads(encode_result(whole)), json.loads(redacted(whole, V6))
    before["operator"]["public_address"] = "203.0.113.0/24"
    assert after == before


def test_what_is_known_of_the_probe_is_left_out_of_a_result_that_does_not_state_it() -> None:
    result = structs.replace(samples.latency(), detail=f"{V6} is not reached")
    assert V6 not in redacted(result, V6)


def test_a_result_without_any_is_the_same_bytes() -> None:
    body = encode_result(samples.latency())
    assert redacted_result(body) == body
    assert decode_result(redacted(stated(V4)).encode()).operator is not None


def test_a_private_address_of_the_line_leads_to_nobody() -> None:
    for source in ("192.168.1.2", "10.9.9.9", "100.64.3.4", "fd00::7", "fe80::1", "127.0.0.1"):
        result = structs.replace(
            samples.latency(), line=structs.replace(samples.latency().line, source_address=source)
        )
        assert redacted(result).encode() == encode_result(result)


def probe() -> StoredProbe:
    health = structs.replace(
        samples.health(),
        operators={"vnpt": [LineOperator(V4, Nat.NAT, AT), LineOperator(V6, Nat.NONE, AT)]},
    )
    return StoredProbe(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        revision=1,
        site=samples.SITE,
        presence=None,
        presence_since=None,
        info=samples.info(lines=[Line("vnpt", "VNPT", "eth1", "2402:800:bbbb::5")]),
        health=health,
        health_at=AT,
        last_contact_at=AT,
    )


def test_a_probe_s_last_messages() -> None:
    assert own_addresses(probe()) == {V4, V6, "2402:800:bbbb::5"}
    shown = msgspec.json.encode(redacted_probe(probe())).decode()
    for address in own_addresses(probe()):
        assert address not in shown
    for block in ("203.0.113.0/24", "2001:db8:aaaa::/48", "2402:800:bbbb::/48"):
        assert block in shown
    assert own_addresses(None) == set()


def test_who_may_read_whole_addresses() -> None:
    office = User(name="an", role=Role.OFFICE, communes=("01969",))
    assert office.may(Permission.READ_ADDRESSES, "01969")
    assert not office.may(Permission.READ_ADDRESSES, "01981")
    assert not office.may(Permission.READ_ADDRESSES), "the API is of every commune"
    for role in (Role.TECHNICIAN, Role.CENTRE):
        assert User(name="lan", role=role).may(Permission.READ_ADDRESSES)
