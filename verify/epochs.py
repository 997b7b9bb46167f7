"""Floor 2. Walks the epochs of a bundle, on several cores where it has many results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from verify.archive import Bundle
from verify.certificates import Certificate
from verify.chain import ChainCheck, Counts
from verify.findings import BundleError, Finding
from verify.samples import Days, LineSamples, joined_lines

# Below so many bytes of results (compressed), to begin a process takes longer than it saves.
_LEAST_BYTES = 4 << 20


class Walk(NamedTuple):
    """An epoch to be walked. `certificates` are base64 of DER, those that count."""

    path: Path
    most_bytes: int
    name: str
    epoch: tuple[str, str, str]
    certificates: Sequence[str]
    given_up: Sequence[tuple[int, int]]
    lines: Sequence[str]
    days: Days
    made_at: datetime | None


class Walked(NamedTuple):
    """What came of an epoch; `read` is how many bytes its results are."""

    name: str
    counts: Counts
    findings: Sequence[Finding]
    samples: Mapping[str, LineSamples]
    read: int


def walk(job: Walk) -> Walked:
    """Walk one epoch. Raises BundleError."""
    certificates = {one.key: one for one in map(Certificate, job.certificates)}
    samples = {line: LineSamples(job.days, job.made_at) for line in job.lines}
    prefix = "/".join(job.epoch[:2])
    with Bundle(job.path, job.most_bytes) as bundle:
        check = ChainCheck(job.epoch, certificates, job.given_up)
        for result, received_at in check.results(bundle.lines(job.name)):
            of_line = samples.get(f"{prefix}/{result['line']['id']}")
            if of_line is not None:
                of_line.add(result, received_at)
        read = bundle.read_bytes
    for one in samples.values():
        one.close()
    return Walked("/".join(job.epoch), check.counts, check.findings, samples, read)


def walk_all(jobs: Sequence[Walk], compressed: int, cores: int) -> Iterator[Walked]:
    """Walk epochs, in their order. Raises BundleError.

    Args:
        jobs: the epochs.
        compressed: how many bytes of the bundle they are.
        cores: how many processes at most.
    """
    most = jobs[0].most_bytes if jobs else 0
    for one in _walked(jobs, 1 if compressed < _LEAST_BYTES else min(cores, len(jobs))):
        most -= one.read
        if most < 0:
            raise BundleError("its results are larger than --most-bytes allows")
        yield one


def _walked(jobs: Sequence[Walk], cores: int) -> Iterator[Walked]:
    if cores <= 1:
        yield from map(walk, jobs)
        return
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(walk, jobs)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def joined_samples(
    lines: Sequence[str], walked: Sequence[Walked], days: Days
) -> dict[str, LineSamples]:
    """The samples of each line over all epochs."""
    return {
        line: joined_lines([one.samples[line] for one in walked if line in one.samples], days)
        for line in lines
    }
