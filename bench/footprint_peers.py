"""Floor 3. What our daemon takes beside Prometheus' exporters that send the same echoes.

In the lab's office, at the pace of real life: ours on two lines to 20 addresses and the centre;
then Debian's prometheus-smokeping-prober to the same 20 addresses at twice the rate (it knows no
lines, so as many echoes), prometheus-blackbox-exporter, which connects to the centre for a name's
port and a page at each scrape, and prometheus-node-exporter, all three scraped every 15 s.

Memory is the largest proportional set size (PSS), processor time that of a minute. What is sent a
minute are the lines' interfaces' bytes, echoes and for ours its results too, and the bodies of the
scrapes, uncompressed. Theirs are counters that a lost scrape thins out; ours are single round-trip
times, held on a disk until the centre has confirmed them. Ours asks for names and pages by its
plan, which is less often than each quarter of a minute: the blackbox exporter does more of them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.footprint import EXTRA_TARGETS, Office, office_lab
from bench.process_cost import Cost, cost_of
from bench.report import CannotMeasureError, Options, Outcome, Row, note, run
from tests import broker as brokers
from tests.lab import namespace
from tests.lab.network import SERVER_ADDRESSES

_TARGETS = EXTRA_TARGETS[:20]
# Of the probe's `latency.mean_gap_s`, halved: two lines.
_INTERVAL = "750ms"
_SCRAPE_S = 15.0
_LOOK_S = 1.0


class Peer(NamedTuple):
    """A Debian package's program, how it is started, and the paths that are scraped."""

    package: str
    argv: Sequence[str]
    port: int
    paths: Sequence[str]


class Taken(NamedTuple):
    """What one program took over so many seconds."""

    name: str
    span_s: float
    memory_bytes: int
    cpu_s: float
    scraped_bytes: int = 0
    lines_sent_bytes: int | None = None  # None: not to be told apart from the others'


def measured(options: Options) -> Outcome:
    """Ours, then each peer."""
    peers = _peers()
    missing = [peer.package for peer in peers if shutil.which(peer.package) is None]
    reason = namespace.why_not() or brokers.why_not()
    if missing or reason:
        raise CannotMeasureError(reason or f"not installed (Debian): {', '.join(missing)}")
    # A window takes a minute: results of one must be sent.
    span_s = 80.0 if options.quick else 300.0
    Path("out").mkdir(exist_ok=True)
    with office_lab() as office:
        taken = [_ours(office, span_s), *_theirs(office, peers, span_s)]
    return Outcome(rows_of(taken), [])


def rows_of(taken: Sequence[Taken]) -> list[Row]:
    """A row a program; the last is that of the peers together."""
    return [
        {
            "program": one.name,
            "span_s": round(one.span_s, 1),
            "memory_mb": round(one.memory_bytes / 1e6, 1),
            "cpu_s_a_minute": round(one.cpu_s / one.span_s * 60, 3),
            "scraped_bytes_a_minute": round(one.scraped_bytes / one.span_s * 60),
            "sent_bytes_a_minute": None
            if one.lines_sent_bytes is None
            else round((one.lines_sent_bytes + one.scraped_bytes) / one.span_s * 60),
        }
        for one in taken
    ]


def together(peers: Sequence[Taken], lines_sent_bytes: int) -> Taken:
    """The peers as somebody would have to run them: all."""
    return Taken(
        "the three together",
        peers[0].span_s,
        sum(peer.memory_bytes for peer in peers),
        sum(peer.cpu_s for peer in peers),
        sum(peer.scraped_bytes for peer in peers),
        lines_sent_bytes,
    )


def _peers() -> list[Peer]:
    name, page = f"target={SERVER_ADDRESSES[0]}", f"target=http://{SERVER_ADDRESSES[0]}/"
    return [
        Peer(
            "prometheus-smokeping-prober",
            ["--config.file=", f"--ping.interval={_INTERVAL}", "--privileged", *_TARGETS],
            9374,
            ["/metrics"],
        ),
        Peer(
            "prometheus-blackbox-exporter",
            ["--config.file=/etc/prometheus/blackbox.yml"],
            9115,
            [f"/probe?module=tcp_connect&{name}:53", f"/probe?module=http_2xx&{page}", "/metrics"],
        ),
        Peer("prometheus-node-exporter", [], 9100, ["/metrics"]),
    ]


def _ours(office: Office, span_s: float) -> Taken:
    before = _sent_bytes(office)
    phase = office.stage("ours", {"latency": {"icmp_targets": _TARGETS}}, until_s=span_s)
    sent = _sent_bytes(office) - before
    return Taken(
        "ours", phase.span_s, phase.largest("proportional_bytes"), phase.grown("cpu_s"), 0, sent
    )


def _sent_bytes(office: Office) -> int:
    """What has left over the lines so far, headers included."""
    network = office.network
    return sum(network.office.counters(line.interface).sent_bytes for line in network.lines)


def _theirs(office: Office, peers: Sequence[Peer], span_s: float) -> list[Taken]:
    with ExitStack() as stack:
        processes = []
        for peer in peers:
            process = office.network.office.popen(
                [peer.package, *peer.argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        time.sleep(2 * _LOOK_S)  # what starting costs is no part of a minute
        first = [cost_of(process.pid) for process in processes]
        costs: list[list[Cost]] = [[] for _ in peers]
        scraped = [0] * len(peers)
        before_bytes = _sent_bytes(office)
        began_s = scraped_s = time.monotonic()
        while time.monotonic() < began_s + span_s:
            if time.monotonic() >= scraped_s:
                scraped_s += _SCRAPE_S
                for place, peer in enumerate(peers):
                    scraped[place] += _scraped_bytes(office, peer)
            for place, process in enumerate(processes):
                costs[place].append(cost_of(process.pid))
            time.sleep(_LOOK_S)
        took_s = time.monotonic() - began_s
        sent = _sent_bytes(office) - before_bytes
    taken = [
        Taken(
            peer.package,
            took_s,
            max(cost.proportional_bytes for cost in costs[place]),
            costs[place][-1].cpu_s - first[place].cpu_s,
            scraped[place],
        )
        for place, peer in enumerate(peers)
    ]
    return [*taken, together(taken, sent)]


def _scraped_bytes(office: Office, peer: Peer) -> int:
    def scraped() -> int:
        size = 0
        for path in peer.paths:
            with urllib.request.urlopen(f"http://127.0.0.1:{peer.port}{path}", timeout=20) as got:
                size += len(got.read())
        return size

    try:
        return office.network.office.inside(scraped)
    except OSError as error:
        note(f"{peer.package}: {error}")
        raise CannotMeasureError(f"{peer.package} cannot be scraped: {error}") from error


if __name__ == "__main__":
    sys.exit(run("footprint_peers", measured, peers=[peer.package for peer in _peers()]))
