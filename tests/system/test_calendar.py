"""The calendar of what is due, from a running centre, read by a calendar library of others."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.alerts.alert_store import AlertStore
from collector.alerts.silence import Silence
from collector.rollup.periods import local_day, week_of
from collector.store.sqlite import SqliteStore
from collector.users.user import Role, User
from collector.users.user_store import UserStore
from runtime.broker import BrokerConfig
from tests import seeded_centre
from tests.collector_process import CollectorProcess
from tests.ports import free_port

NOW = datetime.now(UTC).replace(microsecond=0)
REASON = "Sửa điện; cả xã, đến hết ngày \\ " + "ư" * 90
SILENCE = Silence(
    tenant="bach-thong",
    probe="tram-01969-1",
    starts_at=NOW,
    ends_at=NOW + timedelta(days=8),
    author="lan",
    reason=REASON,
)
# Debian's python3-icalendar: nothing of ours reads what is judged here.
JUDGE = """
import json, sys
from icalendar import Calendar
calendar = Calendar.from_ical(sys.stdin.buffer.read())
print(json.dumps([calendar["PRODID"]] + [
    [str(e["UID"]), e["DTSTART"].dt.isoformat(), e["DTEND"].dt.isoformat(), str(e["SUMMARY"]),
     str(e.get("DESCRIPTION", "")), e["DTSTAMP"].dt.isoformat(), e.errors]
    for e in calendar.walk("VEVENT")]))
"""


def judged(text: bytes) -> dict[str, list[str]]:
    done = subprocess.run(
        ["/usr/bin/python3", "-c", JUDGE], input=text, capture_output=True, check=True, timeout=60
    )
    _, *events = json.loads(done.stdout)
    assert all(event[-1] == [] for event in events)
    return {event[0]: event[1:] for event in events}


def fetched(url: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_a_calendar_program_reads_what_its_user_may_until_the_link_is_revoked(
    tmp_path: Path,
) -> None:
    # Whatever the broker does: nobody listens at this one's port.
    collector = CollectorProcess(
        tmp_path / "collector", BrokerConfig(host="127.0.0.1", port=free_port(), tls=False)
    )
    store = SqliteStore(collector.store_path)
    seeded_centre.fill(store, NOW, days=2)
    store.close()
    users = UserStore(tmp_path / "collector" / "people.sqlite")
    users.put(User(name="lan", role=Role.CENTRE), "hash")
    users.put(User(name="xa", role=Role.OFFICE, communes=("01981",)), "hash")
    alerts = AlertStore(tmp_path / "collector" / "alerts.sqlite")
    alerts.write_silence(SILENCE)
    alerts.close()
    secret, office = (users.make_calendar_link(name, NOW) for name in ("lan", "xa"))
    with collector:
        kind, text = fetched(f"{collector.url}/calendar/{secret}.ics")
        assert kind == "text/calendar; charset=utf-8"
        events = judged(text)
        begin, end, title, detail, stamp, _ = events["silence-1@tramdo"]
        assert begin == SILENCE.ends_at.isoformat()
        assert datetime.fromisoformat(end) > SILENCE.ends_at
        assert title == "Hết tạm ngừng thông báo: bach-thong/tram-01969-1"
        assert detail == f"{REASON} (lan)"
        assert NOW <= datetime.fromisoformat(stamp) <= datetime.now(UTC)
        sunday = week_of(local_day(NOW)).last
        week = f"{sunday.isocalendar().year}-{sunday.isocalendar().week:02}"
        assert events[f"campaign-{week}@tramdo"][:2] == [
            sunday.isoformat(),
            (sunday + timedelta(days=1)).isoformat(),
        ]
        # Asked again, the same events have the same names.
        assert set(judged(fetched(f"{collector.url}/calendar/{secret}.ics")[1])) == set(events)
        english = judged(fetched(f"{collector.url}/calendar/{secret}.ics?lang=en")[1])
        assert english["silence-1@tramdo"][2].startswith("Silence ends:")
        # The silence is of another commune.
        others = judged(fetched(f"{collector.url}/calendar/{office}.ics")[1])
        assert "silence-1@tramdo" not in others
        assert f"campaign-{week}@tramdo" in others
        users.revoke_calendar_link("lan")
        for gone in (secret, "x", "a" * 43):
            with pytest.raises(urllib.error.HTTPError) as refused:
                fetched(f"{collector.url}/calendar/{gone}.ics")
            with refused.value:
                assert refused.value.code == 404
        assert secret not in collector.log
