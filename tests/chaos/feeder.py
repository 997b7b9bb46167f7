"""Floor 3. The probe without its measurements: the real publisher on the real configuration.

    python -m tests.chaos.feeder CONFIG JOURNAL LIFE RATE

It makes RATE results a second, more when standard input says so (a number a line: so many at once),
and writes into the journal how many it has made before it hands them over. The word `end` lets it
wait until the centre has confirmed all, print what came of it, and stop in order; SIGTERM is not
needed, SIGKILL may come at any time.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from functools import partial
from pathlib import Path
from uuid import UUID

from msgspec import structs

from probe import config_file
from probe.deliver.publisher import Publisher
from probe.measure import host
from tests import samples
from wire.messages import Info
from wire.result import Result

_TICK_S = 0.02
# The longest that the end may take: every result is either at the centre by then or missing. Long,
# for on a machine that is busy with something else a late result would count as lost.
CONFIRMED_WITHIN_S = 120.0
END = "end"
CONFIRMED, UNCONFIRMED = "confirmed", "not confirmed"


class Feeder:
    """Makes results with a token each ("life/number") and hands them to a publisher."""

    def __init__(self, publisher: Publisher, journal: Path, life: int) -> None:
        self._publisher = publisher
        self._journal = journal.open("a", encoding="ascii", buffering=1)
        self._life = life
        self._made = 0

    def make(self, count: int) -> None:
        """Make so many results. The journal has them first."""
        if count == 0:
            return
        first, self._made = self._made, self._made + count
        self._journal.write(f"{self._life} {self._made}\n")
        for number in range(first + 1, self._made + 1):
            self._publisher.submit(_result(f"{self._life}/{number}", number))


def main(config_path: str, journal: str, life: str, rate: str) -> int:
    """Feed until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    config, _ = config_file.load(Path(config_path))
    publisher = Publisher(
        config,
        Path(config.state_dir) / "outbox.sqlite",
        lambda _event: None,
        _info,
        partial(host.health, directory=config.state_dir, leds=dict, lines=dict),
    )
    publisher.start()
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    feeder = Feeder(publisher, Path(journal), int(life))
    if not _feed(feeder, orders, float(rate)):
        return 1  # whoever started us is gone
    # One more, so that a receipt comes that knows what a restored store lacks.
    feeder.make(1)
    confirmed = publisher.wait_delivered(CONFIRMED_WITHIN_S, threading.Event())
    publisher.stop()
    print(CONFIRMED if confirmed else UNCONFIRMED, flush=True)
    return 0


def _feed(feeder: Feeder, orders: queue.SimpleQueue[str], rate: float) -> bool:
    """Make results at a rate and as ordered; True at the word `end`, False where the input ends."""
    made = 0
    begun_s = time.monotonic()
    while True:
        due = int((time.monotonic() - begun_s) * rate)
        feeder.make(due - made)
        made = due
        try:
            order = orders.get(timeout=_TICK_S)
        except queue.Empty:
            continue
        if order in {END, ""}:
            return order == END
        feeder.make(int(order))


def _read_orders(orders: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        orders.put(line.strip())
    orders.put("")


# The token stands where every result has a text: a target of its own for each would pass the bound
# on a probe's targets (decision 71).
def _result(token: str, number: int) -> Result:
    # As a probe's mix is: many small ones, now and then a large one of another kind.
    if number % 20 == 0:
        return structs.replace(samples.throughput(intervals=26), probe_version=token)
    return structs.replace(samples.latency(), probe_version=token)


def _info(epoch: UUID) -> Info:
    return samples.info(epoch=epoch)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
