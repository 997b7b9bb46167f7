"""msgspec ends the program where two threads first decode a Struct at once; `wire/decoding` not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from wire.decoding import converted, decode_json

ROOT = Path(__file__).parents[2]
# By `msgspec.json.decode` in place of `decode_json`, this ends by a signal nearly every time.
RACE = """
import sys, threading
import msgspec
from tests import samples
from wire.decoding import decode_json
sys.setswitchinterval(1e-6)
made = [samples.latency(), samples.throughput(), samples.dns(), samples.web(), samples.path(),
        samples.availability(), samples.outage(), samples.info(), samples.health()]
for one in made:
    body, barrier = msgspec.json.encode(one), threading.Barrier(4)
    def decode():
        barrier.wait()
        decode_json(body, type(one))
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for each in threads: each.start()
    for each in threads: each.join()
"""
# Before any other thread is there.
FIRST_OF_ALL = {"runtime/settings.py"}


def test_threads_may_be_the_first_to_decode_a_type_together() -> None:
    ended = subprocess.run([sys.executable, "-c", RACE], cwd=ROOT, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]


@pytest.mark.parametrize("room", ["wire", "runtime", "probe", "server", "collector", "deploy"])
def test_nobody_decodes_to_a_type_by_msgspec_itself(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in (ROOT / room).rglob("*.py")
        for match in re.finditer(
            r"msgspec\.(convert\(|(json|msgpack)\.decode\([^\n]*type=)", path.read_text("utf-8")
        )
        if str(path.relative_to(ROOT)) not in {"wire/decoding.py", *FIRST_OF_ALL}
    ]
    assert found == []


def test_every_bad_byte_is_one_family_of_errors() -> None:
    for bad in (b"", b"{", b"\xff", b'"\xff"', b"[" * 100_000, b"{}"):
        with pytest.raises(msgspec.DecodeError):
            decode_json(bad, list[int])
    with pytest.raises(msgspec.ValidationError):
        converted({"a": "b"}, dict[str, int])
    assert converted({"a": "1"}, dict[str, int], strict=False) == {"a": 1}
