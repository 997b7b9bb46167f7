"""Floor 3. The display: computes the status from events, writes the status file, drives the LEDs.

Its queue is small and drops when full, so that it never delays measuring; results are in the outbox
in any case.
"""

from __future__ import annotations

import logging
import os
import queue
import threading

from probe import clock
from probe.config import Config
from probe.events import Event, Fault
from probe.show import status, status_file
from probe.show.leds import Leds, LedsUnavailableError
from wire.messages import LineState

log = logging.getLogger(__name__)

_QUEUE_LENGTH = 256
# Four times a second looks smooth and takes little processor time.
_REFRESH_S = 0.25
# Also without changes, so that a reader of the file sees a hung daemon.
_REWRITE_S = 5.0


class Display:
    """Shows the status, in a thread of its own."""

    def __init__(self, config: Config, version: str) -> None:
        self._config = config
        self._version = version
        self._queue: queue.Queue[Event] = queue.Queue(_QUEUE_LENGTH)
        self._status = status.initial(config)
        self._frame: status.Frame = {}
        self._leds = self._open_leds()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def emit(self, event: Event) -> None:
        """Queue an event, from any thread, without blocking; dropped when the queue is full."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            log.debug("display busy: an event is not shown")

    def leds(self) -> dict[str, str]:
        """Each LED's present pattern; from any thread."""
        return {name: str(pattern) for name, pattern in self._frame.items()}

    def line_states(self) -> dict[str, LineState]:
        """Each line's present state; from any thread."""
        return {line.id: line.state for line in self._status.lines.values()}

    def stop(self) -> None:
        """Write the last status and switch the LEDs off."""
        self._stopping.set()
        self._thread.join(5)
        if self._leds is not None:
            self._leds.close()

    def _open_leds(self) -> Leds | None:
        if self._config.leds.driver == "none":
            return None
        try:
            return Leds(self._config.leds, self._config.lines)
        except LedsUnavailableError as error:
            log.warning("%s", error)
            self._status = status.fold(self._status, Fault("leds", error.sentence))
            return None

    def _run(self) -> None:
        written: tuple[status.Status, status.Frame] | None = None
        written_at_s = float("-inf")
        while True:
            ending = self._stopping.wait(_REFRESH_S)
            self._apply_events()
            now_s = clock.monotonic_s()
            self._frame = frame = status.frame(self._status, now_s)
            if self._leds is not None:
                self._leds.show(frame)
            if (self._status, frame) != written or now_s - written_at_s >= _REWRITE_S:
                self._write(frame)
                written, written_at_s = (self._status, frame), now_s
            if ending:
                return

    def _apply_events(self) -> None:
        while True:
            try:
                self._status = status.fold(self._status, self._queue.get_nowait())
            except queue.Empty:
                return

    def _write(self, frame: status.Frame) -> None:
        shown = status.StatusSnapshot(
            written_at=clock.utc_now(),
            pid=os.getpid(),
            version=self._version,
            leds_driver="none" if self._leds is None else self._config.leds.driver,
            status=self._status,
            leds=frame,
        )
        try:
            status_file.write(self._config.runtime_dir, shown)
        except OSError as error:
            log.warning("the status board cannot be written: %s", error)
