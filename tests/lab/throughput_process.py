"""Floor 3. One measurement of kind `throughput`, as a process of the office.

    python -m tests.lab.throughput_process CONFIG

A process, because its /sys shows the office's interfaces. Prints each raw result as a line of JSON.
"""

import sys
import threading

import msgspec

from probe.config import parse
from probe.measure.measurement import MeasurementRequest
from probe.measure.throughput.probe import measure


def main() -> None:
    """Measure the first line against the first server."""
    config = parse(sys.argv[1].encode(), "lab.toml")
    request = MeasurementRequest(
        line=config.lines[0],
        server=config.servers[0],
        config=config,
        stop=threading.Event(),
        progress=lambda _: None,
    )
    for result in measure(request):
        print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
