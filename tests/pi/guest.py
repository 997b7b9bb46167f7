"""Floor 2. Runs in the guest as a service: obeys lines of JSON at a serial port, and answers so.

    <- {"id": 1, "argv": ["tramdo-probe", "leds"], "user": "tramdo", "cwd": "/", "stdin": ""}
    -> @{"id": 1, "stream": "out", "line": "…"}      each line when it comes
    -> @{"id": 1, "ended": 0}
    <- {"id": 1, "signal": 15}                       to a command that runs

Python and its library alone. The kernel may write to the same port: answers begin with "@" on a
line of their own, all in ASCII.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import termios
import threading
import tty
from typing import IO, Any

_writing = threading.Lock()
_running: dict[int, subprocess.Popen[bytes]] = {}


def main(port: str) -> None:
    """Serve for ever."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor, termios.TCSANOW)
    with os.fdopen(descriptor, "r+b", buffering=0) as serial:
        _say(serial, {"ready": True})
        waiting = b""
        while True:
            waiting += serial.read(4096) or b""
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                threading.Thread(target=_obey, args=(serial, json.loads(line))).start()


def _say(serial: IO[bytes], answer: dict[str, Any]) -> None:
    rest = b"\n@" + json.dumps(answer).encode("ascii") + b"\n"
    with _writing:
        while rest:
            rest = rest[serial.write(rest) or 0 :]


def _obey(serial: IO[bytes], asked: dict[str, Any]) -> None:
    number = asked["id"]
    if "signal" in asked:
        if number in _running:
            _running[number].send_signal(asked["signal"])
        return
    account = pwd.getpwnam(asked["user"])
    try:
        process = subprocess.Popen(
            asked["argv"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=asked["cwd"], user=account.pw_uid, group=account.pw_gid,
            extra_groups=os.getgrouplist(account.pw_name, account.pw_gid),
            env={"PATH": "/opt/tramdo/venv/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8",
                 "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    except OSError as error:
        _say(serial, {"id": number, "stream": "err", "line": str(error)})
        _say(serial, {"id": number, "ended": 127})
        return
    _running[number] = process
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        threading.Thread(target=_pass_on, args=(serial, number, name, stream))
        for name, stream in (("out", process.stdout), ("err", process.stderr))
    ]
    for reader in readers:
        reader.start()
    try:
        process.stdin.write(asked["stdin"].encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has ended and will say so
    code = process.wait()
    for reader in readers:
        reader.join()
    del _running[number]
    _say(serial, {"id": number, "ended": code})


def _pass_on(serial: IO[bytes], number: int, name: str, stream: IO[bytes]) -> None:
    for line in stream:
        text = line.decode(errors="replace").rstrip("\n")
        _say(serial, {"id": number, "stream": name, "line": text})


if __name__ == "__main__":
    main(sys.argv[1])
