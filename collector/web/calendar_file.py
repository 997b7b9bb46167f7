"""Floor 1. Writes iCalendar (RFC 5545): events with a stable UID, times in UTC or whole days.

Lines end with CRLF and are folded after 75 octets, never within a character (3.1); text is escaped
(3.3.11). A reader that fetches the file again replaces what it had (METHOD:PUBLISH, RFC 5546).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

MEDIA_TYPE = "text/calendar; charset=utf-8"
_LINE_OCTETS = 75
_PRODUCT = "-//Tramdo//Tramdo centre//VI"
# How often programs are asked to fetch it again (RFC 7986, 5.7; older ones read X-PUBLISHED-TTL).
_REFRESH = "PT1H"


class CalendarEvent(NamedTuple):
    """An event from `begin` to before `end`: two times, or two days."""

    uid: str
    begin: datetime | date
    end: datetime | date
    title: str
    description: str = ""
    url: str = ""


def calendar(events: Iterable[CalendarEvent], name: str, now: datetime) -> bytes:
    """The file, with DTSTAMP `now`."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{_PRODUCT}",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{escaped(name)}",
        f"X-WR-CALNAME:{escaped(name)}",
        f"REFRESH-INTERVAL;VALUE=DURATION:{_REFRESH}",
        f"X-PUBLISHED-TTL:{_REFRESH}",
        *(line for event in events for line in _event(event, now)),
        "END:VCALENDAR",
    ]
    return "".join(f"{folded(line)}\r\n" for line in lines).encode()


def _event(event: CalendarEvent, now: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{escaped(event.uid)}"
    yield f"DTSTAMP:{_time(now)}"
    yield f"DTSTART{_value(event.begin)}"
    yield f"DTEND{_value(event.end)}"
    yield f"SUMMARY:{escaped(event.title)}"
    if event.description:
        yield f"DESCRIPTION:{escaped(event.description)}"
    if event.url:
        yield f"URL:{event.url}"
    if not isinstance(event.begin, datetime):
        # What is due on a day does not make the day busy.
        yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _value(at: datetime | date) -> str:
    if isinstance(at, datetime):
        return f":{_time(at)}"
    return f";VALUE=DATE:{at:%Y%m%d}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def escaped(text: str) -> str:
    """A TEXT value. Control characters other than a line break have no place in one."""
    sound = "".join(one for one in text if one == "\n" or one.isprintable())
    for plain, written in (("\\", "\\\\"), (";", r"\;"), (",", r"\,"), ("\n", r"\n")):
        sound = sound.replace(plain, written)
    return sound


def folded(line: str) -> str:
    """A content line in pieces of 75 octets at most."""
    pieces, piece, octets = [], "", 0
    for one in line:
        size = len(one.encode())
        if octets + size > _LINE_OCTETS:
            pieces.append(piece)
            # The blank that begins the next piece counts.
            piece, octets = "", 1
        piece += one
        octets += size
    return "\r\n ".join([*pieces, piece])


def whole_day(day: date) -> tuple[date, date]:
    """The begin and the end of an event on a day."""
    return day, day + timedelta(days=1)
