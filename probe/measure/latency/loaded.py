"""Floor 2. Latency under load: a STAMP session in a thread of its own during a transfer.

The transfer reports its progress, from which the session knows the packets of the steady part. Kind
`latency` pauses meanwhile, so that the two never mix (docs/method.md#latency, L14).
Independent of how the line is filled.
"""

from __future__ import annotations

import os
import random
import select
import threading
from types import TracebackType

import msgspec

from probe.measure.latency.clock_offset import ClockOffset, ClockReading
from probe.measure.latency.session import NANOSECONDS, LatencyWindow
from probe.measure.latency.summary import loaded_values
from probe.measure.latency.target import LatencyTarget, TargetSpec
from probe.measure.measurement import MeasurementRequest
from runtime import kernel_time
from wire.result import LoadedLatency

_LONGEST_WAIT_NS = NANOSECONDS // 4


class LoadedSession:
    """The session of one direction; a context that ends its thread and socket.

    Args:
        request: line, server and settings; when stopped, it does not wait for late packets.
        steady_from_s: the transfer's time at the end of its warm-up.
    """

    def __init__(self, request: MeasurementRequest, steady_from_s: float) -> None:
        self._request = request
        self._steady_from_s = steady_from_s
        self._thread: threading.Thread | None = None
        self._window: LatencyWindow | None = None
        self._steady_ns: int | None = None
        self._counted_ns = 0
        self._over = threading.Event()
        if not request.config.latency.enabled:
            return
        server, latency = request.server, request.config.latency
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._target = LatencyTarget(
            TargetSpec(f"stamp:{server.name}", server.host, server.stamp_port),
            request.line,
            msgspec.structs.replace(latency, mean_gap_s=latency.loaded_mean_gap_s),
            random.Random(),  # noqa: S311 - when to send is no secret
            kernel_time.monotonic_ns(),
        )
        self._thread = threading.Thread(target=self._run, name="loaded-latency", daemon=True)

    def __enter__(self) -> LoadedSession:
        """Start the thread."""
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End the session."""
        self.finish()

    def transferred(self, at_s: float) -> None:
        """Record the transfer's progress: its time in seconds, just after counting its bytes."""
        if self._thread is None:
            return
        self._counted_ns = kernel_time.monotonic_ns()
        if self._steady_ns is None and at_s >= self._steady_from_s:
            self._steady_ns = self._counted_ns
            os.eventfd_write(self._wake, 1)

    def finish(self) -> LoadedLatency | None:
        """Stop sending, wait for packets in flight (at most Tmax), and return the values.

        Returns:
            None where no packet fell into the steady part, or the session was stopped.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return None
        self._over.set()
        os.eventfd_write(self._wake, 1)
        thread.join()
        os.close(self._wake)
        parameters = self._target.parameters
        if self._window is None or parameters is None or not self._window.packets:
            return None
        return loaded_values(self._window, parameters)

    def _run(self) -> None:
        clock = ClockOffset(ClockReading(*kernel_time.clock_reading()))
        try:
            while not self._step(clock):
                self._wait()
        finally:
            self._target.close()

    def _step(self, clock: ClockOffset) -> bool:
        """Receive and send; True when the session is over."""
        session, now_ns = self._target.session, kernel_time.monotonic_ns()
        if clock.stepped(ClockReading(*kernel_time.clock_reading())):
            session.clock_stepped()
        self._target.receive(clock)
        if self._window is None and self._steady_ns is not None:
            session.next_window(self._steady_ns)
            self._window = session.window
        if not self._over.is_set():
            self._target.send_if_due(now_ns)
            return False
        if self._window is None or self._request.stop.is_set():
            self._window = None
            return True
        if self._window.end_ns is None:
            session.end_window(self._counted_ns)
            self._window.drop_after(self._counted_ns)
        hopeless = self._window.failure is not None and self._window.silent
        overdue = now_ns > self._counted_ns + self._request.config.latency.timeout_s * NANOSECONDS
        return not self._window.outstanding or hopeless or overdue

    def _wait(self) -> None:
        now_ns = kernel_time.monotonic_ns()
        wait_ns = min(_LONGEST_WAIT_NS, self._target.due_ns - now_ns)
        if self._over.is_set():
            wait_ns = _LONGEST_WAIT_NS
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        fileno = self._target.fileno()
        if fileno is not None:
            poller.register(fileno, select.POLLIN)
        # Rounded up: waking just before the time would make a busy loop.
        poller.poll(max(0, -(-wait_ns // 1_000_000)))
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
