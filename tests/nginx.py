"""Floor 2. A real nginx on a free port, with the configuration that a measurement server gets.

    with Nginx(tmp_path) as server:
        ... server.host, server.port
        server.pause()     # SIGSTOP: it listens, and never answers
        server.resume()
        server.kill()      # SIGKILL, its workers too

It must not know what is measured.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from msgspec import structs

from deploy.measurement_server.http_server import TEMPLATE, HttpServer, render, write_files
from tests.ports import free_port

_TIMEOUT_S = 60.0


class NginxError(Exception):
    """Nginx did not do what it was told; the text holds the end of its log."""


def why_not() -> str | None:
    """Why nginx cannot be had here, None when it can."""
    if _program() is None:
        return "nginx is not installed (Debian: apt-get install nginx-light)"
    return None


class Nginx:
    """One nginx: its configuration and log live in `directory`, its files in `root`.

    Args:
        directory: where it may write.
        root: where the test's files are, or are made; `directory` when not given. One root may
            serve several.
        host: the address to listen on.
        port: the port to listen on, a free one when not given.
        template: the configuration's template, where it is to differ from the real one.
        prefix: what to run it under, e.g. `["ip", "netns", "exec", "centre"]`.
        changes: fields of `HttpServer` that are to differ.
    """

    def __init__(
        self,
        directory: Path,
        *,
        root: Path | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        template: str | None = None,
        prefix: Sequence[str] = (),
        **changes: Any,
    ) -> None:
        self.host = host
        self.port = port or free_port()
        self._directory = directory
        self._root = root or directory
        self._template = template or TEMPLATE.read_text("utf-8")
        self._prefix = list(prefix)
        self._changes = changes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What it has complained of."""
        path = self._directory / "nginx.err"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until its workers are there. NginxError when they do not come."""
        program = _program()
        if program is None:
            raise NginxError(str(why_not()))
        self._directory.mkdir(parents=True, exist_ok=True)
        write_files(self._root)
        path = self._directory / "nginx.conf"
        path.write_text(render(self._template, self._settings()), encoding="utf-8")
        with (self._directory / "nginx.err").open("ab") as errors:
            self._process = subprocess.Popen(
                [*self._prefix, program, "-c", str(path), "-e", "stderr"],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        deadline = time.monotonic() + _TIMEOUT_S
        while not self._workers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NginxError(f"nginx did not start:\n{self.log[-2000:]}")
            time.sleep(0.01)

    def pause(self) -> None:
        """Stop it where it is: the kernel goes on accepting connections, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(_TIMEOUT_S)
            self._process = None

    def _settings(self) -> HttpServer:
        settings = HttpServer(
            listen=[f"{self.host}:{self.port}"],
            root=str(self._root),
            runtime_directory=str(self._directory),
            # Started by root, it would become a user who may not read here.
            user=getpass.getuser(),
            workers=1,
        )
        return structs.replace(settings, **self._changes)

    def _workers(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in children.read_text("ascii").split()]

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        # Its session: a killed master leaves its workers behind.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _program() -> str | None:
    # Debian installs it where only root's PATH leads.
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
