"""Floor 3. Trains the dictionary with which the store compresses results' JSON.

`python -m bench.train_dictionary FILE` writes it; the same version of zstandard writes the same
bytes. Samples are of every kind, from the examples of the contract and from results as the tests
make them, for many probes, lines and figures. A store keeps the dictionaries that its results need,
so that a new one changes nothing that is stored.
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import zstandard

from tests import samples
from wire.result import Family, Line, Outcome, Result, decode_result, encode_result

_SEED = 93
_BYTES = 16_384
_EXAMPLES = Path(__file__).parent.parent / "docs" / "contract" / "examples"
_LATENCY, _OTHERS = 1_600, 60
_ISPS = ("VNPT", "Viettel", "FPT", "MobiFone", "CMC", "SCTV")


def dictionary() -> bytes:
    """The dictionary of the samples."""
    rng = random.Random(_SEED)
    made: list[bytes | bytearray | memoryview[int]] = [
        encode_result(_latency(rng)) for _ in range(_LATENCY)
    ]
    for one in _templates():
        made += [encode_result(_of_another(rng, one)) for _ in range(_OTHERS)]
    rng.shuffle(made)
    return zstandard.train_dictionary(_BYTES, made, dict_id=_SEED).as_bytes()


def main(arguments: list[str]) -> int:
    """Write the dictionary into the file that is named; returns the exit code."""
    Path(arguments[0]).write_bytes(dictionary())
    return 0


def _templates() -> list[Result]:
    """A result of each kind, and those of the contract's examples."""
    found = []
    for path in sorted(_EXAMPLES.glob("*.json")):
        payload = msgspec.json.decode(path.read_bytes()).get("payload", {})
        for record in payload.get("records", ()) if isinstance(payload, dict) else ():
            found.append(decode_result(msgspec.json.encode(record["result"])))  # noqa: PERF401
    return [*found, samples.throughput(), samples.dns()]


def _of_another(rng: random.Random, result: Result) -> Result:
    isp = rng.choice(_ISPS)
    return msgspec.structs.replace(
        result,
        line=Line(isp.lower(), isp, isp.lower(), _address(rng)),
        family=rng.choice((Family.IPV4, Family.IPV6)),
        started_at=_time(rng),
        clock=msgspec.structs.replace(
            result.clock,
            boot_id=UUID(int=rng.getrandbits(128)),
            boottime_s=round(rng.uniform(60, 9e6), 6),
        ),
    )


def _latency(rng: random.Random) -> Result:
    """A window of round trips as a line has them; a tenth lost some."""
    sent = rng.choice((40, 60, 60))
    lost = rng.choice((0,) * 9 + (rng.randrange(sent),))
    base = rng.uniform(3, 45)
    result = samples.latency(
        rtt_ms=base if rng.random() < 0.5 else round(base, 3),
        sent=sent,
        lost=lost,
        target=rng.choice(("stamp:may-chu-1", "icmp:gateway", "icmp:203.0.113.9")),
        outcome=Outcome.OK,
    )
    assert result.values is not None
    spread = rng.choice((0.02, 0.1, 0.3))
    rtts = [int(base * 1000 * rng.lognormvariate(0, spread)) for _ in range(sent - lost)]
    values = msgspec.structs.replace(
        result.values,
        rtt_us=rtts,
        rtt_samples=len(rtts),
        address=_address(rng),
        ipdv_abs_mean_ms=round(rng.uniform(0.1, 3), 4),
        jitter_rfc3550_ms=round(rng.uniform(0.1, 3), 4),
    )
    changed = msgspec.structs.replace(result, values=values)
    return changed if rng.random() < 0.5 else _of_another(rng, changed)


def _address(rng: random.Random) -> str:
    last = (rng.randrange(256), rng.randrange(256), rng.randrange(1, 255))
    return ".".join(map(str, (rng.choice((10, 192, 203, 113)), *last)))


def _time(rng: random.Random) -> datetime:
    return datetime(2026, 7, 1, tzinfo=UTC) + timedelta(
        microseconds=rng.randrange(86_400_000_000 * 90)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
