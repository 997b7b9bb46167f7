"""Floor 2. Starts, changes and stops one emulator process, and reads the truth it leaves.

It must not know addresses, lines or what is measured over the link.
"""

import json
import select
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests import resources
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.namespace import LabError, Namespace
from tests.lab.truth import PacketTruth, parse_truth_line

_REPOSITORY = Path(__file__).resolve().parents[2]
_ANSWER_TIMEOUT_S = 60.0
_TRUTH_FILE = "truth.jsonl"
# Longer than a stalled emulator can fall behind, so that the kernel drops nothing that the truth
# would then not know of.
_DEVICE_QUEUE_PACKETS = 10_000


class EmulatedLink:
    """A link between a TUN device in `near` and one in `far`, up while the context lasts.

    Upload is near to far. The devices have no addresses: give them with `Namespace.ip` once open.
    With `truth=False` nothing is recorded (for bulk tests of hours).
    """

    def __init__(
        self,
        near: Namespace,
        near_interface: str,
        far: Namespace,
        far_interface: str,
        impairment: LineImpairment,
        *,
        truth: bool = True,
    ) -> None:
        self._near, self._near_interface = near, near_interface
        self._far, self._far_interface = far, far_interface
        self._impairment = impairment
        self._with_truth = truth
        self._directory: Path | None = None
        self._lines = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Start the emulator and bring both devices up. LabError when it does not come up."""
        argv = [sys.executable, "-m", "tests.lab.emulator"]
        argv += ["--near", f"{self._near.name}:{self._near_interface}"]
        argv += ["--far", f"{self._far.name}:{self._far_interface}"]
        argv += ["--upload", json.dumps(self._impairment.upload.as_json())]
        argv += ["--download", json.dumps(self._impairment.download.as_json())]
        if self._with_truth:
            self._directory = resources.new_folder("tramdo-")
            argv += ["--truth", str(self._directory / _TRUTH_FILE)]
        # Started inside the near namespace, so that whoever removes that ends the process too; in
        # a session of its own, so that an interrupt from the keyboard leaves it to `close`.
        self._process = self._near.popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
            start_new_session=True,
        )
        try:
            self._answered_ns()
            up = "link set {0} up txqueuelen " + str(_DEVICE_QUEUE_PACKETS)
            self._near.ip(up.format(self._near_interface))
            self._far.ip(up.format(self._far_interface))
        except BaseException:
            self.close()
            raise

    def change(
        self, *, upload: Impairment | None = None, download: Impairment | None = None
    ) -> int:
        """Give a direction another impairment; None leaves it. CLOCK_MONOTONIC ns of the change."""
        given = {"upload": upload, "download": download}
        change = {name: new.as_json() for name, new in given.items() if new is not None}
        return self._command({"change": change})

    def truth(self) -> list[PacketTruth]:
        """The truth about every packet that has left or been dropped, by direction and index.

        Complete once the link is closed. While it is open, writing what is left may delay packets
        by some milliseconds, and what is still under way is not in it.
        """
        if not self._with_truth:
            raise LabError("this link was opened without truth")
        if self._process is not None:
            self._command({"flush": True})
            self._read_lines()
        truths = map(parse_truth_line, self._lines.splitlines())
        return sorted(truths, key=lambda truth: (truth.direction, truth.index))

    def close(self) -> None:
        """End the emulator; its devices go with it. Does nothing the second time."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait(_ANSWER_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            if self._directory is not None:
                self._read_lines()
                shutil.rmtree(self._directory)

    def _read_lines(self) -> None:
        assert self._directory is not None
        path = self._directory / _TRUTH_FILE
        self._lines = path.read_text(encoding="ascii") if path.exists() else ""

    def _command(self, command: dict[str, object]) -> int:
        if self._process is None:
            raise LabError("the link is not open")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise LabError("the emulator has ended") from error
        return self._answered_ns()

    def _answered_ns(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        # An answer is one short write, so that a readable pipe holds the whole line.
        if not select.select([self._process.stdout], (), (), _ANSWER_TIMEOUT_S)[0]:
            raise LabError("the emulator does not answer")
        line = self._process.stdout.readline()
        if not line:
            raise LabError(f"the emulator ended with exit code {self._process.wait()}")
        return int(json.loads(line)["done_ns"])
